/** Looks at the prices that a channel shows, those not looked at for longest first, so that what somebody changes there becomes a conflict. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { ChannelError, type PriceReading } from '../connectors/connector.ts';
import { inTransaction } from '../db.ts';
import type { Connections } from './connections.ts';
import { isEcho } from './priceRows.ts';
import { checkShownPrices } from './prices.ts';

export type PriceLookOptions = {
  readonly db: pg.Pool;
  readonly clock: Clock;
  readonly connections: Connections;
  readonly batchMax: number;
  /** Pause between two looks at the same listing, in milliseconds. */
  readonly intervalMs: number;
  /** Pause between two batches of a connection, in milliseconds: prices are never worth a burst of calls. */
  readonly paceMs: number;
  /** Longest run of one call to a channel, in milliseconds. */
  readonly callMaxMs: number;
  readonly onEvents: () => void;
};

/** Whoever finds the connection's next look due takes it, and so nobody else does. */
const dueSql = `
WITH turn AS (
  UPDATE connections SET next_price_look_at = now() + $3 * interval '1 ms'
   WHERE id = $1 AND next_price_look_at <= now() AND NOT awaiting_plan
  RETURNING 1
)
SELECT listing.id AS "listingId", listing.unit_id AS "unitId", listing.variant_id AS "variantId"
  FROM listings listing
 WHERE EXISTS (SELECT FROM turn) AND listing.connection_id = $1 AND listing.price_looked_at <= now() - $4 * interval '1 ms' AND listing.sync_enabled AND listing.item_id IS NOT NULL
 ORDER BY listing.price_looked_at LIMIT $2`;

type Due = { readonly listingId: string; readonly unitId: string; readonly variantId: string };

/** One batch, if the connection's turn has come. What could not be read is due again with the next. */
export async function lookAtPrices(options: PriceLookOptions, connectionId: string): Promise<void> {
  const { db, clock, connections, batchMax, intervalMs, paceMs } = options;
  const channel = await connections.open(connectionId);
  if (channel === null) return;
  const { rows: due } = await db.query<Due>({
    name: 'prices-look-due',
    text: dueSql,
    values: [connectionId, batchMax, Math.min(paceMs, intervalMs), intervalMs],
  });
  if (due.length === 0) return;
  const askedAt = clock.now();
  let readings: readonly PriceReading[];
  try {
    readings = await channel.connector.readPrices(
      due.map(({ unitId, variantId }) => ({ unitId, variantId })),
      { urgency: 'import' },
    );
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    return connections.report(connectionId, error);
  }
  await connections.report(connectionId, null);
  const lateMs = Math.max(0, clock.now() - askedAt - options.callMaxMs);
  const items = await showPrices(db, { due, readings, lateMs });
  await checkShownPrices(db, channel.connection.accountId, items);
  if (items.length > 0) options.onEvents();
}

/** In the order of their ids, as everybody does who locks several. */
const lockSql = 'SELECT FROM listings WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE';

const lookedSql =
  'UPDATE listings SET price_looked_at = now() WHERE id = ANY($1) RETURNING item_id AS "itemId"';

/** A statement of its own: what was proved up to the moment of the lock is seen. */
const changeSql = `
UPDATE listings listing SET price_minor = looked.minor, currency = looked.currency, updated_at = now()
  FROM jsonb_to_recordset($1::jsonb) AS looked (id uuid, minor bigint, currency text)
 WHERE listing.id = looked.id AND (listing.price_minor, listing.currency) IS DISTINCT FROM (looked.minor, looked.currency::char(3))
   AND NOT (listing.currency IS NOT DISTINCT FROM looked.currency AND ${isEcho('listing.id', 'looked.minor', '$2::float8')})`;

/** Answers the items that these listings sell. A listing of which no price can be read keeps the last one that could. */
async function showPrices(
  db: pg.Pool,
  seen: { readonly due: readonly Due[]; readonly readings: readonly PriceReading[]; readonly lateMs: number },
): Promise<readonly string[]> {
  const ids = seen.due.map(({ listingId }) => listingId);
  const prices = ids.flatMap((id, index) => {
    const reading = seen.readings[index];
    return reading?.kind === 'price' ? [{ id, ...reading.price }] : [];
  });
  const { rows } = await inTransaction(db, async (client) => {
    await client.query(lockSql, [ids]);
    await client.query(changeSql, [JSON.stringify(prices), seen.lateMs]);
    return client.query<{ itemId: string | null }>(lookedSql, [ids]);
  });
  return [...new Set(rows.flatMap(({ itemId }) => itemId ?? []))];
}
