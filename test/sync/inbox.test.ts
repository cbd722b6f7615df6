/** Proves that a delivery is stored once, carried out exactly once in effect by whoever holds it, and never lost unseen. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { ChannelError, type ChannelMessage, type Order } from '../../src/connectors/connector.ts';
import { silentLog } from '../../src/log.ts';
import type { Connections } from '../../src/sync/connections.ts';
import {
  type Delivery,
  type InboxOptions,
  openInbox,
  processDelivery,
  type ShownStock,
  storeDelivery,
  workOffInbox,
} from '../../src/sync/inbox.ts';
import type { OrderEffect } from '../../src/sync/orders.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas, ledgerBreaches, readStock } from '../support/ledgerState.ts';
import { createGate, waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;
let item: fixtures.TestItem;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  // Nothing of the test before may be claimed by this one.
  await open.pool.query('DELETE FROM webhook_deliveries');
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  connections = support.connectTo(open.pool, { shopify: channel });
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 10 });
});

const leaseMs = 60_000;

const options = (more: Partial<InboxOptions> = {}): InboxOptions => ({
  db: open.pool,
  connections,
  clock: systemClock,
  log: silentLog(),
  batchMax: 5,
  connectionMax: 5,
  leaseMs,
  attemptsMax: 4,
  backoffMaxMs: 3_000,
  onApplied: () => undefined,
  onShown: async () => undefined,
  ...more,
});

const sold = (fields: Partial<Order> = {}): Order =>
  fixtures.order({ lines: [fixtures.orderLine({ sku: item.sku, reserved: 2 })], ...fields });

const store = (
  body: Buffer,
  lease: number | null = null,
  deliveryId = fixtures.unique('delivery'),
): Promise<Delivery | null> =>
  storeDelivery(
    open.pool,
    { accountId: connection.accountId, connectionId: connection.id, deliveryId, topic: 'orders', body },
    lease,
  );

const storeMessages = (...messages: readonly ChannelMessage[]): Promise<Delivery | null> =>
  store(support.deliveryBody(...messages));

type Row = {
  status: string;
  attempts: number;
  error: string | null;
  leased: boolean;
  wait_ms: number;
  processed: boolean;
};

async function readDeliveries(): Promise<Row[]> {
  const { rows } = await open.pool.query<Row>(
    `SELECT status::text, attempts, error, coalesce(leased_until >= now(), false) AS leased, processed_at IS NOT NULL AS processed,
            greatest(0, extract(epoch FROM not_before - now()) * 1000)::int AS wait_ms
       FROM webhook_deliveries WHERE connection_id = $1 ORDER BY received_at, id`,
    [connection.id],
  );
  return rows;
}

const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, connection.id, ms);

describe('storing', () => {
  test('keeps a delivery once, however often and however concurrently the channel repeats it', async () => {
    const body = support.deliveryBody({ kind: 'order', order: sold() });
    const stored = await Promise.all(Array.from({ length: 8 }, async () => store(body, null, 'the same')));
    expect(stored.filter((delivery) => delivery !== null)).toHaveLength(1);
    await workOffInbox(options());
    expect(await store(body, null, 'the same')).toBeNull();
    expect(await readDeliveries()).toMatchObject([{ status: 'processed', attempts: 1 }]);
  });

  test('tells the same id of two connections apart', async () => {
    const other = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
    await store(Buffer.from('[]'), null, '7');
    const second = {
      accountId: other.accountId,
      connectionId: other.id,
      deliveryId: '7',
      topic: 'orders',
      body: Buffer.from('[]'),
    };
    expect(await storeDelivery(open.pool, second, null)).toMatchObject({ connectionId: other.id });
  });

  test('keeps the very bytes', async () => {
    const body = Buffer.from([0, 255, 10, 13, 0, 128]);
    await store(body);
    const { rows } = await open.pool.query<{ body: Buffer }>(
      'SELECT body FROM webhook_deliveries WHERE connection_id = $1',
      [connection.id],
    );
    expect(rows[0]?.body.equals(body)).toBe(true);
  });
});

describe('a lease', () => {
  test('of the process that stored the delivery keeps others away until it ends', async () => {
    const own = await store(support.deliveryBody({ kind: 'order', order: sold() }), leaseMs);
    expect(own).toMatchObject({ attempts: 1 });
    await workOffInbox(options());
    expect(await readDeliveries()).toMatchObject([{ status: 'pending', attempts: 1, leased: true }]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([]);

    // The process has died.
    await pass(leaseMs + 1);
    await workOffInbox(options());
    expect(await readDeliveries()).toMatchObject([{ status: 'processed', attempts: 2, leased: false }]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });

  test('that ends while its holder is only slow costs nothing: both apply, one counts', async () => {
    const gate = createGate<Order | null>();
    const asked = createGate();
    const order = sold();
    channel.onOrder = () => {
      channel.onOrder = () => order;
      asked.open();
      return gate.opened;
    };
    const slow = await store(support.deliveryBody({ kind: 'orderChanged', orderId: order.orderId }), leaseMs);
    if (slow === null) throw new Error('it was not stored');
    const working = processDelivery(options(), slow);
    await asked.opened;
    await pass(leaseMs + 1);
    await workOffInbox(options());
    gate.open(order);
    await working;
    expect(await readDeliveries()).toMatchObject([{ status: 'processed' }]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });

  test('is never given to two of several workers that look at once', async () => {
    const orders = Array.from({ length: 30 }, () =>
      sold({ lines: [fixtures.orderLine({ sku: item.sku, reserved: 1 })] }),
    );
    for (const order of orders) await storeMessages({ kind: 'orderChanged', orderId: order.orderId });
    const asked: string[] = [];
    channel.onOrder = (orderId) => {
      asked.push(orderId);
      return orders.find((order) => order.orderId === orderId) ?? null;
    };
    await Promise.all(Array.from({ length: 6 }, async () => workOffInbox(options())));
    expect(asked.toSorted()).toEqual(orders.map(({ orderId }) => orderId).toSorted());
    expect(await readStock(open.pool, item.id)).toMatchObject({ reserved: 30, available: -20 });
    expect(
      (await readDeliveries()).every(({ status, attempts }) => status === 'processed' && attempts === 1),
    ).toBe(true);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });
});

describe('an order', () => {
  test('closes its delivery in the statement that applies it: both happen or neither', async () => {
    await storeMessages({ kind: 'order', order: sold() });
    await open.pool.query(
      `ALTER TABLE events ADD CONSTRAINT nothing_more CHECK (topic <> 'order') NOT VALID`,
    );
    try {
      await workOffInbox(options());
    } finally {
      await open.pool.query('ALTER TABLE events DROP CONSTRAINT nothing_more');
    }
    expect(await readDeliveries()).toMatchObject([
      { status: 'pending', attempts: 1, processed: false, error: expect.stringContaining('nothing_more') },
    ]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([]);

    await pass(5_000);
    await workOffInbox(options());
    expect(await readDeliveries()).toMatchObject([{ status: 'processed', processed: true, error: null }]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
  });

  test('that is already known closes its delivery too, and nobody is told of a change', async () => {
    const order = sold();
    const effects: OrderEffect[] = [];
    await storeMessages({ kind: 'order', order });
    await storeMessages({ kind: 'order', order });
    await workOffInbox(options({ batchMax: 1, onApplied: (effect) => void effects.push(effect) }));
    expect(await readDeliveries()).toMatchObject([{ status: 'processed' }, { status: 'processed' }]);
    expect(effects).toMatchObject([{ changed: true }]);
  });

  test('that the channel only names is fetched; one that it does not know is noted', async () => {
    const order = sold();
    channel.orders.set(order.orderId, order);
    await storeMessages({ kind: 'orderChanged', orderId: order.orderId });
    await storeMessages({ kind: 'orderChanged', orderId: 'ghost' });
    await workOffInbox(options());
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
    const ends = (await readDeliveries()).map(({ status, error }) => `${status}: ${error ?? ''}`);
    expect(ends.toSorted()).toEqual(['processed: ', 'processed: the channel does not know order ghost']);
  });

  test('of several in one delivery is applied with all the others', async () => {
    await storeMessages(
      { kind: 'order', order: sold() },
      { kind: 'ignored', reason: 'a test' },
      { kind: 'order', order: sold() },
    );
    await workOffInbox(options());
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2, -2]);
    expect(await readDeliveries()).toMatchObject([{ status: 'processed' }]);
  });
});

describe('a delivery that cannot be carried out', () => {
  test('is tried again with growing pauses and set aside as failed after the last attempt', async () => {
    channel.onOrder = () => {
      throw new ChannelError('unavailable', 'maintenance');
    };
    await storeMessages({ kind: 'orderChanged', orderId: '1' });
    const seen: [string, number, number][] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      await workOffInbox(options());
      const [row] = await readDeliveries();
      seen.push([row?.status ?? '', row?.attempts ?? 0, Math.ceil((row?.wait_ms ?? 0) / 1_000)]);
      await pass(10_000);
    }
    expect(seen.slice(0, 4)).toEqual([
      ['pending', 1, 1],
      ['pending', 2, 2],
      ['pending', 3, 3],
      ['failed', 4, 3],
    ]);
    expect(seen.at(-1)?.slice(0, 2)).toEqual(['failed', 4]);
    expect(await readDeliveries()).toMatchObject([
      { error: 'unavailable: maintenance', leased: false, processed: false },
    ]);
  });

  test('is not set aside early: the last attempt may still succeed', async () => {
    const order = sold();
    let answers = 0;
    channel.onOrder = () => {
      answers += 1;
      if (answers < 4) throw new ChannelError('timeout', 'slow');
      return order;
    };
    await storeMessages({ kind: 'orderChanged', orderId: order.orderId });
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await workOffInbox(options());
      await pass(10_000);
    }
    expect(await readDeliveries()).toMatchObject([{ status: 'processed', attempts: 4 }]);
  });

  test('does not hold up the others', async () => {
    await store(Buffer.from('no JSON'));
    await storeMessages({ kind: 'order', order: sold() });
    await workOffInbox(options({ batchMax: 1 }));
    expect((await readDeliveries()).map(({ status }) => status).toSorted()).toEqual(['pending', 'processed']);
  });

  test('because the connection is paused is closed with a note: the next poll brings its order', async () => {
    await open.pool.query(`UPDATE connections SET status = 'paused' WHERE id = $1`, [connection.id]);
    await storeMessages({ kind: 'order', order: sold() });
    await workOffInbox(options());
    expect(await readDeliveries()).toMatchObject([
      { status: 'processed', error: 'the connection is paused or gone' },
    ]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([]);
  });
});

test('a hint about stock is handed over as knowledge of the channel, and moves nothing', async () => {
  const at = fixtures.after(10);
  const address = { unitId: '5', variantId: '' };
  const told: ShownStock[] = [];
  await storeMessages({ kind: 'stockChanged', address, quantity: 3, at });
  await workOffInbox(options({ onShown: async (_channel, shown) => void told.push(shown) }));
  expect(told).toEqual([{ kind: 'stockChanged', address, quantity: 3, at }]);
  expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 10, reserved: 0, seq: 1 });
  expect(await readDeliveries()).toMatchObject([{ status: 'processed' }]);
});

describe('a channel that does not answer', () => {
  const silentThen = createGate<Order | null>();

  test("holds up its own deliveries and nobody else's, however many of them wait", async () => {
    const silent = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
    const silentChannel = support.createChannel('etsy');
    const asked: string[] = [];
    silentChannel.onOrder = (orderId) => {
      asked.push(orderId);
      return silentThen.opened;
    };
    const connected = support.connectTo(open.pool, { shopify: channel, etsy: silentChannel });
    for (let n = 0; n < 40; n += 1) {
      const body = support.deliveryBody({ kind: 'orderChanged', orderId: `silent-${n}` });
      await storeDelivery(
        open.pool,
        { accountId: silent.accountId, connectionId: silent.id, deliveryId: `${n}`, topic: 'orders', body },
        null,
      );
    }
    await storeMessages({ kind: 'order', order: sold() });
    const inbox = openInbox(options({ connections: connected, batchMax: 10, connectionMax: 3 }));
    await inbox.look();
    await waitFor(async () => (await readDeliveries()).every(({ status }) => status === 'processed'));
    expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
    expect(asked).toHaveLength(3);

    // Also what comes later finds room.
    await storeMessages({ kind: 'order', order: sold() });
    await inbox.look();
    await waitFor(async () => (await readDeliveries()).every(({ status }) => status === 'processed'));
    expect(asked).toHaveLength(3);
    silentThen.open(null);
    await inbox.idle();
    expect(new Set(asked).size).toBe(40);
  });

  test('leaves the first places to the connections that have nothing under way', async () => {
    const busy = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
    const bodies = Array.from({ length: 6 }, (_, n) => [busy, `b${n}`] as const);
    for (const [{ accountId, id: connectionId }, deliveryId] of [...bodies, [connection, 'quiet'] as const]) {
      const body = support.deliveryBody({ kind: 'ignored', reason: deliveryId });
      await storeDelivery(open.pool, { accountId, connectionId, deliveryId, topic: 'orders', body }, null);
    }
    // The column keeps milliseconds, and rounded up the last one would be due a moment after the others.
    await open.pool.query(`UPDATE webhook_deliveries SET not_before = not_before - interval '1 s'`);
    const read = support.createChannel();
    read.onParse = () => [];
    const connected = support.connectTo(open.pool, { shopify: read, etsy: read });
    const taken: string[] = [];
    const two = createGate();
    const slow: Connections = {
      ...connected,
      async open(id) {
        taken.push(id);
        if (taken.length === 2) two.open();
        await two.opened;
        return connected.open(id);
      },
    };
    await workOffInbox(options({ connections: slow, batchMax: 2, connectionMax: 2 }));
    expect(taken.slice(0, 2)).toContain(connection.id);
    expect(taken).toHaveLength(7);
  });
});

test('a revoked access marks the connection for the seller', async () => {
  await storeMessages({ kind: 'authorizationRevoked' });
  await workOffInbox(options());
  const { rows } = await open.pool.query('SELECT status::text FROM connections WHERE id = $1', [
    connection.id,
  ]);
  expect(rows).toEqual([{ status: 'needs_authorization' }]);
});
