/** Scans the whole shop, one entry per variant, in the states a listing can sell from or come back from. */

import { z } from 'zod';
import { type CatalogueEntry, ChannelError } from '../connector.ts';
import { parseBody } from '../wire.ts';
import { assertDayLeft, type EtsyApi } from './auth.ts';
import {
  type Inventory,
  inventorySchema,
  liveProducts,
  type Product,
  recordedPrice,
  shownQuantity,
  variantIdOf,
} from './inventory.ts';

/** Drafts and expired listings sell nothing and cannot be brought back by a quantity. */
const states = ['active', 'sold_out', 'inactive'] as const;
const pageSize = 100;
const restartsMax = 5;

const listingSchema = z.object({
  listing_id: z.int(),
  title: z.string().nullish(),
  state: z.string().nullish(),
  url: z.string().nullish(),
  inventory: inventorySchema.nullish(),
});
type Listing = z.output<typeof listingSchema>;
const pageSchema = z.object({ count: z.int().nonnegative(), results: z.array(listingSchema) });

/** Every variant once. A listing that changes its state during the scan may be seen in neither state: absence proves nothing. */
export async function* catalogue(api: EtsyApi): AsyncIterable<readonly CatalogueEntry[]> {
  const seen = new Set<number>();
  for (const state of states) {
    for await (const listings of listingsIn(api, state)) {
      const unseen = listings.filter((listing) => !seen.has(listing.listing_id));
      for (const listing of unseen) seen.add(listing.listing_id);
      if (unseen.length > 0) yield unseen.flatMap((listing) => entriesOf(listing, state));
    }
  }
}

/**
 * Each page repeats the last listing of the page before. When it does not, listings came or went meanwhile and some were jumped over: the
 * state is read again from its start.
 */
async function* listingsIn(api: EtsyApi, state: string): AsyncIterable<readonly Listing[]> {
  let offset = 0;
  let last: number | null = null;
  let restarts = 0;
  for (;;) {
    const { count, results } = await listingPage(api, state, offset);
    if (offset > 0 && results[0]?.listing_id !== last) {
      restarts += 1;
      if (restarts > restartsMax) throw new ChannelError('unavailable', 'etsy: the listings keep moving');
      offset = 0;
      continue;
    }
    if (results.length > 0) yield results;
    if (offset + results.length >= count) return;
    if (results.length < 2) {
      throw new ChannelError(
        'invalid_response',
        'etsy.getListingsByShop: a page ended before the promised count',
      );
    }
    last = results.at(-1)?.listing_id ?? null;
    offset += results.length - 1;
  }
}

async function listingPage(
  api: EtsyApi,
  state: string,
  offset: number,
): Promise<z.output<typeof pageSchema>> {
  assertDayLeft(api);
  const operation = 'etsy.getListingsByShop';
  const query = new URLSearchParams({
    state,
    limit: String(pageSize),
    offset: String(offset),
    includes: 'Inventory',
  });
  const path = `/v3/application/shops/${api.settings.shopId}/listings?${query.toString()}`;
  return parseBody(pageSchema, await api.call({ method: 'GET', path, operation, retry: 'safe' }), operation);
}

function entriesOf(listing: Listing, scannedState: string): readonly CatalogueEntry[] {
  const { inventory } = listing;
  if (!inventory) return [];
  const state = listing.state ?? scannedState;
  const entries = liveProducts(inventory).map((product) => entryOf(listing, inventory, product, state));
  // Products with one SKU and one quantity are one thing to sync.
  return [...new Map(entries.map((entry) => [entry.address.variantId, entry])).values()];
}

function entryOf(listing: Listing, inventory: Inventory, product: Product, state: string): CatalogueEntry {
  const variantId = variantIdOf(inventory, product);
  const options = product.property_values.flatMap((property) => property.values).join(', ');
  const title = listing.title ?? '';
  return {
    address: { unitId: String(listing.listing_id), variantId },
    sku: product.sku || null,
    title: options === '' ? title : `${title} (${options})`,
    url: listing.url || null,
    price: recordedPrice(product),
    stock: shownQuantity(inventory, state, variantId),
    writable: true,
    sellsBeyond: false,
  };
}
