/** The blast-radius guard: when people's changes would zero or change too much of a connection at once, it stops until somebody has looked. */
import type pg from 'pg';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import { blastAlwaysAllowed, guardBlast, listingsEnough, type Sendable } from './core/sending.ts';
import type { Decided } from './decisions.ts';
import { type Caller, done, type Outcome, refused } from './outcome.ts';

/** Changes count together while they are not further apart than this. */
const windowMinutes = 60;
/** How long an approval holds. */
const approvalMinutes = 60;

type CountRow = {
  zeroed: string[];
  changed: string[];
  approved: boolean;
  stopped: boolean;
  zero_share_max: number;
  change_share_max: number;
};

/** One row per connection, locked: runs of several workers count together, and a restart forgets nothing. */
const countSql = `
INSERT INTO blast_counts AS current (connection_id, account_id) SELECT id, account_id FROM connections WHERE id = $1
ON CONFLICT (connection_id) DO UPDATE
   SET since = CASE WHEN current.stopped_at IS NULL AND current.since < now() - interval '${windowMinutes} minutes' THEN now() ELSE current.since END,
       zeroed = CASE WHEN current.stopped_at IS NULL AND current.since < now() - interval '${windowMinutes} minutes' THEN '{}' ELSE current.zeroed END,
       changed = CASE WHEN current.stopped_at IS NULL AND current.since < now() - interval '${windowMinutes} minutes' THEN '{}' ELSE current.changed END
RETURNING zeroed, changed, coalesce(approved_until > now(), false) AS approved, stopped_at IS NOT NULL AS stopped,
  (SELECT zero_share_max FROM connections WHERE id = $1), (SELECT change_share_max FROM connections WHERE id = $1)`;

/** As many listings as there are, up to `$2`, in the order of an index. */
const listingsSql = `
SELECT count(*)::int AS listings FROM (
  SELECT FROM listings WHERE connection_id = $1 AND sync_enabled AND writable AND item_id IS NOT NULL ORDER BY unit_id, variant_id LIMIT $2
) counted`;

/** Few changes need no count, and more of them no count beyond what allows them: a connection may have a million listings. */
export async function countListings(
  client: pg.PoolClient,
  connectionId: string,
  enough: number,
): Promise<number> {
  if (enough === 0) return 0;
  const { rows } = await client.query<{ listings: number }>(listingsSql, [connectionId, enough]);
  return rows[0]?.listings ?? 0;
}

/** Writes that follow from sales always go; the others count, and stop together when they are too many. */
export async function guardBatch(
  client: pg.PoolClient,
  connectionId: string,
  decided: readonly Decided[],
): Promise<readonly Decided[]> {
  const guarded = decided.filter((one) => one.kind === 'write' && one.claim.guarded);
  if (guarded.length === 0) return decided;
  const sendables = guarded.flatMap((one) =>
    one.kind === 'write' ? [{ unit: one.claim.listingId, class: one.write.direction, exposure: 0 }] : [],
  );
  if (await mayChange(client, connectionId, sendables)) return decided;
  return decided.map((one) =>
    guarded.includes(one) ? { claim: one.claim, listing: one.listing, kind: 'stopped' } : one,
  );
}

/** False when these changes, by people, are too many together with those before: then none of them may be sent. */
export async function mayChange(
  client: pg.PoolClient,
  connectionId: string,
  sendables: readonly Sendable[],
): Promise<boolean> {
  if (sendables.length === 0) return true;
  const { rows } = await client.query<CountRow>({
    name: 'blast-count',
    text: countSql,
    values: [connectionId],
  });
  const [row] = rows;
  if (row === undefined) return true;
  const count = { zeroed: new Set(row.zeroed), changed: new Set(row.changed), approved: row.approved };
  const limits = {
    zeroShareMax: row.zero_share_max,
    changeShareMax: row.change_share_max,
    alwaysAllowed: blastAlwaysAllowed,
  };
  const enough = listingsEnough(count, sendables, limits);
  const listings = await countListings(client, connectionId, enough);
  const verdict = guardBlast(count, sendables, listings, limits);
  if (verdict.kind === 'stopped') await stop(client, connectionId, verdict);
  // What was stopped stays so as a whole: the harmless part of a mistake is a part of it.
  if (verdict.kind === 'stopped' || (row.stopped && !row.approved)) return false;
  const { zeroed, changed } = verdict.count;
  await client.query({
    name: 'blast-keep',
    text: 'UPDATE blast_counts SET zeroed = $2, changed = $3 WHERE connection_id = $1',
    values: [connectionId, [...zeroed], [...changed]],
  });
  return true;
}

/** Raised again only when more would change: a part that is tried anew alone says nothing about the whole. */
export const stopSql = (column: 'stopped_at' | 'doubted_at'): string => `
WITH stopped AS (
  UPDATE blast_counts SET ${column} = coalesce(${column}, now()) WHERE connection_id = $1 RETURNING connection_id, account_id
)
SELECT raise_alert(account_id, 'blast_stopped', NULL, connection_id, $2, $3) FROM stopped
 WHERE NOT EXISTS (SELECT FROM alerts WHERE id = current_alert('blast_stopped', NULL, stopped.connection_id) AND units >= $2)`;

async function stop(
  client: pg.PoolClient,
  connectionId: string,
  {
    zeroing,
    changing,
    listings,
  }: { readonly zeroing: number; readonly changing: number; readonly listings: number },
): Promise<void> {
  const message =
    `Of ${listings} listings ${changing} would change and ${zeroing} would go to zero within an hour. ` +
    'Nothing more is written there by this change, and no edit found there is booked, until somebody has looked at it (blastApprove); sales still lower their listings.';
  await client.query({
    name: 'blast-stop',
    text: stopSql('stopped_at'),
    values: [connectionId, changing, message],
  });
}

const approveSql = `
WITH approved AS (
  INSERT INTO blast_counts AS current (connection_id, account_id, approved_until, approved_by)
  SELECT id, account_id, now() + interval '${approvalMinutes} minutes', $3 FROM connections WHERE id = $2 AND account_id = $1
  ON CONFLICT (connection_id) DO UPDATE
     SET approved_until = excluded.approved_until, approved_by = excluded.approved_by, stopped_at = NULL, since = now(), zeroed = '{}', changed = '{}',
         doubted_at = NULL, emptied = '{}'
  RETURNING connection_id
), going_on AS (
  UPDATE dirty_listings SET not_before = now() WHERE connection_id = (SELECT connection_id FROM approved) AND guarded
), priced AS (
  UPDATE dirty_prices SET not_before = now() WHERE connection_id = (SELECT connection_id FROM approved) AND state = 'waiting'
)
SELECT resolve_alert('blast_stopped', NULL, connection_id) FROM approved`;

/** What was stopped goes on, and for an hour nothing of this connection is stopped. Approving twice, or with nothing stopped, is no error. */
export async function approveBlast(
  db: Queryable,
  caller: Caller,
  connectionId: string,
): Promise<Outcome<{ connectionId: string }>> {
  const { actor, accountId } = caller;
  const by = actor.id === null ? actor.kind : `${actor.kind}:${actor.id}`;
  // A push takes the prices first and the count after them.
  const { rows } = await withRetry(() => db.query(approveSql, [accountId, connectionId, by]));
  if (rows.length === 0)
    return refused({
      code: 'NOT_FOUND',
      message: 'There is no such connection.',
      field: ['input', 'connectionId'],
    });
  return done({ connectionId });
}
