/** One Etsy shop in memory with the rules that matter for stock: a write replaces all products, and all zeros are refused. */

import type { Credentials } from '../../src/connectors/connector.ts';
import { createEtsyConnector } from '../../src/connectors/etsy/etsy.ts';
import { assertEtsyBody, assertEtsyRequest } from '../support/etsySpecification.ts';
import {
  type Answer,
  createTestContext,
  type Handler,
  openLocalChannel,
  type ReceivedRequest,
} from './localChannel.ts';

export const shopId = '41000001';
export const etsyCredentials = {
  keystring: 'key1',
  sharedSecret: 'secret1',
  accessToken: '82000001.old',
  refreshToken: '82000001.refresh1',
  webhookSecret: 'whsec_c3RvY2tzeW5jLWRlbW8tc2lnbmluZy1rZXktMDAwMQ==',
};

/** A connector to a server that lives as long as the running test. */
export async function connectEtsy(
  handler: Handler,
  credentials: Credentials = etsyCredentials,
  options: { readonly rateScale?: number; readonly now?: () => number } = {},
) {
  const channel = await openLocalChannel(handler);
  const settings = {
    apiBaseUrl: `${channel.url}/`,
    tokenUrl: `${channel.url}/token`,
    shopId,
    rateScale: options.rateScale ?? 1000,
  };
  const { now } = options;
  const context = createTestContext(settings, credentials, now === undefined ? {} : { now });
  return { connector: createEtsyConnector(context), channel, context };
}

export type TestProduct = {
  readonly id: number;
  readonly sku: string;
  quantity: number;
  readonly enabled?: boolean;
  readonly deleted?: boolean;
  /** In cents; 24.50 by default. */
  price?: number;
};
export type TestListing = {
  state: string;
  products: TestProduct[];
  readonly shared?: boolean;
  readonly skuProperty?: boolean;
  /** True when every variant has a price of its own. */
  readonly pricedApart?: boolean;
  readonly currency?: string;
};
export type TestShop = { readonly listings: Map<number, TestListing>; readonly handle: Handler };

/** `before` may answer instead of the shop: null lets the call through. */
export function createShop(
  listings: Readonly<Record<number, TestListing>>,
  before: (call: ReceivedRequest) => Answer | null | Promise<Answer | null> = () => null,
): TestShop {
  const byId = new Map(Object.entries(listings).map(([id, listing]) => [Number(id), listing]));
  const handle: Handler = async (call) => (await before(call)) ?? route(byId, call);
  return { listings: byId, handle };
}

function route(listings: Map<number, TestListing>, call: ReceivedRequest): Answer {
  if (call.path === '/v3/application/listings/batch/inventory') return batch(listings, call);
  const [, inventoryOf] = /^\/v3\/application\/listings\/(\d+)\/inventory$/.exec(call.path) ?? [];
  const [, stateOf] = /^\/v3\/application\/shops\/41000001\/listings\/(\d+)$/.exec(call.path) ?? [];
  const id = Number(inventoryOf ?? stateOf);
  const listing = listings.get(id);
  if (listing === undefined) return { status: 404, json: { error: 'Resource not found' } };
  if (stateOf !== undefined) return changeState(id, listing, call);
  if (call.method === 'PUT') return replace(listing, call);
  return { json: { ...inventoryBody(listing), listing: { listing_id: id, state: listing.state } } };
}

function batch(listings: Map<number, TestListing>, call: ReceivedRequest): Answer {
  const ids = (call.query.get('listing_ids') ?? '').split(',').map(Number);
  if (ids.length > 100) return { status: 400, json: { error: 'Too many listing ids' } };
  if (ids.some((id) => !listings.has(id))) return { status: 404, json: { error: 'Resource not found' } };
  const results = ids.map((id) => {
    const listing = listings.get(id) as TestListing;
    return { listing_id: id, state: listing.state, inventory: inventoryBody(listing) };
  });
  const body = { count: results.length, results };
  assertEtsyBody('ShopListingsWithAssociations', body);
  return { json: body };
}

function inventoryBody({
  products,
  shared = false,
  pricedApart = false,
  currency = 'USD',
}: TestListing): Record<string, unknown> {
  const body = {
    products: products.map((product, index) => ({
      product_id: product.id,
      sku: product.sku,
      is_deleted: product.deleted ?? false,
      offerings: [
        {
          offering_id: product.id + 1000,
          quantity: product.quantity,
          is_enabled: product.enabled ?? true,
          is_deleted: false,
          price: { amount: product.price ?? 2450, divisor: 100, currency_code: currency },
          readiness_state_id: 3100,
        },
      ],
      property_values: [
        {
          property_id: 200,
          property_name: 'Primary color',
          scale_id: null,
          scale_name: null,
          value_ids: [index + 1],
          values: [`C${index}`],
        },
      ],
    })),
    price_on_property: pricedApart ? [200] : [],
    quantity_on_property: shared ? [] : [200],
    sku_on_property: [200],
    readiness_state_on_property: [],
  };
  assertEtsyBody('ListingInventory', body);
  return body;
}

type Update = {
  readonly products: {
    readonly sku: string;
    readonly offerings: { readonly quantity: number; readonly price: number }[];
  }[];
};

function replace(listing: TestListing, call: ReceivedRequest): Answer {
  const body = JSON.parse(call.body) as Update;
  assertEtsyRequest(
    'PUT',
    '/v3/application/listings/{listing_id}/inventory',
    call.headers['content-type'],
    body,
  );
  const quantities = body.products.map((product) => product.offerings[0]?.quantity ?? 0);
  if (quantities.every((quantity) => quantity === 0)) {
    return { status: 400, json: { error: 'One offering must have quantity greater than 0' } };
  }
  if (listing.shared === true && new Set(quantities).size > 1) {
    return { status: 400, json: { error: 'quantity is incompatible with quantity_on_property' } };
  }
  const prices = body.products.map((product) => Math.round((product.offerings[0]?.price ?? 0) * 100));
  if (prices.some((price) => price < 20)) {
    return { status: 400, json: { error: 'The price must be between 0.20 and 50000.00' } };
  }
  if (listing.pricedApart !== true && new Set(prices).size > 1) {
    return { status: 400, json: { error: 'price is incompatible with price_on_property' } };
  }
  const kept = listing.products.filter((product) => product.deleted !== true);
  // What is left out is deleted, as on Etsy.
  listing.products = body.products.map(({ sku }, index) =>
    Object.assign({ id: 0, sku, quantity: 0 }, kept[index], {
      sku,
      quantity: quantities[index] ?? 0,
      price: prices[index] ?? 0,
    }),
  );
  return { json: inventoryBody(listing) };
}

function changeState(id: number, listing: TestListing, call: ReceivedRequest): Answer {
  const form = Object.fromEntries(new URLSearchParams(call.body));
  assertEtsyRequest(
    'PATCH',
    '/v3/application/shops/{shop_id}/listings/{listing_id}',
    call.headers['content-type'],
    form,
  );
  // Etsy renews a sold-out listing with one unit.
  if (listing.state === 'sold_out' && form['state'] === 'active') {
    for (const product of listing.products) product.quantity = 1;
  }
  listing.state = form['state'] ?? listing.state;
  return { json: { listing_id: id, state: listing.state } };
}
