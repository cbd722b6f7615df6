/** The statements of an undo's writes: what is open, the leases that keep a push away from it, what is sent and what became of it. */
import type pg from 'pg';
import type { StockWriteResult } from '../connectors/connector.ts';
import { inTransaction, type Queryable } from '../db.ts';
import type { OpenRestore, RestoreStep } from './planRestore.ts';
import type { PlanWork } from './planSql.ts';
import { lockClaims } from './pushSql.ts';

type RestoreRow = {
  id: string;
  listing_id: string;
  item_id: string;
  unit_id: string;
  variant_id: string;
  withdrawn_at: Date;
  checked_shown: number;
  checked_from: Date;
  checked_until: Date;
  foreign_write: boolean;
  enabled: boolean;
  write_id: string | null;
  quantity: number | null;
  expected: number | null;
  sent_at: Date | null;
  state: 'sent' | 'accepted' | 'unknown' | 'effective' | 'rejected' | 'stale' | 'superseded' | null;
};

const openSql = `
SELECT entry.id, entry.listing_id, entry.item_id, listing.unit_id, listing.variant_id, entry.withdrawn_at, entry.checked_shown, entry.checked_from,
       entry.checked_until,
       -- Under escrow the old number may be granted to others: it stays as it is, and stays charged.
       listing.sync_enabled OR EXISTS (SELECT FROM inventory_items WHERE id = entry.item_id AND protection <> 'shared') AS enabled, write.id AS write_id, write.quantity, write.expected, entry.restore_sent_at AS sent_at,
       write.state,
       EXISTS (SELECT FROM listing_writes other WHERE other.listing_id = entry.listing_id AND other.id IS DISTINCT FROM entry.restore_write_id
                  -- Older ones cannot land any more, whoever was to close them, unless they stand in a queue or did so until now.
                  AND (other.state IN ('sent', 'accepted', 'unknown') AND (other.queue_due_at IS NOT NULL OR other.sent_at > now() - $5 * interval '1 ms')
                       OR other.checked_at > now() - $5 * interval '1 ms')) AS foreign_write
  FROM sync_plan_entries entry JOIN listings listing ON listing.id = entry.listing_id
  LEFT JOIN listing_writes write ON write.id = entry.restore_write_id
 WHERE entry.plan_id = $1 AND entry.state = 'applied' AND entry.withdrawn_at IS NOT NULL AND (listing.unit_id, listing.variant_id) > ($2, $3)
 ORDER BY listing.unit_id, listing.variant_id LIMIT $4`;

export async function openRestores(
  db: Queryable,
  planId: string,
  [unitId, variantId]: readonly [string, string],
  limit: number,
  settleMaxMs: number,
): Promise<readonly OpenRestore[]> {
  const { rows } = await db.query<RestoreRow>(openSql, [planId, unitId, variantId, limit, settleMaxMs]);
  return rows.map((row) => ({
    id: row.id,
    listingId: row.listing_id,
    itemId: row.item_id,
    unitId: row.unit_id,
    variantId: row.variant_id,
    withdrawnAt: row.withdrawn_at.getTime(),
    before: {
      shown: row.checked_shown,
      from: row.checked_from.getTime(),
      until: row.checked_until.getTime(),
    },
    foreignWrite: row.foreign_write,
    enabledAgain: row.enabled,
    sent: sentOf(row),
  }));
}

function sentOf(row: RestoreRow): OpenRestore['sent'] {
  const { write_id: writeId, quantity, sent_at: sentAt, state } = row;
  if (writeId === null || quantity === null || sentAt === null) return null;
  if (state === 'rejected' || state === 'stale' || state === null) return null;
  return {
    writeId,
    quantity,
    expected: row.expected,
    at: sentAt.getTime(),
    // Whoever looks at open writes may have closed it; only our own reading ends the undo.
    state: state === 'effective' || state === 'superseded' ? 'accepted' : state,
  };
}

/**
 * Takes the listings as a push would: while a variant is held, no push writes to its siblings, whose write would replace it. Those that a push is
 * busy with are left for the next look.
 */
const leaseSql = `
INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, leased_until, lease_owner, leased_version, version, guarded)
SELECT listing.id, listing.account_id, listing.connection_id, statement_timestamp() + $4 * interval '1 ms', $3, 1, 1, false
  FROM listings listing
 WHERE listing.id = ANY($2)
   AND NOT EXISTS (SELECT FROM listings sibling JOIN dirty_listings busy ON busy.listing_id = sibling.id
                    WHERE sibling.connection_id = $1 AND sibling.unit_id = listing.unit_id AND busy.leased_until >= statement_timestamp())
 ORDER BY listing.id
ON CONFLICT (listing_id) DO UPDATE SET leased_until = excluded.leased_until, lease_owner = excluded.lease_owner, leased_version = current.version
RETURNING listing_id`;

export async function leaseListings(
  pool: pg.Pool,
  { plan, owner, options }: PlanWork,
  entries: readonly OpenRestore[],
): Promise<readonly OpenRestore[]> {
  if (entries.length === 0) return [];
  const { rows } = await inTransaction(pool, async (client) => {
    // The lock under which a push claims: the leases of one are seen by the other.
    await lockClaims(client, plan.connectionId);
    return client.query<{ listing_id: string }>(leaseSql, [
      plan.connectionId,
      entries.map(({ listingId }) => listingId),
      owner,
      options.leaseMs,
    ]);
  });
  const leased = new Set(rows.map((row) => row.listing_id));
  return entries.filter(({ listingId }) => leased.has(listingId));
}

/** Nothing is left to push: the listing is switched off. Where somebody has switched it on meanwhile, the row stays for the push. */
export async function releaseListings(
  db: Queryable,
  owner: string,
  entries: readonly OpenRestore[],
): Promise<void> {
  if (entries.length === 0) return;
  const values = [entries.map(({ listingId }) => listingId), owner];
  await db.query(
    `DELETE FROM dirty_listings dirty USING listings listing
      WHERE dirty.listing_id = ANY($1) AND dirty.lease_owner = $2 AND listing.id = dirty.listing_id AND NOT listing.sync_enabled`,
    values,
  );
  await db.query(
    `UPDATE dirty_listings SET leased_until = NULL, lease_owner = NULL, leased_version = NULL, reread = true WHERE listing_id = ANY($1) AND lease_owner = $2`,
    values,
  );
}

type Decided = { readonly entry: OpenRestore; readonly step: RestoreStep };

/**
 * Keeps what is decided and what is sent right after. A write that a new number replaces is closed. What we believed of a listing that is done
 * with is of no use to whoever takes it on again: its shadow goes.
 */
const recordSql = `
WITH step AS (
  SELECT * FROM jsonb_to_recordset($2::jsonb) AS step (id uuid, listing_id uuid, kind text, error text, shown int, write_id uuid, quantity int, expected int)
), written AS (
  INSERT INTO listing_writes AS write (id, account_id, connection_id, listing_id, quantity, expected, target_seq, sent_at)
  SELECT step.write_id, listing.account_id, listing.connection_id, listing.id, step.quantity, step.expected, listing.target_seq, $3
    FROM step JOIN listings listing ON listing.id = step.listing_id WHERE step.kind = 'write'
  ON CONFLICT (id) DO UPDATE SET state = 'sent', sent_at = $3, checked_at = NULL
), closed AS (
  UPDATE listing_writes write
     SET state = (CASE step.kind WHEN 'done' THEN 'effective' ELSE 'superseded' END)::write_state, settled_at = now()
    FROM step JOIN sync_plan_entries entry ON entry.id = step.id
   WHERE write.id = entry.restore_write_id AND step.kind <> 'wait' AND step.write_id IS DISTINCT FROM write.id
     AND write.state IN ('sent', 'accepted', 'unknown')
), shown AS (
  UPDATE listings listing SET quantity = step.shown, quantity_at = $3, target = step.shown, last_error = NULL, updated_at = now()
    FROM step WHERE listing.id = step.listing_id AND step.kind = 'done' AND step.shown IS NOT NULL
), forgotten AS (
  DELETE FROM shadows USING step WHERE shadows.listing_id = step.listing_id AND step.kind = 'done' AND step.shown IS NOT NULL
)
UPDATE sync_plan_entries entry
   SET state = (CASE step.kind WHEN 'done' THEN 'undone' WHEN 'fail' THEN 'failed' ELSE 'applied' END)::plan_entry_state, error = step.error,
       restore_to = coalesce(step.quantity, entry.restore_to),
       restore_sent_at = CASE WHEN step.kind = 'write' AND step.write_id IS DISTINCT FROM entry.restore_write_id THEN $3 ELSE entry.restore_sent_at END,
       restore_write_id = CASE WHEN step.kind = 'write' THEN step.write_id ELSE entry.restore_write_id END, updated_at = now()
  FROM step WHERE entry.id = step.id AND entry.plan_id = $1`;

export async function recordRestores(
  client: pg.PoolClient,
  { plan }: PlanWork,
  decided: readonly Decided[],
  now: Date,
): Promise<void> {
  const rows = decided.map(({ entry, step }) => ({
    id: entry.id,
    listing_id: entry.listingId,
    kind: step.kind,
    error: step.kind === 'fail' ? step.error : null,
    shown: step.kind === 'done' ? step.shown : null,
    write_id: step.kind === 'write' ? step.writeId : null,
    quantity: step.kind === 'write' ? step.quantity : null,
    expected: step.kind === 'write' ? step.expected : null,
  }));
  await client.query(recordSql, [plan.id, JSON.stringify(rows), now]);
}

type Settled = {
  readonly entry: OpenRestore;
  readonly step: Extract<RestoreStep, { kind: 'write' }>;
  readonly result: StockWriteResult;
};

const settleSql = `
WITH answer AS (
  SELECT * FROM jsonb_to_recordset($2::jsonb) AS answer (id uuid, listing_id uuid, write_id uuid, state write_state, shown int, error text)
), written AS (
  UPDATE listing_writes write
     SET state = answer.state, error = answer.error, answered_at = now(),
         settled_at = CASE WHEN answer.state IN ('sent', 'accepted', 'unknown') THEN NULL ELSE now() END
    FROM answer WHERE write.id = answer.write_id
), listing AS (
  UPDATE listings listing
     SET quantity = answer.shown, quantity_at = now(), target = coalesce(answer.shown, listing.target), last_error = answer.error, updated_at = now()
    FROM answer WHERE listing.id = answer.listing_id
), forgotten AS (
  DELETE FROM shadows USING answer WHERE shadows.listing_id = answer.listing_id AND answer.shown IS NOT NULL
)
UPDATE sync_plan_entries entry
   SET state = (CASE WHEN answer.shown IS NOT NULL THEN 'undone' WHEN answer.state = 'rejected' THEN 'failed' ELSE 'applied' END)::plan_entry_state,
       error = answer.error, updated_at = now()
  FROM answer WHERE entry.id = answer.id AND entry.plan_id = $1`;

/** Answers how many are over: shown again, or refused by the channel. What is only accepted, or has no answer, the next reading proves. */
export async function settleRestores(
  client: pg.PoolClient,
  { plan }: PlanWork,
  settled: readonly Settled[],
): Promise<{ readonly undone: number; readonly failed: number }> {
  const rows = settled.map(({ entry, step, result }) => ({
    id: entry.id,
    listing_id: entry.listingId,
    write_id: step.writeId,
    shown: result.kind === 'effective' && result.quantity === step.quantity ? step.quantity : null,
    ...stateOf(result, entry.sent?.writeId === step.writeId),
  }));
  await client.query(settleSql, [plan.id, JSON.stringify(rows)]);
  return {
    undone: rows.filter(({ shown }) => shown !== null).length,
    failed: rows.filter(({ state }) => state === 'rejected').length,
  };
}

function stateOf(
  result: StockWriteResult,
  repeated: boolean,
): { readonly state: string; readonly error: string | null } {
  switch (result.kind) {
    case 'effective':
    case 'accepted':
    case 'stale':
      return { state: result.kind, error: null };
    case 'rejected':
      return { state: 'rejected', error: `${result.code}: ${result.message}` };
    case 'unknown':
      return { state: 'unknown', error: result.reason };
    case 'deferred':
      // That this attempt did nothing says nothing about the one before it that was never answered.
      return { state: repeated ? 'unknown' : 'stale', error: result.reason };
  }
}
