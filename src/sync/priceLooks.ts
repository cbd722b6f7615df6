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

/**
 * Whoever finds the connection's next look due takes it, and so nobody else does. Where a listing is due, those that will be within half the interval go
 * along: a call asks for many as well as for one.
 */
const dueSql = `
WITH turn AS (
  UPDATE connections SET next_price_look_at = now() + $3 * interval '1 ms'
   WHERE id = $1 AND next_price_look_at <= now() AND status = 'active' AND sync_enabled AND NOT awaiting_plan
  RETURNING 1
), followed AS NOT MATERIALIZED (
  SELECT * FROM listings WHERE connection_id = $1 AND sync_enabled AND item_id IS NOT NULL
)
SELECT id AS "listingId", unit_id AS "unitId", variant_id AS "variantId", price_looked_at::text AS "lookedAt"
  FROM followed
 WHERE EXISTS (SELECT FROM turn) AND price_looked_at <= now() - $4 / 2 * interval '1 ms'
   AND (SELECT min(price_looked_at) FROM followed) <= now() - $4 * interval '1 ms'
 ORDER BY price_looked_at LIMIT $2`;

type Due = {
  readonly listingId: string;
  readonly unitId: string;
  readonly variantId: string;
  readonly lookedAt: string;
};

/** One batch, if the connection's turn has come. */
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
  const addresses = due.map(({ unitId, variantId }) => ({ unitId, variantId }));
  let readings: readonly PriceReading[];
  try {
    readings = await channel.connector.readPrices(addresses, { urgency: 'import' });
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    await postpone(options, due);
    // Whatever is more urgent has taken the calls there are: nothing is wrong with the channel.
    if (error.code !== 'rate_limited') await connections.report(connectionId, error);
    return;
  }
  await connections.report(connectionId, null);
  const lateMs = Math.max(0, clock.now() - askedAt - options.callMaxMs);
  const items = await showPrices(db, due, readings, lateMs);
  await checkShownPrices(db, channel.connection.accountId, items);
  if (items.length > 0) options.onEvents();
}

/** A part of the interval within which listings that could not be read are due again, each at a time of its own: one by which every call fails is not always among the same others. */
const againWithin = 1 / 12;

async function postpone({ db, intervalMs }: PriceLookOptions, due: readonly Due[]): Promise<void> {
  await db.query({
    name: 'prices-look-postpone',
    text: `UPDATE listings SET price_looked_at = now() - (1 - random() * $3::float8) * $2::float8 * interval '1 ms' WHERE id = ANY($1)`,
    values: [due.map(({ listingId }) => listingId), intervalMs, againWithin],
  });
}

const lockSql = 'SELECT FROM listings WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE';

/** What was learnt of a price since the question was asked is newer than the answer. */
const stillAsAsked = 'listing.id = looked.id AND listing.price_looked_at = looked.at';
const lookedRows =
  'jsonb_to_recordset($1::jsonb) AS looked (id uuid, at timestamptz, minor bigint, currency text)';

/** Statements of their own: what was proved up to the moment of the lock is seen. */
const changeSql = `
UPDATE listings listing SET price_minor = looked.minor, currency = looked.currency, updated_at = now() FROM ${lookedRows}
 WHERE ${stillAsAsked} AND looked.minor IS NOT NULL AND (listing.price_minor, listing.currency) IS DISTINCT FROM (looked.minor, looked.currency::char(3))
   AND NOT (listing.currency IS NOT DISTINCT FROM looked.currency AND ${isEcho('listing.id', 'looked.minor', '$2::float8')})`;

const lookedSql = `UPDATE listings listing SET price_looked_at = now() FROM ${lookedRows} WHERE ${stillAsAsked} RETURNING listing.item_id AS "itemId"`;

/** Answers the items that these listings sell. A listing of which no price can be read keeps the last one that could. */
async function showPrices(
  db: pg.Pool,
  due: readonly Due[],
  readings: readonly PriceReading[],
  lateMs: number,
): Promise<readonly string[]> {
  const looked = due.map(({ listingId: id, lookedAt: at }, index) => {
    const reading = readings[index];
    return reading?.kind === 'price' ? { id, at, ...reading.price } : { id, at };
  });
  const { rows } = await inTransaction(db, async (client) => {
    await client.query(lockSql, [looked.map(({ id }) => id)]);
    await client.query(changeSql, [JSON.stringify(looked), lateMs]);
    return client.query<{ itemId: string | null }>(lookedSql, [JSON.stringify(looked)]);
  });
  return [...new Set(rows.flatMap(({ itemId }) => itemId ?? []))];
}
