/** Proves that a worker or its connection may die at any point: redone from the inbox, everything ends as if nothing had happened. */
import * as fc from 'fast-check';
import { Client, type Pool, type QueryResult } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Order } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { deliverOrder } from '../../src/sync/orderDelivery.ts';
import { applyOrder, type OrderEffect } from '../../src/sync/orders.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';
import { repeatUntil } from '../support/repetition.ts';

const workers = 6;
let open: fixtures.TestPool;
/** Connections that tests break; the other pool watches. */
let breakable: Pool;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
  breakable = fixtures.openPool(`${open.url}?application_name=breakable`, workers);
});
afterAll(async () => {
  await breakable.end();
  await open[Symbol.asyncDispose]();
});

type Delivery = { readonly id: string; readonly order: Order };

/** What a worker does with one delivery. */
const work = (db: Queryable, connection: fixtures.TestConnection, delivery: Delivery): Promise<OrderEffect> =>
  applyOrder(db, fixtures.source(connection, { deliveryId: delivery.id }), delivery.order);

async function deliver(connection: fixtures.TestConnection, order: Order): Promise<Delivery> {
  return { id: await fixtures.insertDelivery(open.pool, connection, Buffer.from(order.orderId)), order };
}

/** Deliveries marked as processed whose order is not there, and the other way round, in one snapshot. */
async function disagreements(connection: fixtures.TestConnection): Promise<readonly unknown[]> {
  const { rows } = await open.pool.query(
    `SELECT delivery.status, stored.id FROM webhook_deliveries delivery
       LEFT JOIN orders stored ON stored.connection_id = delivery.connection_id
            AND stored.platform_order_id = convert_from(delivery.body, 'UTF8')
      WHERE delivery.connection_id = $1 AND (delivery.status = 'processed') <> (stored.id IS NOT NULL)`,
    [connection.id],
  );
  return rows;
}

async function newShop(
  onHand: number,
  items: number,
): Promise<{ connection: fixtures.TestConnection; items: fixtures.TestItem[] }> {
  const connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  const made: fixtures.TestItem[] = [];
  for (let index = 0; index < items; index += 1) {
    const item = await fixtures.insertItem(open.pool, connection.accountId, { onHand });
    await fixtures.insertListing(open.pool, connection, { itemId: item.id });
    made.push(item);
  }
  return { connection, items: made };
}

/** Everything an order leaves behind, without the ids and times that differ from run to run. */
async function traces(accountId: string): Promise<Record<string, unknown>> {
  const { rows } = await open.pool.query<Record<string, unknown>>(
    `SELECT (SELECT jsonb_agg(jsonb_build_array(seq, on_hand_delta, reserved_delta) ORDER BY item_id, seq) FROM stock_movements WHERE account_id = $1) AS movements,
            (SELECT jsonb_agg(jsonb_build_array(status, revision) ORDER BY id) FROM orders WHERE account_id = $1) AS orders,
            (SELECT jsonb_agg(version ORDER BY listing_id) FROM dirty_listings WHERE account_id = $1) AS dirty,
            (SELECT jsonb_agg(jsonb_build_array(status, units) ORDER BY status, units) FROM alerts WHERE account_id = $1) AS alerts,
            (SELECT jsonb_agg(topic ORDER BY id) FROM events WHERE account_id = $1) AS events,
            (SELECT jsonb_agg(status ORDER BY id) FROM webhook_deliveries WHERE account_id = $1) AS deliveries`,
    [accountId],
  );
  return rows[0] ?? {};
}

/** A shop in which one more sale touches every table: the order is known, the item is oversold, its listing is dirty, its alert is open. */
async function oversoldShop(): Promise<{
  connection: fixtures.TestConnection;
  item: fixtures.TestItem;
  next: Delivery;
}> {
  const { connection, items } = await newShop(1, 1);
  const [item] = items;
  if (item === undefined) throw new Error('there is no item');
  const order = fixtures.order({ lines: [fixtures.orderLine({ sku: item.sku, reserved: 2 })] });
  await work(open.pool, connection, await deliver(connection, order));
  const more = {
    ...order,
    updatedAt: fixtures.after(1),
    lines: [fixtures.orderLine({ sku: item.sku, reserved: 3 })],
  };
  return { connection, item, next: await deliver(connection, more) };
}

const killBreakable = (): Promise<QueryResult<{ killed: number }>> =>
  open.pool.query(
    `SELECT count(pg_terminate_backend(pid))::int AS killed FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'breakable' AND state = 'active'`,
  );

const places = [
  ['before the order is written', 'SELECT FROM orders WHERE account_id = $1 FOR UPDATE'],
  ['between order and stock', 'SELECT FROM inventory_items WHERE account_id = $1 FOR UPDATE'],
  ['between stock and dirty listings', 'SELECT FROM dirty_listings WHERE account_id = $1 FOR UPDATE'],
  ['between stock and alert', 'SELECT FROM alerts WHERE account_id = $1 FOR UPDATE'],
  [
    'when only the delivery is left to mark',
    `SELECT FROM webhook_deliveries WHERE account_id = $1 AND status = 'pending' FOR UPDATE`,
  ],
] as const;

/** Whoever comes to these rows waits there until the answer is called. */
async function stopAt(lock: string, accountId: string): Promise<() => Promise<void>> {
  const blocker = await open.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query(lock, [accountId]);
  return async () => {
    await blocker.query('ROLLBACK');
    blocker.release();
  };
}

describe.each(places)('a worker that dies %s', (_, lock) => {
  const stopThere = (accountId: string) => stopAt(lock, accountId);

  test('leaves nothing, and its successor does everything once', async () => {
    const undisturbed = await oversoldShop();
    await work(open.pool, undisturbed.connection, undisturbed.next);
    const { connection, item, next } = await oversoldShop();
    const before = await traces(connection.accountId);

    const goOn = await stopThere(connection.accountId);
    const dying = work(breakable, connection, next).catch((error: unknown) => error);
    await fixtures.waitForBlocked(open.pool, 1);
    expect((await killBreakable()).rows).toEqual([{ killed: 1 }]);
    expect(await dying).toBeInstanceOf(Error);
    await goOn();
    expect(await traces(connection.accountId)).toEqual(before);

    expect(await work(breakable, connection, next)).toMatchObject({ changed: true, alertChanged: true });
    expect(await work(breakable, connection, next)).toMatchObject({ changed: false });
    expect(await traces(connection.accountId)).toEqual(await traces(undisturbed.connection.accountId));
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 1, reserved: 3 });
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('from the view of a client that lost its connection meanwhile: doing it again changes nothing', async () => {
    const { connection, item, next } = await oversoldShop();
    const goOn = await stopThere(connection.accountId);
    const client = new Client({ connectionString: open.url });
    client.on('error', () => undefined);
    await client.connect();
    const lost = work(client, connection, next).catch((error: unknown) => error);
    await fixtures.waitForBlocked(open.pool, 1);
    client.connection.stream.destroy();
    expect(await lost).toBeInstanceOf(Error);
    await goOn();
    // The server carries on with a statement whose client is gone; its successor comes before or after it.
    await work(breakable, connection, next);
    expect(await work(breakable, connection, next)).toMatchObject({ changed: false });
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 1, reserved: 3, seq: 3 });
    expect((await traces(connection.accountId))['deliveries']).toEqual(['processed', 'processed']);
  });
});

/** A delivery is stored and then worked off, or stored and applied in one statement. */
const ways = ['applyOrder', 'deliverOrder'] as const;
const version = fc.record({
  way: fc.constantFrom(...ways),
  reserved: fc.tuple(fc.nat(3), fc.nat(3)),
  shipped: fc.nat(1),
  deaths: fc.array(
    fc.record({ at: fc.nat(places.length - 1), how: fc.constantFrom('killed' as const, 'cut off' as const) }),
    { maxLength: 2 },
  ),
});
type Version = typeof version extends fc.Arbitrary<infer Value> ? Value : never;
type Run = (db: Queryable) => Promise<unknown>;

/** The versions of one order, each with its way in. */
async function runsOf(versions: readonly Version[]): Promise<{ accountId: string; runs: readonly Run[] }> {
  const { connection, items } = await newShop(2, 2);
  const runs: Run[] = [];
  const orderId = fixtures.unique('order');
  for (const [index, { way, reserved, shipped }] of versions.entries()) {
    const lines = items.map(({ sku }, line) =>
      fixtures.orderLine({ lineId: `${line}`, sku, ordered: 5, reserved: reserved[line] ?? 0, shipped }),
    );
    const order = fixtures.order({ orderId, updatedAt: fixtures.after(index), lines });
    const body = Buffer.from(orderId);
    const deliveryId = fixtures.unique('delivery');
    if (way === 'deliverOrder')
      runs.push((db) =>
        deliverOrder(db, { ...fixtures.source(connection), deliveryId, topic: 'orders', body }, order),
      );
    else {
      const id = await fixtures.insertDelivery(open.pool, connection, body);
      runs.push((db) => work(db, connection, { id, order }));
    }
  }
  return { accountId: connection.accountId, runs };
}

/** Runs until it would touch these rows and dies there; answers false when it never came to them. */
async function dieAt(run: Run, accountId: string, { at, how }: Version['deaths'][number]): Promise<boolean> {
  const goOn = await stopAt(places[at]?.[1] ?? '', accountId);
  const client = new Client({ connectionString: `${open.url}?application_name=breakable` });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const ended = run(client).then(
      () => 'ended' as const,
      () => 'died' as const,
    );
    // This very session: one that was cut off before may still be at work, and wait for the same rows.
    const blocked = fixtures.waitForBlocked(open.pool, 1, rows[0]?.pid ?? null).then(
      () => 'blocked' as const,
      () => 'ended' as const,
    );
    if ((await Promise.race([ended, blocked])) !== 'blocked') return false;
    if (how === 'killed') await open.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    else client.connection.stream.destroy();
    expect(await ended).toBe('died');
    return true;
  } finally {
    await goOn();
    await client.end().catch(() => undefined);
  }
}

test('I6: whichever way an order comes in and at whichever points it is cut off, it ends as if nothing had happened', async () => {
  const died = { applyOrder: 0, deliverOrder: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(version, { minLength: 1, maxLength: 4 }), async (versions) => {
      const undisturbed = await runsOf(versions);
      for (const run of undisturbed.runs) await run(open.pool);
      const { accountId, runs } = await runsOf(versions);
      for (const [index, run] of runs.entries()) {
        const { deaths = [], way = 'applyOrder' } = versions[index] ?? {};
        for (const death of deaths) died[way] += (await dieAt(run, accountId, death)) ? 1 : 0;
        // The successor, and the marketplace that has no answer and delivers again.
        await run(open.pool);
        await run(open.pool);
      }
      expect(await traces(accountId)).toEqual(await traces(undisturbed.accountId));
    }),
    { numRuns: 40, endOnFailure: true },
  );
  expect(await ledgerBreaches(open.pool)).toEqual([]);
  expect(Math.min(died.applyOrder, died.deliverOrder)).toBeGreaterThan(3);
}, 120_000);

test('under load, with workers killed again and again, each delivery is processed if and only if its order is applied', async () => {
  const { connection, items } = await newShop(50, 4);
  const deliveries: Delivery[] = [];
  for (let index = 0; index < 240; index += 1) {
    const lines = items.flatMap(({ sku }, item) =>
      (index + item) % 3 === 0
        ? []
        : [fixtures.orderLine({ lineId: `${item}`, sku, reserved: 1 + ((index * item) % 3) })],
    );
    deliveries.push(
      await deliver(connection, fixtures.order({ lines: index % 2 === 0 ? lines : lines.toReversed() })),
    );
  }
  const queue = [...deliveries];
  let deaths = 0;
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const delivery = next;
      await work(breakable, connection, delivery).catch(() => {
        deaths += 1;
        queue.push(delivery);
      });
    }
  };
  const working = Promise.all(Array.from({ length: workers }, worker));
  await repeatUntil(working, async () => {
    if (deaths < 60) await killBreakable();
    expect(await disagreements(connection)).toEqual([]);
  });

  expect(deaths).toBeGreaterThan(5);
  expect(await disagreements(connection)).toEqual([]);
  expect(await ledgerBreaches(open.pool)).toEqual([]);
  const { rows } = await open.pool.query(
    `SELECT count(*)::int AS processed FROM webhook_deliveries WHERE connection_id = $1 AND status = 'processed'`,
    [connection.id],
  );
  expect(rows).toEqual([{ processed: deliveries.length }]);
  for (const { id, sku } of items) {
    const sold = deliveries.flatMap(({ order }) => order.lines.filter((line) => line.sku === sku));
    expect(await readStock(open.pool, id)).toMatchObject({
      quantity: 50,
      reserved: sold.reduce((sum, { reserved }) => sum + reserved, 0),
      seq: 1 + sold.length,
    });
  }
});
