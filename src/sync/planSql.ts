/** The rows of plans: leases, progress and counts. Whoever has lost a plan's lease, or works on a status that is over, can change nothing of it. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { inTransaction, type Queryable } from '../db.ts';
import type { Log } from '../log.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { isLarge, type PlanWinner } from './planDecision.ts';
import type { ReadingOptions } from './readings.ts';
import type { WakeUps } from './wakeUps.ts';

export type PlanStatus =
  | 'planning'
  | 'ready'
  | 'applying'
  | 'applied'
  | 'undoing'
  | 'undone'
  | 'failed'
  | 'expired';

export type PlanOptions = {
  readonly pool: pg.Pool;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  readonly wakeUps: WakeUps;
  readonly onEvents: () => void;
  /** Listings read, or items decided, at once. */
  readonly batchMax: number;
  /** Longer than the longest channel call. */
  readonly leaseMs: number;
  readonly readings: (channel: ConnectedChannel) => ReadingOptions;
  readonly backoffMaxMs: number;
  /** Attempts at reading for a plan before it is given up. */
  readonly attemptsMax: number;
  /** Ends the work after the batch under way. */
  readonly signal?: AbortSignal;
};

export type WorkingStatus = Extract<PlanStatus, 'planning' | 'applying' | 'undoing'>;

export type WorkingPlan = {
  readonly id: string;
  readonly accountId: string;
  readonly connectionId: string;
  readonly status: WorkingStatus;
  readonly winner: PlanWinner;
  readonly imported: boolean;
  readonly readThrough: readonly [unitId: string, variantId: string];
  readonly attempts: number;
};

/** A claimed plan and whose it is. */
export type PlanLease = {
  readonly options: PlanOptions;
  readonly plan: WorkingPlan;
  readonly owner: string;
};

/** With its channel. */
export type PlanWork = PlanLease & { readonly channel: ConnectedChannel };

/** Milliseconds until there is something to do again; null when this part of the plan is over. */
export type Pause = number | null;

/** Thrown when somebody else has taken the plan on or its status has changed. Nothing of the batch under way was done. */
export class PlanTakenError extends Error {
  override readonly name = 'PlanTakenError';
}

type ClaimRow = {
  id: string;
  account_id: string;
  connection_id: string;
  status: WorkingStatus;
  winner: PlanWinner;
  imported: boolean;
  unit: string;
  variant: string;
  attempts: number;
};

export async function claimPlan(
  db: Queryable,
  planId: string,
  owner: string,
  leaseMs: number,
): Promise<WorkingPlan | null> {
  const { rows } = await db.query<ClaimRow>(
    `UPDATE sync_plans SET leased_until = now() + $3 * interval '1 ms', lease_owner = $2
      WHERE id = $1 AND status IN ('planning', 'applying', 'undoing') AND not_before <= now()
        AND (leased_until IS NULL OR leased_until < now())
     RETURNING id, account_id, connection_id, status, winner, imported_at IS NOT NULL AS imported, coalesce(read_through_unit, '') AS unit,
               coalesce(read_through_variant, '') AS variant, attempts`,
    [planId, owner, leaseMs],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return {
    id: row.id,
    accountId: row.account_id,
    connectionId: row.connection_id,
    status: row.status,
    winner: row.winner,
    imported: row.imported,
    readThrough: [row.unit, row.variant],
    attempts: row.attempts,
  };
}

export type PlanProgress = Partial<
  Readonly<Record<'listings' | 'applied' | 'changed' | 'undone' | 'failed', number>>
>;

/** What subscribers are told of a plan; `plan` is the name of its row in the statement. */
const planPayload = `jsonb_build_object('planId', plan.id, 'connectionId', plan.connection_id, 'status', plan.status, 'listings', plan.listings,
  'applied', plan.applied, 'changed', plan.changed, 'undone', plan.undone, 'failed', plan.failed)`;

/** Adds the event of a plan, in the transaction that changed it. */
export async function tellPlan(db: Queryable, planId: string): Promise<void> {
  await db.query(
    `INSERT INTO events (account_id, topic, subject_id, payload) SELECT account_id, 'plan', id, ${planPayload} FROM sync_plans plan WHERE id = $1`,
    [planId],
  );
}

/** Renews the lease and counts progress; only progress makes earlier failures forgotten. Locks the plan until the end of the transaction. Throws `PlanTakenError`. */
export async function keepPlan(
  db: Queryable,
  { plan, owner, options }: PlanLease,
  progress: PlanProgress = {},
): Promise<void> {
  const { listings = 0, applied = 0, changed = 0, undone = 0, failed = 0 } = progress;
  const further = listings + applied + changed + undone + failed > 0;
  const { rowCount } = await db.query(
    `UPDATE sync_plans
        SET leased_until = statement_timestamp() + $4 * interval '1 ms', updated_at = now(),
            attempts = CASE WHEN $10 THEN 0 ELSE attempts END, error = CASE WHEN $10 THEN NULL ELSE error END,
            listings = listings + $5, applied = applied + $6, changed = changed + $7, undone = undone + $8, failed = failed + $9
      WHERE id = $1 AND lease_owner = $2 AND status = $3::plan_status`,
    [plan.id, owner, plan.status, options.leaseMs, listings, applied, changed, undone, failed, further],
  );
  if (rowCount === 0) throw new PlanTakenError('the plan is no longer this worker’s');
  if (further) await tellPlan(db, plan.id);
}

/** Runs one batch under the plan's lock: all of it is done, or nothing. */
export async function underLease<Result>(
  work: PlanLease,
  batch: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const { pool, onEvents } = work.options;
  const result = await inTransaction(pool, async (client) => {
    await keepPlan(client, work);
    return batch(client);
  });
  onEvents();
  return result;
}

/** Gives the plan back, to be taken on again after the pause. */
export async function releasePlan(
  { plan, owner, options }: PlanLease,
  pauseMs: number,
  error: string | null,
): Promise<void> {
  await options.pool.query(
    `UPDATE sync_plans SET leased_until = NULL, lease_owner = NULL, not_before = now() + $3 * interval '1 ms', updated_at = now(),
            error = coalesce($4, (SELECT 'the connection is switched off: its orders are not asked for' FROM connections
                                   WHERE id = sync_plans.connection_id AND NOT sync_enabled), error),
            attempts = attempts + CASE WHEN $4::text IS NULL THEN 0 ELSE 1 END
      WHERE id = $1 AND lease_owner = $2`,
    [plan.id, owner, pauseMs, error],
  );
}

export type PlanEnd = Extract<PlanStatus, 'ready' | 'applied' | 'undone' | 'failed'>;

/** Ends this part of the plan, in the caller's transaction. */
export async function endPlan(
  db: Queryable,
  { plan, owner }: PlanLease,
  status: PlanEnd,
  error: string | null = null,
): Promise<void> {
  await db.query(
    `UPDATE sync_plans
        SET status = $3::plan_status, leased_until = NULL, lease_owner = NULL, error = $4, updated_at = now(),
            ready_at = CASE WHEN $3 = 'ready' THEN now() ELSE ready_at END,
            applied_at = CASE WHEN $3 = 'applied' THEN now() ELSE applied_at END,
            undone_at = CASE WHEN $3 = 'undone' THEN now() ELSE undone_at END
      WHERE id = $1 AND lease_owner = $2`,
    [plan.id, owner, status, error],
  );
  await tellPlan(db, plan.id);
}

type CountsRow = {
  listings: number;
  raising: number;
  lowering: number;
  zeroing: number;
  unchanged: number;
  left_out: number;
  channel_wins: number;
  skipped: number;
  units_added: number;
  units_removed: number;
  zero_share_max: number;
  change_share_max: number;
};

const countsSql = `
SELECT entry.*, moved.*, connection.zero_share_max, connection.change_share_max
  FROM (SELECT count(*)::int AS listings,
               (count(*) FILTER (WHERE winner = 'ledger' AND action = 'raise'))::int AS raising,
               (count(*) FILTER (WHERE winner = 'ledger' AND action = 'lower'))::int AS lowering,
               (count(*) FILTER (WHERE winner = 'ledger' AND action = 'zero'))::int AS zeroing,
               (count(*) FILTER (WHERE winner = 'ledger' AND action = 'unchanged'))::int AS unchanged,
               (count(*) FILTER (WHERE action = 'left_out'))::int AS left_out,
               (count(*) FILTER (WHERE winner = 'channel'))::int AS channel_wins,
               (count(*) FILTER (WHERE winner = 'skip' AND action <> 'left_out'))::int AS skipped
          FROM sync_plan_entries WHERE plan_id = $1) entry,
       (SELECT coalesce(sum(delta) FILTER (WHERE delta > 0), 0)::int AS units_added, coalesce(-sum(delta) FILTER (WHERE delta < 0), 0)::int AS units_removed
          FROM (SELECT min(ledger_delta) AS delta FROM sync_plan_entries WHERE plan_id = $1 AND winner = 'channel' GROUP BY item_id) item) moved,
       sync_plans plan JOIN connections connection ON connection.id = plan.connection_id
 WHERE plan.id = $1`;

export type PlanCounts = Omit<CountsRow, 'zero_share_max' | 'change_share_max'> & { readonly large: boolean };

/** Counts a plan anew after somebody decided who wins, or when it is to be applied: limits and winners may have changed since. */
export async function recountPlan(db: Queryable, planId: string): Promise<PlanCounts> {
  const { rows } = await db.query<CountsRow>(countsSql, [planId]);
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no plan ${planId}`);
  const { zero_share_max: zeroShareMax, change_share_max: changeShareMax, ...counts } = row;
  const { listings, raising, lowering, zeroing } = counts;
  const size = { listings, zeroing, changing: raising + lowering + zeroing };
  const large = isLarge(size, { zeroShareMax, changeShareMax });
  await db.query(
    `UPDATE sync_plans SET listings = $2, raising = $3, lowering = $4, zeroing = $5, unchanged = $6, left_out = $7, channel_wins = $8, skipped = $9,
            units_added = $10, units_removed = $11, large = $12, updated_at = now() WHERE id = $1`,
    [
      planId,
      listings,
      raising,
      lowering,
      zeroing,
      counts.unchanged,
      counts.left_out,
      counts.channel_wins,
      counts.skipped,
      counts.units_added,
      counts.units_removed,
      large,
    ],
  );
  return { ...counts, large };
}
