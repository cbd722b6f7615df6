/** Says which listings are to show the price of their item. Level-triggered: a row holds no price before one is sent. */
import type pg from 'pg';
import type { Actor } from './outcome.ts';
import { editedText } from './priceSettling.ts';

/** What still has something to do. */
export const openStates = ['waiting', 'sent', 'accepted', 'unknown'] as const;
export const isOpen = `state IN (${openStates.map((state) => `'${state}'`).join(', ')})`;

/**
 * True when this price, read of the listing, may have been read before our newest one was proved; the reading was answered `lateMs` milliseconds later than
 * any single call may be. All are SQL.
 */
export const isEcho = (listingId: string, minor: string, lateMs = '0'): string =>
  `EXISTS (SELECT FROM dirty_prices price WHERE price.listing_id = ${listingId} AND price.echo_until > now() - ${lateMs} * interval '1 ms'
                AND ${minor} IN (price.before_minor, price.earlier_minor))`;

/** `price` beside `listing` and `item`: true when the channel shows what it should, as far as the account minds. */
const inStep = `abs(listing.price_minor - item.price_minor) <= account.price_tolerance_minor`;

/** There is nothing left to write for these listings. A price of ours that is still echoed stays for that. */
export function endSql(listingIds: string): string {
  return `
WITH over AS (
  SELECT listing_id, operation_id, coalesce(echo_until > now(), false) AS echoes FROM dirty_prices WHERE listing_id IN (${listingIds}) FOR UPDATE
), kept AS (
  UPDATE dirty_prices price
     SET state = 'shown', version = price.sent_version, refusal = NULL, error = NULL, attempts = 0, lost = 0, operation_id = NULL,
         leased_until = NULL, lease_owner = NULL
    FROM over WHERE price.listing_id = over.listing_id AND over.echoes
), gone AS (
  DELETE FROM dirty_prices price USING over WHERE price.listing_id = over.listing_id AND NOT over.echoes
)
UPDATE sync_operations SET status = 'completed', completed_at = now(), updated_at = now()
 WHERE id IN (SELECT operation_id FROM over) AND status = 'processing'`;
}

/**
 * What nobody wants written any more ends here; the write of a price that may be on its way is waited for. Runs after the item's price, or its
 * conflicts, have changed, under the item's lock.
 */
const dropSql = endSql(`
  SELECT price.listing_id FROM dirty_prices price JOIN listings listing ON listing.id = price.listing_id
    JOIN inventory_items item ON item.id = listing.item_id JOIN accounts account ON account.id = item.account_id
   WHERE item.id = $1 AND price.state IN ('waiting', 'refused')
     AND (item.price_minor IS NULL OR listing.currency IS DISTINCT FROM item.currency OR ${inStep})`);

/** In `markSql`: the newest write is open or still echoed, so what was shown before it may still be read. */
const stillExplains = `price.${isOpen} OR (price.echo_until > now() AND price.sent_minor = excluded.before_minor)`;

/**
 * Listings that show another price, or to which another one may be on its way. What was shown explains a reading until the new price is proved; after
 * an earlier write that is still echoed, what was shown before that one. Variants that were refused because they share a price are tried again together.
 */
const markSql = `
WITH target AS (
  SELECT listing.id, listing.account_id, listing.connection_id, listing.unit_id, item.id AS item_id, listing.price_minor, ${inStep} AS in_step
    FROM inventory_items item
    JOIN accounts account ON account.id = item.account_id
    JOIN listings listing ON listing.item_id = item.id AND listing.currency = item.currency AND listing.price_minor IS NOT NULL
    JOIN connections connection ON connection.id = listing.connection_id AND NOT connection.awaiting_plan
   WHERE item.id = $1 AND ($2::uuid[] IS NULL OR listing.id = ANY($2))
), marked AS (
  INSERT INTO dirty_prices AS price (listing_id, account_id, connection_id, item_id, before_minor, actor_kind, actor_id)
  SELECT id, account_id, connection_id, item_id, price_minor, $3, $4 FROM target
   WHERE NOT in_step OR EXISTS (SELECT FROM dirty_prices WHERE listing_id = target.id AND state IN ('sent', 'accepted', 'unknown'))
   ORDER BY id
  ON CONFLICT (listing_id) DO UPDATE
     SET version = price.version + 1, item_id = excluded.item_id, not_before = least(price.not_before, now()),
         attempts = 0, lost = 0, actor_kind = excluded.actor_kind, actor_id = excluded.actor_id,
         since = CASE WHEN price.${isOpen} THEN price.since ELSE now() END,
         before_minor = CASE WHEN ${stillExplains} THEN price.before_minor ELSE excluded.before_minor END,
         earlier_minor = CASE WHEN ${stillExplains} THEN price.earlier_minor END,
         sent_minor = CASE WHEN price.state = 'refused' THEN NULL ELSE price.sent_minor END,
         state = CASE WHEN price.${isOpen} THEN price.state ELSE 'waiting' END, refusal = NULL,
         echo_until = CASE WHEN ${stillExplains} THEN price.echo_until END,
         error = CASE WHEN price.state = 'refused' THEN NULL ELSE price.error END
  RETURNING listing_id, connection_id
), together AS (
  UPDATE dirty_prices price SET state = 'waiting', refusal = NULL, error = NULL, version = price.version + 1, not_before = now(), attempts = 0, lost = 0
    FROM listings other, target
   WHERE other.id = price.listing_id AND other.connection_id = target.connection_id AND other.unit_id = target.unit_id AND other.id <> target.id
     AND price.state = 'refused' AND price.refusal = 'shared_price' AND target.id IN (SELECT listing_id FROM marked)
)
SELECT listing_id AS "listingId", connection_id AS "connectionId" FROM marked`;

export type Marked = { readonly listingId: string; readonly connectionId: string };

/** These listings of the item, or all of them (null), are to show its price. Answers those to which it will be written. */
export async function markPrices(
  client: pg.PoolClient,
  itemId: string,
  listingIds: readonly string[] | null,
  actor: Actor,
): Promise<readonly Marked[]> {
  await client.query({ name: 'prices-drop', text: dropSql, values: [itemId] });
  const values = [itemId, listingIds, actor.kind, actor.id];
  const { rows } = await client.query<Marked>({ name: 'prices-mark', text: markSql, values });
  return rows;
}

/** Somebody has changed the price there since it was asked for: nothing is written over that before a person has decided. */
export async function dropWaiting(client: pg.PoolClient, listingId: string): Promise<void> {
  await client.query({
    name: 'prices-drop-waiting',
    text: `WITH gone AS (DELETE FROM dirty_prices WHERE listing_id = $1 AND state = 'waiting' RETURNING operation_id)
           UPDATE sync_operations SET status = 'failed', error = $2, completed_at = now(), updated_at = now()
            WHERE id IN (SELECT operation_id FROM gone) AND status = 'processing'`,
    values: [listingId, editedText],
  });
}
