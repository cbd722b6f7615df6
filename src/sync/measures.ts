/** How long things take, measured: the newest samples of each connection with their percentiles, kept in its row and bounded. */
import { z } from 'zod';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';

/** From a sale to our knowing of it; from sending a number to its being in force; from a sale to the lowered number in force there, or everywhere. */
export const measureNames = [
  'saleToKnown',
  'writeToEffective',
  'saleToEffective',
  'saleToEverywhere',
] as const;
export type MeasureName = (typeof measureNames)[number];

/** Milliseconds over the newest 200 samples; `count` is how many there ever were. */
export type Measure = {
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly max: number;
  readonly count: number;
};

const ms = z.number().min(0);
const stored = z.object({ p50: ms, p90: ms, p95: ms, max: ms.optional(), count: z.number() });

/** A measure out of `connections.measures`; null until there is a sample. */
export function measureIn(measures: unknown, name: MeasureName): Measure | null {
  const parsed = stored.safeParse((measures as Partial<Record<MeasureName, unknown>> | null)?.[name]);
  if (!parsed.success) return null;
  return { ...parsed.data, max: parsed.data.max ?? parsed.data.p95 };
}

/** A clock that was set back must not make a sample that the table cannot hold. */
const longestMs = 2_147_483_647;

/** Adds samples (milliseconds; below 0 counts as 0). One statement; none when there is nothing to add. */
export async function recordSamples(
  db: Queryable,
  connectionId: string,
  name: MeasureName,
  samplesMs: readonly number[],
): Promise<void> {
  const samples = samplesMs
    .filter((sample) => Number.isFinite(sample))
    .map((sample) => Math.min(Math.max(0, Math.round(sample)), longestMs));
  if (samples.length === 0) return;
  await withRetry(() =>
    db.query({
      name: 'measures-record',
      text: `UPDATE connections SET measures = measures || jsonb_build_object($2::text, measured(measures->$2, $3::int[])) WHERE id = $1`,
      values: [connectionId, name, samples],
    }),
  );
}

/**
 * Of items that were just settled: those that are in step everywhere, with the sales since they were last measured. In step means that no listing of a
 * connection in use waits and no write is unconfirmed; what the seller has switched off is not waited for. Of an item that was never measured only the
 * newest movement counts. The time is that from the channel's own word on when it sold.
 */
const everywhereSql = `
WITH item AS (
  SELECT item.id, item.account_id, item.seq, coalesce(measured.seq, item.seq - 1) AS from_seq
    FROM inventory_items item LEFT JOIN measured_sales measured ON measured.item_id = item.id
   WHERE item.id = ANY($1) AND item.seq > coalesce(measured.seq, 0)
     AND NOT EXISTS (
       SELECT FROM listings listing JOIN dirty_listings dirty ON dirty.listing_id = listing.id
         JOIN connections connection ON connection.id = listing.connection_id
        WHERE listing.item_id = item.id AND connection.sync_enabled AND connection.status IN ('active', 'needs_authorization'))
     AND NOT EXISTS (
       SELECT FROM listings listing JOIN listing_writes write ON write.listing_id = listing.id AND write.state IN ('sent', 'accepted', 'unknown')
        WHERE listing.item_id = item.id)
),
fresh AS (
  INSERT INTO measured_sales AS current (item_id, account_id, seq) SELECT id, account_id, seq FROM item ORDER BY id
  ON CONFLICT (item_id) DO UPDATE SET seq = excluded.seq WHERE current.seq < excluded.seq
  RETURNING item_id
),
sale AS (
  SELECT orders.connection_id,
         -- The first snapshot of an order tells when it was placed; a later one that takes more units, when it was changed.
         least(2147483647, greatest(0, extract(epoch FROM now() - CASE WHEN movement.idempotency_key LIKE '%:1'
           THEN orders.channel_created_at ELSE orders.channel_updated_at END) * 1000))::int AS ms
    FROM fresh JOIN item ON item.id = fresh.item_id
    CROSS JOIN LATERAL (
      SELECT order_id, idempotency_key FROM stock_movements
       WHERE item_id = item.id AND seq > item.from_seq AND seq <= item.seq AND kind = 'order' AND on_hand_delta < reserved_delta
       ORDER BY seq DESC LIMIT 100
    ) movement
    JOIN orders ON orders.id = movement.order_id
),
sampled AS (
  SELECT connection_id, array_agg(ms) AS samples FROM sale GROUP BY connection_id
),
locked AS MATERIALIZED (
  SELECT connection.id, sampled.samples FROM connections connection JOIN sampled ON sampled.connection_id = connection.id
   ORDER BY connection.id FOR NO KEY UPDATE OF connection
)
UPDATE connections
   SET measures = measures || jsonb_build_object('saleToEverywhere', measured(measures->'saleToEverywhere', locked.samples))
  FROM locked WHERE connections.id = locked.id`;

/** Called with items of which a listing was settled. Each sale is measured once, whoever brings the last channel in step. */
export async function measureSettled(db: Queryable, itemIds: readonly string[]): Promise<void> {
  if (itemIds.length === 0) return;
  await withRetry(() => db.query({ name: 'measures-everywhere', text: everywhereSql, values: [itemIds] }));
}
