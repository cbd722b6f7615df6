/** The inventory record of one Etsy listing: what buyers see of it, and the whole record that a change of one variant must send. */

import { z } from 'zod';
import type { Money, StockReading } from '../connector.ts';
import { decimalFromMoney, moneyFromFraction } from '../money.ts';

const offeringSchema = z.object({
  quantity: z.int().nonnegative(),
  is_enabled: z.boolean().default(true),
  is_deleted: z.boolean().default(false),
  price: z.object({ amount: z.int(), divisor: z.int().positive(), currency_code: z.string() }),
  readiness_state_id: z.int().nullish(),
});

const propertyValueSchema = z.object({
  property_id: z.int(),
  property_name: z.string().nullish(),
  scale_id: z.int().nullish(),
  value_ids: z.array(z.int()),
  values: z.array(z.string()),
});

const productSchema = z.object({
  product_id: z.int(),
  sku: z.string().nullish(),
  is_deleted: z.boolean().default(false),
  offerings: z.array(offeringSchema),
  property_values: z.array(propertyValueSchema).default([]),
});

export const inventorySchema = z.object({
  products: z.array(productSchema),
  price_on_property: z.array(z.int()).default([]),
  quantity_on_property: z.array(z.int()).default([]),
  sku_on_property: z.array(z.int()).default([]),
  readiness_state_on_property: z.array(z.int()).nullish(),
});
export type Inventory = z.output<typeof inventorySchema>;
export type Product = Inventory['products'][number];

export function liveProducts(inventory: Inventory): readonly Product[] {
  return inventory.products.filter((product) => !product.is_deleted);
}

/**
 * The variant part of a product's address: its SKU, or `#productId` when it has none or shares it with a product that has another quantity.
 */
export function variantIdOf(inventory: Inventory, product: Product): string {
  const byNumber = `#${product.product_id}`;
  if (!product.sku) return byNumber;
  const bearers = liveProducts(inventory).filter((each) => each.sku === product.sku);
  return bearers.length > 1 && !isShared(inventory) ? byNumber : product.sku;
}

/** The products that an address means: several only where one SKU stands on several products. */
export function productsAt(inventory: Inventory, variantId: string): readonly Product[] {
  const products = liveProducts(inventory);
  // A SKU may begin with '#': the spelling of the seller comes first.
  const bySku = products.filter((product) => product.sku === variantId);
  return bySku.length > 0 ? bySku : products.filter((product) => `#${product.product_id}` === variantId);
}

/** One quantity for the whole listing (`quantity_on_property` empty): Etsy refuses products that differ. */
export function isShared(inventory: Inventory): boolean {
  return inventory.quantity_on_property.length === 0;
}

/** False when every product is switched off: hidden from buyers, whatever its quantity. */
export function isEnabled(products: readonly Product[]): boolean {
  return products.some((product) => offeringsOf(product).some((offering) => offering.is_enabled));
}

/** What the record holds for a product; an offering that is switched off counts too, as it keeps its number. */
export function recordedQuantity(product: Product): number | null {
  return offeringsOf(product)[0]?.quantity ?? null;
}

/**
 * What buyers can buy of a variant. Only an active listing sells: in any other state the record keeps numbers that nobody sees (Etsy refuses
 * to store all zeros), so the answer is 0. `state` null: not known.
 */
export function shownQuantity(inventory: Inventory, state: string | null, variantId: string): StockReading {
  const products = productsAt(inventory, variantId);
  if (products.length === 0) return unknown(`the listing has no variant "${variantId}"`);
  if (state === null) return unknown('the state of the listing is not known');
  if (state !== 'active') return { kind: 'quantity', quantity: 0 };
  const quantities = new Set(products.map(shownOf));
  const [quantity] = quantities;
  if (quantities.size > 1)
    return unknown(`several variants with different quantities carry the SKU "${variantId}"`);
  if (quantity === undefined || quantity === null) return unknown('the variant has no offering');
  return { kind: 'quantity', quantity };
}

function shownOf(product: Product): number | null {
  const offering = offeringsOf(product)[0];
  if (offering === undefined) return null;
  return offering.is_enabled ? offering.quantity : 0;
}

const unknown = (reason: string): StockReading => ({ kind: 'unknown', reason });

/** Etsy: exactly one offering per product in practice. */
function offeringsOf(product: Product): Product['offerings'] {
  return product.offerings.filter((offering) => !offering.is_deleted);
}

/** Product number to the quantity it shall have; products left out keep theirs. */
export type Quantities = ReadonlyMap<number, number>;

/** Product number to the price it shall have, in the listing's currency; products left out keep theirs. */
export type Prices = ReadonlyMap<number, Money>;

/** Null when the product has no offering. */
export function recordedPrice(product: Product): Money | null {
  const price = offeringsOf(product)[0]?.price;
  return price === undefined ? null : moneyFromFraction(price.amount, price.divisor, price.currency_code);
}

/**
 * The products that Etsy lets differ in price only together: those with the same values of the properties that `price_on_property` names. With none
 * named that is all of them.
 */
export function samePriced(inventory: Inventory): readonly (readonly Product[])[] {
  const named = inventory.price_on_property;
  const groups = Map.groupBy(liveProducts(inventory), ({ property_values: values }) =>
    JSON.stringify(
      values
        .filter(({ property_id: id }) => named.includes(id))
        .map(({ property_id: id, value_ids: ids, values: words }) => [id, ids.length > 0 ? ids : words])
        .toSorted(([one], [other]) => Number(one) - Number(other)),
    ),
  );
  return [...groups.values()];
}

/** True when no buyer could buy anything afterwards. Etsy refuses such a record: the listing must be deactivated instead. */
export function wouldBeAllZero(inventory: Inventory, quantities: Quantities): boolean {
  return liveProducts(inventory).every((product) =>
    offeringsOf(product).every(
      (offering) => !offering.is_enabled || (quantities.get(product.product_id) ?? offering.quantity) === 0,
    ),
  );
}

export function changesNothing(inventory: Inventory, quantities: Quantities): boolean {
  return liveProducts(inventory).every((product) =>
    offeringsOf(product).every(
      (offering) => (quantities.get(product.product_id) ?? offering.quantity) === offering.quantity,
    ),
  );
}

/**
 * The body of `PUT /listings/{id}/inventory`: every product, because Etsy deletes those left out, without the members that Etsy only answers,
 * and prices as plain numbers (amount / divisor).
 */
export function inventoryUpdate(
  inventory: Inventory,
  quantities: Quantities,
  prices: Prices = new Map(),
): Record<string, unknown> {
  const readiness = inventory.readiness_state_on_property;
  return {
    products: liveProducts(inventory).map((product) => ({
      sku: product.sku ?? '',
      property_values: product.property_values.map(propertyValueUpdate),
      offerings: offeringsOf(product).map((offering) => ({
        price: priceUpdate(prices.get(product.product_id), offering.price),
        quantity: quantities.get(product.product_id) ?? offering.quantity,
        is_enabled: offering.is_enabled,
        readiness_state_id: offering.readiness_state_id ?? null,
      })),
    })),
    price_on_property: inventory.price_on_property,
    quantity_on_property: inventory.quantity_on_property,
    sku_on_property: inventory.sku_on_property,
    ...(readiness ? { readiness_state_on_property: readiness } : {}),
  };
}

function priceUpdate(
  wanted: Money | undefined,
  { amount, divisor }: { readonly amount: number; readonly divisor: number },
): number {
  return wanted === undefined ? amount / divisor : Number(decimalFromMoney(wanted));
}

/** Etsy keeps the third property of a product only when it is told to expect three. */
export function hasThreeVariations(inventory: Inventory): boolean {
  return liveProducts(inventory).some((product) => product.property_values.length > 2);
}

function propertyValueUpdate(value: z.output<typeof propertyValueSchema>): Record<string, unknown> {
  return {
    property_id: value.property_id,
    value_ids: value.value_ids,
    values: value.values,
    scale_id: value.scale_id ?? null,
    // The answer may carry null here, the request may not.
    ...(value.property_name ? { property_name: value.property_name } : {}),
  };
}
