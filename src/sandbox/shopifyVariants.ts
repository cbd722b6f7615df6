/** Shopify's productVariantsBulkUpdate: changes prices of one product's variants, all or, when partial updates are allowed, those that are right. */
import { moneyOf } from './decimal.ts';
import type { Listing, Money, Variant } from './goods.ts';
import { findByVariantId, type GoodsObjects, legacyId } from './shopifyGoods.ts';
import type { Shop } from './world.ts';

export type VariantsBulkUpdate = {
  readonly allowPartialUpdates: boolean;
  readonly productId: string;
  readonly variants: readonly {
    readonly id?: string | null;
    readonly price?: string | null;
    readonly compareAtPrice?: string | null;
  }[];
};

type UserError = {
  readonly code: string;
  readonly field: readonly string[];
  readonly message: string;
};

type Change = { readonly variant: Variant; readonly price: Money | null };

export function updateVariants(shop: Shop, goods: GoodsObjects, input: VariantsBulkUpdate): object {
  const product = shop.listing(legacyId('Product', input.productId) ?? '');
  if (product === undefined) {
    const error = { code: 'PRODUCT_DOES_NOT_EXIST', field: ['productId'], message: 'Product does not exist' };
    return { product: null, productVariants: null, userErrors: [error] };
  }
  const read = input.variants.map((each, index) => readChange(shop, product, each, String(index)));
  const userErrors = read.filter((each) => 'code' in each);
  const changes = read.filter((each) => 'variant' in each);
  if (userErrors.length > 0 && !input.allowPartialUpdates)
    return { product: goods.product(product), productVariants: null, userErrors };
  for (const { variant, price } of changes) {
    if (price === null) continue;
    variant.price = price;
    variant.updatedAt = shop.clock.now();
  }
  return {
    product: goods.product(product),
    productVariants: changes.map(({ variant }) => goods.variant(variant)),
    userErrors,
  };
}

function readChange(
  shop: Shop,
  product: Listing,
  { id, price }: VariantsBulkUpdate['variants'][number],
  index: string,
): Change | UserError {
  const at = ['variants', index];
  if (id === null || id === undefined)
    return {
      code: 'PRODUCT_VARIANT_ID_MISSING',
      field: [...at, 'id'],
      message: 'Product variant is missing ID attribute',
    };
  const variant = findByVariantId(shop, legacyId('ProductVariant', id) ?? '');
  if (variant === undefined || variant.listingId !== product.id)
    return {
      code: 'PRODUCT_VARIANT_DOES_NOT_EXIST',
      field: [...at, 'id'],
      message: 'Product variant does not exist',
    };
  if (price === null || price === undefined) return { variant, price: null };
  if (price.startsWith('-'))
    return {
      code: 'GREATER_THAN_OR_EQUAL_TO',
      field: [...at, 'price'],
      message: 'Price must be greater than or equal to 0',
    };
  const money = moneyOf(price, variant.price.currency);
  return money === null
    ? { code: 'INVALID_INPUT', field: [...at, 'price'], message: 'Price is invalid' }
    : { variant, price: money };
}
