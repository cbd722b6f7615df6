/** Proves that an oversell is recorded, told and named with every order involved, however close together those orders come. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Order } from '../../src/connectors/connector.ts';
import { adjust } from '../../src/sync/ledger.ts';
import { applyOrder, type OrderEffect } from '../../src/sync/orders.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connections: readonly fixtures.TestConnection[];

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  connections = [
    await fixtures.insertConnection(open.pool, accountId, 'etsy'),
    await fixtures.insertConnection(open.pool, accountId, 'shopify'),
  ];
});

function connectionAt(index: number): fixtures.TestConnection {
  const connection = connections[index % connections.length];
  if (connection === undefined) throw new Error('there is no connection');
  return connection;
}

const newItem = (onHand: number): Promise<fixtures.TestItem> =>
  fixtures.insertItem(open.pool, connectionAt(0).accountId, { onHand });

const receive = (order: Order, channel = 0): Promise<OrderEffect> =>
  applyOrder(open.pool, fixtures.source(connectionAt(channel), { observedAt: order.updatedAt }), order);

/** The same order at `seconds`, now holding `reserved` units of the item. */
const saleOf = (
  item: fixtures.TestItem,
  reserved: number,
  seconds = 0,
  orderId = fixtures.unique('order'),
): Order =>
  fixtures.order({
    orderId,
    updatedAt: fixtures.after(seconds),
    lines: [fixtures.orderLine({ sku: item.sku, reserved })],
  });

const moveOnHand = (item: fixtures.TestItem, onHandDelta: number): Promise<unknown> =>
  adjust(open.pool, {
    accountId: item.accountId,
    itemId: item.id,
    onHandDelta,
    idempotencyKey: fixtures.unique('key'),
    kind: 'adjustment',
    reason: 'received',
    reference: null,
    actor: systemActor,
  });

type AlertState = { id: string; status: string; units: number; orders: string[] };

async function alertsOf(item: fixtures.TestItem): Promise<AlertState[]> {
  const { rows } = await open.pool.query<AlertState>(
    `SELECT id, status, units, (SELECT coalesce(array_agg(order_id::text ORDER BY order_id), '{}') FROM alert_orders WHERE alert_id = alert.id) AS orders
       FROM alerts alert WHERE item_id = $1 ORDER BY id`,
    [item.id],
  );
  return rows;
}

type Told = { status: string; units: number; orderIds: string[]; withMovement: boolean };

/** The alert events about an item, and whether each committed together with a movement of that item. */
async function alertEvents(item: fixtures.TestItem): Promise<Told[]> {
  const { rows } = await open.pool.query<Told>(
    `SELECT payload->>'status' AS status, (payload->>'units')::int AS units, payload->'orderIds' AS "orderIds",
            EXISTS (SELECT FROM stock_movements movement WHERE movement.xmin = event.xmin AND movement.item_id = $1) AS "withMovement"
       FROM events event WHERE topic = 'alert' AND payload->>'itemId' = $1::text ORDER BY id`,
    [item.id],
  );
  return rows;
}

const ids = (...effects: readonly OrderEffect[]): string[] =>
  effects.map(({ orderId }) => orderId ?? '').toSorted();

describe('nothing is clamped: promising more than there is', () => {
  test('raises an alert that names the orders, one for all that still wait for the item, in the same commit', async () => {
    const item = await newItem(2);
    const first = await receive(saleOf(item, 2), 0);
    expect(first.alertChanged).toBe(false);
    expect(await alertsOf(item)).toEqual([]);
    const second = await receive(saleOf(item, 3), 1);
    expect(second.alertChanged).toBe(true);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 2, reserved: 5, available: -3 });
    expect(await alertsOf(item)).toMatchObject([{ status: 'open', units: 3, orders: ids(first, second) }]);
    expect(await alertEvents(item)).toEqual([
      { status: 'open', units: 3, orderIds: ids(first, second), withMovement: true },
    ]);
  });

  test('raises none when it only reaches zero', async () => {
    const item = await newItem(2);
    expect((await receive(saleOf(item, 2))).alertChanged).toBe(false);
    expect(await alertsOf(item)).toEqual([]);
  });

  test('does not name orders that have left the shelf or were cancelled', async () => {
    const item = await newItem(3);
    const shipped = saleOf(item, 1);
    const cancelled = saleOf(item, 1);
    for (const order of [shipped, cancelled]) await receive(order);
    const gone = fixtures.orderLine({ sku: item.sku, reserved: 0, shipped: 1 });
    await receive({ ...shipped, updatedAt: fixtures.after(1), lines: [gone] });
    await receive(saleOf(item, 0, 1, cancelled.orderId));
    const waiting = await receive(saleOf(item, 5));
    expect(await alertsOf(item)).toMatchObject([{ units: 3, orders: ids(waiting) }]);
  });
});

describe('the last unit sold on several channels at the same moment', () => {
  test.each([2, 6])('leaves one alert that names all %i orders, every time', async (buyers) => {
    for (let round = 0; round < 120 / buyers; round += 1) {
      const item = await newItem(1);
      const effects = await Promise.all(
        Array.from({ length: buyers }, (_, channel) => receive(saleOf(item, 1), channel)),
      );
      expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 1, reserved: buyers });
      expect(await alertsOf(item)).toMatchObject([
        { status: 'open', units: buyers - 1, orders: ids(...effects) },
      ]);
      const told = await alertEvents(item);
      expect(told.at(-1)).toEqual({
        status: 'open',
        units: buyers - 1,
        orderIds: ids(...effects),
        withMovement: true,
      });
      expect(told).toHaveLength(buyers - 1);
    }
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('names an order that was committed while the other one waited for the item', async () => {
    const item = await newItem(1);
    const slow = await open.pool.connect();
    await slow.query('BEGIN');
    const order = saleOf(item, 1);
    const first = await applyOrder(slow, fixtures.source(connectionAt(0)), order);
    const waiting = receive(saleOf(item, 1), 1);
    await fixtures.waitForBlocked(open.pool, 1);
    await slow.query('COMMIT');
    slow.release();
    const second = await waiting;
    expect(await alertsOf(item)).toMatchObject([{ units: 1, orders: ids(first, second) }]);
  });
});

async function oversold(): Promise<{ item: fixtures.TestItem; orderId: string }> {
  const item = await newItem(1);
  await receive(saleOf(item, 1));
  const order = saleOf(item, 2);
  await receive(order);
  return { item, orderId: order.orderId };
}

const acknowledge = (item: fixtures.TestItem): Promise<unknown> =>
  open.pool.query(`UPDATE alerts SET status = 'acknowledged' WHERE item_id = $1 AND status = 'open'`, [
    item.id,
  ]);

describe('an alert', () => {
  test('resolves when a cancellation brings available back to zero, and tells so', async () => {
    const { item, orderId } = await oversold();
    expect((await receive(saleOf(item, 0, 1, orderId))).alertChanged).toBe(true);
    expect(await alertsOf(item)).toMatchObject([{ status: 'resolved', units: 0 }]);
    expect((await alertEvents(item)).at(-1)).toMatchObject({
      status: 'resolved',
      units: 0,
      withMovement: true,
    });
  });

  test('resolves when enough is received, not before, and acknowledged or not', async () => {
    const { item } = await oversold();
    await acknowledge(item);
    await moveOnHand(item, 1);
    expect(await alertsOf(item)).toMatchObject([{ status: 'acknowledged', units: 1 }]);
    await moveOnHand(item, 1);
    expect(await alertsOf(item)).toMatchObject([{ status: 'resolved', units: 0 }]);
  });

  test('opens again when it grows after it was acknowledged, as the same alert', async () => {
    const { item } = await oversold();
    const [before] = await alertsOf(item);
    await acknowledge(item);
    await receive(saleOf(item, 1));
    expect(await alertsOf(item)).toMatchObject([{ id: before?.id, status: 'open', units: 3 }]);
  });

  test('stays acknowledged when it shrinks or stays', async () => {
    const { item, orderId } = await oversold();
    await acknowledge(item);
    await receive(saleOf(item, 1, 1, orderId));
    const shipped = fixtures.orderLine({ sku: item.sku, reserved: 0, shipped: 1 });
    await receive(fixtures.order({ orderId, updatedAt: fixtures.after(2), lines: [shipped] }));
    expect(await alertsOf(item)).toMatchObject([{ status: 'acknowledged', units: 1 }]);
  });

  test('of a later oversell is a new one, and there is never more than one that is not resolved', async () => {
    const { item } = await oversold();
    await moveOnHand(item, 2);
    await receive(saleOf(item, 1));
    expect((await alertsOf(item)).map(({ status, units }) => [status, units])).toEqual([
      ['resolved', 0],
      ['open', 1],
    ]);
    const second = open.pool.query(
      `INSERT INTO alerts (account_id, kind, item_id, units) VALUES ($1, 'oversell', $2, 1)`,
      [item.accountId, item.id],
    );
    await expect(second).rejects.toMatchObject({ constraint: 'alerts_current_key' });
  });

  test('rises from lost goods as from a sale', async () => {
    const item = await newItem(1);
    const { orderId } = await receive(saleOf(item, 1));
    await moveOnHand(item, -1);
    expect(await alertsOf(item)).toMatchObject([{ status: 'open', units: 1, orders: [orderId] }]);
  });
});
