/** The API over the real sync engine: what a mutation does is what the next read and the open streams say. */
import { expect, test } from 'vitest';
import type { Results } from '../../src/graphql.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import { dataOf } from './apiFixture.ts';
import {
  alertAcknowledge,
  inventoryItemSync,
  inventorySyncAll,
  listingMap,
  orderStatusUpdate,
  oversellAlerts,
  skuMap,
  stockAdjust,
  stockEvents,
  stockSet,
} from './operations.ts';
import { openReal } from './realApi.ts';
import { insertEverything, insertItem, insertListing, insertShop } from './rows.ts';

type Event = Readonly<Record<string, unknown>>;

/** The next event; heartbeats are passed over. */
async function nextEvent(stream: Results): Promise<Event> {
  for (;;) {
    const { done, value } = await stream.next();
    if (done || value.errors) throw new Error(`no event: ${JSON.stringify(value)}`);
    const [envelope] = Object.values(value.data ?? {}) as Event[];
    if (envelope && 'sku' in envelope) return envelope;
    if (envelope && 'units' in envelope) return envelope;
  }
}

test('a change of stock is booked once under its key, read back, and told to the open stream', async () => {
  await using real = await openReal();
  const { api } = real;
  const id = encodeId('InventoryItem', await insertItem(api.database.pool, api.shop, 'SKU-1'));
  const stream = await api.open(stockEvents, {});
  // The stream is open once it has said anything.
  const opened = await stream.next();
  expect(opened.done).toBe(false);
  const input = {
    itemId: id,
    delta: 5,
    reason: 'RECEIVED',
    reference: 'PO 7',
    idempotencyKey: 'k1',
  } as const;

  const first = dataOf(await api.run(stockAdjust, { input })).stockAdjust;
  const again = dataOf(await api.run(stockAdjust, { input })).stockAdjust;
  const other = dataOf(await api.run(stockAdjust, { input: { ...input, delta: 6 } })).stockAdjust;

  expect(first).toMatchObject({ item: { sku: 'SKU-1', quantity: 15 }, movement: { seq: 1 }, userErrors: [] });
  expect(again).toEqual(first);
  expect(other.userErrors).toMatchObject([{ code: 'IDEMPOTENCY_KEY_REUSED' }]);
  expect(await nextEvent(stream)).toMatchObject({
    sku: 'SKU-1',
    quantity: 15,
    kind: 'ADJUSTMENT',
    stockReason: 'RECEIVED',
  });
  await stream.return();
  expect(api.internalErrors).toEqual([]);
});

test('setting stock to a number compares with the number that was seen', async () => {
  await using real = await openReal();
  const { api } = real;
  const itemId = encodeId('InventoryItem', await insertItem(api.database.pool, api.shop, 'SKU-1'));
  const set = (changeFrom: number, idempotencyKey: string) =>
    api.run(stockSet, { input: { itemId, quantity: 4, changeFrom, reason: 'CORRECTION', idempotencyKey } });
  expect(dataOf(await set(9, 'a')).stockSet).toMatchObject({
    item: { quantity: 10 },
    userErrors: [{ code: 'STOCK_CHANGED', current: 10 }],
  });
  expect(dataOf(await set(10, 'b')).stockSet).toMatchObject({ item: { quantity: 4 }, userErrors: [] });
});

test('selling more than there is raises an alert that a dashboard gets, whether it slept or not', async () => {
  await using real = await openReal();
  const { api } = real;
  const { pool } = api.database;
  const itemId = encodeId(
    'InventoryItem',
    await insertItem(pool, api.shop, 'SKU-1', { quantity: 2, reserved: 2 }),
  );
  const awake = await api.open(oversellAlerts, {});
  await awake.next();
  const lost = { itemId, delta: -1, reason: 'LOST', idempotencyKey: 'k' } as const;
  expect(dataOf(await api.run(stockAdjust, { input: lost })).stockAdjust.userErrors).toEqual([]);

  const alert = await nextEvent(awake);
  expect(alert).toMatchObject({ status: 'OPEN', units: 1, alert: { item: { sku: 'SKU-1' } } });
  const asleep = await api.open(oversellAlerts, { status: ['OPEN'] });
  expect(await nextEvent(asleep)).toMatchObject({ status: 'OPEN', units: 1 });
  await asleep.return();

  const { rows } = await pool.query<{ id: string }>('SELECT id FROM alerts');
  const seen = await api.run(alertAcknowledge, { input: { alertId: encodeId('Alert', rows[0]?.id ?? '') } });
  expect(dataOf(seen).alertAcknowledge).toEqual({ alert: { status: 'ACKNOWLEDGED' }, userErrors: [] });
  expect(await nextEvent(awake)).toMatchObject({ status: 'ACKNOWLEDGED' });
  await awake.return();
});

test('a stream that was interrupted goes on after its cursor without a gap', async () => {
  await using real = await openReal();
  const { api } = real;
  const itemId = encodeId('InventoryItem', await insertItem(api.database.pool, api.shop, 'SKU-1'));
  const adjust = (idempotencyKey: string) =>
    api.run(stockAdjust, { input: { itemId, delta: 1, reason: 'RECEIVED', idempotencyKey } });
  const before = await api.open(stockEvents, {});
  await before.next();
  await adjust('a');
  const { cursor } = await nextEvent(before);
  await before.return();
  await adjust('b');
  const after = await api.open(stockEvents, { after: String(cursor) });
  expect(await nextEvent(after)).toMatchObject({ quantity: 12 });
  await adjust('c');
  expect(await nextEvent(after)).toMatchObject({ quantity: 13 });
  await after.return();
});

test('what was unmatched is applied when somebody says which item it is', async () => {
  await using real = await openReal();
  const { api } = real;
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const itemId = encodeId('InventoryItem', ids.item);
  const mapped = dataOf(await api.run(skuMap, { input: { sku: 'UNMATCHED-a', itemId } })).skuMap;
  expect(mapped).toEqual({ item: { sku: 'SKU-a' }, linesApplied: 1, userErrors: [] });
  const listingId = encodeId('Listing', await insertListing(api.database.pool, api.shop, null, 'unit-new'));
  const listing = dataOf(await api.run(listingMap, { input: { listingId, itemId } })).listingMap;
  expect(listing).toEqual({ listing: { platformId: 'unit-new' }, userErrors: [] });
});

test('syncs are queued as an operation and as one job', async () => {
  await using real = await openReal();
  const { api } = real;
  const item = await insertItem(api.database.pool, api.shop, 'SKU-1');
  await insertListing(api.database.pool, api.shop, item, 'unit');
  const one = dataOf(
    await api.run(inventoryItemSync, { input: { itemId: encodeId('InventoryItem', item) } }),
  );
  expect(one.inventoryItemSync).toMatchObject({ item: { sku: 'SKU-1' }, userErrors: [] });
  expect(one.inventoryItemSync.operation?.id).toBeTruthy();
  const first = dataOf(await api.run(inventorySyncAll, {})).inventorySyncAll;
  const second = dataOf(await api.run(inventorySyncAll, {})).inventorySyncAll;
  expect(first.job?.id).toBeTruthy();
  expect(second).toEqual(first);
});

test('an object of another account is NOT_FOUND to every verb', async () => {
  await using real = await openReal();
  const { api } = real;
  const foreign = await insertShop(api.database.pool, 'Other');
  const ids = await insertEverything(api.database.pool, foreign, 'x');
  const itemId = encodeId('InventoryItem', ids.item);
  const key = { reason: 'OTHER', idempotencyKey: 'k' } as const;
  const payloads = [
    dataOf(await api.run(stockAdjust, { input: { itemId, delta: 1, ...key } })).stockAdjust,
    dataOf(await api.run(stockSet, { input: { itemId, quantity: 1, skipCompare: true, ...key } })).stockSet,
    dataOf(await api.run(inventoryItemSync, { input: { itemId } })).inventoryItemSync,
    dataOf(await api.run(skuMap, { input: { sku: 'UNMATCHED-x', itemId } })).skuMap,
    dataOf(await api.run(listingMap, { input: { listingId: encodeId('Listing', ids.listing), itemId } }))
      .listingMap,
    dataOf(await api.run(alertAcknowledge, { input: { alertId: encodeId('Alert', ids.alert) } }))
      .alertAcknowledge,
    dataOf(
      await api.run(orderStatusUpdate, {
        input: { orderId: encodeId('Order', ids.order), status: 'CANCELLED', idempotencyKey: 'k' },
      }),
    ).orderStatusUpdate,
  ];
  for (const { userErrors } of payloads) expect(userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
  const { rows } = await api.database.pool.query<{ quantity: number }>(
    'SELECT quantity FROM inventory_items',
  );
  expect(rows).toEqual([{ quantity: 10 }]);
});
