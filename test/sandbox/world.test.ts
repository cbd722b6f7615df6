/** The rules of a shop: what it sells, what it refuses, what comes back, and when a change can be seen. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createManualClock } from '../../src/sandbox/clock.ts';
import type { ListingInput, Platform, ShopEvent, ShopSettings, Variant } from '../../src/sandbox/goods.ts';
import { createIdentifiers } from '../../src/sandbox/identifiers.ts';
import { currentQuantity, openQuantity, orderState } from '../../src/sandbox/orderState.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import { Shop } from '../../src/sandbox/world.ts';

const startAt = Date.parse('2026-11-22T08:00:00Z');
const price = { minor: 2450, currency: 'USD' };

function openShop(
  platform: Platform,
  quantities: Readonly<Record<string, number>>,
  settings: Partial<ShopSettings> = {},
) {
  const clock = createManualClock(startAt);
  const identifiers = createIdentifiers(platform, startAt);
  const shop = new Shop({ platform, clock, random: createRandom(7), identifiers, settings });
  for (const [sku, quantity] of Object.entries(quantities)) {
    const variant = { sku, quantity, price };
    shop.addListing({
      title: `Item ${sku}`,
      variants: [platform === 'ebay' ? { ...variant, offerQuantity: quantity } : variant],
    });
  }
  const variant = (sku: string): Variant => {
    const found = shop.variantBySku(sku);
    if (found === undefined) throw new Error(`no ${sku}`);
    return found;
  };
  const place = (sku: string, quantity: number, paid = true) =>
    shop.orders.place({ lines: [{ variantId: variant(sku).id, quantity }], paid });
  const placed = (sku: string, quantity: number, paid = true) => {
    const result = place(sku, quantity, paid);
    if (result.kind === 'refused') throw new Error('refused');
    return result.order;
  };
  return { shop, clock, variant, place, placed };
}

test('A sale lowers the marketplace’s own number, and the journal names the buyer’s order', () => {
  const { shop, variant, placed } = openShop('shopify', { A: 5 });
  const order = placed('A', 2);
  expect(shop.displayed(variant('A'))).toBe(3);
  expect(shop.journal.values().at(-1)).toMatchObject({
    sku: 'A',
    from: 5,
    to: 3,
    cause: 'buyer',
    reference: order.id,
  });
});

test('A sale beyond the displayed number is refused, counted, and changes nothing', () => {
  const { shop, variant, place } = openShop('shopify', { A: 1 });
  expect(place('A', 2)).toEqual({ kind: 'refused', variantId: variant('A').id, asked: 2, displayed: 1 });
  expect(shop.orders.counts).toMatchObject({ placed: 0, refused: 1, unitsRefused: 2 });
  expect([variant('A').quantity, shop.orders.all().length, shop.journal.total]).toEqual([1, 0, 1]);
});

test('Two lines of the same thing are refused when together they ask for too much', () => {
  const { shop, variant } = openShop('shopify', { A: 3 });
  const { id } = variant('A');
  const lines = [
    { variantId: id, quantity: 2 },
    { variantId: id, quantity: 2 },
  ];
  expect(shop.orders.place({ lines }).kind).toBe('refused');
  expect(variant('A').quantity).toBe(3);
});

test('Only an active listing sells', () => {
  const { shop, variant, place } = openShop('amazon', { A: 3 });
  shop.setListingState(variant('A').listingId, 'inactive');
  expect(place('A', 1)).toMatchObject({ kind: 'refused', displayed: 0 });
});

test('What a marketplace does not count is always for sale and never gets less', () => {
  const { shop } = openShop('shopify', {});
  const listing = shop.addListing({
    title: 'Print',
    variants: [{ sku: 'P', quantity: 0, price, tracked: false }],
  });
  const [variant] = shop.variantsOf(listing);
  expect(shop.orders.place({ lines: [{ variantId: variant?.id ?? '', quantity: 9 }] }).kind).toBe('placed');
  expect(variant?.quantity).toBe(0);
});

test('eBay shows the lower of item and offer quantity, and a sale lowers both', () => {
  const { shop, variant, placed } = openShop('ebay', { A: 5 });
  shop.write(variant('A').id, { offerQuantity: 2 }, null);
  expect(shop.displayed(variant('A'))).toBe(2);
  placed('A', 1);
  expect([variant('A').quantity, variant('A').offerQuantity]).toEqual([4, 1]);
});

const color = (value: string, id: number) => [
  { propertyId: 200, propertyName: 'Primary color', scaleId: null, valueIds: [id], values: [value] },
];

function yarn(quantityOn: readonly number[]): ListingInput {
  return {
    title: 'Yarn',
    dependence: { price: [], quantity: quantityOn, sku: [200], readiness: [] },
    variants: [
      { sku: 'RED', quantity: 4, price, properties: color('Red', 1) },
      { sku: 'BLUE', quantity: 4, price, properties: color('Blue', 2) },
    ],
  };
}

test('Etsy variants share one quantity when no property says that quantity differs', () => {
  const { shop, variant, placed } = openShop('etsy', {});
  shop.addListing(yarn([]));
  placed('RED', 3);
  expect([variant('RED').quantity, variant('BLUE').quantity]).toEqual([1, 1]);
  const lines = [variant('RED').id, variant('BLUE').id].map((variantId) => ({ variantId, quantity: 1 }));
  expect(shop.orders.place({ lines }).kind).toBe('refused');
});

test('Etsy variants count for themselves when quantity depends on their property', () => {
  const { shop, variant, placed } = openShop('etsy', {});
  shop.addListing(yarn([200]));
  placed('RED', 3);
  expect([variant('RED').quantity, variant('BLUE').quantity]).toEqual([1, 4]);
});

test('An Etsy listing is sold out with its last unit, and a restock brings it back', () => {
  const { shop, variant, placed } = openShop('etsy', { A: 1 });
  const order = placed('A', 1);
  expect(shop.requireListing(variant('A').listingId).state).toBe('soldOut');
  shop.orders.cancel(order.id, { restock: true });
  expect([shop.requireListing(variant('A').listingId).state, shop.displayed(variant('A'))]).toEqual([
    'active',
    1,
  ]);
});

test('A cancellation restocks or not, as asked, and otherwise as the marketplace does by itself', () => {
  const given = [true, false, undefined].map((restock) => {
    const { shop, variant, placed } = openShop('shopify', { A: 5 }, { cancelRestocks: true });
    const order = placed('A', 2);
    shop.orders.cancel(order.id, restock === undefined ? {} : { restock });
    return [variant('A').quantity, orderState(order), order.refunds[0]?.lines[0]?.restock];
  });
  expect(given).toEqual([
    [5, 'cancelled', 'cancel'],
    [3, 'cancelled', 'none'],
    [5, 'cancelled', 'cancel'],
  ]);
});

test('Cancelling twice puts the units back once', () => {
  const { shop, variant, placed } = openShop('shopify', { A: 5 });
  const order = placed('A', 2);
  shop.orders.cancel(order.id, { restock: true });
  shop.orders.cancel(order.id, { restock: true });
  expect(variant('A').quantity).toBe(5);
});

test('An edit to fewer units puts the rest back, an edit to more is a sale that can be refused', () => {
  const { shop, variant, placed } = openShop('shopify', { A: 5 });
  const order = placed('A', 3);
  const lineId = order.lines[0]?.id ?? '';
  shop.orders.edit(order.id, lineId, 1);
  expect([variant('A').quantity, currentQuantity(order.lines[0] ?? never())]).toEqual([4, 1]);
  expect(() => shop.orders.edit(order.id, lineId, 6)).toThrow('Only 4 left');
  shop.orders.edit(order.id, lineId, 5);
  expect(variant('A').quantity).toBe(0);
});

function never(): never {
  throw new Error('the order has no line');
}

test('Parcels move an order from paid over partly shipped and shipped to delivered', () => {
  const { shop, variant, placed } = openShop('shopify', { A: 5 });
  const order = placed('A', 3);
  const lineId = order.lines[0]?.id ?? '';
  const states = [orderState(order)];
  shop.orders.ship(order.id, { carrier: 'USPS' }, [{ lineId, quantity: 1 }]);
  states.push(orderState(order));
  shop.orders.ship(order.id);
  states.push(orderState(order));
  shop.orders.deliver(order.id);
  states.push(orderState(order));
  expect(states).toEqual(['paid', 'partlyShipped', 'shipped', 'delivered']);
  expect([variant('A').committed, openQuantity(order.lines[0] ?? never())]).toEqual([0, 0]);
  expect(() => shop.orders.ship(order.id)).toThrow('nothing left to send');
});

test('A refund takes units not yet sent first, and marks returned units as returns', () => {
  const { shop, variant, placed } = openShop('shopify', { A: 5 });
  const order = placed('A', 3);
  const lineId = order.lines[0]?.id ?? '';
  shop.orders.ship(order.id, {}, [{ lineId, quantity: 2 }]);
  shop.orders.refund(order.id, [{ lineId, quantity: 2 }], true);
  expect(order.refunds.map((refund) => refund.lines[0])).toEqual([
    { lineId, quantity: 1, restock: 'cancel' },
    { lineId, quantity: 1, restock: 'return' },
  ]);
  expect([variant('A').quantity, currentQuantity(order.lines[0] ?? never())]).toEqual([4, 1]);
});

test('An accepted write takes effect late, and the journal keeps when it was asked for', () => {
  const { shop, clock, variant } = openShop('amazon', { A: 5 }, { writeEffectMs: { min: 3000, max: 3000 } });
  expect(shop.write(variant('A').id, { quantity: 2 }, 'submission-1')).toBe(startAt + 3000);
  clock.advance(2999);
  expect([variant('A').quantity, shop.writesInFlight()]).toEqual([5, 1]);
  clock.advance(1);
  expect([variant('A').quantity, shop.writesInFlight()]).toEqual([2, 0]);
  expect(shop.journal.values().at(-1)).toMatchObject({
    cause: 'write',
    reference: 'submission-1',
    requestedAt: startAt,
    at: startAt + 3000,
  });
});

test('Of two late writes the older one may land last', () => {
  const { shop, clock, variant } = openShop('amazon', { A: 9 });
  shop.write(variant('A').id, { quantity: 5 }, 'older', 9000);
  shop.write(variant('A').id, { quantity: 3 }, 'newer', 2000);
  clock.advance(2000);
  expect(variant('A').quantity).toBe(3);
  clock.advance(7000);
  expect(variant('A').quantity).toBe(5);
});

test('A stale read answers the number of that time, and a fresh one the number of now', () => {
  const { shop, clock, variant, placed } = openShop('etsy', { A: 5 });
  clock.advance(10_000);
  placed('A', 1);
  clock.advance(5000);
  placed('A', 1);
  const a = variant('A');
  expect([0, 4000, 6000].map((age) => shop.view(age).quantity(a))).toEqual([3, 4, 5]);
});

test('An order change appears in lists after the index lag, and by its id at once', () => {
  const { shop, clock, placed } = openShop('amazon', { A: 5 }, { orderIndexLagMs: { min: 2000, max: 2000 } });
  const order = placed('A', 1, false);
  expect([shop.orders.modified(0), shop.orders.get(order.id)]).toEqual([[], order]);
  clock.advance(2000);
  expect(shop.orders.modified(startAt)).toEqual([order]);
  shop.orders.pay(order.id);
  expect(shop.orders.modified(startAt + 1)).toEqual([]);
  clock.advance(2000);
  expect(shop.orders.modified(startAt + 1)).toEqual([order]);
});

test('Every change of an order is newer than the one before, even within one instant', () => {
  const { shop, placed } = openShop('shopify', { A: 5 });
  const order = placed('A', 2, false);
  const times = [order.updatedAt];
  for (const change of [
    () => shop.orders.pay(order.id),
    () => shop.orders.ship(order.id),
    () => shop.orders.deliver(order.id),
  ]) {
    change();
    times.push(order.updatedAt);
  }
  expect(times).toEqual([startAt, startAt + 1, startAt + 2, startAt + 3]);
});

test('A shop keeps no more orders and journal entries than it is told to', () => {
  const { shop, clock, placed } = openShop(
    'shopify',
    { A: 1000 },
    { ordersMax: 10, journalSize: 20, closedOrdersKeptMs: 60_000 },
  );
  const first = placed('A', 1);
  shop.orders.ship(first.id);
  clock.advance(60_001);
  placed('A', 1);
  expect(shop.orders.get(first.id)).toBeUndefined();
  for (let index = 0; index < 50; index++) placed('A', 1);
  expect([shop.orders.all().length, shop.orders.modified(0).length, shop.journal.values().length]).toEqual([
    10, 10, 20,
  ]);
});

test('A sandbox that starts again offers the same listings and reuses no order id', () => {
  const before = createIdentifiers('amazon', startAt);
  const after = createIdentifiers('amazon', startAt + 5000);
  expect(after.listing()).toBe(before.listing());
  expect(after.order()).not.toBe(before.order());
  expect(before.order()).toMatch(/^113-\d{7}-\d{7}$/);
});

test('Emptying a shop forgets writes in flight and starts its listing ids again', () => {
  const { shop, clock, variant } = openShop('amazon', { A: 5 });
  const { id, listingId } = variant('A');
  shop.write(id, { quantity: 1 }, null, 1000);
  shop.clear();
  const again = shop.addListing({ title: 'Item A', variants: [{ sku: 'A', quantity: 5, price }] });
  clock.advance(1000);
  expect([again.id, variant('A').id, variant('A').quantity]).toEqual([listingId, id, 5]);
});

test('Whatever happens, a number is its opening plus its journal, and no sale takes it below zero', () => {
  const step = fc.record({
    verb: fc.constantFrom('buy', 'cancel', 'ship', 'refund', 'edit', 'write'),
    units: fc.integer({ min: 1, max: 4 }),
    pick: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { shop, variant, place } = openShop('shopify', { A: 6 });
      const events: ShopEvent[] = [];
      shop.subscribe((event) => events.push(event));
      for (const { verb, units, pick } of steps) {
        const orders = shop.orders.all();
        const order = orders[pick % Math.max(1, orders.length)];
        const line = order?.lines[0];
        if (verb === 'buy') place('A', units);
        else if (verb === 'write') shop.write(variant('A').id, { quantity: units }, null);
        else if (order === undefined || line === undefined || order.cancelledAt !== null) continue;
        else if (verb === 'cancel' && line.shipped === 0)
          shop.orders.cancel(order.id, { restock: pick % 2 === 0 });
        else if (verb === 'ship' && openQuantity(line) > 0) shop.orders.ship(order.id);
        else if (verb === 'refund' && currentQuantity(line) >= units)
          shop.orders.refund(order.id, [{ lineId: line.id, quantity: units }], pick % 2 === 0);
        else if (verb === 'edit' && currentQuantity(line) > units && openQuantity(line) >= units)
          shop.orders.edit(order.id, line.id, currentQuantity(line) - units);
      }
      const changes = events.flatMap((event) => (event.kind === 'stock' ? [event.change] : []));
      expect(changes.every(({ cause, to }) => cause !== 'buyer' || to >= 0)).toBe(true);
      expect(variant('A').quantity).toBe(changes.reduce((sum, { from, to }) => sum + to - from, 6));
      const committed = shop.orders
        .all()
        .reduce((sum, { lines }) => sum + openQuantity(lines[0] ?? never()), 0);
      expect(variant('A').committed).toBe(committed);
    }),
    { numRuns: 200 },
  );
});
