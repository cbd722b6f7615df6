/** The statements of the push: claim dirty listings, load what they should show, record what is sent, and settle the answers. */
import type pg from 'pg';
import { inTransaction, type Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import type { OpenWrite } from './pushDecision.ts';

export type Claim = {
  readonly listingId: string;
  readonly version: string;
  readonly reread: boolean;
  readonly attempts: number;
};

export type PushListing = Claim & {
  readonly itemId: string | null;
  readonly unitId: string;
  readonly variantId: string;
  readonly enabled: boolean;
  readonly shown: number | null;
  readonly buffer: number;
  readonly quantityMax: number | null;
  readonly item: { readonly available: number; readonly seq: number } | null;
  readonly openWrites: readonly OpenWrite[];
};

/** What a write shows, and the item's seq it was computed from. */
export type WriteNumber = { readonly quantity: number; readonly targetSeq: number };

export type NewWrite = WriteNumber & {
  readonly id: string;
  readonly listingId: string;
  /** The item whose seq the number was computed from. */
  readonly itemId: string | null;
  readonly expected: number | null;
};

/** What became of one claimed listing. */
export type PushOutcome = {
  readonly listingId: string;
  readonly version: string;
  readonly write: (WriteNumber & { readonly id: string; readonly state: string }) | null;
  /** The number for which nothing has to be written: from now on no run that knows only an older one may write. */
  readonly inStep?: WriteNumber | null;
  /** Undefined leaves the belief as it is; null says that it is unknown now. */
  readonly shown?: number | null;
  readonly error: string | null;
  /** True when nothing is left to do unless something changed meanwhile. */
  readonly done: boolean;
  /** When not done: how long to wait before the next attempt. */
  readonly retryInMs: number;
};

/**
 * Leases dirty listings of one active connection, the most dangerous first: to zero, lower, raise. A listing whose write is in flight is left alone,
 * unless stock has fallen below what that write shows: a lowering never queues behind a slow write. Variants that one write replaces together
 * (Etsy) are leased by one worker at a time, or one worker's copy of the unit would undo the other's.
 * The time is the statement's: the transaction's is from before the wait for the lock.
 */
const claimSql = `
WITH picked AS (
  SELECT dirty.listing_id
    FROM dirty_listings dirty
    JOIN connections connection ON connection.id = dirty.connection_id AND connection.status = 'active' AND connection.sync_enabled
    JOIN listings listing ON listing.id = dirty.listing_id
    LEFT JOIN inventory_items item ON item.id = listing.item_id
    LEFT JOIN LATERAL (
      SELECT least(item.available - coalesce((listing.rule->>'buffer')::int, (connection.rule->>'buffer')::int, 0), (listing.rule->>'quantityMax')::int) AS quantity WHERE item.id IS NOT NULL
    ) wanted ON true
   WHERE dirty.connection_id = $1 AND dirty.not_before <= statement_timestamp()
     AND (dirty.leased_until IS NULL OR dirty.leased_until < statement_timestamp()
          OR (dirty.version > dirty.leased_version AND greatest(wanted.quantity, 0) < listing.target))
     AND NOT EXISTS (SELECT FROM listings sibling JOIN dirty_listings busy ON busy.listing_id = sibling.id
                      WHERE sibling.connection_id = $1 AND sibling.unit_id = listing.unit_id AND sibling.id <> listing.id
                        AND busy.leased_until >= statement_timestamp())
   ORDER BY CASE WHEN wanted.quantity <= 0 THEN 0 WHEN wanted.quantity < coalesce(listing.target, listing.quantity, 2147483647) THEN 1 ELSE 2 END,
            dirty.since
   LIMIT $3
     FOR UPDATE OF dirty SKIP LOCKED
)
UPDATE dirty_listings dirty
   SET leased_until = statement_timestamp() + $4 * interval '1 ms', lease_owner = $2, leased_version = dirty.version
  FROM picked WHERE dirty.listing_id = picked.listing_id
RETURNING dirty.listing_id, dirty.version, dirty.reread, dirty.attempts`;

export async function claimDirty(
  pool: pg.Pool,
  request: { connectionId: string; owner: string; limit: number; leaseMs: number },
): Promise<readonly Claim[]> {
  const { rows } = await inTransaction(pool, async (client) => {
    // Claims of one connection come one after the other, each with a snapshot that shows the leases of the one before.
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('push ' || $1, 0))`, [
      request.connectionId,
    ]);
    return client.query<{ listing_id: string; version: string; reread: boolean; attempts: number }>({
      name: 'push-claim',
      text: claimSql,
      values: [request.connectionId, request.owner, request.limit, request.leaseMs],
    });
  });
  return rows.map((row) => ({
    listingId: row.listing_id,
    version: row.version,
    reread: row.reread,
    attempts: row.attempts,
  }));
}

type ListingRow = {
  id: string;
  item_id: string | null;
  unit_id: string;
  variant_id: string;
  enabled: boolean;
  quantity: number | null;
  buffer: number;
  quantity_max: number | null;
  available: number | null;
  seq: string | null;
  open_writes: OpenWrite[];
};

const loadSql = `
SELECT listing.id, listing.item_id, listing.unit_id, listing.variant_id,
       listing.sync_enabled AND listing.writable AS enabled,
       listing.quantity, coalesce((listing.rule->>'buffer')::int, (connection.rule->>'buffer')::int, 0) AS buffer, (listing.rule->>'quantityMax')::int AS quantity_max,
       item.available, item.seq,
       coalesce((SELECT json_agg(json_build_object('id', write.id, 'quantity', write.quantity, 'expected', write.expected,
                                                   'targetSeq', write.target_seq, 'state', write.state)
                                  ORDER BY write.target_seq, write.sent_at, write.id)
                   FROM listing_writes write WHERE write.listing_id = listing.id AND write.state IN ('sent', 'accepted', 'unknown')), '[]') AS open_writes
  FROM listings listing
  JOIN connections connection ON connection.id = listing.connection_id
  LEFT JOIN inventory_items item ON item.id = listing.item_id
 WHERE listing.id = ANY($1)`;

/** Read after the claim, in a snapshot of its own: the stock is at least as new as the reason that made the listing dirty. */
export async function loadClaimed(db: Queryable, claims: readonly Claim[]): Promise<readonly PushListing[]> {
  const { rows } = await db.query<ListingRow>({
    name: 'push-load',
    text: loadSql,
    values: [claims.map((claim) => claim.listingId)],
  });
  const byId = new Map(rows.map((row) => [row.id, row]));
  return claims.flatMap((claim) => {
    const row = byId.get(claim.listingId);
    if (row === undefined) return [];
    return [
      {
        ...claim,
        itemId: row.item_id,
        unitId: row.unit_id,
        variantId: row.variant_id,
        enabled: row.enabled,
        shown: claim.reread ? null : row.quantity,
        buffer: row.buffer,
        quantityMax: row.quantity_max,
        item: row.available === null ? null : { available: row.available, seq: Number(row.seq) },
        openWrites: row.open_writes,
      },
    ];
  });
}

const recordSql = `
WITH wanted AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS wanted ("id" uuid, "listingId" uuid, "itemId" uuid, "quantity" int, "expected" int, "targetSeq" bigint)
),
mine AS (
  UPDATE dirty_listings dirty SET leased_until = statement_timestamp() + $3 * interval '1 ms'
    FROM wanted WHERE dirty.listing_id = wanted."listingId" AND dirty.lease_owner = $2
  RETURNING dirty.listing_id
),
guarded AS (
  UPDATE listings listing SET target = wanted."quantity", target_seq = wanted."targetSeq"
    FROM wanted JOIN mine ON mine.listing_id = wanted."listingId"
   WHERE listing.id = wanted."listingId" AND listing.item_id = wanted."itemId" AND listing.target_seq <= wanted."targetSeq"
  RETURNING listing.id, listing.account_id, listing.connection_id
)
INSERT INTO listing_writes AS write (id, account_id, connection_id, listing_id, quantity, expected, target_seq)
SELECT wanted."id", guarded.account_id, guarded.connection_id, guarded.id, wanted."quantity", wanted."expected", wanted."targetSeq"
  FROM wanted JOIN guarded ON guarded.id = wanted."listingId"
ON CONFLICT (id) DO UPDATE SET state = 'sent', sent_at = now(), checked_at = NULL
RETURNING write.id`;

/**
 * Remembers what is sent right after, and refuses every write whose number is older than the newest one sent, whose listing sells another item
 * by now, or whose lease somebody else has taken. What is left of the lease begins anew. Answers the ids that may go.
 */
export async function recordWrites(
  db: Queryable,
  owner: string,
  leaseMs: number,
  writes: readonly NewWrite[],
): Promise<ReadonlySet<string>> {
  if (writes.length === 0) return new Set();
  const { rows } = await withRetry(() =>
    db.query<{ id: string }>({
      name: 'push-record',
      text: recordSql,
      values: [JSON.stringify(writes), owner, leaseMs],
    }),
  );
  return new Set(rows.map((row) => row.id));
}

/**
 * `held` locks the rows and reads what they say then: a reason that came while this statement waited for the lock still counts. A write is overtaken
 * when another run has recorded a newer number meanwhile; which of the two landed last only a reading can tell.
 */
const settleSql = `
WITH outcome AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS outcome (listing_id uuid, version bigint, write_id uuid, write_state write_state,
    write_quantity int, write_seq bigint, in_step_quantity int, in_step_seq bigint, shown int, shown_known boolean, error text, done boolean,
    retry_in_ms int)
),
held AS MATERIALIZED (
  SELECT dirty.listing_id, dirty.version, dirty.lease_owner IS NOT DISTINCT FROM $2::uuid AS ours
    FROM dirty_listings dirty JOIN outcome USING (listing_id) ORDER BY dirty.listing_id FOR UPDATE OF dirty
),
answered AS (
  UPDATE listing_writes write
     SET state = outcome.write_state, error = outcome.error, answered_at = now(),
         settled_at = CASE WHEN outcome.write_state IN ('sent', 'accepted', 'unknown') THEN NULL ELSE now() END
    FROM outcome WHERE write.id = outcome.write_id
),
shown AS (
  UPDATE listings listing
     SET target = CASE WHEN outcome.in_step_seq > listing.target_seq THEN outcome.in_step_quantity ELSE listing.target END,
         target_seq = greatest(listing.target_seq, outcome.in_step_seq),
         quantity = CASE WHEN (outcome.write_seq, outcome.write_quantity) IS DISTINCT FROM (listing.target_seq, listing.target) AND outcome.write_id IS NOT NULL
                           THEN CASE WHEN outcome.write_state IN ('effective', 'accepted', 'unknown') THEN NULL ELSE listing.quantity END
                         WHEN outcome.shown_known THEN outcome.shown ELSE listing.quantity END,
         quantity_at = CASE WHEN outcome.shown_known THEN now() ELSE listing.quantity_at END,
         last_pushed_at = CASE WHEN outcome.write_state IN ('effective', 'accepted') THEN now() ELSE listing.last_pushed_at END,
         last_error = outcome.error, updated_at = now()
    FROM outcome LEFT JOIN held USING (listing_id)
   WHERE listing.id = outcome.listing_id
     -- What a run has read without writing is older than what a run that took its lease has done.
     AND (outcome.write_id IS NOT NULL OR (held.ours AND (outcome.shown_known OR outcome.in_step_seq > listing.target_seq OR listing.last_error IS DISTINCT FROM outcome.error)))
  RETURNING listing.id, listing.account_id, listing.connection_id, coalesce(held.ours, false) AS ours,
            outcome.write_state IN ('effective', 'accepted', 'unknown')
              AND (outcome.write_seq, outcome.write_quantity) IS DISTINCT FROM (listing.target_seq, listing.target) AS overtaken
),
read_again AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread)
  SELECT id, account_id, connection_id, true FROM shown WHERE overtaken AND NOT ours
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true
),
cleared AS (
  DELETE FROM dirty_listings dirty USING outcome, held
   WHERE dirty.listing_id = outcome.listing_id AND held.listing_id = dirty.listing_id AND held.ours
     AND outcome.done AND held.version = outcome.version
)
UPDATE dirty_listings dirty
   SET leased_until = NULL, lease_owner = NULL, leased_version = NULL,
       reread = CASE WHEN outcome.shown_known AND outcome.shown IS NULL THEN true
                     WHEN outcome.shown_known AND held.version = outcome.version THEN false ELSE dirty.reread END,
       attempts = CASE WHEN held.version = outcome.version THEN dirty.attempts + 1 ELSE 0 END,
       not_before = CASE WHEN held.version = outcome.version THEN now() + outcome.retry_in_ms * interval '1 ms' ELSE now() END
  FROM outcome, held
 WHERE dirty.listing_id = outcome.listing_id AND held.listing_id = dirty.listing_id AND held.ours
   AND NOT (outcome.done AND held.version = outcome.version)`;

/** Writes down every answer and gives the leases back. A listing that became dirty again meanwhile stays dirty. */
export async function settle(db: Queryable, owner: string, outcomes: readonly PushOutcome[]): Promise<void> {
  if (outcomes.length === 0) return;
  const rows = outcomes.map((outcome) => ({
    listing_id: outcome.listingId,
    version: outcome.version,
    write_id: outcome.write?.id ?? null,
    write_state: outcome.write?.state ?? null,
    write_quantity: outcome.write?.quantity ?? null,
    write_seq: outcome.write?.targetSeq ?? null,
    in_step_quantity: outcome.inStep?.quantity ?? null,
    in_step_seq: outcome.inStep?.targetSeq ?? null,
    shown: outcome.shown ?? null,
    shown_known: outcome.shown !== undefined,
    error: outcome.error,
    done: outcome.done,
    retry_in_ms: outcome.retryInMs,
  }));
  await withRetry(() =>
    db.query({ name: 'push-settle', text: settleSql, values: [JSON.stringify(rows), owner] }),
  );
}
