/** Reads and sets Etsy prices. A price travels with the whole listing, so every quantity in it is put back as it is, or as it is known to be lower. */

import {
  ChannelError,
  type Companion,
  type ListingAddress,
  type Money,
  type PriceReading,
  type PriceWrite,
  type PriceWriteResult,
} from '../connector.ts';
import {
  assertInTime,
  jsonOrNull,
  precedingCall,
  priceResultOf,
  refusedPrice,
  wrongCurrency,
} from '../wire.ts';
import { assertDayLeft, type EtsyApi } from './auth.ts';
import {
  type Inventory,
  liveProducts,
  productsAt,
  type Quantities,
  recordedPrice,
  recordedQuantity,
  samePriced,
  wouldBeAllZero,
} from './inventory.ts';
import { byListing, type Slot as WriteSlot } from './listingTurns.ts';
import { putInventory } from './listingWrites.ts';
import { isListingId, type Listing, readListing, readListings } from './stock.ts';
import { failureOf, wantedQuantities, writtenAlong } from './stockWrites.ts';

/** How long until a listing may have units again, without which Etsy takes no record of it. */
const soldOutMs = 600_000;

/** One reading per address, in the order asked. Throws `ChannelError`. */
export async function readPrices(
  api: EtsyApi,
  addresses: readonly ListingAddress[],
): Promise<readonly PriceReading[]> {
  if (api.turn.urgency === 'import') assertDayLeft(api);
  const listings = await readListings(api, addresses);
  return addresses.map(({ unitId, variantId }) => {
    const inventory = listings.get(unitId)?.inventory;
    const price = inventory === undefined ? null : priceAt(inventory, variantId);
    return price === null
      ? { kind: 'unknown', reason: `Etsy does not answer a price for "${variantId}" of listing "${unitId}"` }
      : { kind: 'price', price };
  });
}

function priceAt(inventory: Inventory, variantId: string): Money | null {
  const [product] = productsAt(inventory, variantId);
  return product === undefined ? null : recordedPrice(product);
}

type Slot = WriteSlot<PriceWrite>;

export function setPrices(api: EtsyApi, writes: readonly PriceWrite[]): Promise<readonly PriceWriteResult[]> {
  return byListing<PriceWrite, PriceWriteResult>(writes, (listingId, group, results) =>
    writeListing(api, listingId, group, results),
  );
}

async function writeListing(
  api: EtsyApi,
  listingId: string,
  group: readonly Slot[],
  results: PriceWriteResult[],
): Promise<void> {
  let companions: readonly Companion[] = [];
  try {
    assertInTime(api.turn, api.now());
    const listing = isListingId(listingId) ? await precedingCall(readListing(api, listingId)) : null;
    const readAt = api.now();
    const open = allowed(listing, group, results);
    if (listing === null || open.length === 0) return;
    const { inventory, state } = listing;
    const quantities = keptQuantities(listing, open);
    if (wouldBeAllZero(inventory, quantities)) {
      const reason = 'Etsy takes no price for a listing without a unit';
      for (const { index } of open) results[index] = { kind: 'deferred', reason, retryAfterMs: soldOutMs };
      return;
    }
    if (state === 'active')
      companions = writtenAlong(listingId, listing, { quantities, named: new Set(), readAt });
    const stored = await putInventory(api, listingId, inventory, quantities, pricesOf(inventory, open));
    for (const { write, index } of open) results[index] = resultOf(stored, write, companions);
  } catch (error) {
    const failure = failed(error, companions);
    for (const { index } of group) results[index] ??= failure;
  }
}

/** The slots that may go on; the others are answered in `results`. */
function allowed(
  listing: Listing | null,
  group: readonly Slot[],
  results: PriceWriteResult[],
): readonly Slot[] {
  const open = group.filter(({ write, index }) => {
    const refusal =
      listing === null
        ? refusedPrice('other', 'not_found', 'Etsy does not know this listing')
        : refuse(listing.inventory, write);
    if (refusal !== null) results[index] = refusal;
    return refusal === null;
  });
  return listing === null ? open : withWholeGroups(listing.inventory, open, results);
}

function refuse(inventory: Inventory, { address, price }: PriceWrite): PriceWriteResult | null {
  const listed = priceAt(inventory, address.variantId);
  if (listed === null)
    return refusedPrice('other', 'unknown_variant', 'The listing has no variant with this SKU');
  return listed.currency === price.currency ? null : wrongCurrency(price, listed.currency);
}

/** Variants that share one price get it together, or not at all: nobody has said what the others should cost. */
function withWholeGroups(
  inventory: Inventory,
  open: readonly Slot[],
  results: PriceWriteResult[],
): readonly Slot[] {
  const wanted = pricesOf(inventory, open);
  const torn = new Set(
    samePriced(inventory)
      .filter((group) => {
        const prices = group.map((product) => wanted.get(product.product_id) ?? recordedPrice(product));
        return new Set(prices.map((price) => price?.minor)).size > 1;
      })
      .flatMap((group) => group.map((product) => product.product_id)),
  );
  return open.filter(({ write, index }) => {
    const products = productsAt(inventory, write.address.variantId);
    if (!products.some((product) => torn.has(product.product_id))) return true;
    const message = 'Etsy shows one price for several variants of this listing: set the same for all of them';
    results[index] = refusedPrice('shared_price', 'shared_price', message);
    return false;
  });
}

function pricesOf(inventory: Inventory, open: readonly Slot[]): ReadonlyMap<number, Money> {
  return new Map(
    open.flatMap(({ write: { address, price } }) =>
      productsAt(inventory, address.variantId).map((product) => [product.product_id, price] as const),
    ),
  );
}

/** What an inactive listing's record holds is seen by nobody, and stays as it is. */
function keptQuantities(listing: Listing, open: readonly Slot[]): Quantities {
  if (listing.state === 'active')
    return wantedQuantities(
      listing,
      [],
      open.flatMap(({ write }) => write.others ?? []),
    );
  const products = liveProducts(listing.inventory);
  return new Map(products.map((product) => [product.product_id, recordedQuantity(product) ?? 0]));
}

function resultOf(
  stored: Inventory,
  { address, price }: PriceWrite,
  companions: readonly Companion[],
): PriceWriteResult {
  return priceAt(stored, address.variantId)?.minor === price.minor
    ? { kind: 'effective', companions }
    : { kind: 'unknown', reason: 'Etsy did not answer with the price that was set', companions };
}

function failed(error: unknown, companions: readonly Companion[]): PriceWriteResult {
  if (error instanceof ChannelError && error.status === 400 && !error.maybeApplied) {
    const message = errorText(error);
    return refusedPrice(/price/i.test(message) ? 'price_not_allowed' : 'other', 'rejected', message);
  }
  const result = priceResultOf(failureOf(error));
  return result.kind === 'unknown' ? { ...result, companions } : result;
}

function errorText({ raw, message }: ChannelError): string {
  const body = typeof raw === 'string' ? jsonOrNull(raw) : raw;
  const said = typeof body === 'object' && body !== null && 'error' in body ? body.error : null;
  return typeof said === 'string' ? said : message;
}
