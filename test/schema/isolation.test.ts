/** No key ever sees a row, a count or an event of another account, by whatever way it asks. */
import { GraphQLNonNull, GraphQLScalarType, getNamedType, isCompositeType } from 'graphql';
import { expect, test } from 'vitest';
import { encodeId, type NodeType } from '../../src/schema/globalId.ts';
import { schema } from '../../src/schema/schema.ts';
import type { EventTopic } from '../../src/sync/eventStream.ts';
import { type Api, dataOf, openApi, sessionOf } from './apiFixture.ts';
import { stockPayload } from './fakeSync.ts';
import { alertEvents } from './insightOperations.ts';
import {
  conflictEvents,
  everyList,
  itemById,
  itemBySku,
  itemsPage,
  jobProgress,
  manyNodes,
  oneNode,
  orderByPlatform,
  orderEvents,
  oversellAlerts,
  stockAdjust,
  stockEvents,
} from './operations.ts';
import { syncPlanProgress } from './planOperations.ts';
import { insertEverything, insertShop } from './rows.ts';

/** An API with a full shop of another account, seen by a session of an account that owns nothing. */
async function openForeign() {
  const api = await openApi();
  const ids = await insertEverything(api.database.pool, api.shop, 'a');
  const stranger = sessionOf(await insertShop(api.database.pool, 'Stranger'));
  const globalIds = (
    [
      ['InventoryItem', ids.item],
      ['Listing', ids.listing],
      ['Order', ids.order],
      ['OrderLine', ids.line],
      ['StockMovement', ids.movement],
      ['SyncConflict', ids.conflict],
      ['Alert', ids.alert],
      ['Job', ids.job],
      ['SyncOperation', ids.operation],
      ['SyncPlan', ids.plan],
      ['SyncPlanEntry', ids.planEntry],
      ['Reservation', ids.reservation],
      ['PlatformConnection', ids.connection],
    ] satisfies [NodeType, string][]
  ).map(([type, id]) => encodeId(type, id));
  return { api, ids, stranger, globalIds, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

test('every root list of another account is empty, and its counts are zero', async () => {
  await using foreign = await openForeign();
  const { api, stranger } = foreign;
  const own = dataOf(await api.run(everyList, {}));
  const seen = dataOf(await api.run(everyList, {}, { session: stranger }));
  const lists = Object.keys(schema.getQueryType()?.getFields() ?? {}).filter(isList);
  expect(lists.length).toBeGreaterThanOrEqual(10);
  for (const name of lists) {
    expect({ name, count: countIn(own, name) }).toEqual({ name, count: 1 });
    // The stranger has a connection of its own and nothing else.
    expect({ name, count: countIn(seen, name) }).toEqual({ name, count: name === 'connections' ? 1 : 0 });
  }
  expect(seen.connections.nodes).toMatchObject([{ name: 'Stranger on Etsy' }]);
  expect(seen.viewer.account.name).toBe('Stranger');
});

test('no global id of another account is found, by node, nodes or any look-up', async () => {
  await using foreign = await openForeign();
  const { api, ids, stranger, globalIds } = foreign;
  const visitor = { session: stranger };
  expect(dataOf(await api.run(manyNodes, { ids: globalIds }, visitor)).nodes).toEqual(
    globalIds.map(() => null),
  );
  for (const id of globalIds) expect(dataOf(await api.run(oneNode, { id }, visitor)).node).toBeNull();
  const id = encodeId('InventoryItem', ids.item);
  expect(dataOf(await api.run(itemById, { id }, visitor)).inventoryItem).toBeNull();
  expect(dataOf(await api.run(itemBySku, { sku: 'SKU-a' }, visitor)).inventoryItemBySku).toBeNull();
  const connectionId = encodeId('PlatformConnection', ids.connection);
  const byPlatform = await api.run(orderByPlatform, { connectionId, platformOrderId: 'order-a' }, visitor);
  expect(dataOf(byPlatform).orderByPlatformId).toBeNull();
  const filtered = await api.run(
    itemsPage,
    { first: 10, where: { or: [{ id: { eq: id } }, { sku: { contains: 'S' } }] } },
    visitor,
  );
  expect(dataOf(filtered).inventoryItems.nodes).toEqual([]);
});

test('a mutation with an id of another account reads nothing back', async () => {
  await using foreign = await openForeign();
  const { api, ids, stranger } = foreign;
  const input = {
    itemId: encodeId('InventoryItem', ids.item),
    delta: 1,
    reason: 'RECEIVED',
    idempotencyKey: 'k',
  } as const;
  const result = await api.run(stockAdjust, { input }, { session: stranger });
  expect(dataOf(result).stockAdjust.item).toBeNull();
  expect(api.sync.calls).toMatchObject([{ accountId: stranger.accountId }]);
});

test('no stream carries events of another account, and no job of another account can be followed', async () => {
  await using foreign = await openForeign();
  const { api, ids, stranger } = foreign;
  const { accountId } = api.shop;
  const visitor = { session: stranger };
  const streams = [
    await api.open(stockEvents, {}, visitor),
    await api.open(orderEvents, {}, visitor),
    await api.open(oversellAlerts, {}, visitor),
    await api.open(alertEvents, {}, visitor),
    await api.open(conflictEvents, {}, visitor),
  ];
  for (const stream of streams) expect(kindOf(await stream.next())).toBe('Heartbeat');
  for (const topic of ['stock', 'order', 'alert', 'conflict'] as const) {
    api.sync.publish({
      accountId,
      topic,
      subjectId: ids.item,
      payload: payloadOf(topic, ids.item),
    });
    api.sync.publish({
      accountId: stranger.accountId,
      topic,
      subjectId: ids.item,
      payload: payloadOf(topic, ids.item),
    });
  }
  for (const stream of streams) {
    const result = await stream.next();
    // Its own event comes first, and the item of the other account behind it stays unseen.
    expect(JSON.stringify(result)).not.toContain('SKU-a');
    expect(kindOf(result)).toMatch(/Event$/);
    await stream.return();
  }
  const id = encodeId('Job', ids.job);
  await expect(api.open(jobProgress, { id }, visitor)).rejects.toThrow('NOT_FOUND');
  const plan = { id: encodeId('SyncPlan', ids.plan) };
  await expect(api.open(syncPlanProgress, plan, visitor)).rejects.toThrow('NOT_FOUND');
});

function payloadOf(topic: EventTopic, itemId: string) {
  return {
    ...stockPayload(itemId, 1),
    kind: topic === 'alert' ? 'oversell' : 'adjustment',
    status: topic === 'alert' ? 'open' : 'pending',
    units: 1,
    orderIds: [],
    platform: 'etsy',
    platformOrderId: 'own',
    created: true,
    revision: 1,
  };
}

function kindOf(result: Awaited<ReturnType<Awaited<ReturnType<Api['open']>>['next']>>): string {
  const [, kind] = /"__typename":"(\w+)"/.exec(JSON.stringify(result.value)) ?? [];
  return kind ?? JSON.stringify(result.value);
}

function isList(name: string): boolean {
  const type = getNamedType(
    schema.getQueryType()?.getFields()[name]?.type ??
      new GraphQLNonNull(new GraphQLScalarType({ name: 'None' })),
  );
  return isCompositeType(type) && type.name.endsWith('Connection') && type.name !== 'PlatformConnection';
}

function countIn(data: object, list: string): number | null | undefined {
  return (data as Record<string, { totalCount?: number | null }>)[list]?.totalCount;
}
