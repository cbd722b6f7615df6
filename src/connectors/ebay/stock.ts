/** Reads and writes eBay quantities: item and offers always carry the same number, and each entry of a bulk answer is judged by itself. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { ListingAddress, StockReading, StockWrite, StockWriteResult } from '../connector.ts';
import { assertInTime, parseBody, precedingCall, stockWriteFailure } from '../wire.ts';
import type { EbayApi } from './auth.ts';
import { type BulkEntry, bulkAnswerSchema, bulkOperation, bulkUpdate } from './bulkUpdate.ts';
import { errorsIn, refusedWrite } from './errors.ts';
import {
  type Distribution,
  type InventoryItem,
  inventoryItems,
  isLive,
  type Offer,
  offerLookupsAtOnce,
  offersOf,
  type Unit,
  type UnitAnswer,
  type Units,
} from './offers.ts';

const unreadableMs = 60_000;

// ----------------------------------------------------------------------------------------------------------------- reads

/** One reading per address, in the order asked. Throws `ChannelError`. */
export async function readStock(
  api: EbayApi,
  addresses: readonly ListingAddress[],
): Promise<readonly StockReading[]> {
  const skus = [...new Set(addresses.map((address) => address.unitId))];
  const items = await inventoryItems(api, skus);
  const known = skus.filter((sku) => 'item' in (items.get(sku) ?? {}));
  const offers = new Map(
    await mapBounded(known, offerLookupsAtOnce, async (sku) => [sku, await offersOf(api, sku)] as const),
  );
  return addresses.map(({ unitId }): StockReading => {
    const answer = items.get(unitId);
    if (answer === undefined) return { kind: 'unknown', reason: 'eBay did not answer for this SKU' };
    if ('item' in answer) return shownQuantity(answer.item, offers.get(unitId) ?? []);
    return { kind: 'unknown', reason: answer.errors[0]?.text ?? `HTTP ${answer.status}` };
  });
}

/**
 * What buyers can buy: the smaller of the item's quantity and the offer's (eBay, "bulk-updates"), 0 without a live offer. Of several live
 * offers the largest number counts.
 */
export function shownQuantity(item: InventoryItem, offers: readonly Offer[]): StockReading {
  const live = offers.filter(isLive);
  if (live.length === 0) return { kind: 'quantity', quantity: 0 };
  const total = item.availability?.shipToLocationAvailability?.quantity;
  if (total === undefined) return { kind: 'unknown', reason: 'the item carries no ship-to-home quantity' };
  const quantity = Math.max(...live.map((offer) => Math.min(total, offer.availableQuantity ?? total)));
  return { kind: 'quantity', quantity };
}

// ---------------------------------------------------------------------------------------------------------------- writes

type Slot = { readonly write: StockWrite; readonly index: number };
type Sendable = Slot & { readonly unit: Unit; readonly entry: UpdateEntry };

/** One entry of `bulk_update_price_quantity`. */
type UpdateEntry = {
  readonly sku: string;
  readonly shipToLocationAvailability: {
    readonly quantity: number;
    readonly availabilityDistributions?: readonly Distribution[];
  };
  readonly offers?: readonly { readonly offerId: string; readonly availableQuantity: number }[];
};

/** One result per write, in the order given. */
export async function setStock(
  api: EbayApi,
  units: Units,
  writes: readonly StockWrite[],
): Promise<readonly StockWriteResult[]> {
  const results: StockWriteResult[] = Array.from({ length: writes.length });
  const slots = writes.map((write, index) => ({ write, index }));
  for (const some of chunks(slots, api.settings.skusPerUpdate)) {
    const sendable = await prepared(api, units, some, results);
    if (sendable.length > 0) await update(api, units, sendable, results);
  }
  return results;
}

/** The slots that can be sent; the others are answered in `results`. */
async function prepared(
  api: EbayApi,
  units: Units,
  slots: readonly Slot[],
  results: StockWriteResult[],
): Promise<readonly Sendable[]> {
  let found: ReadonlyMap<string, UnitAnswer>;
  try {
    found = await precedingCall(
      units.find(
        api,
        slots.map((slot) => slot.write.address.unitId),
      ),
    );
  } catch (error) {
    const failure = stockWriteFailure(error);
    for (const { index } of slots) results[index] = failure;
    return [];
  }
  return slots.flatMap((slot) => {
    const answer = found.get(slot.write.address.unitId) ?? { status: 404, errors: [] };
    const entry = 'status' in answer ? unreadable(answer) : entryOf(api, slot.write, answer);
    if ('kind' in entry) {
      results[slot.index] = entry;
      return [];
    }
    return 'status' in answer ? [] : [{ ...slot, unit: answer, entry }];
  });
}

function unreadable(answer: Extract<UnitAnswer, { readonly status: number }>): StockWriteResult {
  const refused = refusedWrite(answer.status, answer.errors, answer.errors);
  // Only a read has failed: whatever it was, nothing has been written.
  return refused.kind === 'unknown'
    ? { kind: 'deferred', reason: refused.reason, retryAfterMs: unreadableMs }
    : refused;
}

/** The entry for one write, or why there is none. */
function entryOf(api: EbayApi, write: StockWrite, unit: Unit): UpdateEntry | StockWriteResult {
  const { quantity, address } = write;
  if (unit.liveOfferIds.length === 0 && quantity > 0) {
    return rejected('no_live_offer', 'The SKU has no published fixed-price offer; publish it on eBay first');
  }
  const distributions = distributed(unit.distributions, quantity, api.settings.merchantLocationKey);
  if (distributions === null) {
    return rejected(
      'several_warehouses',
      'The item is kept in several warehouses: set merchantLocationKey to one of them',
    );
  }
  return {
    sku: address.unitId,
    shipToLocationAvailability: {
      quantity,
      ...(distributions.length === 0 ? {} : { availabilityDistributions: distributions }),
    },
    ...(unit.liveOfferIds.length === 0
      ? {}
      : { offers: unit.liveOfferIds.map((offerId) => ({ offerId, availableQuantity: quantity })) }),
  };
}

/** Warehouses left out of a write are lost. The whole quantity goes to one of them; null when nobody has said to which. */
function distributed(
  distributions: readonly Distribution[],
  quantity: number,
  preferred: string | undefined,
): readonly Distribution[] | null {
  const [only] = distributions;
  const location = distributions.length === 1 ? only?.merchantLocationKey : preferred;
  if (distributions.length > 0 && quantity > 0) {
    if (!distributions.some((each) => each.merchantLocationKey === location)) return null;
  }
  return distributions.map((each) => ({
    ...each,
    quantity: each.merchantLocationKey === location ? quantity : 0,
  }));
}

async function update(
  api: EbayApi,
  units: Units,
  slots: readonly Sendable[],
  results: StockWriteResult[],
): Promise<void> {
  try {
    const response = await bulkUpdate(
      api,
      slots.map((slot) => slot.entry),
    );
    if (response.status === 400 && slots.length > 1) {
      // Refused as a whole, so nothing was done: one bad SKU must not hold up the others.
      for (const slot of slots) await updateAlone(api, units, slot, results);
      return;
    }
    const body = parseBody(z.unknown(), response, bulkOperation);
    if (response.status === 400) {
      for (const { index } of slots) results[index] = refusedWrite(400, errorsIn(body), body);
    } else {
      const { responses } = parseBody(bulkAnswerSchema, response, bulkOperation);
      for (const slot of slots) results[slot.index] = resultOf(slot, responses);
    }
  } catch (error) {
    const failure = stockWriteFailure(error);
    for (const { index } of slots) results[index] ??= failure;
  }
  for (const { write, index } of slots) {
    if (results[index]?.kind !== 'effective') units.forget(write.address.unitId);
  }
}

async function updateAlone(
  api: EbayApi,
  units: Units,
  slot: Sendable,
  results: StockWriteResult[],
): Promise<void> {
  try {
    assertInTime(api.turn, api.now());
  } catch (error) {
    results[slot.index] = stockWriteFailure(error);
    return;
  }
  await update(api, units, [slot], results);
}

/** One entry per offer, and one for the item alone. Any success beside a failure leaves open which number is shown. */
function resultOf({ write, unit }: Sendable, responses: readonly BulkEntry[]): StockWriteResult {
  const own = responses.filter((entry) =>
    entry.offerId ? unit.liveOfferIds.includes(entry.offerId) : entry.sku === write.address.unitId,
  );
  const failed = own.filter((entry) => entry.statusCode >= 300);
  const [first] = failed;
  const answered = new Set(own.map((entry) => entry.offerId ?? null));
  if (
    !answered.has(null) &&
    (own.length === 0 || unit.liveOfferIds.some((offerId) => !answered.has(offerId)))
  ) {
    return { kind: 'unknown', reason: 'eBay did not answer for every offer of this SKU' };
  }
  if (first === undefined) return { kind: 'effective', quantity: write.quantity };
  const errors = failed.flatMap((entry) => errorsIn(entry));
  if (failed.length < own.length) {
    const texts = errors.map((error) => error.text).join('; ');
    return { kind: 'unknown', reason: `some offers of the SKU were changed, others not: ${texts}` };
  }
  return refusedWrite(first.statusCode, errors, failed);
}

function rejected(code: string, message: string): StockWriteResult {
  return { kind: 'rejected', code, message, raw: null };
}
