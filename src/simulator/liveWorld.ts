/** What truly is: the units on the shelf, what the four marketplaces show and sell, and everything that happens to them from outside. */
import { platforms } from '../connectors/connector.ts';
import type { Order, Platform } from '../sandbox/goods.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { LiveBuyer, Wish } from './liveBuyers.ts';
import type { LiveEdit } from './liveEdits.ts';

export type LiveTotals = {
  buyers: number;
  sold: number;
  oversold: number;
  turnedAway: number;
};

export type Happening = { readonly at: number; readonly text: string };

export type LiveWorld = {
  readonly sandbox: Sandbox;
  readonly skus: readonly string[];
  /** Units there are minus units sold, by SKU; below 0 once oversold. */
  readonly left: Map<string, number>;
  readonly totals: LiveTotals;
  /** What happened, with real times. */
  readonly story: Happening[];
  /** What was changed behind our back. */
  readonly edits: LiveEdit[];
  /** Units that buyers can take now, over all marketplaces. */
  shown(sku: string): number;
  buy(buyer: LiveBuyer): Order | null;
  /** The buyer wants nothing of the order any more, or one unit less of its first line. */
  regret(platform: Platform, order: Order, kind: 'cancel' | 'reduce'): void;
  /** Units are put on the shelf; the product is told afterwards. */
  deliver(sku: string, units: number): void;
  note(text: string): void;
  /** From now on `seen` is called whenever a marketplace may show another number, or another number of units is left. The answer ends it. */
  watch(seen: () => void): () => void;
};

export function skuOf(item: number): string {
  return `ITEM-${item + 1}`;
}

export function createLiveWorld(sandbox: Sandbox, stock: number): LiveWorld {
  const skus = sandbox.catalogue.map(({ sku }) => sku);
  const left = new Map(skus.map((sku) => [sku, stock]));
  const totals: LiveTotals = { buyers: 0, sold: 0, oversold: 0, turnedAway: 0 };
  const story: Happening[] = [];
  const note = (text: string) => void story.push({ at: Date.now(), text });
  const leftOf = (sku: string) => left.get(sku) ?? 0;
  const watchers = new Set<() => void>();
  const changed = () => watchers.forEach((seen) => seen());

  function take({ platform, number }: LiveBuyer, { item, units }: Wish): void {
    const sku = skuOf(item);
    const before = leftOf(sku);
    const missing = Math.max(0, units - Math.max(0, before));
    left.set(sku, before - units);
    totals.sold += units;
    totals.oversold += missing;
    note(`${platform} sells ${units} of ${sku} (buyer ${number})${missing > 0 ? ': OVERSOLD' : ''}`);
  }

  return {
    sandbox,
    skus,
    left,
    totals,
    story,
    edits: [],
    note,
    shown: (sku) => platforms.reduce((sum, platform) => sum + (sandbox.displayed(platform)[sku] ?? 0), 0),
    buy(buyer) {
      const { platform, wishes, number } = buyer;
      const shop = sandbox.shops[platform];
      totals.buyers += 1;
      const lines = wishes.map(({ item, units }) => {
        const variant = shop.variantBySku(skuOf(item));
        if (variant === undefined) throw new Error(`${platform} does not sell ${skuOf(item)}`);
        return { variantId: variant.id, quantity: units };
      });
      const result = shop.orders.place({ lines, customerName: `Buyer ${number}` });
      if (result.kind === 'placed') {
        for (const wish of wishes) take(buyer, wish);
        changed();
        return result.order;
      }
      if (wishes.every(({ item, units }) => leftOf(skuOf(item)) >= units)) {
        totals.turnedAway += 1;
        note(`${platform}: buyer ${number} finds nothing although a unit exists`);
      }
      return null;
    },
    regret(platform, order, kind) {
      const { orders, settings } = sandbox.shops[platform];
      const [first] = order.lines;
      if (order.cancelledAt !== null || first === undefined) return;
      const given = kind === 'cancel' ? order.lines : [first];
      // The units are there again before anybody can take them.
      for (const { sku, ordered, removed } of given)
        left.set(sku, leftOf(sku) + (kind === 'cancel' ? ordered - removed : 1));
      note(`${platform}: order ${order.id} is ${kind === 'cancel' ? 'cancelled' : 'reduced by one'}`);
      if (kind === 'cancel') orders.cancel(order.id, { reason: 'customer' });
      else orders.edit(order.id, first.id, first.ordered - first.removed - 1, settings.cancelRestocks);
      changed();
    },
    deliver(sku, units) {
      left.set(sku, leftOf(sku) + units);
      changed();
      note(`${units} of ${sku} are put on the shelf`);
    },
    watch(seen) {
      watchers.add(seen);
      const ends = platforms.map((platform) => sandbox.shops[platform].subscribe(() => seen()));
      return () => {
        watchers.delete(seen);
        for (const end of ends) end();
      };
    },
  };
}
