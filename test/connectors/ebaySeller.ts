/** One eBay seller in memory with the rules that matter for stock: an entry of a bulk write stands or falls by itself. */

import type { Credentials } from '../../src/connectors/connector.ts';
import { createEbayConnector } from '../../src/connectors/ebay/ebay.ts';
import { assertEbayBody } from '../support/ebaySpecification.ts';
import {
  type Answer,
  createTestContext,
  type Handler,
  openLocalChannel,
  type ReceivedRequest,
} from './localChannel.ts';

export const ebayCredentials = {
  appId: 'App-1',
  certId: 'Cert-1',
  accessToken: 'v^1.1#old',
  refreshToken: 'v^1.1#refresh',
  verificationToken: 'demo_verification_token_0123456789abcd',
};

/** A connector to a server that lives as long as the running test. */
export async function connectEbay(
  handler: Handler,
  options: {
    readonly settings?: Readonly<Record<string, unknown>>;
    readonly credentials?: Credentials;
    readonly now?: () => number;
  } = {},
) {
  const channel = await openLocalChannel(handler);
  const settings = {
    apiBaseUrl: `${channel.url}/`,
    identityBaseUrl: `${channel.url}/identity`,
    tokenUrl: `${channel.url}/token`,
    rateScale: 1000,
    ...options.settings,
  };
  const { credentials = ebayCredentials, now } = options;
  const context = createTestContext(settings, credentials, now === undefined ? {} : { now });
  return { connector: createEbayConnector(context), channel, context };
}

export type TestOffer = {
  readonly offerId: string;
  available: number;
  readonly status?: string;
  readonly format?: string;
  readonly listingStatus?: string;
};
export type TestItem = {
  quantity: number;
  offers: TestOffer[];
  distributions?: { readonly merchantLocationKey: string; readonly quantity: number }[];
};
export type TestSeller = { readonly items: Map<string, TestItem>; readonly handle: Handler };

type Entry = {
  readonly sku: string;
  readonly shipToLocationAvailability: {
    readonly quantity: number;
    readonly availabilityDistributions?: TestItem['distributions'];
  };
  readonly offers?: readonly { readonly offerId: string; readonly availableQuantity: number }[];
};
type ResponseEntry = Readonly<Record<string, unknown>> & { readonly statusCode: number };
type Refusal = { readonly statusCode: number; readonly errors: readonly unknown[] };

export const ebayError = (errorId: number, category = 'REQUEST') => ({
  errorId,
  domain: 'API_INVENTORY',
  category,
  message: `error ${errorId}`,
});

/** `refuse` may answer for one offer (or for the item, with null); `before` for a whole call. */
export function createSeller(
  items: Readonly<Record<string, TestItem>>,
  options: {
    readonly before?: (call: ReceivedRequest) => Answer | null | Promise<Answer | null>;
    readonly refuse?: (sku: string, offerId: string | null) => Refusal | null;
  } = {},
): TestSeller {
  const bySku = new Map(Object.entries(items));
  const refuse = options.refuse ?? (() => null);
  const handle: Handler = async (call) => {
    const early = await options.before?.(call);
    if (early) return early;
    switch (call.path) {
      case '/sell/inventory/v1/bulk_get_inventory_item':
        return bulkGet(bySku, call);
      case '/sell/inventory/v1/offer':
        return offers(bySku, call);
      case '/sell/inventory/v1/bulk_update_price_quantity':
        return bulkUpdate(bySku, call, refuse);
      case '/sell/inventory/v1/inventory_item':
        return page(bySku, call);
      default:
        return { status: 404, json: { errors: [ebayError(2002)] } };
    }
  };
  return { items: bySku, handle };
}

function itemBody(sku: string, { quantity, distributions }: TestItem): Record<string, unknown> {
  const shipToLocationAvailability = distributions
    ? { quantity, availabilityDistributions: distributions }
    : { quantity };
  return {
    sku,
    condition: 'NEW',
    availability: { shipToLocationAvailability },
    product: { title: `Title ${sku}` },
  };
}

function bulkGet(items: Map<string, TestItem>, call: ReceivedRequest): Answer {
  const body = JSON.parse(call.body) as { readonly requests: readonly { readonly sku: string }[] };
  assertEbayBody('sell_inventory_v1', 'BulkGetInventoryItem', body);
  if (body.requests.length > 25) return { status: 400, json: { errors: [ebayError(25_733)] } };
  const responses = body.requests.map(({ sku }) => {
    const item = items.get(sku);
    return item === undefined
      ? { sku, statusCode: 404, errors: [ebayError(25_710)], warnings: [] }
      : { sku, statusCode: 200, inventoryItem: itemBody(sku, item), errors: [], warnings: [] };
  });
  const answer = { responses };
  assertEbayBody('sell_inventory_v1', 'BulkGetInventoryItemResponse', answer);
  return { status: responses.every((each) => each.statusCode === 200) ? 200 : 207, json: answer };
}

function offers(items: Map<string, TestItem>, call: ReceivedRequest): Answer {
  const sku = call.query.get('sku') ?? '';
  const found = items.get(sku)?.offers ?? [];
  if (found.length === 0) return { status: 404, json: { errors: [ebayError(25_713)] } };
  const body = {
    offers: found.map((offer) => ({
      offerId: offer.offerId,
      sku,
      marketplaceId: 'EBAY_US',
      format: offer.format ?? 'FIXED_PRICE',
      availableQuantity: offer.available,
      pricingSummary: { price: { value: '24.50', currency: 'USD' } },
      status: offer.status ?? 'PUBLISHED',
      listing: { listingId: '2556', listingStatus: offer.listingStatus ?? 'ACTIVE', soldQuantity: 3 },
    })),
  };
  assertEbayBody('sell_inventory_v1', 'Offers', body);
  return { json: body };
}

function bulkUpdate(
  items: Map<string, TestItem>,
  call: ReceivedRequest,
  refuse: (sku: string, offerId: string | null) => Refusal | null,
): Answer {
  const body = JSON.parse(call.body) as { readonly requests: readonly Entry[] };
  assertEbayBody('sell_inventory_v1', 'BulkPriceQuantity', body);
  const responses = body.requests.flatMap((entry) => applyEntry(items, entry, refuse));
  assertEbayBody('sell_inventory_v1', 'BulkPriceQuantityResponse', { responses });
  return { status: responses.every((each) => each.statusCode === 200) ? 200 : 207, json: { responses } };
}

function applyEntry(
  items: Map<string, TestItem>,
  { sku, shipToLocationAvailability, offers: entries = [] }: Entry,
  refuse: (sku: string, offerId: string | null) => Refusal | null,
): readonly ResponseEntry[] {
  const item = items.get(sku);
  if (item === undefined) return [{ sku, statusCode: 404, errors: [ebayError(25_710)], warnings: [] }];
  const whole = refuse(sku, null);
  if (whole !== null) {
    const offerIds = entries.length > 0 ? entries.map((entry) => entry.offerId) : [undefined];
    return offerIds.map((offerId) =>
      Object.assign({ sku, warnings: [] }, offerId === undefined ? {} : { offerId }, whole),
    );
  }
  item.quantity = shipToLocationAvailability.quantity;
  // Warehouses that are not repeated are lost.
  if (shipToLocationAvailability.availabilityDistributions)
    item.distributions = shipToLocationAvailability.availabilityDistributions;
  else delete item.distributions;
  if (entries.length === 0) return [{ sku, statusCode: 200, errors: [], warnings: [] }];
  return entries.map(({ offerId, availableQuantity }) => {
    const refused = refuse(sku, offerId);
    const offer = item.offers.find((each) => each.offerId === offerId);
    if (refused !== null) return { sku, offerId, ...refused, warnings: [] };
    if (offer === undefined)
      return { sku, offerId, statusCode: 404, errors: [ebayError(25_713)], warnings: [] };
    offer.available = availableQuantity;
    return { sku, offerId, statusCode: 200, errors: [], warnings: [] };
  });
}

/** `offset` is the number of the page. */
function page(items: Map<string, TestItem>, call: ReceivedRequest): Answer {
  const limit = Number(call.query.get('limit'));
  const start = Number(call.query.get('offset')) * limit;
  const rows = [...items].slice(start, start + limit);
  const body = {
    total: items.size,
    size: rows.length,
    limit,
    inventoryItems: rows.map(([sku, item]) => itemBody(sku, item)),
  };
  assertEbayBody('sell_inventory_v1', 'InventoryItems', body);
  return { json: body };
}
