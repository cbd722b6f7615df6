/** Each mutation says to sync exactly what the client said, and says back what came of it. */
import { expect, test } from 'vitest';
import { encodeId } from '../../src/schema/globalId.ts';
import { refused } from '../../src/sync/outcome.ts';
import { codesOf, dataOf, openApi, sessionOf } from './apiFixture.ts';
import {
  alertAcknowledge,
  inventoryItemSync,
  inventorySyncAll,
  listingMap,
  orderStatusUpdate,
  skuMap,
  stockAdjust,
  stockSet,
} from './operations.ts';
import { insertEverything } from './rows.ts';

const nobody = '00000000-0000-7000-8000-000000000001';

test('each mutation calls one verb of sync, once, with plain ids and the account of the key', async () => {
  await using api = await openApi();
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const itemId = encodeId('InventoryItem', ids.item);
  const { accountId } = api.shop;

  const adjust = {
    itemId,
    delta: -2,
    reason: 'DAMAGED',
    reference: 'shelf 3',
    idempotencyKey: 'k1',
  } as const;
  const adjusted = dataOf(await api.run(stockAdjust, { input: adjust }));
  expect(adjusted.stockAdjust).toEqual({
    item: { id: itemId, sku: 'SKU-a', quantity: 10 },
    movement: null,
    userErrors: [],
  });
  await api.run(stockSet, {
    input: { itemId, quantity: 4, changeFrom: 10, reason: 'CORRECTION', idempotencyKey: 'k2' },
  });
  await api.run(stockSet, {
    input: { itemId, quantity: 4, skipCompare: true, reason: 'OTHER', idempotencyKey: 'k3' },
  });
  await api.run(inventoryItemSync, { input: { itemId, platforms: ['ETSY'] } });
  await api.run(inventorySyncAll, {});
  const ship = {
    orderId: encodeId('Order', ids.order),
    status: 'SHIPPED',
    carrier: 'DHL',
    trackingNumber: '1',
    idempotencyKey: 'k4',
  } as const;
  const shipped = dataOf(await api.run(orderStatusUpdate, { input: ship }));
  expect(shipped.orderStatusUpdate.order?.platformOrderId).toBe('order-a');
  await api.run(alertAcknowledge, { input: { alertId: encodeId('Alert', ids.alert) } });
  await api.run(listingMap, { input: { listingId: encodeId('Listing', ids.listing), itemId } });
  const mapped = dataOf(await api.run(skuMap, { input: { sku: 'UNMATCHED-a', itemId } }));
  expect(mapped.skuMap).toEqual({ item: { sku: 'SKU-a' }, linesApplied: 2, userErrors: [] });

  const change = { itemId: ids.item, reference: null, reason: 'correction', quantity: 4 };
  expect(api.sync.calls).toEqual([
    {
      verb: 'adjustStock',
      accountId,
      input: { itemId: ids.item, delta: -2, reason: 'damaged', reference: 'shelf 3', idempotencyKey: 'k1' },
    },
    { verb: 'setStock', accountId, input: { ...change, changeFrom: 10, idempotencyKey: 'k2' } },
    {
      verb: 'setStock',
      accountId,
      input: { ...change, changeFrom: null, reason: 'other', idempotencyKey: 'k3' },
    },
    { verb: 'syncItem', accountId, input: { itemId: ids.item, platforms: ['etsy'], idempotencyKey: null } },
    { verb: 'syncAll', accountId, input: { withoutPlan: false } },
    {
      verb: 'updateOrderStatus',
      accountId,
      input: {
        orderId: ids.order,
        status: 'shipped',
        carrier: 'DHL',
        trackingNumber: '1',
        idempotencyKey: 'k4',
      },
    },
    { verb: 'acknowledgeAlert', accountId, input: ids.alert },
    { verb: 'mapListing', accountId, input: { listingId: ids.listing, itemId: ids.item } },
    { verb: 'mapSku', accountId, input: { sku: 'UNMATCHED-a', itemId: ids.item } },
  ]);
});

test('overwriting stock without a compare must be said', async () => {
  await using api = await openApi();
  const { item } = await insertEverything(api.database.pool, api.shop, 'a');
  const input = {
    itemId: encodeId('InventoryItem', item),
    quantity: 4,
    reason: 'CORRECTION',
    idempotencyKey: 'k',
  } as const;
  for (const more of [{}, { changeFrom: null }, { changeFrom: 3, skipCompare: true }]) {
    const { stockSet: payload } = dataOf(await api.run(stockSet, { input: { ...input, ...more } }));
    expect(payload.userErrors).toMatchObject([{ code: 'INVALID_INPUT', field: ['input', 'changeFrom'] }]);
    expect(payload.item).toEqual({ sku: 'SKU-a', quantity: 10 });
  }
  expect(api.sync.calls).toEqual([]);
});

test('business errors are data with a type, a code, a path and what a client needs to go on', async () => {
  await using api = await openApi();
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const itemId = encodeId('InventoryItem', ids.item);
  const set = { itemId, quantity: 4, changeFrom: 3, reason: 'CORRECTION', idempotencyKey: 'k' } as const;

  api.sync.answerNext(
    refused({ code: 'STOCK_CHANGED', message: 'It is 10.', field: ['input', 'changeFrom'], current: 10 }),
  );
  const changed = dataOf(await api.run(stockSet, { input: set })).stockSet;
  expect(changed.userErrors).toEqual(
    [
      {
        __typename: undefined,
        code: 'STOCK_CHANGED',
        field: ['input', 'changeFrom'],
        message: 'It is 10.',
        current: 10,
      },
    ].map(({ __typename: _left, ...rest }) => rest),
  );
  expect(changed.item?.quantity).toBe(10);

  api.sync.answerNext(refused({ code: 'IN_PROGRESS', message: 'Wait.', field: [] }));
  expect(dataOf(await api.run(stockSet, { input: set })).stockSet.userErrors).toMatchObject([
    { retryable: true },
  ]);
  api.sync.answerNext(
    refused({ code: 'IDEMPOTENCY_KEY_REUSED', message: 'No.', field: ['input', 'idempotencyKey'] }),
  );
  expect(dataOf(await api.run(stockSet, { input: set })).stockSet.userErrors).toMatchObject([
    { retryable: false },
  ]);

  const move = { orderId: encodeId('Order', ids.order), status: 'PENDING', idempotencyKey: 'k' } as const;
  api.sync.answerNext(
    refused({
      code: 'INVALID_TRANSITION',
      message: 'No.',
      field: ['input', 'status'],
      current: 'processing',
    }),
  );
  expect(
    dataOf(await api.run(orderStatusUpdate, { input: move })).orderStatusUpdate.userErrors,
  ).toMatchObject([{ code: 'INVALID_TRANSITION', current: 'PROCESSING' }]);
  api.sync.answerNext(
    refused({ code: 'CHANNEL_REJECTED', message: 'No.', field: [], raw: '{"error":"nope"}' }),
  );
  expect(
    dataOf(await api.run(orderStatusUpdate, { input: move })).orderStatusUpdate.userErrors,
  ).toMatchObject([{ code: 'CHANNEL_REJECTED', raw: '{"error":"nope"}' }]);
});

test('an id that is none of ours is NOT_FOUND and reaches no verb', async () => {
  await using api = await openApi();
  for (const itemId of ['nonsense', encodeId('Order', nobody)]) {
    const input = { itemId, delta: 1, reason: 'RECEIVED', idempotencyKey: 'k' } as const;
    const { stockAdjust: payload } = dataOf(await api.run(stockAdjust, { input }));
    expect(payload).toMatchObject({
      item: null,
      userErrors: [{ __typename: 'NotFoundError', field: ['input', 'itemId'] }],
    });
  }
  const { listingMap: payload } = dataOf(
    await api.run(listingMap, { input: { listingId: 'x', itemId: 'x' } }),
  );
  expect(payload).toEqual({
    listing: null,
    userErrors: [{ code: 'NOT_FOUND', field: ['input', 'listingId'] }],
  });
  expect(api.sync.calls).toEqual([]);
});

test('a key that may write but not read is told so before anything is written', async () => {
  await using api = await openApi();
  const { item } = await insertEverything(api.database.pool, api.shop, 'a');
  const input = {
    itemId: encodeId('InventoryItem', item),
    delta: 1,
    reason: 'RECEIVED',
    idempotencyKey: 'k',
  } as const;
  const result = await api.run(stockAdjust, { input }, { session: sessionOf(api.shop, ['stock:write']) });
  expect(codesOf(result)).toEqual(['FORBIDDEN']);
  expect(result.errors?.[0]?.extensions['scope']).toBe('stock:read');
  expect(api.sync.calls).toEqual([]);
});
