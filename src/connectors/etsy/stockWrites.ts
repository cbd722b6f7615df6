/** Writes Etsy quantities: a write changes only the variants it names, because it starts from a record read a moment before. */

import { ChannelError, type Companion, type StockWrite, type StockWriteResult } from '../connector.ts';
import { assertInTime, precedingCall, stockWriteFailure } from '../wire.ts';
import type { EtsyApi } from './auth.ts';
import {
  type Inventory,
  isEnabled,
  isShared,
  liveProducts,
  productsAt,
  type Quantities,
  recordedQuantity,
  shownQuantity,
  variantIdOf,
  wouldBeAllZero,
} from './inventory.ts';
import { byListing, type Slot as WriteSlot } from './listingTurns.ts';
import { bringAbout, type Outcome } from './listingWrites.ts';
import { isListingId, type Listing, readListing } from './stock.ts';

/** Etsy shows at most 999 of an offering. */
export const quantityMax = 999;
const conflictMs = 2_000;

type Slot = WriteSlot<StockWrite>;

export function setStock(api: EtsyApi, writes: readonly StockWrite[]): Promise<readonly StockWriteResult[]> {
  return byListing<StockWrite, StockWriteResult>(writes, (listingId, group, results) =>
    writeListing(api, listingId, group, results),
  );
}

/** Answers every slot of one listing in `results`; throws only for programmer errors. */
async function writeListing(
  api: EtsyApi,
  listingId: string,
  group: readonly Slot[],
  results: StockWriteResult[],
): Promise<void> {
  let companions: readonly Companion[] = [];
  try {
    assertInTime(api.turn, api.now());
    const listing = isListingId(listingId) ? await precedingCall(readListing(api, listingId)) : null;
    const readAt = api.now();
    const refused = refusalsOf(listing, group);
    const open = group.filter(({ index }, position) => {
      const answer = refused[position] ?? null;
      if (answer !== null) results[index] = answer;
      return answer === null;
    });
    if (listing === null || open.length === 0) return;
    const wanted = open.map((slot) => slot.write);
    companions = companionsOf(listingId, listing, wanted, readAt);
    const outcome = await bringAbout(api, listingId, listing, wantedQuantities(listing, wanted));
    for (const { write, index } of open) {
      const result = resultOf(outcome, write);
      results[index] = outcome.written ? along(result, companions) : result;
    }
  } catch (error) {
    const failure = along(failureOf(error), companions);
    for (const { index } of group) results[index] ??= failure;
  }
}

/** Every variant that the write does not name and that buyers see now or afterwards. */
function companionsOf(
  listingId: string,
  listing: Listing,
  writes: readonly StockWrite[],
  readAt: number,
): readonly Companion[] {
  const quantities = wantedQuantities(listing, writes);
  // Then the listing is taken down, or left alone.
  if (wouldBeAllZero(listing.inventory, quantities)) return [];
  return writtenAlong(listingId, listing, {
    quantities,
    named: namedProducts(listing.inventory, writes),
    readAt,
  });
}

/** What a write of these quantities does to the variants that it does not name. */
export function writtenAlong(
  unitId: string,
  { inventory, state }: Listing,
  {
    quantities,
    named,
    readAt,
  }: {
    readonly quantities: Quantities;
    readonly named: ReadonlySet<number>;
    readonly readAt: number;
  },
): readonly Companion[] {
  const byVariant = new Map<string, Companion>();
  for (const product of liveProducts(inventory)) {
    if (named.has(product.product_id) || !isEnabled([product])) continue;
    const variantId = variantIdOf(inventory, product);
    const reading = shownQuantity(inventory, state, variantId);
    byVariant.set(variantId, {
      address: { unitId, variantId },
      quantity: quantities.get(product.product_id) ?? 0,
      shown: reading.kind === 'quantity' ? reading.quantity : null,
      readAt,
    });
  }
  return [...byVariant.values()];
}

function along(result: StockWriteResult, companions: readonly Companion[]): StockWriteResult {
  if (companions.length === 0) return result;
  return result.kind === 'effective' || result.kind === 'unknown' ? { ...result, companions } : result;
}

function namedProducts(inventory: Inventory, writes: readonly StockWrite[]): ReadonlySet<number> {
  const products = writes.flatMap(({ address }) => productsAt(inventory, address.variantId));
  return new Set(products.map((product) => product.product_id));
}

/** In the order of the group, what can be said before anything is sent; null where the write may go on. */
function refusalsOf(listing: Listing | null, group: readonly Slot[]): readonly (StockWriteResult | null)[] {
  if (listing === null) return group.map(() => rejected('not_found', 'Etsy does not know this listing'));
  const refused = group.map(({ write }) => refuse(listing, write) ?? refuseSurprise(listing, write));
  if (!isShared(listing.inventory) || refused.every((answer) => answer?.kind !== 'stale')) return refused;
  // One number for all: without the one that is decided again the others could not be raised, and would be given up.
  return group.map(({ write }, index) => refused[index] ?? staleRaise(listing, write));
}

function refuse(listing: Listing, write: StockWrite): StockWriteResult | null {
  const { quantity, address } = write;
  const products = productsAt(listing.inventory, address.variantId);
  if (products.length === 0) return rejected('unknown_variant', 'The listing has no variant with this SKU');
  if (quantity > quantityMax) return rejected('quantity_too_high', `Etsy shows at most ${quantityMax}`);
  if (quantity === 0) return null;
  if (products.length > 1 && !isShared(listing.inventory)) {
    return rejected('duplicate_sku', 'Several variants of the listing carry this SKU');
  }
  if (!isEnabled(products)) return rejected('variant_disabled', 'The variant is switched off on Etsy');
  if (listing.state !== 'active' && listing.state !== 'inactive' && listing.state !== 'sold_out') {
    return rejected(
      'listing_not_published',
      `The listing is ${listing.state ?? 'in an unknown state'} on Etsy`,
    );
  }
  return null;
}

/** Not an atomic comparison, but the read is a moment old: overwriting a sale it shows would sell that unit twice. A lowering write goes on. */
function refuseSurprise(listing: Listing, write: StockWrite): StockWriteResult | null {
  const stale = staleRaise(listing, write);
  const { believed } = write;
  if (stale === null || believed === undefined) return null;
  return stale.actual < believed.least || stale.actual > believed.most ? stale : null;
}

/** What a raise is answered that is not to be written over the number just read; null when that number is no lower. */
function staleRaise({ inventory, state }: Listing, { address, quantity }: StockWrite) {
  const reading = shownQuantity(inventory, state, address.variantId);
  if (reading.kind !== 'quantity' || reading.quantity >= quantity) return null;
  return { kind: 'stale', actual: reading.quantity, read: true } as const;
}

/**
 * The quantities of the whole record. Variants not named keep what buyers see now: the number in the record while the listing is active, none
 * while it is not, since what the record of an inactive listing holds is only what was there before it was taken down. Never more than is known of
 * them: Etsy may answer a record from before a sale.
 */
export function wantedQuantities(
  { inventory, state }: Listing,
  writes: readonly StockWrite[],
  others = writes.flatMap((write) => write.others ?? []),
): Quantities {
  const quantities = new Map<number, number>();
  for (const product of liveProducts(inventory)) {
    quantities.set(product.product_id, state === 'active' ? (recordedQuantity(product) ?? 0) : 0);
  }
  const current = Math.max(0, ...quantities.values());
  for (const { address, quantity } of others) {
    for (const { product_id: id } of productsAt(inventory, address.variantId))
      quantities.set(id, Math.min(quantities.get(id) ?? 0, quantity));
  }
  for (const { address, quantity } of writes) {
    for (const product of productsAt(inventory, address.variantId))
      quantities.set(product.product_id, quantity);
  }
  if (!isShared(inventory)) return quantities;
  const named = namedProducts(inventory, writes);
  const all = liveProducts(inventory).every((product) => named.has(product.product_id));
  // One number for all: never more than any variant asked for or may show, nor a raise that some variant was not asked about.
  const most = [...writes, ...others].map(({ quantity }) => quantity);
  const shared = Math.min(...most, all ? quantityMax : current);
  return new Map([...quantities.keys()].map((productId) => [productId, shared]));
}

function resultOf({ listing, written }: Outcome, { address, quantity }: StockWrite): StockWriteResult {
  const reading = shownQuantity(listing.inventory, listing.state, address.variantId);
  if (reading.kind !== 'quantity') {
    return { kind: 'unknown', reason: reading.kind === 'unknown' ? reading.reason : 'not tracked' };
  }
  // Etsy's one number for all variants stayed below this wish: nothing was done, and a retry would change nothing.
  if (!written && reading.quantity !== quantity) {
    return rejected('shared_quantity', `Etsy shows one quantity for all variants: ${reading.quantity}`);
  }
  // What was read may be from before a sale, and nothing was written since.
  if (!written) return { kind: 'stale', actual: reading.quantity, read: true };
  return { kind: 'effective', quantity: reading.quantity };
}

function rejected(code: string, message: string, raw: unknown = null): StockWriteResult {
  return { kind: 'rejected', code, message, raw };
}

export function failureOf(error: unknown): StockWriteResult {
  // Another change of the same listing at the same moment: nothing was written.
  if (error instanceof ChannelError && error.status === 409 && !error.maybeApplied) {
    return { kind: 'deferred', reason: error.message, retryAfterMs: conflictMs };
  }
  return stockWriteFailure(error);
}
