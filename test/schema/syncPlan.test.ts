/** Plans as clients see them: what a plan says, by pages and filters, its verbs with their scopes and errors, and its progress live. */
import { expect, test } from 'vitest';
import { encodeId } from '../../src/schema/globalId.ts';
import { refused } from '../../src/sync/outcome.ts';
import { type Api, codesOf, dataOf, openApi, sessionOf } from './apiFixture.ts';
import { inventorySyncAll } from './operations.ts';
import {
  planWithEntries,
  syncPlanApply,
  syncPlanCreate,
  syncPlanEntrySet,
  syncPlanProgress,
  syncPlanUndo,
} from './planOperations.ts';
import { insertEverything, insertListing, insertPlan, insertPlanEntry } from './rows.ts';

const listingMissing = encodeId('Listing', '00000000-0000-7000-8000-000000000001');

/** A plan with an entry that would raise and one that is left out. */
async function openPlan(api: Api): Promise<{ readonly id: string; readonly listing: string }> {
  const { pool } = api.database;
  const { item, listing } = await insertEverything(pool, api.shop, 'a');
  const counts = { listings: 8, raising: 2, lowering: 1, zeroing: 3, large: true };
  const plan = await insertPlan(pool, api.shop, counts);
  await insertPlanEntry(pool, api.shop, plan, { listing_id: listing, item_id: item });
  const stranger = await insertListing(pool, api.shop, null, 'unit-stranger');
  const leftOut = { action: 'left_out', state: 'left_out', reason: 'no_item', winner: 'skip', target: null };
  await insertPlanEntry(pool, api.shop, plan, { listing_id: stranger, ...leftOut, ledger_delta: null });
  return { id: encodeId('SyncPlan', plan), listing: encodeId('Listing', listing) };
}

test('a plan says how much it would do, and why, entry by entry', async () => {
  await using api = await openApi();
  const { id } = await openPlan(api);
  api.statements.length = 0;
  const first = dataOf(await api.run(planWithEntries, { id, first: 1 })).syncPlan;
  // The plan, its entries and their listings come in one statement.
  expect(api.statements).toHaveLength(1);
  expect(first).toMatchObject({
    status: 'READY',
    zeroShare: 0.375,
    changeShare: 0.75,
    needsAcknowledgement: true,
    connection: { awaitingPlan: false, plans: { totalCount: 2 } },
    entries: {
      totalCount: 2,
      nodes: [{ action: 'RAISE', shown: 3, target: 10, winner: 'LEDGER', item: { sku: 'SKU-a' } }],
      pageInfo: { hasNextPage: true },
    },
  });
  const after = first?.entries.pageInfo.endCursor ?? '';
  const second = dataOf(await api.run(planWithEntries, { id, first: 1, after })).syncPlan;
  expect(second?.entries).toMatchObject({
    nodes: [{ action: 'LEFT_OUT', reason: 'NO_ITEM', winner: 'SKIP', item: null }],
    pageInfo: { hasNextPage: false },
  });
});

test.each([
  [{ action: { eq: 'RAISE' } }, 1],
  [{ winner: { in: ['SKIP'] } }, 1],
  [{ winner: { eq: 'CHANNEL' } }, 0],
  [{ channelCanWin: true }, 1],
  [{ or: [{ reason: { eq: 'NO_ITEM' } }, { state: { eq: 'PENDING' } }] }, 2],
] as const)('entries narrowed by %j are %i, and counted so', async (where, count) => {
  await using api = await openApi();
  const { id } = await openPlan(api);
  const variables = { id, first: 10, where: where as never };
  const entries = dataOf(await api.run(planWithEntries, variables)).syncPlan?.entries;
  expect([entries?.nodes.length, entries?.totalCount]).toEqual([count, count]);
});

test('each verb calls one verb of sync with plain ids', async () => {
  await using api = await openApi();
  const { id: planId, listing } = await openPlan(api);
  const connectionId = encodeId('PlatformConnection', api.shop.connectionId);
  await api.run(syncPlanCreate, { input: { connectionId, winner: 'CHANNEL', idempotencyKey: 'k' } });
  const chosen = dataOf(
    await api.run(syncPlanEntrySet, { input: { planId, listingIds: [listing], winner: 'SKIP' } }),
  );
  expect(chosen.syncPlanEntrySet).toMatchObject({ plan: { id: planId }, entries: 3 });
  await api.run(syncPlanEntrySet, { input: { planId, action: 'ZERO', winner: 'CHANNEL' } });
  await api.run(syncPlanApply, { input: { planId, acknowledgeLarge: true, idempotencyKey: 'k' } });
  await api.run(syncPlanUndo, { input: { planId } });
  const plain = chosen.syncPlanEntrySet.plan?.id === planId ? api.sync.calls.map(({ verb }) => verb) : [];
  expect(plain).toEqual(['createPlan', 'setPlanEntries', 'setPlanEntries', 'applyPlan', 'undoPlan']);
  const inputs = api.sync.calls.map(({ input }) => input);
  expect(inputs[0]).toEqual({
    connectionId: api.shop.connectionId,
    winner: 'channel',
    replace: false,
    idempotencyKey: 'k',
  });
  expect(inputs[1]).toMatchObject({ action: null, winner: 'skip' });
  expect(inputs[2]).toMatchObject({ listingIds: null, action: 'zero', winner: 'channel' });
  expect(inputs[3]).toMatchObject({ acknowledgeLarge: true, idempotencyKey: 'k' });
});

test('what cannot be meant is refused before anything is asked', async () => {
  await using api = await openApi();
  const { id: planId, listing } = await openPlan(api);
  const connectionId = encodeId('PlatformConnection', api.shop.connectionId);
  const skipped = dataOf(await api.run(syncPlanCreate, { input: { connectionId, winner: 'SKIP' } }));
  expect(skipped.syncPlanCreate.userErrors).toMatchObject([{ code: 'INVALID_INPUT' }]);
  const leftOut = dataOf(
    await api.run(syncPlanEntrySet, { input: { planId, action: 'LEFT_OUT', winner: 'SKIP' } }),
  );
  expect(leftOut.syncPlanEntrySet).toMatchObject({
    plan: { id: planId },
    userErrors: [{ code: 'INVALID_INPUT', field: ['input', 'action'] }],
  });
  const wrong = { planId, listingIds: [listing, planId], winner: 'SKIP' as const };
  expect(dataOf(await api.run(syncPlanEntrySet, { input: wrong })).syncPlanEntrySet.userErrors).toMatchObject(
    [{ code: 'NOT_FOUND', field: ['input', 'listingIds'] }],
  );
  const noPlan = { planId: listingMissing, idempotencyKey: 'k' };
  expect(dataOf(await api.run(syncPlanApply, { input: noPlan })).syncPlanApply).toMatchObject({
    plan: null,
    userErrors: [{ code: 'NOT_FOUND', field: ['input', 'planId'] }],
  });
  expect(api.sync.calls).toEqual([]);
});

test('a refusal says what a person needs to decide', async () => {
  await using api = await openApi();
  const { id: planId, listing } = await openPlan(api);
  const apply = { planId, idempotencyKey: 'k' };
  const size = { listings: 10, zeroing: 4, changing: 6 };
  api.sync.answerNext(refused({ code: 'PLAN_TOO_LARGE', message: 'Look.', field: [], size }));
  const large = dataOf(await api.run(syncPlanApply, { input: apply })).syncPlanApply;
  expect(large.userErrors).toMatchObject([{ __typename: 'PlanTooLargeError', ...size }]);
  api.sync.answerNext(refused({ code: 'PLAN_STATUS', message: 'No.', field: [], current: 'undone' }));
  expect(dataOf(await api.run(syncPlanApply, { input: apply })).syncPlanApply).toMatchObject({
    plan: { id: planId },
    userErrors: [{ __typename: 'PlanStatusError', current: 'UNDONE' }],
  });
  api.sync.answerNext(refused({ code: 'PLAN_EXPIRED', message: 'Old.', field: [] }));
  expect(dataOf(await api.run(syncPlanApply, { input: apply })).syncPlanApply.userErrors).toMatchObject([
    { code: 'PLAN_EXPIRED', current: null },
  ]);
  const listingIds = ['01900000-0000-7000-8000-000000000001'];
  api.sync.answerNext(refused({ code: 'CHANNEL_CANNOT_WIN', message: 'No.', field: [], listingIds }));
  const set = { planId, listingIds: [listing], winner: 'CHANNEL' as const };
  expect(dataOf(await api.run(syncPlanEntrySet, { input: set })).syncPlanEntrySet.userErrors).toMatchObject([
    { listingIds: listingIds.map((id) => encodeId('Listing', id)) },
  ]);
});

test('plans are read with stock:read, and made, decided, applied and undone with connections:admin only', async () => {
  await using api = await openApi();
  const { id } = await openPlan(api);
  const reader = { session: sessionOf(api.shop, ['stock:read', 'stock:write']) };
  expect(dataOf(await api.run(planWithEntries, { id, first: 1 }, reader)).syncPlan).not.toBeNull();
  const undo = await api.run(syncPlanUndo, { input: { planId: id } }, reader);
  expect(codesOf(undo)).toEqual(['FORBIDDEN']);
  const all = await api.run(inventorySyncAll, { input: { withoutPlan: true } }, reader);
  expect(codesOf(all)).toEqual(['FORBIDDEN']);
  await api.run(inventorySyncAll, { input: { withoutPlan: true } });
  expect(api.sync.calls).toMatchObject([{ verb: 'syncAll', input: { withoutPlan: true } }]);
});

test('the progress of a plan begins with how it stands and goes on live', async () => {
  await using api = await openApi();
  const { id } = await openPlan(api);
  const stream = await api.open(syncPlanProgress, { id });
  const next = async () => JSON.stringify((await stream.next()).value);
  expect(await next()).toContain('"status":"READY","listings":8');
  expect(await next()).toContain('Heartbeat');
  const subjectId = Buffer.from(id, 'base64url').toString().replace('SyncPlan:', '');
  const payload = {
    planId: subjectId,
    status: 'applying',
    listings: 8,
    applied: 3,
    changed: 0,
    undone: 0,
    failed: 0,
  };
  api.sync.publish({ accountId: api.shop.accountId, topic: 'plan', subjectId, payload });
  expect(await next()).toContain('"status":"APPLYING","listings":8,"applied":3,"plan":{"raising":2}');
  await stream.return();
});
