/** Reads `available` per inventory item and location. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { ListingAddress, StockReading } from '../connector.ts';
import { isTooExpensive, type ShopifyApi } from './graphql.ts';
import { plainId, stockIds } from './ids.ts';

/** Lists are limited to 250 entries (Shopify, API limits). */
export const idsPerCall = 250;
const readsInFlight = 2;

export const inventoryItemSchema = z.looseObject({
  id: z.string(),
  sku: z.string().nullish(),
  tracked: z.boolean(),
  inventoryLevel: z
    .looseObject({ quantities: z.array(z.looseObject({ name: z.string(), quantity: z.int() })) })
    .nullish(),
});

const stockSchema = z.object({ nodes: z.array(inventoryItemSchema.nullable()) });

export const unknownItem = { kind: 'unknown', reason: 'Shopify does not know this inventory item' } as const;

type InventoryItem = z.output<typeof inventoryItemSchema>;

/**
 * The units that buyers can see where Shopify counts so many. `available` falls below 0 where selling goes on without stock, at the point of sale and by draft
 * orders. How far, the orders tell: as a number that is shown it would pass for units that somebody has taken out.
 */
export function unitsShown(available: number): number {
  return Math.max(0, available);
}

/** What an inventory item says at the location that was asked for, as buyers see it. */
export function stockReading(item: InventoryItem): StockReading {
  const counted = countedStock(item);
  return counted.kind === 'quantity' ? { ...counted, quantity: unitsShown(counted.quantity) } : counted;
}

/** The same as Shopify counts it: below 0, too. */
export function countedStock(item: InventoryItem): StockReading {
  if (!item.tracked) return { kind: 'notTracked' };
  if (item.inventoryLevel === null || item.inventoryLevel === undefined) {
    return { kind: 'unknown', reason: 'the item is not stocked at the location' };
  }
  const available = item.inventoryLevel.quantities.find((entry) => entry.name === 'available');
  return available === undefined
    ? { kind: 'unknown', reason: 'Shopify answered no available quantity' }
    : { kind: 'quantity', quantity: available.quantity };
}

export async function readShopifyStock(
  api: ShopifyApi,
  addresses: readonly ListingAddress[],
): Promise<StockReading[]> {
  const idsByLocation = new Map<string, Set<string>>();
  for (const address of addresses) {
    const ids = stockIds(address);
    if (ids === null) continue;
    const known = idsByLocation.get(ids.locationId) ?? new Set();
    idsByLocation.set(ids.locationId, known.add(ids.inventoryItemId));
  }
  const calls = [...idsByLocation].flatMap(([locationId, ids]) =>
    chunks([...ids], idsPerCall).map((chunk) => ({ locationId, ids: chunk })),
  );
  const pages = await mapBounded(calls, readsInFlight, (call) => readPage(api, call.ids, call.locationId));
  const readings = new Map(pages.flat());
  return addresses.map((address) => {
    return readings.get(address.unitId) ?? unknownItem;
  });
}

async function readPage(
  api: ShopifyApi,
  ids: readonly string[],
  locationId: string,
): Promise<[unitId: string, reading: StockReading][]> {
  try {
    const items = await readItems(api, ids, locationId);
    return items.map((item) => [`${plainId(item.id)}/${plainId(locationId)}`, stockReading(item)]);
  } catch (error) {
    if (!isTooExpensive(error) || ids.length === 1) throw error;
    const halves = chunks(ids, Math.ceil(ids.length / 2));
    const pages = await mapBounded(halves, 1, (half) => readPage(api, half, locationId));
    return pages.flat();
  }
}

/** Those that Shopify knows. */
export async function readItems(
  api: ShopifyApi,
  ids: readonly string[],
  locationId: string,
): Promise<readonly InventoryItem[]> {
  const variables = { ids, locationId };
  const { nodes } = await api.run({ operation: 'stock', variables, schema: stockSchema, retry: 'safe' });
  return nodes.filter((node) => node !== null);
}
