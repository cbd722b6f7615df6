/** Bundles, reservations and returns through the API: one verb per mutation, errors that a client can act on, and no read per row. */
import { expect, test } from 'vitest';
import { encodeId } from '../../src/schema/globalId.ts';
import { type Problem, refused } from '../../src/sync/outcome.ts';
import { type Api, dataOf, openApi } from './apiFixture.ts';
import {
  bundleSet,
  bundlesPage,
  orderReturn,
  reservationCreate,
  reservationEnds,
  stockAdjust,
  stockEvents,
} from './operations.ts';
import { insert, insertEverything, insertItem } from './rows.ts';

const key = { idempotencyKey: 'k' };

async function insertBundle(api: Api, sku: string, components: readonly string[]): Promise<string> {
  const bundle = await insertItem(api.database.pool, api.shop, sku, { quantity: 0 });
  for (const [position, component] of components.entries())
    await insert(api.database.pool, 'bundle_components', {
      account_id: api.shop.accountId,
      bundle_id: bundle,
      component_id: component,
      position,
      quantity: 2,
    });
  return bundle;
}

test('a page of bundles with their components takes a handful of statements, however many there are', async () => {
  await using api = await openApi();
  const component = await insertItem(api.database.pool, api.shop, 'A', { quantity: 9, seq: 4 });
  const scarce = await insertItem(api.database.pool, api.shop, 'B', { quantity: 5, seq: 3 });
  await insertBundle(api, 'SET-0', [component, scarce]);
  const statementsFor = async (first: number): Promise<number> => {
    await api.run(bundlesPage, { first });
    api.statements.length = 0;
    const { inventoryItems } = dataOf(await api.run(bundlesPage, { first }));
    expect(inventoryItems.nodes).toHaveLength(first);
    return api.statements.length;
  };
  const forOne = await statementsFor(1);
  for (let index = 1; index < 20; index += 1) await insertBundle(api, `SET-${index}`, [component, scarce]);
  expect(await statementsFor(20)).toBe(forOne);
  expect(forOne).toBeLessThanOrEqual(3);

  const { inventoryItems } = dataOf(await api.run(bundlesPage, { first: 20 }));
  for (const set of inventoryItems.nodes) {
    expect(set).toMatchObject({ role: 'BUNDLE', quantity: 0, available: 2, seq: 7 });
    expect(set.components.totalCount).toBe(2);
    expect(set.components.nodes).toMatchObject([
      { quantity: 2, item: { sku: 'A', role: 'COMPONENT', available: 9 } },
      { quantity: 2, item: { sku: 'B', role: 'COMPONENT', available: 5 } },
    ]);
    expect(set.components.nodes[0]?.item.bundles.nodes).toHaveLength(5);
  }
});

test('a stock event of a bundle tells what may be sold of it now', async () => {
  await using api = await openApi();
  const component = await insertItem(api.database.pool, api.shop, 'A', { quantity: 9 });
  const bundle = await insertBundle(api, 'SET', [component]);
  const stream = await api.open(stockEvents, { where: { skus: ['SET'] } });
  await stream.next();
  api.sync.publish({
    accountId: api.shop.accountId,
    topic: 'stock',
    subjectId: bundle,
    payload: {
      itemId: bundle,
      sku: 'SET',
      bundle: true,
      quantity: 0,
      reserved: 0,
      kind: 'order',
      reason: null,
    },
  });
  const { value } = await stream.next();
  expect(value?.data).toMatchObject({
    stockEvents: { sku: 'SET', quantity: 0, available: 4, kind: 'ORDER' },
  });
  await stream.return();
});

test('each mutation calls one verb of sync, once, with plain ids', async () => {
  await using api = await openApi();
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const other = await insertItem(api.database.pool, api.shop, 'B');
  const [itemId, otherId] = [encodeId('InventoryItem', ids.item), encodeId('InventoryItem', other)];
  const reservationId = encodeId('Reservation', ids.reservation);

  const set = { itemId, components: [{ itemId: otherId, quantity: 3 }], ...key };
  expect(dataOf(await api.run(bundleSet, { input: set })).bundleSet).toMatchObject({
    item: { sku: 'SKU-a' },
  });
  const hold = { lines: [{ itemId, quantity: 2 }], reference: 'partner', ...key };
  await api.run(reservationCreate, { input: hold });
  const ended = dataOf(
    await api.run(reservationEnds, {
      extend: { reservationId, expiresInSeconds: 60, ...key },
      end: { reservationId, ...key },
    }),
  );
  expect(ended.reservationCommit).toEqual({ reservation: { status: 'ACTIVE' }, userErrors: [] });
  const back = {
    orderId: encodeId('Order', ids.order),
    lines: [{ lineId: encodeId('OrderLine', ids.line), quantity: 1 }],
    restock: true,
    ...key,
  };
  const returned = dataOf(await api.run(orderReturn, { input: back })).orderReturn;
  expect(returned.order?.items.nodes[0]).toEqual({ returned: 0, restocked: 0 });

  const plain = { reservationId: ids.reservation, ...key };
  expect(api.sync.calls.map(({ verb, input }) => [verb, input])).toEqual([
    ['setBundle', { itemId: ids.item, components: [{ itemId: other, quantity: 3 }], ...key }],
    [
      'createReservation',
      {
        lines: [{ itemId: ids.item, quantity: 2 }],
        expiresInSeconds: null,
        reference: 'partner',
        ...key,
      },
    ],
    ['extendReservation', { ...plain, expiresInSeconds: 60 }],
    ['commitReservation', plain],
    ['releaseReservation', plain],
    [
      'returnOrder',
      {
        orderId: ids.order,
        lines: [{ lineId: ids.line, quantity: 1 }],
        restock: true,
        reason: 'returned',
        reference: null,
        ...key,
      },
    ],
  ]);
});

test('what is refused says what a client needs to go on', async () => {
  await using api = await openApi();
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const itemId = encodeId('InventoryItem', ids.item);
  const refuse = (problem: Partial<Problem> & Pick<Problem, 'code'>): void =>
    api.sync.answerNext(refused({ message: 'No.', field: ['input'], ...problem }));

  refuse({ code: 'INSUFFICIENT_STOCK', current: 3, itemId: ids.item });
  const hold = { lines: [{ itemId, quantity: 5 }], ...key };
  expect(dataOf(await api.run(reservationCreate, { input: hold })).reservationCreate).toEqual({
    reservation: null,
    userErrors: [
      {
        __typename: 'InsufficientStockError',
        code: 'INSUFFICIENT_STOCK',
        field: ['input'],
        available: 3,
        itemId,
        item: { sku: 'SKU-a' },
      },
    ],
  });
  refuse({ code: 'ITEM_HAS_STOCK', current: 10 });
  const set = { itemId, components: [], ...key };
  expect(dataOf(await api.run(bundleSet, { input: set })).bundleSet.userErrors).toMatchObject([
    { __typename: 'BundleError', onHand: 10 },
  ]);
  refuse({ code: 'ITEM_IS_BUNDLE' });
  const adjust = { itemId, delta: 1, reason: 'RECEIVED', ...key } as const;
  expect(dataOf(await api.run(stockAdjust, { input: adjust })).stockAdjust.userErrors).toMatchObject([
    { __typename: 'BundleError', code: 'ITEM_IS_BUNDLE' },
  ]);
  refuse({ code: 'EXCEEDS_SHIPPED', current: 2 });
  const back = {
    orderId: encodeId('Order', ids.order),
    lines: [{ lineId: encodeId('OrderLine', ids.line), quantity: 3 }],
    restock: false,
    reason: 'DAMAGED' as const,
    ...key,
  };
  expect(dataOf(await api.run(orderReturn, { input: back })).orderReturn.userErrors).toMatchObject([
    { __typename: 'ExceedsShippedError', returnable: 2 },
  ]);
  const calls = api.sync.calls.length;
  const foreign = { ...hold, lines: [{ itemId: 'nonsense', quantity: 1 }] };
  expect(
    dataOf(await api.run(reservationCreate, { input: foreign })).reservationCreate.userErrors,
  ).toMatchObject([{ code: 'NOT_FOUND', field: ['input', 'lines', '0', 'itemId'] }]);
  expect(api.sync.calls).toHaveLength(calls);
});
