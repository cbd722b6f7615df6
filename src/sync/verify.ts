/** Checks writes that no answer has proved: a reading confirms them, and after the settling time whatever is shown counts. */
import type { Clock } from '../clock.ts';
import { ChannelError, type StockReading } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { targetQuantity } from './availability.ts';
import type { Connections } from './connections.ts';

export type VerifyOptions = {
  readonly db: Queryable;
  readonly connections: Connections;
  readonly clock: Clock;
  /** Time between two looks at the same write. */
  readonly intervalMs: number;
  readonly batchMax: number;
};

type DueRow = {
  listing_id: string;
  unit_id: string;
  variant_id: string;
  available: number | null;
  buffer: number;
  quantity_max: number | null;
  overdue: boolean;
  asked_at: Date;
};

/** The listings of one connection with writes to check now; marks them as looked at, so that two workers do not ask twice. */
const dueSql = `
WITH due AS (
  SELECT write.listing_id
    FROM listing_writes write
   WHERE write.connection_id = $1 AND write.state IN ('sent', 'accepted', 'unknown')
     AND coalesce(write.checked_at, write.sent_at) < now() - $2 * interval '1 ms'
   -- Those not looked at for the longest time: a write can stay open for long, and must not keep newer ones from their turn.
   GROUP BY write.listing_id ORDER BY min(coalesce(write.checked_at, write.sent_at)) LIMIT $4
), looked AS (
  UPDATE listing_writes write SET checked_at = now() FROM due
   WHERE write.listing_id = due.listing_id AND write.state IN ('sent', 'accepted', 'unknown')
)
SELECT due.listing_id, listing.unit_id, listing.variant_id, item.available, coalesce((listing.rule->>'buffer')::int, (connection.rule->>'buffer')::int, 0) AS buffer,
       (listing.rule->>'quantityMax')::int AS quantity_max, now() AS asked_at,
       -- The newest write has its whole settling time, whatever older ones did.
       NOT EXISTS (SELECT FROM listing_writes write WHERE write.listing_id = due.listing_id AND write.state IN ('sent', 'accepted', 'unknown')
                      AND write.sent_at >= now() - $3 * interval '1 ms') AS overdue
  FROM due JOIN listings listing ON listing.id = due.listing_id
  JOIN connections connection ON connection.id = listing.connection_id
  LEFT JOIN inventory_items item ON item.id = listing.item_id
 -- A listing that is about to be pushed anyway answers for itself.
 WHERE NOT EXISTS (SELECT FROM dirty_listings dirty WHERE dirty.listing_id = listing.id)`;

/**
 * A reading equal to the target confirms the writes that carry it. Within the settling time any other reading decides nothing: the write may still
 * land. One exception: a reading above the target that an older write explains means that this one may have landed last, and while it stays the
 * channel offers too much; so the target is written again. After the settling time, the reading is what the channel shows, older writes are closed, and a listing that is out of step becomes dirty again. A number
 * below the target may be a sale that is not yet known, so orders are polled before it is raised.
 */
const settleSql = `
WITH reading AS (
  SELECT reading.*,
         shown > target AND EXISTS (SELECT FROM listing_writes older WHERE older.listing_id = reading.listing_id AND older.quantity = reading.shown
                                       AND older.state IN ('sent', 'accepted', 'unknown'))
           AND NOT EXISTS (SELECT FROM listing_writes recent WHERE recent.listing_id = reading.listing_id
                              AND recent.sent_at > reading.asked_at - 2 * $3 * interval '1 ms') AS landed_last
    FROM jsonb_to_recordset($1::jsonb) AS reading (listing_id uuid, shown int, target int, overdue boolean, asked_at timestamptz)
   -- What was sent after we asked is not in the answer.
   WHERE NOT EXISTS (SELECT FROM listing_writes newer WHERE newer.listing_id = reading.listing_id AND newer.sent_at > reading.asked_at)
),
confirmed AS (
  UPDATE listing_writes write
     SET state = (CASE WHEN write.quantity = reading.shown THEN 'effective' ELSE 'superseded' END)::write_state, settled_at = now()
    FROM reading
   WHERE write.listing_id = reading.listing_id AND write.state IN ('sent', 'accepted', 'unknown')
     AND ((write.quantity = reading.shown AND reading.shown = reading.target) OR reading.overdue)
  RETURNING write.listing_id
),
shown AS (
  UPDATE listings listing SET quantity = reading.shown, quantity_at = now(), updated_at = now()
    FROM reading WHERE listing.id = reading.listing_id AND (reading.shown = reading.target OR reading.overdue)
)
INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, not_before)
SELECT listing.id, listing.account_id, listing.connection_id, true,
       CASE WHEN reading.shown < reading.target THEN now() + $2 * interval '1 ms' ELSE now() END
  FROM reading JOIN listings listing ON listing.id = reading.listing_id
 WHERE (reading.overdue OR reading.landed_last) AND reading.shown <> reading.target
ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true
RETURNING listing_id`;

/** Answers how many listings became dirty. */
export async function verifyConnection(options: VerifyOptions, connectionId: string): Promise<number> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return 0;
  const { capabilities } = channel.connector;
  const { rows: due } = await options.db.query<DueRow>({
    name: 'verify-due',
    text: dueSql,
    values: [connectionId, options.intervalMs, capabilities.settleMaxMs, options.batchMax],
  });
  if (due.length === 0) return 0;
  let readings: readonly StockReading[];
  try {
    readings = await channel.connector.readStock(
      due.map((row) => ({ unitId: row.unit_id, variantId: row.variant_id })),
    );
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    await options.connections.report(connectionId, error);
    return 0;
  }
  const known = due.flatMap((row, index) => {
    const reading = readings[index];
    if (reading?.kind !== 'quantity') return [];
    const rule = { buffer: row.buffer, quantityMax: row.quantity_max, channelMax: capabilities.quantityMax };
    return [
      {
        listing_id: row.listing_id,
        shown: reading.quantity,
        target: row.available === null ? reading.quantity : targetQuantity(row.available, rule),
        overdue: row.overdue,
        asked_at: row.asked_at,
      },
    ];
  });
  const { rows } = await options.db.query({
    name: 'verify-settle',
    text: settleSql,
    values: [JSON.stringify(known), capabilities.pollIntervalMs, options.intervalMs],
  });
  return rows.length;
}
