/** Beside another tool, through the real connectors: nothing is written, its copies of our sales move nothing, differences are told, and a plan begins cleanly. */
import { expect, test } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { applyPlan, createPlan, observedShop, planState } from './planOperations.ts';

/** The other tool, or the seller by hand, sets a number on the marketplace. */
function setOutside({ sandbox }: Product, platform: Platform, sku: string, quantity: number): void {
  const shop = sandbox.shops[platform];
  const variant = shop.variantBySku(sku);
  if (variant === undefined) throw new Error(`${platform} does not sell ${sku}`);
  shop.editOutside(variant.id, quantity);
}

async function seen(product: Product, platform: Platform) {
  const { syncHealth, conflicts, alerts } = await product.graphql(observedShop, {});
  const name = platform.toUpperCase();
  const health = syncHealth.connections.find(({ connection }) => connection?.platform === name);
  return { observed: health?.observed, trouble: [...conflicts.nodes, ...alerts.nodes] };
}

const until = (product: Product, platform: Platform, differing: readonly object[]) =>
  waitFor(
    async () => {
      const { observed } = await seen(product, platform);
      expect(observed).toMatchObject({ listings: 2, unreadable: 0, differences: differing });
      return true;
    },
    { timeoutMs: 20_000, what: `${platform} to differ by ${JSON.stringify(differing)}` },
  );

async function switchOnByPlan(product: Product, platform: Platform): Promise<void> {
  const connectionId = encodeId('PlatformConnection', product.connections[platform]);
  const { syncPlanCreate } = await product.graphql(createPlan, { input: { connectionId } });
  const planId = syncPlanCreate.plan?.id ?? '';
  const status = (wanted: string) =>
    waitFor(async () => (await product.graphql(planState, { id: planId })).syncPlan?.status === wanted, {
      timeoutMs: 40_000,
      what: `the plan to be ${wanted}`,
    });
  await status('READY');
  await product.graphql(applyPlan, { input: { planId, acknowledgeLarge: true, idempotencyKey: planId } });
  await status('APPLIED');
}

test.each(platforms)(
  '%s is observed beside another tool, compared, and switched on by a plan',
  async (platform) => {
    await using product = await startProduct({
      skus: { MUG: 10, CUP: 4 },
      environment: { OBSERVE_INTERVAL_MS: '200' },
    });
    const connectionId = product.connections[platform];
    await product.db.query('UPDATE listings SET sync_enabled = false WHERE connection_id = $1', [
      connectionId,
    ]);
    await product.db.query('DELETE FROM shadows WHERE connection_id = $1', [connectionId]);
    await product.db.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [connectionId]);
    await until(product, platform, []);

    // A sale elsewhere; the other tool has not copied it yet.
    const other = platform === 'shopify' ? 'ebay' : 'shopify';
    product.buy(other, 'MUG');
    await until(product, platform, [{ sku: 'MUG', quantity: 10, wouldShow: 9 }]);
    const [mug] = (await seen(product, platform)).observed?.differences ?? [];
    expect(mug?.explanation?.summary).toMatch(
      / shows 10 and would show 9: 9 available\. It was read at .+ UTC\. Nothing is written to it: The first plan of .+ is not applied yet\.$/,
    );
    setOutside(product, platform, 'MUG', 9);
    await until(product, platform, []);
    setOutside(product, platform, 'CUP', 9);
    await until(product, platform, [{ sku: 'CUP', quantity: 9, wouldShow: 4 }]);

    expect((await seen(product, platform)).trouble).toEqual([]);
    expect(product.sandbox.displayed(platform)).toEqual({ MUG: 9, CUP: 9 });
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 1 });
    expect(await product.stock('CUP')).toMatchObject({ quantity: 4, reserved: 0 });

    await switchOnByPlan(product, platform);
    await waitFor(() => product.sandbox.displayed(platform)['CUP'] === 4);
    await product.inStep();
    const { observed, trouble } = await seen(product, platform);
    expect(observed).toMatchObject({ listings: 0, differences: [] });
    expect(trouble).toEqual([]);
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 1 });
    expect(await ledgerBreaches(product.db)).toEqual([]);
  },
);
