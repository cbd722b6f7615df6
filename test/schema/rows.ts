/** Rows as the sync engine writes them, inserted by SQL. */
import { randomBytes } from 'node:crypto';
import type { Queryable } from '../../src/db.ts';

type Values = Readonly<Record<string, unknown>>;

export type Shop = {
  readonly accountId: string;
  readonly connectionId: string;
};

/** Inserts one row and answers its id. */
export async function insert(db: Queryable, table: string, values: Values): Promise<string> {
  const names = Object.keys(values);
  const places = names.map((_name, index) => `$${index + 1}`);
  const { rows } = await db.query<{ id: string }>(
    `INSERT INTO ${table} (${names.join(', ')}) VALUES (${places.join(', ')}) RETURNING id`,
    Object.values(values),
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new Error(`nothing was inserted into ${table}`);
  return id;
}

export async function insertShop(db: Queryable, name = 'Shop'): Promise<Shop> {
  const accountId = await insert(db, 'accounts', { name });
  const connectionId = await insert(db, 'connections', {
    account_id: accountId,
    platform: 'etsy',
    name: `${name} on Etsy`,
    external_account_id: randomBytes(4).toString('hex'),
    secrets: Buffer.from('sealed'),
  });
  return { accountId, connectionId };
}

export async function insertItem(
  db: Queryable,
  { accountId }: Shop,
  sku: string,
  more: Values = {},
): Promise<string> {
  return insert(db, 'inventory_items', {
    account_id: accountId,
    sku,
    title: `Title of ${sku}`,
    quantity: 10,
    ...more,
  });
}

export async function insertListing(
  db: Queryable,
  shop: Shop,
  itemId: string | null,
  unitId: string,
): Promise<string> {
  return insert(db, 'listings', {
    account_id: shop.accountId,
    connection_id: shop.connectionId,
    item_id: itemId,
    platform: 'etsy',
    unit_id: unitId,
    title: `Listing ${unitId}`,
    price_minor: '123456789012345678',
    currency: 'EUR',
  });
}

export async function insertOrder(
  db: Queryable,
  shop: Shop,
  platformOrderId: string,
  more: Values = {},
): Promise<string> {
  return insert(db, 'orders', {
    account_id: shop.accountId,
    connection_id: shop.connectionId,
    platform: 'etsy',
    platform_order_id: platformOrderId,
    status: 'processing',
    channel_status: 'processing',
    customer_name: 'Ada',
    total_minor: 2450,
    currency: 'EUR',
    item_count: 1,
    order_data: {},
    channel_created_at: '2026-11-22T10:00:00Z',
    channel_updated_at: '2026-11-22T10:00:00Z',
    observed_at: '2026-11-22T10:00:00Z',
    content_hash: 'hash',
    ...more,
  });
}

export async function insertLine(
  db: Queryable,
  shop: Shop,
  orderId: string,
  more: Values = {},
): Promise<string> {
  return insert(db, 'order_lines', {
    account_id: shop.accountId,
    order_id: orderId,
    platform_line_id: randomBytes(4).toString('hex'),
    position: 0,
    title: 'A thing',
    ordered: 2,
    reserved: 2,
    shipped: 0,
    ...more,
  });
}

export async function insertPlan(db: Queryable, shop: Shop, more: Values = {}): Promise<string> {
  return insert(db, 'sync_plans', {
    account_id: shop.accountId,
    connection_id: shop.connectionId,
    status: 'ready',
    actor_kind: 'system',
    ...more,
  });
}

export async function insertPlanEntry(
  db: Queryable,
  shop: Shop,
  planId: string,
  more: Values,
): Promise<string> {
  return insert(db, 'sync_plan_entries', {
    account_id: shop.accountId,
    plan_id: planId,
    action: 'raise',
    reason: 'ledger_differs',
    why: 'It shows 3. Of 10 available it should show 10.',
    shown: 3,
    shown_from: '2026-11-22T10:00:00Z',
    shown_until: '2026-11-22T10:00:01Z',
    available: 10,
    target: 10,
    winner: 'ledger',
    ledger_delta: -7,
    ...more,
  });
}

/** One row of every kind of object that has a global id. */
export async function insertEverything(db: Queryable, shop: Shop, word: string) {
  const { accountId: account_id } = shop;
  const item = await insertItem(db, shop, `SKU-${word}`, { seq: 1, reserved: 2 });
  const listing = await insertListing(db, shop, item, `unit-${word}`);
  const order = await insertOrder(db, shop, `order-${word}`);
  const line = await insertLine(db, shop, order, { item_id: item, sku: `SKU-${word}`, held_reserved: 2 });
  await insertLine(db, shop, order, { sku: `UNMATCHED-${word}`, position: 1 });
  const movement = await insert(db, 'stock_movements', {
    account_id,
    item_id: item,
    seq: 1,
    on_hand_delta: 10,
    reserved_delta: 0,
    on_hand_after: 10,
    reserved_after: 0,
    kind: 'opening',
    reason: 'opening',
    idempotency_key: `opening-${word}`,
    actor_kind: 'system',
  });
  const conflict = await insert(db, 'sync_conflicts', {
    account_id,
    item_id: item,
    listing_id: listing,
    conflict_type: 'quantity_mismatch',
    conflict_data: {},
    suggested_resolution: 'use_lowest',
  });
  const alert = await insert(db, 'alerts', { account_id, kind: 'oversell', item_id: item, units: 3 });
  await db.query('INSERT INTO alert_orders (alert_id, order_id, account_id) VALUES ($1, $2, $3)', [
    alert,
    order,
    account_id,
  ]);
  await insert(db, 'setting_changes', {
    account_id,
    listing_id: listing,
    setting: 'rule',
    before: {},
    after: { buffer: 1 },
    actor_kind: 'system',
  });
  const job = await insert(db, 'jobs', { account_id, kind: 'sync_all', actor_kind: 'system' });
  const operation = await insert(db, 'sync_operations', {
    account_id,
    item_id: item,
    job_id: job,
    action: 'update_quantity',
    target_platforms: ['etsy'],
    actor_kind: 'system',
  });
  const plan = await insertPlan(db, shop);
  const planEntry = await insertPlanEntry(db, shop, plan, { listing_id: listing, item_id: item });
  const reservation = await insert(db, 'reservations', {
    account_id,
    expires_at: '2036-11-22T10:00:00Z',
    actor_kind: 'system',
  });
  await insert(db, 'reservation_lines', {
    reservation_id: reservation,
    account_id,
    item_id: item,
    quantity: 1,
  });
  return {
    plan,
    planEntry,
    reservation,
    item,
    listing,
    order,
    line,
    movement,
    conflict,
    alert,
    job,
    operation,
    connection: shop.connectionId,
  };
}
