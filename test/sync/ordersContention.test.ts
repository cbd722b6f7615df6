/** Proves that a rush of orders over few items loses nothing, counts nothing twice and lets no error out. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyOrder } from '../../src/sync/orders.ts';
import {
  finalLevels,
  type OrderHistory,
  orderHistory,
  type Snapshot,
  snapshots,
} from '../support/arbitraries.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';

const clients = 30;
const hotItems = 5;
const onHand = 40;

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(clients);
});
afterAll(() => open[Symbol.asyncDispose]());

/** `clients` workers take from one queue, each as fast as it can. */
async function workOff(connection: fixtures.TestConnection, queue: Snapshot[]): Promise<void> {
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await applyOrder(open.pool, fixtures.source(connection, next), next.order);
    }
  };
  await Promise.all(Array.from({ length: clients }, work));
}

/** Every snapshot, a good part of them twice, in the random order that `ranks` gives them. */
function shuffled(all: readonly Snapshot[], ranks: readonly number[]): Snapshot[] {
  const doubled = [...all, ...all.filter((_, index) => (ranks[index % ranks.length] ?? 0) % 3 === 0)];
  const rank = (index: number): number => ((ranks[index % ranks.length] ?? 0) * (index + 7)) % 10_007;
  return doubled
    .map((snapshot, index) => ({ snapshot, at: rank(index) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ snapshot }) => snapshot);
}

const rushes = fc.record({
  histories: fc.array(orderHistory(hotItems), { minLength: 60, maxLength: 80 }),
  ranks: fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 200, maxLength: 200 }),
});

/** Where what subscribers and pushes were told last differs from the stock they were told about. */
async function untold(accountId: string): Promise<readonly unknown[]> {
  const { rows } = await open.pool.query(
    `SELECT item.sku, item.seq, item.available, told.payload, alert.units, alert.status
       FROM inventory_items item
       LEFT JOIN LATERAL (SELECT payload FROM events WHERE subject_id = item.id AND topic = 'stock' ORDER BY id DESC LIMIT 1) told ON true
       LEFT JOIN alerts alert ON alert.item_id = item.id AND alert.status <> 'resolved'
       LEFT JOIN dirty_listings dirty ON dirty.account_id = item.account_id
            AND dirty.listing_id = (SELECT id FROM listings WHERE item_id = item.id)
      WHERE item.account_id = $1
        AND ((told.payload->>'seq')::bigint <> item.seq OR (told.payload->>'available')::int <> item.available
             OR coalesce(alert.units, 0) <> greatest(-item.available, 0)
             OR (dirty.listing_id IS NULL AND EXISTS (SELECT FROM stock_movements WHERE item_id = item.id AND kind = 'order')))`,
    [accountId],
  );
  return rows;
}

function expectedStock(
  histories: readonly OrderHistory[],
  item: number,
): { quantity: number; reserved: number } {
  const levels = histories.map(
    (history) => finalLevels(history, hotItems)[item] ?? { reserved: 0, shipped: 0 },
  );
  return {
    quantity: onHand - levels.reduce((sum, { shipped }) => sum + shipped, 0),
    reserved: levels.reduce((sum, { reserved }) => sum + reserved, 0),
  };
}

test('thirty clients selling five hot items in multi-line orders, repeated and reordered, end exactly at the newest snapshots', async () => {
  await fc.assert(
    fc.asyncProperty(rushes, async ({ histories, ranks }) => {
      const accountId = await fixtures.insertAccount(open.pool);
      const connection = await fixtures.insertConnection(open.pool, accountId);
      const items: fixtures.TestItem[] = [];
      for (let index = 0; index < hotItems; index += 1) {
        const item = await fixtures.insertItem(open.pool, accountId, { onHand });
        await fixtures.insertListing(open.pool, connection, { itemId: item.id });
        items.push(item);
      }
      const skus = items.map(({ sku }) => sku);
      const all = histories.flatMap((history) => snapshots(history, fixtures.unique('order'), skus));

      await workOff(connection, shuffled(all, ranks));

      for (const [index, item] of items.entries()) {
        expect(await readStock(open.pool, item.id)).toMatchObject(expectedStock(histories, index));
      }
      expect(await ledgerBreaches(open.pool)).toEqual([]);
      expect(await untold(accountId)).toEqual([]);
      const { rows } = await open.pool.query(
        'SELECT count(*)::int AS orders FROM orders WHERE account_id = $1',
        [accountId],
      );
      expect(rows).toEqual([{ orders: histories.length }]);
    }),
    // One rush is some three hundred orders; when one fails, smaller ones say no more about it.
    { numRuns: 5, endOnFailure: true },
  );
});

test('growing snapshots of one order that all wait for the same lock all pass, and the newest one stays', async () => {
  const connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  const item = await fixtures.insertItem(open.pool, connection.accountId, { onHand });
  const orderId = fixtures.unique('order');
  const snapshotAt = (seconds: number): Snapshot => {
    const lines = [fixtures.orderLine({ sku: item.sku, reserved: seconds + 1 })];
    return {
      order: fixtures.order({ orderId, lines, updatedAt: fixtures.after(seconds) }),
      observedAt: fixtures.noon,
    };
  };
  const first = await open.pool.connect();
  await first.query('BEGIN');
  await applyOrder(first, fixtures.source(connection), snapshotAt(0).order);
  const waiting = clients - 2;
  const rest = workOff(
    connection,
    Array.from({ length: waiting }, (_, index) => snapshotAt(index + 1)),
  );
  await fixtures.waitForBlocked(open.pool, waiting);
  await first.query('COMMIT');
  first.release();
  await rest;
  expect(await readStock(open.pool, item.id)).toMatchObject({ reserved: waiting + 1 });
  expect(await ledgerBreaches(open.pool)).toEqual([]);
});
