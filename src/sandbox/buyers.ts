/** Simulated buyers: they come by chance at a set rate, want some things more than others, and sometimes change their mind. */
import type { Cancel, Clock } from './clock.ts';
import type { Platform, Variant } from './goods.ts';
import { platforms } from './goods.ts';
import type { PurchaseResult } from './orderBook.ts';
import type { Random } from './random.ts';
import type { Shop } from './world.ts';

export type BuyerOptions = {
  /** Orders per minute over all marketplaces together. */
  readonly perMinute: number;
  /** How the orders spread over the marketplaces, in proportion. */
  readonly shares: Readonly<Record<Platform, number>>;
  /** How much a SKU is wanted; unknown SKUs count 1. */
  readonly demand: ReadonlyMap<string, number>;
  /** How likely a buyer takes a second thing too. */
  readonly secondLineChance: number;
  /** How likely an order is unpaid at first. On Amazon every order starts unpaid (Pending). */
  readonly unpaidChance: number;
  /** How long an unpaid order waits for its money, in milliseconds on average. */
  readonly payAfterMs: number;
  readonly cancelChance: number;
  /** How long after the order a cancellation comes, in milliseconds on average. */
  readonly cancelAfterMs: number;
};

export const defaultBuyerOptions: BuyerOptions = {
  perMinute: 12,
  shares: { etsy: 3, amazon: 4, ebay: 2, shopify: 3 },
  demand: new Map(),
  secondLineChance: 0.15,
  unpaidChance: 0.1,
  payAfterMs: 4000,
  cancelChance: 0.06,
  cancelAfterMs: 20_000,
};

export type Buyers = {
  readonly options: BuyerOptions;
  configure(options: Partial<BuyerOptions>): void;
  /** Lets buyers come until `stop`. Starting twice is starting once. */
  start(): void;
  /** No more buyers, and nobody pays or cancels any more. */
  stop(): void;
  readonly running: boolean;
  /** One buyer now; on this marketplace, or on one drawn by share. Null when nothing at all is listed there. */
  buyOnce(platform?: Platform): (PurchaseResult & { readonly platform: Platform }) | null;
};

const firstNames = ['Kim', 'Ada', 'Noor', 'Luis', 'Mei', 'Tom', 'Ines', 'Sam', 'Yuki', 'Ola'];
const lastNames = ['Doe', 'Berg', 'Costa', 'Ito', 'Khan', 'Lind', 'Moreau', 'Novak', 'Silva', 'West'];
/** Six of ten buyers take one, three two, one three. */
const unitChoices = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3];

export function createBuyers(
  shops: Readonly<Record<Platform, Shop>>,
  clock: Clock,
  random: Random,
  initial: Partial<BuyerOptions> = {},
): Buyers {
  let options: BuyerOptions = { ...defaultBuyerOptions, ...initial };
  let nextBuyer: Cancel | null = null;
  const timers = new Set<Cancel>();

  function later(meanMs: number, run: () => void): void {
    const cancel = clock.after(random.exponential(meanMs), () => {
      timers.delete(cancel);
      run();
    });
    timers.add(cancel);
  }

  function choose(shop: Shop, besides: string | null): Variant | undefined {
    // Sold-out things are still wanted: buyers who come too late are what a shop must be able to count.
    const offered = shop
      .variants()
      .filter(
        (variant) =>
          variant.id !== besides &&
          variant.enabled &&
          ['active', 'soldOut'].includes(shop.listing(variant.listingId)?.state ?? ''),
      );
    return random.weighted(offered, ({ sku }) => options.demand.get(sku) ?? 1);
  }

  function afterwards(shop: Shop, orderId: string, paid: boolean): void {
    if (!paid) later(options.payAfterMs, () => quietly(shop, orderId, () => shop.orders.pay(orderId)));
    if (random.chance(options.cancelChance))
      later(options.cancelAfterMs, () =>
        quietly(shop, orderId, () => shop.orders.cancel(orderId, { reason: 'customer' })),
      );
  }

  function buyOnce(wanted?: Platform) {
    const platform = wanted ?? random.weighted(platforms, (each) => options.shares[each]);
    if (platform === undefined) return null;
    const shop = shops[platform];
    const first = choose(shop, null);
    if (first === undefined) return null;
    const second = random.chance(options.secondLineChance) ? choose(shop, first.id) : undefined;
    const chosen = second === undefined ? [first] : [first, second];
    const paid = platform !== 'amazon' && !random.chance(options.unpaidChance);
    const result = shop.orders.place({
      lines: chosen.map(({ id }) => ({ variantId: id, quantity: unitChoices[random.integer(0, 9)] ?? 1 })),
      paid,
      customerName: `${firstNames[random.integer(0, 9)] ?? ''} ${lastNames[random.integer(0, 9)] ?? ''}`,
      shippingMinor: 495,
    });
    if (result.kind === 'placed') afterwards(shop, result.order.id, paid);
    return { ...result, platform };
  }

  function scheduleNext(): void {
    if (options.perMinute <= 0) return;
    nextBuyer = clock.after(random.exponential(60_000 / options.perMinute), () => {
      buyOnce();
      scheduleNext();
    });
  }

  let running = false;
  return {
    get options() {
      return options;
    },
    get running() {
      return running;
    },
    configure(changes) {
      options = { ...options, ...changes };
      if (!running) return;
      nextBuyer?.();
      scheduleNext();
    },
    start() {
      if (running) return;
      running = true;
      scheduleNext();
    },
    stop() {
      running = false;
      nextBuyer?.();
      nextBuyer = null;
      for (const cancel of timers) cancel();
      timers.clear();
    },
    buyOnce,
  };
}

/** A buyer's second thought about an order that is forgotten, cancelled or sent by now changes nothing. */
function quietly(shop: Shop, orderId: string, run: () => void): void {
  const order = shop.orders.get(orderId);
  if (order === undefined || order.cancelledAt !== null || order.parcels.length > 0) return;
  run();
}
