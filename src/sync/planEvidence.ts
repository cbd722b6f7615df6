/** What is known of the time between two looks at a channel: how far its clock may be from ours, which orders are known, what was sold. */
import type { Queryable } from '../db.ts';
import type { PlanSale } from './planDecision.ts';

/** How far clocks may be apart, and how sure the orders up to a moment are known. Times in milliseconds since the epoch. */
export type ChannelTime = {
  readonly marginMs: number;
  /** Every order placed on the channel up to then is known; minus infinity before the first poll. */
  readonly ordersKnownUntil: number;
};

/** Channels round their times to the second, and clocks differ. */
const roundingMs = 1_000;
const clockSkewDefaultMs = 1_000;

export async function readChannelTime(db: Queryable, connectionId: string): Promise<ChannelTime> {
  const { rows } = await db.query<{ margin: number; known: Date | null }>(
    `SELECT coalesce(clock_skew_max_ms, $2) + coalesce(stale_max_ms, 0) + $3 AS margin,
            orders_watermark - coalesce(index_lag_ms, 0) * interval '1 ms' AS known FROM connections WHERE id = $1`,
    [connectionId, clockSkewDefaultMs, roundingMs],
  );
  const [row] = rows;
  return {
    marginMs: row?.margin ?? 0,
    ordersKnownUntil: row?.known?.getTime() ?? Number.NEGATIVE_INFINITY,
  };
}

/**
 * What these listings have sold since the plan was made, by listing. Ids of lines sort by time, so those of orders that came after the plan have
 * larger ones than the plan: the item's index finds them, however old the item is.
 */
export async function salesSince(
  db: Queryable,
  planId: string,
  entries: readonly { readonly listingId: string; readonly itemId: string }[],
): Promise<ReadonlyMap<string, readonly PlanSale[]>> {
  const { rows } = await db.query<{ listing_id: string; units: number; at: Date }>(
    `SELECT line.listing_id, line.held_reserved + line.held_shipped AS units, orders.channel_created_at AS at
       FROM order_lines line JOIN orders ON orders.id = line.order_id
      WHERE line.item_id = ANY($2) AND line.id > $1 AND line.listing_id = ANY($3)`,
    [planId, [...new Set(entries.map(({ itemId }) => itemId))], entries.map(({ listingId }) => listingId)],
  );
  const byListing = Map.groupBy(rows, (row) => row.listing_id);
  return new Map(
    [...byListing].map(([listingId, sales]) => [
      listingId,
      sales.map(({ units, at }) => ({ units, at: at.getTime() })),
    ]),
  );
}
