/** The shop's products, variants, inventory items and levels as Shopify's GraphQL objects. */

import { decimalText } from './decimal.ts';
import type { Listing, Money, Variant } from './goods.ts';
import { connection, type PageArguments, type Pager, type SortKey } from './shopifyPaging.ts';
import type { Shop, StockView } from './world.ts';

export const shopDomain = 'demo-shop.myshopify.com';
export const shopLegacyId = '61000001';
export const locationLegacyId = '65000001';

/** An inventory item and its variant are two objects with two numbers: the distance between them. */
const variantOffset = 4_000_000;

export const gid = (type: string, id: string | number) => `gid://shopify/${type}/${id}`;

/** The number at the end of a global id of this type (without its query string), or null for another type. */
export function legacyId(type: string, globalId: string): string | null {
  return new RegExp(`^gid://shopify/${type}/(\\d+)(?:\\?.*)?$`, 'u').exec(globalId)?.[1] ?? null;
}

/** Shopify's DateTime has whole seconds. */
export const dateTime = (milliseconds: number) => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;

export function moneyBag(money: Money) {
  const money2 = { amount: decimalText(money), currencyCode: money.currency };
  return { shopMoney: money2, presentmentMoney: money2 };
}

export const byId = (id: string): SortKey => ({ key: 0, id });

export const variantLegacyId = ({ id }: Pick<Variant, 'id'>) => String(Number(id) - variantOffset);

export function findByVariantId(shop: Shop, legacy: string): Variant | undefined {
  return shop.variant(String(Number(legacy) + variantOffset));
}

export function locationObject() {
  return {
    __typename: 'Location',
    id: gid('Location', locationLegacyId),
    legacyResourceId: locationLegacyId,
    name: 'Workshop',
    isActive: true,
    fulfillsOnlineOrders: true,
  };
}

export function shopObject(currency: string) {
  return {
    __typename: 'Shop',
    id: gid('Shop', shopLegacyId),
    name: 'Demo Shop',
    myshopifyDomain: shopDomain,
    currencyCode: currency,
    url: `https://${shopDomain}`,
  };
}

export type GoodsObjects = {
  readonly item: (variant: Variant) => object;
  readonly level: (variant: Variant) => object;
  readonly variant: (variant: Variant) => object;
  readonly product: (listing: Listing) => object;
};

const statuses: Partial<Record<Listing['state'], string>> = { active: 'ACTIVE', draft: 'DRAFT' };

/** Objects for one request: quantities come from `view`, so that every number in one answer is equally old. */
export function createGoodsObjects(shop: Shop, view: StockView, pager: Pager): GoodsObjects {
  const quantity = (variant: Variant, name: string): number | null => {
    const available = view.quantity(variant);
    if (name === 'available') return available;
    if (name === 'committed') return variant.committed;
    if (name === 'on_hand') return available + variant.committed;
    return ['incoming', 'reserved', 'damaged', 'quality_control', 'safety_stock'].includes(name) ? 0 : null;
  };

  const objects: GoodsObjects = {
    item: (variant) => ({
      __typename: 'InventoryItem',
      id: gid('InventoryItem', variant.id),
      legacyResourceId: variant.id,
      sku: variant.sku === '' ? null : variant.sku,
      tracked: variant.tracked,
      createdAt: dateTime(variant.updatedAt),
      // A level's change does not move the item's own time.
      updatedAt: dateTime(variant.updatedAt),
      variant: () => objects.variant(variant),
      variants: (page: PageArguments) =>
        connection([variant], page, () => byId(variant.id), objects.variant, pager),
      inventoryLevel: ({ locationId }: { locationId: string }) =>
        locationId === gid('Location', locationLegacyId) ? objects.level(variant) : null,
      inventoryLevels: (page: PageArguments) =>
        connection([variant], page, () => byId(locationLegacyId), objects.level, pager),
    }),
    level: (variant) => ({
      __typename: 'InventoryLevel',
      id: `${gid('InventoryLevel', locationLegacyId)}?inventory_item_id=${variant.id}`,
      isActive: true,
      createdAt: dateTime(variant.updatedAt),
      updatedAt: dateTime(variant.stockUpdatedAt),
      item: () => objects.item(variant),
      location: locationObject,
      quantities: ({ names }: { names: readonly string[] }) =>
        names.flatMap((name) => {
          const value = quantity(variant, name);
          if (value === null) return [];
          const id = `${gid('InventoryQuantity', `${locationLegacyId}-${variant.id}`)}?name=${name}`;
          return [
            {
              __typename: 'InventoryQuantity',
              id,
              name,
              quantity: value,
              updatedAt: dateTime(variant.stockUpdatedAt),
            },
          ];
        }),
    }),
    variant: (variant) => ({
      __typename: 'ProductVariant',
      id: gid('ProductVariant', variantLegacyId(variant)),
      legacyResourceId: variantLegacyId(variant),
      sku: variant.sku === '' ? null : variant.sku,
      title: 'Default Title',
      displayName: `${variant.title} - Default Title`,
      price: decimalText(variant.price),
      inventoryPolicy: variant.sellsBeyond ? 'CONTINUE' : 'DENY',
      inventoryQuantity: view.quantity(variant),
      inventoryItem: () => objects.item(variant),
      product: () => objects.product(shop.requireListing(variant.listingId)),
      createdAt: dateTime(variant.updatedAt),
      updatedAt: dateTime(variant.updatedAt),
    }),
    product: (listing) => {
      const handle = listing.title.toLowerCase().replaceAll(/[^a-z0-9]+/gu, '-');
      return {
        __typename: 'Product',
        id: gid('Product', listing.id),
        legacyResourceId: listing.id,
        title: listing.title,
        handle,
        status: statuses[listing.state] ?? 'ARCHIVED',
        createdAt: dateTime(listing.createdAt),
        updatedAt: dateTime(listing.updatedAt),
        onlineStoreUrl: listing.state === 'active' ? `https://${shopDomain}/products/${handle}` : null,
        onlineStorePreviewUrl: `https://${shopDomain}/products/${handle}`,
        variants: (page: PageArguments) =>
          connection(shop.variantsOf(listing), page, (variant) => byId(variant.id), objects.variant, pager),
      };
    },
  };
  return objects;
}
