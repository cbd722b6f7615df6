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

/** The last instant at which a write may come into force. */
export function latestEffect(candidate: Candidate, bounds: Bounds): number {
  return candidate.settledAt ?? candidate.lastSentAt + bounds.settleMax;
}

/** The last instant, on our clock, at which the units can have been sold or put back. */
export function latestOf({ until, knownAt }: Change, skew: number): number {
  return Math.min(until + skew, knownAt ?? Number.POSITIVE_INFINITY);
}

/** The first such instant: what is known has happened, however far ahead the channel's clock is. */
function earliestOf({ from, knownAt }: Change, skew: number): number {
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
function countedRange(shadow: Shadow, candidate: Candidate, window: Window): Range {
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
function possibleAt({ candidates }: Shadow, window: Window): readonly Candidate[] {
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
  return Math.max(0, leastCounted(shadow, candidate, window));
}

function leastCounted(shadow: Shadow, candidate: Candidate, window: Window): number {
  const { low } = countedRange(shadow, candidate, window);
  const { expected, value } = candidate;
  if (expected === null || !hasUncertainOrder(shadow, candidate)) return low;
  const replaced = replacedBy(shadow, candidate);
  if (replaced === null || replaced.length === 0) return low;
  const before = Math.min(...replaced.map((older) => leastCounted(shadow, older, window)));
  return Math.max(low, before + value - expected);
}

/** Units by which a reading is below everything that is known: sales that we have not seen, or an outside cut. */
export function deficitOf(shadow: Shadow, reading: Reading): number {
  return Math.max(0, knownLeast(shadow, reading) - reading.value);
}

/** What the channel shows at least if every sale is known. */
function knownLeast(shadow: Shadow, window: Window): number {
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of possibleAt(shadow, window))
    least = Math.min(least, leastShown(shadow, candidate, window));
  return least;
}

/**
 * What a raise is compared with. Of all the number may be, it is the one by which no more is missing than what is withheld: were it lower, the raise would
 * offer what is missing beyond that once more.
 */
export function raisedFrom(shadow: Shadow, now: number): number {
  const { low, high } = rangeNow(shadow, now);
  return Math.min(high, Math.max(low, knownLeast(shadow, { from: now, until: now }) - shadow.hold));
}

/** Units by which a reading is above everything that can be: an outside increase, or units put back by the channel. */
export function excessOf(shadow: Shadow, reading: Reading): number {
  return Math.max(0, reading.value - reachableRange(shadow, reading).high);
}

/** True when every order that can have touched the reading is known. */
export function ordersCover(shadow: Shadow, reading: Reading): boolean {
  return shadow.ordersWatermark >= reading.until + shadow.bounds.clockSkewMax;
}

/**
 * Units that readings found missing, over all writes: what a reading lacks of a write comes on top of what was missing before that write was sent, for the
 * write put another number there. Of the writes that a reading may speak of, the one by which fewest are missing counts.
 */
export function holdOf(shadow: Shadow): number {
  return mostMissing(shadow, shadow.readings, leastShown);
}

const lowOf: typeof leastShown = (shadow, candidate, window) => candidateRange(shadow, candidate, window).low;

function mostMissing(shadow: Shadow, readings: readonly Reading[], least: typeof leastShown): number {
  let most = 0;
  const missing: { readonly until: number; readonly units: number }[] = [];
  for (const reading of readings.toSorted((one, other) => one.until - other.until)) {
    let fewest = Number.POSITIVE_INFINITY;
    for (const candidate of possibleAt(shadow, reading)) {
      const low = lowOf(shadow, candidate, reading);
      let before = 0;
      for (const { until, units } of missing) if (until <= candidate.sentAt) before = Math.max(before, units);
      const lacks = Math.max(0, low - reading.value) + before;
      // What was missing before a compared write is in its own least number already.
      const counted = candidate.expected === null ? low : least(shadow, candidate, reading);
      fewest = Math.min(fewest, Math.max(lacks, counted - reading.value));
    }
    missing.push({ until: reading.until, units: fewest });
    most = Math.max(most, fewest);
  }
  return most;
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

/** From one reading on: what it said, and the writes that may have landed after it. Null when a later write has replaced it. */
function rangeSince(shadow: Shadow, reading: Reading, now: number): Range | null {
  const window = { from: now, until: now };
  let { low, high } = candidateRange(shadow, asCandidate(reading), window);
  for (const candidate of shadow.candidates) {
    if (candidate.state === 'EFFECTIVE' && candidate.sentAt >= reading.until) return null;
    if (latestEffect(candidate, shadow.bounds) <= reading.from || !inForce(candidate, window)) continue;
    const range = candidateRange(shadow, candidate, window);
    low = Math.min(low, range.low);
    high = Math.max(high, range.high);
  }
  return { low, high };
}

/** Units that readings found missing and that no write has put back since: a number that is in force after a reading does not lack what that one lacked. */
function missingNow(shadow: Shadow): number {
  if (shadow.hold === 0) return 0;
  const newest = shadow.candidates.reduce(
    (at, { state, sentAt }) => (state === 'EFFECTIVE' ? Math.max(at, sentAt) : at),
    Number.NEGATIVE_INFINITY,
  );
  const since = shadow.readings.filter(({ until }) => until > newest);
  return mostMissing(shadow, since, lowOf);
}

/** What the unit shows now: what the writes allow, narrowed by what readings have shown since. */
export function rangeNow(shadow: Shadow, now: number): Range {
  return rangeWithout(shadow, missingNow(shadow), now);
}

function rangeWithout(shadow: Shadow, missing: number, now: number): Range {
  const written = reachableRange(shadow, { from: now, until: now });
  let low = Math.max(0, written.low - missing);
  let narrowest: Range = { low, high: written.high };
  for (const reading of shadow.readings) {
    const since = rangeSince(shadow, reading, now);
    if (since === null) continue;
    low = Math.max(low, since.low);
    if (since.high < narrowest.high) narrowest = since;
  }
  // A reading above everything that can be is not explained yet: both stay possible.
  if (low > written.high) return { low: narrowest.high, high: low };
  // A reading below another: units were sold in between that we have not heard of.
  return { low: low > narrowest.high ? narrowest.low : low, high: narrowest.high };
}

/** The numbers shown once everything under way has landed, nothing else happening. */
export function eventualRange(shadow: Shadow, now: number): Range {
  const { candidates, bounds } = shadow;
  if (candidates.length < 2) return rangeNow(shadow, now);
  const lasting = candidates.filter(
    (candidate, index) =>
      !candidates.some(
        (later, position) =>
          position > index &&
          later.endedAt === null &&
          later.state !== 'UNKNOWN' &&
          later.state !== 'REJECTED' &&
          later.sentAt >= latestEffect(candidate, bounds),
      ),
  );
  return lasting.length === candidates.length
    ? rangeNow(shadow, now)
    : rangeWithout({ ...shadow, candidates: lasting }, missingNow(shadow), now);
}

/** The most the unit can still sell, every order up to a reading being known and nothing under way since; null when no reading proves it. */
export function provenMax(shadow: Shadow, now: number): number | null {
  let most: number | null = null;
  for (const reading of shadow.readings) {
    if (!ordersCover(shadow, reading) || !isComparable(shadow, reading)) continue;
    const { high } = candidateRange(shadow, asCandidate(reading), { from: now, until: now });
    most = Math.min(most ?? high, high);
  }
  return most;
}

/** The most the unit can still sell unseen: what it may show now, and every write that may still land on top of it. */
export function sellableMax(shadow: Shadow, now: number): number {
  const open = shadow.candidates.filter(
    (candidate) => candidate.endedAt === null && latestEffect(candidate, shadow.bounds) > now,
  );
  return open.reduce((sum, { value }) => sum + value, rangeNow(shadow, now).high);
}
