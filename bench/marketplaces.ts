/** The four sandbox marketplaces as a process of their own, without buyers: they take what the product writes. */

import { tinyCatalogue } from '../src/sandbox/demoShop.ts';
import { platforms } from '../src/sandbox/goods.ts';
import { createSandbox, demoShopSettings, type Sandbox } from '../src/sandbox/sandbox.ts';
import { answerCalls } from './processes.ts';
import { sku } from './shopData.ts';

export type MarketplacesInput = { readonly items: number; readonly onHand: number };
export type MarketplaceConnection = ReturnType<Sandbox['connection']>;

answerCalls({
  /** Every item on all four marketplaces. Answers what a connector needs to reach each. */
  async start({ items, onHand }: MarketplacesInput): Promise<readonly MarketplaceConnection[]> {
    const skus = Array.from({ length: items }, (_, number) => [sku(number), onHand] as const);
    const sandbox = createSandbox({
      catalogue: tinyCatalogue(Object.fromEntries(skus)),
      shops: demoShopSettings,
      // As fast as the real ones let a seller write, which is far slower than the sales of this benchmark.
      rateScale: 1,
      ports: { control: null },
    });
    await sandbox.start();
    return platforms.map((platform) => sandbox.connection(platform));
  },
});
