/** The numbers a unit can show given every write that may be in force and every known sale: never too narrow while A1 to A4 hold. */
import type { Bounds, Candidate, Change, Reading, Shadow } from './shadow.ts';

/** Units shown. Sales that we do not know of can only lower the true number, below `low` if need be; `high` is never exceeded. */
export type Range = { readonly low: number; readonly high: number };

export type Window = {
  readonly from: number;
  readonly until: number;
  /** No write that was sent later can be shown in it; `until` when left out. */
  readonly writesUntil?: number;
};

/** Less than a millisecond: tells apart what happened within one. */
export const tick = 0.5;

/** From when `settleMax` counts: a queue of the channel is worked off when it pleases. */
export function leftAt({ queuedUntil, lastSentAt }: Candidate): number {
  return queuedUntil ?? lastSentAt;
}

/** The last instant at which a write may come into force. */
export function latestEffect(candidate: Candidate, bounds: Bounds): number {
  return candidate.settledAt ?? leftAt(candidate) + bounds.settleMax;
}

/** The last instant, on our clock, at which the units can have been sold or put back. */
export function latestOf({ until, knownAt }: Change, skew: number): number {
  return Math.min(until + skew, knownAt ?? Number.POSITIVE_INFINITY);
}

/** The first such instant: what is known has happened, however far ahead the channel's clock is. */
export function earliestOf({ from, knownAt }: Change, skew: number): number {
  return Math.min(from - skew, knownAt ?? Number.POSITIVE_INFINITY);
}

function possiblyWithin(change: Change, after: number, until: number, skew: number): boolean {
  return latestOf(change, skew) >= after && earliestOf(change, skew) <= until;
}

function certainlyWithin(change: Change, after: number, until: number, skew: number): boolean {
  return earliestOf(change, skew) > after && latestOf(change, skew) < until;
}

/** True when the candidate can be what the channel showed at some instant of the window. */
export function inForce(candidate: Candidate, window: Window): boolean {
  return (
    candidate.state !== 'REJECTED' &&
    candidate.sentAt <= (window.writesUntil ?? window.until) &&
    (candidate.endedAt === null || candidate.endedAt >= window.from)
  );
}

/** What the channel shows in the window if this candidate is the write in force. */
export function candidateRange(shadow: Shadow, candidate: Candidate, window: Window): Range {
  const { low, high } = countedRange(shadow, candidate, window);
  return { low: Math.max(0, low), high: Math.max(0, high) };
}

/** The same below 0 too, where more was sold than there was: some of it came before, then. */
export function countedRange(shadow: Shadow, candidate: Candidate, window: Window): Range {
  const { clockSkewMax: skew } = shadow.bounds;
  const latest = latestEffect(candidate, shadow.bounds);
  let low = candidate.value - candidate.spread;
  let high = candidate.value;
  for (const sale of shadow.sales) {
    if (possiblyWithin(sale, candidate.sentAt, window.until, skew)) low -= sale.quantity;
    if (certainlyWithin(sale, latest, window.from, skew)) high -= sale.quantity;
  }
  for (const restock of shadow.restocks) {
    if (restock.certain !== false && certainlyWithin(restock, latest, window.from, skew))
      low += restock.quantity;
    if (possiblyWithin(restock, candidate.sentAt, window.until, skew)) high += restock.quantity;
  }
  return { low, high };
}

/**
 * The writes that can be what a reading with this window shows. Something is in force at any time: where evidence that contradicts itself has ended
 * everything, each of them may be.
 */
export function possibleAt({ candidates }: Shadow, window: Window): readonly Candidate[] {
  // Nearly always all of them: no list is made for that.
  if (candidates.every((candidate) => inForce(candidate, window))) return candidates;
  const possible = candidates.filter((candidate) => inForce(candidate, window));
  return possible.length > 0 ? possible : candidates.filter(({ state }) => state !== 'REJECTED');
}

/** From the writes alone: what a reading with this window is compared with. */
export function reachableRange(shadow: Shadow, window: Window): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const candidate of possibleAt(shadow, window)) {
    const range = candidateRange(shadow, candidate, window);
    low = Math.min(low, range.low);
    high = Math.max(high, range.high);
  }
  if (low > high) throw new Error(`${shadow.unit} has no candidate`);
  return { low, high };
}

/** True when the reading speaks of settled writes only. One that is not can still refute: nothing that may be in force explains it. */
export function isComparable(shadow: Shadow, reading: Reading): boolean {
  return shadow.candidates.every(
    (candidate) =>
      candidate.state === 'REJECTED' ||
      (candidate.endedAt !== null && candidate.endedAt < reading.from) ||
      latestEffect(candidate, shadow.bounds) <= reading.from,
  );
}

/** Units by which a reading is above everything that can be: an outside increase, or units put back by the channel. */
export function excessOf(shadow: Shadow, reading: Reading): number {
  for (const candidate of possibleAt(shadow, reading)) {
    // Nearly always the first of them can be that high: one is enough.
    if (candidateRange(shadow, candidate, reading).high >= reading.value) return 0;
  }
  return reading.value - reachableRange(shadow, reading).high;
}

/** True while a reading is above everything that can be: then nothing is raised anywhere that shares units with it. */
export function stopsRaises(shadow: Shadow): boolean {
  return shadow.readings.some((reading) => excessOf(shadow, reading) > 0);
}

/** True when every order that can have touched the reading is known. */
export function ordersCover(shadow: Shadow, reading: Reading): boolean {
  return shadow.ordersWatermark >= reading.until + shadow.bounds.clockSkewMax;
}

/** True when every order of what was sold by then is known: an order is late by our clock, whatever time the channel's clock gives it. */
export function ordersTold({ ordersWatermark }: Shadow, at: number): boolean {
  return ordersWatermark >= at;
}

/** The key of a candidate that is no write of ours. */
export const readingKey = 'reading';

/** A reading taken as what it is: the number in force at some instant of its window. */
export function asCandidate(reading: Reading): Candidate {
  return {
    key: readingKey,
    value: reading.value,
    spread: 0,
    targetSeq: 0,
    expected: null,
    sentAt: reading.from,
    lastSentAt: reading.from,
    settledAt: reading.until,
    state: 'EFFECTIVE',
    endedAt: null,
  };
}
