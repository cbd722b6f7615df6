/** Fills a database with one shop of any size in bulk: items, their movements, listings and past orders that agree with each other. */
import type pg from 'pg';
import type { Platform } from '../src/connectors/connector.ts';

export type ShopSize = {
  readonly items: number;
  /** Every so many items one is listed on all four channels; of the others only the next one is, on the first channel. 1: each on all four. */
  readonly listedEvery: number;
  readonly movementsPerItem: number;
  readonly ordersPerItem: number;
};

export type ShopConnection = { readonly id: string; readonly accountId: string; readonly platform: Platform };
export type ShopData = { readonly accountId: string; readonly connections: readonly ShopConnection[] };

const platforms: readonly Platform[] = ['etsy', 'amazon', 'ebay', 'shopify'];
/** On hand of every item: more than any run sells, and what a channel with a maximum can show. */
const onHand = 900;

/** Ids of loaded rows sort by their number, as real ones sort by time. */
function idSql(kind: string, number: string): string {
  return `('0198${kind}-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
}

export function itemId(number: number): string {
  return `0198aaaa-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}

/** `number` from 0. */
export function sku(number: number): string {
  return `SKU-${String(number).padStart(7, '0')}`;
}

const skuSql = `'SKU-' || lpad(n::text, 7, '0')`;

export async function fillShop(client: pg.ClientBase, size: ShopSize): Promise<ShopData> {
  const accountId = await insert(
    client,
    `INSERT INTO accounts (name) VALUES ('Bench shop') RETURNING id`,
    [],
  );
  const connections: ShopConnection[] = [];
  for (const platform of platforms) {
    const id = await insert(
      client,
      `INSERT INTO connections (account_id, platform, name, external_account_id, secrets, connected_at) VALUES ($1, $2, $3, 'bench', '', '2000-01-01') RETURNING id`,
      [accountId, platform, `Bench on ${platform}`],
    );
    connections.push({ id, accountId, platform });
  }
  await inBulk(client, size.items > 10_000, () => fillTables(client, accountId, connections, size));
  await client.query('VACUUM ANALYZE');
  await client.query('CHECKPOINT');
  return { accountId, connections };
}

async function fillTables(
  client: pg.ClientBase,
  accountId: string,
  connections: readonly ShopConnection[],
  size: ShopSize,
): Promise<void> {
  const last = size.items - 1;
  await client.query(
    `INSERT INTO inventory_items (id, account_id, sku, title, quantity, seq)
     SELECT ${idSql('aaaa', 'n')}, $1, ${skuSql}, 'Item ' || n, ${onHand}, $3 FROM generate_series(0, $2::bigint) n`,
    [accountId, last, size.movementsPerItem],
  );
  await client.query(
    `INSERT INTO stock_movements (id, account_id, item_id, seq, on_hand_delta, reserved_delta, on_hand_after, reserved_after, kind, reason,
                                  idempotency_key, actor_kind)
     SELECT ${idSql('bbbb', 'n * $3 + m')}, $1, ${idSql('aaaa', 'n')}, m, CASE m WHEN 1 THEN ${onHand} + 1 - $3 ELSE 1 END, 0, ${onHand} + m - $3, 0,
            'adjustment', 'received', n || ':' || m, 'system'
       FROM generate_series(0, $2::bigint) n, generate_series(1, $3::int) m`,
    [accountId, last, size.movementsPerItem],
  );
  for (const [index, { id, platform }] of connections.entries()) {
    const next = index === 0 && size.listedEvery > 1 ? 'n % $4 <= 1' : 'n % $4 = 0';
    await client.query(
      `INSERT INTO listings (id, account_id, connection_id, item_id, platform, unit_id, sku, title, quantity, quantity_at, target, target_seq)
       SELECT ${idSql(`ccc${index}`, 'n')}, $1, $2, ${idSql('aaaa', 'n')}, '${platform}', 'unit-' || n, ${skuSql}, 'Item ' || n, ${onHand}, now(), ${onHand}, 1
         FROM generate_series(0, $3::bigint) n WHERE ${next}`,
      [accountId, id, last, size.listedEvery],
    );
  }
  await fillOrders(client, accountId, connections[3]?.id ?? '', Math.floor(size.items * size.ordersPerItem));
}

/** Delivered long ago: they hold nothing. */
async function fillOrders(
  client: pg.ClientBase,
  accountId: string,
  connectionId: string,
  count: number,
): Promise<void> {
  if (count === 0) return;
  const at = `now() - (n % 8000) * interval '1 hour' - interval '1 day'`;
  await client.query(
    `INSERT INTO orders (id, account_id, connection_id, platform, platform_order_id, status, channel_status, customer_name, total_minor, currency,
                         item_count, order_data, channel_created_at, channel_updated_at, observed_at, content_hash)
     SELECT ${idSql('dddd', 'n')}, $1, $2, 'shopify', 'past-' || n, 'delivered', 'delivered', 'Ada Lovelace', 2450, 'USD', 1, '{}', ${at}, ${at}, ${at}, 'past'
       FROM generate_series(0, $3::bigint - 1) n`,
    [accountId, connectionId, count],
  );
  await client.query(
    `INSERT INTO order_lines (id, account_id, order_id, platform_line_id, position, item_id, sku, title, ordered, reserved, shipped)
     SELECT ${idSql('eeee', 'n')}, $1, ${idSql('dddd', 'n')}, '1', 0, ${idSql('aaaa', 'n')}, ${skuSql}, 'Item ' || n, 1, 0, 1
       FROM generate_series(0, $2::bigint - 1) n`,
    [accountId, count],
  );
}

/** The tables that hold the shop. */
export const filledTables = ['inventory_items', 'stock_movements', 'listings', 'orders', 'order_lines'];

/** Indexes are made after the rows and references are not checked one by one: the same database, many times sooner. */
async function inBulk(client: pg.ClientBase, large: boolean, fill: () => Promise<void>): Promise<void> {
  if (!large) return fill();
  const { rows } = await client.query<{ name: string; definition: string }>(
    `SELECT index.indexrelid::regclass::text AS name, pg_get_indexdef(index.indexrelid) AS definition
       FROM pg_index index
      WHERE index.indrelid = ANY($1::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = index.indexrelid)`,
    [filledTables],
  );
  await client.query(`SET session_replication_role = replica; SET maintenance_work_mem = '512MB'`);
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`);
  await fill();
  for (const { definition } of rows) await client.query(definition);
  await client.query('RESET session_replication_role; RESET maintenance_work_mem');
}

async function insert(client: pg.ClientBase, text: string, values: readonly unknown[]): Promise<string> {
  const { rows } = await client.query<{ id: string }>(text, [...values]);
  const [row] = rows;
  if (row === undefined) throw new Error('nothing was inserted');
  return row.id;
}
