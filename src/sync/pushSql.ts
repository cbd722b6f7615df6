/** The statements of the push: claim dirty listings, remember what is sent, write down the answers, and give the leases back. */
import type pg from 'pg';
import { inKeyedTransaction, type Queryable } from '../db.ts';
import type { PackedWrite } from './packing.ts';

export type Claim = {
  readonly listingId: string;
  readonly version: string;
  /** True when somebody asked for it to be read before anything is written. */
  readonly reread: boolean;
  readonly attempts: number;
  /** True when the change came from people or files, and counts towards the blast guard. */
  readonly guarded: boolean;
  /** True when it probably shows more than it should. */
  readonly lowers: boolean;
};

/**
 * Leases dirty listings of one active connection, the most dangerous first: to zero, lower, raise, and of these what is oversold fastest. A listing whose
 * write is in flight is left alone, unless it is to show less than that write: a lowering never queues behind a slow write. Variants that one write
 * replaces together (Etsy) are leased by one worker at a time, or one worker's copy of the unit would undo the other's.
 * What is wanted and what is shown are only estimated here, to sort by; the decision is made later, under the shadow's lock. The time is the
 * statement's: the transaction's is from before the wait for the lock.
 */
const claimSql = `
WITH picked AS (
  SELECT dirty.listing_id, coalesce(wanted.quantity < shown.quantity, false) AS lowers
    FROM dirty_listings dirty
    JOIN connections connection ON connection.id = dirty.connection_id AND connection.status = 'active' AND connection.sync_enabled
    JOIN accounts account ON account.id = dirty.account_id
    JOIN listings listing ON listing.id = dirty.listing_id
    LEFT JOIN shadows shadow ON shadow.listing_id = listing.id AND shadow.item_id = listing.item_id
    LEFT JOIN LATERAL item_offer(listing.item_id) offer ON listing.item_id IS NOT NULL
    LEFT JOIN LATERAL (
      SELECT coalesce(sum(sold_per_hour) FILTER (WHERE listing_id <> listing.id), 0) AS others_per_hour
        FROM shadows WHERE item_id = listing.item_id
    ) kept ON true
    LEFT JOIN LATERAL (
      SELECT rule_target(
               offer.available - offer.holds + offer.conflict_delta,
               kept.others_per_hour / 3600000 * coalesce((connection.measures->'saleToEffective'->>'p90')::float8, 30000),
               merged_rule(merged_rule(account.rule, connection.rule), listing.rule)) AS quantity
       WHERE listing.item_id IS NOT NULL OFFSET 0
    ) wanted ON true
    CROSS JOIN LATERAL (SELECT coalesce(shadow.shown_max, listing.target, listing.quantity, 2147483647) AS quantity) shown
   WHERE dirty.connection_id = $1 AND dirty.not_before <= statement_timestamp()
     AND (dirty.leased_until IS NULL OR dirty.leased_until < statement_timestamp()
          OR (dirty.version > dirty.leased_version AND wanted.quantity < listing.target))
     AND NOT EXISTS (SELECT FROM listings sibling JOIN dirty_listings busy ON busy.listing_id = sibling.id
                      WHERE sibling.connection_id = $1 AND sibling.unit_id = listing.unit_id AND sibling.id <> listing.id
                        AND busy.leased_until >= statement_timestamp())
   ORDER BY CASE WHEN wanted.quantity < shown.quantity THEN least(wanted.quantity, 1) ELSE 2 END,
            greatest(0, shown.quantity - wanted.quantity) * coalesce(shadow.sold_per_hour, 0) DESC, dirty.since
   LIMIT $3
     FOR UPDATE OF dirty SKIP LOCKED
)
UPDATE dirty_listings dirty
   SET leased_until = statement_timestamp() + $4 * interval '1 ms', lease_owner = $2, leased_version = dirty.version,
       leased_reread = dirty.leased_reread OR dirty.reread, reread = false
  FROM picked WHERE dirty.listing_id = picked.listing_id
RETURNING dirty.listing_id AS "listingId", dirty.version, dirty.leased_reread AS reread, dirty.attempts, dirty.guarded, picked.lowers`;

/** Claims of one connection, of numbers and of prices, come one after the other, each with a snapshot that shows the leases of the one before. */
export async function lockClaims(client: pg.PoolClient, connectionId: string): Promise<void> {
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('push ' || $1, 0))`, [connectionId]);
}

export async function claimDirty(
  pool: pg.Pool,
  request: { connectionId: string; owner: string; limit: number; leaseMs: number },
): Promise<readonly Claim[]> {
  const { rows } = await inKeyedTransaction(pool, async (client) => {
    await lockClaims(client, request.connectionId);
    return client.query<Claim>({
      name: 'push-claim',
      text: claimSql,
      values: [request.connectionId, request.owner, request.limit, request.leaseMs],
    });
  });
  return rows;
}

/** Listings of the connection that are to be written within `withinMs`, also those that somebody has taken on; at most `most`. */
export async function countDue(
  pool: pg.Pool,
  connectionId: string,
  { withinMs, most }: { readonly withinMs: number; readonly most: number },
): Promise<number> {
  const { rows } = await pool.query<{ due: number }>({
    name: 'push-due',
    text: `SELECT count(*)::int AS due
             FROM (SELECT FROM dirty_listings WHERE connection_id = $1 AND not_before <= now() + $2 * interval '1 ms' LIMIT $3) waiting`,
    values: [connectionId, withinMs, most],
  });
  return rows[0]?.due ?? 0;
}

/** Sent when this statement runs, under the lock: the transaction's time is from before the wait for it, and could be earlier than that of a write decided before. */
const recordSql = `
WITH wanted AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb)
           AS wanted ("id" uuid, "listingId" uuid, "quantity" int, "expected" int, "targetSeq" bigint, "queued" boolean)
), sent AS (
  UPDATE listings listing SET target = wanted."quantity", target_seq = wanted."targetSeq"
    FROM wanted WHERE listing.id = wanted."listingId"
  RETURNING listing.id, listing.account_id, listing.connection_id
)
INSERT INTO listing_writes AS write (id, account_id, connection_id, listing_id, quantity, expected, target_seq, sent_at, queue_due_at)
SELECT wanted."id", sent.account_id, sent.connection_id, sent.id, wanted."quantity", wanted."expected", wanted."targetSeq", clock_timestamp(),
       CASE WHEN wanted."queued" THEN clock_timestamp() + $2 * interval '1 ms' END
  FROM wanted JOIN sent ON sent.id = wanted."listingId"
ON CONFLICT (id) DO UPDATE SET state = 'sent', sent_at = excluded.sent_at, settled_at = NULL`;

/**
 * Remembers what is sent right after, in the transaction that decided it. A write under a key sent before is the same write. What may come to stand in a
 * queue is asked for after `answerWaitMs`, should its answer be lost with whoever waits for it.
 */
export async function recordWrites(
  client: pg.PoolClient,
  writes: readonly PackedWrite[],
  answerWaitMs: number,
): Promise<void> {
  if (writes.length === 0) return;
  const rows = writes.map(({ listing, key, quantity, expected, targetSeq, queued }) => ({
    id: key,
    listingId: listing.listingId,
    quantity,
    expected,
    targetSeq,
    queued,
  }));
  await client.query({ name: 'push-record', text: recordSql, values: [JSON.stringify(rows), answerWaitMs] });
}

export type WriteAnswerRow = {
  readonly id: string;
  readonly listingId: string;
  readonly state: string;
  readonly error: string | null;
  /** What to ask under for what became of it; null when it stands in no queue. */
  readonly queue: string | null;
};

const answerSql = `
WITH answer AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS answer ("id" uuid, "listingId" uuid, "state" write_state, "error" text, "queue" text)
), answered AS (
  UPDATE listing_writes write
     SET state = answer."state", error = answer."error", answered_at = now(), queue_reference = answer."queue",
         queue_due_at = CASE WHEN answer."queue" IS NOT NULL THEN now() + $2 * interval '1 ms' END,
         settled_at = CASE WHEN answer."state" IN ('sent', 'accepted', 'unknown') THEN NULL ELSE now() END
    FROM answer WHERE write.id = answer."id"
)
UPDATE listings listing
   SET last_pushed_at = CASE WHEN answer."state" IN ('effective', 'accepted') THEN now() ELSE listing.last_pushed_at END,
       last_error = answer."error", updated_at = now()
  FROM answer WHERE listing.id = answer."listingId"`;

/** What came to stand in a queue is asked for after `askAfterMs`. */
export async function recordAnswers(
  client: pg.PoolClient,
  answers: readonly WriteAnswerRow[],
  askAfterMs: number,
): Promise<void> {
  if (answers.length === 0) return;
  await client.query({ name: 'push-answer', text: answerSql, values: [JSON.stringify(answers), askAfterMs] });
}

/** What became of one claimed listing. */
export type ClaimOutcome = {
  readonly listingId: string;
  readonly version: string;
  /** True when nothing is left to do unless something changed meanwhile. */
  readonly done: boolean;
  /** When not done: how long to wait before the next attempt. */
  readonly retryInMs: number;
  /** Undefined leaves what people are told as it is. */
  readonly error?: string | null;
  /** True when it still has to be read first. */
  readonly reread: boolean;
};

/** `held` locks the rows and reads what they say then: a reason that came while this statement waited for the lock still counts. */
const settleSql = `
WITH outcome AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS outcome (listing_id uuid, version bigint, done boolean, retry_in_ms float8, reread boolean, error text,
    error_known boolean)
),
held AS MATERIALIZED (
  SELECT dirty.listing_id, dirty.version, dirty.lease_owner IS NOT DISTINCT FROM $2::uuid AS ours
    FROM dirty_listings dirty JOIN outcome USING (listing_id) ORDER BY dirty.listing_id FOR UPDATE OF dirty
),
told AS (
  UPDATE listings listing SET last_error = outcome.error, updated_at = now()
    FROM outcome WHERE listing.id = outcome.listing_id AND outcome.error_known AND listing.last_error IS DISTINCT FROM outcome.error
),
woken AS (
  -- Another worker has it now and may wait for the very answer that this one has brought.
  UPDATE dirty_listings dirty SET not_before = least(dirty.not_before, now())
    FROM held WHERE dirty.listing_id = held.listing_id AND NOT held.ours
),
cleared AS (
  DELETE FROM dirty_listings dirty USING outcome, held
   WHERE dirty.listing_id = outcome.listing_id AND held.listing_id = dirty.listing_id AND held.ours
     AND outcome.done AND held.version = outcome.version
)
UPDATE dirty_listings dirty
   SET leased_until = NULL, lease_owner = NULL, leased_version = NULL, leased_reread = false, reread = dirty.reread OR outcome.reread,
       attempts = CASE WHEN held.version = outcome.version THEN dirty.attempts + 1 ELSE 0 END,
       not_before = CASE WHEN held.version = outcome.version THEN now() + outcome.retry_in_ms * interval '1 ms' ELSE now() END
  FROM outcome, held
 WHERE dirty.listing_id = outcome.listing_id AND held.listing_id = dirty.listing_id AND held.ours
   AND NOT (outcome.done AND held.version = outcome.version)`;

/** Gives the leases back. A listing that became dirty again meanwhile stays dirty. */
export async function settleClaims(
  db: Queryable,
  owner: string,
  outcomes: readonly ClaimOutcome[],
): Promise<void> {
  if (outcomes.length === 0) return;
  const rows = outcomes.map((outcome) => ({
    listing_id: outcome.listingId,
    version: outcome.version,
    done: outcome.done,
    retry_in_ms: outcome.retryInMs,
    reread: outcome.reread,
    error: outcome.error ?? null,
    error_known: outcome.error !== undefined,
  }));
  await db.query({ name: 'push-settle', text: settleSql, values: [JSON.stringify(rows), owner] });
}

const dirtySql = `
INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, guarded)
SELECT id, account_id, connection_id, false FROM listings WHERE id = ANY($1) ORDER BY id
ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, not_before = now()`;

/** These listings are to be looked at, because of what was read and not because of what people did. */
export async function markOutOfStep(client: pg.PoolClient, listingIds: readonly string[]): Promise<void> {
  if (listingIds.length > 0) await client.query({ name: 'push-dirty', text: dirtySql, values: [listingIds] });
}

/** What is dirty already stays as it is: whoever works on it, or waits to, sees the same. */
const unlessDirtySql = `
INSERT INTO dirty_listings (listing_id, account_id, connection_id, guarded)
SELECT listing.id, listing.account_id, listing.connection_id, wanted.guarded
  FROM unnest($1::uuid[], $2::boolean[]) wanted (listing_id, guarded) JOIN listings listing ON listing.id = wanted.listing_id ORDER BY listing.id
ON CONFLICT (listing_id) DO NOTHING`;

async function markUnlessDirty(
  client: pg.PoolClient,
  listings: readonly Pick<Claim, 'listingId' | 'guarded'>[],
): Promise<void> {
  if (listings.length === 0) return;
  const values = [listings.map(({ listingId }) => listingId), listings.map(({ guarded }) => guarded)];
  await client.query({ name: 'push-unless-dirty', text: unlessDirtySql, values });
}

/** These listings, and their orders, are to be known before their item's others are granted anything. One that waits for its next attempt goes on waiting. */
export async function markUnknown(client: pg.PoolClient, listingIds: readonly string[]): Promise<void> {
  await markUnlessDirty(
    client,
    listingIds.map((listingId) => ({ listingId, guarded: false })),
  );
}

/** Their writes changed nothing. Another worker may have found them in step because of those very writes, and done with. */
export async function markUndone(client: pg.PoolClient, claims: readonly Claim[]): Promise<void> {
  await markUnlessDirty(client, claims);
}

const wantedSql = `
INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, guarded)
SELECT id, account_id, connection_id, false FROM listings WHERE id = ANY($1) ORDER BY id
ON CONFLICT (listing_id) DO UPDATE SET not_before = least(current.not_before, now())`;

/**
 * These listings may take what another one of their item has given back. One that is dirty already keeps its version: whoever works on it decides under
 * the item's lock, after this, and would otherwise never come to an end while both tell each other.
 */
export async function markWanted(client: pg.PoolClient, listingIds: readonly string[]): Promise<void> {
  if (listingIds.length > 0)
    await client.query({ name: 'push-wanted', text: wantedSql, values: [listingIds] });
}
