/** Proves that each order line contributes exactly its final level, however its snapshots are repeated, delayed, reordered and raced. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Order, OrderLine } from '../../src/connectors/connector.ts';
import { deliverOrder } from '../../src/sync/orderDelivery.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { arrivals, finalLevels, orderHistory, type Snapshot, snapshots } from '../support/arbitraries.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas, ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;

beforeAll(async () => {
  open = await fixtures.openTestPool(12);
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
});
afterAll(() => open[Symbol.asyncDispose]());

const newItem = (onHand: number): Promise<fixtures.TestItem> =>
  fixtures.insertItem(open.pool, connection.accountId, { onHand });

async function receive(snapshot: Snapshot): Promise<boolean> {
  const { changed } = await applyOrder(open.pool, fixtures.source(connection, snapshot), snapshot.order);
  return changed;
}

/** A snapshot at so many seconds of channel time, observed right then. */
function snapshotAt(orderId: string, seconds: number, ...lines: readonly OrderLine[]): Snapshot {
  const updatedAt = fixtures.after(seconds);
  return { order: fixtures.order({ orderId, updatedAt, lines }), observedAt: updatedAt };
}

describe('under any arrival', () => {
  const itemCount = 3;
  const cases = orderHistory(itemCount).chain((history) =>
    fc.record({
      history: fc.constant(history),
      arrival: arrivals(history.versions.length),
      atOnce: fc.constantFrom(1, 1, 4, 16),
    }),
  );

  test('every order line counts once, whatever is delivered twice, late or out of order: it ends at the level of the newest snapshot, and the ledger has moved exactly there', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ history, arrival, atOnce }) => {
        const items = await Promise.all(Array.from({ length: itemCount }, () => newItem(10)));
        const all = snapshots(
          history,
          fixtures.unique('order'),
          items.map(({ sku }) => sku),
        );
        const queue = arrival.flatMap((index) => all[index] ?? []);
        while (queue.length > 0) await Promise.all(queue.splice(0, atOnce).map(receive));

        const expected = finalLevels(history, itemCount);
        for (const [index, item] of items.entries()) {
          const { reserved = 0, shipped = 0 } = expected[index] ?? {};
          expect(await readStock(open.pool, item.id)).toMatchObject({
            quantity: 10 - shipped,
            reserved,
            available: 10 - shipped - reserved,
          });
        }
        expect(await ledgerBreaches(open.pool)).toEqual([]);
        // Everything once more, in any order, is known or old.
        expect(await Promise.all(all.map(receive))).toEqual(all.map(() => false));
      }),
      { numRuns: 60 },
    );
  });

  test('two snapshots that cross in the database leave what the newer one says, in either order of arrival', async () => {
    for (let round = 0; round < 40; round += 1) {
      const item = await newItem(10);
      const orderId = fixtures.unique('order');
      const line = { sku: item.sku, ordered: 2 };
      await receive(snapshotAt(orderId, 0, fixtures.orderLine({ ...line, reserved: 2 })));
      const cancelled = snapshotAt(orderId, 1, fixtures.orderLine({ ...line, reserved: 0 }));
      const shipped = snapshotAt(orderId, 2, fixtures.orderLine({ ...line, reserved: 0, shipped: 2 }));
      await Promise.all((round % 2 === 0 ? [cancelled, shipped] : [shipped, cancelled]).map(receive));
      expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 8, reserved: 0, available: 8 });
    }
  });

  test('a snapshot that waited for a newer one takes no difference from the numbers it saw before', async () => {
    const item = await newItem(10);
    const orderId = fixtures.unique('order');
    const line = { sku: item.sku, ordered: 2 };
    await receive(snapshotAt(orderId, 0, fixtures.orderLine({ ...line, reserved: 2 })));
    const first = await open.pool.connect();
    await first.query('BEGIN');
    const cancelled = snapshotAt(orderId, 1, fixtures.orderLine({ ...line, reserved: 0 }));
    await applyOrder(first, fixtures.source(connection, cancelled), cancelled.order);
    const shipping = receive(
      snapshotAt(orderId, 2, fixtures.orderLine({ ...line, reserved: 0, shipped: 2 })),
    );
    await fixtures.waitForBlocked(open.pool, 1);
    await first.query('COMMIT');
    first.release();
    expect(await shipping).toBe(true);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2, 2, -2]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 8, reserved: 0 });
  });
});

describe('T6: duplicate and reordered order events', () => {
  test('paid, created, paid, edited move available by -2, 0, 0, +1', async () => {
    const item = await newItem(10);
    const orderId = fixtures.unique('order');
    const two = fixtures.orderLine({ sku: item.sku, reserved: 2 });
    const created = snapshotAt(orderId, 0, two);
    const paid = snapshotAt(orderId, 5, two);
    const edited = snapshotAt(orderId, 9, fixtures.orderLine({ sku: item.sku, ordered: 2, reserved: 1 }));

    const movedBy: number[] = [];
    for (const event of [paid, created, paid, edited]) {
      const { available } = await readStock(open.pool, item.id);
      await receive(event);
      movedBy.push((await readStock(open.pool, item.id)).available - available);
    }

    expect(movedBy).toEqual([-2, 0, 0, 1]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2, 1]);
    expect(await readStock(open.pool, item.id)).toEqual({ quantity: 10, reserved: 1, available: 9, seq: 3 });
  });
});

describe('a snapshot', () => {
  test('older than the one stored is ignored, even when it is observed later', async () => {
    const item = await newItem(10);
    const orderId = fixtures.unique('order');
    await receive(snapshotAt(orderId, 10, fixtures.orderLine({ sku: item.sku, reserved: 1 })));
    const old = snapshotAt(orderId, 9, fixtures.orderLine({ sku: item.sku, reserved: 4 }));
    expect(await receive({ ...old, observedAt: fixtures.after(60) })).toBe(false);
    expect(await readStock(open.pool, item.id)).toMatchObject({ reserved: 1 });
  });

  test('of the same channel time counts when it was observed later, and not when earlier', async () => {
    const item = await newItem(10);
    const orderId = fixtures.unique('order');
    const same = (reserved: number): Snapshot =>
      snapshotAt(orderId, 10, fixtures.orderLine({ sku: item.sku, reserved }));
    expect(await receive({ ...same(1), observedAt: fixtures.after(20) })).toBe(true);
    expect(await receive({ ...same(2), observedAt: fixtures.after(19) })).toBe(false);
    expect(await receive({ ...same(3), observedAt: fixtures.after(21) })).toBe(true);
    expect(await readStock(open.pool, item.id)).toMatchObject({ reserved: 3 });
  });

  test.each(['stored first', 'applied at once'] as const)(
    'of the same moment counts when it is further along, whichever is delivered last (%s)',
    async (way) => {
      const item = await newItem(10);
      const orderId = fixtures.unique('order');
      const updatedAt = fixtures.after(10);
      const deliver = async (order: Order): Promise<boolean> => {
        const source = fixtures.source(connection, { observedAt: updatedAt });
        if (way === 'stored first') return (await applyOrder(open.pool, source, order)).changed;
        const delivery = {
          deliveryId: fixtures.unique('delivery'),
          topic: 'orders',
          body: Buffer.from('{}'),
        };
        const { changed, waits } = await deliverOrder(open.pool, { ...source, ...delivery }, order);
        // An older one may still have something to tell: the inbox asks for it.
        expect(waits).toBe(!changed);
        return changed;
      };
      const of = (status: Order['status'], reserved: number): Order =>
        fixtures.order({
          orderId,
          updatedAt,
          status,
          lines: [fixtures.orderLine({ sku: item.sku, ordered: 3, reserved })],
        });
      expect(await deliver(of('processing', 3))).toBe(true);
      expect(await deliver(of('cancelled', 0))).toBe(true);
      expect(await deliver(of('pending', 3))).toBe(false);
      expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 10, reserved: 0 });
    },
  );

  test('without a line that an edit took out gives back what the line held, and takes it again when the line returns', async () => {
    const [kept, removed] = await Promise.all([newItem(10), newItem(10)]);
    const orderId = fixtures.unique('order');
    const keptLine = fixtures.orderLine({ lineId: 'kept', sku: kept.sku, reserved: 2 });
    const removedLine = fixtures.orderLine({ lineId: 'removed', sku: removed.sku, reserved: 3 });
    await receive(snapshotAt(orderId, 1, keptLine, removedLine));
    await receive(snapshotAt(orderId, 2, keptLine));
    expect(await readStock(open.pool, removed.id)).toMatchObject({ quantity: 10, reserved: 0 });
    await receive(snapshotAt(orderId, 3, removedLine, keptLine));
    expect(await readStock(open.pool, removed.id)).toMatchObject({ quantity: 10, reserved: 3 });
    expect(await readStock(open.pool, kept.id)).toMatchObject({ reserved: 2, seq: 2 });
  });

  test('that ships a part takes exactly that part off the shelf, and available does not move', async () => {
    const item = await newItem(10);
    const orderId = fixtures.unique('order');
    const line = { sku: item.sku, ordered: 5 };
    await receive(snapshotAt(orderId, 1, fixtures.orderLine({ ...line, reserved: 5 })));
    await receive(snapshotAt(orderId, 2, fixtures.orderLine({ ...line, reserved: 3, shipped: 2 })));
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 8, reserved: 3, available: 5 });
    await receive(snapshotAt(orderId, 3, fixtures.orderLine({ ...line, reserved: 0, shipped: 4 })));
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 6, reserved: 0, available: 6 });
    expect(await availableDeltas(open.pool, item.id)).toEqual([-5, 0, 1]);
  });

  test('that cancels gives everything back, once', async () => {
    const item = await newItem(4);
    const orderId = fixtures.unique('order');
    await receive(snapshotAt(orderId, 1, fixtures.orderLine({ sku: item.sku, reserved: 4 })));
    const cancelled = snapshotAt(orderId, 2, fixtures.orderLine({ sku: item.sku, ordered: 4, reserved: 0 }));
    expect([await receive(cancelled), await receive(cancelled)]).toEqual([true, false]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 4, reserved: 0, available: 4 });
  });

  test('with several lines of one item moves it once per line, each running total following the one before', async () => {
    const item = await newItem(10);
    const lines = [1, 2, 3].map((reserved) =>
      fixtures.orderLine({ lineId: `line ${reserved}`, sku: item.sku, reserved }),
    );
    await receive(snapshotAt(fixtures.unique('order'), 1, ...lines));
    const movements = await readMovements(open.pool, item.id);
    expect(movements.slice(1).map(({ seq, reservedAfter }) => [seq, reservedAfter])).toEqual([
      [2, 1],
      [3, 3],
      [4, 6],
    ]);
  });

  test('whose lines cancel each other out still records both movements', async () => {
    const item = await newItem(10);
    const orderId = fixtures.unique('order');
    const lines = (first: number, second: number): OrderLine[] => [
      fixtures.orderLine({ lineId: 'a', sku: item.sku, reserved: first }),
      fixtures.orderLine({ lineId: 'b', sku: item.sku, reserved: second }),
    ];
    await receive(snapshotAt(orderId, 1, ...lines(2, 1)));
    await receive(snapshotAt(orderId, 2, ...lines(1, 2)));
    expect(await readStock(open.pool, item.id)).toMatchObject({ reserved: 3, seq: 5 });
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });
});
