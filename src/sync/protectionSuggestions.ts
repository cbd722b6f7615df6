/** Which items of the shared pool should be protected: those for which automatic protection would choose escrow, by the same rule and the same numbers. */
import type { Queryable } from '../db.ts';
import { reactionColumn } from './bounds.ts';
import { type Demand, demandKnown } from './core/demand.ts';
import { demandLimits, protectionLimits } from './core/limits.ts';
import { automaticProtection } from './core/protection.ts';

export type ProtectionSuggestion = {
  readonly itemId: string;
  /** Why, in plain words. */
  readonly reason: string;
  /** Units that can still be sold; below 0 when oversold already. */
  readonly available: number;
  /** Units that all channels sell per hour while they show some. */
  readonly soldPerHour: number;
  /** How many times as fast it may suddenly sell. */
  readonly surge: number;
  /** Milliseconds from a sale anywhere until a lowered number is in force on the slowest channel, nine times of ten. */
  readonly reactionMs: number;
  /** Units that a surge may sell within that time: the buffer that the shared pool would need. */
  readonly bufferNeeded: number;
};

/** What an alert says behind the way out of now, where `couldBeProtected` or a suggestion holds. */
export const wayOutForGood = ' To keep this from happening again, put it under escrow.';

/**
 * True where escrow could be set for the item of this alias and would be new to it: in the shared pool, sold by itself, in two places or more, and in
 * each of them written by us and refused beyond its number.
 */
export const couldBeProtected = (item: string): string => `(
  ${item}.protection = 'shared' AND ${item}.role = 'plain' AND (
    SELECT count(*) > 1 AND bool_and(listing.sync_enabled AND listing.writable AND NOT listing.sells_beyond AND connection.sync_enabled AND connection.status = 'active')
      FROM listings listing JOIN connections connection ON connection.id = listing.connection_id WHERE listing.item_id = ${item}.id))`;

type Row = {
  item_id: string;
  available: number;
  channels: { demand: Demand | null; shown: boolean; sold: number; reaction: number }[];
};

/** As `shadowSql.ts` loads what automatic protection is decided from, without its locks. */
const suggestionsSql = `
SELECT item.id AS item_id, item.available,
       (SELECT json_agg(json_build_object(
                 'demand', shadow.state->'demand', 'shown', coalesce(shadow.shown_max > sale.units, false), 'sold', sale.units,
                 'reaction', ${reactionColumn}) ORDER BY listing.id)
          FROM listings listing JOIN connections connection ON connection.id = listing.connection_id
          LEFT JOIN shadows shadow ON shadow.listing_id = listing.id AND shadow.item_id = listing.item_id
         CROSS JOIN LATERAL (SELECT coalesce(sum(greatest(units, 0)), 0) AS units FROM channel_sales WHERE listing_id = listing.id) sale
         WHERE listing.item_id = item.id) AS channels
  FROM inventory_items item
 WHERE item.id = ANY($2) AND item.account_id = $1 AND ${couldBeProtected('item')}`;

const hourMs = 3_600_000;

/** By item id; what needs no protection, has it, or cannot have it is left out. */
export async function loadProtectionSuggestions(
  db: Queryable,
  accountId: string,
  itemIds: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, ProtectionSuggestion>> {
  const { rows } = await db.query<Row>(suggestionsSql, [accountId, itemIds]);
  return new Map(
    rows.flatMap((row) => {
      const suggestion = suggestionOf(row, now);
      return suggestion === null ? [] : [[suggestion.itemId, suggestion]];
    }),
  );
}

function suggestionOf({ item_id: itemId, available, channels }: Row, now: number) {
  const known = channels.map(({ demand, reaction, ...since }) => ({
    demand: demandKnown(demand, since, now, demandLimits),
    reaction,
  }));
  const { protection, ratePerMs, reaction, needed } = automaticProtection(available, known, 'shared');
  if (protection === 'shared') return null;
  const numbers = { itemId, available, reactionMs: reaction, bufferNeeded: needed };
  const suggestion = { ...numbers, soldPerHour: ratePerMs * hourMs, surge: protectionLimits.surge };
  return { ...suggestion, reason: reasonOf(suggestion, channels.length) };
}

function reasonOf(suggestion: Omit<ProtectionSuggestion, 'reason'>, places: number): string {
  const { available, soldPerHour, surge, reactionMs, bufferNeeded } = suggestion;
  const left = available > 0 ? `${available} left` : 'Nothing left';
  const seconds = Math.ceil(reactionMs / 1_000);
  return (
    `${left} to sell in ${places} places, which sell about ${rounded(soldPerHour)} per hour together. ` +
    `It can take ${seconds} s until a sale has lowered every number; in a rush of ${surge} times that pace up to ${bufferNeeded} can be sold meanwhile. ` +
    'Under escrow none is sold twice.'
  );
}

/** Two digits that count, however slowly it sells. */
function rounded(perHour: number): string {
  return perHour >= 10 ? String(Math.round(perHour)) : String(Number(perHour.toPrecision(2)));
}
