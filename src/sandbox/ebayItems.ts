/** eBay's inventory items: pages by page number, and a PUT that replaces everything it does not repeat. */
import { z } from 'zod';
import type { Call, Route } from './channel.ts';
import { type EbayAccess, ebayApis, ebayRefusal, refuse } from './ebayAccess.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import { ebayErrorEntry } from './ebayErrors.ts';
import type { Variant } from './goods.ts';
import { jsonBody, type Reply } from './http.ts';
import type { StockView } from './world.ts';

const itemRequest = z.looseObject({
  availability: z
    .looseObject({
      shipToLocationAvailability: z.looseObject({ quantity: z.number().optional() }).optional(),
    })
    .optional(),
  condition: z.string().optional(),
  product: z
    .looseObject({
      title: z.string().max(80).optional(),
      aspects: z.record(z.string(), z.array(z.string())).optional(),
    })
    .optional(),
});

const skuLengthMax = 50;
const bulkMax = 25;

/** A whole number of at least 0, as eBay wants every quantity. */
export const isQuantity = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0;

/** `limit` and `offset` of a list in which `offset` counts pages. */
export function pageParameters(call: Call, preset: number, max: number): { limit: number; page: number } {
  const limit = Number(call.query.get('limit') ?? preset);
  const page = Number(call.query.get('offset') ?? 0);
  if (!Number.isInteger(limit) || limit < 1 || limit > max)
    refuse(25706, `limit must be between 1 and ${max}.`);
  if (!Number.isInteger(page) || page < 0) refuse(25706, 'offset must be a page number of at least 0.');
  return { limit, page };
}

/** Refuses a create or replace call without the language header that eBay requires on them. */
export function requireContentLanguage(call: Call): void {
  if ((call.headers['content-language'] ?? '') === '')
    refuse(25709, 'Missing or invalid header Content-Language.', { fieldName: 'Content-Language' });
}

/** A link to another page of the same list, on the host that was called. */
export function pageLink(call: Call, limit: number, offset: number): string {
  const query = new URLSearchParams(call.query);
  query.set('limit', String(limit));
  query.set('offset', String(offset));
  return `http://${call.headers.host ?? '127.0.0.1'}${call.path}?${query.toString()}`;
}

function list(catalogue: EbayCatalogue, call: Call): Reply {
  const { limit, page } = pageParameters(call, 25, 200);
  const view = call.view();
  const all = catalogue.shop.variants();
  const rows = call.cut(all.slice(page * limit, (page + 1) * limit));
  const more = (page + 1) * limit < all.length && !call.cutShort;
  return {
    status: 200,
    body: {
      href: pageLink(call, limit, page),
      ...(more ? { next: pageLink(call, limit, page + 1) } : {}),
      ...(page > 0 ? { prev: pageLink(call, limit, page - 1) } : {}),
      total: call.cutShort ? page * limit + rows.length : all.length,
      size: rows.length,
      limit,
      inventoryItems: rows.map((variant) => catalogue.itemBody(variant, view)),
    },
  };
}

function bulkGet(catalogue: EbayCatalogue, call: Call): Reply {
  const read = z
    .object({ requests: z.array(z.object({ sku: z.string() })).min(1) })
    .safeParse(jsonBody(call.body));
  if (!read.success) return ebayRefusal(25709, 'requests', { fieldName: 'requests' });
  const skus = read.data.requests.map(({ sku }) => sku);
  if (skus.length > bulkMax) return ebayRefusal(25727);
  if (new Set(skus).size < skus.length) return ebayRefusal(25734);
  const view: StockView = call.view();
  const responses = call.cut(skus).map((sku) => {
    const variant = catalogue.shop.variantBySku(sku);
    if (variant === undefined)
      return { sku, statusCode: 404, errors: [ebayErrorEntry(25702, '', { skuValue: sku })], warnings: [] };
    return {
      sku,
      statusCode: 200,
      inventoryItem: catalogue.itemBody(variant, view),
      errors: [],
      warnings: [],
    };
  });
  return { status: responses.every(({ statusCode }) => statusCode === 200) ? 200 : 207, body: { responses } };
}

function put({ shop, account, ...catalogue }: EbayCatalogue, call: Call): Reply {
  requireContentLanguage(call);
  const sku = call.params['sku'] ?? '';
  if (sku.length > skuLengthMax) return ebayRefusal(25708);
  const read = itemRequest.safeParse(jsonBody(call.body));
  if (!read.success) return ebayRefusal(25709, read.error.issues[0]?.path.join('.') ?? 'body');
  const { availability, ...document } = read.data;
  // A complete replacement: a quantity that is not repeated is gone as well.
  const quantity = availability?.shipToLocationAvailability?.quantity ?? 0;
  if (!isQuantity(quantity)) return ebayRefusal(25004, 'quantity must be a whole number of at least 0.');
  const known = shop.variantBySku(sku);
  if (known === undefined) {
    const price = { minor: 0, currency: account.currency };
    const listing = shop.addListing({ title: '', state: 'draft', variants: [{ sku, quantity, price }] });
    for (const variant of shop.variantsOf(listing)) catalogue.setItem(variant, document);
    return { status: 201 };
  }
  if (catalogue.isPublished(known) && !catalogue.revise(known))
    return ebayRefusal(25002, revisionsUsedUp(catalogue.listingId(known)));
  catalogue.setItem(known, document);
  shop.write(known.id, { quantity }, null, call.lateEffectMs);
  return { status: 204 };
}

/** The text of the refusal of one revision too many. */
export const revisionsUsedUp = (listingId: string): string =>
  `Listing ${listingId} has reached the maximum number of revisions for this calendar day.`;

export function findVariant({ shop }: EbayCatalogue, sku: string, status?: number): Variant {
  return shop.variantBySku(sku) ?? refuse(25702, '', { skuValue: sku }, status);
}

export function ebayItemRoutes(catalogue: EbayCatalogue, access: EbayAccess): readonly Route[] {
  const { path } = ebayApis.inventory;
  return [
    access.route('inventory', 'GET /inventory_item', 'getInventoryItems', (call) => list(catalogue, call)),
    access.route('inventory', 'GET /inventory_item/:sku', 'getInventoryItem', (call) => ({
      status: 200,
      body: catalogue.itemBody(findVariant(catalogue, call.params['sku'] ?? ''), call.view()),
    })),
    access.route('inventory', 'PUT /inventory_item/:sku', 'createOrReplaceInventoryItem', (call) => {
      const reply = put(catalogue, call);
      const location = { location: `${path}/inventory_item/${encodeURIComponent(call.params['sku'] ?? '')}` };
      return reply.status === 201 ? { ...reply, headers: location } : reply;
    }),
    access.route('inventory', 'POST /bulk_get_inventory_item', 'bulkGetInventoryItem', (call) =>
      bulkGet(catalogue, call),
    ),
  ];
}
