/** Reads and sets the list price of a SKU in one marketplace. A write is only accepted by Amazon, and only a later reading proves it. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { ListingAddress, PriceReading, PriceWrite, PriceWriteResult, Turn } from '../connector.ts';
import { decimalFromMoney } from '../money.ts';
import {
  assertInTime,
  precedingCall,
  priceResultOf,
  priceWriteFailure,
  refusedPrice,
  wrongCurrency,
} from '../wire.ts';
import type { AmazonApi } from './api.ts';
import type { AmazonSettings } from './auth.ts';
import type { AmazonFeeds } from './feeds.ts';
import {
  type AmazonListing,
  everybody,
  factsOf,
  findListings,
  listingPath,
  listPrice,
  pricedData,
  skusPerCall,
} from './listings.ts';
import { resultOf } from './stock.ts';

const readsInFlight = 4;
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

/** Up to so many go one by one: a call says at once what was refused, and its price shows sooner (Amazon's rule of thumb for feeds). */
export const patchedMax = 50;
/** What can be read within the usual turn: twenty SKUs a call, five calls a second. */
export const pricesPerFeed = 400;
/** Of its turn, for reading: the rest is for sending what was read. */
const readingShare = 0.7;

/** A listing that may get its price, and the change that gives it. */
type Ready = {
  readonly kind: 'ready';
  readonly sku: string;
  readonly change: { readonly productType: string; readonly patches: readonly unknown[] };
};

export async function setAmazonPrices(
  api: AmazonApi,
  feeds: AmazonFeeds,
  writes: readonly PriceWrite[],
  turn: Turn,
): Promise<PriceWriteResult[]> {
  const now = api.now();
  const { leaveBy } = turn;
  const reading = leaveBy === undefined ? turn : { ...turn, leaveBy: now + (leaveBy - now) * readingShare };
  // What cannot be read in time comes again; what could be is sent all the same.
  const pages = await mapBounded(chunks(writes, skusPerCall), readsInFlight, (some) =>
    judgeSome(api.inTurn(reading), some, reading),
  );
  const judged = pages.flat();
  const ready = judged.filter((one) => one.kind === 'ready');
  const answers =
    ready.length > patchedMax && feeds.mayBeSent()
      ? await sendTogether(api, feeds, ready, turn)
      : await patchAll(api, ready, turn);
  const results = new Map(ready.map((one, index) => [one, answers[index]]));
  return judged.map((one) =>
    one.kind === 'ready' ? (results.get(one) ?? { kind: 'unknown', reason: 'the price has no result' }) : one,
  );
}

async function judgeSome(
  api: AmazonApi,
  writes: readonly PriceWrite[],
  turn: Turn,
): Promise<(Ready | PriceWriteResult)[]> {
  try {
    assertInTime(turn, api.now());
    const skus = writes.map(({ address }) => address.unitId);
    const listings = await precedingCall(findListings(api, skus, pricedData));
    return writes.map((write) => judge(api.settings, write, listings.get(write.address.unitId)));
  } catch (error) {
    return writes.map(() => priceWriteFailure(error));
  }
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

/** As a feed; one by one, as many as the turn allows, when there certainly is none. */
async function sendTogether(
  api: AmazonApi,
  feeds: AmazonFeeds,
  ready: readonly Ready[],
  turn: Turn,
): Promise<PriceWriteResult[]> {
  try {
    const messages = ready.map(({ sku, change }) => ({ sku, ...change }));
    const references = await feeds.submit(api, messages, turn);
    return references.map((reference) => ({ kind: 'accepted', reference, queued: true }));
  } catch (error) {
    const failure = priceWriteFailure(error);
    return failure.kind === 'unknown' ? ready.map(() => failure) : patchAll(api, ready, turn);
  }
}

function patchAll(api: AmazonApi, ready: readonly Ready[], turn: Turn): Promise<PriceWriteResult[]> {
  return mapBounded(ready, writesInFlight, async (one) => {
    try {
      assertInTime(turn, api.now());
      return await patch(api, one);
    } catch (error) {
      return priceWriteFailure(error);
    }
  });
}

async function patch(api: AmazonApi, { sku, change }: Ready): Promise<PriceWriteResult> {
  const response = await api.send({
    operation: 'patchListingsItem',
    method: 'PATCH',
    path: listingPath(api, sku),
    query: { marketplaceIds: api.settings.marketplaceId },
    json: change,
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
