/** Proves what one order does: which item its lines find, what the seller's own word changes, which listings it makes dirty. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Order, OrderLine } from '../../src/connectors/connector.ts';
import { inTransaction, type Queryable } from '../../src/db.ts';
import { applyOrder, type OrderEffect, type Reapplication, reapplyOrder } from '../../src/sync/orders.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas, ledgerBreaches, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
});

const newItem = (onHand: number, sku = fixtures.unique('SKU')): Promise<fixtures.TestItem> =>
  fixtures.insertItem(open.pool, connection.accountId, { onHand, sku });

const receive = (order: Order, from = connection): Promise<OrderEffect> =>
  applyOrder(open.pool, fixtures.source(from, { observedAt: order.updatedAt }), order);

const orderOf = (...lines: readonly OrderLine[]): Order => fixtures.order({ lines });

/** The same order `seconds` later. */
const later = (order: Order, seconds: number, ...lines: readonly OrderLine[]): Order => ({
  ...order,
  lines,
  updatedAt: fixtures.after(seconds),
});

async function reapply(
  orderId: string | null,
  localStatus: Reapplication['localStatus'] = null,
  db: Queryable = open.pool,
): Promise<OrderEffect> {
  const { accountId } = connection;
  return reapplyOrder(db, { accountId, orderId: orderId ?? '', localStatus, actor: systemActor });
}

async function readOrder(orderId: string | null): Promise<Record<string, unknown>> {
  const { rows } = await open.pool.query(
    'SELECT status, channel_status, local_status, revision::int, item_count FROM orders WHERE id = $1',
    [orderId],
  );
  return rows[0] ?? {};
}

describe('a line of an unknown SKU', () => {
  test('is kept with its order and waits in an inbox, and holds nothing', async () => {
    const known = await newItem(5);
    const effect = await receive(
      orderOf(
        fixtures.orderLine({ lineId: 'a', sku: 'nobody-knows-me', reserved: 2 }),
        fixtures.orderLine({ lineId: 'b', sku: known.sku, reserved: 1 }),
        fixtures.orderLine({ lineId: 'c', sku: '', reserved: 1 }),
        fixtures.orderLine({ lineId: 'd', sku: null, reserved: 1 }),
      ),
    );
    expect(effect).toMatchObject({ changed: true, unmatchedLines: 3 });
    expect(effect.movementIds).toHaveLength(1);
    const { rows } = await open.pool.query(
      'SELECT platform_line_id, sku, reserved, held_reserved FROM order_lines WHERE order_id = $1 AND item_id IS NULL ORDER BY position',
      [effect.orderId],
    );
    expect(rows).toEqual([
      { platform_line_id: 'a', sku: 'nobody-knows-me', reserved: 2, held_reserved: 0 },
      { platform_line_id: 'c', sku: null, reserved: 1, held_reserved: 0 },
      { platform_line_id: 'd', sku: null, reserved: 1, held_reserved: 0 },
    ]);
  });

  test.each(['alias', 'item', 'listing SKU', 'listing address'] as const)(
    'holds exactly once after its %s became known, however often it is applied again',
    async (how) => {
      const address = { unitId: '111', variantId: 'blue' };
      const line = fixtures.orderLine({ sku: 'strange', address, reserved: 2 });
      const { orderId } = await receive(orderOf(line));
      const item = await newItem(5, how === 'item' ? 'strange' : 'plain');
      if (how === 'alias') await fixtures.insertAlias(open.pool, item, 'strange');
      if (how === 'listing SKU')
        await fixtures.insertListing(open.pool, connection, { itemId: item.id, sku: 'strange' });
      if (how === 'listing address')
        await fixtures.insertListing(open.pool, connection, { itemId: item.id, ...address });

      const first = await reapply(orderId);
      expect(first).toMatchObject({ changed: true, unmatchedLines: 0 });
      expect(first.movementIds).toHaveLength(1);
      expect((await reapply(orderId)).movementIds).toEqual([]);
      expect(await availableDeltas(open.pool, item.id)).toEqual([-2]);
    },
  );

  test('that was already shipped when it became known takes its units off the shelf', async () => {
    const order = orderOf(fixtures.orderLine({ sku: 'strange', reserved: 2 }));
    const { orderId } = await receive(order);
    await receive(later(order, 1, fixtures.orderLine({ sku: 'strange', reserved: 0, shipped: 2 })));
    const item = await newItem(5, 'strange');
    await reapply(orderId);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 3, reserved: 0 });
  });
});

describe('a line finds its item', () => {
  test('by address first, then by the SKU of a listing there, then by the SKU of an item, then by an alias', async () => {
    const address = { unitId: '222', variantId: '' };
    const [byAddress, byListing, bySku, byAlias] = await Promise.all([
      newItem(9),
      newItem(9),
      newItem(9, 'spelling'),
      newItem(9),
    ]);
    await fixtures.insertAlias(open.pool, byAlias, 'other spelling');
    const lines = (id: string): OrderLine[] => [
      fixtures.orderLine({ lineId: `${id}a`, sku: 'spelling', address }),
      fixtures.orderLine({ lineId: `${id}b`, sku: 'spelling' }),
      fixtures.orderLine({ lineId: `${id}c`, sku: 'other spelling' }),
    ];
    await receive(orderOf(...lines('1')));
    await fixtures.insertListing(open.pool, connection, { itemId: byListing.id, sku: 'spelling' });
    await receive(orderOf(...lines('2')));
    await fixtures.insertListing(open.pool, connection, {
      itemId: byAddress.id,
      sku: 'spelling',
      ...address,
    });
    await receive(orderOf(...lines('3')));

    const reserved = await Promise.all(
      [byAddress, byListing, bySku, byAlias].map(async ({ id }) => (await readStock(open.pool, id)).reserved),
    );
    expect(reserved).toEqual([1, 3, 2, 3]);
  });

  test('and keeps it, although another item is listed there later', async () => {
    const [first, second] = await Promise.all([newItem(5, 'mine'), newItem(5)]);
    const order = orderOf(fixtures.orderLine({ sku: 'mine', reserved: 2 }));
    await receive(order);
    await fixtures.insertListing(open.pool, connection, { itemId: second.id, sku: 'mine' });
    await receive(later(order, 1, fixtures.orderLine({ sku: 'mine', reserved: 1 })));
    expect(await readStock(open.pool, first.id)).toMatchObject({ reserved: 1 });
    expect(await readStock(open.pool, second.id)).toMatchObject({ reserved: 0 });
  });
});

async function placed(): Promise<{
  item: fixtures.TestItem;
  order: Order;
  orderId: string | null;
  line: OrderLine;
}> {
  const item = await newItem(10);
  const line = fixtures.orderLine({ sku: item.sku, reserved: 3 });
  const order = orderOf(line);
  const { orderId } = await receive(order);
  return { item, order, orderId, line };
}

describe('the seller’s own word on an order', () => {
  test.each(['shipped', 'delivered'] as const)(
    '%s takes the units off the shelf once, whatever the channel says later',
    async (word) => {
      const { item, order, orderId, line } = await placed();
      await reapply(orderId, word);
      const gone = { quantity: 7, reserved: 0, available: 7 };
      expect(await readStock(open.pool, item.id)).toMatchObject(gone);

      await reapply(orderId, word);
      // The channel has not heard of it yet, then ships a part, then the rest.
      await receive({ ...later(order, 1, line), customerName: 'Ada King' });
      expect(await readStock(open.pool, item.id)).toMatchObject(gone);
      await receive(later(order, 2, { ...line, reserved: 2, shipped: 1 }));
      await receive({ ...later(order, 3, { ...line, reserved: 0, shipped: 3 }), status: 'shipped' });
      expect(await readStock(open.pool, item.id)).toMatchObject(gone);
      expect(await availableDeltas(open.pool, item.id)).toEqual([-3, 0]);
      expect(await readOrder(orderId)).toMatchObject({
        status: word,
        channel_status: 'shipped',
        local_status: word,
      });
    },
  );

  test('cancelled gives the units back once, and a channel that has not heard of it takes nothing again', async () => {
    const { item, order, orderId, line } = await placed();
    await reapply(orderId, 'cancelled');
    await reapply(orderId, 'cancelled');
    await receive({ ...later(order, 1, line), status: 'processing' });
    await receive({ ...later(order, 2, { ...line, reserved: 0 }), status: 'cancelled' });
    expect(await availableDeltas(open.pool, item.id)).toEqual([-3, 3]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 10, reserved: 0 });
    expect(await readOrder(orderId)).toMatchObject({ status: 'cancelled' });
  });

  test('cancelled does not undo what the channel proves to have shipped', async () => {
    const { item, order, orderId, line } = await placed();
    await reapply(orderId, 'cancelled');
    await receive({ ...later(order, 1, { ...line, reserved: 0, shipped: 3 }), status: 'shipped' });
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 7, reserved: 0 });
  });

  test('counts once when it races the channel’s own snapshots', async () => {
    for (let round = 0; round < 25; round += 1) {
      const { item, order, orderId, line } = await placed();
      await Promise.all([
        inTransaction(open.pool, (client) => reapply(orderId, 'shipped', client)),
        receive({ ...later(order, 1, { ...line, reserved: 1, shipped: 2 }), status: 'processing' }),
        inTransaction(open.pool, (client) => reapply(orderId, 'shipped', client)),
        receive({ ...later(order, 2, { ...line, reserved: 0, shipped: 3 }), status: 'shipped' }),
      ]);
      expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 7, reserved: 0, available: 7 });
    }
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('records who said it', async () => {
    const { item, orderId } = await placed();
    const actor = { kind: 'user', id: 'user-7' } as const;
    await reapplyOrder(open.pool, {
      accountId: connection.accountId,
      orderId: orderId ?? '',
      localStatus: 'shipped',
      actor,
    });
    const { rows } = await open.pool.query(
      'SELECT actor_kind, actor_id FROM stock_movements WHERE item_id = $1 ORDER BY seq DESC LIMIT 1',
      [item.id],
    );
    expect(rows).toEqual([{ actor_kind: 'user', actor_id: 'user-7' }]);
  });
});

async function listed(): Promise<{
  item: fixtures.TestItem;
  selling: string;
  elsewhere: string;
  other: fixtures.TestConnection;
}> {
  const item = await newItem(10);
  const other = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
  const selling = await fixtures.insertListing(open.pool, connection, { itemId: item.id });
  const elsewhere = await fixtures.insertListing(open.pool, other, { itemId: item.id });
  await fixtures.insertListing(open.pool, other, { itemId: item.id, writable: false });
  await fixtures.insertListing(open.pool, other, { itemId: item.id, syncEnabled: false });
  await fixtures.insertListing(open.pool, other, { itemId: (await newItem(10)).id });
  await fixtures.insertListing(open.pool, other, { itemId: null });
  return { item, selling, elsewhere, other };
}

test('stock, movements, listings to update and events commit in one SQL statement', async () => {
  const { item } = await listed();
  const order = orderOf(fixtures.orderLine({ sku: item.sku }));
  const sent = vi.spyOn(open.pool, 'query');
  const { orderId } = await receive(order);
  expect(sent).toHaveBeenCalledOnce();
  const { rows } = await open.pool.query<{ row: string; transaction: string }>(
    `SELECT 'order' AS row, xmin::text AS transaction FROM orders WHERE id = $1
     UNION ALL SELECT 'line', xmin::text FROM order_lines WHERE order_id = $1
     UNION ALL SELECT 'stock', xmin::text FROM inventory_items WHERE id = $2
     UNION ALL SELECT 'movement', xmin::text FROM stock_movements WHERE item_id = $2 AND kind = 'order'
     UNION ALL SELECT 'listing', xmin::text FROM dirty_listings WHERE account_id = $3
     UNION ALL (SELECT topic || ' event', xmin::text FROM events WHERE account_id = $3 ORDER BY id DESC LIMIT 2)`,
    [orderId, item.id, connection.accountId],
  );
  const kinds = ['order', 'line', 'stock', 'movement', 'listing', 'listing', 'stock event', 'order event'];
  expect(rows.map(({ row }) => row).toSorted()).toEqual(kinds.toSorted());
  expect(new Set(rows.map(({ transaction }) => transaction)).size).toBe(1);
});

describe('an order makes dirty', () => {
  type Dirty = { listing_id: string; version: number; reread: boolean };

  async function dirtyListings(): Promise<Dirty[]> {
    const { rows } = await open.pool.query<Dirty>(
      'SELECT listing_id, version::int, reread FROM dirty_listings WHERE account_id = $1',
      [connection.accountId],
    );
    return inOrder(rows);
  }

  // Ids taken on two database connections within one millisecond sort by chance.
  function inOrder(dirty: readonly Dirty[]): Dirty[] {
    return dirty.toSorted((one, other) => one.listing_id.localeCompare(other.listing_id));
  }

  test('exactly the writable, enabled listings of its items, and asks to read again only where it was sold', async () => {
    const { item, selling, elsewhere, other } = await listed();
    const effect = await receive(orderOf(fixtures.orderLine({ sku: item.sku })));
    expect(effect.connectionIds.toSorted()).toEqual([connection.id, other.id].toSorted());
    const dirty = [
      { listing_id: selling, version: 1, reread: true },
      { listing_id: elsewhere, version: 1, reread: false },
    ];
    expect(await dirtyListings()).toEqual(inOrder(dirty));
  });

  test('a growing version with every change of available, and keeps the wish to read again', async () => {
    const { item, selling, elsewhere, other } = await listed();
    await receive(orderOf(fixtures.orderLine({ sku: item.sku })));
    await receive(orderOf(fixtures.orderLine({ sku: item.sku })), other);
    const dirty = [
      { listing_id: selling, version: 2, reread: true },
      { listing_id: elsewhere, version: 2, reread: true },
    ];
    expect(await dirtyListings()).toEqual(inOrder(dirty));
  });

  test('nothing by a pure shipment, a repeat or a change of words', async () => {
    const { item } = await listed();
    const order = orderOf(fixtures.orderLine({ sku: item.sku, reserved: 2 }));
    await receive(order);
    const before = await dirtyListings();
    await receive(order);
    await receive({ ...later(order, 1, ...order.lines), customerName: 'Ada King' });
    const shipment = await receive(
      later(order, 2, fixtures.orderLine({ sku: item.sku, reserved: 0, shipped: 2 })),
    );
    expect(shipment).toMatchObject({ changed: true, connectionIds: [] });
    expect(shipment.movementIds).toHaveLength(1);
    expect(await dirtyListings()).toEqual(before);
  });
});
