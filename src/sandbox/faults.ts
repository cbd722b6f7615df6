/** Faults on demand: which part of the marketplace misbehaves, how, how often. The same seed gives the same misfortunes. */
import { z } from 'zod';
import type { Platform } from './goods.ts';
import { platforms } from './goods.ts';
import type { Random, Span } from './random.ts';

const spanSchema = z
  .strictObject({ min: z.number().min(0), max: z.number().min(0) })
  .refine(({ min, max }) => min <= max, 'min must not be above max');

const where = {
  platform: z.enum(platforms),
  /** An operation of the channel, for instance `getShopReceipts`; a webhook topic for webhook faults. Absent: every one. */
  operation: z.string().min(1).optional(),
  /** How likely each matching call is hit. Default 1. */
  probability: z.number().min(0).max(1).default(1),
  /** Ends after this many hits. Absent: until it is removed. */
  count: z.int().min(1).optional(),
};

export const faultSchema = z.discriminatedUnion('kind', [
  /** The answer takes longer. */
  z.strictObject({ ...where, kind: z.literal('latency'), delayMs: spanSchema }),
  /** Too many requests, said in the marketplace's manner. */
  z.strictObject({ ...where, kind: z.literal('rateLimit'), retryAfterSeconds: z.number().min(0).default(1) }),
  /** A 5xx before any effect. */
  z.strictObject({
    ...where,
    kind: z.literal('serverError'),
    status: z.int().min(500).max(599).default(503),
  }),
  /** The connection is destroyed before any effect. */
  z.strictObject({ ...where, kind: z.literal('refusedConnection') }),
  /** The effect happens, then the connection is destroyed without an answer. */
  z.strictObject({ ...where, kind: z.literal('lostAnswer') }),
  /** The effect happens, then the connection is destroyed in the middle of the answer. */
  z.strictObject({ ...where, kind: z.literal('brokenAnswer') }),
  /** A read is answered from a snapshot this old. */
  z.strictObject({ ...where, kind: z.literal('staleRead'), ageMs: z.number().min(0) }),
  /** A list ends after `keep` rows as if there were no more. */
  z.strictObject({ ...where, kind: z.literal('truncatedPage'), keep: z.int().min(0).default(0) }),
  /** An accepted write takes effect this much later. */
  z.strictObject({ ...where, kind: z.literal('lateEffect'), delayMs: spanSchema }),
  /** Every access token of the channel stops working before the call is looked at. */
  z.strictObject({ ...where, kind: z.literal('expiredToken') }),
  z.strictObject({ ...where, kind: z.literal('webhookLost') }),
  z.strictObject({ ...where, kind: z.literal('webhookLate'), delayMs: spanSchema }),
  z.strictObject({ ...where, kind: z.literal('webhookDoubled') }),
  /** The delivery waits for the next one and is sent after it (or alone after `waitMs`). */
  z.strictObject({ ...where, kind: z.literal('webhookReordered'), waitMs: z.number().min(0).default(2000) }),
]);

export type FaultInput = z.input<typeof faultSchema>;
export type Fault = z.output<typeof faultSchema>;
export type FaultKind = Fault['kind'];
export type ActiveFault = { readonly id: string; readonly fault: Fault; readonly hits: number };

/** What happens to one API call. Times in milliseconds; null: nothing of the kind. */
export type CallFaults = {
  readonly latencyMs: number;
  readonly refusedConnection: boolean;
  readonly expiredToken: boolean;
  readonly rateLimitSeconds: number | null;
  readonly serverErrorStatus: number | null;
  readonly lostAnswer: boolean;
  readonly brokenAnswer: boolean;
  readonly staleMs: number | null;
  readonly keepRows: number | null;
  readonly lateEffectMs: number;
};

/** What happens to one webhook delivery. */
export type WebhookFaults = {
  readonly lost: boolean;
  readonly delayMs: number;
  readonly doubled: boolean;
  readonly reorderWaitMs: number | null;
};

export type Faults = {
  /** Answers the fault's id. Throws a `ZodError` for a fault that makes no sense. */
  add(fault: FaultInput): string;
  /** True when there was such a fault. */
  remove(id: string): boolean;
  /** Ends every fault, or those of one marketplace. */
  clear(platform?: Platform): void;
  list(): readonly ActiveFault[];
  /** Draws what happens to a call of `operation` and counts the hits. */
  forCall(platform: Platform, operation: string): CallFaults;
  /** Draws what happens to a delivery of `topic` and counts the hits. */
  forWebhook(platform: Platform, topic: string): WebhookFaults;
};

type Entry = { readonly fault: Fault; hits: number };

export function createFaults(random: Random): Faults {
  const active = new Map<string, Entry>();
  let serial = 0;

  /** The faults of `kind` that hit this call. */
  function hits<K extends FaultKind>(kind: K, platform: Platform, operation: string) {
    const found: Extract<Fault, { kind: K }>[] = [];
    for (const [id, entry] of active) {
      const { fault } = entry;
      if (fault.kind !== kind || fault.platform !== platform) continue;
      if (fault.operation !== undefined && fault.operation !== operation) continue;
      if (!random.chance(fault.probability)) continue;
      entry.hits++;
      if (fault.count !== undefined && entry.hits >= fault.count) active.delete(id);
      found.push(fault as Extract<Fault, { kind: K }>);
    }
    return found;
  }

  const delay = (faults: readonly { readonly delayMs: Span }[]) =>
    faults.reduce((sum, { delayMs }) => sum + random.span(delayMs), 0);

  return {
    add(input) {
      const id = `fault-${++serial}`;
      active.set(id, { fault: faultSchema.parse(input), hits: 0 });
      return id;
    },
    remove: (id) => active.delete(id),
    clear(platform) {
      for (const [id, { fault }] of active) {
        if (platform === undefined || fault.platform === platform) active.delete(id);
      }
    },
    list: () => [...active].map(([id, { fault, hits: count }]) => ({ id, fault, hits: count })),
    forCall: (platform, operation) => ({
      latencyMs: delay(hits('latency', platform, operation)),
      refusedConnection: hits('refusedConnection', platform, operation).length > 0,
      expiredToken: hits('expiredToken', platform, operation).length > 0,
      rateLimitSeconds: hits('rateLimit', platform, operation)[0]?.retryAfterSeconds ?? null,
      serverErrorStatus: hits('serverError', platform, operation)[0]?.status ?? null,
      lostAnswer: hits('lostAnswer', platform, operation).length > 0,
      brokenAnswer: hits('brokenAnswer', platform, operation).length > 0,
      staleMs: hits('staleRead', platform, operation)[0]?.ageMs ?? null,
      keepRows: hits('truncatedPage', platform, operation)[0]?.keep ?? null,
      lateEffectMs: delay(hits('lateEffect', platform, operation)),
    }),
    forWebhook: (platform, topic) => ({
      lost: hits('webhookLost', platform, topic).length > 0,
      delayMs: delay(hits('webhookLate', platform, topic)),
      doubled: hits('webhookDoubled', platform, topic).length > 0,
      reorderWaitMs: hits('webhookReordered', platform, topic)[0]?.waitMs ?? null,
    }),
  };
}
