/** Scans every inventory item with its offers; a scan during which items came or went starts over instead of missing one. */

import { z } from 'zod';
import { mapBounded } from '../concurrency.ts';
import { type CatalogueEntry, ChannelError } from '../connector.ts';
import { moneyOrNull, parseBody } from '../wire.ts';
import type { EbayApi } from './auth.ts';
import {
  type InventoryItem,
  inventoryItemSchema,
  offerLookupsAtOnce,
  offersOf,
  shownOffer,
} from './offers.ts';
import { shownQuantity } from './stock.ts';

const pageSize = 200;
const restartsMax = 5;

const itemSchema = inventoryItemSchema.extend({ sku: z.string().min(1) });
const pageSchema = z.object({
  total: z.int().nonnegative(),
  inventoryItems: z.array(itemSchema).default([]),
});
type Page = z.output<typeof pageSchema>;

/** Every SKU once. Listings made outside the Inventory API do not exist here. */
export async function* catalogue(api: EbayApi): AsyncIterable<readonly CatalogueEntry[]> {
  const seen = new Set<string>();
  let total: number | null = null;
  let restarts = 0;
  for (let page = 0, read = 0; ; page += 1) {
    const { total: totalNow, inventoryItems } = await itemPage(api, page);
    if (total !== null && totalNow !== total) {
      // Pages are numbered, so they cannot overlap: another total is the only sign that rows have moved.
      restarts += 1;
      if (restarts > restartsMax) throw new ChannelError('unavailable', 'ebay: the inventory keeps moving');
      total = null;
      read = 0;
      page = -1;
      continue;
    }
    total = totalNow;
    read += inventoryItems.length;
    const unseen = inventoryItems.filter((item) => !seen.has(item.sku));
    for (const item of unseen) seen.add(item.sku);
    if (unseen.length > 0) yield await mapBounded(unseen, offerLookupsAtOnce, (item) => entryOf(api, item));
    if (read >= total) return;
    if (inventoryItems.length === 0) {
      throw new ChannelError(
        'invalid_response',
        'ebay.getInventoryItems: a page ended before the promised total',
      );
    }
  }
}

async function itemPage(api: EbayApi, page: number): Promise<Page> {
  const operation = 'ebay.getInventoryItems';
  // Here, unlike for orders, `offset` is the number of the page.
  const path = `/sell/inventory/v1/inventory_item?limit=${pageSize}&offset=${page}`;
  const response = await api.call({ api: 'inventory', method: 'GET', path, operation, retry: 'safe' });
  return parseBody(pageSchema, response, operation);
}

async function entryOf(
  api: EbayApi,
  item: InventoryItem & { readonly sku: string },
): Promise<CatalogueEntry> {
  const offers = await offersOf(api, item.sku);
  const shown = shownOffer(offers);
  const price = shown?.pricingSummary?.price;
  const listingId = shown?.listing?.listingId;
  return {
    address: { unitId: item.sku, variantId: '' },
    sku: item.sku,
    title: item.product?.title ?? item.sku,
    url: listingId ? `https://www.ebay.com/itm/${encodeURIComponent(listingId)}` : null,
    price: moneyOrNull(price?.value, price?.currency),
    stock: shownQuantity(item, offers),
    writable: true,
    sellsBeyond: false,
  };
}
