/** Bringing one item or all items in step on request: operations that people can follow, and jobs that survive a restart. */
import type pg from 'pg';
import { inTransaction, type Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import { once } from './idempotency.ts';
import { type Caller, done, type Outcome, refused } from './outcome.ts';
import type { ItemSyncInput, SyncAllInput } from './sync.ts';
import type { WakeUps } from './wakeUps.ts';

export type OperationsOptions = {
  readonly pool: pg.Pool;
  readonly wakeUps: WakeUps;
  readonly onEvents: () => void;
  /** Items queued by one step of a job. */
  readonly jobBatch: number;
  /** Most operations of one job under way at once, so that a large catalogue does not bury urgent writes. */
  readonly jobOpenMax: number;
};

/** A listing that could not be reached so often no longer keeps its operation open; it stays dirty and is tried on. */
const patientAttempts = 5;

const queueItemSql = `
WITH item AS (
  -- What is in conflict stays so until somebody has decided: only conflictRows.ts knows when that is over.
  UPDATE inventory_items SET sync_status = CASE WHEN sync_status = 'conflict' THEN sync_status ELSE 'syncing' END WHERE id = $2 AND account_id = $1 RETURNING id, account_id
), target AS (
  SELECT listing.id, listing.account_id, listing.connection_id, listing.platform FROM listings listing JOIN item ON item.id = listing.item_id
   WHERE listing.sync_enabled AND listing.writable AND ($3::platform[] IS NULL OR listing.platform = ANY($3))
   ORDER BY listing.id
), dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread) SELECT id, account_id, connection_id, true FROM target
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true, not_before = now(), attempts = 0
), operation AS (
  INSERT INTO sync_operations (account_id, item_id, action, target_platforms, status, actor_kind, actor_id)
  SELECT account_id, id, 'update_quantity', coalesce((SELECT array_agg(DISTINCT platform) FROM target), '{}'), 'processing', $4, $5 FROM item
  RETURNING id
)
SELECT operation.id, (SELECT array_agg(DISTINCT connection_id) FROM target) AS connection_ids FROM operation`;

export async function syncItem(
  options: OperationsOptions,
  caller: Caller,
  input: ItemSyncInput,
): Promise<Outcome<{ operationId: string }>> {
  let connectionIds: readonly string[] = [];
  const work = async (db: Queryable): Promise<Outcome<{ operationId: string }>> => {
    const { itemId, platforms } = input;
    const values = [caller.accountId, itemId, platforms, caller.actor.kind, caller.actor.id];
    const { rows } = await db.query<{ id: string; connection_ids: string[] | null }>(queueItemSql, values);
    const [row] = rows;
    if (row === undefined)
      return refused({ code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', 'itemId'] });
    connectionIds = row.connection_ids ?? [];
    return done({ operationId: row.id });
  };
  const { idempotencyKey } = input;
  const outcome =
    idempotencyKey === null
      ? await withRetry(() => work(options.pool))
      : await once(
          options.pool,
          caller,
          { operation: 'inventoryItemSync', key: idempotencyKey, input },
          work,
        );
  options.wakeUps.push(connectionIds);
  if (outcome.ok && connectionIds.length === 0) await settleOperations(options, [input.itemId]);
  return outcome;
}

const syncAllSql = `
WITH open AS (
  SELECT id FROM jobs WHERE account_id = $1 AND kind = 'sync_all' AND status IN ('pending', 'processing') ORDER BY id LIMIT 1
), added AS (
  INSERT INTO jobs (account_id, kind, total, actor_kind, actor_id)
  SELECT $1, 'sync_all', (SELECT count(DISTINCT item_id) FROM listings WHERE account_id = $1 AND item_id IS NOT NULL AND sync_enabled AND writable), $2, $3
   WHERE NOT EXISTS (SELECT FROM open)
  RETURNING id
)
SELECT id FROM open UNION ALL SELECT id FROM added`;

/** What waited for its first plan is written to from now on, although nobody has looked at one. */
const beginSql = `
WITH begun AS (
  UPDATE connections SET awaiting_plan = false, updated_at = now() WHERE account_id = $1 AND awaiting_plan RETURNING id
)
UPDATE listings SET sync_enabled = true, updated_at = now() FROM begun WHERE listings.connection_id = begun.id AND NOT sync_enabled`;

export async function syncAll(
  options: OperationsOptions,
  caller: Caller,
  input: SyncAllInput = { withoutPlan: false },
): Promise<Outcome<{ jobId: string }>> {
  const { rows } = await inTransaction(options.pool, async (client) => {
    if (input.withoutPlan) await client.query(beginSql, [caller.accountId]);
    // Requests of one account come one after the other, each with a snapshot that shows the job of the one before.
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('sync_all ' || $1, 0))`, [
      caller.accountId,
    ]);
    return client.query<{ id: string }>(syncAllSql, [caller.accountId, caller.actor.kind, caller.actor.id]);
  });
  const [job] = rows;
  if (job === undefined) throw new Error('a job was neither found nor added');
  options.wakeUps.job(job.id);
  return done({ jobId: job.id });
}

/** One step: the next items in id order become operations and dirty listings, and the job remembers how far it came. One statement. */
const advanceSql = `
WITH job AS (
  SELECT id, account_id, queued_through, actor_kind, actor_id FROM jobs
   WHERE id = $1 AND status IN ('pending', 'processing') AND NOT fully_queued FOR UPDATE
), open AS (
  SELECT count(*)::int AS operations FROM sync_operations WHERE job_id = $1 AND status = 'processing'
), item AS (
  SELECT item.id, item.account_id FROM inventory_items item JOIN job ON job.account_id = item.account_id
   WHERE item.id > coalesce(job.queued_through, '00000000-0000-0000-0000-000000000000')
     AND EXISTS (SELECT FROM listings WHERE item_id = item.id AND sync_enabled AND writable)
     AND (SELECT operations FROM open) < $3
   ORDER BY item.id LIMIT $2
), target AS (
  SELECT listing.id, listing.account_id, listing.connection_id, listing.platform, listing.item_id
    FROM listings listing JOIN item ON item.id = listing.item_id
   WHERE listing.sync_enabled AND listing.writable ORDER BY listing.id
), dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread) SELECT id, account_id, connection_id, true FROM target
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true, attempts = 0
), operation AS (
  INSERT INTO sync_operations (account_id, item_id, job_id, action, target_platforms, status, actor_kind, actor_id)
  SELECT job.account_id, target.item_id, job.id, 'update_quantity', array_agg(DISTINCT target.platform), 'processing', job.actor_kind, job.actor_id
    FROM target, job GROUP BY job.account_id, job.id, target.item_id, job.actor_kind, job.actor_id
), step AS (
  SELECT count(*)::int AS items, (array_agg(id ORDER BY id DESC))[1] AS last FROM item
), moved AS (
  UPDATE jobs SET status = 'processing', queued_through = coalesce(step.last, jobs.queued_through), updated_at = now(),
         fully_queued = step.items < $2 AND (SELECT operations FROM open) < $3
    FROM step WHERE jobs.id = (SELECT id FROM job)
  RETURNING jobs.fully_queued
)
SELECT step.items, moved.fully_queued, (SELECT array_agg(DISTINCT connection_id) FROM target) AS connection_ids
  FROM step LEFT JOIN moved ON true`;

/** Queues the next items of a job as long as there is room. Called again whenever operations of it finish. */
export async function advanceJob(options: OperationsOptions, jobId: string): Promise<void> {
  const { rows } = await withRetry(() =>
    options.pool.query<{ items: number; fully_queued: boolean | null; connection_ids: string[] | null }>(
      advanceSql,
      [jobId, options.jobBatch, options.jobOpenMax],
    ),
  );
  const [row] = rows;
  options.wakeUps.push(row?.connection_ids ?? []);
  // Also when nothing was left to queue: the worker before may have died between its last step and this one.
  if (row?.fully_queued !== false) await finishJob(options, jobId);
}

const jobPayload = `jsonb_build_object('jobId', id, 'kind', kind, 'status', status, 'total', total, 'completed', completed, 'failed', failed)`;

/** A job whose items are all queued ends with its last operation, and its total becomes what was really found. */
async function finishJob(options: OperationsOptions, jobId: string): Promise<void> {
  const { rowCount } = await options.pool.query(
    `WITH finished AS (
       UPDATE jobs SET status = 'completed', completed_at = now(), total = completed + failed, updated_at = now()
        WHERE id = $1 AND fully_queued AND status = 'processing'
          AND NOT EXISTS (SELECT FROM sync_operations WHERE job_id = $1 AND status IN ('pending', 'processing'))
       RETURNING *
     )
     INSERT INTO events (account_id, topic, subject_id, payload) SELECT account_id, 'job', id, ${jobPayload} FROM finished`,
    [jobId],
  );
  if (rowCount !== null && rowCount > 0) options.onEvents();
}

/**
 * Ends the operations of items whose listings are in step, and says so on the item and the job. An operation fails when one of its listings
 * carries an error or cannot be written at all because its connection is not active. Of two that settle an item at the same moment the second
 * waits: only the one that came last has seen every listing in step.
 */
const settleSql = `
WITH dirty AS (
  SELECT listing.item_id, listing.platform, dirty.attempts, connection.status, connection.status = 'active' AND connection.sync_enabled AS active
    FROM listings listing
    JOIN dirty_listings dirty ON dirty.listing_id = listing.id
    JOIN connections connection ON connection.id = listing.connection_id
   WHERE listing.item_id = ANY($1)
), waiting AS (
  SELECT DISTINCT item_id, platform FROM dirty WHERE active AND attempts < ${patientAttempts}
), wrong AS (
  SELECT item_id, platform, min(error) AS error FROM (
    SELECT item_id, platform, last_error AS error FROM listings WHERE item_id = ANY($1) AND last_error IS NOT NULL AND sync_enabled AND writable
    UNION ALL
    SELECT item_id, platform, 'the connection is ' || CASE status WHEN 'active' THEN 'switched off' ELSE replace(status::text, '_', ' ') END
      FROM dirty WHERE NOT active
  ) reason GROUP BY item_id, platform
), open AS (
  SELECT id, item_id, target_platforms FROM sync_operations
   -- What becomes of a price is said by whoever writes it.
   WHERE item_id = ANY($1) AND status IN ('pending', 'processing') AND action <> 'update_price' ORDER BY id FOR UPDATE
), finished AS (
  UPDATE sync_operations operation
     SET error = (SELECT string_agg(wrong.platform || ': ' || wrong.error, '; ' ORDER BY wrong.platform) FROM wrong
                   WHERE wrong.item_id = open.item_id AND wrong.platform = ANY(open.target_platforms)),
         status = CASE WHEN EXISTS (SELECT FROM wrong WHERE wrong.item_id = open.item_id AND wrong.platform = ANY(open.target_platforms))
                       THEN 'failed'::operation_status ELSE 'completed' END,
         completed_at = now(), updated_at = now()
    FROM open WHERE operation.id = open.id
     AND NOT EXISTS (SELECT FROM waiting WHERE waiting.item_id = open.item_id AND waiting.platform = ANY(open.target_platforms))
  RETURNING operation.job_id, operation.status
), counted AS (
  SELECT job_id, count(*) FILTER (WHERE status = 'completed')::int AS completed, count(*) FILTER (WHERE status = 'failed')::int AS failed
    FROM finished WHERE job_id IS NOT NULL GROUP BY job_id
), job AS (
  UPDATE jobs SET completed = jobs.completed + counted.completed, failed = jobs.failed + counted.failed,
         total = greatest(jobs.total, jobs.completed + jobs.failed + counted.completed + counted.failed), updated_at = now()
    FROM counted WHERE jobs.id = counted.job_id
  RETURNING jobs.*
), event AS (
  INSERT INTO events (account_id, topic, subject_id, payload) SELECT account_id, 'job', id, ${jobPayload} FROM job
), item AS (
  UPDATE inventory_items item
     SET last_synced_at = now(), sync_status = CASE WHEN item.sync_status = 'conflict' THEN item.sync_status
                                                    WHEN item.id IN (SELECT item_id FROM wrong) THEN 'error' ELSE 'synced' END
   WHERE item.id = ANY($1) AND NOT EXISTS (SELECT FROM waiting WHERE waiting.item_id = item.id)
)
SELECT id AS job_id FROM job`;

export async function settleOperations(
  options: OperationsOptions,
  itemIds: readonly string[],
): Promise<void> {
  if (itemIds.length === 0) return;
  const { rows } = await withRetry(() =>
    options.pool.query<{ job_id: string }>({ name: 'operations-settle', text: settleSql, values: [itemIds] }),
  );
  if (rows.length > 0) options.onEvents();
  for (const { job_id: jobId } of rows) {
    await finishJob(options, jobId);
    options.wakeUps.job(jobId);
  }
}

/** Items with an open operation that no dirty listing keeps open any more. */
const strandedSql = `
SELECT DISTINCT operation.item_id FROM sync_operations operation
 WHERE operation.status IN ('pending', 'processing') AND operation.action <> 'update_price'
   AND NOT EXISTS (
     SELECT FROM listings listing
       JOIN dirty_listings dirty ON dirty.listing_id = listing.id
       JOIN connections connection ON connection.id = listing.connection_id
      WHERE listing.item_id = operation.item_id AND listing.platform = ANY(operation.target_platforms)
        AND dirty.attempts < ${patientAttempts} AND connection.status = 'active' AND connection.sync_enabled)
 LIMIT 1000`;

/** Ends what a worker that died, or a connection that was paused, has left open. Swept now and then. */
export async function sweepOperations(options: OperationsOptions): Promise<void> {
  const { rows } = await options.pool.query<{ item_id: string }>(strandedSql);
  await settleOperations(
    options,
    rows.map((row) => row.item_id),
  );
}
