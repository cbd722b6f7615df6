/** Proves that what the API and the workers send costs the same in a shop of any size: no scan of a big table, and no cost that grows with it. */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { Queryable } from '../src/db.ts';
import { silentLog } from '../src/log.ts';
import { acknowledgeAlert } from '../src/sync/alerts.ts';
import { importCatalogue } from '../src/sync/catalogue.ts';
import type { Connections } from '../src/sync/connections.ts';
import { positionAt } from '../src/sync/eventCursor.ts';
import { logState, readLog } from '../src/sync/eventLog.ts';
import { storeDelivery, workOffInbox } from '../src/sync/inbox.ts';
import { applyWaiting, mapListing, mapSku } from '../src/sync/mapping.ts';
import { observeConnection } from '../src/sync/observations.ts';
import { advanceJob, settleOperations, sweepOperations, syncItem } from '../src/sync/operations.ts';
import { updateOrderStatus } from '../src/sync/orderStatus.ts';
import { applyOrder } from '../src/sync/orders.ts';
import { type Caller, systemActor } from '../src/sync/outcome.ts';
import { pollConnection } from '../src/sync/poll.ts';
import { lookAtPrices } from '../src/sync/priceLooks.ts';
import { setItemPrice } from '../src/sync/prices.ts';
import { pushConnection } from '../src/sync/push.ts';
import { readConnection } from '../src/sync/reads.ts';
import { adjustStock } from '../src/sync/stock.ts';
import { followStockQueues } from '../src/sync/stockQueues.ts';
import { lookForWork } from '../src/sync/supervisor.ts';
import { type Api, openApi } from './schema/apiFixture.ts';
import { bundleWorks } from './support/bundleWorks.ts';
import * as support from './support/channel.ts';
import * as fixtures from './support/fixtures.ts';
import { insightWorks } from './support/insightWorks.ts';
import { backlog, fillShop, type LargeShop, rowId } from './support/largeShop.ts';
import { filteredLists, lists, page } from './support/listPages.ts';
import { stepOfPlan } from './support/planSteps.ts';
import { provenEdit, storeEdit } from './support/provenEdits.ts';
import { type Explained, explainAll, startRecording, statementsOf } from './support/queryPlans.ts';
import { noWakeUps } from './support/wakeUps.ts';

const small = 4_000;
const large = 40_000;
/** Growth of the estimated cost that ten times the rows may bring: more pages, one more level of an index, other estimates; a scan brings ten. */
const growthMax = 3;
const growthFree = 150;
/** Of a filter that finds rows which then have to be sorted, or looked up from the backlog. */
const filterFree = 400;

// ------------------------------------------------------------------------------------------------------------------ shop

let recording: Disposable;
let api: Api;
let shop: LargeShop;
let caller: Caller;
let connections: Connections;
let channel: support.ScriptedChannel;
/** The plans of what was sent, by the name of the work. */
const atSmall = new Map<string, readonly Explained[]>();
const atLarge = new Map<string, readonly Explained[]>();

const run = async (
  query: string,
  variables: Record<string, unknown> = {},
): Promise<Record<string, unknown>> => {
  const visitor = { session: api.session, correlationId: 'test', lastEventId: null, safe: false };
  const result = await api.pipeline.run({ query, variables }, visitor);
  if (Symbol.asyncIterator in result || result.errors)
    throw new Error(JSON.stringify(result), { cause: api.internalErrors.at(-1) });
  return (result as { data: Record<string, unknown> }).data;
};

/** A cursor in the middle of a list. */
function middle(order: string, table: string, column: string): () => Promise<string> {
  return async () => {
    const { rows } = await api.database.pool.query<{ id: string; value: Date }>(
      `SELECT id, ${column} AS value FROM ${table} ORDER BY ${column}, id OFFSET (SELECT count(*) / 2 FROM ${table}) LIMIT 1`,
    );
    const [row] = rows;
    return Buffer.from(JSON.stringify([order, row?.value.toISOString(), row?.id])).toString('base64url');
  };
}

/** Pages far from both ends: whether there is a page before and after them must cost no more than the page. */
const middles: Readonly<Record<string, readonly [query: string, cursor: () => Promise<string>]>> = {
  'the middle of all items': [
    page('inventoryItems', ', orderBy: UPDATED_AT_ASC'),
    middle('UPDATED_AT_ASC', 'inventory_items', 'updated_at'),
  ],
  'the middle of all orders': [
    page('orders', ', orderBy: CREATED_AT_DESC'),
    middle('CREATED_AT_DESC', 'orders', 'channel_created_at'),
  ],
  'the middle of all listings': [
    page('listings', ', orderBy: UPDATED_AT_DESC'),
    middle('UPDATED_AT_DESC', 'listings', 'updated_at'),
  ],
};

async function readPages(query: string): Promise<void> {
  const { page: first } = (await run(query)) as { page: { pageInfo: { endCursor: string } } };
  await run(query, { after: first.pageInfo.endCursor });
}

let nextOrder = 2;

const order = (): ReturnType<typeof fixtures.order> =>
  fixtures.order({
    lines: [
      fixtures.orderLine({ sku: 'SKU-000002000', reserved: 1 }),
      fixtures.orderLine({ lineId: '2', sku: 'odd 7' }),
    ],
  });

const operations = () => ({
  pool: api.database.pool,
  wakeUps: noWakeUps,
  onEvents: () => undefined,
  jobBatch: 500,
  jobOpenMax: 2_000,
});
const mapping = () => ({
  pool: api.database.pool,
  onApplied: () => undefined,
  onMapped: () => undefined,
  batchMax: 1_000,
});
const statuses = () => ({
  pool: api.database.pool,
  connections,
  clock: systemClock,
  leaseMs: 60_000,
  onApplied: () => undefined,
});

const planStep = () => ({ pool: api.database.pool, connections, channel });

/** The verbs and the background work, each as the product runs it. */
const works: Readonly<Record<string, () => Promise<unknown>>> = {
  'an item by SKU': () =>
    run(
      '{ inventoryItemBySku(sku: "SKU-000002000") { id movements(first: 5) { nodes { seq } } orderLines(first: 5) { nodes { id } } } }',
    ),
  'an order arrives': () =>
    applyOrder(
      api.database.pool,
      { ...shop, platform: 'shopify', observedAt: fixtures.noon, deliveryId: rowId('delivery', backlog + 1) },
      order(),
    ),
  ...bundleWorks(() => ({ pool: api.database.pool, caller, shop })),
  'a bundle is read': () => run('{ inventoryItemBySku(sku: "SKU-000002007") { available seq } }'),
  'stock is adjusted': () =>
    adjustStock({ pool: api.database.pool, onMoved: () => undefined }, caller, {
      itemId: rowId('item', 2_000),
      delta: 1,
      reason: 'received',
      reference: null,
      idempotencyKey: fixtures.unique('key'),
    }),
  'an order is shipped': () =>
    updateOrderStatus(statuses(), caller, {
      orderId: rowId('order', (nextOrder += 1)),
      status: 'shipped',
      carrier: null,
      trackingNumber: null,
      idempotencyKey: fixtures.unique('key'),
    }),
  'an alert is acknowledged': () => acknowledgeAlert(api.database.pool, caller, rowId('alert', 10)),
  ...insightWorks(() => ({ pool: api.database.pool, shop, caller })),
  'the push claims, loads, records and settles': async () => {
    for (let n = 2_100; n < 2_110; n += 1)
      await support.markDirty(api.database.pool, rowId('listing', n), true);
    await pushConnection(
      support.pushOptions(api.database.pool, connections, {
        onSettled: (ids) => settleOperations(operations(), ids),
      }),
      shop.connectionId,
    );
  },
  'listings that are due are read': () =>
    readConnection(support.readOptions(api.database.pool, connections), shop.connectionId),
  'what nothing is written to is observed': async () => {
    await api.database.pool.query('UPDATE listings SET sync_enabled = false WHERE id = ANY($1)', [
      [2_300, 2_301].map((n) => rowId('listing', n)),
    ]);
    await observeConnection(
      { db: api.database.pool, clock: support.clock, connections, batchMax: 50, intervalMs: 1, paceMs: 1 },
      shop.connectionId,
    );
  },
  'prices are looked at': () =>
    lookAtPrices(
      {
        db: api.database.pool,
        clock: support.clock,
        connections,
        batchMax: 50,
        intervalMs: 1,
        paceMs: 1,
        callMaxMs: support.callMaxMs,
        onEvents: () => undefined,
      },
      shop.connectionId,
    ),
  'a delivery is stored': () =>
    storeDelivery(
      api.database.pool,
      { ...shop, deliveryId: fixtures.unique('delivery'), topic: 'orders', body: Buffer.from('[]') },
      null,
    ),
  'the inbox is worked off': async () => {
    const body = support.deliveryBody(
      { kind: 'order', order: order() },
      { kind: 'ignored', reason: 'a test' },
    );
    const delivery = { ...shop, deliveryId: fixtures.unique('delivery'), topic: 'orders', body };
    await storeDelivery(api.database.pool, delivery, null);
    await workOffInbox({
      db: api.database.pool,
      connections,
      clock: systemClock,
      log: silentLog(),
      batchMax: 50,
      connectionMax: 50,
      leaseMs: 60_000,
      attemptsMax: 5,
      backoffMaxMs: 1_000,
      onApplied: () => undefined,
      onShown: async () => undefined,
    });
  },
  'orders are polled': () =>
    pollConnection(
      {
        db: api.database.pool,
        connections,
        clock: systemClock,
        log: silentLog(),
        intervalMs: 60_000,
        overlapMs: 0,
        leaseMs: 60_000,
        onApplied: () => undefined,
      },
      shop.connectionId,
    ),
  'queues of a channel are followed': async () => {
    await api.database.pool.query(
      `UPDATE listing_writes SET state = 'accepted', settled_at = NULL, queue_due_at = now() WHERE id = $1`,
      [rowId('write', 4_007)],
    );
    channel.onQueued = () => ({ kind: 'ended', at: new Date(), refused: null });
    const options = { ...support.readOptions(api.database.pool, connections), backoffMaxMs: 1_000 };
    await followStockQueues(options, shop.connectionId);
  },
  'the supervisor looks': () => lookForWork({ db: api.database.pool, wakeUps: noWakeUps }),
  'operations without a worker are swept': () => sweepOperations(operations()),
  'one item is synced': () =>
    syncItem(operations(), caller, { itemId: rowId('item', 2_001), platforms: null, idempotencyKey: null }),
  'a step of a job queues the next items': async () => {
    // Far into the catalogue.
    const { rows } = await api.database.pool.query<{ id: string }>(
      `INSERT INTO jobs (account_id, kind, actor_kind, queued_through) VALUES ($1, 'sync_all', 'system', $2) RETURNING id`,
      [shop.accountId, rowId('item', small - 500)],
    );
    await advanceJob({ ...operations(), jobBatch: 50 }, rows[0]?.id ?? '');
  },
  'a conflict is proven and decided': () =>
    storeEdit(
      api.database.pool,
      { ...shop, itemId: rowId('item', 2_003), listingId: rowId('listing', 4_006) },
      provenEdit(rowId('listing', 4_006), -1),
    ),
  'an item gets a price': () =>
    setItemPrice({ pool: api.database.pool, onEvents: () => undefined, onMarked: () => undefined }, caller, {
      itemId: rowId('item', 2_003),
      price: fixtures.euros(100),
    }),
  'unmatched lines of an account are looked through': () => applyWaiting(mapping(), shop.accountId),
  'unmatched lines of everybody are looked through': () => applyWaiting(mapping(), null),
  'a SKU is mapped': () => mapSku(mapping(), caller, { sku: 'odd 8', itemId: rowId('item', 2_000) }),
  'a listing is mapped': () =>
    mapListing(mapping(), caller, { listingId: rowId('listing', 5), itemId: rowId('item', 2_000) }),
  'a page of a catalogue comes in': async () => {
    const connected = await connections.open(shop.connectionId);
    if (connected !== null) await importCatalogue(api.database.pool, connected);
  },
  'a plan reads its next listings': () =>
    stepOfPlan(planStep(), 'planning', `, read_through_unit = 'unit 3000'`),
  'a plan applies its next entries': () => stepOfPlan(planStep(), 'applying'),
  'a plan takes its next entries back': () => stepOfPlan(planStep(), 'undoing'),
  'the live end of the log is read': async () => {
    const { epoch, now } = await logState(api.database.pool);
    await readLog(api.database.pool, positionAt(epoch, now), null, 500);
    await readLog(
      api.database.pool,
      positionAt(epoch, now),
      { accountId: shop.accountId, topic: 'stock' },
      500,
    );
  },
};

beforeAll(async () => {
  recording = startRecording();
  api = await openApi();
  shop = api.shop;
  await api.database.pool.query(`UPDATE connections SET platform = 'shopify'`);
  await api.database.pool.query('UPDATE accounts SET low_stock_units = 3');
  caller = { accountId: shop.accountId, actor: systemActor, correlationId: 'test' };
  channel = support.createChannel();
  // What was written: readings that contradict it are few.
  channel.onRead = () => ({ kind: 'quantity', quantity: 10 });
  channel.cataloguePages = () =>
    support.pages([
      {
        address: { unitId: 'unit 2000', variantId: '' },
        sku: 'x',
        title: 't',
        url: null,
        price: null,
        stock: { kind: 'notTracked' },
        writable: true,
        sellsBeyond: false,
      },
    ]);
  channel.orderPages = () => support.pages([order()]);
  connections = support.connectTo(api.database.pool, { shopify: channel });

  const filler = new Client({ connectionString: databaseUrl() });
  await filler.connect();
  await fillShop(filler, shop, 1, small);
  // A small table is rightly read whole; what is compared is what an index costs.
  await filler.query('SET enable_seqscan = off');
  await planEverything(filler, atSmall);
  await filler.query('RESET enable_seqscan');
  await fillShop(filler, shop, small + 1, large);
  await planEverything(filler, atLarge);
  await filler.end();
}, 120_000);
afterAll(async () => {
  recording[Symbol.dispose]();
  await api[Symbol.asyncDispose]();
});

function databaseUrl(): string {
  const { connectionString } = api.database.pool.options;
  if (connectionString === undefined) throw new Error('the pool has no connection string');
  return connectionString;
}

async function planEverything(db: Queryable, plans: Map<string, readonly Explained[]>): Promise<void> {
  for (const [name, query] of Object.entries({ ...lists, ...filteredLists }))
    plans.set(name, await explainAll(db, await statementsOf(() => readPages(query))));
  for (const [name, [query, cursor]] of Object.entries(middles)) {
    const after = await cursor();
    plans.set(name, await explainAll(db, await statementsOf(() => run(query, { after }))));
  }
  for (const [name, work] of Object.entries(works))
    plans.set(name, await explainAll(db, await statementsOf(work)));
}

// ----------------------------------------------------------------------------------------------------------------- tests

function problemsOf(name: string, free = growthFree): readonly string[] {
  const costs = new Map(
    (atSmall.get(name) ?? []).map(({ text, generic, cost }) => [`${text} ${generic}`, cost]),
  );
  const after = atLarge.get(name) ?? [];
  expect(after.length).toBeGreaterThan(0);
  return after.flatMap(({ text, generic, cost, scans }) => {
    const earlier = costs.get(`${text} ${generic}`) ?? cost;
    const what = `${generic ? 'as a prepared statement' : 'with its values'}: ${text.replaceAll(/\s+/g, ' ').slice(0, 400)}`;
    const scanned = scans.map((table) => `scans ${table} (cost ${cost}), ${what}`);
    return cost > earlier * growthMax + free
      ? scanned.concat(`costs ${cost} instead of ${earlier}, ${what}`)
      : scanned;
  });
}

describe('a page of the API reads an index, however large the shop is:', () => {
  test.each(Object.keys({ ...lists, ...middles }))('%s', (name) => {
    expect(problemsOf(name)).toEqual([]);
  });

  test.each(Object.keys(filteredLists))('%s', (name) => {
    expect(problemsOf(name, filterFree)).toEqual([]);
  });
});

describe('the work behind it reads indexes, however large the shop is:', () => {
  test.each(Object.keys(works))('%s', (name) => {
    expect(problemsOf(name)).toEqual([]);
  });
});
