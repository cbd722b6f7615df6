/** Finds the offers and warehouses of SKUs, which every quantity change must name; remembers them for a bounded time. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import { parseBody } from '../wire.ts';
import type { EbayApi } from './auth.ts';
import { type EbayError, errorsIn } from './errors.ts';

const offerSchema = z.object({
  offerId: z.string(),
  format: z.string().optional(),
  status: z.string().optional(),
  availableQuantity: z.int().nonnegative().optional(),
  pricingSummary: z
    .object({ price: z.object({ value: z.string(), currency: z.string() }).optional() })
    .optional(),
  listing: z.object({ listingId: z.string().optional(), listingStatus: z.string().optional() }).optional(),
});
export type Offer = z.output<typeof offerSchema>;
const offersSchema = z.object({ offers: z.array(offerSchema).default([]) });

// Kept whole, as eBay loses what is not sent back.
const distributionSchema = z.looseObject({ merchantLocationKey: z.string(), quantity: z.int().optional() });
export type Distribution = z.output<typeof distributionSchema>;

export const inventoryItemSchema = z.object({
  sku: z.string().optional(),
  availability: z
    .object({
      shipToLocationAvailability: z
        .object({
          quantity: z.int().nonnegative().optional(),
          availabilityDistributions: z.array(distributionSchema).optional(),
        })
        .optional(),
    })
    .optional(),
  product: z.object({ title: z.string().optional() }).optional(),
});
export type InventoryItem = z.output<typeof inventoryItemSchema>;

/** eBay, bulkGetInventoryItem: up to 25. */
const skusPerRead = 25;
export const offerLookupsAtOnce = 8;

/** All offers of a SKU, published or not; none when eBay knows no offer. Throws `ChannelError`. */
export async function offersOf(api: EbayApi, sku: string): Promise<readonly Offer[]> {
  const operation = 'ebay.getOffers';
  const path = `/sell/inventory/v1/offer?sku=${encodeURIComponent(sku)}&limit=100`;
  const response = await api.call({
    api: 'inventory',
    method: 'GET',
    path,
    operation,
    retry: 'safe',
    answers: [404],
  });
  return response.status === 404 ? [] : parseBody(offersSchema, response, operation).offers;
}

/** Offers that buyers see or will see again when the quantity rises. Auctions sell one unit and take no quantity. */
export function isLive(offer: Offer): boolean {
  if (offer.status !== 'PUBLISHED' || offer.format === 'AUCTION') return false;
  return !endedStatuses.has(offer.listing?.listingStatus ?? 'ACTIVE');
}

/** The offer whose price and address stand for the SKU. */
export function shownOffer(offers: readonly Offer[]): Offer | undefined {
  return offers.find(isLive) ?? offers[0];
}

const endedStatuses = new Set(['ENDED', 'EBAY_ENDED', 'NOT_LISTED']);

export type ItemAnswer =
  | { readonly item: InventoryItem }
  | { readonly status: number; readonly errors: readonly EbayError[] };

const bulkSchema = z.object({
  responses: z.array(
    z.object({
      sku: z.string(),
      statusCode: z.int(),
      inventoryItem: inventoryItemSchema.nullish(),
      errors: z.unknown().optional(),
    }),
  ),
});

/** One answer per SKU that eBay answered for. Throws `ChannelError` when a whole call fails. */
export async function inventoryItems(
  api: EbayApi,
  skus: readonly string[],
): Promise<ReadonlyMap<string, ItemAnswer>> {
  const answers = new Map<string, ItemAnswer>();
  const operation = 'ebay.bulkGetInventoryItem';
  for (const some of chunks([...new Set(skus)], skusPerRead)) {
    const response = await api.call({
      api: 'inventory',
      method: 'POST',
      path: '/sell/inventory/v1/bulk_get_inventory_item',
      operation,
      // A read in spite of the method.
      retry: 'safe',
      json: { requests: some.map((sku) => ({ sku })) },
    });
    for (const { sku, statusCode, inventoryItem, errors } of parseBody(bulkSchema, response, operation)
      .responses) {
      const found = statusCode < 300 && inventoryItem ? { item: inventoryItem } : null;
      answers.set(sku, found ?? { status: statusCode, errors: errorsIn({ errors }) });
    }
  }
  return answers;
}

// ---------------------------------------------------------------------------------------------------------------- memory

/** What a write must name besides the quantity. */
export type Unit = {
  readonly liveOfferIds: readonly string[];
  readonly distributions: readonly Distribution[];
};
/** `Unit`, or why there is none. */
export type UnitAnswer = Unit | { readonly status: number; readonly errors: readonly EbayError[] };

export type Units = {
  /** The units of `skus`, fetched when not remembered. Throws `ChannelError`. */
  find(api: EbayApi, skus: readonly string[]): Promise<ReadonlyMap<string, UnitAnswer>>;
  forget(sku: string): void;
};

const unitsMax = 20_000;
/** An offer published elsewhere meanwhile is bounded by the item's own quantity, which is always written. */
const unitLifeMs = 600_000;

export function createUnits(now: () => number): Units {
  const remembered = new Map<string, { readonly unit: Unit; readonly until: number }>();

  const remember = (sku: string, unit: Unit): void => {
    remembered.delete(sku);
    remembered.set(sku, { unit, until: now() + unitLifeMs });
    const [oldest] = remembered.keys();
    if (remembered.size > unitsMax && oldest !== undefined) remembered.delete(oldest);
  };

  return {
    forget: (sku) => void remembered.delete(sku),
    find: async (api, skus) => {
      const units = new Map<string, UnitAnswer>();
      for (const sku of skus) {
        const known = remembered.get(sku);
        if (known !== undefined && now() < known.until) units.set(sku, known.unit);
      }
      const missing = skus.filter((sku) => !units.has(sku));
      if (missing.length === 0) return units;
      const items = await inventoryItems(api, missing);
      await mapBounded(missing, offerLookupsAtOnce, async (sku) => {
        const answer = items.get(sku) ?? { status: 404, errors: [] };
        if (!('item' in answer)) {
          units.set(sku, answer);
          return;
        }
        const offers = await offersOf(api, sku);
        const { availabilityDistributions } = answer.item.availability?.shipToLocationAvailability ?? {};
        const liveOfferIds = offers.filter(isLive).map((offer) => offer.offerId);
        const unit = { liveOfferIds, distributions: availabilityDistributions ?? [] };
        remember(sku, unit);
        units.set(sku, unit);
      });
      return units;
    },
  };
}
