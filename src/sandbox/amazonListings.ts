/** Reads of Amazon listings: one item, or a page of a search, with exactly the data sets that were asked for. */
import { type AmazonAccess, amazonErrors } from './amazonAccess.ts';
import type { AmazonAccount } from './amazonAccount.ts';
import { type Attributes, isForEverybody } from './amazonAttributes.ts';
import type { Call, Route } from './channel.ts';
import { decimalText } from './decimal.ts';
import type { Variant } from './goods.ts';
import { Refusal } from './http.ts';
import type { Shop, StockView } from './world.ts';

/** What a seller submitted for a SKU beside quantity and price, by variant id. */
export type AmazonDocuments = Map<string, Attributes>;

export type AmazonCatalogue = {
  readonly shop: Shop;
  readonly account: AmazonAccount;
  readonly documents: AmazonDocuments;
};

/** `DEFAULT` is merchant-fulfilled; anything else (`AMAZON_NA`, ...) is Amazon's own stock. */
export const channelOf = (variant: Variant): string =>
  variant.attributes['fulfillmentChannelCode'] ?? 'DEFAULT';

export const isAmazonFulfilled = (variant: Variant): boolean => channelOf(variant) !== 'DEFAULT';

export const productTypeOf = (variant: Variant): string => variant.attributes['productType'] ?? 'PRODUCT';

/** The attribute document as it is now: what was submitted, with the quantity and price that count. */
export function attributesOf(
  catalogue: AmazonCatalogue,
  variant: Variant,
  quantity = variant.quantity,
): Attributes {
  const { marketplaceId, language } = catalogue.account;
  const submitted = catalogue.documents.get(variant.id) ?? {};
  const availability = {
    fulfillment_channel_code: channelOf(variant),
    ...(variant.tracked ? { quantity } : {}),
  };
  const price = Number(decimalText(variant.price));
  const offers = submitted['purchasable_offer'] ?? [];
  const offer = {
    marketplace_id: marketplaceId,
    currency: variant.price.currency,
    audience: 'ALL',
    our_price: [{ schedule: [{ value_with_tax: price }] }],
  };
  return {
    item_name: [{ value: variant.title, language_tag: language, marketplace_id: marketplaceId }],
    condition_type: [{ value: 'new_new', marketplace_id: marketplaceId }],
    ...submitted,
    fulfillment_availability: [{ ...submitted['fulfillment_availability']?.[0], ...availability }],
    purchasable_offer: [
      { ...offers.find(isForEverybody), ...offer },
      ...offers.filter((each) => !isForEverybody(each)),
    ],
  };
}

const dataSets = [
  'summaries',
  'attributes',
  'issues',
  'offers',
  'fulfillmentAvailability',
  'procurement',
  'relationships',
  'productTypes',
] as const;
type DataSet = (typeof dataSets)[number];

const timeText = (at: number): string => new Date(at).toISOString();

const createdAt = ({ shop }: AmazonCatalogue, variant: Variant): number =>
  shop.listing(variant.listingId)?.createdAt ?? variant.updatedAt;

/** A pure change of quantity does not move it: nothing in Amazon's documents promises that it does. */
const updatedAt = ({ shop }: AmazonCatalogue, variant: Variant): number =>
  Math.max(variant.updatedAt, shop.listing(variant.listingId)?.updatedAt ?? 0);

function statusOf({ shop }: AmazonCatalogue, variant: Variant, view: StockView): readonly string[] {
  if (shop.listing(variant.listingId)?.state !== 'active') return [];
  const sellable = variant.enabled && (!variant.tracked || view.quantity(variant) > 0);
  return sellable ? ['BUYABLE', 'DISCOVERABLE'] : ['DISCOVERABLE'];
}

function summary(catalogue: AmazonCatalogue, variant: Variant, view: StockView): unknown {
  const asin = variant.attributes['asin'];
  return {
    marketplaceId: catalogue.account.marketplaceId,
    ...(asin === undefined ? {} : { asin }),
    productType: productTypeOf(variant),
    conditionType: 'new_new',
    status: statusOf(catalogue, variant, view),
    itemName: variant.title,
    createdDate: timeText(createdAt(catalogue, variant)),
    lastUpdatedDate: timeText(updatedAt(catalogue, variant)),
  };
}

function itemBody(
  catalogue: AmazonCatalogue,
  variant: Variant,
  view: StockView,
  included: ReadonlySet<string>,
): unknown {
  const { marketplaceId } = catalogue.account;
  const quantity = variant.tracked ? { quantity: view.quantity(variant) } : {};
  const price = { currencyCode: variant.price.currency, amount: decimalText(variant.price) };
  const parts: Record<DataSet, () => unknown> = {
    summaries: () => [summary(catalogue, variant, view)],
    attributes: () => attributesOf(catalogue, variant, view.quantity(variant)),
    issues: () => [],
    offers: () => [{ marketplaceId, offerType: 'B2C', price }],
    fulfillmentAvailability: () => [{ fulfillmentChannelCode: channelOf(variant), ...quantity }],
    procurement: () => [],
    relationships: () => [{ marketplaceId, relationships: [] }],
    productTypes: () => [{ marketplaceId, productType: productTypeOf(variant) }],
  };
  const body: Record<string, unknown> = { sku: variant.sku };
  for (const set of dataSets) if (included.has(set)) body[set] = parts[set]();
  return body;
}

/** The values of a comma-delimited parameter; each must be one of `allowed`. */
export function listParameter(call: Call, name: string, allowed?: readonly string[]): readonly string[] {
  const values = call.query.getAll(name).flatMap((each) => each.split(','));
  const found = values.filter((value) => value !== '');
  const stranger = allowed === undefined ? undefined : found.find((value) => !allowed.includes(value));
  if (stranger !== undefined)
    throw new Refusal(amazonErrors.invalidInput(`Invalid value '${stranger}' for ${name}.`));
  return found;
}

/** Milliseconds of an ISO 8601 parameter, or null when it is absent. */
export function timeParameter(call: Call, name: string): number | null {
  const text = call.query.get(name);
  if (text === null) return null;
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new Refusal(amazonErrors.invalidInput(`${name} is not an ISO 8601 date-time.`));
  return at;
}

/** A whole number from 1 to `max`. */
export function sizeParameter(call: Call, name: string, preset: number, max: number): number {
  const size = Number(call.query.get(name) ?? preset);
  if (!Number.isInteger(size) || size < 1 || size > max)
    throw new Refusal(amazonErrors.invalidInput(`${name} must be between 1 and ${max}.`));
  return size;
}

/** Refuses a call for another seller or without this seller's marketplace. */
export function requireSeller(call: Call, account: AmazonAccount): void {
  if (call.params['sellerId'] !== account.sellerId)
    throw new Refusal(amazonErrors.unauthorized('The seller has not authorised this application.'));
  const marketplaces = listParameter(call, 'marketplaceIds');
  if (marketplaces.length === 0) throw new Refusal(amazonErrors.invalidInput('marketplaceIds is required.'));
  if (!marketplaces.includes(account.marketplaceId))
    throw new Refusal(amazonErrors.unauthorized('The seller does not take part in this marketplace.'));
}

const identifierTypes = ['ASIN', 'EAN', 'FNSKU', 'GTIN', 'ISBN', 'JAN', 'MINSAN', 'SKU', 'UPC'];
const identifiersMax = 20;

function identified(catalogue: AmazonCatalogue, call: Call): readonly Variant[] {
  const { shop } = catalogue;
  const identifiers = listParameter(call, 'identifiers');
  const [type] = listParameter(call, 'identifiersType', identifierTypes);
  if ((type === undefined) !== (identifiers.length === 0))
    throw new Refusal(amazonErrors.invalidInput('identifiers and identifiersType need each other.'));
  if (identifiers.length > identifiersMax)
    throw new Refusal(amazonErrors.invalidInput(`No more than ${identifiersMax} identifiers are allowed.`));
  if (type === undefined) return shop.variants();
  if (type === 'SKU') return identifiers.flatMap((sku) => shop.variantBySku(sku) ?? []);
  return shop
    .variants()
    .filter((variant) => identifiers.includes(variant.attributes[type.toLowerCase()] ?? ''));
}

function filtered(catalogue: AmazonCatalogue, call: Call, view: StockView): readonly Variant[] {
  for (const name of ['variationParentSku', 'packageHierarchySku']) {
    if (call.query.has(name))
      throw new Refusal(amazonErrors.invalidInput(`${name} is not supported by the sandbox.`));
  }
  const within = (at: number, name: string) =>
    at >= (timeParameter(call, `${name}After`) ?? Number.NEGATIVE_INFINITY) &&
    at <= (timeParameter(call, `${name}Before`) ?? Number.POSITIVE_INFINITY);
  const wanted = listParameter(call, 'withStatus', ['BUYABLE', 'DISCOVERABLE']);
  const unwanted = listParameter(call, 'withoutStatus', ['BUYABLE', 'DISCOVERABLE']);
  // No item here ever has an issue, so a filter for issues finds none.
  if (listParameter(call, 'withIssueSeverity', ['WARNING', 'ERROR']).length > 0) return [];
  return identified(catalogue, call).filter((variant) => {
    const status = statusOf(catalogue, variant, view);
    return (
      within(createdAt(catalogue, variant), 'created') &&
      within(updatedAt(catalogue, variant), 'lastUpdated') &&
      (wanted.length === 0 || wanted.some((each) => status.includes(each))) &&
      !unwanted.some((each) => status.includes(each))
    );
  });
}

function sorted(catalogue: AmazonCatalogue, call: Call, variants: readonly Variant[]): readonly Variant[] {
  const [by = 'lastUpdatedDate'] = listParameter(call, 'sortBy', ['sku', 'createdDate', 'lastUpdatedDate']);
  const [order = 'DESC'] = listParameter(call, 'sortOrder', ['ASC', 'DESC']);
  const key = (variant: Variant) =>
    by === 'sku' ? 0 : by === 'createdDate' ? createdAt(catalogue, variant) : updatedAt(catalogue, variant);
  const ascending = variants.toSorted((a, b) => key(a) - key(b) || (a.sku < b.sku ? -1 : 1));
  return order === 'ASC' ? ascending : ascending.toReversed();
}

const pageSizeMax = 20;

/** A page token holds the offset: opaque to callers, as Amazon's is. */
export const encodeToken = (value: unknown): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');

export function decodeOffset(call: Call, name: string): number {
  const token = call.query.get(name);
  if (token === null) return 0;
  try {
    const value = Number(JSON.parse(Buffer.from(token, 'base64url').toString('utf8')));
    if (Number.isInteger(value) && value >= 0) return value;
  } catch {
    // Falls through: a token that is no JSON is as bad as one with another value.
  }
  throw new Refusal(amazonErrors.invalidInput(`${name} is invalid.`));
}

const includedOf = (call: Call) => {
  const included = listParameter(call, 'includedData', dataSets);
  return new Set(included.length === 0 ? ['summaries'] : included);
};

/** `resultsMax` caps deep paging: the last page within the cap has no next token. */
export function amazonListingRoutes(
  catalogue: AmazonCatalogue,
  access: AmazonAccess,
  resultsMax: number,
): readonly Route[] {
  const { shop, account } = catalogue;
  return [
    access.route('GET', '/listings/2021-08-01/items/:sellerId/:sku', 'getListingsItem', (call) => {
      requireSeller(call, account);
      const included = includedOf(call);
      const variant = shop.variantBySku(call.params['sku'] ?? '');
      if (variant === undefined)
        return amazonErrors.notFound(
          `SKU '${call.params['sku']}' not found in marketplace ${account.marketplaceId}`,
        );
      return { status: 200, body: itemBody(catalogue, variant, call.view(), included) };
    }),
    access.route('GET', '/listings/2021-08-01/items/:sellerId', 'searchListingsItems', (call) => {
      requireSeller(call, account);
      const included = includedOf(call);
      const view = call.view();
      const size = sizeParameter(call, 'pageSize', 10, pageSizeMax);
      const offset = decodeOffset(call, 'pageToken');
      const found = sorted(catalogue, call, filtered(catalogue, call, view));
      const rows = found.slice(offset, Math.min(offset + size, resultsMax));
      const more = offset + size < Math.min(found.length, resultsMax) && !call.cutShort;
      const pagination = {
        ...(more ? { nextToken: encodeToken(offset + size) } : {}),
        ...(offset > 0 ? { previousToken: encodeToken(Math.max(0, offset - size)) } : {}),
      };
      return {
        status: 200,
        body: {
          numberOfResults: found.length,
          ...(Object.keys(pagination).length === 0 ? {} : { pagination }),
          items: call.cut(rows).map((variant) => itemBody(catalogue, variant, view, included)),
        },
      };
    }),
  ];
}
