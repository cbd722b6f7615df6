/** Reads a seller's listings, by SKU or all of them, and remembers briefly which SKUs Amazon itself stocks, so that those are never written. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { CatalogueEntry, Money, StockReading } from '../connector.ts';
import { moneyOrNull, parseBody } from '../wire.ts';
import { type AmazonApi, amazonError } from './api.ts';

/** `identifiers` and `pageSize` are limited to 20 (Listings Items 2021-08-01). */
export const skusPerCall = 20;
/** At most 1000 results can be paged through (Listings Items 2021-08-01): before that the scan starts anew at the last creation date. */
const resultsPerSliceMax = 900;
const callsInFlight = 2;
const includedData = 'summaries,offers,fulfillmentAvailability,productTypes';
/** The attributes hold the list price, whatever promotion is on. */
export const pricedData = `${includedData},attributes`;

const moneySchema = z.looseObject({ amount: z.string(), currencyCode: z.string() }).nullish();

const listingSchema = z.looseObject({
  sku: z.string(),
  summaries: z
    .array(
      z.looseObject({
        marketplaceId: z.string(),
        asin: z.string().nullish(),
        productType: z.string().nullish(),
        itemName: z.string().nullish(),
        createdDate: z.string().nullish(),
      }),
    )
    .nullish(),
  offers: z
    .array(z.looseObject({ marketplaceId: z.string(), offerType: z.string(), price: moneySchema }))
    .nullish(),
  fulfillmentAvailability: z
    .array(z.looseObject({ fulfillmentChannelCode: z.string(), quantity: z.int().nullish() }))
    .nullish(),
  productTypes: z.array(z.looseObject({ marketplaceId: z.string(), productType: z.string() })).nullish(),
  attributes: z.looseObject({ purchasable_offer: z.array(z.unknown()).nullish() }).nullish(),
});

const searchSchema = z.looseObject({
  numberOfResults: z.int(),
  pagination: z.looseObject({ nextToken: z.string().nullish() }).nullish(),
  items: z.array(listingSchema),
});

export type AmazonListing = z.output<typeof listingSchema>;

/** What a write needs to know of a SKU. */
export type ListingFacts = { readonly productType: string; readonly writable: boolean };

/** True unless Amazon's warehouses hold the SKU: only `DEFAULT` is the seller's own quantity. */
export function isWritable(listing: AmazonListing): boolean {
  return (listing.fulfillmentAvailability ?? []).every((entry) => entry.fulfillmentChannelCode === 'DEFAULT');
}

export function readingOf(listing: AmazonListing): StockReading {
  const channels = listing.fulfillmentAvailability ?? [];
  const entry = isWritable(listing)
    ? channels.find((channel) => channel.fulfillmentChannelCode === 'DEFAULT')
    : channels.find((channel) => channel.fulfillmentChannelCode !== 'DEFAULT');
  const quantity = entry?.quantity ?? null;
  if (quantity !== null) return { kind: 'quantity', quantity };
  return { kind: 'unknown', reason: 'Amazon answered no quantity for this SKU' };
}

export function factsOf(listing: AmazonListing, marketplaceId: string): ListingFacts {
  const here = (entry: { readonly marketplaceId: string }): boolean => entry.marketplaceId === marketplaceId;
  const productType =
    listing.productTypes?.find(here)?.productType ?? listing.summaries?.find(here)?.productType ?? 'PRODUCT';
  return { productType, writable: isWritable(listing) };
}

// ---------------------------------------------------------------------------------------------------------------- by SKU

/** The listings of those SKUs that Amazon knows, by SKU. */
export async function findListings(
  api: AmazonApi,
  skus: readonly string[],
  data = includedData,
): Promise<Map<string, AmazonListing>> {
  const unique = [...new Set(skus)];
  // `identifiers` is comma-separated, so a SKU with a comma must be asked for alone.
  const [odd, plain] = [
    unique.filter((sku) => sku.includes(',')),
    unique.filter((sku) => !sku.includes(',')),
  ];
  const pages = await mapBounded(chunks(plain, skusPerCall), callsInFlight, (chunk) =>
    searchSkus(api, chunk, data),
  );
  const singles = await mapBounded(odd, callsInFlight, (sku) => findOne(api, sku, data));
  const found = [...pages.flat(), ...singles.filter((listing) => listing !== null)];
  return new Map(found.map((listing) => [listing.sku, listing]));
}

async function searchSkus(api: AmazonApi, skus: readonly string[], data: string): Promise<AmazonListing[]> {
  const query = {
    identifiersType: 'SKU',
    identifiers: skus.join(','),
    pageSize: String(skusPerCall),
    includedData: data,
  };
  const found: AmazonListing[] = [];
  let token: string | null = null;
  do {
    const page = await search(api, token === null ? query : { ...query, pageToken: token });
    found.push(...page.items);
    token = page.pagination?.nextToken ?? null;
  } while (token !== null && token !== '' && found.length < skus.length);
  return found;
}

async function findOne(api: AmazonApi, sku: string, data: string): Promise<AmazonListing | null> {
  const response = await api.send({
    operation: 'getListingsItem',
    method: 'GET',
    path: listingPath(api, sku),
    query: { marketplaceIds: api.settings.marketplaceId, includedData: data },
    retry: 'safe',
  });
  if (response.status === 404) return null;
  if (response.status !== 200) throw amazonError(response, 'getListingsItem');
  return parseBody(listingSchema, response, 'amazon.getListingsItem');
}

export function listingPath(api: AmazonApi, sku: string): string {
  return `${sellerPath(api)}/${encodeURIComponent(sku)}`;
}

function sellerPath(api: AmazonApi): string {
  return `/listings/2021-08-01/items/${encodeURIComponent(api.settings.sellerId)}`;
}

async function search(
  api: AmazonApi,
  query: Readonly<Record<string, string>>,
): Promise<z.output<typeof searchSchema>> {
  const response = await api.send({
    operation: 'searchListingsItems',
    method: 'GET',
    path: sellerPath(api),
    query: { marketplaceIds: api.settings.marketplaceId, includedData, ...query },
    retry: 'safe',
  });
  if (response.status !== 200) throw amazonError(response, 'searchListingsItems');
  return parseBody(searchSchema, response, 'amazon.searchListingsItems');
}

// ------------------------------------------------------------------------------------------------------------------- all

/** Every listing, oldest first. A SKU at the seam of two slices is given once. */
export async function* amazonCatalogue(api: AmazonApi): AsyncGenerator<CatalogueEntry[]> {
  const sorted = { sortBy: 'createdDate', sortOrder: 'ASC', pageSize: String(skusPerCall) };
  let createdAfter: string | null = null;
  let token: string | null = null;
  let seenInSlice = new Set<string>();
  let seenBefore: ReadonlySet<string> = new Set();
  for (;;) {
    const page = await search(api, {
      ...sorted,
      includedData: pricedData,
      ...(createdAfter === null ? {} : { createdAfter }),
      ...(token === null ? {} : { pageToken: token }),
    });
    const known = seenBefore;
    const fresh = page.items.filter((listing) => !known.has(listing.sku));
    if (fresh.length > 0) yield fresh.map((listing) => entryOf(listing, api.settings.marketplaceId));
    for (const listing of page.items) seenInSlice.add(listing.sku);
    token = page.pagination?.nextToken ?? null;
    if (token === null || token === '') return;
    const lastCreated = page.items.at(-1)?.summaries?.[0]?.createdDate ?? null;
    if (seenInSlice.size >= resultsPerSliceMax && lastCreated !== null && lastCreated !== createdAfter) {
      createdAfter = lastCreated;
      token = null;
      seenBefore = seenInSlice;
      seenInSlice = new Set();
    }
  }
}

function entryOf(listing: AmazonListing, marketplaceId: string): CatalogueEntry {
  const summary = listing.summaries?.find((entry) => entry.marketplaceId === marketplaceId);
  return {
    address: { unitId: listing.sku, variantId: '' },
    sku: listing.sku,
    title: summary?.itemName ?? listing.sku,
    // The domain differs per marketplace and no answer carries it.
    url: null,
    price: listPrice(listing, marketplaceId),
    stock: readingOf(listing),
    writable: isWritable(listing),
    sellsBeyond: false,
  };
}

// ---------------------------------------------------------------------------------------------------------------- prices

/** The price for everybody. Offers for other audiences (`B2B`) are separate values of the attribute. */
export const everybody = 'ALL';

const offerSchema = z.looseObject({
  marketplace_id: z.string().nullish(),
  audience: z.string().nullish(),
  currency: z.string(),
  our_price: z
    .array(z.looseObject({ schedule: z.array(z.looseObject({ value_with_tax: z.number() })).min(1) }))
    .min(1),
});

/** The seller's own list price; where the attributes do not say it, what buyers pay now. */
export function listPrice(listing: AmazonListing, marketplaceId: string): Money | null {
  for (const value of listing.attributes?.purchasable_offer ?? []) {
    const { data } = offerSchema.safeParse(value);
    if (data === undefined || (data.audience ?? everybody) !== everybody) continue;
    if ((data.marketplace_id ?? marketplaceId) !== marketplaceId) continue;
    const price = data.our_price[0]?.schedule[0]?.value_with_tax;
    return price === undefined ? null : moneyOrNull(String(price), data.currency);
  }
  return offeredPrice(listing, marketplaceId);
}

/** What buyers pay now. */
function offeredPrice({ offers }: AmazonListing, marketplaceId: string): Money | null {
  const here = (offers ?? []).filter((offer) => offer.marketplaceId === marketplaceId);
  const price = (here.find((offer) => offer.offerType === 'B2C') ?? here[0])?.price;
  return moneyOrNull(price?.amount, price?.currencyCode);
}

// --------------------------------------------------------------------------------------------------------------- memory

export interface ListingMemory {
  /** Facts for each SKU that Amazon knows; asks Amazon for those not known or known for too long. */
  facts(api: AmazonApi, skus: readonly string[]): Promise<ReadonlyMap<string, ListingFacts>>;
  learn(listings: Iterable<AmazonListing>): void;
}

/**
 * Facts live for `lifeMs`: a SKU can be moved to Amazon's warehouses at any time, and a write would then turn it back. Bounded by
 * `skusMax`; the longest known go first.
 */
export function createListingMemory(
  marketplaceId: string,
  now: () => number,
  { lifeMs = 900_000, skusMax = 20_000 }: { readonly lifeMs?: number; readonly skusMax?: number } = {},
): ListingMemory {
  const known = new Map<string, { readonly facts: ListingFacts; readonly at: number }>();

  const learn = (listings: Iterable<AmazonListing>): void => {
    for (const listing of listings) {
      known.delete(listing.sku);
      known.set(listing.sku, { facts: factsOf(listing, marketplaceId), at: now() });
    }
    for (const sku of known.keys()) {
      if (known.size <= skusMax) return;
      known.delete(sku);
    }
  };

  return {
    learn,
    async facts(api, skus) {
      const oldest = now() - lifeMs;
      const isFresh = (sku: string): boolean => (known.get(sku)?.at ?? Number.NEGATIVE_INFINITY) >= oldest;
      const found = await findListings(
        api,
        skus.filter((sku) => !isFresh(sku)),
      );
      learn(found.values());
      const facts = new Map<string, ListingFacts>();
      for (const sku of skus) {
        const entry = found.get(sku);
        if (entry !== undefined) facts.set(sku, factsOf(entry, marketplaceId));
        else if (isFresh(sku))
          facts.set(sku, known.get(sku)?.facts ?? { productType: 'PRODUCT', writable: false });
      }
      return facts;
    },
  };
}
