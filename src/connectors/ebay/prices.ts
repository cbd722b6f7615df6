/** Reads and sets the prices of live eBay offers. Only the price is named: an offer keeps its quantity, and so does the item. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { ListingAddress, Money, PriceReading, PriceWrite, PriceWriteResult } from '../connector.ts';
import { decimalFromMoney } from '../money.ts';
import {
  assertInTime,
  moneyOrNull,
  parseBody,
  precedingCall,
  priceResultOf,
  priceWriteFailure,
  refusedPrice,
  wrongCurrency,
} from '../wire.ts';
import type { EbayApi } from './auth.ts';
import { type BulkEntry, bulkAnswerSchema, bulkOperation, bulkUpdate } from './bulkUpdate.ts';
import { type EbayError, errorsIn, refusedWrite } from './errors.ts';
import { isLive, type Offer, offerLookupsAtOnce, offersOf, shownOffer } from './offers.ts';

type Offers = ReadonlyMap<string, readonly Offer[]>;

async function offersBySku(api: EbayApi, addresses: readonly ListingAddress[]): Promise<Offers> {
  const skus = [...new Set(addresses.map(({ unitId }) => unitId))];
  const found = await mapBounded(
    skus,
    offerLookupsAtOnce,
    async (sku) => [sku, await offersOf(api, sku)] as const,
  );
  return new Map(found);
}

function priceOf(offer: Offer | undefined): Money | null {
  const price = offer?.pricingSummary?.price;
  return moneyOrNull(price?.value, price?.currency);
}

/** One reading per address, in the order asked. Throws `ChannelError`. */
export async function readPrices(
  api: EbayApi,
  addresses: readonly ListingAddress[],
): Promise<readonly PriceReading[]> {
  const offers = await offersBySku(api, addresses);
  return addresses.map(({ unitId }) => {
    const price = priceOf(shownOffer(offers.get(unitId) ?? []));
    return price === null
      ? { kind: 'unknown', reason: 'eBay knows no offer with a price for this SKU' }
      : { kind: 'price', price };
  });
}

type Slot = { readonly write: PriceWrite; readonly index: number; readonly offerIds: readonly string[] };

/** One result per write, in the order given. */
export async function setPrices(
  api: EbayApi,
  writes: readonly PriceWrite[],
): Promise<readonly PriceWriteResult[]> {
  const results: PriceWriteResult[] = Array.from({ length: writes.length });
  let offers: Offers;
  try {
    offers = await precedingCall(
      offersBySku(
        api,
        writes.map(({ address }) => address),
      ),
    );
  } catch (error) {
    return writes.map(() => priceWriteFailure(error));
  }
  const slots = writes.flatMap((write, index): readonly Slot[] => {
    const live = (offers.get(write.address.unitId) ?? []).filter(isLive);
    const offerIds = live
      .filter((offer) => priceOf(offer)?.currency === write.price.currency)
      .map(({ offerId }) => offerId);
    if (offerIds.length > 0) return [{ write, index, offerIds }];
    const listed = priceOf(live[0])?.currency;
    results[index] =
      listed === undefined
        ? refusedPrice('other', 'no_live_offer', 'The SKU has no published fixed-price offer with a price')
        : wrongCurrency(write.price, listed);
    return [];
  });
  for (const some of chunks(slots, api.settings.skusPerUpdate)) await update(api, some, results);
  return results;
}

async function update(api: EbayApi, slots: readonly Slot[], results: PriceWriteResult[]): Promise<void> {
  try {
    assertInTime(api.turn, api.now());
    const response = await bulkUpdate(api, slots.map(entryOf));
    if (response.status === 400 && slots.length > 1) {
      // Refused as a whole, so nothing was done: one bad SKU must not hold up the others.
      for (const slot of slots) await update(api, [slot], results);
      return;
    }
    const body = parseBody(z.unknown(), response, bulkOperation);
    if (response.status === 400) {
      for (const { index } of slots) results[index] = refused(400, errorsIn(body));
      return;
    }
    const { responses } = parseBody(bulkAnswerSchema, response, bulkOperation);
    for (const slot of slots) results[slot.index] = resultOf(slot, responses);
  } catch (error) {
    const failure = priceWriteFailure(error);
    for (const { index } of slots) results[index] ??= failure;
  }
}

function entryOf({ write, offerIds }: Slot): Record<string, unknown> {
  const price = { value: decimalFromMoney(write.price), currency: write.price.currency };
  return { offers: offerIds.map((offerId) => ({ offerId, price })) };
}

/** Setting a price once more changes nothing, so an offer that was refused decides for all of them. */
function resultOf({ offerIds }: Slot, responses: readonly BulkEntry[]): PriceWriteResult {
  const own = responses.filter(({ offerId }) => offerId && offerIds.includes(offerId));
  const failed = own.filter(({ statusCode }) => statusCode >= 300);
  const [first] = failed;
  if (first !== undefined) return refused(first.statusCode, failed.flatMap(errorsIn));
  return offerIds.every((id) => own.some(({ offerId }) => offerId === id))
    ? { kind: 'effective' }
    : { kind: 'unknown', reason: 'eBay did not answer for every offer of this SKU' };
}

/** eBay, Inventory API: the listing or offer has an invalid price. */
const invalidPrice = 25_003;

function refused(status: number, errors: readonly EbayError[]): PriceWriteResult {
  const refusal = errors.some(({ id }) => id === invalidPrice) ? 'price_not_allowed' : 'other';
  return priceResultOf(refusedWrite(status, errors, errors), refusal);
}
