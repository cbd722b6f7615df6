/** What a unit's shadow says about its rights: sales are booked, grants are confirmed, and what is proved to be unsold is free again. Pure. */
import {
  booked,
  charge,
  confirmed,
  type Escrow,
  type GrantWrite,
  provenAtMost,
  reoffered,
  settledRights,
  undecidedGrant,
  unitOf,
  violated,
} from './escrow.ts';
import { oversoldBecause, raisedBecause } from './lateWrites.ts';
import { latestEffect, type Range } from './range.ts';
import type { RebalanceUnit } from './rebalance.ts';
import type { Shadow } from './shadow.ts';
import { provenLeast, provenMax, rangeNow } from './shown.ts';

/** Units sold (or, below 0, come back) on a unit, somewhere in [from, until] on the channel's clock. */
export type RightsUse = {
  readonly units: number;
  readonly from: number;
  readonly until: number;
  /** True when it should have been known already: assumption A3 does not hold. */
  readonly late: boolean;
};

/** Whether the channel itself put back what came back nobody knows: it stays charged there until a reading proves otherwise. */
export function used(
  escrow: Escrow,
  shadow: Shadow,
  { units, from, until, late }: RightsUse,
  now: number,
): Escrow {
  const { unit, bounds } = shadow;
  if (units < 0) return reoffered(escrow, unit, -units);
  const known = late ? violated(escrow, unit, 'A3') : escrow;
  const skew = bounds.clockSkewMax;
  const mayBePutBack = bounds.restocksOnCancel;
  // What is known has happened, however far ahead the channel's clock is.
  const latest = Math.min(until + skew, now);
  const beyond = oversoldBecause(shadow, latest);
  const booking = { quantity: units, from: from - skew, until: latest, mayBePutBack, beyond };
  return booked(known, unit, booking);
}

/** What the shadow knows by now about the unit's rights. */
export function learnedRights(escrow: Escrow, shadow: Shadow, now: number): Escrow {
  const { unit: name, bounds, ordersWatermark } = shadow;
  const { owedAt } = unitOf(escrow, name);
  const known = learnedGrant(escrow, shadow, now);
  const watermark = ordersWatermark - bounds.clockSkewMax;
  const settled = settledRights(known, name, watermark, oversoldBecause(shadow, owedAt));
  const most = provenMax(shadow, now);
  return most === null ? settled : provenAtMost(settled, name, most);
}

/** What has become of the write under way. */
function learnedGrant(escrow: Escrow, shadow: Shadow, now: number): Escrow {
  const { unit: name, candidates } = shadow;
  const { write, paused } = unitOf(escrow, name);
  const candidate = candidates.find(({ key }) => key === write?.key);
  if (candidate === undefined) return isForgotten(write, shadow, now) ? undecidedGrant(escrow, name) : escrow;
  const { state, expected, settledAt } = candidate;
  // An older write that may still land would put rights back that are counted as replaced.
  const alone = candidates.every((one) => one === candidate || one.endedAt !== null);
  if (state === 'EFFECTIVE' && alone) return confirmed(escrow, name, settledAt ?? now);
  // A paused unit goes to zero without waiting for a reading to tell: the orders that such a reading needs may not be known for as long as clocks can differ.
  const past = state === 'UNKNOWN' && expected === null && settledAt !== null;
  return past && paused !== null ? undecidedGrant(escrow, name) : escrow;
}

/** Its shadow has begun anew since, as a rule from a reading that proved an edit: it has landed or never will, and nothing can tell any more which. */
function isForgotten(write: GrantWrite | null, { bounds, knownSince }: Shadow, now: number): boolean {
  return write !== null && write.sentAt < knownSince && now >= write.sentAt + bounds.settleMax;
}

/**
 * Why the unit shows more than all its rights, whatever alone explains its readings; null when none proves that. What it shows was granted to it or put back
 * by it, and both are charged. Its shadow lets each sale and each cancellation fall where the channel's clock allows the highest number, without regard to
 * the others; here each is booked once.
 */
export function beyondRights(escrow: Escrow, shadow: Shadow, now: number): 'A2' | 'A4' | null {
  const proven = provenLeast(shadow, now);
  if (proven === null || proven.units <= charge(unitOf(escrow, shadow.unit))) return null;
  return raisedBecause(shadow, proven.reading);
}

/** What is to be done about a grant that got no answer: asked again under its key, read, or waited for; null when there is none. */
export type Chase =
  | {
      readonly kind: 'repeat';
      readonly key: string;
      readonly value: number;
      readonly expected: number | null;
    }
  | { readonly kind: 'read' }
  | { readonly kind: 'wait'; readonly until: number };

/** Pause between two readings of a unit whose grant got no answer, in milliseconds. */
const readPause = 5_000;

export function chaseOf(escrow: Escrow, shadow: Shadow, now: number): Chase | null {
  const { write } = unitOf(escrow, shadow.unit);
  if (write === null) return null;
  const candidate = shadow.candidates.find(({ key }) => key === write.key);
  const settledAt = (candidate?.lastSentAt ?? write.sentAt) + shadow.bounds.settleMax + 1;
  if (candidate?.state !== 'UNKNOWN')
    return { kind: 'wait', until: settledAt > now ? settledAt : now + readPause };
  const { key, value, expected } = write;
  if (expected !== null || value === 0) return { kind: 'repeat', key, value, expected };
  const readAt = settledAt + shadow.bounds.staleMax;
  if (now >= readAt && now >= shadow.readAt + readPause) return { kind: 'read' };
  return { kind: 'wait', until: Math.max(readAt, now + readPause) };
}

export type ChannelPace = {
  /** Units per millisecond that the channel sells while it shows some. */
  readonly ratePerMs: number;
  /** Milliseconds from a sale until we know of it, and from sending a write until it is in force, as a rule. */
  readonly sight: number;
  readonly landing: number;
  /** From taking rights back until they are free again, as a rule. */
  readonly drain: number;
  readonly compareAndSet: boolean;
  readonly quantityMax: number;
};

/** A channel is stocked for what it sells until a refill, and for half a minute more, because an event may be lost. */
const refillMargin = 30_000;

/** `shown` is what it shows now, where that was asked already. */
export function rebalanceUnit(
  shadow: Shadow,
  pace: ChannelPace,
  now: number,
  shown: Range = rangeNow(shadow, now),
): RebalanceUnit {
  const { low, high } = shown;
  const { ratePerMs, sight, landing, drain, compareAndSet, quantityMax } = pace;
  let movedAt = Number.NEGATIVE_INFINITY;
  for (const { sentAt } of shadow.candidates) movedAt = Math.max(movedAt, sentAt);
  for (const { until } of shadow.sales) movedAt = Math.max(movedAt, until);
  return {
    name: shadow.unit,
    ratePerMs,
    refill: sight + landing + refillMargin,
    drain,
    compareAndSet,
    exact: low === high ? low : null,
    quantityMax,
    still: now - movedAt,
    busy: shadow.candidates.some((one) => one.endedAt === null && latestEffect(one, shadow.bounds) > now),
  };
}
