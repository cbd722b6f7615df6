/** Sets `available` per inventory item and location: compared by Shopify, all or nothing per call, and with one idempotency key per call. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import {
  ChannelError,
  type ListingAddress,
  type StockReading,
  type StockWrite,
  type StockWriteResult,
} from '../connector.ts';
import { assertInTime, precedingCall, stockWriteFailure } from '../wire.ts';
import type { ShopifyApi } from './graphql.ts';
import { stockIds } from './ids.ts';
import { countedStock, idsPerCall, readItems, unknownItem } from './stock.ts';

const callsInFlight = 4;

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
type UserError = z.output<typeof setSchema>['inventorySetQuantities']['userErrors'][number];

type Results = readonly (readonly [write: StockWrite, result: StockWriteResult])[];

/** A write that is alone goes under its own key, and a repeat is a replay. Several go under a key that only this very company has. */
export async function setShopifyStock(
  api: ShopifyApi,
  writes: readonly StockWrite[],
): Promise<StockWriteResult[]> {
  const calls = chunks(
    writes.filter(({ address }) => stockIds(address) !== null),
    idsPerCall,
  );
  const answered = await mapBounded(calls, callsInFlight, (call) => setTogether(api, call));
  const results = new Map(answered.flat());
  return writes.map((write) => results.get(write) ?? misaddressed(write));
}

function misaddressed({ address }: StockWrite): StockWriteResult {
  const message = `"${address.unitId}" is not inventoryItemId/locationId`;
  return { kind: 'rejected', code: 'invalid_address', message, raw: null };
}

async function setTogether(api: ShopifyApi, writes: readonly StockWrite[]): Promise<Results> {
  let answer: Answer;
  try {
    answer = await underEitherKey(api, writes);
  } catch (error) {
    if (writes.length > 1 && mayBeOneOfThem(error)) return setHalves(api, writes);
    const failure = stockWriteFailure(error);
    return writes.map((write) => [write, failure]);
  }
  if (writes.length > 1 && answer.kind === 'failedBefore') return setHalves(api, writes);
  if (writes.length > 1 && answer.kind === 'refused') return withoutRefused(api, writes, answer.errors);
  return mapBounded(writes, 1, async (write) => [write, await concluded(api, write, answer)]);
}

/** A call that was refused unread: it costs too much, or one of its entries is not what Shopify takes at all. */
function mayBeOneOfThem(error: unknown): boolean {
  return error instanceof ChannelError && error.code === 'rejected' && !error.maybeApplied;
}

/** One bad entry refuses a whole call, and nothing of it was changed: the others go again without those that Shopify names. */
async function withoutRefused(
  api: ShopifyApi,
  writes: readonly StockWrite[],
  errors: readonly UserError[],
): Promise<Results> {
  const named = Map.groupBy(errors, (error) => writes[placeOf(error)]);
  const refused = [...named].flatMap(([write, about]) => (write === undefined ? [] : [{ write, about }]));
  // About the call as a whole: only smaller ones tell which of them it is meant for.
  if (refused.length === 0) return setHalves(api, writes);
  const [others, told] = await Promise.all([
    setLater(
      api,
      writes.filter((write) => !named.has(write)),
    ),
    mapBounded(refused, callsInFlight, async ({ write, about }) => {
      const result = await concluded(api, write, { kind: 'refused', errors: about });
      return [write, result] as const;
    }),
  ]);
  return [...told, ...others];
}

/** The place in `quantities` that an error is about; -1 when it names none. */
function placeOf({ field }: UserError): number {
  const at = field?.indexOf('quantities') ?? -1;
  const place = at < 0 ? undefined : field?.[at + 1];
  return place !== undefined && /^\d+$/.test(place) ? Number(place) : -1;
}

async function setHalves(api: ShopifyApi, writes: readonly StockWrite[]): Promise<Results> {
  const halves = chunks(writes, Math.ceil(writes.length / 2));
  return (await mapBounded(halves, 1, (half) => setLater(api, half))).flat();
}

/** After a call of which nothing was changed. */
async function setLater(api: ShopifyApi, writes: readonly StockWrite[]): Promise<Results> {
  if (writes.length === 0) return [];
  try {
    assertInTime(api.turn, api.now());
  } catch (error) {
    const failure = stockWriteFailure(error);
    return writes.map((write) => [write, failure]);
  }
  return setTogether(api, writes);
}

/** What the answer to its call means for one write. */
async function concluded(api: ShopifyApi, write: StockWrite, answer: Answer): Promise<StockWriteResult> {
  if (answer.kind === 'effective') return { kind: 'effective', quantity: write.quantity };
  if (answer.kind === 'unknown') return answer;
  const raw = answer.kind === 'refused' ? answer.errors : null;
  const [error] = raw ?? [];
  const isStale = staleCodes.has(error?.code ?? '');
  if ((isStale || raw === null) && write.expected === 0 && write.quantity > 0) {
    try {
      return await setFromBelowZero(api, write);
    } catch (failure) {
      return stockWriteFailure(failure);
    }
  }
  if (isStale) return { kind: 'stale', actual: null };
  if (raw === null) return twiceFailed;
  return { kind: 'rejected', code: error?.code ?? 'userError', message: error?.message ?? '', raw };
}

const staleCodes = new Set(['CHANGE_FROM_QUANTITY_STALE', 'COMPARE_QUANTITY_STALE']);
const failedBeforeCode = 'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED';
const twiceFailed: StockWriteResult = {
  kind: 'rejected',
  code: failedBeforeCode,
  message: 'two attempts with different keys failed',
  raw: null,
};

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
    const answer = await setAvailable(
      api,
      [{ ...write, expected: from }],
      derivedKey(write.key, `from ${from}`),
    );
    const settled = answer.kind !== 'failedBefore' && !isRefusedAsStale(answer);
    if (settled) return concluded(api, { ...write, expected: from }, answer);
  }
  // As only read: an attempt before this one, compared with another number, may have been applied without an answer.
  return { kind: 'stale', actual: null, read: true };
}

function isRefusedAsStale(answer: Answer): boolean {
  return answer.kind === 'refused' && answer.errors.some(({ code }) => staleCodes.has(code ?? ''));
}

async function countedAt(api: ShopifyApi, address: ListingAddress): Promise<StockReading> {
  const ids = stockIds(address);
  const [item] = ids === null ? [] : await readItems(api, [ids.inventoryItemId], ids.locationId);
  return item === undefined ? unknownItem : countedStock(item);
}

// ------------------------------------------------------------------------------------------------------------------- a call

type Answer =
  | { readonly kind: 'effective' }
  /** Nothing was changed, and the same key will never change anything. */
  | { readonly kind: 'failedBefore' }
  /** Nothing was changed. At least one error. */
  | { readonly kind: 'refused'; readonly errors: readonly UserError[] }
  | { readonly kind: 'unknown'; readonly reason: string };

/** "Retry with a new key" (schema, IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED). Derived, so that a later retry finds the same one. */
async function underEitherKey(api: ShopifyApi, writes: readonly StockWrite[]): Promise<Answer> {
  const key = keyOf(writes);
  const answer = await setAvailable(api, writes, key);
  return answer.kind === 'failedBefore' ? setAvailable(api, writes, derivedKey(key, 'second')) : answer;
}

async function setAvailable(api: ShopifyApi, writes: readonly StockWrite[], key: string): Promise<Answer> {
  const { inventorySetQuantities: answer } = await api.run({
    operation: 'setAvailable',
    variables: {
      key,
      input: {
        name: 'available',
        reason: 'correction',
        referenceDocumentUri: `gid://listgenius-sync/StockWrite/${keyOf(writes)}`,
        quantities: writes.map(({ address, quantity, expected }) => ({
          ...stockIds(address),
          quantity,
          changeFromQuantity: expected,
        })),
      },
    },
    schema: setSchema,
    // The idempotency key makes a repeat within the deadline a replay.
    retry: 'safe',
  });
  const { userErrors: errors } = answer;
  const [error] = errors;
  // What was really changed is not asked for: the answer leaves out what was so before, so the proof is the absence of errors.
  if (error === undefined) return { kind: 'effective' };
  if (error.code === failedBeforeCode) return { kind: 'failedBefore' };
  // An attempt under this key whose connection was lost is still at work, and what it comes to nobody has told.
  if (error.code === 'IDEMPOTENCY_CONCURRENT_REQUEST') return { kind: 'unknown', reason: error.message };
  return { kind: 'refused', errors };
}

/** Of several writes it is made of all their keys. */
function keyOf(writes: readonly StockWrite[]): string {
  const [first, ...others] = writes.map(({ key }) => key);
  return others.length === 0 ? (first ?? '') : derivedKey([first, ...others].join('/'), 'together');
}

/** A UUID-shaped key that depends on the first key and on what the new one is for, never on the quantity. */
export function derivedKey(key: string, use: string): string {
  const hex = createHash('sha256').update(`${key}/${use}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
