/** Etsy's listing calls: scan, batch inventory, inventory read and write, state, draft, delete. */
import type { Call, Route } from './channel.ts';
import { moneyOf } from './decimal.ts';
import { type EtsyAccess, etsyError, etsyRefusal } from './etsyAccess.ts';
import { associatedListingBody, etsyStates, inventoryBody, listingBody } from './etsyBodies.ts';
import { readInventory, replaceInventory } from './etsyInventory.ts';
import { etsyShopId } from './etsyTokens.ts';
import type { Listing } from './goods.ts';
import { jsonBody, parameters, type Reply } from './http.ts';
import type { Shop } from './world.ts';

const pageDefault = 25;
const pageMax = 100;
const batchMax = 100;

/** A whole number of the query within its limits; 400 otherwise. */
export function queryInteger(
  query: URLSearchParams,
  name: string,
  limits: { readonly fallback: number; readonly min: number; readonly max: number },
): number {
  const text = query.get(name);
  const value = text === null ? limits.fallback : Number(text);
  if (!Number.isInteger(value) || value < limits.min || value > limits.max)
    throw etsyRefusal(
      400,
      `Invalid value for ${name}: must be an integer from ${limits.min} to ${limits.max}`,
    );
  return value;
}

/** `limit` and `offset` of a list call. */
export function pageOf(query: URLSearchParams): { readonly limit: number; readonly offset: number } {
  return {
    limit: queryInteger(query, 'limit', { fallback: pageDefault, min: 1, max: pageMax }),
    offset: queryInteger(query, 'offset', { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER }),
  };
}

export function requireShop(call: Call): void {
  if (call.params['shopId'] !== String(etsyShopId)) throw etsyRefusal(404, 'Shop not found');
}

export function etsyListingRoutes(shop: Shop, access: EtsyAccess): readonly Route[] {
  const find = (call: Call): Listing => {
    const listing = shop.listing(call.params['listingId'] ?? '');
    if (listing === undefined) throw etsyRefusal(404, 'Could not find a listing with that ID');
    return listing;
  };

  function list(call: Call): Reply {
    requireShop(call);
    const state = call.query.get('state') ?? 'active';
    if (!Object.values(etsyStates).includes(state))
      throw etsyRefusal(400, `Invalid value for state: ${state}`);
    const { limit, offset } = pageOf(call.query);
    const withInventory = call.query.getAll('includes').some((each) => each.split(',').includes('Inventory'));
    const view = call.view();
    const found = shop.listings().filter((listing) => etsyStates[listing.state] === state);
    const results = call
      .cut(found.slice(offset, offset + limit))
      .map((listing) => (withInventory ? associatedListingBody : listingBody)(shop, listing, view));
    return { status: 200, body: { count: found.length, results } };
  }

  function batchInventory(call: Call): Reply {
    const ids = call.query.getAll('listing_ids').flatMap((each) => each.split(',').filter((id) => id !== ''));
    if (ids.length === 0 || ids.length > batchMax)
      throw etsyRefusal(400, `listing_ids must have from 1 to ${batchMax} ids`);
    const found = [...new Set(ids)].map((id) => shop.listing(id));
    const listings = found.filter((listing) => listing !== undefined);
    if (listings.length < found.length) throw etsyRefusal(404, 'One or more listings could not be found');
    const view = call.view();
    const results = call.cut(listings).map((listing) => associatedListingBody(shop, listing, view));
    return { status: 200, body: { count: results.length, results } };
  }

  function readOne(call: Call): Reply {
    const listing = find(call);
    const view = call.view();
    const body = inventoryBody(shop, listing, view);
    const withListing = call.query.getAll('includes').some((each) => each.split(',').includes('Listing'));
    return { status: 200, body: withListing ? { ...body, listing: listingBody(shop, listing, view) } : body };
  }

  function write(call: Call): Reply {
    const listing = find(call);
    const currency = shop.variantsOf(listing)[0]?.price.currency ?? 'USD';
    replaceInventory(shop, listing, readInventory(jsonBody(call.body), currency), call.lateEffectMs);
    return { status: 200, body: inventoryBody(shop, listing, shop.view(0)) };
  }

  function update(call: Call): Reply {
    requireShop(call);
    const listing = find(call);
    const form = parameters(call);
    const state = form.get('state');
    if (state !== null && state !== 'active' && state !== 'inactive')
      return etsyError(400, `Invalid value for state: ${state}`);
    listing.title = form.get('title') ?? listing.title;
    listing.description = form.get('description') ?? listing.description;
    if (state === 'active') activate(shop, listing);
    if (state === 'inactive') shop.setListingState(listing.id, 'inactive');
    listing.updatedAt = shop.clock.now();
    return { status: 200, body: listingBody(shop, listing, shop.view(0)) };
  }

  const routes: readonly (Omit<Route, 'handle'> & { readonly handle: (call: Call) => Reply })[] = [
    {
      method: 'GET',
      path: '/v3/application/shops/:shopId/listings',
      operation: 'getListingsByShop',
      handle: list,
    },
    {
      method: 'POST',
      path: '/v3/application/shops/:shopId/listings',
      operation: 'createDraftListing',
      handle: (call) => createDraft(shop, call),
    },
    {
      method: 'GET',
      path: '/v3/application/listings/batch/inventory',
      operation: 'getListingsInventoryByListingIds',
      handle: batchInventory,
    },
    {
      method: 'GET',
      path: '/v3/application/listings/:listingId/inventory',
      operation: 'getListingInventory',
      handle: readOne,
    },
    {
      method: 'PUT',
      path: '/v3/application/listings/:listingId/inventory',
      operation: 'updateListingInventory',
      handle: write,
    },
    {
      method: 'PATCH',
      path: '/v3/application/shops/:shopId/listings/:listingId',
      operation: 'updateListing',
      handle: update,
    },
    {
      method: 'DELETE',
      path: '/v3/application/listings/:listingId',
      operation: 'deleteListing',
      handle: (call) => {
        shop.removeListing(find(call).id);
        return { status: 204 };
      },
    },
    {
      method: 'GET',
      path: '/v3/application/listings/:listingId',
      operation: 'getListing',
      handle: (call) => ({ status: 200, body: listingBody(shop, find(call), call.view()) }),
    },
  ];
  return routes.map((route) => Object.assign({}, route, { handle: access.guarded('user', route.handle) }));
}

/** Back on sale. A sold-out or expired listing is renewed: its quantity becomes 1, whatever it was before. */
function activate(shop: Shop, listing: Listing): void {
  const { state } = listing;
  if (state === 'active') return;
  shop.setListingState(listing.id, 'active');
  if (state !== 'soldOut' && state !== 'expired') return;
  const why = { cause: 'renewal', reference: null, requestedAt: shop.clock.now() } as const;
  for (const variant of shop.variantsOf(listing)) {
    if (variant.enabled) shop.setQuantity(variant, { quantity: 1 }, why);
  }
}

const requiredForDraft = [
  'quantity',
  'title',
  'description',
  'price',
  'who_made',
  'when_made',
  'taxonomy_id',
];

function createDraft(shop: Shop, call: Call): Reply {
  requireShop(call);
  const form = parameters(call);
  const missing = requiredForDraft.find((name) => form.get(name) === null);
  if (missing !== undefined) throw etsyRefusal(400, `Missing required parameter: ${missing}`);
  const price = moneyOf(form.get('price') ?? '', 'USD');
  const quantity = Number(form.get('quantity'));
  if (price === null || !Number.isInteger(quantity) || quantity < 1)
    throw etsyRefusal(400, 'Invalid price or quantity');
  const listing = shop.addListing({
    title: form.get('title') ?? '',
    description: form.get('description') ?? '',
    state: 'draft',
    variants: [{ sku: '', quantity, price }],
  });
  return { status: 201, body: listingBody(shop, listing, shop.view(0)) };
}
