/** How many units of an item can be oversold right now, from what each of its listings may show and how fast and how late each channel is. */
import type { Platform } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { reactionColumn } from './bounds.ts';
import { type Exposure, exposureOf } from './core/exposure.ts';

export type ListingExposure = {
  readonly listingId: string;
  readonly platform: Platform;
  /** The most the channel may show now, in units. */
  readonly shownMax: number;
  /** Units it sells per hour while it shows some. */
  readonly soldPerHour: number;
  /** Milliseconds from a sale anywhere until a lowered number is in force here, nine times of ten. */
  readonly reactionMs: number;
};

export type ItemExposure = Exposure & {
  readonly itemId: string;
  /** Units that can still be sold; below 0 when oversold already. */
  readonly available: number;
  readonly listings: readonly ListingExposure[];
};

type Row = {
  item_id: string;
  available: number;
  listings: ListingExposure[];
};

/** Before a listing has a shadow, what we believe it shows counts. What the channel owns, and what is no longer connected, we do not answer for. */
const exposuresSql = `
SELECT item.id AS item_id, sellable.available,
       (SELECT coalesce(json_agg(json_build_object(
                 'listingId', listing.id, 'platform', listing.platform,
                 'shownMax', coalesce(shadow.shown_max, greatest(listing.quantity, listing.target), 0),
                 'soldPerHour', coalesce(shadow.sold_per_hour, 0),
                 'reactionMs', ${reactionColumn}) ORDER BY listing.platform, listing.id), '[]')
          FROM listings listing JOIN connections connection ON connection.id = listing.connection_id AND connection.status <> 'disconnected'
          LEFT JOIN shadows shadow ON shadow.listing_id = listing.id
         WHERE listing.item_id = item.id AND listing.writable) AS listings
  FROM inventory_items item CROSS JOIN LATERAL item_sellable(item.id) sellable
 WHERE item.id = ANY($2) AND item.account_id = $1`;

const hourMs = 3_600_000;

/** By item id; items of other accounts are left out. */
export async function loadExposures(
  db: Queryable,
  accountId: string,
  itemIds: readonly string[],
): Promise<ReadonlyMap<string, ItemExposure>> {
  const { rows } = await db.query<Row>(exposuresSql, [accountId, itemIds]);
  return new Map(
    rows.map((row) => {
      const units = row.listings.map(({ shownMax, soldPerHour, reactionMs }) => ({
        shownMax,
        ratePerMs: soldPerHour / hourMs,
        reaction: reactionMs,
      }));
      const { item_id: itemId, available, listings } = row;
      return [itemId, { itemId, available, listings, ...exposureOf(available, units) }];
    }),
  );
}
