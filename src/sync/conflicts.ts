/** Keeps a proven conflict with its evidence, in the transaction that proved it, and decides it at once where the account's policy does. */
import type { PoolClient } from 'pg';
import { autoDecision, decide } from './conflictDecision.ts';
import { type ConsideredOrder, consideredOrdersMax, evidenceOf } from './conflictEvidence.ts';
import {
  announceConflicts,
  insertConflict,
  kindOf,
  markListings,
  nameSuccessor,
  openConflictOf,
  openConflicts,
  type StoredConflict,
  settleItemStatus,
  supersedeConflicts,
} from './conflictRows.ts';
import { type Conflict, type Resolution, succeeded } from './core/conflicts.ts';
import { noEffect, type StockEffect, togetherWith } from './ledger.ts';
import { systemActor } from './outcome.ts';

export type FoundConflict = {
  readonly accountId: string;
  readonly itemId: string;
  readonly listingId: string;
  readonly conflict: Conflict;
  /** Of the channel, as the range took them into account: `ordersConsidered` of the shadow before the proof. */
  readonly ordersConsidered: readonly ConsideredOrder[];
  /**
   * True when the edit may have been made while the listing was switched off: whoever kept its number then may have counted what was sold elsewhere, and
   * that is booked already. False when left out.
   */
  readonly whileOff?: boolean;
};

export type ConflictStored = {
  /** Null when this proof cancels out the open conflict that it took the place of. */
  readonly conflictId: string | null;
  /** What the account's policy decided at once; null when a person has to. */
  readonly resolution: Resolution | null;
  /** For after the commit: whose listings are to be brought in step, and what moved. */
  readonly effect: StockEffect;
};

/**
 * In the caller's transaction. An open conflict of the same listing and kind is superseded; for numbers the new one carries both edits, and when
 * they cancel out none is left. Takes the lock on the item, then on its dirty listings: a caller that holds a dirty listing of the item already, or
 * that stores several without going by item id, may meet a deadlock, which `inTransaction` runs again.
 */
export async function storeConflict(client: PoolClient, found: FoundConflict): Promise<ConflictStored> {
  const { accountId, itemId, listingId, conflict } = found;
  const items = await lockItems(client, found);
  const kind = kindOf(conflict.type);
  const older = await openConflictOf(client, listingId, kind);
  const newer = successorOf(older, found);
  if (older !== null) await supersedeConflicts(client, [older.id]);
  const conflictId = newer === null ? null : await insertFound(client, found, newer, older);
  if (older !== null && conflictId !== null) await nameSuccessor(client, older.id, conflictId);
  await announceConflicts(
    client,
    [older?.id, conflictId].filter((id) => typeof id === 'string'),
  );
  await settleItemStatus(client, items);
  if (kind === 'price') return { conflictId, resolution: null, effect: noEffect };

  const connectionIds = await markListings(client, items, { listingId });
  const effect = { ...noEffect, connectionIds };
  if (conflictId === null) return { conflictId, resolution: null, effect };
  const open = await openConflicts(client, itemId, 'quantity');
  const automatic = await autoDecision(client, itemId, open);
  if (automatic === null) return { conflictId, resolution: null, effect };
  const decided = await decide(client, { accountId, itemId, open, ...automatic, actor: systemActor });
  return { conflictId, resolution: automatic.resolution, effect: togetherWith(effect, decided) };
}

/** The item, and another one that the listing's open conflict is about because the listing was mapped anew; locked in id order. */
async function lockItems(
  client: PoolClient,
  { accountId, itemId, listingId }: FoundConflict,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM inventory_items
      WHERE account_id = $1 AND id IN (SELECT $2::uuid UNION SELECT item_id FROM sync_conflicts WHERE listing_id = $3 AND status = 'open')
      ORDER BY id FOR NO KEY UPDATE`,
    [accountId, itemId, listingId],
  );
  return rows.map(({ id }) => id);
}

/** What is left to decide once the older conflict is gone. */
function successorOf(older: StoredConflict | null, found: FoundConflict): Conflict | null {
  return adds(older, found) ? succeeded(older, found.conflict).newer : found.conflict;
}

/** A price is compared with what it should be, not with what it was; and what a listing did as another item's says nothing of this one. */
function adds(older: StoredConflict | null, { itemId, conflict }: FoundConflict): older is StoredConflict {
  return older !== null && conflict.type !== 'price_mismatch' && older.itemId === itemId;
}

async function insertFound(
  client: PoolClient,
  found: FoundConflict,
  newer: Conflict,
  older: StoredConflict | null,
): Promise<string> {
  const { accountId, itemId, listingId, conflict, whileOff = false } = found;
  const orders = conflict.evidence.kind === 'price' ? [] : await allOrders(client, found);
  const manual = whileOff || (adds(older, found) && !older.autoResolvable);
  return insertConflict(client, {
    accountId,
    itemId,
    listingId,
    type: newer.type,
    delta: newer.delta,
    version: newer.version,
    // The proof itself, before any older edit was added to it.
    data: evidenceOf(conflict, orders),
    suggestedResolution: manual ? 'manual_review' : newer.suggestedResolution,
    autoResolvable: newer.autoResolvable && !manual,
    awaitsReview: older?.awaitsReview ?? false,
  });
}

/** Channel time on either side of a reading within which an order may help people to understand it. */
const nearbyMs = 3_600_000;
/** The newest lines of an item that are looked through for such orders. */
const linesLookedAt = 200;

const nearbySql = `
SELECT orders.id AS "orderId", sum(line.held_reserved + line.held_shipped)::int AS units,
       extract(epoch FROM min(orders.channel_created_at))::float8 * 1000 AS at
  FROM (SELECT * FROM order_lines WHERE item_id = $1 ORDER BY id DESC LIMIT ${linesLookedAt}) line
  JOIN orders ON orders.id = line.order_id
 WHERE line.listing_id = $2
   AND orders.channel_created_at BETWEEN to_timestamp($3::float8 / 1000) AND to_timestamp($4::float8 / 1000)
 GROUP BY orders.id ORDER BY at DESC, orders.id DESC LIMIT ${consideredOrdersMax}`;

/** Those that the range took into account, and then the newest others of this listing near the reading. */
async function allOrders(
  client: PoolClient,
  { itemId, listingId, conflict, ordersConsidered }: FoundConflict,
): Promise<readonly ConsideredOrder[]> {
  if (conflict.evidence.kind === 'price') return [];
  const { reading } = conflict.evidence.proof;
  const { rows } = await client.query<{ orderId: string; units: number; at: number }>(nearbySql, [
    itemId,
    listingId,
    reading.from - nearbyMs,
    reading.until + nearbyMs,
  ]);
  const ofRange = new Set(ordersConsidered.map(({ orderId }) => orderId));
  const nearby = rows
    .filter(({ orderId }) => !ofRange.has(orderId))
    .map(({ orderId, units, at }) => ({ orderId, units, from: at, until: at, basis: 'nearby' as const }));
  return [...ordersConsidered, ...nearby].slice(0, consideredOrdersMax);
}
