/** eBay's inventory items, offers and listings over one shop: an offer is a variant, and a relisted offer has a new listing id. */

import { decimalText } from './decimal.ts';
import type { EbayAccount } from './ebayAccount.ts';
import type { Variant } from './goods.ts';
import type { Shop, StockView } from './world.ts';

/** What a seller sent, minus the numbers that the shop keeps. */
export type EbayDocument = Readonly<Record<string, unknown>>;

export type EbayCatalogue = {
  readonly shop: Shop;
  readonly account: EbayAccount;
  /** Title, condition, pictures ... of an inventory item. */
  item(variant: Variant): EbayDocument;
  setItem(variant: Variant, document: EbayDocument): void;
  /** Category, policies, description ... of an offer. */
  offer(variant: Variant): EbayDocument;
  setOffer(variant: Variant, document: EbayDocument): void;
  hasOffer(variant: Variant): boolean;
  /** True while buyers can find the listing, sold out or not. */
  isPublished(variant: Variant): boolean;
  /** eBay's id of the listing, as it was at `at`. */
  listingId(variant: Variant, at?: number): string;
  publish(variant: Variant): string;
  withdraw(variant: Variant): string;
  /** Counts one revision of the published listing; false when today's are used up, and then nothing is counted. */
  revise(variant: Variant): boolean;
  itemBody(variant: Variant, view: StockView): unknown;
  offerBody(variant: Variant, view: StockView): unknown;
  clear(): void;
};

const dayMs = 86_400_000;

/** `revisionsPerDay`: eBay allows 250 per listing and calendar day (UTC here). */
export function createEbayCatalogue(
  shop: Shop,
  account: EbayAccount,
  revisionsPerDay: number,
): EbayCatalogue {
  const items = new Map<string, EbayDocument>();
  const offers = new Map<string, EbayDocument>();
  const relistings = new Map<string, { readonly at: number; readonly listingId: string }[]>();
  const revisions = new Map<string, { day: number; count: number }>();
  const sold = new Map<string, number>();

  shop.subscribe((event) => {
    if (event.kind !== 'stock') return;
    const { variant, change } = event;
    if (change.cause === 'buyer') sold.set(variant.id, (sold.get(variant.id) ?? 0) + change.from - change.to);
    const listing = shop.listing(variant.listingId);
    // Without out-of-stock control a seller's own zero ends the listing as the last sale does.
    if (change.to > 0 || shop.settings.atZero !== 'end' || listing?.state !== 'active') return;
    if (shop.variantsOf(listing).every((each) => shop.displayed(each) === 0))
      shop.setListingState(listing.id, 'ended');
  });

  const presetItem = (variant: Variant): EbayDocument => ({
    condition: 'NEW',
    product: {
      title: variant.title,
      description: shop.listing(variant.listingId)?.description ?? variant.title,
      aspects: { Brand: ['Sandbox'] },
    },
  });
  const presetOffer = (): EbayDocument => ({
    marketplaceId: account.marketplaceId,
    format: 'FIXED_PRICE',
    categoryId: '20695',
    listingDuration: 'GTC',
    merchantLocationKey: account.merchantLocationKey,
    listingPolicies: {
      fulfillmentPolicyId: account.fulfillmentPolicyId,
      paymentPolicyId: account.paymentPolicyId,
      returnPolicyId: account.returnPolicyId,
    },
  });

  const catalogue: EbayCatalogue = {
    shop,
    account,
    item: (variant) => items.get(variant.id) ?? presetItem(variant),
    setItem(variant, document) {
      items.set(variant.id, document);
      const title = (document['product'] as { title?: unknown } | undefined)?.title;
      variant.title = typeof title === 'string' ? title : '';
      variant.updatedAt = shop.clock.now();
    },
    offer: (variant) => offers.get(variant.id) ?? presetOffer(),
    setOffer(variant, document) {
      offers.set(variant.id, document);
      variant.updatedAt = shop.clock.now();
    },
    hasOffer: (variant) => offers.has(variant.id) || shop.listing(variant.listingId)?.state !== 'draft',
    isPublished: (variant) => shop.listing(variant.listingId)?.state === 'active' && variant.enabled,
    listingId: (variant, at = shop.clock.now()) =>
      relistings.get(variant.listingId)?.findLast((each) => each.at <= at)?.listingId ?? variant.listingId,
    publish(variant) {
      const wasListed = shop.requireListing(variant.listingId).state !== 'draft';
      if (wasListed && !catalogue.isPublished(variant)) {
        const known = relistings.get(variant.listingId) ?? [];
        const relisted = { at: shop.clock.now(), listingId: shop.identifiers.listing() };
        relistings.set(variant.listingId, [...known, relisted]);
      }
      variant.enabled = true;
      shop.setListingState(variant.listingId, 'active');
      return catalogue.listingId(variant);
    },
    withdraw(variant) {
      const listing = shop.requireListing(variant.listingId);
      if (listing.variantIds.length > 1) variant.enabled = false;
      else shop.setListingState(listing.id, 'ended');
      return catalogue.listingId(variant);
    },
    revise(variant) {
      const day = Math.floor(shop.clock.now() / dayMs);
      const listingId = catalogue.listingId(variant);
      const known = revisions.get(listingId);
      const current = known?.day === day ? known : { day, count: 0 };
      revisions.set(listingId, current);
      if (current.count >= revisionsPerDay) return false;
      current.count++;
      return true;
    },
    itemBody(variant, view) {
      const quantity = variant.tracked ? { quantity: view.quantity(variant) } : {};
      return {
        sku: variant.sku,
        locale: 'en_US',
        ...catalogue.item(variant),
        availability: { shipToLocationAvailability: quantity },
      };
    },
    offerBody(variant, view) {
      const number = view.offerQuantity(variant) ?? view.quantity(variant);
      const isPublished = catalogue.isPublished(variant);
      const isLive = isPublished && (!variant.tracked || Math.min(number, view.quantity(variant)) > 0);
      const listing = {
        listingId: catalogue.listingId(variant),
        listingStatus: isLive ? 'ACTIVE' : isPublished ? 'OUT_OF_STOCK' : 'ENDED',
        soldQuantity: sold.get(variant.id) ?? 0,
      };
      return {
        ...catalogue.offer(variant),
        offerId: variant.id,
        sku: variant.sku,
        ...(variant.tracked ? { availableQuantity: number } : {}),
        pricingSummary: { price: { value: decimalText(variant.price), currency: variant.price.currency } },
        status: isPublished ? 'PUBLISHED' : 'UNPUBLISHED',
        ...(shop.listing(variant.listingId)?.state === 'draft' ? {} : { listing }),
      };
    },
    clear() {
      for (const map of [items, offers, relistings, revisions, sold]) map.clear();
    },
  };
  return catalogue;
}
