/** Reads the event log: what became visible since a position, in an order that keeps every item's ledger order. */
import type { Queryable } from '../db.ts';
import { encodeCursor, type Position, parseSnapshot, positionAt, type Snapshot } from './eventCursor.ts';
import type { EventTopic, LogEvent } from './eventStream.ts';

/** Narrows a read to one account and topic; null reads everything. */
export type LogScope = { readonly accountId: string; readonly topic: EventTopic } | null;

export type LogPage = {
  readonly events: readonly LogEvent[];
  /** Where the next read goes on. */
  readonly next: Position;
  /** True when nothing more was visible. */
  readonly atEnd: boolean;
  /** Where the log begins, when retention may have removed events after the position asked for; the page has then holes. */
  readonly lost: Position | null;
};

export type LogState = { readonly epoch: number; readonly pruned: Snapshot | null; readonly now: Snapshot };

type EventRow = {
  id: string;
  xid: string;
  account_id: string;
  topic: EventTopic;
  subject_id: string;
  item_seq: string | null;
  payload: Record<string, unknown>;
  created_at: Date;
};

/** The log's epoch, how far retention has removed, and the present snapshot. */
export async function logState(db: Queryable): Promise<LogState> {
  const { rows } = await db.query<{ epoch: number; pruned: string | null; now: string }>(
    'SELECT epoch, pruned, pg_current_snapshot()::text AS now FROM event_log',
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the event log has no state row: the migrations have not run');
  return {
    epoch: row.epoch,
    pruned: row.pruned === null ? null : parseSnapshot(row.pruned),
    now: parseSnapshot(row.now),
  };
}

const columns = 'id, xid::text, account_id, topic, subject_id, item_seq, payload, created_at';

/**
 * What became visible is found by `xid`: there is little of it, however long the log. Planned without the numbers, the planner must not hope to meet
 * it on the way through the log in the order of `id`, hence the fence, and must know that it is little, hence the second bound, which every visible
 * transaction is within. Further pages begin where the last one ended, and go on in that order.
 */
function pageSql(first: boolean, scope: LogScope): string {
  const upTo = 'coalesce($2::pg_snapshot, pg_current_snapshot())';
  return `
      WITH bounds AS MATERIALIZED (SELECT ${upTo} AS up_to, pruned FROM event_log)
      SELECT bounds.up_to::text, bounds.pruned, page.* FROM bounds LEFT JOIN LATERAL (
        SELECT ${columns} FROM (
          SELECT * FROM events
           WHERE xid >= pg_snapshot_xmin($1::pg_snapshot) AND xid < pg_snapshot_xmax(${upTo})
             AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot) AND pg_visible_in_snapshot(xid, bounds.up_to) AND id > $3
             ${scope === null ? '' : 'AND account_id = $5 AND topic = $6::event_topic'}
           ${first ? 'OFFSET 0' : ''}
        ) fresh
         ORDER BY id LIMIT $4
      ) page ON true`;
}

/**
 * The next page after `from`, at most `limit` events. One statement: what it sees, the snapshot it reports and how far retention has removed
 * are of the same moment.
 */
export async function readLog(
  db: Queryable,
  from: Position,
  scope: LogScope,
  limit: number,
): Promise<LogPage> {
  const first = from.id === 0n;
  const { rows } = await db.query<EventRow & { up_to: string; pruned: string | null; id: string | null }>({
    name: `log-${first ? 'read' : 'read-on'}-${scope === null ? 'all' : 'topic'}`,
    text: pageSql(first, scope),
    values: [
      from.base.text,
      from.upTo?.text ?? null,
      String(from.id),
      limit,
      ...(scope === null ? [] : [scope.accountId, scope.topic]),
    ],
  });
  const upTo = from.upTo ?? parseSnapshot(rows[0]?.up_to ?? '');
  const found = rows.filter((row) => row.id !== null);
  const events = found.map((row) =>
    toEvent(row, { epoch: from.epoch, base: from.base, upTo, id: BigInt(row.id) }),
  );
  const last = found.at(-1);
  const full = found.length === limit && last !== undefined;
  const pruned = rows[0]?.pruned ?? null;
  const begin = pruned === null ? null : parseSnapshot(pruned);
  return {
    events,
    next: full
      ? { epoch: from.epoch, base: from.base, upTo, id: BigInt(last.id) }
      : positionAt(from.epoch, upTo),
    // A position inside a batch stands before everything that became visible after that batch.
    atEnd: !full && from.upTo === null,
    lost: begin !== null && from.base.xmin < begin.xmin ? positionAt(from.epoch, begin) : null,
  };
}

function toEvent(row: EventRow, position: Position): LogEvent {
  return {
    topic: row.topic,
    accountId: row.account_id,
    subjectId: row.subject_id,
    itemSeq: row.item_seq === null ? null : Number(row.item_seq),
    payload: row.payload,
    createdAt: row.created_at,
    xid: BigInt(row.xid),
    cursor: encodeCursor(position),
  };
}

/**
 * Removes what is older than `before`, and records how far. Only what every present and future snapshot sees is removed, so a reader either
 * has passed it or is told of the gap.
 */
export async function pruneLog(db: Queryable, before: Date): Promise<number> {
  const { rowCount } = await db.query(
    `WITH horizon AS (
       SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin
     ), old AS (
       SELECT max(xid) AS xid FROM events, horizon WHERE created_at < $1 AND xid < horizon.xmin
     ), state AS (
       UPDATE event_log SET pruned = (old.xid::text::bigint + 1) || ':' || (old.xid::text::bigint + 1) || ':' FROM old
        -- Another process may have removed more while this one waited.
        WHERE old.xid IS NOT NULL AND (pruned IS NULL OR pg_snapshot_xmin(pruned::pg_snapshot) <= old.xid)
     )
     DELETE FROM events USING old WHERE events.xid <= old.xid`,
    [before],
  );
  return rowCount ?? 0;
}

/**
 * After a restore into another cluster the rows carry transaction numbers of the old one. They are then all in the past: the epoch grows, so that
 * cursors from before are answered with an explicit gap instead of a wrong position.
 */
export async function adoptRestoredLog(db: Queryable): Promise<boolean> {
  const { rowCount } = await db.query(
    `WITH restored AS (
       SELECT 1 FROM events WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()) LIMIT 1
     ), moved AS (
       UPDATE events SET xid = '1'::xid8 WHERE EXISTS (SELECT FROM restored)
     )
     -- Of several processes that start at once, one begins the new epoch.
     UPDATE event_log SET epoch = seen.epoch + 1, pruned = NULL FROM (SELECT epoch FROM event_log) seen
      WHERE event_log.epoch = seen.epoch AND EXISTS (SELECT FROM restored)`,
  );
  return rowCount === 1;
}
