/** What the API says of conflicts, and what its mutations do to them, over the real verbs and a real database. */
import { expect, test } from 'vitest';
import { encodeId } from '../../src/schema/globalId.ts';
import { setConflictPolicy } from '../../src/sync/conflictPolicy.ts';
import { resolveConflicts } from '../../src/sync/conflictResolution.ts';
import { refused } from '../../src/sync/outcome.ts';
import { setItemPrice } from '../../src/sync/prices.ts';
import { provenEdit, setPolicy, storeEdit } from '../support/provenEdits.ts';
import { type Api, codesOf, dataOf, openApi, sessionOf } from './apiFixture.ts';
import {
  conflictPolicy,
  conflictPolicySet,
  conflictResolve,
  conflictsPage,
  conflictUpdates,
  itemPriceSet,
} from './conflictOperations.ts';
import { createFakeSync } from './fakeSync.ts';
import { insert, insertItem, insertListing, insertOrder, insertShop, type Shop } from './rows.ts';

const quiet = () => undefined;

async function openConflicted() {
  const api = await openApi({
    sync: ({ pool }) => ({
      ...createFakeSync(),
      resolveConflicts: (caller, input) => resolveConflicts({ pool, onMoved: quiet }, caller, input),
      setConflictPolicy: (caller, input) => setConflictPolicy(pool, caller, input),
      setItemPrice: (caller, input) =>
        setItemPrice({ pool, onEvents: quiet, onMarked: quiet }, caller, input),
    }),
  });
  await setPolicy(api.database.pool, api.shop.accountId, 'manual_review');
  return api;
}

/** An item of ten whose listing was cut by three, with an order that the range was computed with. */
async function conflicted({ database: { pool } }: Api, shop: Shop, word = 'a') {
  const { accountId } = shop;
  const itemId = await insertItem(pool, shop, `SKU-${word}`, { seq: 1 });
  await insert(pool, 'stock_movements', {
    account_id: accountId,
    item_id: itemId,
    seq: 1,
    on_hand_delta: 10,
    reserved_delta: 0,
    on_hand_after: 10,
    reserved_after: 0,
    kind: 'opening',
    reason: 'opening',
    idempotency_key: `opening-${word}`,
    actor_kind: 'system',
  });
  const listingId = await insertListing(pool, shop, itemId, `unit-${word}`);
  const orderId = await insertOrder(pool, shop, `order-${word}`);
  const at = Date.parse('2026-05-04T11:59:45.000Z');
  const sales = [{ orderId, quantity: 2, from: at, until: at }];
  const edit = provenEdit(listingId, -3, { shown: 10, sales });
  const { conflictId } = await storeEdit(pool, { accountId, itemId, listingId }, edit);
  return { itemId, listingId, orderId, id: encodeId('SyncConflict', conflictId ?? '') };
}

const key = (idempotencyKey = 'k') => ({ resolution: 'USE_LOWEST', idempotencyKey }) as const;

test('a conflict tells everything that proved it, with the orders considered', async () => {
  await using api = await openConflicted();
  const { id, orderId } = await conflicted(api, api.shop);
  const { conflicts } = dataOf(await api.run(conflictsPage, {}));
  expect(conflicts.nodes).toEqual([
    {
      id,
      conflictType: 'QUANTITY_MISMATCH',
      platforms: ['ETSY'],
      status: 'OPEN',
      version: 1,
      delta: -3,
      priceDelta: null,
      provenAt: '2026-05-04T12:00:10.000Z',
      suggestedResolution: 'USE_LOWEST',
      autoResolvable: true,
      awaitsReview: false,
      resolution: null,
      resolvedBy: null,
      movement: null,
      supersededBy: null,
      priceEvidence: null,
      evidence: {
        delta: -3,
        reading: { value: 5, from: '2026-05-04T12:00:04.900Z', until: '2026-05-04T12:00:05.000Z' },
        range: { low: 8, high: 8 },
        target: 10,
        targetSeq: 1,
        ordersWatermark: '2026-05-04T12:00:10.000Z',
        candidates: [
          {
            value: 10,
            targetSeq: 1,
            state: 'EFFECTIVE',
            sentAt: '2026-05-04T11:59:00.000Z',
            settledAt: '2026-05-04T11:59:00.000Z',
          },
        ],
        orders: [
          {
            orderId: encodeId('Order', orderId),
            units: 2,
            basis: 'RANGE',
            soldFrom: '2026-05-04T11:59:45.000Z',
            soldUntil: '2026-05-04T11:59:45.000Z',
            order: { platformOrderId: 'order-a' },
          },
        ],
      },
    },
  ]);
});

test('a decision is booked on the present and read back with who made it and what it moved', async () => {
  await using api = await openConflicted();
  const { id } = await conflicted(api, api.shop);
  const input = { ...key(), conflicts: [{ id, expectedVersion: 1 }] };
  const { conflictResolve: payload } = dataOf(await api.run(conflictResolve, { input }));
  expect(payload).toEqual({
    conflicts: [
      {
        id,
        status: 'RESOLVED',
        version: 2,
        resolution: 'USE_LOWEST',
        resolvedBy: { kind: 'API_KEY', id: api.session.keyId },
      },
    ],
    item: { quantity: 7, syncStatus: 'SYNCED' },
    movement: { onHandDelta: -3, kind: 'RESOLUTION', conflictId: id },
    userErrors: [],
  });
  expect(dataOf(await api.run(conflictResolve, { input })).conflictResolve).toEqual(payload);
});

test('what stands in the way of a decision is data, with what a client needs to go on', async () => {
  await using api = await openConflicted();
  const { id, itemId, listingId } = await conflicted(api, api.shop);
  const { accountId } = api.shop;
  const resolve = async (...conflicts: { id: string; expectedVersion: number }[]) =>
    dataOf(await api.run(conflictResolve, { input: { ...key(), conflicts } })).conflictResolve;

  expect(await resolve({ id, expectedVersion: 7 })).toMatchObject({
    conflicts: [{ status: 'OPEN', version: 1 }],
    item: null,
    userErrors: [
      {
        __typename: 'VersionConflictError',
        code: 'VERSION_CONFLICT',
        current: 1,
        field: ['input', 'conflicts', '0', 'expectedVersion'],
      },
    ],
  });
  const other = await insertListing(api.database.pool, api.shop, itemId, 'other');
  const edit = provenEdit(other, 5);
  const stored = await storeEdit(api.database.pool, { accountId, itemId, listingId: other }, edit);
  const otherId = encodeId('SyncConflict', stored.conflictId ?? '');
  expect((await resolve({ id, expectedVersion: 1 })).userErrors).toMatchObject([
    { __typename: 'OtherConflictsOpenError', conflictIds: [otherId] },
  ]);
  const newer = await storeEdit(
    api.database.pool,
    { accountId, itemId, listingId },
    provenEdit(listingId, -1),
  );
  expect((await resolve({ id, expectedVersion: 1 })).userErrors).toMatchObject([
    { __typename: 'SupersededError', supersededById: encodeId('SyncConflict', newer.conflictId ?? '') },
  ]);
  const both = [otherId, encodeId('SyncConflict', newer.conflictId ?? '')].map((each) => ({
    id: each,
    expectedVersion: 1,
  }));
  expect((await resolve(...both)).userErrors).toEqual([]);
  const decided = await api.run(conflictResolve, {
    input: { ...key('again'), conflicts: [{ id: otherId, expectedVersion: 2 }] },
  });
  expect(dataOf(decided).conflictResolve.userErrors).toMatchObject([
    { __typename: 'AlreadyResolvedError', resolution: 'USE_LOWEST' },
  ]);
});

test('a conflict of another account is NOT_FOUND and stays unseen', async () => {
  await using api = await openConflicted();
  const other = await insertShop(api.database.pool, 'Other');
  await setPolicy(api.database.pool, other.accountId, 'manual_review');
  const { id } = await conflicted(api, other, 'theirs');
  for (const strange of [id, 'nonsense']) {
    const input = { ...key(), conflicts: [{ id: strange, expectedVersion: 1 }] };
    expect(dataOf(await api.run(conflictResolve, { input })).conflictResolve).toMatchObject({
      conflicts: [],
      item: null,
      userErrors: [{ code: 'NOT_FOUND', field: ['input', 'conflicts', '0', 'id'] }],
    });
  }
  expect(dataOf(await api.run(conflictsPage, {})).conflicts.nodes).toEqual([]);
  const { rows } = await api.database.pool.query('SELECT DISTINCT status::text FROM sync_conflicts');
  expect(rows).toEqual([{ status: 'open' }]);
});

test('deciding needs the scope for it, and so does the policy', async () => {
  await using api = await openConflicted();
  const { id } = await conflicted(api, api.shop);
  const visitor = {
    session: sessionOf(api.shop, ['stock:read', 'stock:write', 'orders:read', 'orders:write']),
  };
  const input = { ...key(), conflicts: [{ id, expectedVersion: 1 }] };
  const results = [
    await api.run(conflictResolve, { input }, visitor),
    await api.run(conflictPolicySet, { input: { resolution: 'KEEP_OURS', unitsMax: 1 } }, visitor),
  ];
  for (const result of results) {
    expect(codesOf(result)).toEqual(['FORBIDDEN']);
    expect(result.errors?.[0]?.extensions['scope']).toBe('conflicts:resolve');
  }
});

test('the policy is set and read back', async () => {
  await using api = await openConflicted();
  const set = await api.run(conflictPolicySet, {
    input: { resolution: 'USE_HIGHEST', unitsMax: 3, priceToleranceMinor: 5 },
  });
  const policy = { resolution: 'USE_HIGHEST', unitsMax: 3, priceToleranceMinor: 5 };
  expect(dataOf(set).conflictPolicySet).toEqual({ account: { conflictPolicy: policy }, userErrors: [] });
  const wrong = await api.run(conflictPolicySet, { input: { resolution: 'KEEP_OURS', unitsMax: -1 } });
  expect(dataOf(wrong).conflictPolicySet).toMatchObject({
    account: { conflictPolicy: policy },
    userErrors: [{ code: 'INVALID_INPUT', field: ['input', 'unitsMax'] }],
  });
  expect(dataOf(await api.run(conflictPolicy, {})).viewer.account.conflictPolicy).toEqual(policy);
});

test('a price is exact or refused, and what a channel shows otherwise is a conflict', async () => {
  await using api = await openConflicted();
  const { pool } = api.database;
  const item = await insertItem(pool, api.shop, 'SKU-p');
  const listing = await insertListing(pool, api.shop, item, 'unit-p');
  await pool.query('UPDATE listings SET price_minor = 1999 WHERE id = $1', [listing]);
  // Nothing is written before the first plan, so what is shown there has to be looked at.
  await pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [api.shop.connectionId]);
  const itemId = encodeId('InventoryItem', item);
  const set = async (amount: string, currencyCode = 'EUR') =>
    dataOf(await api.run(itemPriceSet, { input: { itemId, price: { amount, currencyCode } } })).itemPriceSet;
  for (const [amount, currency] of [
    ['24.505', 'EUR'],
    ['100.5', 'JPY'],
    ['-1', 'EUR'],
    ['1', 'euro'],
  ] as const)
    expect(await set(amount, currency)).toMatchObject({
      item: { price: null },
      userErrors: [{ code: 'INVALID_INPUT' }],
    });
  expect(await set('24.50')).toEqual({
    item: { price: { amount: '24.50', currencyCode: 'EUR' } },
    userErrors: [],
  });
  expect(dataOf(await api.run(conflictsPage, {})).conflicts.nodes).toMatchObject([
    {
      conflictType: 'PRICE_MISMATCH',
      delta: null,
      priceDelta: { amount: '-4.51', currencyCode: 'EUR' },
      evidence: null,
      priceEvidence: { expected: [{ amount: '24.50' }], shown: { amount: '19.99' } },
      suggestedResolution: 'KEEP_OURS',
      autoResolvable: false,
    },
  ]);
  const none = dataOf(await api.run(itemPriceSet, { input: { itemId } })).itemPriceSet;
  expect(none).toEqual({ item: { price: null }, userErrors: [] });
});

test('a conflict event carries what a dashboard shows, and the conflict as it is now', async () => {
  await using api = await openApi();
  await setPolicy(api.database.pool, api.shop.accountId, 'manual_review');
  const { id, itemId, listingId } = await conflicted(api, api.shop);
  const stream = await api.open(conflictUpdates, {});
  await stream.next();
  const { rows } = await api.database.pool.query<{ subject_id: string; payload: Record<string, unknown> }>(
    `SELECT subject_id, payload FROM events WHERE topic = 'conflict'`,
  );
  for (const { subject_id: subjectId, payload } of rows)
    api.sync.publish({ accountId: api.shop.accountId, topic: 'conflict', subjectId, payload });
  const { value } = await stream.next();
  expect(value).toMatchObject({
    data: {
      conflictEvents: {
        __typename: 'ConflictEvent',
        conflictId: id,
        itemId: encodeId('InventoryItem', itemId),
        listingId: encodeId('Listing', listingId),
        conflictType: 'QUANTITY_MISMATCH',
        status: 'OPEN',
        delta: -3,
        version: 1,
        conflict: { evidence: { range: { low: 8 } } },
      },
    },
  });
  await stream.return();
});

test('each mutation says to sync exactly what the client said', async () => {
  await using api = await openApi();
  const { id, itemId } = await conflicted(api, api.shop);
  api.sync.answerNext(refused({ code: 'IN_PROGRESS', message: 'Wait.', field: [] }));
  const resolution = 'MANUAL_REVIEW' as const;
  const input = { conflicts: [{ id, expectedVersion: 3 }], resolution, idempotencyKey: 'k' };
  const { conflictResolve: payload } = dataOf(await api.run(conflictResolve, { input }));
  expect(payload.userErrors).toMatchObject([{ __typename: 'IdempotencyError', code: 'IN_PROGRESS' }]);
  await api.run(conflictPolicySet, { input: { resolution: 'KEEP_OURS', unitsMax: 4 } });
  const price = { amount: '100', currencyCode: 'JPY' };
  await api.run(itemPriceSet, { input: { itemId: encodeId('InventoryItem', itemId), price } });
  expect(api.sync.calls.map(({ verb, input: said }) => [verb, said])).toMatchObject([
    [
      'resolveConflicts',
      { conflicts: [{ expectedVersion: 3 }], resolution: 'manual_review', idempotencyKey: 'k' },
    ],
    ['setConflictPolicy', { resolution: 'keep_ours', unitsMax: 4, priceToleranceMinor: null }],
    ['setItemPrice', { itemId, price: { minor: 100, currency: 'JPY' } }],
  ]);
});
