/** eBay's offers: created for an inventory item, replaced whole, published as a listing and withdrawn from it. */
import { z } from 'zod';
import type { Call, Route } from './channel.ts';
import { moneyOf } from './decimal.ts';
import { type EbayAccess, ebayRefusal, refuse } from './ebayAccess.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import {
  findVariant,
  isQuantity,
  pageLink,
  pageParameters,
  requireContentLanguage,
  revisionsUsedUp,
} from './ebayItems.ts';
import type { Money, Variant } from './goods.ts';
import { jsonBody, type Reply } from './http.ts';

const amount = z.object({ value: z.string(), currency: z.string() });
const offerRequest = z.looseObject({
  availableQuantity: z.number().optional(),
  pricingSummary: z.looseObject({ price: amount.optional() }).optional(),
});
const newOffer = offerRequest.extend({
  sku: z.string(),
  marketplaceId: z.string(),
  format: z.literal('FIXED_PRICE'),
});

/** A price in the marketplace's currency and above 0. */
export function priceIn(catalogue: EbayCatalogue, price: z.infer<typeof amount>): Money | null {
  const money = moneyOf(price.value, price.currency);
  return money !== null && money.minor > 0 && money.currency === catalogue.account.currency ? money : null;
}

function findOffer(catalogue: EbayCatalogue, call: Call): Variant {
  const offerId = call.params['offerId'] ?? '';
  const variant = catalogue.shop.variant(offerId);
  return variant !== undefined && catalogue.hasOffer(variant) ? variant : refuse(25713, '', { offerId });
}

/** Splits a request into the numbers that the shop keeps and the rest; refuses numbers that are none. */
function readOffer(catalogue: EbayCatalogue, body: z.infer<typeof offerRequest>) {
  const { availableQuantity, pricingSummary, ...document } = body;
  if (availableQuantity !== undefined && !isQuantity(availableQuantity)) refuse(25004, 'availableQuantity');
  const price = pricingSummary?.price === undefined ? null : priceIn(catalogue, pricingSummary.price);
  if (pricingSummary?.price !== undefined && price === null) refuse(25003);
  return { availableQuantity, price, document };
}

function create(catalogue: EbayCatalogue, call: Call): Reply {
  requireContentLanguage(call);
  const read = newOffer.safeParse(jsonBody(call.body));
  if (!read.success) return ebayRefusal(25709, read.error.issues[0]?.path.join('.') ?? 'body');
  const variant = findVariant(catalogue, read.data.sku, 400);
  if (catalogue.hasOffer(variant))
    return ebayRefusal(25002, 'Offer entity already exists.', { offerId: variant.id });
  const { availableQuantity, price, document } = readOffer(catalogue, read.data);
  if (price !== null) variant.price = price;
  catalogue.setOffer(variant, document);
  catalogue.shop.write(variant.id, { offerQuantity: availableQuantity ?? null }, null, call.lateEffectMs);
  return { status: 201, body: { offerId: variant.id, warnings: [] } };
}

function update(catalogue: EbayCatalogue, call: Call): Reply {
  requireContentLanguage(call);
  const variant = findOffer(catalogue, call);
  const read = offerRequest.safeParse(jsonBody(call.body));
  if (!read.success) return ebayRefusal(25709, read.error.issues[0]?.path.join('.') ?? 'body');
  const { availableQuantity, price, document } = readOffer(catalogue, read.data);
  const isPublished = catalogue.isPublished(variant);
  if (isPublished && price === null) return ebayRefusal(25003, 'A published offer needs a price.');
  if (isPublished && !catalogue.revise(variant))
    return ebayRefusal(25002, revisionsUsedUp(catalogue.listingId(variant)));
  if (price !== null) variant.price = price;
  // SKU, marketplace and format belong to the offer for life, and a replacement does not carry them.
  const { marketplaceId, format } = catalogue.offer(variant);
  catalogue.setOffer(variant, { ...document, marketplaceId, format });
  catalogue.shop.write(variant.id, { offerQuantity: availableQuantity ?? null }, null, call.lateEffectMs);
  return { status: 204 };
}

const publishable = z.looseObject({
  categoryId: z.string(),
  merchantLocationKey: z.string(),
  listingPolicies: z.looseObject({
    fulfillmentPolicyId: z.string(),
    paymentPolicyId: z.string(),
    returnPolicyId: z.string(),
  }),
});

function publish(catalogue: EbayCatalogue, call: Call): Reply {
  const variant = findOffer(catalogue, call);
  if (catalogue.isPublished(variant))
    return { status: 200, body: { listingId: catalogue.listingId(variant), warnings: [] } };
  const read = publishable.safeParse(catalogue.offer(variant));
  if (!read.success) return ebayRefusal(25002, `Missing ${read.error.issues[0]?.path.join('.')}.`);
  if (variant.title === '') return ebayRefusal(25002, 'Missing product.title.');
  if (variant.price.minor === 0) return ebayRefusal(25003);
  if (variant.tracked && Math.min(variant.quantity, variant.offerQuantity ?? variant.quantity) <= 0)
    return ebayRefusal(25004, 'A listing starts with at least 1.');
  return { status: 200, body: { listingId: catalogue.publish(variant), warnings: [] } };
}

function withdraw(catalogue: EbayCatalogue, call: Call): Reply {
  const variant = findOffer(catalogue, call);
  if (!catalogue.isPublished(variant)) return ebayRefusal(25002, 'The offer is not published.');
  return { status: 200, body: { listingId: catalogue.withdraw(variant), warnings: [] } };
}

function list(catalogue: EbayCatalogue, call: Call): Reply {
  const { limit, page } = pageParameters(call, 100, 200);
  const sku = call.query.get('sku');
  if (sku === null || sku === '') return ebayRefusal(25709, 'sku', { fieldName: 'sku' });
  const found = catalogue.shop.variants().filter((each) => each.sku === sku && catalogue.hasOffer(each));
  if (found.length === 0) return ebayRefusal(25713, '', { sku });
  const view = call.view();
  const rows = call.cut(found.slice(page * limit, (page + 1) * limit));
  return {
    status: 200,
    body: {
      href: pageLink(call, limit, page),
      total: found.length,
      size: rows.length,
      limit,
      offers: rows.map((variant) => catalogue.offerBody(variant, view)),
    },
  };
}

export function ebayOfferRoutes(catalogue: EbayCatalogue, access: EbayAccess): readonly Route[] {
  return [
    access.route('inventory', 'GET /offer', 'getOffers', (call) => list(catalogue, call)),
    access.route('inventory', 'POST /offer', 'createOffer', (call) => create(catalogue, call)),
    access.route('inventory', 'GET /offer/:offerId', 'getOffer', (call) => ({
      status: 200,
      body: catalogue.offerBody(findOffer(catalogue, call), call.view()),
    })),
    access.route('inventory', 'PUT /offer/:offerId', 'updateOffer', (call) => update(catalogue, call)),
    access.route('inventory', 'POST /offer/:offerId/publish', 'publishOffer', (call) =>
      publish(catalogue, call),
    ),
    access.route('inventory', 'POST /offer/:offerId/withdraw', 'withdrawOffer', (call) =>
      withdraw(catalogue, call),
    ),
  ];
}
