/** Takes prices that are due, and remembers each before it leaves: whoever dies then leaves a price that may be on its way, to be read back. */
import type pg from 'pg';
import type { Queryable } from '../db.ts';
import { boundColumns, type StoredBounds } from './bounds.ts';
import { endSql, isOpen, type openStates } from './priceRows.ts';

export type PriceClaim = StoredBounds & {
  readonly listingId: string;
  readonly accountId: string;
  /** Null when nobody says any more what this listing should cost: it sells another item now, or the price has another currency. */
  readonly itemId: string | null;
  readonly unitId: string;
  readonly variantId: string;
  readonly state: (typeof openStates)[number];
  readonly attempts: number;
  /** How many writes of this wish were proved lost. */
  readonly lost: number;
  readonly currency: string;
  /** The item's price now, in minor units, as all that follow; null with `itemId`. */
  readonly intended: number | null;
  readonly shown: number | null;
  readonly tolerance: number;
  /** What was shown when it was asked for. */
  readonly before: number | null;
  /** The newest price sent, and for how long it has been on its way, in milliseconds: once its queue was worked off, since then. */
  readonly sent: number | null;
  readonly sentForMs: number | null;
  /** Of a queue at the channel in which it stands, as far as is known; null when it stands in none. */
  readonly reference: string | null;
};

/**
 * Whole units: what one write replaces together is taken together. Counted before they are grouped, so that many due prices cost no more than a few.
 * Nothing of what is paused, or waits for its first plan. Nothing while another run has prices of the connection: one run waits for slow prices, so that
 * another is free for numbers.
 */
const lockSql = `
WITH first AS (
  SELECT listing.unit_id
    FROM dirty_prices price
    JOIN listings listing ON listing.id = price.listing_id AND listing.sync_enabled
    JOIN connections connection ON connection.id = price.connection_id AND connection.status = 'active' AND connection.sync_enabled
     AND NOT connection.awaiting_plan
   WHERE price.connection_id = $1 AND price.${isOpen} AND price.not_before <= statement_timestamp()
     AND NOT EXISTS (SELECT FROM dirty_prices WHERE connection_id = $1 AND leased_until >= statement_timestamp())
   ORDER BY price.not_before LIMIT $2
)
SELECT price.listing_id AS id
  FROM (SELECT DISTINCT unit_id FROM first) unit
  JOIN listings listing ON listing.connection_id = $1 AND listing.unit_id = unit.unit_id AND listing.sync_enabled
  JOIN dirty_prices price ON price.listing_id = listing.id
 WHERE price.${isOpen} AND price.not_before <= statement_timestamp()
   FOR UPDATE OF price SKIP LOCKED`;

/** A statement of its own: what somebody said up to the moment of the lock is seen, and what is said later waits for it. */
const dueSql = `
SELECT price.listing_id AS "listingId", price.account_id AS "accountId", item.id AS "itemId", listing.unit_id AS "unitId", listing.variant_id AS "variantId",
       price.state, price.attempts, price.lost, listing.currency, item.price_minor::float8 AS intended, listing.price_minor::float8 AS shown,
       account.price_tolerance_minor AS tolerance, price.before_minor::float8 AS before, price.sent_minor::float8 AS sent,
       extract(epoch FROM statement_timestamp() - coalesce(price.worked_off_at, price.sent_at))::float8 * 1000 AS "sentForMs",
       CASE WHEN price.worked_off_at IS NULL THEN price.reference END AS reference, ${boundColumns}
  FROM dirty_prices price
  JOIN listings listing ON listing.id = price.listing_id
  JOIN connections connection ON connection.id = price.connection_id
  JOIN accounts account ON account.id = price.account_id
  LEFT JOIN inventory_items item ON item.id = listing.item_id AND item.id = price.item_id AND item.currency = listing.currency
 WHERE price.listing_id = ANY($1) ORDER BY price.not_before, listing.unit_id, price.listing_id`;

/** Wished for so many milliseconds ago or earlier. Every push ends with this question, and most shops have nothing to answer: it takes no lock. */
export async function hasDue(db: Queryable, connectionId: string, waitedMs: number): Promise<boolean> {
  const { rows } = await db.query<{ due: boolean }>({
    name: 'prices-any-due',
    text: `SELECT EXISTS (SELECT FROM dirty_prices WHERE connection_id = $1 AND ${isOpen}
                             AND not_before <= statement_timestamp() AND since <= statement_timestamp() - $2 * interval '1 ms') AS due`,
    values: [connectionId, waitedMs],
  });
  return rows[0]?.due === true;
}

/** In the caller's transaction; nobody else gets them before it ends. */
export async function lockDue(
  client: pg.PoolClient,
  connectionId: string,
  pricesMax: number,
): Promise<readonly PriceClaim[]> {
  const { rows: locked } = await client.query<{ id: string }>({
    name: 'prices-lock',
    text: lockSql,
    values: [connectionId, pricesMax],
  });
  if (locked.length === 0) return [];
  const values = [locked.map(({ id }) => id)];
  const { rows } = await client.query<PriceClaim>({ name: 'prices-due', text: dueSql, values });
  return rows;
}

/** Refused as they share a price that not all of them were to get: tried again together, when one of their unit is. */
const rejoinSql = `
UPDATE dirty_prices price SET state = 'waiting', refusal = NULL, error = NULL, version = price.version + 1, not_before = now(), attempts = 0, lost = 0
  FROM listings listing
 WHERE listing.connection_id = $1 AND listing.unit_id = ANY($2) AND listing.sync_enabled AND price.listing_id = listing.id
   AND price.state = 'refused' AND price.refusal = 'shared_price'`;

/** What was refused while one of these was asked for joins it. False when nothing does; else they are to be locked anew. */
export async function rejoin(
  client: pg.PoolClient,
  connectionId: string,
  due: readonly PriceClaim[],
): Promise<boolean> {
  const units = due.filter(({ state }) => state === 'waiting').map(({ unitId }) => unitId);
  if (units.length === 0) return false;
  const values = [connectionId, units];
  const { rowCount } = await client.query({ name: 'prices-rejoin', text: rejoinSql, values });
  return (rowCount ?? 0) > 0;
}

const idsOf = (claims: readonly Pick<PriceClaim, 'listingId'>[]): readonly string[] =>
  claims.map(({ listingId }) => listingId);

/** Taken for a while, to be read back. */
export async function leasePrices(
  client: pg.PoolClient,
  owner: string,
  leaseMs: number,
  claims: readonly PriceClaim[],
): Promise<void> {
  await client.query({
    name: 'prices-lease',
    text: `UPDATE dirty_prices SET leased_until = clock_timestamp() + $2 * interval '1 ms', lease_owner = $1 WHERE listing_id = ANY($3)`,
    values: [owner, leaseMs, idsOf(claims)],
  });
}

export type PriceToSend = PriceClaim & { readonly itemId: string; readonly intended: number };

/** Each attempt at the same wish is one operation, which people can follow. Where a price of ours is shown by now, it is the one before. */
const recordSql = `
WITH wanted AS (
  SELECT wanted.*, uuid_v7() AS "operationId" FROM jsonb_to_recordset($3::jsonb) AS wanted ("listingId" uuid, "itemId" uuid, "minor" bigint)
), operation AS (
  INSERT INTO sync_operations (id, account_id, item_id, action, target_platforms, status, actor_kind, actor_id)
  SELECT wanted."operationId", price.account_id, wanted."itemId", 'update_price', ARRAY[listing.platform], 'processing', price.actor_kind, price.actor_id
    FROM wanted JOIN dirty_prices price ON price.listing_id = wanted."listingId" JOIN listings listing ON listing.id = price.listing_id
   WHERE price.operation_id IS NULL
)
UPDATE dirty_prices price
   SET before_minor = CASE WHEN listing.price_minor = price.sent_minor THEN listing.price_minor ELSE price.before_minor END,
       earlier_minor = CASE WHEN listing.price_minor = price.sent_minor THEN price.before_minor ELSE price.earlier_minor END,
       state = 'sent', sent_minor = wanted."minor", sent_version = price.version, sent_at = clock_timestamp(), reference = NULL, worked_off_at = NULL,
       leased_until = clock_timestamp() + $2 * interval '1 ms', lease_owner = $1, operation_id = coalesce(price.operation_id, wanted."operationId")
  FROM wanted JOIN listings listing ON listing.id = wanted."listingId" WHERE price.listing_id = wanted."listingId"`;

export async function recordPrices(
  client: pg.PoolClient,
  { owner, leaseMs }: { readonly owner: string; readonly leaseMs: number },
  claims: readonly PriceToSend[],
): Promise<void> {
  const wanted = claims.map(({ listingId, itemId, intended }) => ({
    listingId,
    itemId,
    minor: intended,
  }));
  const values = [owner, leaseMs, JSON.stringify(wanted)];
  await client.query({ name: 'prices-record', text: recordSql, values });
}

/** They come again later, as if nobody had taken them. */
export async function putOff(
  client: pg.PoolClient,
  claims: readonly PriceClaim[],
  waitMs: number,
): Promise<void> {
  await client.query({
    name: 'prices-put-off',
    text: `UPDATE dirty_prices SET not_before = clock_timestamp() + $2 * interval '1 ms' WHERE listing_id = ANY($1)`,
    values: [idsOf(claims), waitMs],
  });
}

/** There is nothing left to write: the channel shows the price already, or nobody wants one any more. */
export async function endPrices(client: pg.PoolClient, claims: readonly PriceClaim[]): Promise<void> {
  await client.query({
    name: 'prices-end',
    text: endSql('SELECT unnest($1::uuid[])'),
    values: [idsOf(claims)],
  });
}

/**
 * Where a price can only be written with the quantities of its unit, nobody else may write those meanwhile. Answers the listings of units that are free:
 * a unit of which anything waits to be brought in step has its numbers written first.
 */
const leaseUnitsSql = `
WITH wanted AS (
  SELECT listing.id, listing.account_id, listing.connection_id, listing.unit_id,
         bool_or(EXISTS (SELECT FROM dirty_listings WHERE listing_id = listing.id)
              OR EXISTS (SELECT FROM listings sibling JOIN dirty_listings busy ON busy.listing_id = sibling.id
                          WHERE sibling.connection_id = listing.connection_id AND sibling.unit_id = listing.unit_id
                            AND busy.leased_until >= statement_timestamp())) OVER (PARTITION BY listing.unit_id) AS busy
    FROM listings listing WHERE listing.id = ANY($3)
)
INSERT INTO dirty_listings (listing_id, account_id, connection_id, guarded, leased_until, lease_owner, leased_version)
SELECT id, account_id, connection_id, false, statement_timestamp() + $2 * interval '1 ms', $1, 1 FROM wanted WHERE NOT busy ORDER BY id
ON CONFLICT (listing_id) DO NOTHING
RETURNING listing_id AS "listingId"`;

/** Under the lock that all claims of the connection take. */
export async function leaseUnits(
  client: pg.PoolClient,
  owner: string,
  leaseMs: number,
  claims: readonly PriceClaim[],
): Promise<ReadonlySet<string>> {
  const values = [owner, leaseMs, idsOf(claims)];
  const { rows } = await client.query<{ listingId: string }>({
    name: 'prices-lease-units',
    text: leaseUnitsSql,
    values,
  });
  return new Set(rows.map(({ listingId }) => listingId));
}
