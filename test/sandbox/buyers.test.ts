/** Simulated buyers: how often, what, and what they do afterwards. */
import { expect, test } from 'vitest';
import { createManualClock } from '../../src/sandbox/clock.ts';
import { demoCatalogue, tinyCatalogue } from '../../src/sandbox/demoShop.ts';
import { type Platform, platforms } from '../../src/sandbox/goods.ts';
import { createSandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts';
import { startAt } from './channelBench.ts';

/** Lets buyers come for some minutes of simulated time. */
function runBuyers(minutes: number, options: SandboxOptions = {}) {
  const clock = createManualClock(startAt);
  const sandbox = createSandbox({ clock, catalogue: tinyCatalogue({ A: 100_000, B: 100_000 }), ...options });
  sandbox.buyers.start();
  clock.advance(minutes * 60_000);
  const orders = platforms.flatMap((platform) => sandbox.shops[platform].orders.all());
  return { sandbox, clock, orders };
}

test('Orders come by chance at about the set rate', () => {
  const { orders } = runBuyers(60, { buyers: { perMinute: 20 } });
  // Poisson with mean 1200: five standard deviations are 173.
  expect(orders.length).toBeGreaterThan(1027);
  expect(orders.length).toBeLessThan(1373);
  const gaps = orders
    .map(({ createdAt }) => createdAt)
    .toSorted((a, b) => a - b)
    .map((time, index, all) => time - (all[index - 1] ?? time));
  expect(gaps.filter((gap) => gap < 300).length).toBeGreaterThan(50);
  expect(gaps.filter((gap) => gap > 9000).length).toBeGreaterThan(20);
});

const summary = (seed: number) =>
  runBuyers(10, { seed, catalogue: demoCatalogue }).orders.map(({ createdAt, lines }) => [
    createdAt,
    lines.map(({ sku, ordered }) => [sku, ordered]),
  ]);

test('The same seed buys the same things at the same times, another seed does not', () => {
  expect(summary(3)).toEqual(summary(3));
  expect(summary(3)).not.toEqual(summary(4));
});

test('Buyers follow the shares of the marketplaces and the demand for things', () => {
  const demand = new Map([
    ['A', 9],
    ['B', 1],
  ]);
  const { sandbox, orders } = runBuyers(60, {
    buyers: { perMinute: 20, shares: { etsy: 1, amazon: 0, ebay: 0, shopify: 3 }, demand },
  });
  const count = (platform: Platform) => sandbox.shops[platform].orders.counts.placed;
  expect([count('amazon'), count('ebay')]).toEqual([0, 0]);
  expect(count('shopify') / count('etsy')).toBeGreaterThan(2);
  expect(count('shopify') / count('etsy')).toBeLessThan(4.5);
  const first = orders.map(({ lines }) => lines[0]?.sku);
  expect(first.filter((sku) => sku === 'A').length / first.length).toBeGreaterThan(0.85);
});

test('Buyers take one to three units, sometimes of two things', () => {
  const { orders } = runBuyers(60, { buyers: { perMinute: 20 } });
  const units = new Set(orders.flatMap(({ lines }) => lines.map(({ ordered }) => ordered)));
  expect(units).toEqual(new Set([1, 2, 3]));
  expect(new Set(orders.map(({ lines }) => lines.length))).toEqual(new Set([1, 2]));
});

test('On Amazon every order starts unpaid and is paid soon after', () => {
  const shares = { etsy: 0, amazon: 1, ebay: 0, shopify: 0 };
  const { sandbox, clock, orders } = runBuyers(1, {
    buyers: { perMinute: 60, shares, cancelChance: 0, payAfterMs: 2000 },
  });
  sandbox.buyers.configure({ perMinute: 0 });
  expect(orders.length).toBeGreaterThan(20);
  expect(orders.every(({ paidAt, createdAt }) => paidAt === null || paidAt > createdAt)).toBe(true);
  clock.advance(60_000);
  expect(orders.every(({ paidAt }) => paidAt !== null)).toBe(true);
});

test('Some buyers cancel, and nobody ships', () => {
  const { orders } = runBuyers(60, { buyers: { perMinute: 20, cancelChance: 0.5, cancelAfterMs: 1000 } });
  const cancelled = orders.filter(({ cancelledAt }) => cancelledAt !== null).length;
  expect(cancelled / orders.length).toBeGreaterThan(0.4);
  expect(cancelled / orders.length).toBeLessThan(0.6);
  expect(orders.every(({ parcels }) => parcels.length === 0)).toBe(true);
});

test('Buyers who come too late are turned away and counted', () => {
  const { sandbox } = runBuyers(60, {
    catalogue: tinyCatalogue({ A: 2 }),
    buyers: { perMinute: 20, cancelChance: 0 },
  });
  for (const platform of platforms) {
    const { placed, refused, unitsSold } = sandbox.shops[platform].orders.counts;
    expect([placed > 0, refused > 50, unitsSold <= 2]).toEqual([true, true, true]);
  }
});

test('Stopping ends buyers, payments and cancellations', () => {
  const { sandbox, clock, orders } = runBuyers(5, { buyers: { perMinute: 60 } });
  sandbox.buyers.start();
  sandbox.buyers.stop();
  expect([clock.pending(), sandbox.buyers.running]).toEqual([0, false]);
  clock.advance(600_000);
  expect(platforms.flatMap((platform) => sandbox.shops[platform].orders.all()).length).toBe(orders.length);
});

test('One buyer can be sent to one marketplace', () => {
  const { sandbox } = runBuyers(0, { buyers: { perMinute: 0 } });
  expect(sandbox.buyers.buyOnce('ebay')).toMatchObject({ kind: 'placed', platform: 'ebay' });
  expect(platforms.map((platform) => sandbox.shops[platform].orders.all().length)).toEqual([0, 0, 1, 0]);
});

test('An hour of busy trade keeps memory within its limits', () => {
  const { sandbox } = runBuyers(60, {
    buyers: { perMinute: 300 },
    shops: { shopify: { ordersMax: 500, journalSize: 300 } },
  });
  expect(sandbox.shops.shopify.orders.counts.placed).toBeGreaterThan(3000);
  expect(sandbox.shops.shopify.orders.all().length).toBe(500);
  expect(sandbox.shops.shopify.journal.values().length).toBe(300);
});

test('The demo shop has 36 things, spread unevenly, some one of a kind, some spelled differently', () => {
  const sandbox = createSandbox({ clock: createManualClock(startAt) });
  expect(demoCatalogue.length).toBe(36);
  expect(new Set(demoCatalogue.map(({ sku }) => sku)).size).toBe(36);
  const places = demoCatalogue.map(({ placements }) => placements.length);
  expect(new Set(places)).toEqual(new Set([1, 2, 3, 4]));
  expect(demoCatalogue.filter(({ quantity }) => quantity === 1).length).toBeGreaterThanOrEqual(5);
  const spelled = demoCatalogue.filter(({ sku, placements }) =>
    placements.some((placement) => placement.sku !== sku),
  );
  expect(spelled.map(({ sku }) => sku)).toEqual(['SOAP-LAVENDER', 'TOTE-CANVAS']);
  for (const platform of platforms) {
    const expected = demoCatalogue.flatMap(({ placements, quantity }) =>
      placements
        .filter((placement) => placement.platform === platform)
        .map(({ sku }) => [sku, quantity] as const),
    );
    expect(sandbox.displayed(platform)).toEqual(Object.fromEntries(expected));
  }
});
