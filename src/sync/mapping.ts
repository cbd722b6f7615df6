/** Says which item a listing or a spelling means, and applies the order lines that were waiting for it. */
import type pg from 'pg';
import { inTransaction } from '../db.ts';
import { type OrderEffect, reapplyOrder } from './orders.ts';
import { type Caller, done, type Outcome, refused } from './outcome.ts';

export type MappingOptions = {
  readonly pool: pg.Pool;
  readonly onApplied: (effect: OrderEffect) => void;
  /** These connections have listings to bring in step. */
  readonly onMapped: (connectionIds: readonly string[]) => void;
  /** Orders applied in one go; the rest follows from the sweep. */
  readonly batchMax: number;
};

export async function mapListing(
  options: MappingOptions,
  caller: Caller,
  input: { readonly listingId: string; readonly itemId: string },
): Promise<Outcome<{ listingId: string }>> {
  const { rows } = await options.pool.query<{
    item: boolean;
    listing: boolean;
    connection_id: string | null;
  }>(
    `WITH item AS (
       SELECT id FROM inventory_items WHERE id = $3 AND account_id = $1
     ), mapped AS (
       -- Another item counts its own seq: what was sent for the one before says nothing about the order of its writes.
       UPDATE listings SET item_id = item.id, target_seq = CASE WHEN listings.item_id = item.id THEN listings.target_seq ELSE 0 END, updated_at = now()
         FROM item WHERE listings.id = $2 AND listings.account_id = $1
       RETURNING listings.id, listings.account_id, listings.connection_id
     ), dirty AS (
       INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread) SELECT id, account_id, connection_id, true FROM mapped
       -- A push under way was computed for the item before: it loses its lease, and with it the right to write.
       ON CONFLICT (listing_id) DO UPDATE
          SET version = current.version + 1, reread = true, not_before = now(), lease_owner = NULL, leased_until = NULL, leased_version = NULL
     )
     SELECT EXISTS (SELECT FROM item) AS item, EXISTS (SELECT FROM mapped) AS listing, (SELECT connection_id FROM mapped) AS connection_id`,
    [caller.accountId, input.listingId, input.itemId],
  );
  const [found] = rows;
  if (found?.item !== true)
    return refused({ code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', 'itemId'] });
  if (!found.listing)
    return refused({
      code: 'NOT_FOUND',
      message: 'There is no such listing.',
      field: ['input', 'listingId'],
    });
  await applyWaiting(options, caller.accountId);
  if (found.connection_id !== null) options.onMapped([found.connection_id]);
  return done({ listingId: input.listingId });
}

export async function mapSku(
  options: MappingOptions,
  caller: Caller,
  input: { readonly sku: string; readonly itemId: string },
): Promise<Outcome<{ linesApplied: number }>> {
  if (input.sku === '')
    return refused({ code: 'INVALID_INPUT', message: 'A SKU is not empty.', field: ['input', 'sku'] });
  const { rows } = await options.pool.query<{ item: boolean; connection_ids: string[] | null }>(
    `WITH item AS (
       SELECT id FROM inventory_items WHERE id = $3 AND account_id = $1
     ), alias AS (
       INSERT INTO sku_aliases (account_id, sku, item_id) SELECT $1, $2, id FROM item
       ON CONFLICT (account_id, sku) DO UPDATE SET item_id = excluded.item_id
     ), mapped AS (
       -- What sells under this spelling and was nobody's is the item's from now on, and shows its number.
       UPDATE listings SET item_id = item.id, target_seq = 0, updated_at = now()
         FROM item WHERE listings.account_id = $1 AND listings.sku = $2 AND listings.item_id IS NULL
       RETURNING listings.id, listings.account_id, listings.connection_id
     ), dirty AS (
       INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread) SELECT id, account_id, connection_id, true FROM mapped
       ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true, not_before = now()
     )
     SELECT EXISTS (SELECT FROM item) AS item, (SELECT array_agg(DISTINCT connection_id) FROM mapped) AS connection_ids`,
    [caller.accountId, input.sku, input.itemId],
  );
  const [found] = rows;
  if (found?.item !== true)
    return refused({ code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', 'itemId'] });
  const linesApplied = await applyWaiting(options, caller.accountId);
  options.onMapped(found.connection_ids ?? []);
  return done({ linesApplied });
}

/**
 * Lines without an item for which an item is known now, by their SKU, an alias or their listing. Null looks in every account. Each line is looked up by
 * itself: joined or hashed, whole tables are read for a handful of lines.
 */
const waitingSql = `
SELECT line.account_id, line.order_id, count(*)::int AS lines FROM order_lines line
 WHERE line.item_id IS NULL AND ($1::uuid IS NULL OR line.account_id = $1) AND coalesce(
         (SELECT id FROM inventory_items WHERE account_id = line.account_id AND sku = line.sku),
         (SELECT item_id FROM sku_aliases WHERE account_id = line.account_id AND sku = line.sku),
         (SELECT item_id FROM listings WHERE connection_id = (SELECT connection_id FROM orders WHERE id = line.order_id) AND item_id IS NOT NULL
             AND ((unit_id = line.unit_id AND variant_id = line.variant_id) OR sku = line.sku) LIMIT 1)) IS NOT NULL
 GROUP BY line.account_id, line.order_id ORDER BY line.order_id LIMIT $2`;

/**
 * Applies waiting lines. Also swept now and then without an account: a line stored at the very moment of its mapping sees neither the mapping nor
 * its first sweep.
 */
export async function applyWaiting(options: MappingOptions, accountId: string | null): Promise<number> {
  const { rows } = await options.pool.query<{ account_id: string; order_id: string; lines: number }>(
    waitingSql,
    [accountId, options.batchMax],
  );
  for (const row of rows) {
    const effect = await inTransaction(options.pool, (client) =>
      reapplyOrder(client, {
        accountId: row.account_id,
        orderId: row.order_id,
        localStatus: null,
        actor: { kind: 'system', id: null },
      }),
    );
    if (effect.changed) options.onApplied(effect);
  }
  return rows.reduce((total, row) => total + row.lines, 0);
}
