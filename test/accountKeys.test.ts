/** Proves that no row can be of another account than what it hangs on: every `account_id` is under a foreign key that carries it. */
import { expect, test } from 'vitest';
import {
  insertAccount,
  insertConnection,
  insertItem,
  insertListing,
  openTestPool,
} from './support/fixtures.ts';

/** Tables whose account is under no foreign key, and why. */
const without: Readonly<Record<string, string>> = {
  events:
    'the log is only added to and read by position; a key would be checked with every event of every order',
};

/** Foreign keys to a row of an account that leave the account out, and what holds the account instead. */
const single: Readonly<Record<string, string>> = {
  'order_line_components FOREIGN KEY (order_line_id) REFERENCES order_lines(id) ON UPDATE CASCADE ON DELETE CASCADE':
    'written by one statement from the line itself; its item is under a key with the account',
  'order_returns FOREIGN KEY (order_line_id) REFERENCES order_lines(id) ON UPDATE CASCADE ON DELETE CASCADE':
    'its order is under a key with the account, and the line is one of that order',
  'sync_conflicts FOREIGN KEY (movement_id) REFERENCES stock_movements(id) ON UPDATE CASCADE ON DELETE SET NULL':
    'set to null with its movement, which the account could not be; its item is under a key with the account',
  'sync_conflicts FOREIGN KEY (superseded_by) REFERENCES sync_conflicts(id) ON UPDATE CASCADE ON DELETE SET NULL':
    'set to null with the newer one, which the account could not be; its item is under a key with the account',
};

/** Between two tables with an account. */
const singleSql = `
SELECT key.conrelid::regclass || ' ' || pg_get_constraintdef(key.oid) AS key
  FROM pg_constraint key
  JOIN pg_attribute own ON own.attrelid = key.conrelid AND own.attname = 'account_id'
  JOIN pg_attribute other ON other.attrelid = key.confrelid AND other.attname = 'account_id'
 WHERE key.contype = 'f' AND NOT own.attnum = ANY(key.conkey) ORDER BY 1`;

/** Tables with an account, each with its foreign keys that carry it. */
const keysSql = `
SELECT relation.relname AS table,
       coalesce(array_agg(pg_get_constraintdef(key.oid) ORDER BY key.conname) FILTER (WHERE key.oid IS NOT NULL), '{}') AS keys
  FROM pg_class relation
  JOIN pg_attribute account ON account.attrelid = relation.oid AND account.attname = 'account_id' AND NOT account.attisdropped
  LEFT JOIN pg_constraint key ON key.conrelid = relation.oid AND key.contype = 'f' AND account.attnum = ANY(key.conkey)
 WHERE relation.relkind = 'r' AND relation.relnamespace = 'public'::regnamespace
 GROUP BY 1 ORDER BY 1`;

test('every account_id is under a foreign key, but for a few tables that say why', async () => {
  await using db = await openTestPool();
  const { rows } = await db.pool.query<{ table: string; keys: readonly string[] }>(keysSql);
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter(({ keys }) => keys.length === 0).map(({ table }) => table)).toEqual(
    Object.keys(without),
  );
});

test('a foreign key between rows of an account carries the account, but for a few that say why', async () => {
  await using db = await openTestPool();
  const { rows } = await db.pool.query<{ key: string }>(singleSql);
  expect(rows.map(({ key }) => key)).toEqual(Object.keys(single));
});

test.each([
  ['dirty_listings', '(listing_id, account_id, connection_id) SELECT id, $2, connection_id'],
  [
    'shadows',
    `(listing_id, account_id, connection_id, item_id, state, shown_min, shown_max) SELECT id, $2, connection_id, item_id, '{}', 1, 1`,
  ],
  [
    'channel_sales',
    '(listing_id, account_id, order_id, units, sold_from, sold_until) SELECT id, $2, gen_random_uuid(), 1, now(), now()',
  ],
])('a row of %s cannot say another account than its listing, and goes with it', async (table, row) => {
  await using db = await openTestPool();
  const [accountId, stranger] = [await insertAccount(db.pool), await insertAccount(db.pool)];
  const connection = await insertConnection(db.pool, accountId);
  const item = await insertItem(db.pool, accountId);
  const listingId = await insertListing(db.pool, connection, { itemId: item.id });
  const write = (account: string) =>
    db.pool.query(`INSERT INTO ${table} ${row} FROM listings WHERE id = $1`, [listingId, account]);
  await expect(write(stranger)).rejects.toMatchObject({ code: '23503' });
  expect((await write(accountId)).rowCount).toBe(1);
  await db.pool.query('DELETE FROM listings WHERE id = $1', [listingId]);
  expect((await db.pool.query(`SELECT FROM ${table}`)).rowCount).toBe(0);
});
