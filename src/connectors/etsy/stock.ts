/** Reads what buyers can buy of each Etsy variant; a listing that Etsy does not know makes only its own readings unknown. */

import { z } from 'zod';
import { chunks } from '../concurrency.ts';
import type { ListingAddress, StockReading } from '../connector.ts';
import { parseBody } from '../wire.ts';
import { assertDayLeft, type EtsyApi } from './auth.ts';
import { type Inventory, inventorySchema, shownQuantity } from './inventory.ts';

/** Etsy, getListingsInventoryByListingIds: at most 100 ids. */
const idsPerRead = 100;

/** A listing's record with its state (`active`, `inactive`, `sold_out`, `draft`, `expired`); null when Etsy does not say. */
export type Listing = { readonly state: string | null; readonly inventory: Inventory };

/** The records of those listings that Etsy knows, by listing id. Throws `ChannelError`. */
export async function readListings(
  api: EtsyApi,
  addresses: readonly ListingAddress[],
): Promise<ReadonlyMap<string, Listing>> {
  const ids = [...new Set(addresses.map((address) => address.unitId))].filter(isListingId);
  const listings = new Map<string, Listing>();
  for (const some of chunks(ids, idsPerRead)) await readBatch(api, some, listings);
  return listings;
}

/** One reading per address, in the order asked. Throws `ChannelError`. */
export async function readStock(
  api: EtsyApi,
  addresses: readonly ListingAddress[],
): Promise<readonly StockReading[]> {
  if (api.turn.urgency === 'import') assertDayLeft(api);
  const listings = await readListings(api, addresses);
  return addresses.map(({ unitId, variantId }) => {
    const listing = listings.get(unitId);
    if (listing === undefined)
      return { kind: 'unknown', reason: `Etsy does not answer for listing "${unitId}"` };
    return shownQuantity(listing.inventory, listing.state, variantId);
  });
}

export const isListingId = (id: string): boolean => /^\d{1,19}$/.test(id);

const batchSchema = z.object({
  results: z.array(
    z.object({ listing_id: z.int(), state: z.string().nullish(), inventory: inventorySchema.nullish() }),
  ),
});

/** One unknown id makes Etsy answer 404 for all: halving finds it in few calls. */
async function readBatch(api: EtsyApi, ids: readonly string[], found: Map<string, Listing>): Promise<void> {
  const [first] = ids;
  if (first === undefined) return;
  if (ids.length === 1) {
    const listing = await readListing(api, first);
    if (listing !== null) found.set(first, listing);
    return;
  }
  const operation = 'etsy.getListingsInventoryByListingIds';
  const response = await api.call({
    method: 'GET',
    path: `/v3/application/listings/batch/inventory?listing_ids=${ids.join(',')}`,
    operation,
    retry: 'safe',
    answers: [404],
  });
  if (response.status === 404) {
    const half = Math.ceil(ids.length / 2);
    await readBatch(api, ids.slice(0, half), found);
    await readBatch(api, ids.slice(half), found);
    return;
  }
  for (const { listing_id, state, inventory } of parseBody(batchSchema, response, operation).results) {
    if (inventory) found.set(String(listing_id), { state: state ?? null, inventory });
  }
}

export const stateSchema = z.object({ state: z.string() });
const inventoryWithListingSchema = inventorySchema.extend({ listing: stateSchema.nullish() });

/** Null when Etsy does not know the listing. */
export async function readListing(api: EtsyApi, listingId: string): Promise<Listing | null> {
  const operation = 'etsy.getListingInventory';
  const response = await api.call({
    method: 'GET',
    path: `/v3/application/listings/${listingId}/inventory?includes=Listing`,
    operation,
    retry: 'safe',
    answers: [404],
  });
  if (response.status === 404) return null;
  const { listing, ...inventory } = parseBody(inventoryWithListingSchema, response, operation);
  return { inventory, state: listing?.state ?? (await readState(api, listingId)) };
}

async function readState(api: EtsyApi, listingId: string): Promise<string | null> {
  const operation = 'etsy.getListing';
  const path = `/v3/application/listings/${listingId}`;
  const response = await api.call({ method: 'GET', path, operation, retry: 'safe', answers: [404] });
  return response.status === 404 ? null : parseBody(stateSchema, response, operation).state;
}
