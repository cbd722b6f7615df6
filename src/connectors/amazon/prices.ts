/** Reads and sets the list price of a SKU in one marketplace. A write is only accepted by Amazon, and only a later reading proves it. */

import { z } from 'zod';
import { mapBounded } from '../concurrency.ts';
import type { ListingAddress, PriceReading, PriceWrite, PriceWriteResult } from '../connector.ts';
import { decimalFromMoney } from '../money.ts';
import { precedingCall, priceResultOf, priceWriteFailure, refusedPrice, wrongCurrency } from '../wire.ts';
import type { AmazonApi } from './api.ts';
import {
  type AmazonListing,
  everybody,
  factsOf,
  findListings,
  listingPath,
  listPrice,
  pricedData,
} from './listings.ts';
import { resultOf } from './stock.ts';

const writesInFlight = 5;

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

export async function setAmazonPrices(
  api: AmazonApi,
  writes: readonly PriceWrite[],
): Promise<PriceWriteResult[]> {
  let listings: ReadonlyMap<string, AmazonListing>;
  try {
    listings = await precedingCall(
      findListings(
        api,
        writes.map(({ address }) => address.unitId),
        pricedData,
      ),
    );
  } catch (error) {
    return writes.map(() => priceWriteFailure(error));
  }
  return mapBounded(writes, writesInFlight, async (write) => {
    try {
      return await setOne(api, write, listings.get(write.address.unitId));
    } catch (error) {
      return priceWriteFailure(error);
    }
  });
}

async function setOne(
  api: AmazonApi,
  { address, price }: PriceWrite,
  listing: AmazonListing | undefined,
): Promise<PriceWriteResult> {
  const { marketplaceId } = api.settings;
  if (listing === undefined) return refusedPrice('other', 'not_found', 'Amazon does not know this SKU');
  const listed = listPrice(listing, marketplaceId);
  if (listed === null) return refusedPrice('other', 'no_offer', 'The SKU has no offer in this marketplace');
  if (listed.currency !== price.currency) return wrongCurrency(price, listed.currency);
  const response = await api.send({
    operation: 'patchListingsItem',
    method: 'PATCH',
    path: listingPath(api, address.unitId),
    query: { marketplaceIds: marketplaceId },
    json: {
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
    },
    // A second copy could land after a price that somebody has set since.
    retry: 'never',
  });
  const result = resultOf(response);
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
