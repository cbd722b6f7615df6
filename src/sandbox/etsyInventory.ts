/** Etsy's inventory write: it replaces the whole listing, is checked as a whole, and refuses a listing without a single unit. */
import { z } from 'zod';
import { moneyOf } from './decimal.ts';
import { etsyRefusal } from './etsyAccess.ts';
import type { Listing, Money, PropertyDependence, PropertyValue, Variant } from './goods.ts';
import type { Shop } from './world.ts';

/** Etsy shows at most 999 of one offering. */
const quantityMax = 999;

/** Etsy takes prices from 0.20 to 50 000 in its own currency, the US dollar; of others nothing is known here. */
const priceRange: Readonly<Record<string, readonly [least: number, most: number]>> = { USD: [20, 5_000_000] };

const ids = z.array(z.int());

const inventorySchema = z.object({
  products: z
    .array(
      z.object({
        sku: z.string().nullish(),
        property_values: z
          .array(
            z.object({
              property_id: z.int().min(1),
              property_name: z.string().nullish(),
              scale_id: z.int().nullish(),
              value_ids: ids,
              values: z.array(z.string()),
            }),
          )
          .default([]),
        offerings: z
          .array(
            z.object({
              price: z.number().positive(),
              quantity: z.int().min(0),
              is_enabled: z.boolean(),
              readiness_state_id: z.int().nullable(),
            }),
          )
          .length(1),
      }),
    )
    .min(1),
  price_on_property: ids.default([]),
  quantity_on_property: ids.default([]),
  sku_on_property: ids.default([]),
  readiness_state_on_property: ids.nullish(),
});

type Product = {
  readonly sku: string;
  readonly quantity: number;
  readonly price: Money;
  readonly enabled: boolean;
  readonly properties: readonly PropertyValue[];
};

/** The products of a write. Throws a 400 in Etsy's form when the body breaks a rule. */
export function readInventory(
  body: unknown,
  currency: string,
): { readonly products: readonly Product[]; readonly dependence: PropertyDependence } {
  const parsed = inventorySchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw etsyRefusal(
      400,
      `Invalid value for ${issue?.path.join('.') ?? 'body'}: ${issue?.message ?? 'not valid'}`,
    );
  }
  const { data } = parsed;
  const products = data.products.map((product): Product => {
    const [offering] = product.offerings;
    const price = moneyOf(offering?.price ?? 0, currency);
    if (offering === undefined || price === null) throw etsyRefusal(400, 'Invalid price for offering');
    const [least, most] = priceRange[currency] ?? [1, Number.MAX_SAFE_INTEGER];
    if (price.minor < least || price.minor > most)
      throw etsyRefusal(400, 'The price must be between 0.20 and 50000.00');
    return {
      sku: product.sku ?? '',
      quantity: offering.quantity,
      price,
      enabled: offering.is_enabled,
      properties: product.property_values.map((each) => ({
        propertyId: each.property_id,
        propertyName: each.property_name ?? '',
        scaleId: each.scale_id ?? null,
        valueIds: each.value_ids,
        values: each.values,
      })),
    };
  });
  const dependence: PropertyDependence = {
    price: data.price_on_property,
    quantity: data.quantity_on_property,
    sku: data.sku_on_property,
    readiness: data.readiness_state_on_property ?? [],
  };
  checkProducts(products, dependence);
  return { products, dependence };
}

function checkProducts(products: readonly Product[], dependence: PropertyDependence): void {
  if (products.every(({ quantity }) => quantity === 0))
    throw etsyRefusal(400, 'One offering must have quantity greater than 0');
  if (products.some(({ quantity }) => quantity > quantityMax))
    throw etsyRefusal(400, `Offering quantity must be no more than ${quantityMax}`);
  if (
    products.some(({ properties }) =>
      properties.some(({ values }) => values.some((value) => /[()]/u.test(value))),
    )
  )
    throw etsyRefusal(400, 'Property values may not contain parentheses');
  const known = new Set(products.flatMap(({ properties }) => properties.map(({ propertyId }) => propertyId)));
  for (const id of [...dependence.price, ...dependence.quantity, ...dependence.sku]) {
    if (!known.has(id))
      throw etsyRefusal(400, `Property ${id} is named in *_on_property but no product has it`);
  }
  if (new Set(products.map((product) => combination(product.properties))).size < products.length)
    throw etsyRefusal(400, 'Products must have unique property values');
  requireEqual('price', products, dependence.price, ({ price }) => price.minor);
  requireEqual('quantity', products, dependence.quantity, ({ quantity }) => quantity);
  requireEqual('sku', products, dependence.sku, ({ sku }) => sku);
}

/** Products with the same values of the named properties must agree: with none named, all of them. */
function requireEqual(
  name: string,
  products: readonly Product[],
  properties: readonly number[],
  read: (product: Product) => string | number,
): void {
  const seen = new Map<string, string | number>();
  for (const product of products) {
    const group = combination(product.properties.filter(({ propertyId }) => properties.includes(propertyId)));
    const value = read(product);
    if (seen.has(group) && seen.get(group) !== value)
      throw etsyRefusal(400, `The ${name} of the products is incompatible with ${name}_on_property`);
    seen.set(group, value);
  }
}

function combination(properties: readonly PropertyValue[]): string {
  return JSON.stringify(
    properties
      .map(
        ({ propertyId, valueIds, values }) => [propertyId, valueIds.length > 0 ? valueIds : values] as const,
      )
      .toSorted(([a], [b]) => a - b),
  );
}

/** Replaces the products: the same property values keep their product id, what is missing is deleted, what is new is added. */
export function replaceInventory(
  shop: Shop,
  listing: Listing,
  write: ReturnType<typeof readInventory>,
  lateEffectMs: number,
): void {
  const before = new Map(
    shop.variantsOf(listing).map((variant) => [combination(variant.properties), variant]),
  );
  const kept = write.products.map((product): Variant => {
    const existing = before.get(combination(product.properties)) ?? onlyOne(before, write.products);
    if (existing === undefined) return shop.addVariant(listing.id, product);
    existing.sku = product.sku;
    existing.price = product.price;
    existing.enabled = product.enabled;
    existing.properties = product.properties;
    existing.updatedAt = shop.clock.now();
    shop.write(existing.id, { quantity: product.quantity }, null, lateEffectMs);
    return existing;
  });
  for (const variant of before.values()) {
    if (!kept.includes(variant)) shop.removeVariant(variant.id);
  }
  listing.variantIds = kept.map(({ id }) => id);
  listing.dependence = write.dependence;
  listing.updatedAt = shop.clock.now();
}

/** A listing without variations keeps its one product. */
function onlyOne(before: ReadonlyMap<string, Variant>, products: readonly Product[]): Variant | undefined {
  return before.size === 1 && products.length === 1 ? [...before.values()][0] : undefined;
}
