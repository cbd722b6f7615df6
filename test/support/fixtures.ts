/** Puts accounts, connections, items and listings into a test's database and builds the orders that channels would send. */
import { randomBytes } from 'node:crypto';
import { Pool } from 'pg';
import type { Money, Order, OrderLine, Platform } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { adjust } from '../../src/sync/ledger.ts';
import type { OrderSource } from '../../src/sync/orders.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import { createDatabase } from './database.ts';
import { waitFor } from './waiting.ts';

/** A short text that no other call answers. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString('hex')}`;
}

// -------------------------------------------------------------------------------------------------------------- database

export type TestPool = AsyncDisposable & { readonly url: string; readonly pool: Pool };

/** A migrated database of its own with a pool on it. Broken connections are replaced and never end the process. */
export async function openTestPool(poolMax = 10): Promise<TestPool> {
  const database = await createDatabase();
  const pool = openPool(database.url, poolMax);
  return {
    url: database.url,
    pool,
    async [Symbol.asyncDispose]() {
      // A test that failed may still hold connections: dropping the database ends those too.
      void pool.end();
      await database.drop();
    },
  };
}

/** One more pool on the same database, as another process would have it. */
export function openPool(url: string, poolMax: number): Pool {
  const pool = new Pool({ connectionString: url, max: poolMax, options: '-c timezone=UTC' });
  pool.on('error', () => undefined);
  // Also while a test holds it: the next query on it fails, which is what such a test is about.
  pool.on('connect', (client) => void client.on('error', () => undefined));
  return pool;
}

async function insert(db: Queryable, text: string, values: readonly unknown[]): Promise<string> {
  const { rows } = await db.query<{ id: string }>(`${text} RETURNING id`, [...values]);
  const [row] = rows;
  if (row === undefined) throw new Error('nothing was inserted');
  return row.id;
}

// ------------------------------------------------------------------------------------------------------------------ rows

export type TestConnection = { readonly id: string; readonly accountId: string; readonly platform: Platform };

export type TestItem = { readonly id: string; readonly accountId: string; readonly sku: string };

export async function insertAccount(db: Queryable, name = 'Test shop'): Promise<string> {
  return insert(db, 'INSERT INTO accounts (name) VALUES ($1)', [name]);
}

export async function insertConnection(
  db: Queryable,
  accountId: string,
  platform: Platform = 'shopify',
): Promise<TestConnection> {
  const id = await insert(
    db,
    `INSERT INTO connections (account_id, platform, name, external_account_id, secrets, connected_at) VALUES ($1, $2, $3, $4, $5, '2000-01-01')`,
    [accountId, platform, `My ${platform}`, unique('shop'), Buffer.alloc(0)],
  );
  return { id, accountId, platform };
}

/** An item whose first stock has a movement like any other. */
export async function insertItem(
  db: Queryable,
  accountId: string,
  item: { readonly sku?: string; readonly onHand?: number } = {},
): Promise<TestItem> {
  const { sku = unique('SKU'), onHand = 0 } = item;
  const id = await insert(db, 'INSERT INTO inventory_items (account_id, sku, title) VALUES ($1, $2, $3)', [
    accountId,
    sku,
    `Item ${sku}`,
  ]);
  await adjust(db, {
    accountId,
    itemId: id,
    onHandDelta: onHand,
    idempotencyKey: unique('opening'),
    kind: 'opening',
    reason: 'opening',
    reference: null,
    actor: systemActor,
  });
  return { id, accountId, sku };
}

export async function insertListing(
  db: Queryable,
  connection: TestConnection,
  listing: {
    readonly itemId: string | null;
    readonly sku?: string | null;
    readonly unitId?: string;
    readonly variantId?: string;
    readonly writable?: boolean;
    readonly syncEnabled?: boolean;
  },
): Promise<string> {
  const {
    itemId,
    sku = null,
    unitId = unique('unit'),
    variantId = '',
    writable = true,
    syncEnabled = true,
  } = listing;
  return insert(
    db,
    `INSERT INTO listings (account_id, connection_id, item_id, platform, unit_id, variant_id, sku, writable, sync_enabled)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      connection.accountId,
      connection.id,
      itemId,
      connection.platform,
      unitId,
      variantId,
      sku,
      writable,
      syncEnabled,
    ],
  );
}

export async function insertAlias(db: Queryable, item: TestItem, sku: string): Promise<void> {
  await db.query('INSERT INTO sku_aliases (account_id, sku, item_id) VALUES ($1, $2, $3)', [
    item.accountId,
    sku,
    item.id,
  ]);
}

/** A stored webhook delivery that nobody has worked off. */
export async function insertDelivery(
  db: Queryable,
  connection: TestConnection,
  body: Buffer,
): Promise<string> {
  return insert(
    db,
    `INSERT INTO webhook_deliveries (account_id, connection_id, delivery_id, topic, body) VALUES ($1, $2, $3, 'orders', $4)`,
    [connection.accountId, connection.id, unique('delivery'), body],
  );
}

// ---------------------------------------------------------------------------------------------------------------- orders

/** The moment that tests call now. */
export const noon = new Date('2026-05-04T12:00:00.000Z');

/** `noon` plus so many seconds. */
export function after(seconds: number): Date {
  return new Date(noon.getTime() + seconds * 1_000);
}

export const euros = (minor: number): Money => ({ minor, currency: 'EUR' });

/** A line that holds one unit back unless said otherwise. */
export function orderLine(line: Partial<OrderLine> = {}): OrderLine {
  const reserved = line.reserved ?? 1;
  const shipped = line.shipped ?? 0;
  return {
    lineId: '1',
    address: null,
    sku: null,
    title: 'A thing',
    ordered: reserved + shipped,
    unitPrice: euros(1_250),
    ...line,
    reserved,
    shipped,
  };
}

export function order(fields: Partial<Order> = {}): Order {
  return {
    orderId: unique('order'),
    status: 'pending',
    customerName: 'Ada Lovelace',
    total: euros(1_250),
    createdAt: noon,
    updatedAt: noon,
    lines: [],
    raw: { from: 'the channel' },
    ...fields,
  };
}

/** Where a snapshot comes from; observed at noon and by no delivery unless said otherwise. */
export function source(connection: TestConnection, fields: Partial<OrderSource> = {}): OrderSource {
  return {
    accountId: connection.accountId,
    connectionId: connection.id,
    platform: connection.platform,
    observedAt: noon,
    deliveryId: null,
    ...fields,
  };
}

/** Resolves when so many sessions of the database wait for a lock that another one holds. `db` must not be inside a transaction. */
export async function waitForBlocked(
  db: Queryable,
  sessions: number,
  pid: number | null = null,
): Promise<void> {
  await waitFor(
    async () => {
      const { rows } = await db.query<{ count: number }>(
        `SELECT count(*)::int FROM pg_stat_activity
          WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0 AND ($1::int IS NULL OR pid = $1)`,
        [pid],
      );
      return (rows[0]?.count ?? 0) >= sessions;
    },
    { what: `${sessions} sessions to wait for a lock` },
  );
}
