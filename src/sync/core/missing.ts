/** What the channel shows at least if every sale is known, and so what is missing: sold unheard of, or taken by somebody else. Pure. */
import {
  asCandidate,
  candidateRange,
  countedRange,
  earliestOf,
  isComparable,
  latestEffect,
  latestOf,
  ordersTold,
  possibleAt,
  tick,
  type Window,
} from './range.ts';
import type { Candidate, Reading, Shadow } from './shadow.ts';

/**
 * The writes that can have been in force when a compared one replaced them; null when one sent later may have been, so that nothing is known of what it
 * was compared with.
 */
export function replacedBy({ candidates, bounds }: Shadow, compared: Candidate): readonly Candidate[] | null {
  const index = candidates.indexOf(compared);
  const latest = latestEffect(compared, bounds);
  const before = (other: Candidate) =>
    other.state !== 'REJECTED' &&
    other.sentAt <= latest &&
    (other.endedAt === null || other.endedAt >= compared.sentAt);
  if (candidates.some((other, position) => position > index && before(other))) return null;
  return candidates.filter((other, position) => position < index && before(other));
}

/** Known sales of which nobody can tell whether they came before this write or after it. */
export function hasUncertainOrder({ sales, bounds }: Shadow, candidate: Candidate): boolean {
  const skew = bounds.clockSkewMax;
  const latest = latestEffect(candidate, bounds);
  return sales.some((sale) => latestOf(sale, skew) >= candidate.sentAt && earliestOf(sale, skew) <= latest);
}

/**
 * What the channel shows at least if this candidate is in force and every sale is known. A write that was compared has changed the number by a known amount,
 * whichever of the sales came before it and whichever after: so the number before it tells what the order of the sales cannot.
 */
function leastShown(shadow: Shadow, candidate: Candidate, window: Window): number {
  // Only a compared write tells how it has changed the number before it.
  if (candidate.expected === null) return lowOf(shadow, candidate, window);
  return Math.max(0, leastCounted(shadow, candidate, window));
}

/** `known` keeps what was counted: several writes may have replaced the same ones. */
function leastCounted(
  shadow: Shadow,
  candidate: Candidate,
  window: Window,
  known = new Map<Candidate, number>(),
): number {
  const before = known.get(candidate);
  if (before !== undefined) return before;
  const least = Math.max(
    countedRange(shadow, candidate, window).low,
    leastByReplaced(shadow, candidate, window, known),
  );
  known.set(candidate, least);
  return least;
}

function leastByReplaced(
  shadow: Shadow,
  candidate: Candidate,
  window: Window,
  known: Map<Candidate, number>,
): number {
  const { expected, value } = candidate;
  if (expected === null || !hasUncertainOrder(shadow, candidate)) return Number.NEGATIVE_INFINITY;
  const replaced = replacedBy(shadow, candidate);
  if (replaced === null || replaced.length === 0) return Number.NEGATIVE_INFINITY;
  const before = Math.min(...replaced.map((older) => leastCounted(shadow, older, window, known)));
  return before + value - expected;
}

/**
 * What the channel shows at most if every sale is known: what it lacks of that is the most that can be sold unheard of. Infinite while sales may be unheard
 * of that came before all that is kept.
 */
export function knownMost(shadow: Shadow, now: number): number {
  const known = new Map<Candidate, number>();
  const possible = possibleAt(shadow, { from: now, until: now });
  const most = Math.max(...possible.map((candidate) => mostCounted(shadow, candidate, now, known)));
  const read = shadow.readings.filter((reading) => isComparable(shadow, reading));
  return Math.min(most, ...read.map((reading) => mostOnceTold(shadow, asCandidate(reading), now)));
}

/** Until the orders up to a write are known, a compared one counts by what it has changed the number before it by. */
function mostCounted(
  shadow: Shadow,
  candidate: Candidate,
  now: number,
  known: Map<Candidate, number>,
): number {
  const before = known.get(candidate);
  if (before !== undefined) return before;
  const most = Math.min(mostOnceTold(shadow, candidate, now), mostByReplaced(shadow, candidate, now, known));
  known.set(candidate, most);
  return most;
}

/** A number says nothing of sales before it that are not known, which a raise must not put back either: it counts once the orders up to it are. */
function mostOnceTold(shadow: Shadow, candidate: Candidate, now: number): number {
  if (!ordersTold(shadow, latestEffect(candidate, shadow.bounds))) return Number.POSITIVE_INFINITY;
  // What is known has happened, if in this very millisecond.
  return countedRange(shadow, candidate, { from: now + tick, until: now }).high;
}

function mostByReplaced(
  shadow: Shadow,
  candidate: Candidate,
  now: number,
  known: Map<Candidate, number>,
): number {
  const { expected, value } = candidate;
  const replaced = expected === null ? null : replacedBy(shadow, candidate);
  if (expected === null || replaced === null || replaced.length === 0) return Number.POSITIVE_INFINITY;
  return Math.max(...replaced.map((older) => mostCounted(shadow, older, now, known))) + value - expected;
}

/** Units by which a reading is below everything that is known: sales that we have not seen, or an outside cut. */
export function deficitOf(shadow: Shadow, reading: Reading): number {
  return Math.max(0, knownLeast(shadow, reading) - reading.value);
}

/** What the channel shows at least if every sale is known. */
export function knownLeast(shadow: Shadow, window: Window): number {
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of possibleAt(shadow, window))
    least = Math.min(least, leastShown(shadow, candidate, window));
  return least;
}

/**
 * Units that readings found missing, over all writes: what a reading lacks of a write comes on top of what was missing before that write was sent, for the
 * write put another number there. Of the writes that a reading may speak of, the one by which fewest are missing counts.
 */
export function holdOf(shadow: Shadow): number {
  return mostMissing(shadow, shadow.readings, leastShown);
}

/** As `leastShown`, by the write's own number alone. */
export const lowOf: typeof leastShown = (shadow, candidate, window) =>
  candidateRange(shadow, candidate, window).low;

/** By when they were answered: nearly always they came in that order. */
function inOrder(readings: readonly Reading[]): readonly Reading[] {
  const isSorted = readings.every(({ until }, index) => until <= (readings[index + 1]?.until ?? until));
  return isSorted ? readings : readings.toSorted((one, other) => one.until - other.until);
}

/** Units that these readings found missing at most; `least` says what a write shows at least in a reading's window. */
export function mostMissing(shadow: Shadow, readings: readonly Reading[], least: typeof leastShown): number {
  let most = 0;
  const missing: { readonly until: number; readonly units: number }[] = [];
  for (const reading of inOrder(readings)) {
    let fewest = Number.POSITIVE_INFINITY;
    for (const candidate of possibleAt(shadow, reading)) {
      const low = lowOf(shadow, candidate, reading);
      let before = 0;
      for (const { until, units } of missing) if (until <= candidate.sentAt) before = Math.max(before, units);
      const lacks = Math.max(0, low - reading.value) + before;
      // What was missing before a compared write is in its own least number already.
      const counted = candidate.expected === null ? low : least(shadow, candidate, reading);
      fewest = Math.min(fewest, Math.max(lacks, counted - reading.value));
      // Nothing is missing where one write explains it, as nearly always.
      if (fewest === 0) break;
    }
    missing.push({ until: reading.until, units: fewest });
    most = Math.max(most, fewest);
  }
  return most;
}
