/** Proves that what the API and the workers send costs the same in a shop of any size: no scan of a big table, and no cost that grows with it. */
import pg from 'pg';
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
import { advanceJob, settleOperations, sweepOperations, syncAll, syncItem } from '../src/sync/operations.ts';
import { applyOrder } from '../src/sync/orders.ts';
import { updateOrderStatus } from '../src/sync/orderStatus.ts';
import { type Caller, systemActor } from '../src/sync/outcome.ts';
import { pollConnection } from '../src/sync/poll.ts';
import { pushConnection } from '../src/sync/push.ts';
import { adjustStock } from '../src/sync/stock.ts';
import { lookForWork } from '../src/sync/supervisor.ts';
import { verifyConnection } from '../src/sync/verify.ts';
import { type Api, openApi } from './schema/apiFixture.ts';
import * as support from './support/channel.ts';
import * as fixtures from './support/fixtures.ts';
import { backlog, fillShop, type LargeShop, rowId } from './support/largeShop.ts';

const small = 4_000;
const large = 40_000;
/** Growth of the estimated cost that ten times the rows may bring: one more level of an index, a few more pages. */
const growthMax = 1.8;

// ------------------------------------------------------------------------------------------------------------- recording

/** Only a statement with a name is prepared once and may be planned without its values. */
type Statement = { readonly text: string; readonly values: readonly unknown[]; readonly named: boolean };

const clientQuery = pg.Client.prototype.query as (...parameters: unknown[]) => unknown;
let recorded: Statement[] | null = null;

function record(...[first, second]: unknown[]): void {
  const config = (typeof first === 'string' ? { text: first } : first) as { text?: string; name?: string; values?: unknown[] };
  const values = config.values ?? (Array.isArray(second) ? (second as unknown[]) : []);
  if (config.text !== undefined) recorded?.push({ text: config.text, values, named: config.name !== undefined });
}

/** Every statement that `work` sends and that reads or writes rows. */
async function statementsOf(work: () => Promise<unknown>): Promise<readonly Statement[]> {
  const statements: Statement[] = [];
  recorded = statements;
  try {
    await work();
  } finally {
    recorded = null;
  }
  return statements.filter(({ text }) => /\b(?:FROM|UPDATE|INTO)\b/i.test(text) && !/graphile_worker|pg_advisory/.test(text));
}

// ----------------------------------------------------------------------------------------------------------------- plans

type Plan = {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Total Cost': number;
  readonly Plans?: readonly Plan[];
};

type Explained = { readonly text: string; readonly generic: boolean; readonly cost: number; readonly scans: readonly string[] };

const grows = new Set([
  'inventory_items', 'listings', 'listing_writes', 'orders', 'order_lines', 'stock_movements', 'events', 'alerts', 'sync_conflicts',
  'sync_operations', 'webhook_deliveries', 'idempotency_keys', 'sku_aliases',
]);

function* nodesOf(plan: Plan): Iterable<Plan> {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodesOf(child);
}

async function explain(db: Queryable, { text, values }: Statement, generic: boolean): Promise<Explained> {
  const { rows } = await db.query<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
    generic ? `EXPLAIN (FORMAT JSON, GENERIC_PLAN) ${text}` : { text: `EXPLAIN (FORMAT JSON) ${text}`, values: [...values] },
  );
  const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) throw new Error(`no plan for ${text}`);
  const scans = [...nodesOf(plan)].filter(
    (node) => node['Node Type'] === 'Seq Scan' && grows.has(node['Relation Name'] ?? ''),
  );
  return { text, generic, cost: plan['Total Cost'], scans: scans.map((node) => node['Relation Name'] ?? '') };
}

// ------------------------------------------------------------------------------------------------------------------ shop

let api: Api;
let shop: LargeShop;
let caller: Caller;
let connections: Connections;
let channel: support.ScriptedChannel;
/** The plans of what was sent, by the name of the work. */
const atSmall = new Map<string, readonly Explained[]>();
const atLarge = new Map<string, readonly Explained[]>();

const run = async (query: string, variables: Record<string, unknown> = {}): Promise<Record<string, unknown>> => {
  const visitor = { session: api.session, correlationId: 'test', lastEventId: null, safe: false };
  const result = await api.pipeline.run({ query, variables }, visitor);
  if (Symbol.asyncIterator in result || result.errors) throw new Error(JSON.stringify(result), { cause: api.internalErrors.at(-1) });
  return (result as { data: Record<string, unknown> }).data;
};

const wakeUps = {
  push: () => undefined,
  verify: () => undefined,
  poll: () => undefined,
  inbox: () => undefined,
  job: () => undefined,
  flush: async () => undefined,
};

const page = (field: string, more = '', body = 'id'): string =>
  `query ($after: Cursor) { page: ${field}(first: 20, after: $after${more}) { nodes { ${body} } pageInfo { endCursor hasNextPage hasPreviousPage } } }`;

/** Every root list, in every order that it has, with the filters that people use. */
const lists: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['AVAILABLE', 'SKU', 'TITLE', 'UPDATED_AT'].flatMap((order) =>
      ['ASC', 'DESC'].map((direction) => [`items by ${order}_${direction}`, page('inventoryItems', `, orderBy: ${order}_${direction}`)]),
    ),
  ),
  ...Object.fromEntries(
    ['listings UPDATED_AT_ASC', 'listings UPDATED_AT_DESC', 'orders CREATED_AT_ASC', 'orders CREATED_AT_DESC', 'orders UPDATED_AT_ASC',
      'orders UPDATED_AT_DESC', 'alerts CREATED_AT_DESC', 'alerts UPDATED_AT_ASC', 'conflicts CREATED_AT_ASC', 'conflicts CREATED_AT_DESC']
      .map((each) => each.split(' '))
      .map(([list = '', order = '']) => [`${list} by ${order}`, page(list, `, orderBy: ${order}`)]),
  ),
  'movements': page('movements'),
  'operations': page('operations'),
  'items that are out of step': page('inventoryItems', ', where: {syncStatus: {eq: ERROR}}'),
  'items changed since': page('inventoryItems', ', orderBy: UPDATED_AT_ASC, where: {updatedAt: {gte: "2026-01-01T00:00:00Z"}}'),
  'orders of a status': page('orders', ', where: {status: {eq: PENDING}}'),
  'orders of a platform': page('orders', ', where: {platform: {eq: SHOPIFY}}'),
  'listings without an item': page('listings', ', where: {hasItem: false}'),
  'open alerts': page('alerts', ', where: {status: {eq: OPEN}}'),
  'open conflicts': page('conflicts', ', where: {status: {eq: OPEN}}'),
  'items with their listings': page('inventoryItems', '', 'id listings(first: 5) { nodes { id quantity } }'),
  'orders with their lines': page('orders', '', 'id items(first: 5) { nodes { id item { sku } } }'),
  'unmatched SKUs': page('unmatchedSkus', '', 'sku lineCount'),
};

async function readPages(query: string): Promise<void> {
  const { page: first } = (await run(query)) as { page: { pageInfo: { endCursor: string } } };
  await run(query, { after: first.pageInfo.endCursor });
}

let nextOrder = 2;

const order = (): ReturnType<typeof fixtures.order> =>
  fixtures.order({ lines: [fixtures.orderLine({ sku: 'SKU-000002000', reserved: 1 }), fixtures.orderLine({ lineId: '2', sku: 'odd 7' })] });

const operations = () => ({ pool: api.database.pool, wakeUps, onEvents: () => undefined, jobBatch: 500, jobOpenMax: 2_000 });
const mapping = () => ({ pool: api.database.pool, onApplied: () => undefined, batchMax: 1_000 });
const statuses = () => ({ pool: api.database.pool, connections, clock: systemClock, leaseMs: 60_000, onApplied: () => undefined });

/** The verbs and the background work, each as the product runs it. */
const works: Readonly<Record<string, () => Promise<unknown>>> = {
  'an item by SKU': () => run('{ inventoryItemBySku(sku: "SKU-000002000") { id movements(first: 5) { nodes { seq } } orderLines(first: 5) { nodes { id } } } }'),
  'an order arrives': () =>
    applyOrder(api.database.pool, { ...shop, platform: 'shopify', observedAt: fixtures.noon, deliveryId: rowId('delivery', backlog + 1) }, order()),
  'stock is adjusted': () =>
    adjustStock({ pool: api.database.pool, onMoved: () => undefined }, caller, { itemId: rowId('item', 2_000), delta: 1, reason: 'received', reference: null, idempotencyKey: fixtures.unique('key') }),
  'an order is shipped': () =>
    updateOrderStatus(statuses(), caller, { orderId: rowId('order', (nextOrder += 1)), status: 'shipped', carrier: null, trackingNumber: null, idempotencyKey: fixtures.unique('key') }),
  'an alert is acknowledged': () => acknowledgeAlert(api.database.pool, caller, rowId('alert', 10)),
  'the push claims, loads, records and settles': () =>
    pushConnection(support.pushOptions(api.database.pool, connections, { onSettled: (ids) => settleOperations(operations(), ids) }), shop.connectionId),
  'writes are verified': () => verifyConnection(support.verifyOptions(api.database.pool, connections), shop.connectionId),
  'a delivery is stored': () =>
    storeDelivery(api.database.pool, { ...shop, deliveryId: fixtures.unique('delivery'), topic: 'orders', body: Buffer.from('[]') }, null),
  'the inbox is worked off': () =>
    workOffInbox({ db: api.database.pool, connections, clock: systemClock, log: silentLog(), batchMax: 50, leaseMs: 60_000, attemptsMax: 5, backoffMaxMs: 1_000, onApplied: () => undefined }),
  'orders are polled': () =>
    pollConnection({ db: api.database.pool, connections, clock: systemClock, log: silentLog(), intervalMs: 60_000, overlapMs: 0, leaseMs: 60_000, onApplied: () => undefined }, shop.connectionId),
  'the supervisor looks': () => lookForWork({ db: api.database.pool, wakeUps, verifyIntervalMs: 1_000 }),
  'operations without a worker are swept': () => sweepOperations(operations()),
  'one item is synced': () => syncItem(operations(), caller, { itemId: rowId('item', 2_001), platforms: null, idempotencyKey: null }),
  'unmatched lines of an account are looked through': () => applyWaiting(mapping(), shop.accountId),
  'unmatched lines of everybody are looked through': () => applyWaiting(mapping(), null),
  'a SKU is mapped': () => mapSku(mapping(), caller, { sku: 'odd 8', itemId: rowId('item', 2_000) }),
  'a listing is mapped': () => mapListing(mapping(), caller, { listingId: rowId('listing', 5), itemId: rowId('item', 2_000) }),
  'a page of a catalogue comes in': async () => {
    const connected = await connections.open(shop.connectionId);
    if (connected !== null) await importCatalogue(api.database.pool, connected);
  },
  'the live end of the log is read': async () => {
    const { epoch, now } = await logState(api.database.pool);
    await readLog(api.database.pool, positionAt(epoch, now), null, 500);
    await readLog(api.database.pool, positionAt(epoch, now), { accountId: shop.accountId, topic: 'stock' }, 500);
  },
};

beforeAll(async () => {
  pg.Client.prototype.query = function query(this: pg.Client, ...parameters: unknown[]) {
    record(...parameters);
    return clientQuery.apply(this, parameters);
  } as typeof pg.Client.prototype.query;
  api = await openApi();
  shop = api.shop;
  await api.database.pool.query(`UPDATE connections SET platform = 'shopify'`);
  caller = { accountId: shop.accountId, actor: systemActor, correlationId: 'test' };
  channel = support.createChannel();
  channel.onRead = () => ({ kind: 'quantity', quantity: 3 });
  channel.cataloguePages = () =>
    support.pages([{ address: { unitId: 'unit 2000', variantId: '' }, sku: 'x', title: 't', url: null, price: null, stock: { kind: 'notTracked' }, writable: true }]);
  channel.orderPages = () => support.pages([order()]);
  connections = support.connectTo(api.database.pool, { shopify: channel });

  const filler = new pg.Client({ connectionString: databaseUrl() });
  await filler.connect();
  await fillShop(filler, shop, 1, small);
  await planEverything(filler, atSmall);
  await fillShop(filler, shop, small + 1, large);
  await planEverything(filler, atLarge);
  await filler.end();
}, 120_000);
afterAll(async () => {
  pg.Client.prototype.query = clientQuery as typeof pg.Client.prototype.query;
  await api[Symbol.asyncDispose]();
});

function databaseUrl(): string {
  const { connectionString } = api.database.pool.options;
  if (connectionString === undefined) throw new Error('the pool has no connection string');
  return connectionString;
}

async function planEverything(db: Queryable, plans: Map<string, readonly Explained[]>): Promise<void> {
  for (const [name, query] of Object.entries(lists)) plans.set(name, await explainAll(db, await statementsOf(() => readPages(query))));
  for (const [name, work] of Object.entries(works)) plans.set(name, await explainAll(db, await statementsOf(work)));
}

/** What planning with values costs more than reusing a plan without them, per statement: PostgreSQL weighs both (plancache.c, choose_custom_plan). */
const planningCost = 25;

/** Each different statement with its values, and, where PostgreSQL would choose that plan, as a prepared statement planned without them. */
async function explainAll(db: Queryable, statements: readonly Statement[]): Promise<readonly Explained[]> {
  const different = new Map(statements.map((statement) => [statement.text, statement]));
  const explained: Explained[] = [];
  for (const statement of different.values()) {
    const custom = await explain(db, statement, false);
    explained.push(custom);
    if (!statement.named) continue;
    const generic = await explain(db, statement, true);
    if (generic.cost < custom.cost + planningCost) explained.push(generic);
  }
  return explained;
}

// ----------------------------------------------------------------------------------------------------------------- tests

function problemsOf(name: string): readonly string[] {
  const costs = new Map((atSmall.get(name) ?? []).map(({ text, generic, cost }) => [`${text} ${generic}`, cost]));
  const after = atLarge.get(name) ?? [];
  expect(after.length).toBeGreaterThan(0);
  return after.flatMap(({ text, generic, cost, scans }) => {
    const earlier = costs.get(`${text} ${generic}`) ?? cost;
    const what = `${generic ? 'as a prepared statement' : 'with its values'}: ${text.replaceAll(/\s+/g, ' ').slice(0, 400)}`;
    return [
      ...scans.map((table) => `scans ${table} (cost ${cost}), ${what}`),
      ...(cost > earlier * growthMax + 20 ? [`costs ${cost} instead of ${earlier}, ${what}`] : []),
    ];
  });
}

describe('a page of the API reads an index, however large the shop is:', () => {
  test.each(Object.keys(lists))('%s', (name) => {
    expect(problemsOf(name)).toEqual([]);
  });
});

describe('the work behind it reads indexes, however large the shop is:', () => {
  test.each(Object.keys(works))('%s', (name) => {
    expect(problemsOf(name)).toEqual([]);
  });
});

test('a step of a job over the whole shop reads only the items of that step', async () => {
  const started = await syncAll(operations(), caller);
  const jobId = started.ok ? started.value.jobId : '';
  const statements = await statementsOf(() => advanceJob(operations(), jobId));
  const explained = await explainAll(api.database.pool, statements);
  expect(explained.flatMap(({ scans, text }) => scans.map((table) => `${table}: ${text}`))).toEqual([]);
});
