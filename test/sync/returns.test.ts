/** Proves that cancelled, refunded and returned goods come back exactly once, whoever tells of them, how often and in which order. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { applyOrder, type OrderEffect } from '../../src/sync/orders.ts';
import type { Outcome } from '../../src/sync/outcome.ts';
import { returnOrder } from '../../src/sync/returns.ts';
import { callerOf, insertBundle } from '../support/bundles.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas, ledgerBreaches, readStock } from '../support/ledgerState.ts';

const onHand = 20;
let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let item: fixtures.TestItem;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand });
});

type Told = {
  readonly seconds: number;
  readonly reserved?: number;
  readonly shipped?: number;
  readonly ordered?: number;
};

/** What the channel says of one order with one line, `seconds` after it was placed. */
function tell(orderId: string, told: Told, of = item): Promise<OrderEffect> {
  const { seconds, reserved = 0, shipped = 0, ordered = 9 } = told;
  const updatedAt = fixtures.after(seconds);
  const lines = [fixtures.orderLine({ sku: of.sku, ordered, reserved, shipped })];
  const order = fixtures.order({ orderId, updatedAt, lines });
  return applyOrder(open.pool, fixtures.source(connection, { observedAt: updatedAt }), order);
}

type Return = { readonly quantity: number; readonly restock: boolean; readonly key?: string };

/** The seller's word on the only line of an order. */
async function sendBack(platformOrderId: string, back: Return): Promise<Outcome<unknown>> {
  const { rows } = await open.pool.query<{ order_id: string; id: string }>(
    `SELECT line.order_id, line.id FROM order_lines line JOIN orders ON orders.id = line.order_id
      WHERE orders.platform_order_id = $1 AND orders.connection_id = $2`,
    [platformOrderId, connection.id],
  );
  const [line] = rows;
  const caller = callerOf(connection.accountId);
  return returnOrder({ pool: open.pool, onApplied: () => undefined }, caller, {
    orderId: line?.order_id ?? connection.id,
    lines: [{ lineId: line?.id ?? connection.id, quantity: back.quantity }],
    restock: back.restock,
    reason: back.restock ? 'returned' : 'damaged',
    reference: 'parcel 7',
    idempotencyKey: back.key ?? fixtures.unique('key'),
  });
}

const problems = (outcome: Outcome<unknown>): unknown[] =>
  outcome.ok ? [] : outcome.problems.map(({ code, current }) => [code, current]);

const shelf = async (of = item): Promise<number[]> => {
  const { quantity, reserved } = await readStock(open.pool, of.id);
  return [quantity, reserved];
};

describe('the race timelines', () => {
  test('T6 Duplicate, reordered order events: paid, created, paid, edited (2 -> 1): movements -2, 0, 0, +1', async () => {
    const orderId = fixtures.unique('order');
    const events: Told[] = [
      { seconds: 1, reserved: 2 },
      { seconds: 0, reserved: 2 },
      { seconds: 1, reserved: 2 },
      { seconds: 2, reserved: 1 },
    ];
    const available: number[] = [];
    for (const event of events) {
      await tell(orderId, event);
      available.push((await readStock(open.pool, item.id)).available);
    }
    expect(available).toEqual([18, 18, 18, 19]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2, 1]);
  });

  test('T7 Cancel, two behaviours: the ledger gives the unit back once, and the sale is taken back on the channel once, however often it is told', async () => {
    const listing = await fixtures.insertListing(open.pool, connection, { itemId: item.id, sku: item.sku });
    const orderId = fixtures.unique('order');
    await tell(orderId, { seconds: 0, reserved: 1, ordered: 1 });
    for (const seconds of [3, 1, 3, 2, 3]) await tell(orderId, { seconds, ordered: 1 });
    expect(await availableDeltas(open.pool, item.id)).toEqual([-1, 1]);
    const { rows } = await open.pool.query('SELECT listing_id, units FROM channel_sales ORDER BY id');
    expect(rows.filter(({ listing_id }) => listing_id === listing).map(({ units }) => Number(units))).toEqual(
      [1, -1],
    );
  });
});

async function newlyShipped(units: number): Promise<string> {
  const orderId = fixtures.unique('order');
  await tell(orderId, { seconds: 0, reserved: units, ordered: units });
  await tell(orderId, { seconds: 10, shipped: units, ordered: units });
  return orderId;
}

describe('a return', () => {
  test('puts units on the shelf again, says why, and is no sale taken back on the channel', async () => {
    await fixtures.insertListing(open.pool, connection, { itemId: item.id, sku: item.sku });
    const orderId = await newlyShipped(3);
    expect(problems(await sendBack(orderId, { quantity: 2, restock: true }))).toEqual([]);
    expect(await shelf()).toEqual([19, 0]);
    const { rows } = await open.pool.query(
      `SELECT kind::text, reason::text, reference, on_hand_delta, actor_kind::text, order_line_id IS NOT NULL AS line
         FROM stock_movements WHERE item_id = $1 ORDER BY seq DESC LIMIT 1`,
      [item.id],
    );
    expect(rows).toEqual([
      {
        kind: 'order',
        reason: 'returned',
        reference: 'parcel 7',
        on_hand_delta: 2,
        actor_kind: 'user',
        line: true,
      },
    ]);
    const sales = await open.pool.query('SELECT units FROM channel_sales WHERE account_id = $1', [
      item.accountId,
    ]);
    expect(sales.rows).toEqual([{ units: 3 }]);
  });

  test('without restock is recorded and moves nothing, also when the channel restocks it', async () => {
    const orderId = await newlyShipped(3);
    await sendBack(orderId, { quantity: 1, restock: false });
    await tell(orderId, { seconds: 20, shipped: 2 });
    expect(await shelf()).toEqual([17, 0]);
    const { rows } = await open.pool.query(
      'SELECT quantity, restock, reason::text, reference FROM order_returns WHERE account_id = $1',
      [item.accountId],
    );
    expect(rows).toEqual([{ quantity: 1, restock: false, reason: 'damaged', reference: 'parcel 7' }]);
  });

  test('is never more than was shipped and is not returned yet', async () => {
    const orderId = await newlyShipped(3);
    await sendBack(orderId, { quantity: 2, restock: true });
    expect(problems(await sendBack(orderId, { quantity: 2, restock: false }))).toEqual([
      ['EXCEEDS_SHIPPED', 1],
    ]);
    expect(problems(await sendBack(fixtures.unique('none'), { quantity: 1, restock: true }))).toEqual([
      ['NOT_FOUND', undefined],
    ]);
    const waiting = fixtures.unique('order');
    await tell(waiting, { seconds: 0, reserved: 2 });
    expect(problems(await sendBack(waiting, { quantity: 1, restock: true }))).toEqual([
      ['EXCEEDS_SHIPPED', 0],
    ]);
  });

  test.each(['the seller', 'the channel'])(
    'that %s tells first is not booked again when the other tells of it',
    async (first) => {
      const orderId = await newlyShipped(3);
      const words = [
        () => sendBack(orderId, { quantity: 2, restock: true }),
        () => tell(orderId, { seconds: 20, shipped: 1 }),
      ];
      for (const word of first === 'the seller' ? words : words.toReversed()) await word();
      expect(await shelf()).toEqual([19, 0]);
      // A further unit, told by both.
      await sendBack(orderId, { quantity: 1, restock: true });
      expect(await shelf()).toEqual([20, 0]);
      await tell(orderId, { seconds: 30, shipped: 0 });
      expect(await shelf()).toEqual([20, 0]);
    },
  );

  test('of a bundle brings back what the bundle was made of', async () => {
    const other = await fixtures.insertItem(open.pool, connection.accountId, { onHand });
    const set = await insertBundle(open.pool, connection.accountId, [
      [item, 2],
      [other, 1],
    ]);
    const orderId = fixtures.unique('order');
    await tell(orderId, { seconds: 0, shipped: 3 }, set);
    await sendBack(orderId, { quantity: 1, restock: true });
    expect([await shelf(), await shelf(other)]).toEqual([
      [16, 0],
      [18, 0],
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('of an order from before the shop was connected is refused, because it holds no stock here', async () => {
    await open.pool.query(`UPDATE connections SET connected_at = '2027-01-01' WHERE id = $1`, [
      connection.id,
    ]);
    const orderId = await newlyShipped(1);
    expect(problems(await sendBack(orderId, { quantity: 1, restock: true }))).toEqual([
      ['EXCEEDS_SHIPPED', 0],
    ]);
  });

  test('sent twice at once under one key is booked once, and two that exceed together are not both booked', async () => {
    const orderId = await newlyShipped(3);
    const same = { quantity: 2, restock: true, key: 'one parcel' };
    await Promise.all([sendBack(orderId, same), sendBack(orderId, same)]);
    expect(await shelf()).toEqual([19, 0]);
    const rivals = await Promise.all([
      sendBack(orderId, { quantity: 1, restock: true }),
      sendBack(orderId, { quantity: 1, restock: true }),
    ]);
    expect(rivals.flatMap(problems)).toEqual([['EXCEEDS_SHIPPED', 0]]);
    expect(await shelf()).toEqual([20, 0]);
  });
});

type Version = { readonly reserved: number; readonly shipped: number };
type Message = { readonly kind: 'told' | 'back'; readonly index: number };

const parcels = fc
  .array(fc.record({ reserved: fc.nat({ max: 3 }), shipped: fc.nat({ max: 5 }) }), {
    minLength: 1,
    maxLength: 5,
  })
  .chain((versions) => {
    const most = Math.max(...versions.map((version) => version.shipped));
    return fc
      .array(fc.record({ quantity: fc.integer({ min: 1, max: 2 }), restock: fc.boolean() }), { maxLength: 3 })
      .map((all) => {
        let left = most;
        return all.filter(({ quantity }) => (left -= quantity) >= 0);
      })
      .chain((backs) => {
        const messages: Message[] = [
          ...versions.map((_, index) => ({ kind: 'told' as const, index })),
          ...backs.map((_, index) => ({ kind: 'back' as const, index })),
        ];
        const doubled = [...messages, ...messages];
        const order = fc.shuffledSubarray(doubled, { minLength: doubled.length });
        return fc.record({
          versions: fc.constant(versions),
          backs: fc.constant(backs),
          orders: fc.tuple(order, order),
          atOnce: fc.constantFrom(1, 1, 3),
        });
      });
  });

/** Delivers everything in this order; what was refused because the units were not known to have left is sent again until nothing changes. */
async function deliver(
  versions: readonly Version[],
  backs: readonly Return[],
  messages: readonly Message[],
  atOnce: number,
): Promise<number[]> {
  const of = await fixtures.insertItem(open.pool, connection.accountId, { onHand });
  const orderId = fixtures.unique('order');
  const send = async ({ kind, index }: Message): Promise<void> => {
    const [version, back] = [versions[index], backs[index]];
    if (kind === 'told' && version) await tell(orderId, { seconds: index, ...version }, of);
    if (kind === 'back' && back) await sendBack(orderId, { ...back, key: `${orderId} ${index}` });
  };
  const queue = [...messages];
  while (queue.length > 0) await Promise.all(queue.splice(0, atOnce).map(send));
  for (const message of messages) if (message.kind === 'back') await send(message);
  return shelf(of);
}

test('cancelled, refunded and returned goods come back once, whoever tells of them and in which order', async () => {
  await fc.assert(
    fc.asyncProperty(parcels, async ({ versions, backs, orders: [first, second], atOnce }) => {
      const most = Math.max(...versions.map((version) => version.shipped));
      const last = versions.at(-1) ?? { reserved: 0, shipped: 0 };
      const sum = (restock: boolean): number =>
        backs.filter((back) => back.restock === restock).reduce((total, { quantity }) => total + quantity, 0);
      const gone = Math.min(last.shipped, most - sum(true) - sum(false)) + sum(false);
      const expected = [onHand - gone, last.reserved];
      expect(await deliver(versions, backs, first, atOnce)).toEqual(expected);
      expect(await deliver(versions, backs, second, 1)).toEqual(expected);
      expect(await ledgerBreaches(open.pool)).toEqual([]);
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
