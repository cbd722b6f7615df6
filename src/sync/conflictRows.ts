/** The rows of conflicts and what must follow each change of one: the item's status, its listings, the event. The item's lock is held throughout. */
import type { PoolClient } from 'pg';
import type { StoredEvidence } from './conflictEvidence.ts';
import type { ConflictType, Decidable, Resolution } from './core/conflicts.ts';
import { type Actor, actorName } from './outcome.ts';

/** Conflicts about a number, and conflicts about a price, are decided apart. */
export type ConflictKind = 'quantity' | 'price';

export type StoredConflict = Decidable & {
  readonly id: string;
  readonly itemId: string;
  readonly listingId: string | null;
  readonly autoResolvable: boolean;
  /** A person said that they will decide. */
  readonly awaitsReview: boolean;
  readonly supersededBy: string | null;
  readonly resolution: Resolution | null;
  readonly data: unknown;
};

const columns = `id, item_id AS "itemId", listing_id AS "listingId", conflict_type AS type, delta::float8 AS delta, status, version,
  auto_resolvable AS "autoResolvable", awaits_review AS "awaitsReview", superseded_by AS "supersededBy", resolution, conflict_data AS data`;

export function kindOf(type: ConflictType): ConflictKind {
  return type === 'price_mismatch' ? 'price' : 'quantity';
}

/** Every change of a conflict happens under its item's lock, so that what is read after it is what there is. */
export async function lockItem(client: PoolClient, accountId: string, itemId: string): Promise<void> {
  await client.query('SELECT FROM inventory_items WHERE id = $2 AND account_id = $1 FOR NO KEY UPDATE', [
    accountId,
    itemId,
  ]);
}

export async function openConflicts(
  client: PoolClient,
  itemId: string,
  kind: ConflictKind,
): Promise<readonly StoredConflict[]> {
  const { rows } = await client.query<StoredConflict>(
    `SELECT ${columns} FROM sync_conflicts WHERE item_id = $1 AND status = 'open' AND (conflict_type = 'price_mismatch') = $2 ORDER BY id`,
    [itemId, kind === 'price'],
  );
  return rows;
}

export async function openConflictOf(
  client: PoolClient,
  listingId: string,
  kind: ConflictKind,
): Promise<StoredConflict | null> {
  const { rows } = await client.query<StoredConflict>(
    `SELECT ${columns} FROM sync_conflicts WHERE listing_id = $1 AND status = 'open' AND (conflict_type = 'price_mismatch') = $2`,
    [listingId, kind === 'price'],
  );
  return rows[0] ?? null;
}

/** Those of the account, in no order; ids of nobody and of others are left out. */
export async function readConflicts(
  client: PoolClient,
  accountId: string,
  ids: readonly string[],
): Promise<readonly StoredConflict[]> {
  const { rows } = await client.query<StoredConflict>(
    `SELECT ${columns} FROM sync_conflicts WHERE account_id = $1 AND id = ANY($2)`,
    [accountId, ids],
  );
  return rows;
}

export type NewConflict = {
  readonly accountId: string;
  readonly itemId: string;
  readonly listingId: string;
  readonly type: ConflictType;
  readonly delta: number;
  readonly version: number;
  readonly data: StoredEvidence;
  readonly suggestedResolution: Resolution;
  readonly autoResolvable: boolean;
  readonly awaitsReview: boolean;
};

export async function insertConflict(client: PoolClient, conflict: NewConflict): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO sync_conflicts (account_id, item_id, listing_id, conflict_type, delta, version, conflict_data, suggested_resolution, auto_resolvable, awaits_review)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
    [
      conflict.accountId,
      conflict.itemId,
      conflict.listingId,
      conflict.type,
      conflict.delta,
      conflict.version,
      JSON.stringify(conflict.data),
      conflict.suggestedResolution,
      conflict.autoResolvable,
      conflict.awaitsReview,
    ],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('no conflict was inserted');
  return row.id;
}

export async function supersedeConflicts(client: PoolClient, ids: readonly string[]): Promise<void> {
  await client.query(
    `UPDATE sync_conflicts SET status = 'superseded', version = version + 1, resolved_at = now(), updated_at = now()
      WHERE id = ANY($1) AND status = 'open'`,
    [ids],
  );
}

export async function nameSuccessor(client: PoolClient, olderId: string, newerId: string): Promise<void> {
  await client.query('UPDATE sync_conflicts SET superseded_by = $2 WHERE id = $1', [olderId, newerId]);
}

export async function closeConflicts(
  client: PoolClient,
  ids: readonly string[],
  decision: {
    readonly resolution: Resolution;
    readonly actor: Actor;
    readonly movementId: string | null;
  },
): Promise<void> {
  await client.query(
    `UPDATE sync_conflicts SET status = 'resolved', version = version + 1, resolution = $2, resolved_by = $3, movement_id = $4, awaits_review = false,
            resolved_at = now(), updated_at = now()
      WHERE id = ANY($1) AND status = 'open'`,
    [ids, decision.resolution, actorName(decision.actor), decision.movementId],
  );
}

/** Marks that a person decides. Answers those that were not marked before. */
export async function awaitReview(client: PoolClient, ids: readonly string[]): Promise<readonly string[]> {
  const { rows } = await client.query<{ id: string }>(
    `UPDATE sync_conflicts SET awaits_review = true, updated_at = now()
      WHERE id = ANY($1) AND status = 'open' AND NOT awaits_review RETURNING id`,
    [ids],
  );
  return rows.map(({ id }) => id);
}

/** One event for each, in this order, with the row as it is by now. */
export async function announceConflicts(client: PoolClient, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await client.query(
    `INSERT INTO events (account_id, topic, subject_id, payload)
     SELECT account_id, 'conflict', id, jsonb_build_object('conflictId', id, 'itemId', item_id, 'listingId', listing_id, 'type', conflict_type,
              'status', status, 'delta', delta, 'version', version, 'resolution', resolution)
       FROM unnest($1::uuid[]) WITH ORDINALITY AS changed (conflict_id, place) JOIN sync_conflicts ON id = conflict_id
      ORDER BY place`,
    [ids],
  );
}

/** `conflict` as long as one is open. Afterwards the items stand with their channels as their listings do. */
export async function settleItemStatus(client: PoolClient, itemIds: readonly string[]): Promise<void> {
  await client.query(
    `UPDATE inventory_items item SET sync_status = status.now, updated_at = now()
       FROM (SELECT id, CASE WHEN EXISTS (SELECT FROM sync_conflicts WHERE item_id = held.id AND status = 'open') THEN 'conflict'
                             WHEN sync_status <> 'conflict' THEN sync_status
                             WHEN EXISTS (SELECT FROM listings WHERE item_id = held.id AND last_error IS NOT NULL AND sync_enabled AND writable) THEN 'error'
                             ELSE 'synced' END AS now
               FROM inventory_items held WHERE id = ANY($1)) status
      WHERE item.id = status.id AND item.sync_status <> status.now`,
    [itemIds],
  );
}

/**
 * All listings of the items, and of what shares units with them, are to be brought in step. `reread`: all of the items' own, or the one listing whose
 * number is not ours any more.
 */
export async function markListings(
  client: PoolClient,
  itemIds: readonly string[],
  reread: 'all' | { readonly listingId: string },
): Promise<readonly string[]> {
  const { rows } = await client.query<{ connection_id: string }>(
    `WITH dirty AS (
       INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, guarded)
       SELECT id, account_id, connection_id, CASE WHEN $2::uuid IS NULL THEN item_id = ANY($1) ELSE id = $2 END, true FROM listings
        WHERE item_id IN (SELECT kin.id FROM unnest($1::uuid[]) item (id) CROSS JOIN LATERAL item_kin(item.id) kin (id)) AND sync_enabled AND writable
        ORDER BY id
       ON CONFLICT (listing_id) DO UPDATE
          SET version = current.version + 1, not_before = now(), reread = current.reread OR excluded.reread, guarded = true
       RETURNING connection_id
     ) SELECT DISTINCT connection_id FROM dirty`,
    [itemIds, reread === 'all' ? null : reread.listingId],
  );
  return rows.map((row) => row.connection_id);
}
