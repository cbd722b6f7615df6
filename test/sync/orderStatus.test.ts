/** Proves the seller's own word on an order: the channel hears of a parcel first and once, and stock moves once. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { ChannelError, type Order, type OrderStatus } from '../../src/connectors/connector.ts';
import { updateOrderStatus } from '../../src/sync/orderStatus.ts';
import { applyOrder, type OrderEffect } from '../../src/sync/orders.ts';
import type { Caller, Outcome } from '../../src/sync/outcome.ts';
import type { OrderStatusInput } from '../../src/sync/sync.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas, readStock } from '../support/ledgerState.ts';
import { createGate, waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let item: fixtures.TestItem;
let caller: Caller;
let effects: OrderEffect[];

beforeAll(async () => {
  open = await fixtures.openTestPool(12);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  effects = [];
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 10 });
  caller = { accountId: connection.accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
});

const update = (
  orderId: string,
  status: OrderStatus,
  more: Partial<OrderStatusInput> = {},
): Promise<Outcome<{ orderId: string }>> =>
  updateOrderStatus(
    {
      pool: open.pool,
      connections: support.connectTo(open.pool, { shopify: channel }),
      clock: systemClock,
      leaseMs: 60_000,
      onApplied: (effect) => void effects.push(effect),
    },
    caller,
    {
      orderId,
      status,
      carrier: 'DHL',
      trackingNumber: '00340',
      idempotencyKey: fixtures.unique('key'),
      ...more,
    },
  );

async function receive(order: Order): Promise<string> {
  const effect = await applyOrder(
    open.pool,
    fixtures.source(connection, { observedAt: order.updatedAt }),
    order,
  );
  if (effect.orderId === null) throw new Error('the order changed nothing');
  return effect.orderId;
}

const sold = (status: OrderStatus = 'processing', fields: Partial<Order> = {}): Order =>
  fixtures.order({ status, lines: [fixtures.orderLine({ sku: item.sku, reserved: 3 })], ...fields });

async function statusOf(orderId: string): Promise<string> {
  const { rows } = await open.pool.query<{ status: string }>(
    'SELECT status::text FROM orders WHERE id = $1',
    [orderId],
  );
  return rows[0]?.status ?? '';
}

const untouched = { quantity: 10, reserved: 3, seq: 2 };
const problem = (code: string) => ({ ok: false, problems: [{ code }] });

describe('a status', () => {
  const forward = new Set([
    'pending shipped',
    'pending delivered',
    'pending cancelled',
    'processing shipped',
    'processing delivered',
    'processing cancelled',
    'shipped delivered',
  ]);
  const statuses = ['pending', 'processing', 'shipped', 'delivered', 'cancelled'] as const;
  const pairs = statuses.flatMap((from) => statuses.map((to) => [from, to] as const));

  test.each(pairs.filter((pair) => forward.has(pair.join(' '))))('%s becomes %s', async (from, to) => {
    const orderId = await receive(sold(from));
    expect(await update(orderId, to)).toEqual({ ok: true, value: { orderId } });
    expect(await statusOf(orderId)).toBe(to);
  });

  test.each(pairs.filter((pair) => !forward.has(pair.join(' '))))('%s never becomes %s', async (from, to) => {
    const orderId = await receive(sold(from));
    expect(await update(orderId, to)).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_TRANSITION', current: from, field: ['input', 'status'] }],
    });
    expect(channel.shipments).toEqual([]);
    expect(await readStock(open.pool, item.id)).toMatchObject(untouched);
  });

  test('of another account’s order is not found', async () => {
    const orderId = await receive(sold());
    caller = { ...caller, accountId: await fixtures.insertAccount(open.pool) };
    expect(await update(orderId, 'shipped')).toMatchObject(problem('NOT_FOUND'));
    expect(channel.shipments).toEqual([]);
  });
});

describe('shipping', () => {
  test('tells the channel first, with the open units of each line, and only then takes them off the shelf', async () => {
    const order = sold('processing', {
      lines: [
        fixtures.orderLine({ lineId: 'open', sku: item.sku, reserved: 3 }),
        fixtures.orderLine({ lineId: 'gone', sku: item.sku, reserved: 0, shipped: 1 }),
      ],
    });
    const orderId = await receive(order);
    channel.onShip = async () => {
      expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 9, reserved: 3 });
    };
    expect(await update(orderId, 'shipped')).toMatchObject({ ok: true });
    expect(channel.shipments).toMatchObject([
      {
        orderId: order.orderId,
        shipment: { carrier: 'DHL', trackingNumber: '00340', lines: [{ lineId: 'open', quantity: 3 }] },
      },
    ]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 6, reserved: 0 });
    expect(effects).toHaveLength(1);
  });

  test('that meets a refused access is reported at once', async () => {
    const orderId = await receive(sold());
    channel.onShip = () => {
      throw new ChannelError('unauthorized', 'the token is refused');
    };
    expect(await update(orderId, 'shipped')).toMatchObject({ ok: false });
    const { rows } = await open.pool.query<{ status: string }>(
      'SELECT status::text FROM connections WHERE id = (SELECT connection_id FROM orders WHERE id = $1)',
      [orderId],
    );
    expect(rows).toEqual([{ status: 'needs_authorization' }]);
  });

  test('that the channel refuses leaves everything as it was, and the key may be used again', async () => {
    const orderId = await receive(sold());
    channel.onShip = () => {
      throw new ChannelError('rejected', 'the tracking number is wrong', { raw: { code: 'TRACKING' } });
    };
    const refusal = await update(orderId, 'shipped', { idempotencyKey: 'k' });
    expect(refusal).toMatchObject({
      ok: false,
      problems: [{ code: 'CHANNEL_REJECTED', raw: '{"code":"TRACKING"}' }],
    });
    expect(await readStock(open.pool, item.id)).toMatchObject(untouched);
    expect(await statusOf(orderId)).toBe('processing');
    expect(effects).toEqual([]);

    channel.onShip = () => undefined;
    expect(await update(orderId, 'shipped', { idempotencyKey: 'k', trackingNumber: 'right' })).toMatchObject({
      ok: true,
    });
  });

  test('on a paused connection is refused', async () => {
    const orderId = await receive(sold());
    await open.pool.query(`UPDATE connections SET status = 'paused' WHERE id = $1`, [connection.id]);
    expect(await update(orderId, 'shipped')).toMatchObject(problem('CHANNEL_REJECTED'));
    expect(await statusOf(orderId)).toBe('processing');
  });

  test('what the channel says is shipped already is not told again', async () => {
    const orderId = await receive(sold('shipped'));
    expect(await update(orderId, 'delivered')).toMatchObject({ ok: true });
    expect(channel.shipments).toEqual([]);
  });

  test('is what an order that is delivered at once has gone through: the channel is told', async () => {
    const orderId = await receive(sold());
    expect(await update(orderId, 'delivered')).toMatchObject({ ok: true });
    expect(channel.shipments).toHaveLength(1);
    expect(await statusOf(orderId)).toBe('delivered');
  });

  test('is not what cancelled means: the channel is not told', async () => {
    await update(await receive(sold()), 'cancelled');
    expect(channel.shipments).toEqual([]);
  });

  test('twice with the same key answers the first result and ships once', async () => {
    const orderId = await receive(sold());
    const first = await update(orderId, 'shipped', { idempotencyKey: 'k' });
    expect(await update(orderId, 'shipped', { idempotencyKey: 'k' })).toEqual(first);
    // Also when the order has gone on since.
    await update(orderId, 'delivered');
    expect(await update(orderId, 'shipped', { idempotencyKey: 'k' })).toEqual(first);
    expect(channel.shipments).toHaveLength(1);
    expect(effects).toHaveLength(2);
  });

  test('under a key that was used for something else never reaches the channel', async () => {
    const first = await receive(sold());
    const second = await receive(sold());
    await update(first, 'shipped', { idempotencyKey: 'k' });
    expect(await update(second, 'shipped', { idempotencyKey: 'k' })).toMatchObject(
      problem('IDEMPOTENCY_KEY_REUSED'),
    );
    expect(channel.shipments).toHaveLength(1);
    expect(await statusOf(second)).toBe('processing');
  });

  test.each([
    ['the same key', ['k', 'k']],
    ['different keys', ['k', 'l']],
  ] as const)('asked for twice at once with %s ships once', async (_what, keys) => {
    const orderId = await receive(sold());
    const gate = createGate();
    const told = createGate();
    channel.onShip = () => {
      told.open();
      return gate.opened;
    };
    const first = update(orderId, 'shipped', { idempotencyKey: keys[0] });
    await told.opened;
    const second = await update(orderId, 'shipped', { idempotencyKey: keys[1] });
    expect(second).toMatchObject(problem('IN_PROGRESS'));
    gate.open();
    expect(await first).toEqual({ ok: true, value: { orderId } });
    expect(channel.shipments).toHaveLength(1);
    expect(await update(orderId, 'shipped', { idempotencyKey: keys[1] })).toMatchObject(
      keys[1] === 'k' ? { ok: true, value: { orderId } } : problem('INVALID_TRANSITION'),
    );
    expect(await availableDeltas(open.pool, item.id)).toEqual([-3, 0]);
    expect(effects).toHaveLength(1);
  });

  test('is told once although the process died between the channel and the ledger', async () => {
    const orderId = await receive(sold());
    await open.pool.query(`ALTER TABLE events ADD CONSTRAINT killed CHECK (topic <> 'order') NOT VALID`);
    try {
      await expect(update(orderId, 'shipped')).rejects.toThrow('killed');
    } finally {
      await open.pool.query('ALTER TABLE events DROP CONSTRAINT killed');
    }
    expect(await readStock(open.pool, item.id)).toMatchObject(untouched);
    expect(await update(orderId, 'shipped')).toMatchObject({ ok: true });
    expect(channel.shipments).toHaveLength(1);
    expect(await statusOf(orderId)).toBe('shipped');
  });

  test('may be told by another request when the first one died during the call', async () => {
    const orderId = await receive(sold());
    channel.onShip = () => createGate().opened;
    void update(orderId, 'shipped');
    await waitFor(() => channel.shipments.length === 1);
    channel.onShip = () => undefined;
    expect(await update(orderId, 'shipped')).toMatchObject(problem('IN_PROGRESS'));
    await open.pool.query(
      `UPDATE idempotency_keys SET created_at = created_at - interval '61 s' WHERE account_id = $1`,
      [caller.accountId],
    );
    expect(await update(orderId, 'shipped')).toMatchObject({ ok: true });
  });

  test('is possible again after a failure that nobody expected', async () => {
    const orderId = await receive(sold());
    channel.onShip = () => {
      throw new TypeError('a bug');
    };
    await expect(update(orderId, 'shipped')).rejects.toThrow('a bug');
    channel.onShip = () => undefined;
    expect(await update(orderId, 'shipped')).toMatchObject({ ok: true });
  });

  test('many orders at once needs no more connections than there are', async () => {
    const orders = await Promise.all(Array.from({ length: 30 }, async () => receive(sold())));
    const outcomes = await Promise.all(orders.map(async (orderId) => update(orderId, 'shipped')));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(channel.shipments).toHaveLength(30);
  });
});

test.each(['shipped', 'cancelled'] as const)(
  'what the channel says after the seller’s own %s moves nothing twice',
  async (word) => {
    const order = sold();
    const orderId = await receive(order);
    await update(orderId, word);
    const after = await readStock(open.pool, item.id);
    const line = fixtures.orderLine({ sku: item.sku, reserved: 0, shipped: word === 'shipped' ? 3 : 0 });
    await receive({ ...order, updatedAt: fixtures.after(1), customerName: 'Ada King' });
    await receive({ ...order, updatedAt: fixtures.after(2), status: word, lines: [line] });
    expect(await readStock(open.pool, item.id)).toEqual(after);
    expect(await statusOf(orderId)).toBe(word);
  },
);
