/** The demo's catalogue: a small maker's shop whose stock is spread unevenly over four marketplaces, and how it is put into the shops. */
import { demoGoods } from './demoGoods.ts';
import type { ListingInput, Money, Platform, PropertyValue, VariantInput } from './goods.ts';
import { platforms } from './goods.ts';
import type { Shop } from './world.ts';

/** Where one item is for sale, and under which name. */
export type Placement = {
  readonly platform: Platform;
  /** The channel's spelling of the SKU: usually the seller's own. */
  readonly sku: string;
  readonly price: Money;
  /** Items with the same title here are variants of one listing (Etsy). Null: a listing of its own. */
  readonly sharedListing: string | null;
  readonly properties: readonly PropertyValue[];
  readonly attributes: Readonly<Record<string, string>>;
  /** Shopify's `inventoryPolicy: CONTINUE`. Default false. */
  readonly sellsBeyond?: boolean;
};

export type CatalogueItem = {
  /** The seller's own spelling. */
  readonly sku: string;
  readonly title: string;
  /** Units on the seller's shelf; every placement starts by showing all of them. */
  readonly quantity: number;
  readonly price: Money;
  /** How much buyers want it, in comparison with 1. */
  readonly demand: number;
  readonly placements: readonly Placement[];
};

export type Good = {
  readonly sku: string;
  readonly title: string;
  readonly quantity: number;
  /** US cents. */
  readonly cents: number;
  /** First letters of the platforms: e(tsy) a(mazon) b (eBay) s(hopify). */
  readonly on: string;
  readonly demand?: number;
  /** The channel's own spelling where it is another. */
  readonly spelling?: Partial<Record<Platform, string>>;
  /** On Etsy a variant of this listing, told apart by one property. */
  readonly variantOf?: {
    readonly title: string;
    readonly property: 'Primary color' | 'Size';
    readonly value: string;
  };
  readonly amazonFulfilled?: boolean;
};

const letters: Readonly<Record<Platform, string>> = { etsy: 'e', amazon: 'a', ebay: 'b', shopify: 's' };
const propertyIds = { 'Primary color': 200, Size: 62809790395 } as const;

const dollars = (minor: number): Money => ({ minor, currency: 'USD' });

function propertiesOf(good: Good, index: number): readonly PropertyValue[] {
  if (good.variantOf === undefined) return [];
  const { property, value } = good.variantOf;
  const propertyId = propertyIds[property];
  return [{ propertyId, propertyName: property, scaleId: null, valueIds: [1000 + index], values: [value] }];
}

function attributesOf(platform: Platform, good: Good, index: number): Readonly<Record<string, string>> {
  if (platform !== 'amazon') return {};
  const asin = `B0DEMO${String(index + 1).padStart(4, '0')}`;
  const fulfilled: Record<string, string> =
    good.amazonFulfilled === true ? { fulfillmentChannelCode: 'AMAZON_NA' } : {};
  return { asin, productType: 'HOME', ...fulfilled };
}

function itemOf(good: Good, index: number): CatalogueItem {
  const placements = platforms
    .filter((platform) => good.on.includes(letters[platform]))
    .map((platform): Placement => {
      const onEtsy = platform === 'etsy';
      return {
        platform,
        sku: good.spelling?.[platform] ?? good.sku,
        price: dollars(good.cents),
        sharedListing: onEtsy ? (good.variantOf?.title ?? null) : null,
        properties: onEtsy ? propertiesOf(good, index) : [],
        attributes: attributesOf(platform, good, index),
      };
    });
  const { sku, title, quantity, demand = 1 } = good;
  return { sku, title, quantity, price: dollars(good.cents), demand, placements };
}

/** The demo's items, always the same. */
export const demoCatalogue: readonly CatalogueItem[] = demoGoods.map(itemOf);

/** A catalogue for tests: these SKUs with this many units each, every one on all four marketplaces unless `on` names some. */
export function tinyCatalogue(
  skus: Readonly<Record<string, number>>,
  on: readonly Platform[] = platforms,
): readonly CatalogueItem[] {
  const letterText = on.map((platform) => letters[platform]).join('');
  return Object.entries(skus).map(([sku, quantity], index) =>
    itemOf({ sku, title: `Item ${sku}`, quantity, cents: 2450, on: letterText }, index),
  );
}

/** For tests: the same item, which Shopify goes on selling when it is out of stock. */
export function soldBeyond(item: CatalogueItem): CatalogueItem {
  const placements = item.placements.map((placement) =>
    placement.platform === 'shopify' ? { ...placement, sellsBeyond: true } : placement,
  );
  return { ...item, placements };
}

/** Lists everything that the catalogue places on this shop's platform. */
export function stockShop(shop: Shop, catalogue: readonly CatalogueItem[]): void {
  const groups = new Map<string, { readonly item: CatalogueItem; readonly placement: Placement }[]>();
  for (const item of catalogue) {
    for (const placement of item.placements.filter(({ platform }) => platform === shop.platform)) {
      const key = placement.sharedListing ?? `single ${item.sku}`;
      groups.set(key, [...(groups.get(key) ?? []), { item, placement }]);
    }
  }
  for (const group of groups.values()) shop.addListing(listingOf(shop.platform, group));
}

function listingOf(
  platform: Platform,
  group: readonly { readonly item: CatalogueItem; readonly placement: Placement }[],
): ListingInput {
  const [first] = group;
  const title = first?.placement.sharedListing ?? first?.item.title ?? '';
  const ids = [
    ...new Set(group.flatMap(({ placement }) => placement.properties.map(({ propertyId }) => propertyId))),
  ];
  const samePrice = new Set(group.map(({ placement }) => placement.price.minor)).size === 1;
  const variants = group.map(({ item, placement }): VariantInput => {
    const { sku, price, properties, attributes, sellsBeyond = false } = placement;
    const { quantity, title: name } = item;
    const variant = { sku, quantity, price, title: name, properties, attributes, sellsBeyond };
    return platform === 'ebay' ? Object.assign(variant, { offerQuantity: item.quantity }) : variant;
  });
  return {
    title,
    description: `${title}, made in small batches.`,
    dependence: { price: samePrice ? [] : ids, quantity: ids, sku: ids, readiness: [] },
    variants,
  };
}
