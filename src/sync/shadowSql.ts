/** The statements behind shadows: lock first, then load in a snapshot that is newer than the lock, then save and tell whom it concerns. */
import type { PoolClient } from 'pg';
import type { Platform } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { OvertakenSnapshot } from '../dbErrors.ts';
import { boundColumns, reactionColumn, type StoredBounds } from './bounds.ts';
import type { Demand } from './core/demand.ts';
import type { Shadow } from './core/shadow.ts';
import type { ChannelTraits } from './keptListing.ts';

export type StoredState = {
  readonly shadow: Shadow;
  readonly demand: Demand;
  readonly traits: ChannelTraits;
};

export type KeptRow = StoredBounds & {
  readonly listingId: string;
  readonly accountId: string;
  readonly connectionId: string;
  readonly platform: Platform;
  readonly itemId: string | null;
  readonly unitId: string;
  readonly variantId: string;
  readonly enabled: boolean;
  readonly state: StoredState | null;
  /** Where nothing is known of what it shows: what was sent there before and may stand in a queue still. `sentAt` in milliseconds. */
  readonly standing:
    | readonly { readonly key: string; readonly value: number; readonly sentAt: number }[]
    | null;
  readonly hold: number;
  readonly raisesStopped: boolean;
  /** How often it was switched on, by itself and with its connection: by now, and when a reading last was what we knew. */
  readonly switches: number;
  readonly knownSwitch: number;
  /** When the newest finished fetch of the connection's orders was started, in milliseconds. */
  readonly ordersFetchedAt: number | null;
  readonly protection: 'shared' | 'escrow' | 'automatic';
  /** True when the channel sells it beyond its number: assumption A1 does not hold. */
  readonly sellsBeyond: boolean;
  /** True when its item is protected and another listing of it is not under lock. */
  readonly apart: boolean;
  /** Nine of ten sales are in force everywhere within this time, in milliseconds. */
  readonly reactionMs: number;
  readonly sales: readonly {
    readonly id: number;
    readonly orderId: string;
    readonly units: number;
    readonly from: number;
    readonly until: number;
  }[];
};

/**
 * SQL over a listing and its connection: what is written to, and whatever else sells a protected item: its rights come back only by what it is seen to
 * show. The offset keeps it a question of each row.
 */
export const isFollowed = `(listing.sync_enabled AND listing.writable AND connection.sync_enabled
  OR EXISTS (SELECT FROM inventory_items WHERE id = listing.item_id AND protection <> 'shared' OFFSET 0))`;

/** SQL over a write: it stands, or may stand, in a queue of its channel. */
export const isQueued = `state IN ('sent', 'accepted', 'unknown') AND queue_due_at IS NOT NULL`;

/**
 * Items under escrow are locked before any listing, together with all their listings: what one of them gives back another may take. A listing that
 * withholds units, be it of a bundle or a component of the item, and has orders to take in comes along too, or those units would be missing twice, by
 * its reading and by the ledger. Everything in the order of ids, so that two runs wait for each other and never crosswise.
 */
const lockSql = `
WITH guarded AS MATERIALIZED (
  SELECT item.id FROM inventory_items item
   WHERE item.protection <> 'shared' AND item.id IN (SELECT item_id FROM listings WHERE id = ANY($1))
   ORDER BY item.id FOR NO KEY UPDATE OF item
)
SELECT listing.id, EXISTS (SELECT FROM guarded WHERE id = listing.item_id) AS guarded FROM listings listing
 WHERE listing.id IN (
         SELECT unnest($1::uuid[])
         UNION SELECT id FROM listings WHERE item_id IN (SELECT id FROM guarded)
         UNION SELECT listing_id FROM shadows
                WHERE hold > 0 AND item_id IN (SELECT kin.id FROM listings CROSS JOIN LATERAL item_kin(item_id) kin (id) WHERE listings.id = ANY($1))
                  AND EXISTS (SELECT FROM channel_sales WHERE listing_id = shadows.listing_id))
 ORDER BY listing.id FOR NO KEY UPDATE OF listing`;

/**
 * While this waited for its locks an item may have been protected, or another listing may have joined it: then all is locked anew. Without its siblings
 * a listing would be decided about as if it shared the pool, or their rights would count as given back.
 */
export async function lockKept(
  client: PoolClient,
  listingIds: readonly string[],
): Promise<readonly KeptRow[]> {
  const { rows: locked } = await client.query<{ id: string; guarded: boolean }>({
    name: 'shadows-lock',
    text: lockSql,
    values: [listingIds],
  });
  const ids = locked.map(({ id }) => id);
  const guarded = new Set(locked.flatMap((row) => (row.guarded ? row.id : [])));
  const rows = await loadKept(client, ids);
  if (
    rows.some(
      ({ listingId, protection, apart }) => apart || (protection !== 'shared' && !guarded.has(listingId)),
    )
  )
    throw new OvertakenSnapshot('an item was protected, or got a listing, while its listings were locked');
  return rows;
}

const milliseconds = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;

/** Watermark and sales are of one snapshot: every order that the watermark speaks of is among the sales, or was taken in before. */
const loadSql = `
WITH sold AS (
  SELECT listing_id, json_agg(json_build_object('id', id, 'orderId', order_id, 'units', units, 'from', ${milliseconds('sold_from')}, 'until', ${milliseconds('sold_until')})
                              ORDER BY id) AS sales
    FROM channel_sales WHERE listing_id = ANY($1) GROUP BY listing_id
)
SELECT listing.id AS "listingId", listing.account_id AS "accountId", listing.connection_id AS "connectionId", listing.platform, listing.item_id AS "itemId",
       listing.unit_id AS "unitId", listing.variant_id AS "variantId", listing.sync_enabled AND listing.writable AND connection.sync_enabled AND connection.status = 'active' AS enabled,
       shadow.state, CASE WHEN shadow.state IS NULL THEN (
         SELECT json_agg(json_build_object('key', id, 'value', quantity, 'sentAt', ${milliseconds('sent_at')}) ORDER BY sent_at, id)
           FROM listing_writes WHERE listing_id = listing.id AND ${isQueued}
       ) END AS standing,
       coalesce(shadow.hold, 0) AS hold, coalesce(shadow.raises_stopped, false) AS "raisesStopped",
       listing.switched_on + connection.switched_on AS switches, coalesce(shadow.known_switch, listing.switched_on + connection.switched_on) AS "knownSwitch",
       ${milliseconds('connection.orders_watermark')} AS "ordersFetchedAt",
       ${boundColumns},
       coalesce(item.protection, 'shared') AS protection, listing.sells_beyond AS "sellsBeyond",
       coalesce(item.protection <> 'shared', false) AND EXISTS (SELECT FROM listings sibling WHERE sibling.item_id = item.id AND sibling.id <> ALL($1)) AS apart,
       ${reactionColumn} AS "reactionMs",
       coalesce(sold.sales, '[]') AS sales
  FROM listings listing
  JOIN connections connection ON connection.id = listing.connection_id
  LEFT JOIN inventory_items item ON item.id = listing.item_id
  -- A shadow of another item's seq says nothing about this one.
  LEFT JOIN shadows shadow ON shadow.listing_id = listing.id AND shadow.item_id = listing.item_id
  LEFT JOIN sold ON sold.listing_id = listing.id
 WHERE listing.id = ANY($1) ORDER BY listing.id`;

async function loadKept(client: PoolClient, listingIds: readonly string[]): Promise<readonly KeptRow[]> {
  const { rows } = await client.query<KeptRow>({ name: 'shadows-load', text: loadSql, values: [listingIds] });
  return rows.map(revivedRow);
}

function revivedRow(row: KeptRow): KeptRow {
  const { state } = row;
  return state === null ? row : { ...row, state: { ...state, shadow: revived(state.shadow) } };
}

function never(at: number | null): number {
  return at ?? Number.NEGATIVE_INFINITY;
}

/** JSON has no infinity: what never happened is stored as null. */
export function revived(shadow: Shadow): Shadow {
  return {
    ...shadow,
    ordersWatermark: never(shadow.ordersWatermark),
    ordersFetchedAt: never(shadow.ordersFetchedAt),
    readAt: never(shadow.readAt),
    spokenAt: never(shadow.spokenAt),
  };
}

export type SavedRow = {
  readonly listingId: string;
  readonly accountId: string;
  readonly connectionId: string;
  readonly itemId: string;
  readonly state: StoredState;
  readonly hold: number;
  readonly raisesStopped: boolean;
  readonly knownSwitch: number;
  /** True when it is read for its rights, whatever is switched off. */
  readonly guarded: boolean;
  readonly shownMin: number;
  readonly shownMax: number;
  readonly resurrectedUnits: number;
  /** Of these, those that this transaction has found. */
  readonly resurrectedMore: number;
  readonly soldPerHour: number;
  readonly readDueAt: Date;
  readonly heldBefore: number;
  readonly stoppedBefore: boolean;
  readonly readAt: Date | null;
  /** True when it is proved that it shows what we want. */
  readonly proved: boolean;
  /** The sales that the state includes from now on. */
  readonly taken: readonly number[];
  /** The writes that may still land, those of them without an answer, and those that are in force. */
  readonly open: readonly string[];
  readonly unanswered: readonly string[];
  readonly effective: readonly string[];
};

/**
 * Sales stay until there is a shadow that includes them. What a shadow withholds, or that it stops raises, concerns every listing of the item, of the
 * bundles made of it and of what it is made of.
 */
const saveSql = `
WITH kept AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS kept ("listingId" uuid, "accountId" uuid, "connectionId" uuid, "itemId" uuid, state jsonb, hold int,
    "raisesStopped" boolean, "knownSwitch" int, guarded boolean, "shownMin" int, "shownMax" int, "resurrectedUnits" int, "resurrectedMore" int, "soldPerHour" real, "readDueAt" timestamptz, "heldBefore" int,
    "stoppedBefore" boolean, "readAt" timestamptz, proved boolean, taken bigint[],
    open uuid[], unanswered uuid[], effective uuid[])
), closed AS (
  -- A write that is no candidate any more was refuted by a reading, or replaced.
  UPDATE listing_writes write
     SET state = CASE WHEN write.id = ANY(kept.unanswered) THEN 'unknown'::write_state WHEN write.id = ANY(kept.effective) THEN 'effective' ELSE 'superseded' END,
         settled_at = CASE WHEN write.id = ANY(kept.unanswered) THEN NULL ELSE now() END
    FROM kept
   WHERE write.listing_id = kept."listingId"
     AND (write.state IN ('accepted', 'unknown') AND write.id <> ALL(kept.open)
       OR write.state = 'sent' AND (write.id <> ALL(kept.open) OR write.id = ANY(kept.unanswered)))
), counted AS (
  UPDATE connections SET resurrected_units = resurrected_units + found.units
    FROM (SELECT "connectionId", sum("resurrectedMore") AS units FROM kept WHERE "resurrectedMore" > 0 GROUP BY "connectionId") found
   WHERE connections.id = found."connectionId"
), taken AS (
  DELETE FROM channel_sales sale USING kept WHERE sale.listing_id = kept."listingId" AND sale.id = ANY(kept.taken)
), saved AS (
  INSERT INTO shadows AS current (listing_id, account_id, connection_id, item_id, state, hold, raises_stopped, known_switch, shown_min, shown_max,
                                  resurrected_units, sold_per_hour, read_due_at)
  SELECT "listingId", "accountId", "connectionId", "itemId", state, hold, "raisesStopped", "knownSwitch", "shownMin", "shownMax", "resurrectedUnits", "soldPerHour", "readDueAt"
    FROM kept
  ON CONFLICT (listing_id) DO UPDATE
     SET connection_id = excluded.connection_id, item_id = excluded.item_id, state = excluded.state, hold = excluded.hold,
         raises_stopped = excluded.raises_stopped, known_switch = excluded.known_switch, shown_min = excluded.shown_min, shown_max = excluded.shown_max,
         resurrected_units = excluded.resurrected_units, sold_per_hour = excluded.sold_per_hour, read_due_at = excluded.read_due_at, updated_at = now()
), shown AS (
  UPDATE listings listing SET quantity = CASE WHEN "shownMin" = "shownMax" THEN "shownMax" END, quantity_at = coalesce("readAt", listing.quantity_at),
         last_error = CASE WHEN proved THEN NULL ELSE listing.last_error END, updated_at = now()
    FROM kept JOIN connections connection ON connection.id = kept."connectionId"
   WHERE listing.id = kept."listingId"
     -- Where nothing is written the number is the one that was observed.
     AND (kept.guarded OR listing.sync_enabled AND listing.writable AND connection.sync_enabled)
     AND (listing.quantity IS DISTINCT FROM CASE WHEN "shownMin" = "shownMax" THEN "shownMax" END OR listing.quantity_at IS DISTINCT FROM coalesce("readAt", listing.quantity_at)
       OR proved AND listing.last_error IS NOT NULL)
), concerned AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, guarded)
  SELECT listing.id, listing.account_id, listing.connection_id, false
    FROM listings listing
   WHERE listing.sync_enabled AND listing.writable
     AND listing.item_id IN (SELECT kin.id FROM kept CROSS JOIN LATERAL item_kin("itemId") kin (id)
                              WHERE hold <> "heldBefore" OR "raisesStopped" <> "stoppedBefore")
   ORDER BY listing.id
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, not_before = now()
  RETURNING connection_id
)
SELECT DISTINCT connection_id FROM concerned`;

/** Answers the connections with listings to look at. */
export async function saveKept(client: PoolClient, rows: readonly SavedRow[]): Promise<readonly string[]> {
  if (rows.length === 0) return [];
  const { rows: concerned } = await client.query<{ connection_id: string }>({
    name: 'shadows-save',
    text: saveSql,
    values: [JSON.stringify(rows)],
  });
  return concerned.map(({ connection_id: id }) => id);
}

const withheldSql = `
UPDATE shadows SET hold = held.hold, raises_stopped = held."raisesStopped"
  FROM jsonb_to_recordset($1::jsonb) AS held ("listingId" uuid, "itemId" uuid, hold int, "raisesStopped" boolean)
 WHERE shadows.listing_id = held."listingId" AND shadows.item_id = held."itemId"`;

/** What this transaction withholds or stops counts in the very decisions that it makes, for the item and for all that shares units with it. */
export async function saveWithheld(
  client: PoolClient,
  rows: readonly Pick<SavedRow, 'listingId' | 'itemId' | 'hold' | 'raisesStopped'>[],
): Promise<void> {
  if (rows.length > 0)
    await client.query({ name: 'shadows-withheld', text: withheldSql, values: [JSON.stringify(rows)] });
}

/**
 * A shadow that has not taken in what was sold there long ago (nobody reads a paused listing) would find those units missing one day, and prove an
 * outside edit of them: it is forgotten together with them, and the listing is read anew.
 */
const pruneSql = `
WITH gone AS (
  DELETE FROM channel_sales WHERE ctid = ANY(ARRAY(SELECT ctid FROM channel_sales WHERE known_at < $1 LIMIT $2)) RETURNING listing_id
), forgotten AS (
  DELETE FROM shadows WHERE listing_id IN (SELECT listing_id FROM gone) RETURNING item_id, hold > 0 OR raises_stopped AS withheld
), concerned AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, guarded)
  SELECT listing.id, listing.account_id, listing.connection_id, false FROM listings listing
   WHERE listing.sync_enabled AND listing.writable
     AND listing.item_id IN (SELECT kin.id FROM forgotten CROSS JOIN LATERAL item_kin(item_id) kin (id) WHERE withheld)
   ORDER BY listing.id
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, not_before = now()
)
SELECT count(*)::int AS pruned FROM gone`;

/** Sales known since before `before`. Answers how many were removed. */
export async function pruneSales(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rows } = await db.query<{ pruned: number }>(pruneSql, [before, limit]);
  return rows[0]?.pruned ?? 0;
}
