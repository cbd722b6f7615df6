/** Looks at the tables and wakes whoever has work there. Everything else is speed: with every wake-up lost, this alone brings all channels in step. */
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db.ts';
import { pruneLog } from './eventLog.ts';
import { isOpen } from './priceRows.ts';
import { isQueued, pruneSales } from './shadowSql.ts';
import type { TaskName, WakeUps } from './wakeUps.ts';

export type SupervisorOptions = {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly wakeUps: WakeUps;
  readonly lookIntervalMs: number;
  readonly housekeepingIntervalMs: number;
  /** More looks, each with its own pause between two. */
  readonly patrols?: readonly { readonly intervalMs: number; readonly work: () => Promise<unknown> }[];
  readonly eventRetentionMs: number;
  /** How long answered deliveries, settled writes and idempotency keys are kept. At least 24 h: the promise of a safe retry. */
  readonly recordRetentionMs: number;
  /** Takes up what no table names as due: order lines mapped at the very moment they arrived, operations whose worker died before it ended them. */
  readonly sweep: () => Promise<unknown>;
  /** Gives back what expired reservations hold. */
  readonly expire: () => Promise<unknown>;
  readonly onError: (error: unknown) => void;
};

const dueSql = `
SELECT 'push' AS task, id AS subject FROM connections connection WHERE status = 'active' AND sync_enabled AND EXISTS (
  SELECT FROM dirty_listings WHERE connection_id = connection.id AND not_before <= now() AND (leased_until IS NULL OR leased_until < now()))
UNION
SELECT 'push', id FROM connections connection WHERE status = 'active' AND sync_enabled AND NOT awaiting_plan AND EXISTS (
  SELECT FROM dirty_prices price JOIN listings listing ON listing.id = price.listing_id AND listing.sync_enabled
   WHERE price.connection_id = connection.id AND price.${isOpen} AND price.not_before <= now()
     AND (price.leased_until IS NULL OR price.leased_until < now()))
UNION ALL
-- The soonest alone says it, however many are due: after an outage that is every listing.
SELECT 'read', id FROM connections connection WHERE status = 'active' AND sync_enabled
   AND ((SELECT min(read_due_at) FROM shadows WHERE connection_id = connection.id) <= now()
        OR EXISTS (SELECT FROM listing_writes WHERE connection_id = connection.id AND ${isQueued} AND queue_due_at <= now()))
UNION ALL
SELECT 'prices', id FROM connections WHERE status = 'active' AND sync_enabled AND NOT awaiting_plan AND next_price_look_at <= now()
UNION ALL
SELECT 'observe', id FROM connections WHERE status = 'active' AND next_observation_at <= now()
UNION ALL
SELECT 'poll', id FROM connections
 WHERE status IN ('active', 'needs_authorization') AND sync_enabled AND next_poll_at <= now() AND (poll_lease_until IS NULL OR poll_lease_until < now())
UNION ALL
SELECT 'inbox', NULL WHERE EXISTS (
  SELECT FROM webhook_deliveries WHERE status = 'pending' AND not_before <= now() AND (leased_until IS NULL OR leased_until < now()))
UNION ALL
SELECT 'job', id FROM jobs WHERE status IN ('pending', 'processing')
   AND (NOT fully_queued OR NOT EXISTS (SELECT FROM sync_operations WHERE job_id = jobs.id AND status IN ('pending', 'processing')))
UNION ALL
SELECT 'plan', id FROM sync_plans WHERE status IN ('planning', 'applying', 'undoing') AND not_before <= now()
   AND (leased_until IS NULL OR leased_until < now())`;

/** Wakes everything that is due now. Answers what was woken. */
export async function lookForWork(options: Pick<SupervisorOptions, 'db' | 'wakeUps'>): Promise<number> {
  const { rows } = await options.db.query<{ task: TaskName; subject: string | null }>({
    name: 'supervisor-look',
    text: dueSql,
  });
  for (const { task, subject } of rows) {
    if (task === 'inbox') options.wakeUps.inbox();
    else if (subject === null) continue;
    else if (task === 'job' || task === 'plan') options.wakeUps[task](subject);
    else options.wakeUps[task]([subject]);
  }
  return rows.length;
}

/** Rows that are only history, by table: what makes them old, as SQL over `$1`. */
const history: readonly (readonly [string, string])[] = [
  ['webhook_deliveries', `status = 'processed' AND received_at < $1`],
  ['idempotency_keys', 'created_at < $1'],
  ['listing_writes', 'settled_at < $1'],
  ['sync_operations', 'completed_at < $1'],
  ['jobs', 'completed_at < $1'],
  ['dirty_prices', `state = 'shown' AND echo_until < $1`],
  // One that is applied can still be undone.
  ['sync_plans', `status IN ('undone', 'failed', 'expired') AND updated_at < $1`],
];
const prunedAtOnce = 10_000;

async function keepHouse(options: SupervisorOptions): Promise<void> {
  const { db, clock } = options;
  const before = new Date(clock.now() - options.recordRetentionMs);
  const prune = async ([table, old]: readonly [string, string]): Promise<void> => {
    const batch = `DELETE FROM ${table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM ${table} WHERE ${old} LIMIT ${prunedAtOnce}))`;
    while ((await db.query(batch, [before])).rowCount === prunedAtOnce);
  };
  const chores = [
    () => options.sweep(),
    () => pruneLog(db, new Date(clock.now() - options.eventRetentionMs)),
    ...history.map((entry) => () => prune(entry)),
    async () => {
      while ((await pruneSales(db, before, prunedAtOnce)) === prunedAtOnce);
    },
  ];
  // What fails in one chore is no reason to leave the others undone.
  for (const chore of chores) await chore().catch(options.onError);
}

export type Supervisor = { stop(): Promise<void> };

export function startSupervisor(options: SupervisorOptions): Supervisor {
  const stopping = new AbortController();
  const every = async (intervalMs: number, work: () => Promise<unknown>): Promise<void> => {
    while (!stopping.signal.aborted) {
      await work().catch(options.onError);
      await options.clock.sleep(intervalMs, stopping.signal);
    }
  };
  const running = Promise.all([
    every(options.lookIntervalMs, async () => {
      await lookForWork(options).catch(options.onError);
      await options.expire();
    }),
    every(options.housekeepingIntervalMs, () => keepHouse(options)),
    ...(options.patrols ?? []).map(({ intervalMs, work }) => every(intervalMs, work)),
  ]);
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
