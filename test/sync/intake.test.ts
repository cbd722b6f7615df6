/** Proves that a delivery is kept before it is answered, that an order it carries is applied with it in one commit, and that nothing makes the marketplace wait. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ChannelMessage, Order } from '../../src/connectors/connector.ts';
import { type Database, openDatabase } from '../../src/db.ts';
import { silentLog } from '../../src/log.ts';
import type { ConnectedChannel } from '../../src/sync/connections.ts';
import { createIntake, type Intake, type IntakeOptions } from '../../src/sync/intake.ts';
import type { OrderEffect } from '../../src/sync/orders.ts';
import * as support from '../support/channel.ts';
import { startTail, subscribe, type TestTail } from '../support/eventStreams.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas, ledgerBreaches } from '../support/ledgerState.ts';
import { waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;
let database: Database;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let opened: ConnectedChannel;
let item: fixtures.TestItem;
let running: TestTail;
let effects: OrderEffect[];
let untold: number;
let woken: number;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
  database = openDatabase({
    url: open.url,
    poolMax: 4,
    connectionTimeoutMs: 5_000,
    statementTimeoutMs: 15_000,
    applicationName: 'the test',
    onError: () => undefined,
  });
});
afterAll(async () => {
  await database.close();
  await open[Symbol.asyncDispose]();
});
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  opened = { connection: { ...connection, externalAccountId: 'shop' }, connector: channel.connector };
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 10 });
  [effects, untold, woken] = [[], 0, 0];
  running = await startTail(open.pool);
  return () => running[Symbol.asyncDispose]();
});

const createTestIntake = (more: Partial<IntakeOptions> = {}): Intake =>
  createIntake({
    connections: database.intake,
    atOnceMax: 8,
    ownMax: 50,
    inbox: {
      db: open.pool,
      connections: support.connectTo(open.pool, { shopify: channel }),
      clock: systemClock,
      log: silentLog(),
      batchMax: 5,
      connectionMax: 5,
      leaseMs: 60_000,
      attemptsMax: 4,
      backoffMaxMs: 3_000,
      onShown: async () => undefined,
      onApplied: (effect) => void effects.push(effect),
    },
    tail: running.tail,
    onApplied: (effect) => void effects.push(effect),
    onUntold: () => void (untold += 1),
    onWaiting: () => void (woken += 1),
    log: silentLog(),
    ...more,
  });

const sold = (): Order => fixtures.order({ lines: [fixtures.orderLine({ sku: item.sku, reserved: 2 })] });

const deliveryOf = (body: Buffer, deliveryId = fixtures.unique('delivery')) => ({
  accountId: connection.accountId,
  connectionId: connection.id,
  deliveryId,
  topic: 'orders',
  body,
});

const saying = (...messages: readonly ChannelMessage[]) => deliveryOf(support.deliveryBody(...messages));

async function stored(db: Pick<pg.Pool, 'query'> = open.pool): Promise<readonly string[]> {
  const { rows } = await db.query<{ status: string }>(
    'SELECT status::text FROM webhook_deliveries WHERE connection_id = $1',
    [connection.id],
  );
  return rows.map(({ status }) => status);
}

describe('a delivery that carries an order', () => {
  test('is stored and applied when it is answered, and its subscriber is told although nobody wakes the tail', async () => {
    await using subscriber = subscribe(running.tail, connection.accountId, { topic: 'order' });
    const intake = createTestIntake();
    await intake.receive(saying({ kind: 'order', order: sold() }), opened, true);
    expect(await stored()).toEqual(['processed']);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
    await subscriber.hears(1);
    await intake.idle();
    expect({ effects, untold, woken }).toMatchObject({ effects: [{ changed: true }], untold: 0, woken: 0 });
  });

  test('that finished fetches should have shown proves that the channel is later than was reckoned with', async () => {
    const fetchedAt = new Date();
    await open.pool.query('UPDATE connections SET orders_watermark = $2 WHERE id = $1', [
      connection.id,
      fetchedAt,
    ]);
    const intake = createTestIntake();
    const createdAt = new Date(fetchedAt.getTime() - 600_000);
    await intake.receive(
      saying({ kind: 'order', order: { ...sold(), createdAt, updatedAt: createdAt } }),
      opened,
      true,
    );
    await intake.idle();
    const { rows } = await open.pool.query(
      'SELECT index_lag_measured_ms AS ms FROM connections WHERE id = $1',
      [connection.id],
    );
    expect(rows).toEqual([{ ms: 750_000 }]);
  });

  test('is applied once however often and however concurrently the channel repeats it', async () => {
    const intake = createTestIntake();
    const delivery = saying({ kind: 'order', order: sold() });
    await Promise.all(Array.from({ length: 12 }, async () => intake.receive(delivery, opened, true)));
    await intake.idle();
    expect(await stored()).toEqual(['processed']);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
    expect(effects).toHaveLength(1);
  });

  test('counts once when two deliveries bring the same order at once', async () => {
    const intake = createTestIntake();
    const message = { kind: 'order', order: sold() } as const;
    await Promise.all(Array.from({ length: 8 }, async () => intake.receive(saying(message), opened, true)));
    await intake.idle();
    expect(await stored()).toEqual(Array.from({ length: 8 }, () => 'processed'));
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('is stored and answered although its item is locked, and is applied when the lock is given back', async () => {
    const blocker = await open.pool.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM inventory_items WHERE id = $1 FOR UPDATE', [item.id]);
    const intake = createTestIntake();
    await intake.receive(saying({ kind: 'order', order: sold() }), opened, true);
    expect(await stored()).toEqual(['pending']);
    await blocker.query('COMMIT');
    blocker.release();
    await intake.idle();
    expect(await stored()).toEqual(['processed']);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });

  test('that cannot be applied is stored all the same, and nothing of it has happened', async () => {
    await open.pool.query(
      `ALTER TABLE events ADD CONSTRAINT nothing_more CHECK (topic <> 'order') NOT VALID`,
    );
    const intake = createTestIntake();
    try {
      await intake.receive(saying({ kind: 'order', order: sold() }), opened, true);
      await intake.idle();
    } finally {
      await open.pool.query('ALTER TABLE events DROP CONSTRAINT nothing_more');
    }
    expect(await stored()).toEqual(['pending']);
    expect(await availableDeltas(open.pool, item.id)).toEqual([]);
    expect(effects).toEqual([]);
  });

  test('is stored when no connection for it can be had', async () => {
    const connections = { connect: () => Promise.reject(new Error('no connection')) } as unknown as pg.Pool;
    const intake = createTestIntake({ connections });
    await intake.receive(saying({ kind: 'order', order: sold() }), opened, true);
    expect(await stored()).toHaveLength(1);
    await intake.idle();
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });

  test('is told by the next wake-up where the look behind it fails', async () => {
    const intake = createTestIntake({ tail: { lookOver: async () => false } });
    await intake.receive(saying({ kind: 'order', order: sold() }), opened, true);
    await waitFor(() => untold > 0);
    expect(untold).toBe(1);
  });

  test('beyond what may be applied at once is only stored, and carried out afterwards', async () => {
    const intake = createTestIntake({ atOnceMax: 0 });
    await intake.receive(saying({ kind: 'order', order: sold() }), opened, true);
    await intake.idle();
    expect(await stored()).toEqual(['processed']);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });
});

describe('any other delivery', () => {
  test('is stored, and its work comes after the answer', async () => {
    const order = sold();
    const asked: string[] = [];
    channel.onOrder = async (orderId) => {
      asked.push(`${orderId}: ${(await stored()).join()}`);
      return order;
    };
    const intake = createTestIntake();
    await intake.receive(saying({ kind: 'orderChanged', orderId: order.orderId }), opened, true);
    await intake.idle();
    expect(asked).toEqual([`${order.orderId}: pending`]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });

  test('that cannot be read is stored for a person to look at', async () => {
    const intake = createTestIntake();
    await intake.receive(deliveryOf(Buffer.from('no JSON')), opened, true);
    await intake.idle();
    expect(await stored()).toEqual(['pending']);
  });
});

test('a process that only serves stores every delivery and wakes a worker', async () => {
  const intake = createTestIntake();
  await intake.receive(saying({ kind: 'order', order: sold() }), opened, false);
  await intake.idle();
  expect(await stored()).toEqual(['pending']);
  expect({ effects, woken }).toEqual({ effects: [], woken: 1 });
});
