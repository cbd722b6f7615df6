/** Reads and sets the list price of a SKU in one marketplace. A write is only accepted by Amazon, and only a later reading proves it. */

import { z } from 'zod';
import type {
  ListingAddress,
  PriceReading,
  PriceWrite,
  PriceWriteResult,
  StockWriteResult,
  Turn,
} from '../connector.ts';
import { decimalFromMoney } from '../money.ts';
import { priceResultOf, refusedPrice, wrongCurrency } from '../wire.ts';
import type { AmazonApi } from './api.ts';
import type { AmazonSettings } from './auth.ts';
import { type Ready, sendChanges } from './changes.ts';
import type { AmazonFeeds } from './feeds.ts';
import { type AmazonListing, everybody, factsOf, findListings, listPrice, pricedData } from './listings.ts';

export async function readAmazonPrices(
  api: AmazonApi,
  addresses: readonly ListingAddress[],
): Promise<PriceReading[]> {
  const listings = await findListings(
    api,
    addresses.map(({ unitId }) => unitId),
    pricedData,
  );
  return addresses.map(({ unitId }) => {
    const listing = listings.get(unitId);
    const price = listing === undefined ? null : listPrice(listing, api.settings.marketplaceId);
    return price === null
      ? { kind: 'unknown', reason: 'Amazon knows no price of this SKU' }
      : { kind: 'price', price };
  });
}

export function setAmazonPrices(
  api: AmazonApi,
  feeds: AmazonFeeds,
  writes: readonly PriceWrite[],
  turn: Turn,
): Promise<PriceWriteResult[]> {
  return sendChanges<PriceWrite, PriceWriteResult>(api, feeds, turn, {
    writes,
    async judge(reading, some) {
      const skus = some.map(({ address }) => address.unitId);
      const listings = await findListings(reading, skus, pricedData);
      return some.map((write) => judge(api.settings, write, listings.get(write.address.unitId)));
    },
    answer: priceAnswer,
  });
}

function judge(
  { marketplaceId }: AmazonSettings,
  { address, price }: PriceWrite,
  listing: AmazonListing | undefined,
): Ready | PriceWriteResult {
  if (listing === undefined) return refusedPrice('other', 'not_found', 'Amazon does not know this SKU');
  const listed = listPrice(listing, marketplaceId);
  if (listed === null) return refusedPrice('other', 'no_offer', 'The SKU has no offer in this marketplace');
  if (listed.currency !== price.currency) return wrongCurrency(price, listed.currency);
  const change = {
    productType: factsOf(listing, marketplaceId).productType,
    patches: [
      {
        // `replace` would wipe sale prices, price limits and the offers for other audiences.
        op: 'merge',
        path: '/attributes/purchasable_offer',
        value: [
          {
            marketplace_id: marketplaceId,
            currency: price.currency,
            audience: everybody,
            our_price: [{ schedule: [{ value_with_tax: Number(decimalFromMoney(price)) }] }],
          },
        ],
      },
    ],
  };
  return { kind: 'ready', sku: address.unitId, change };
}

function priceAnswer(result: StockWriteResult): PriceWriteResult {
  const aboutPrice = result.kind === 'rejected' && isAboutPrice(result.raw);
  return priceResultOf(result, aboutPrice ? 'price_not_allowed' : 'other');
}

const issuesSchema = z.looseObject({
  issues: z.array(z.looseObject({ attributeNames: z.array(z.string()).nullish() })),
});

function isAboutPrice(answer: unknown): boolean {
  const issues = issuesSchema.safeParse(answer).data?.issues ?? [];
  return issues.some(({ attributeNames }) => attributeNames?.includes('purchasable_offer'));
}
