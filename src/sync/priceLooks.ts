/** Looks at the prices that a channel shows, those not looked at for longest first, so that what somebody changes there becomes a conflict. */
import type pg from 'pg';
import type { PriceReading } from '../connectors/connector.ts';
import { inTransaction } from '../db.ts';
import { type Due, type LookKind, type LookOptions, lockLooked, lookInTurn, stillAsAsked } from './looks.ts';
import { isEcho } from './priceRows.ts';
import { checkShownPrices } from './prices.ts';

export type PriceLookOptions = LookOptions & {
  /** Longest run of one call to a channel, in milliseconds. */
  readonly callMaxMs: number;
  readonly onEvents: () => void;
};

const prices: LookKind = {
  name: 'prices',
  turnAt: 'next_price_look_at',
  mayLook: `status = 'active' AND sync_enabled AND NOT awaiting_plan`,
  lookedAt: 'price_looked_at',
  followed: `
  SELECT * FROM listings WHERE connection_id = $1 AND sync_enabled AND item_id IS NOT NULL`,
  version: 'price_looked_at::text',
};

/** One batch, if the connection's turn has come. */
export async function lookAtPrices(options: PriceLookOptions, connectionId: string): Promise<void> {
  const { db, callMaxMs, onEvents } = options;
  const look = await lookInTurn(options, prices, connectionId, ({ connector }, addresses) =>
    connector.readPrices(addresses, { urgency: 'import' }),
  );
  if (look === null) return;
  const lateMs = Math.max(0, look.agoMs - callMaxMs);
  const items = await showPrices(db, look.due, look.readings, lateMs);
  await checkShownPrices(db, look.channel.connection.accountId, items);
  if (items.length > 0) onEvents();
}

const lookedRows =
  'jsonb_to_recordset($1::jsonb) AS looked (id uuid, version text, minor bigint, currency text)';

const changeSql = `
UPDATE listings listing SET price_minor = looked.minor, currency = looked.currency, updated_at = now() FROM ${lookedRows}
 WHERE ${stillAsAsked(prices)} AND looked.minor IS NOT NULL AND (listing.price_minor, listing.currency) IS DISTINCT FROM (looked.minor, looked.currency::char(3))
   AND NOT (listing.currency IS NOT DISTINCT FROM looked.currency AND ${isEcho('listing.id', 'looked.minor', '$2::float8')})`;

const lookedSql = `UPDATE listings listing SET price_looked_at = now() FROM ${lookedRows} WHERE ${stillAsAsked(prices)} RETURNING listing.item_id AS "itemId"`;

/** Answers the items that these listings sell. A listing of which no price can be read keeps the last one that could. */
async function showPrices(
  db: pg.Pool,
  due: readonly Due[],
  readings: readonly (PriceReading | undefined)[],
  lateMs: number,
): Promise<readonly string[]> {
  const looked = due.map(({ listingId: id, version }, index) => {
    const reading = readings[index];
    return reading?.kind === 'price' ? { id, version, ...reading.price } : { id, version };
  });
  const { rows } = await inTransaction(db, async (client) => {
    await lockLooked(client, due);
    await client.query(changeSql, [JSON.stringify(looked), lateMs]);
    return client.query<{ itemId: string | null }>(lookedSql, [JSON.stringify(looked)]);
  });
  return [...new Set(rows.flatMap(({ itemId }) => itemId ?? []))];
}
