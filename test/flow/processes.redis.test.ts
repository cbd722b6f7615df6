/**
 * Two servers and two workers over one PostgreSQL and one Redis lose nothing and double nothing, with every misfortune at once: webhooks lost,
 * doubled, late and reordered, a worker killed, Redis restarted, subscribers cut off, and machines whose clocks are minutes apart. `FLOW_ORDERS=10000` runs it with that many orders.
 */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import type { Order } from '../../src/sandbox/goods.ts';
import { openQuantity } from '../../src/sandbox/orderBook.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { webhookPath } from '../../src/webhooks.ts';
import { createDatabase } from '../support/database.ts';
import { openPool } from '../support/fixtures.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { createTestSandbox, historyOf, openShop, outOfStep, testEnvironment } from '../support/product.ts';
import { startRedis } from '../support/redis.ts';
import { type Subscriber, subscribe } from '../support/subscriber.ts';
import { waitFor } from '../support/waiting.ts';
import { orderStream, stockStream } from './operations.ts';
import { openConnections, type ProductProcess, startProcess } from './processes.ts';

const ordersTotal = Number(process.env['FLOW_ORDERS'] ?? 1_500);
const skuCount = Math.max(30, Math.ceil(ordersTotal / 100));
const opening = 300;
/** Orders under way at most; the marketplaces do not wait for us, but the test's own process has to keep up. */
const backlogMax = 150;

const skus = Object.fromEntries(Array.from({ length: skuCount }, (_, index) => [`SKU-${index}`, opening]));

type StockSubscriber = Subscriber<{
  readonly __typename?: string;
  readonly sku?: string;
  readonly seq?: number;
}>;
type OrderSubscriber = Subscriber<{
  readonly __typename?: string;
  readonly platformOrderId?: string;
  readonly revision?: number;
}>;

async function startAll(environment: Readonly<Record<string, string>>): Promise<readonly ProductProcess[]> {
  // One after the other: the first brings the queue's own schema up to date.
  const processes: ProductProcess[] = [];
  for (const [role, clockAheadMs] of [
    ['serve', 0],
    ['serve', -45_000],
    ['worker', 0],
    ['worker', 90_000],
  ] as const)
    processes.push(await startProcess({ role, environment, clockAheadMs }));
  return processes;
}

function addMisfortunes(sandbox: Sandbox): void {
  for (const platform of platforms) {
    sandbox.faults.add({ platform, kind: 'webhookLost', probability: 0.05 });
    sandbox.faults.add({ platform, kind: 'webhookDoubled', probability: 0.1 });
    sandbox.faults.add({ platform, kind: 'webhookLate', probability: 0.1, delayMs: { min: 10, max: 800 } });
    sandbox.faults.add({ platform, kind: 'webhookReordered', probability: 0.05, waitMs: 300 });
    sandbox.faults.add({ platform, kind: 'serverError', probability: 0.01 });
    sandbox.faults.add({ platform, kind: 'lostAnswer', probability: 0.01 });
  }
}

/** One buyer somewhere; now and then an earlier order of that marketplace is sent or cancelled. */
function createMarket(sandbox: Sandbox): { readonly orders: Order[]; step(): void } {
  const random = createRandom(7);
  const orders: Order[] = [];
  return {
    orders,
    step() {
      const platform = platforms[random.integer(0, 3)] ?? 'etsy';
      const shop = sandbox.shops[platform];
      const variant = shop.variantBySku(`SKU-${random.integer(0, skuCount - 1)}`);
      const quantity = random.chance(0.2) ? 2 : 1;
      const result = shop.orders.place({ lines: [{ variantId: variant?.id ?? '', quantity }] });
      if (result.kind === 'placed') orders.push(result.order);
      const earlier = orders[random.integer(0, orders.length - 1)];
      if (earlier === undefined || earlier.cancelledAt !== null || earlier.parcels.length > 0) return;
      const book = platforms
        .map((each) => sandbox.shops[each].orders)
        .find((each) => each.get(earlier.id) === earlier);
      if (random.chance(0.15)) book?.ship(earlier.id, { carrier: 'USPS', trackingNumber: earlier.id });
      else if (random.chance(0.1)) book?.cancel(earlier.id, { restock: true });
    },
  };
}

/** What the sandbox's own orders say that the ledger must hold. */
function truthOf(orders: readonly Order[]): ReadonlyMap<string, { quantity: number; reserved: number }> {
  const truth = new Map(Object.keys(skus).map((sku) => [sku, { quantity: opening, reserved: 0 }]));
  for (const line of orders.filter(({ cancelledAt }) => cancelledAt === null).flatMap(({ lines }) => lines)) {
    const levels = truth.get(line.sku);
    if (levels === undefined) continue;
    levels.reserved += openQuantity(line);
    levels.quantity -= line.shipped;
  }
  return truth;
}

test(
  `killing a process loses nothing: ${ordersTotal} orders through two servers and two workers, nothing lost, nothing doubled, and every subscriber saw every event once`,
  async () => {
    await using stack = new AsyncDisposableStack();
    const database = stack.use(await createDatabase());
    const redis = stack.use(await startRedis());
    const sandbox = stack.adopt(createTestSandbox({ skus }), (running) => running.stop());
    await sandbox.start();
    const secretsKey = randomBytes(32);
    const environment = testEnvironment(database.url, secretsKey, {
      REDIS_URL: redis.url,
      POLL_INTERVAL_MS: '1000',
      // Four processes and four marketplaces share this machine: a call that is starved for a second or two is no call that was given up.
      SEND_WITHIN_MS: '2000',
      CHANNEL_DEADLINE_MS: '10000',
      LOG_LEVEL: 'info',
    });
    const processes = [...(await startAll(environment))];
    stack.defer(async () => {
      for (const each of processes) if (each.running) await each.end('SIGKILL');
    });
    const [serveOne, serveTwo, workerOne] = processes;
    if (serveOne === undefined || serveTwo === undefined || workerOne === undefined)
      throw new Error('not every process is there');
    const pool = stack.adopt(openPool(database.url, 4), (it) => it.end());
    const connections = openConnections(pool, secretsKey);
    const shop = await openShop({
      db: pool,
      connections,
      sandbox,
      hookBase: serveOne.url,
      readNew: async () => undefined,
    });
    for (const platform of ['ebay', 'shopify'] as const)
      sandbox.setWebhookTarget(platform, serveTwo.url + webhookPath(platform, shop.connections[platform]));

    const before = await pool.query<{ id: string }>('SELECT coalesce(max(id), 0)::text AS id FROM events');
    const follow = async (url: string, document: unknown) =>
      stack.use(await subscribe({ url, key: shop.key, document: document as never }));
    const stockSubscribers = (await Promise.all(
      [serveOne, serveTwo, serveOne].map(({ url }) => follow(url, stockStream)),
    )) as unknown as StockSubscriber[];
    const orderSubscribers = (await Promise.all(
      [serveTwo, serveOne].map(({ url }) => follow(url, orderStream)),
    )) as unknown as OrderSubscriber[];

    addMisfortunes(sandbox);
    const market = createMarket(sandbox);
    const known = async () =>
      Number((await pool.query<{ count: string }>('SELECT count(*) FROM orders')).rows[0]?.count);
    const happenings = new Map<number, () => Promise<unknown>>([
      [Math.floor(ordersTotal * 0.2), () => cutAndResume(stockSubscribers, orderSubscribers, serveTwo.url)],
      [Math.floor(ordersTotal * 0.35), () => workerOne.end('SIGKILL')],
      [Math.floor(ordersTotal * 0.5), () => redis.restart()],
      [Math.floor(ordersTotal * 0.6), () => cutAndResume(stockSubscribers, orderSubscribers, serveOne.url)],
      [
        Math.floor(ordersTotal * 0.7),
        async () => processes.push(await startProcess({ role: 'worker', environment })),
      ],
      [Math.floor(ordersTotal * 0.85), () => cutAndResume(stockSubscribers, orderSubscribers, serveTwo.url)],
    ]);
    const startedAt = performance.now();
    for (let step = 0; market.orders.length < ordersTotal; step++) {
      await happenings.get(step)?.();
      market.step();
      if (step % 10 !== 0) continue;
      await waitFor(async () => market.orders.length - (await known()) < backlogMax, {
        timeoutMs: 30_000,
        intervalMs: 20,
        what: 'the product to keep up',
      });
    }
    const placedMs = performance.now() - startedAt;
    sandbox.faults.clear();

    await waitFor(async () => (await known()) === ordersTotal, {
      timeoutMs: 60_000,
      intervalMs: 50,
      what: 'every order to be known',
    });
    const truth = truthOf(market.orders);
    expect(await conflictsOf(pool, sandbox)).toEqual([]);
    await waitFor(
      async () => {
        const wrong = await ledgerDifferences(pool, shop.accountId, truth);
        if (wrong.length > 0) throw new Error(wrong.slice(0, 5).join('; '));
        return true;
      },
      { timeoutMs: 60_000, intervalMs: 100, what: 'the ledger to say what the marketplaces say' },
    );
    const countedMs = performance.now() - startedAt;
    await waitFor(
      async () => {
        const wrong = await outOfStep(pool, sandbox, shop.accountId);
        if (wrong.length === 0) return true;
        const [, platform = '', sku = ''] = /^(\S+) (\S+)/.exec(wrong[0] ?? '') ?? [];
        throw new Error(
          `${wrong.slice(0, 5).join('; ')}\n${await historyOf(pool, sandbox, platform as Platform, sku)}`,
        );
      },
      // Etsy takes a few calls a second, and an item costs three of them.
      { timeoutMs: 60_000 + skuCount * 1_500, intervalMs: 100, what: 'every channel to show its target' },
    );
    const inStepMs = performance.now() - startedAt;

    expect(await ledgerBreaches(pool)).toEqual([]);
    expect(await conflictsOf(pool, sandbox)).toEqual([]);
    const open = await pool.query(
      "SELECT topic, status, error FROM webhook_deliveries WHERE status <> 'processed'",
    );
    expect(open.rows).toEqual([]);
    expect(await known()).toBe(ordersTotal);

    const logged = await pool.query<{ topic: string; name: string }>(
      `SELECT topic::text, CASE topic WHEN 'stock' THEN payload->>'sku' || ' ' || item_seq
                                    ELSE payload->>'platformOrderId' || ' ' || (payload->>'revision') END AS name
       FROM events WHERE account_id = $1 AND id > $2::bigint AND topic IN ('stock', 'order')`,
      [shop.accountId, before.rows[0]?.id],
    );
    const namesOf = (topic: string) =>
      logged.rows
        .filter((row) => row.topic === topic)
        .map(({ name }) => name)
        .toSorted();
    await expectEveryEventOnce(stockSubscribers, ({ sku, seq }) => `${sku} ${seq}`, namesOf('stock'));
    await expectEveryEventOnce(
      orderSubscribers,
      ({ platformOrderId, revision }) => `${platformOrderId} ${revision}`,
      namesOf('order'),
    );
    for (const subscriber of stockSubscribers) expectSeqOrder(subscriber);

    process.stdout.write(
      `${ordersTotal} orders over ${skuCount} items: placed in ${Math.round(placedMs)} ms (${Math.round((ordersTotal * 1_000) / placedMs)}/s), ` +
        `counted after ${Math.round(countedMs - placedMs)} ms more, every channel in step after ${Math.round(inStepMs - placedMs)} ms more; ` +
        `${namesOf('stock').length} stock and ${namesOf('order').length} order events to each of ${stockSubscribers.length} and ${orderSubscribers.length} subscribers\n`,
    );
    for (const each of processes.filter(({ running }) => running))
      expect((await each.end('SIGTERM')).code).toBe(0);
  },
  120_000 + ordersTotal * 120,
);

async function cutAndResume(
  stock: readonly StockSubscriber[],
  orders: readonly OrderSubscriber[],
  url: string,
): Promise<void> {
  for (const subscriber of [stock[0], stock[1], orders[0]]) {
    subscriber?.cut();
    await subscriber?.resume(url);
  }
}

/** Nobody edits anything here, so that whatever is proven is proven falsely: with its evidence, and with what really happened to that listing. */
async function conflictsOf(pool: ReturnType<typeof openPool>, sandbox: Sandbox): Promise<readonly string[]> {
  const { rows } = await pool.query<{ platform: Platform; sku: string; evidence: unknown; created_at: Date }>(
    `SELECT listing.platform, listing.sku, conflict.conflict_data AS evidence, conflict.created_at
       FROM sync_conflicts conflict JOIN listings listing ON listing.id = conflict.listing_id`,
  );
  return Promise.all(
    rows.map(
      async ({ platform, sku, evidence, created_at: at }) =>
        `${platform} ${sku} at ${at.toISOString()}: ${JSON.stringify(evidence)}\n${await historyOf(pool, sandbox, platform, sku)}`,
    ),
  );
}

async function ledgerDifferences(
  pool: ReturnType<typeof openPool>,
  accountId: string,
  truth: ReadonlyMap<string, { quantity: number; reserved: number }>,
): Promise<readonly string[]> {
  const { rows } = await pool.query<{ sku: string; quantity: number; reserved: number }>(
    'SELECT sku, quantity, reserved FROM inventory_items WHERE account_id = $1',
    [accountId],
  );
  expect(rows).toHaveLength(truth.size);
  return rows.flatMap(({ sku, quantity, reserved }) => {
    const wanted = truth.get(sku);
    if (wanted?.quantity === quantity && wanted.reserved === reserved) return [];
    return [`${sku} is ${quantity}/${reserved}, should be ${wanted?.quantity}/${wanted?.reserved}`];
  });
}

async function expectEveryEventOnce<Envelope extends { readonly __typename?: string }>(
  subscribers: readonly Subscriber<Envelope>[],
  nameOf: (event: ReturnType<Subscriber<Envelope>['events']>[number]) => string,
  wanted: readonly string[],
): Promise<void> {
  expect(wanted.length).toBeGreaterThan(0);
  for (const subscriber of subscribers) {
    await waitFor(() => subscriber.events().length >= wanted.length, {
      timeoutMs: 20_000,
      what: 'a subscriber to have everything',
    });
    expect(subscriber.errors).toEqual([]);
    expect(subscriber.envelopes.filter(({ __typename }) => __typename === 'Gap')).toEqual([]);
    expect(subscriber.events().map(nameOf).toSorted()).toEqual(wanted);
  }
}

function expectSeqOrder(subscriber: StockSubscriber): void {
  const last = new Map<string, number>();
  for (const { sku = '', seq = 0 } of subscriber.events()) {
    expect(seq).toBeGreaterThan(last.get(sku) ?? 0);
    last.set(sku, seq);
  }
}
