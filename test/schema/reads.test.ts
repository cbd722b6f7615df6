/** Reads answer what is in the database in a handful of statements, however many rows there are. */
import { expect, test } from 'vitest';
import { encodeId, parseId } from '../../src/schema/globalId.ts';
import { codesOf, dataOf, openApi } from './apiFixture.ts';
import {
  countOfItems,
  everyList,
  itemById,
  itemBySku,
  itemHistory,
  itemsPage,
  itemsWithListings,
  manyNodes,
  movementsAfter,
  oneNode,
  orderByPlatform,
} from './operations.ts';
import { insertEverything, insertItem, insertListing } from './rows.ts';

test('a page of 50 items with 4 listings each takes at most 3 SQL statements', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  for (let index = 0; index < 60; index += 1) {
    const item = await insertItem(pool, api.shop, `SKU-${index}`);
    for (let unit = 0; unit < 4; unit += 1) await insertListing(pool, api.shop, item, `${index}-${unit}`);
  }
  // The client's first query may prepare its connection.
  await api.run(itemsWithListings, { first: 1, listings: 1 });
  api.statements.length = 0;

  const { inventoryItems } = dataOf(await api.run(itemsWithListings, { first: 50, listings: 4 }));

  expect(inventoryItems.nodes).toHaveLength(50);
  expect(inventoryItems.nodes.map(({ listings }) => listings.nodes.length)).toEqual(
    Array.from({ length: 50 }, () => 4),
  );
  expect(inventoryItems.nodes[0]?.listings.totalCount).toBe(4);
  expect(inventoryItems.nodes[0]?.listings.pageInfo.hasNextPage).toBe(false);
  expect(inventoryItems.nodes[7]?.listings.nodes[3]?.item?.sku).toBe(inventoryItems.nodes[7]?.sku);
  expect(api.statements.length).toBeLessThanOrEqual(3);
});

test('no list of any kind reads once per row', async () => {
  await using api = await openApi();
  for (const word of ['a', 'b', 'c']) await insertEverything(api.database.pool, api.shop, word);
  await api.run(everyList, {});
  api.statements.length = 0;

  const data = dataOf(await api.run(everyList, {}));

  expect(data.orders.nodes).toHaveLength(3);
  expect(data.alerts.nodes[0]?.orders).toHaveLength(1);
  expect(data.jobs.nodes[0]?.operations.nodes).toHaveLength(1);
  expect(data.unmatchedSkus).toEqual({
    nodes: ['a', 'b', 'c'].map((word) => ({ sku: `UNMATCHED-${word}`, lineCount: 1, reserved: 2 })),
    totalCount: 3,
  });
  expect(data.conflicts.nodes[0]?.platforms).toEqual(['ETSY']);
  expect(data.viewer.scopes).toHaveLength(8);
  // Thirteen lists with a count each, and the account: as many statements for three rows as for one.
  expect(api.statements.length).toBeLessThanOrEqual(27);
});

test('money keeps every digit of a price beyond what a float holds', async () => {
  await using api = await openApi();
  await insertListing(
    api.database.pool,
    api.shop,
    await insertItem(api.database.pool, api.shop, 'SKU'),
    'unit',
  );
  const { inventoryItems } = dataOf(await api.run(itemsWithListings, { first: 1, listings: 1 }));
  expect(inventoryItems.nodes[0]?.listings.nodes[0]?.price).toEqual({
    amount: '1234567890123456.78',
    currencyCode: 'EUR',
  });
});

test('the total is counted only when it is selected', async () => {
  await using api = await openApi();
  await insertItem(api.database.pool, api.shop, 'SKU');
  await api.run(itemsPage, { first: 1 });
  api.statements.length = 0;
  await api.run(itemsPage, { first: 1 });
  const without = api.statements.length;
  expect(dataOf(await api.run(countOfItems, {})).inventoryItems.totalCount).toBe(1);
  expect(without).toBe(1);
  expect(api.statements.length).toBe(3);
});

test('an item is found by its id and by its SKU', async () => {
  await using api = await openApi();
  const id = await insertItem(api.database.pool, api.shop, 'SKU-1');
  const globalId = encodeId('InventoryItem', id);
  expect(dataOf(await api.run(itemById, { id: globalId })).inventoryItem).toEqual({
    id: globalId,
    sku: 'SKU-1',
  });
  expect(dataOf(await api.run(itemBySku, { sku: 'SKU-1' })).inventoryItemBySku).toEqual({
    id: globalId,
    sku: 'SKU-1',
  });
  expect(dataOf(await api.run(itemBySku, { sku: 'sku-1' })).inventoryItemBySku).toBeNull();
});

test('an order is found by its connection and the channel’s own id', async () => {
  await using api = await openApi();
  const { order, connection } = await insertEverything(api.database.pool, api.shop, 'a');
  const found = await api.run(orderByPlatform, {
    connectionId: encodeId('PlatformConnection', connection),
    platformOrderId: 'order-a',
  });
  expect(dataOf(found).orderByPlatformId?.id).toBe(encodeId('Order', order));
});

test('node answers every kind of object by its global id', async () => {
  await using api = await openApi();
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const globalIds = globalIdsOf(ids);
  const { nodes } = dataOf(await api.run(manyNodes, { ids: globalIds }));
  expect(nodes.map((node) => node?.id)).toEqual(globalIds);
  expect(nodes.map((node) => parseId(node?.id ?? '')?.type)).toEqual(
    nodes.map((node) => Object.entries(node ?? {}).find(([name]) => name === '__typename')?.[1]),
  );
});

test('many nodes of one type are read together, not one by one', async () => {
  await using api = await openApi();
  const items = await Promise.all(
    Array.from({ length: 40 }, (_, index) => insertItem(api.database.pool, api.shop, `SKU-${index}`)),
  );
  const ids = items.map((id) => encodeId('InventoryItem', id));
  await api.run(manyNodes, { ids: ids.slice(0, 1) });
  api.statements.length = 0;
  const { nodes } = dataOf(await api.run(manyNodes, { ids }));
  expect(nodes.map((node) => node?.id)).toEqual(ids);
  expect(api.statements.length).toBeLessThanOrEqual(2);
});

test('an id that is none of ours is a mistake of the caller, not an empty answer', async () => {
  await using api = await openApi();
  const { item } = await insertEverything(api.database.pool, api.shop, 'a');
  const wrong = ['nonsense', encodeId('Account', item), encodeId('Order', item), 'x'.repeat(10_000)];
  for (const id of wrong) expect(codesOf(await api.run(itemById, { id }))).toEqual(['BAD_USER_INPUT']);
  expect(codesOf(await api.run(oneNode, { id: encodeId('Nothing', item) }))).toEqual(['BAD_USER_INPUT']);
  expect(api.internalErrors).toEqual([]);
});

test('an id that this account has not is answered with null', async () => {
  await using api = await openApi();
  const id = encodeId('InventoryItem', '00000000-0000-7000-8000-000000000001');
  expect(dataOf(await api.run(itemById, { id })).inventoryItem).toBeNull();
  expect(dataOf(await api.run(oneNode, { id })).node).toBeNull();
});

test('the history of an item is paged from the newest movement on', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const { item } = await insertEverything(pool, api.shop, 'a');
  await pool.query(
    `INSERT INTO stock_movements (account_id, item_id, seq, on_hand_delta, reserved_delta, on_hand_after, reserved_after, kind, reason, idempotency_key, actor_kind)
     SELECT account_id, item_id, n, 1, 0, 10 + n, 0, 'adjustment', 'received', 'key-' || n, 'user' FROM stock_movements, generate_series(2, 5) n`,
  );
  const id = encodeId('InventoryItem', item);
  const first = dataOf(await api.run(itemHistory, { id })).inventoryItem;
  expect(first?.movements.nodes).toEqual([
    { seq: 5, onHandDelta: 1, kind: 'ADJUSTMENT', reason: 'RECEIVED' },
    { seq: 4, onHandDelta: 1, kind: 'ADJUSTMENT', reason: 'RECEIVED' },
  ]);
  expect(first?.movements.totalCount).toBe(5);
  expect(first?.orderLines.nodes).toEqual([{ quantity: 2, order: { platformOrderId: 'order-a' } }]);

  const after = first?.movements.pageInfo.endCursor ?? null;
  const second = dataOf(await api.run(movementsAfter, { id, after })).inventoryItem?.movements;
  expect(second?.nodes.map(({ seq }) => seq)).toEqual([3, 2]);
  expect(second?.pageInfo).toEqual({ hasNextPage: true, hasPreviousPage: true });
});

function globalIdsOf(ids: Awaited<ReturnType<typeof insertEverything>>): string[] {
  return [
    encodeId('InventoryItem', ids.item),
    encodeId('Listing', ids.listing),
    encodeId('Order', ids.order),
    encodeId('OrderLine', ids.line),
    encodeId('StockMovement', ids.movement),
    encodeId('SyncConflict', ids.conflict),
    encodeId('Alert', ids.alert),
    encodeId('Job', ids.job),
    encodeId('SyncOperation', ids.operation),
    encodeId('PlatformConnection', ids.connection),
  ];
}
