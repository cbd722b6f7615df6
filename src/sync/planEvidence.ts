/** What is known of the time between two looks at a channel: how far its clock may be from ours, which orders are known, what was sold. */
import type { Queryable } from '../db.ts';
import { boundColumns, channelBounds, type StoredBounds } from './bounds.ts';
import type { ChannelBounds } from './connections.ts';
import type { PlanSale } from './planDecision.ts';
import type { PlanWork } from './planSql.ts';

/** How far clocks may be apart, and how sure the orders up to a moment are known. Times in milliseconds since the epoch. */
export type ChannelTime = {
  readonly bounds: ChannelBounds;
  readonly marginMs: number;
  /** Every order placed on the channel up to then is known; minus infinity before the first poll. */
  readonly ordersKnownUntil: number;
  /** What is read from now on was true then at the earliest. */
  readonly readableFrom: number;
};

/** Channels round their times to the second. */
const roundingMs = 1_000;

export async function readChannelTime(
  db: Queryable,
  { plan, channel, options }: PlanWork,
): Promise<ChannelTime> {
  const { rows } = await db.query<StoredBounds & { polled: Date | null }>(
    `SELECT ${boundColumns}, orders_watermark AS polled FROM connections connection WHERE id = $1`,
    [plan.connectionId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the connection of a plan was removed');
  const bounds = channelBounds(row, channel.connector.capabilities);
  return {
    bounds,
    marginMs: bounds.clockSkewMaxMs + roundingMs,
    ordersKnownUntil: (row.polled?.getTime() ?? Number.NEGATIVE_INFINITY) - bounds.indexLagMs,
    readableFrom: options.clock.now() - bounds.staleMaxMs,
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
