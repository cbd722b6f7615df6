/** How an item is kept from being oversold: the shared pool, escrow, or whichever its pace and stock call for. */
import type pg from 'pg';
import { inTransaction } from '../db.ts';
import { type Escrow, resumed } from './core/escrow.ts';
import { sellableMax } from './core/shown.ts';
import { type Caller, done, type Outcome, refused } from './outcome.ts';
import { beyondRemedy } from './sellsBeyond.ts';
import type { StoredState } from './shadowSql.ts';

export type Protection = 'shared' | 'escrow' | 'automatic';

export type ProtectionInput = { readonly itemId: string; readonly protection: Protection };

type ItemRow = { id: string; role: string; uncontrolled: string | null; beyond: string | null };

const itemSql = `
SELECT item.id, item.role, offered.uncontrolled, offered.beyond
  FROM inventory_items item CROSS JOIN LATERAL (
         SELECT string_agg(name, ', ' ORDER BY id) FILTER (WHERE NOT (sync_enabled AND writable)) AS uncontrolled,
                string_agg(name, ', ' ORDER BY id) FILTER (WHERE sells_beyond) AS beyond
           FROM (SELECT *, platform || ' ' || coalesce(sku, unit_id) AS name FROM listings WHERE item_id = item.id) listing
       ) offered
 WHERE item.id = $2 AND item.account_id = $1 FOR NO KEY UPDATE OF item`;

const setSql = `
WITH item AS (
  UPDATE inventory_items SET protection = $2::protection, updated_at = now() WHERE id = $1 AND protection <> $2::protection RETURNING id
), left_behind AS (
  DELETE FROM escrows WHERE item_id = $1 AND $2 = 'shared'
)
INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, guarded)
SELECT listing.id, listing.account_id, listing.connection_id, true, false FROM listings listing JOIN item ON item.id = listing.item_id
 WHERE listing.sync_enabled AND listing.writable ORDER BY listing.id
ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true, not_before = now()
RETURNING connection_id`;

/**
 * Escrow promises that no more is sold than there is, so every place that sells the item must be in our hands: a listing that is not written to, because it is
 * switched off or its channel owns the number (FBA), is refused as INVALID_INPUT. So is one that its channel sells beyond its number (A1).
 */
export async function setProtection(
  pool: pg.Pool,
  caller: Caller,
  { itemId, protection }: ProtectionInput,
): Promise<{ readonly outcome: Outcome<{ itemId: string }>; readonly connectionIds: readonly string[] }> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<ItemRow>(itemSql, [caller.accountId, itemId]);
    const [item] = rows;
    if (item === undefined)
      return withoutEffect(
        refused({ code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', 'itemId'] }),
      );
    if (protection !== 'shared' && item.role !== 'plain') {
      const message =
        'Bundles and what they are made of share one pool: escrow is for items that are sold by themselves.';
      return withoutEffect(refused({ code: 'INVALID_INPUT', message, field: ['input', 'protection'] }));
    }
    if (protection !== 'shared' && item.uncontrolled !== null) {
      const message = `Escrow needs every listing of the item to be written by this server; these are not: ${item.uncontrolled}.`;
      return withoutEffect(refused({ code: 'INVALID_INPUT', message, field: ['input', 'protection'] }));
    }
    if (protection !== 'shared' && item.beyond !== null) {
      const message = `Escrow needs every listing of the item to refuse what is beyond its number; these sell on: ${item.beyond}. ${beyondRemedy}`;
      return withoutEffect(refused({ code: 'INVALID_INPUT', message, field: ['input', 'protection'] }));
    }
    const dirty = await client.query<{ connection_id: string }>(setSql, [itemId, protection]);
    const connectionIds = [...new Set(dirty.rows.map(({ connection_id: id }) => id))];
    return { outcome: done({ itemId }), connectionIds };
  });
}

function withoutEffect(outcome: Outcome<never>) {
  return { outcome, connectionIds: [] };
}

const pausedSql = `
SELECT item.id FROM inventory_items item JOIN listings listing ON listing.item_id = item.id
 WHERE listing.id = $2 AND listing.account_id = $1 FOR NO KEY UPDATE OF item`;

const stateSql = `
SELECT escrow.item_id, escrow.state AS escrow, shadow.state AS shadow, listing.connection_id, listing.sells_beyond
  FROM listings listing JOIN escrows escrow ON escrow.item_id = listing.item_id JOIN shadows shadow ON shadow.listing_id = listing.id
 WHERE listing.id = $2 AND listing.account_id = $1 FOR NO KEY UPDATE OF listing`;

type StateRow = { item_id: string; escrow: Escrow; shadow: StoredState; sells_beyond: boolean };

const resumeSql = `
WITH escrow AS (
  UPDATE escrows SET state = $2, updated_at = now() WHERE item_id = $1
)
INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, guarded)
SELECT id, account_id, connection_id, true, false FROM listings WHERE item_id = $1 AND sync_enabled AND writable ORDER BY id
ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true, not_before = now()`;

/**
 * A person has looked at a listing that was paused at zero: it takes part again. Resuming one that is not paused changes nothing. One that sells beyond
 * its number is refused as INVALID_INPUT.
 */
export async function resumeEscrow(
  pool: pg.Pool,
  caller: Caller,
  listingId: string,
  now: number,
): Promise<Outcome<{ listingId: string }>> {
  return inTransaction(pool, async (client) => {
    await client.query(pausedSql, [caller.accountId, listingId]);
    const { rows } = await client.query<StateRow>(stateSql, [caller.accountId, listingId]);
    const [row] = rows;
    if (row === undefined)
      return refused({
        code: 'NOT_FOUND',
        message: 'There is no such listing under escrow.',
        field: ['input', 'listingId'],
      });
    if ((row.escrow.units[listingId]?.paused ?? null) === null) return done({ listingId });
    if (row.sells_beyond) {
      const message = `It still sells beyond its number. ${beyondRemedy}`;
      return refused({ code: 'INVALID_INPUT', message, field: ['input', 'listingId'] });
    }
    const escrow = resumed(row.escrow, listingId, sellableMax(row.shadow.shadow, now));
    await client.query(resumeSql, [row.item_id, JSON.stringify(escrow)]);
    return done({ listingId });
  });
}
