/** Brings one listing's record to wanted numbers: all its numbers are written together, and taking down, putting up and renewing are operations of their own. */

import { ChannelError } from '../connector.ts';
import { parseBody } from '../wire.ts';
import type { EtsyApi } from './auth.ts';
import {
  changesNothing,
  hasThreeVariations,
  type Inventory,
  inventorySchema,
  inventoryUpdate,
  liveProducts,
  type Prices,
  type Quantities,
  recordedQuantity,
  wouldBeAllZero,
} from './inventory.ts';
import { type Listing, readListing, stateSchema } from './stock.ts';

/** The listing as Etsy answered it after the write; `written` false when there was nothing to send. */
export type Outcome = { readonly listing: Listing; readonly written: boolean };

export async function bringAbout(
  api: EtsyApi,
  listingId: string,
  listing: Listing,
  quantities: Quantities,
): Promise<Outcome> {
  const { inventory, state } = listing;
  if (wouldBeAllZero(inventory, quantities)) {
    if (state !== 'active') return { listing, written: false };
    const takenDown = await changeState(api, listingId, 'inactive');
    return { listing: { inventory, state: takenDown }, written: true };
  }
  if (state === 'active') {
    if (changesNothing(inventory, quantities)) return { listing, written: false };
    const stored = await putInventory(api, listingId, inventory, quantities);
    return {
      listing: { state: await stateSince(api, listingId, listing), inventory: stored },
      written: true,
    };
  }
  // The numbers first: an activated listing sells at once.
  const stored = await putInventory(api, listingId, inventory, quantities);
  if (state === 'sold_out') return renew(api, listingId, { inventory, stored, quantities });
  return {
    listing: { state: await changeState(api, listingId, 'active'), inventory: stored },
    written: true,
  };
}

/** Renewing a sold-out listing makes Etsy set every quantity to 1, so that the numbers are written once more. */
async function renew(
  api: EtsyApi,
  listingId: string,
  {
    inventory,
    stored,
    quantities,
  }: { readonly inventory: Inventory; readonly stored: Inventory; readonly quantities: Quantities },
): Promise<Outcome> {
  // Where that is what was asked for, a second write could only sell a unit twice: the listing is on sale, and somebody may have bought it meanwhile.
  if ([...quantities.values()].every((quantity) => quantity === 1))
    return {
      listing: { state: await changeState(api, listingId, 'active'), inventory: stored },
      written: true,
    };
  let isOnSale = false;
  try {
    const activated = await changeState(api, listingId, 'active');
    isOnSale = true;
    const restored = await putInventory(api, listingId, inventory, quantities);
    return { listing: { state: activated, inventory: restored }, written: true };
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    if (!isOnSale && !error.maybeApplied && error.code !== 'invalid_response') throw error;
    // It sells numbers that nobody has asked for, or may: taken down again, it shows none. That is never too late.
    const atOnce = api.inTurn({ urgency: 'lower' });
    const takenDown = await changeState(atOnce, listingId, 'inactive').catch(() => null);
    // An activation that got no answer may still come.
    if (takenDown !== null && isOnSale) return { listing: { inventory, state: takenDown }, written: true };
    throw perhapsApplied(error);
  }
}

/** So many units and more are not all bought between the reading of a record and the answer to the next call. */
const lastUnits = 5;

/** The last units may have been bought after the record was read: numbers that were written then show nothing until the listing is renewed. */
async function stateSince(
  api: EtsyApi,
  listingId: string,
  { inventory, state }: Listing,
): Promise<string | null> {
  const units = liveProducts(inventory).reduce((sum, product) => sum + (recordedQuantity(product) ?? 0), 0);
  if (units >= lastUnits) return state;
  try {
    // What was written is in force: this look is never too late.
    return (await readListing(api.inTurn({ urgency: 'raise' }), listingId))?.state ?? null;
  } catch (error) {
    throw error instanceof ChannelError ? perhapsApplied(error) : error;
  }
}

function perhapsApplied(error: ChannelError): ChannelError {
  const { code, message, status, raw } = error;
  return new ChannelError(code, message, { maybeApplied: true, status, raw, cause: error });
}

export async function putInventory(
  api: EtsyApi,
  listingId: string,
  inventory: Inventory,
  quantities: Quantities,
  prices?: Prices,
): Promise<Inventory> {
  const operation = 'etsy.updateListingInventory';
  const query = hasThreeVariations(inventory) ? '?max_variations_supported=3' : '';
  const response = await api.call({
    method: 'PUT',
    path: `/v3/application/listings/${listingId}/inventory${query}`,
    operation,
    // A second copy would put back the numbers of variants that may have sold since the first.
    retry: 'never',
    json: inventoryUpdate(inventory, quantities, prices),
  });
  return parseBody(inventorySchema, response, operation);
}

async function changeState(api: EtsyApi, listingId: string, state: 'active' | 'inactive'): Promise<string> {
  const operation = 'etsy.updateListing';
  const response = await api.call({
    method: 'PATCH',
    path: `/v3/application/shops/${api.settings.shopId}/listings/${listingId}`,
    operation,
    // Taking a listing down twice sells nothing; putting it up twice may undo somebody's decision.
    retry: state === 'inactive' ? 'safe' : 'never',
    form: { state },
  });
  return parseBody(stateSchema, response, operation).state;
}
