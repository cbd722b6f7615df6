/** What a conflict was proven from: kept with it as versioned JSON, and checked whenever it is read back. */
import { z } from 'zod';
import type { Conflict } from './core/conflicts.ts';
import type { Change, Shadow } from './core/shadow.ts';

/** Orders kept with a conflict; the newest ones explain it. */
export const consideredOrdersMax = 20;

const considered = z.object({
  orderId: z.string(),
  /** Units sold there; below 0 for units that came back. */
  units: z.int(),
  /** The channel's clock, in milliseconds: somewhere in between it happened. */
  from: z.number(),
  until: z.number(),
  /** `range`: what the channel could show was computed with it. `nearby`: of the same listing, and close to the reading. */
  basis: z.enum(['range', 'nearby']),
});
export type ConsideredOrder = z.infer<typeof considered>;

const price = z.object({ minor: z.int(), currency: z.string().length(3) });

const quantityEvidence = z.object({
  version: z.literal(1),
  kind: z.literal('quantity'),
  unit: z.string(),
  provenAt: z.number(),
  /** Proven by this reading alone; the conflict's own delta also counts the edits of those that it took the place of. */
  delta: z.int(),
  reading: z.object({ value: z.int(), from: z.number(), until: z.number() }),
  range: z.object({ low: z.int(), high: z.int() }),
  ordersWatermark: z.number(),
  target: z.int(),
  targetSeq: z.int(),
  candidates: z.array(
    z.object({
      key: z.string(),
      value: z.int(),
      spread: z.int(),
      targetSeq: z.int(),
      expected: z.int().nullable(),
      sentAt: z.number(),
      lastSentAt: z.number(),
      settledAt: z.number().nullable(),
      state: z.enum(['SENT', 'ACCEPTED', 'EFFECTIVE', 'UNKNOWN', 'REJECTED']),
      endedAt: z.number().nullable(),
    }),
  ),
  orders: z.array(considered),
});

const priceEvidence = z.object({
  version: z.literal(1),
  kind: z.literal('price'),
  unit: z.string(),
  provenAt: z.number(),
  expected: z.array(price),
  shown: price,
});

const evidence = z.discriminatedUnion('kind', [quantityEvidence, priceEvidence]);

export type QuantityEvidence = z.infer<typeof quantityEvidence>;
export type PriceEvidence = z.infer<typeof priceEvidence>;
export type StoredEvidence = z.infer<typeof evidence>;

/** As it is stored. Throws when the conflict is none that could be read back. */
export function evidenceOf(
  { unit, provenAt, delta, evidence: found }: Conflict,
  orders: readonly ConsideredOrder[],
): StoredEvidence {
  if (found.kind === 'price') {
    const { expected, shown } = found;
    return evidence.parse({ version: 1, kind: 'price', unit, provenAt, expected, shown });
  }
  const { proof, target, targetSeq, candidates } = found;
  const { reading, range, ordersWatermark } = proof;
  return evidence.parse({
    version: 1,
    kind: 'quantity',
    unit,
    provenAt,
    delta,
    reading,
    range,
    ordersWatermark,
    target,
    targetSeq,
    candidates,
    orders,
  });
}

/** Null when it was kept in a form that this version does not know: a decision never depends on it. */
export function readEvidence(data: unknown): StoredEvidence | null {
  const read = evidence.safeParse(data);
  return read.success ? read.data : null;
}

/** The orders that a shadow's range takes into account, newest first. */
export function ordersConsidered({ sales, restocks }: Shadow): readonly ConsideredOrder[] {
  return [...sales.map((sale) => ofRange(sale, 1)), ...restocks.map((restock) => ofRange(restock, -1))]
    .toSorted((one, other) => other.until - one.until)
    .slice(0, consideredOrdersMax);
}

function ofRange({ orderId, quantity, from, until }: Change, sign: 1 | -1): ConsideredOrder {
  return { orderId, units: sign * quantity, from, until, basis: 'range' };
}
