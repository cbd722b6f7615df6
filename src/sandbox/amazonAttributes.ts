/** The attribute document of an Amazon listing: what a patch may say, which issues it earns, and what the document is afterwards. */

import { z } from 'zod';

/** One attribute: a list of values, told apart by selectors such as `marketplace_id`. */
export type AttributeValues = readonly Readonly<Record<string, unknown>>[];
export type Attributes = Readonly<Record<string, AttributeValues>>;

const attributeValues = z.array(z.record(z.string(), z.unknown()));

export const patchOperation = z.object({
  op: z.enum(['add', 'replace', 'merge', 'delete']),
  path: z.string(),
  value: attributeValues.optional(),
});
export type PatchOperation = z.infer<typeof patchOperation>;

export const patchRequest = z.object({
  productType: z.string().min(1),
  patches: z.array(patchOperation).min(1),
});

export const putRequest = z.object({
  productType: z.string().min(1),
  requirements: z.enum(['LISTING', 'LISTING_PRODUCT_ONLY', 'LISTING_OFFER_ONLY']).optional(),
  attributes: z.record(z.string(), attributeValues),
});

export type Issue = {
  readonly code: string;
  readonly message: string;
  readonly severity: 'ERROR' | 'WARNING' | 'INFO';
  readonly attributeNames: readonly string[];
  readonly categories: readonly string[];
};

/** `90220` and `90000900` are the codes of the model's own examples: required but missing, and invalid. */
const missing = (attribute: string): Issue => ({
  code: '90220',
  message: `'${attribute}' is required but not supplied.`,
  severity: 'ERROR',
  attributeNames: [attribute],
  categories: ['MISSING_ATTRIBUTE'],
});
export const invalid = (attribute: string, message: string): Issue => ({
  code: '90000900',
  message,
  severity: 'ERROR',
  attributeNames: [attribute],
  categories: ['INVALID_ATTRIBUTE'],
});

/** What tells two values of one attribute apart, by the product type definitions' `selectors`. */
const selectors = ['fulfillment_channel_code', 'marketplace_id', 'audience', 'language_tag'];

const selects = (a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean =>
  selectors.every((selector) => a[selector] === b[selector]);

/** The attribute's name, when the path is `/attributes/{name}`: only top-level attributes can be patched. */
export const attributeOf = (path: string): string | null =>
  /^\/attributes\/([a-z0-9_]+)$/.exec(path)?.[1] ?? null;

const patched = (before: AttributeValues, operation: PatchOperation): AttributeValues => {
  const value = operation.value ?? [];
  if (operation.op === 'add' || operation.op === 'replace') return value;
  // Without a value the whole attribute goes, with one only what its selectors name.
  if (operation.op === 'delete')
    return value.length === 0 ? [] : before.filter((each) => !value.some((named) => selects(each, named)));
  const kept = before.map((each) =>
    Object.assign({}, each, ...value.filter((added) => selects(each, added))),
  );
  const added = value.filter((each) => !before.some((old) => selects(old, each)));
  return [...kept, ...added];
};

/** The document after the operations, in their order. Operations on paths other than `/attributes/{name}` do nothing. */
export const applyPatches = (attributes: Attributes, operations: readonly PatchOperation[]): Attributes => {
  const next: Record<string, AttributeValues> = { ...attributes };
  for (const operation of operations) {
    const name = attributeOf(operation.path);
    if (name === null) continue;
    const values = patched(next[name] ?? [], operation);
    if (values.length === 0) delete next[name];
    else next[name] = values;
  }
  return next;
};

const merchantChannel = 'DEFAULT';

const availability = z.object({
  fulfillment_channel_code: z.string(),
  quantity: z.number().int().min(0).optional(),
});

const amounts = z
  .array(z.object({ schedule: z.array(z.object({ value_with_tax: z.number().positive() })).min(1) }))
  .min(1);
const offer = z.object({
  marketplace_id: z.string().optional(),
  currency: z.string(),
  our_price: amounts,
  minimum_seller_allowed_price: amounts.optional(),
  maximum_seller_allowed_price: amounts.optional(),
});
type Amounts = z.infer<typeof amounts>;

const amountOf = (values: Amounts | undefined): number | undefined =>
  values?.[0]?.schedule[0]?.value_with_tax;

/** The offer that every buyer sees; others are for one audience, such as `B2B`. */
export const isForEverybody = (value: Readonly<Record<string, unknown>>): boolean =>
  (value['audience'] ?? 'ALL') === 'ALL';

/** The merchant-fulfilled quantity of a document; null when it says none. */
export const quantityOf = (attributes: Attributes): number | null => {
  for (const each of attributes['fulfillment_availability'] ?? []) {
    const read = availability.safeParse(each);
    if (read.success && read.data.fulfillment_channel_code === merchantChannel)
      return read.data.quantity ?? null;
  }
  return null;
};

/** The selling price of a document as a number and a currency; null when it says none. */
export const priceOf = (
  attributes: Attributes,
): { readonly amount: number; readonly currency: string } | null => {
  for (const each of (attributes['purchasable_offer'] ?? []).filter(isForEverybody)) {
    const read = offer.safeParse(each);
    const amount = amountOf(read.data?.our_price);
    if (read.success && amount !== undefined) return { amount, currency: read.data.currency };
  }
  return null;
};

const availabilityIssues = (values: AttributeValues, amazonFulfilled: boolean): readonly Issue[] => {
  const name = 'fulfillment_availability';
  return values.flatMap((value) => {
    if (amazonFulfilled || value['fulfillment_channel_code'] !== merchantChannel) {
      return [invalid(name, `The quantity of an offer fulfilled by Amazon cannot be set by the seller.`)];
    }
    return availability.safeParse(value).success
      ? []
      : [
          invalid(
            name,
            `The value '${String(value['quantity'])}' specified for '${name}' is invalid: quantity must be a whole number of at least 0.`,
          ),
        ];
  });
};

const offerIssues = (values: AttributeValues, currency: string): readonly Issue[] =>
  values.flatMap((value) => {
    const read = offer.safeParse(value);
    if (!read.success)
      return [invalid('purchasable_offer', "The value specified for 'our_price' is invalid.")];
    if (read.data.currency !== currency)
      return [
        invalid(
          'purchasable_offer',
          `The currency '${read.data.currency}' is not the marketplace's currency '${currency}'.`,
        ),
      ];
    return isWithinLimits(read.data)
      ? []
      : [
          invalid(
            'purchasable_offer',
            "The value specified for 'our_price' is outside the seller's own limits.",
          ),
        ];
  });

/** Sellers may say the lowest and highest price that they ever want. */
const isWithinLimits = (read: z.infer<typeof offer>): boolean => {
  const price = amountOf(read.our_price) ?? 0;
  const least = amountOf(read.minimum_seller_allowed_price) ?? 0;
  const most = amountOf(read.maximum_seller_allowed_price) ?? Number.POSITIVE_INFINITY;
  return price >= least && price <= most;
};

export type ListingFacts = {
  /** True: an FBA offer, whose quantity is Amazon's. */
  readonly amazonFulfilled: boolean;
  readonly currency: string;
};

/** What is wrong with the values of these attributes, in the order given. */
export const attributeIssues = (attributes: Attributes, facts: ListingFacts): readonly Issue[] => [
  ...availabilityIssues(attributes['fulfillment_availability'] ?? [], facts.amazonFulfilled),
  ...offerIssues(attributes['purchasable_offer'] ?? [], facts.currency),
];

/** What is wrong with the operations of a patch of this document. */
export const patchIssues = (
  operations: readonly PatchOperation[],
  facts: ListingFacts,
  before: Attributes = {},
): readonly Issue[] =>
  operations.flatMap((operation) => {
    const name = attributeOf(operation.path);
    if (name === null)
      return [
        invalid(
          'patches',
          `The path '${operation.path}' is not supported: only top-level attributes can be patched.`,
        ),
      ];
    if (operation.op === 'delete') return [];
    if ((operation.value ?? []).length === 0) return [missing(name)];
    const issues = attributeIssues({ [name]: operation.value ?? [] }, facts);
    if (issues.length > 0 || name !== 'purchasable_offer') return issues;
    // What a merge leaves standing, such as the seller's own limits, is judged with it.
    return attributeIssues({ [name]: applyPatches(before, [operation])[name] ?? [] }, facts);
  });

/** Attributes that a new offer on an existing catalogue item needs; those of a new catalogue item are not known here. */
const requiredOfOffers = ['condition_type', 'fulfillment_availability', 'purchasable_offer'];

/** What a full submission lacks or says wrongly. */
export const putIssues = (attributes: Attributes, facts: ListingFacts): readonly Issue[] => [
  ...requiredOfOffers.filter((name) => attributes[name] === undefined).map(missing),
  ...attributeIssues(attributes, facts),
];
