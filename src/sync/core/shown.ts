/** What a unit shows now, soon, and at most: what its writes allow, narrowed by what readings have shown since. Pure. */
import { holdOf, knownMost, lowOf, mostMissing } from './missing.ts';
import {
  asCandidate,
  candidateRange,
  inForce,
  isComparable,
  latestEffect,
  ordersCover,
  ordersTold,
  possibleAt,
  type Range,
  reachableRange,
} from './range.ts';
import type { Reading, Shadow } from './shadow.ts';

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

/** The least that must be charged to a unit, and the reading that proves it. */
export type ProvenLeast = { readonly units: number; readonly reading: Reading };

/**
 * What a reading showed, less the known sales that may have come after: what was sold since and is not known is charged still. Null where none tells: a write
 * may have changed the number since, or units put back that nobody has told us of may be in it. One that may be later and showed less comes first: somebody
 * may have cut the number, or what was sold in between is told too late.
 */
export function provenLeast(shadow: Shadow, now: number): ProvenLeast | null {
  const { readings, bounds } = shadow;
  const proof = readings.findLast(
    (reading) => (!bounds.restocksOnCancel || ordersCover(shadow, reading)) && isComparable(shadow, reading),
  );
  if (proof === undefined) return null;
  const least = readings
    .filter(({ until }) => until >= proof.from)
    .map((reading) => candidateRange(shadow, asCandidate(reading), { from: now, until: now }).low);
  return { units: Math.min(...least), reading: proof };
}

/** The most the unit can still sell unseen: what it may show now, and every write that may still land on top of it. */
export function sellableMax(shadow: Shadow, now: number): number {
  const open = shadow.candidates.filter(
    (candidate) => candidate.endedAt === null && latestEffect(candidate, shadow.bounds) > now,
  );
  return open.reduce((sum, { value }) => sum + value, rangeNow(shadow, now).high);
}

/**
 * What a raise is compared with: the least by which no more can be missing than what is withheld. Were it lower, the raise could offer once more what is
 * missing beyond that; a number that turns out too high is refused, and changes nothing. Above what the unit can show, or infinite, as long as only more
 * orders can tell which of the known sales came first.
 */
export function raisedFrom(shadow: Shadow, now: number): number {
  return Math.max(rangeNow(shadow, now).low, knownMost(shadow, now) - shadow.hold);
}

/**
 * When a fetch will have told every order up to a write in force or a reading of it, the first of those that lack orders: as late as orders were at the
 * newest fetch. Null when they are all known, or when none was ever fetched.
 */
export function ordersDueAt(shadow: Shadow, now: number): number | null {
  const { bounds, ordersFetchedAt, ordersWatermark } = shadow;
  const written = possibleAt(shadow, { from: now, until: now }).map((candidate) =>
    latestEffect(candidate, bounds),
  );
  const read = shadow.readings.filter((reading) => isComparable(shadow, reading)).map(({ until }) => until);
  const lacking = [Math.max(...written), ...read].filter((until) => !ordersTold(shadow, until));
  const due = Math.min(...lacking) + (ordersFetchedAt - ordersWatermark);
  return Number.isFinite(due) ? due : null;
}

/** In units: what a look at the channel can show and still tell nothing that is not known. */
export type Believed = { readonly least: number; readonly most: number };

/**
 * What a look at the channel from now on can show if nothing happened that we do not know of, however old its answer: below the least, units would be missing
 * beyond those that are withheld; above the most, somebody else has put some there. So a look outside of it always withholds units or stops the raises, and
 * one that was taken in is believed the next time. Null while an answer may be from before all that is known.
 */
export function believedShown(shadow: Shadow, now: number): Believed | null {
  const window = { from: now - shadow.bounds.staleMax, until: now };
  if (window.from < shadow.knownSince) return null;
  const sellsNothing = { ...shadow, readings: [...shadow.readings, { ...window, value: 0 }] };
  return { least: holdOf(sellsNothing) - shadow.hold, most: reachableRange(shadow, window).high };
}
