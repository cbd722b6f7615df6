/** Reads and sets `available` per inventory item and location; every write is compared by Shopify and carries its own idempotency key. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { ListingAddress, StockReading, StockWrite, StockWriteResult } from '../connector.ts';
import { assertInTime, precedingCall, stockWriteFailure } from '../wire.ts';
import { isTooExpensive, type ShopifyApi } from './graphql.ts';
import { plainId, stockIds } from './ids.ts';

/** Lists are limited to 250 entries (Shopify, API limits). */
const idsPerCall = 250;
const readsInFlight = 2;
const writesInFlight = 4;

export const inventoryItemSchema = z.looseObject({
  id: z.string(),
  sku: z.string().nullish(),
  tracked: z.boolean(),
  inventoryLevel: z
    .looseObject({ quantities: z.array(z.looseObject({ name: z.string(), quantity: z.int() })) })
    .nullish(),
});

const stockSchema = z.object({ nodes: z.array(inventoryItemSchema.nullable()) });

const unknownItem = { kind: 'unknown', reason: 'Shopify does not know this inventory item' } as const;

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
function countedStock(item: InventoryItem): StockReading {
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
async function readItems(
  api: ShopifyApi,
  ids: readonly string[],
  locationId: string,
): Promise<readonly InventoryItem[]> {
  const variables = { ids, locationId };
  const { nodes } = await api.run({ operation: 'stock', variables, schema: stockSchema, retry: 'safe' });
  return nodes.filter((node) => node !== null);
}

// ---------------------------------------------------------------------------------------------------------------- writing

const setSchema = z.object({
  inventorySetQuantities: z.looseObject({
    userErrors: z.array(
      z.looseObject({
        code: z.string().nullish(),
        message: z.string(),
        field: z.array(z.string()).nullish(),
      }),
    ),
  }),
});

/**
 * One call per write. Shopify's idempotency key belongs to a call: were writes packed together, a retry in other company would carry
 * a new key, and a lost answer could come back as a false `stale`.
 */
export function setShopifyStock(api: ShopifyApi, writes: readonly StockWrite[]): Promise<StockWriteResult[]> {
  return mapBounded(writes, writesInFlight, async (write) => {
    try {
      return await bringAbout(api, write);
    } catch (error) {
      return stockWriteFailure(error);
    }
  });
}

async function bringAbout(api: ShopifyApi, write: StockWrite): Promise<StockWriteResult> {
  const { key, expected, quantity } = write;
  let result = await setAvailable(api, write, { key, from: expected });
  // "Retry with a new key" (schema, IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED). Derived, so that a later retry finds the same one.
  if (result === 'previousAttemptFailed') {
    result = await setAvailable(api, write, { key: derivedKey(key, 'second'), from: expected });
  }
  if (result !== 'previousAttemptFailed' && result.kind !== 'stale') return result;
  if (expected === 0 && quantity > 0) return setFromBelowZero(api, write);
  if (result !== 'previousAttemptFailed') return result;
  const code = 'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED';
  return { kind: 'rejected', code, message: 'two attempts with different keys failed', raw: null };
}

/**
 * Whoever expects 0 expects that buyers see nothing, and below 0 they see nothing, too: then the write is compared with the very number there. Asked only
 * after Shopify has refused the comparison with 0, so that a raise from 0 is one call. Each such number has a key of its own: under one key the parameters
 * must never differ (IDEMPOTENCY_KEY_PARAMETER_MISMATCH), and a retry may find another number than the attempt whose answer was lost.
 */
async function setFromBelowZero(api: ShopifyApi, write: StockWrite): Promise<StockWriteResult> {
  assertInTime(api.turn, api.now());
  const counted = await precedingCall(countedAt(api, write.address));
  const from = counted.kind === 'quantity' ? counted.quantity : 0;
  if (from < 0) {
    const key = derivedKey(write.key, `from ${from}`);
    const result = await setAvailable(api, write, { key, from });
    if (result !== 'previousAttemptFailed' && result.kind !== 'stale') return result;
  }
  // As only read: an attempt before this one, compared with another number, may have been applied without an answer.
  return { kind: 'stale', actual: null, read: true };
}

async function countedAt(api: ShopifyApi, address: ListingAddress): Promise<StockReading> {
  const ids = stockIds(address);
  const [item] = ids === null ? [] : await readItems(api, [ids.inventoryItemId], ids.locationId);
  return item === undefined ? unknownItem : countedStock(item);
}

async function setAvailable(
  api: ShopifyApi,
  write: StockWrite,
  { key, from }: { readonly key: string; readonly from: number | null },
): Promise<StockWriteResult | 'previousAttemptFailed'> {
  const ids = stockIds(write.address);
  if (ids === null) {
    const message = `"${write.address.unitId}" is not inventoryItemId/locationId`;
    return { kind: 'rejected', code: 'invalid_address', message, raw: null };
  }
  const { inventorySetQuantities: answer } = await api.run({
    operation: 'setAvailable',
    variables: {
      key,
      input: {
        name: 'available',
        reason: 'correction',
        referenceDocumentUri: `gid://listgenius-sync/StockWrite/${write.key}`,
        quantities: [{ ...ids, quantity: write.quantity, changeFromQuantity: from }],
      },
    },
    schema: setSchema,
    // The idempotency key makes a repeat within the deadline a replay.
    retry: 'safe',
  });
  const error = answer.userErrors[0];
  // `changes` leaves out what did not change, so the proof is the absence of errors.
  if (error === undefined) return { kind: 'effective', quantity: write.quantity };
  const code = error.code ?? 'userError';
  switch (code) {
    case 'CHANGE_FROM_QUANTITY_STALE':
    case 'COMPARE_QUANTITY_STALE':
      return { kind: 'stale', actual: null };
    case 'IDEMPOTENCY_CONCURRENT_REQUEST':
      return { kind: 'deferred', reason: error.message, retryAfterMs: 1_000 };
    case 'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED':
      return 'previousAttemptFailed';
    default:
      return {
        kind: 'rejected',
        code: error.code ?? 'userError',
        message: error.message,
        raw: answer.userErrors,
      };
  }
}

/** A UUID-shaped key that depends on the first key and on what the new one is for, never on the quantity. */
export function derivedKey(key: string, use: string): string {
  const hex = createHash('sha256').update(`${key}/${use}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
