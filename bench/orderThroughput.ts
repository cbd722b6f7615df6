/** Orders applied per second by the product's own path, beside the bare statement on the same database. */
import { randomUUID } from 'node:crypto';
import { Client, Pool } from 'pg';
import { systemClock } from '../src/clock.ts';
import type { Connector, Order } from '../src/connectors/connector.ts';
import { type Database, openDatabase } from '../src/db.ts';
import { silentLog } from '../src/log.ts';
import { createLocalBus } from '../src/sync/bus.ts';
import type { ConnectedChannel, Connections } from '../src/sync/connections.ts';
import { createEventTail } from '../src/sync/eventTail.ts';
import { type InboxOptions, processDelivery } from '../src/sync/inbox.ts';
import { type OrderSource, orderStatement } from '../src/sync/orders.ts';
import { createWakeUps } from '../src/sync/wakeUps.ts';
import { openJobQueue } from '../src/sync/worker.ts';
import { type Benchmark, compare, inTurns } from './harness.ts';
import { fillShop, type ShopConnection, sku } from './shopData.ts';
import { newOrder } from './shopifyOrders.ts';

const items = 1_000;
const concurrent = 30;

export const orderThroughput: Benchmark = {
  letter: 'a',
  title: 'orders applied per second',
  async run(bench) {
    const url = await bench.newDatabase('orders');
    const setUp = new Client({ connectionString: url });
    await setUp.connect();
    const shop = await fillShop(setUp, { items, listedEvery: 1, movementsPerItem: 3, ordersPerItem: 0.5 });
    await setUp.end();
    const connection = shop.connections.find(({ platform }) => platform === 'shopify');
    if (connection === undefined) throw new Error('the shop has no Shopify');
    const perRound = bench.quick ? 500 : 2_000;
    const database = openDatabase({
      url,
      poolMax: concurrent,
      connectionTimeoutMs: 5_000,
      statementTimeoutMs: 15_000,
      applicationName: 'bench product',
      onError: (error) => bench.say(String(error)),
    });
    const bare = new Pool({ connectionString: url, max: concurrent });
    const product = await openProduct(database, connection);
    try {
      const turns = await inTurns(bench.quick ? 3 : 9, {
        product: () => product.apply(newOrders(perRound)),
        floor: () => sendBare(bare, connection, newOrders(perRound)),
      });
      await allHold(bare);
      const notes = [
        `${concurrent} at once, ${items} SKUs with 4 listings each, ${perRound} fresh orders per round`,
      ];
      return [
        compare({ name: 'orders.applied', unit: 'orders/s', limit: 0.7, bound: 'atLeast', notes }, turns),
      ];
    } finally {
      await product.close();
      await database.close();
      await bare.end();
    }
  },
};

/** Throws when an order came without stock to hold: then nothing was measured. */
async function allHold(pool: Pool): Promise<void> {
  // The planner still believes what it was told before the first order.
  await pool.query('ANALYZE orders, order_lines');
  const { rows } = await pool.query<{ lost: number }>(
    `SELECT count(*)::int AS lost FROM orders
      WHERE content_hash <> 'past' AND NOT EXISTS (SELECT FROM order_lines WHERE order_id = orders.id AND held_reserved = 1)`,
  );
  if (rows[0]?.lost !== 0) throw new Error(`${rows[0]?.lost} orders hold nothing: this measured nothing`);
}

function newOrders(count: number): Order[] {
  return Array.from({ length: count }, () => newOrder(sku(Math.floor(Math.random() * items))));
}

/** Runs `work` over all entries, so many at once. Answers entries per second. */
async function perSecond<Entry>(
  entries: readonly Entry[],
  work: (entry: Entry) => Promise<unknown>,
): Promise<number> {
  const startedAt = performance.now();
  const left = entries.values();
  // One iterator shared by all: each takes the next entry that nobody has taken.
  await Promise.all(
    Array.from({ length: concurrent }, async () => {
      for (const entry of left) await work(entry);
    }),
  );
  return (entries.length * 1_000) / (performance.now() - startedAt);
}

type ProductPath = { apply(orders: readonly Order[]): Promise<number>; close(): Promise<void> };

/** What the inbox does with a delivery that is stored, and all that follows in the same process: wake-ups, the event log's reader, log lines. */
async function openProduct(database: Database, connection: ShopConnection): Promise<ProductPath> {
  const log = silentLog();
  const queue = await openJobQueue(database.queue, log);
  const wakeUps = createWakeUps(
    queue,
    (error) => log.error({ error }),
    () => systemClock.sleep(25),
  );
  const bus = createLocalBus();
  const orders = new Map<string, Order>();
  const inbox: InboxOptions = {
    db: database.pool,
    connections: connectionsOf(connection, orders),
    clock: systemClock,
    log,
    batchMax: 20,
    connectionMax: 20,
    leaseMs: 60_000,
    attemptsMax: 20,
    backoffMaxMs: 300_000,
    onApplied(effect) {
      bus.publish('log');
      wakeUps.push(effect.connectionIds);
    },
    onShown: () => Promise.resolve(),
  };

  async function apply(batch: readonly Order[]): Promise<number> {
    // Running only now: its reading must not slow the other side.
    const tail = createEventTail({
      db: database.pool,
      bus,
      clock: systemClock,
      mailboxMax: 1_000,
      heartbeatIntervalMs: 15_000,
      lookIntervalMs: 1_000,
      onError: (error) => log.error({ error }),
    });
    await tail.start();
    for (const order of batch) orders.set(order.orderId, order);
    const rate = await perSecond(batch, (order) =>
      processDelivery(inbox, {
        id: randomUUID(),
        connectionId: connection.id,
        topic: 'orders/create',
        body: Buffer.from(order.orderId),
        attempts: 1,
      }),
    );
    orders.clear();
    await wakeUps.flush();
    await tail.stop();
    return rate;
  }

  return { apply, close: () => wakeUps.flush().then(() => queue.release()) };
}

/** A channel whose deliveries name orders that are already in the domain's words: reading them is not what is measured here. */
function connectionsOf(
  { id, accountId, platform }: ShopConnection,
  orders: ReadonlyMap<string, Order>,
): Connections {
  const parseWebhook: Connector['parseWebhook'] = (_topic, body) => {
    const order = orders.get(body.toString('utf8'));
    return order === undefined ? [] : [{ kind: 'order', order }];
  };
  const channel: ConnectedChannel = {
    connection: { id, accountId, platform, externalAccountId: 'bench' },
    connector: { platform, parseWebhook } as Connector,
  };
  return {
    open: () => Promise.resolve(channel),
    report: () => Promise.resolve(),
  } as Partial<Connections> as Connections;
}

function sendBare(pool: Pool, connection: ShopConnection, orders: readonly Order[]): Promise<number> {
  const statements = orders.map((order) => {
    const source: OrderSource = {
      accountId: connection.accountId,
      connectionId: connection.id,
      platform: connection.platform,
      observedAt: order.updatedAt,
      deliveryId: randomUUID(),
    };
    return orderStatement(source, order);
  });
  return perSecond(statements, (statement) => pool.query(statement));
}
