/** Writes of Amazon listings: judged at once, in effect later, and a later one may land first. */
import { type AmazonAccess, amazonErrors } from './amazonAccess.ts';
import {
  type Attributes,
  applyPatches,
  attributeOf,
  type Issue,
  invalid,
  type ListingFacts,
  patchIssues,
  patchRequest,
  priceOf,
  putIssues,
  putRequest,
  quantityOf,
} from './amazonAttributes.ts';
import {
  type AmazonCatalogue,
  attributesOf,
  isAmazonFulfilled,
  listParameter,
  productTypeOf,
  requireSeller,
} from './amazonListings.ts';
import type { Call, Route } from './channel.ts';
import { moneyOf } from './decimal.ts';
import type { Variant } from './goods.ts';
import { jsonBody, Refusal, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { uuidText } from './uuid.ts';

/** One wish of the seller about one SKU, however it came: by call or in a feed. */
export type Submission =
  | { readonly kind: 'patch'; readonly productType: string; readonly patches: readonly Patch[] }
  | { readonly kind: 'put'; readonly productType: string; readonly attributes: Attributes }
  | { readonly kind: 'delete' };

type Patch = Parameters<typeof patchIssues>[0][number];

export type AmazonSubmissions = {
  /** What is wrong with it; nothing when it may be accepted. */
  judge(sku: string, submission: Submission): readonly Issue[];
  /** Takes an issue-free submission in; it takes effect after the shop's `writeEffectMs` and `lateMs`. */
  accept(sku: string, submission: Submission, submissionId: string, lateMs: number): void;
};

/** Offer-only attributes may be sent under this type for any item. */
const anyProductType = 'PRODUCT';

const typeIssues = (productType: string, known: readonly string[]): readonly Issue[] =>
  productType === anyProductType || known.includes(productType)
    ? []
    : [invalid('product_type', `The product type '${productType}' is unknown for this item.`)];

/** The quantity that the operations ask for; null when they leave it alone. */
function askedQuantity(patches: readonly Patch[]): number | null {
  const about = patches.filter(({ path }) => attributeOf(path) === 'fulfillment_availability');
  if (about.length === 0) return null;
  const quantity = quantityOf(applyPatches({}, about));
  // A merge of other details keeps the number; a replacement without a number leaves none to sell.
  return quantity ?? (about.every(({ op }) => op === 'merge') ? null : 0);
}

export function createAmazonSubmissions(catalogue: AmazonCatalogue): AmazonSubmissions {
  const { shop, account, documents } = catalogue;

  const facts = (variant: Variant | undefined): ListingFacts => ({
    amazonFulfilled: variant !== undefined && isAmazonFulfilled(variant),
    currency: account.currency,
  });

  function judge(sku: string, submission: Submission): readonly Issue[] {
    const variant = shop.variantBySku(sku);
    if (submission.kind === 'put') {
      const known = [...new Set(shop.variants().map(productTypeOf))];
      return [
        ...typeIssues(submission.productType, known),
        ...putIssues(submission.attributes, facts(variant)),
      ];
    }
    if (variant === undefined) return [invalid('sku', `The SKU '${sku}' does not exist for this seller.`)];
    if (submission.kind === 'delete') return [];
    return [
      ...typeIssues(submission.productType, [productTypeOf(variant)]),
      ...patchIssues(submission.patches, facts(variant), attributesOf(catalogue, variant)),
    ];
  }

  /** Runs when a write without a quantity takes effect, or together with the quantity's own effect. */
  function at(effectAt: number, run: () => void): void {
    const delay = effectAt - shop.clock.now();
    if (delay <= 0) run();
    else shop.later(delay, run);
  }

  const drawEffect = (lateMs: number): number =>
    shop.clock.now() + shop.random.span(shop.settings.writeEffectMs) + lateMs;

  function keep(variantId: string, change: (before: Attributes) => Attributes): void {
    const variant = shop.variant(variantId);
    if (variant === undefined) return;
    const next = change(attributesOf(catalogue, variant));
    documents.set(variantId, next);
    const price = priceOf(next);
    const money = price === null ? null : moneyOf(price.amount, price.currency);
    if (money !== null) variant.price = money;
    const title = next['item_name']?.[0]?.['value'];
    if (typeof title === 'string') variant.title = title;
  }

  function patch(variant: Variant, patches: readonly Patch[], reference: string, lateMs: number): void {
    const quantity = askedQuantity(patches);
    const effectAt =
      quantity === null ? drawEffect(lateMs) : shop.write(variant.id, { quantity }, reference, lateMs);
    const isStockOnly = patches.every(({ path }) => attributeOf(path) === 'fulfillment_availability');
    at(effectAt, () => {
      keep(variant.id, (before) => applyPatches(before, patches));
      if (!isStockOnly) variant.updatedAt = shop.clock.now();
    });
  }

  function create(sku: string, submission: Submission & { readonly kind: 'put' }): void {
    const { attributes, productType } = submission;
    const price = priceOf(attributes);
    const money = price === null ? null : moneyOf(price.amount, price.currency);
    const asin = attributes['merchant_suggested_asin']?.[0]?.['value'];
    const title = attributes['item_name']?.[0]?.['value'];
    const listing = shop.addListing({
      title: typeof title === 'string' ? title : sku,
      variants: [
        {
          sku,
          quantity: quantityOf(attributes) ?? 0,
          price: money ?? { minor: 0, currency: account.currency },
          attributes: { productType, ...(typeof asin === 'string' ? { asin } : {}) },
        },
      ],
    });
    const [variantId] = listing.variantIds;
    if (variantId !== undefined) documents.set(variantId, attributes);
  }

  function put(
    sku: string,
    submission: Submission & { readonly kind: 'put' },
    reference: string,
    lateMs: number,
  ): void {
    const variant = shop.variantBySku(sku);
    if (variant === undefined) {
      at(drawEffect(lateMs), () => create(sku, submission));
      return;
    }
    const amounts = { quantity: quantityOf(submission.attributes) ?? 0 };
    const effectAt = isAmazonFulfilled(variant)
      ? drawEffect(lateMs)
      : shop.write(variant.id, amounts, reference, lateMs);
    at(effectAt, () => {
      keep(variant.id, () => submission.attributes);
      variant.updatedAt = shop.clock.now();
    });
  }

  return {
    judge,
    accept(sku, submission, submissionId, lateMs) {
      if (submission.kind === 'put') return put(sku, submission, submissionId, lateMs);
      const variant = shop.variantBySku(sku);
      if (variant === undefined) return;
      if (submission.kind === 'patch') return patch(variant, submission.patches, submissionId, lateMs);
      at(drawEffect(lateMs), () => {
        documents.delete(variant.id);
        if (shop.listing(variant.listingId)?.variantIds.length === 1) shop.removeListing(variant.listingId);
        else if (shop.variant(variant.id) !== undefined) shop.removeVariant(variant.id);
      });
    },
  };
}

function readSubmission(call: Call): Submission {
  if (call.method === 'DELETE') return { kind: 'delete' };
  const body = jsonBody(call.body);
  const read =
    call.method === 'PUT'
      ? putRequest.transform((value) => ({ kind: 'put' as const, ...value })).safeParse(body)
      : patchRequest.transform((value) => ({ kind: 'patch' as const, ...value })).safeParse(body);
  if (!read.success)
    throw new Refusal(
      amazonErrors.invalidInput(`Invalid request body: ${read.error.issues[0]?.path.join('.') ?? ''}`),
    );
  return read.data;
}

export function amazonSubmissionRoutes(
  parts: {
    readonly catalogue: AmazonCatalogue;
    readonly submissions: AmazonSubmissions;
    readonly ids: Random;
  },
  access: AmazonAccess,
): readonly Route[] {
  const { submissions, ids } = parts;
  const { shop, account } = parts.catalogue;
  const path = '/listings/2021-08-01/items/:sellerId/:sku';

  function handle(call: Call): Reply {
    requireSeller(call, account);
    if (call.method !== 'PATCH' && listParameter(call, 'marketplaceIds').length > 1)
      return amazonErrors.invalidInput('Only one marketplace is allowed here.');
    const [mode] = listParameter(call, 'mode', ['VALIDATION_PREVIEW']);
    const included = listParameter(call, 'includedData', ['identifiers', 'issues']);
    const sku = call.params['sku'] ?? '';
    const submission = readSubmission(call);
    const issues = submissions.judge(sku, submission);
    const isValid = issues.every(({ severity }) => severity !== 'ERROR');
    const submissionId = uuidText(ids);
    if (isValid && mode === undefined) submissions.accept(sku, submission, submissionId, call.lateEffectMs);
    const accepted = mode === undefined ? 'ACCEPTED' : 'VALID';
    const asin = shop.variantBySku(sku)?.attributes['asin'];
    const named = included.includes('identifiers') && mode !== undefined && asin !== undefined;
    return {
      status: 200,
      body: {
        sku,
        status: isValid ? accepted : 'INVALID',
        submissionId,
        issues,
        ...(named ? { identifiers: [{ marketplaceId: account.marketplaceId, asin }] } : {}),
      },
    };
  }

  return [
    access.route('PATCH', path, 'patchListingsItem', handle),
    access.route('PUT', path, 'putListingsItem', handle),
    access.route('DELETE', path, 'deleteListingsItem', handle),
  ];
}
