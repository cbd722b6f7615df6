/** Candidates, sales and readings end when they can no longer matter, so that a shadow's memory is bounded. Pure. */
import { deficitOf, hasUncertainOrder, holdOf, replacedBy } from './missing.ts';
import {
  candidateRange,
  excessOf,
  inForce,
  latestEffect,
  latestOf,
  leftAt,
  ordersCover,
  tick,
} from './range.ts';
import type { Bounds, Candidate, Change, Reading, Shadow } from './shadow.ts';

/** Above this number candidates are merged. So many are kept only while answers are lost in series, or writes follow sales in a rush. */
export const candidatesMax = 24;
/** Above this number old readings that prove nothing yet go, so that what happened before the newest one may be forgotten. */
const changesMax = 48;
/** Above this number the sales that no reading can tell apart any more are taken off the candidates' values. */
export const salesMax = 12;

/** Lets time and new knowledge have their effect. Every transition ends here; call it alone when only time has passed. */
export function settled(shadow: Shadow, now: number): Shadow {
  const { bounds } = shadow;
  const known = ended(
    mapped(shadow.candidates, (candidate) => aged(candidate, bounds, now)),
    bounds,
  );
  const current = withCandidates(shadow, known);
  const next = forgotten(withCandidates(current, ended(refuted(current), bounds)), now);
  const hold = holdOf(next);
  return hold === next.hold ? next : { ...next, hold };
}

function withCandidates(shadow: Shadow, candidates: readonly Candidate[]): Shadow {
  return candidates === shadow.candidates ? shadow : { ...shadow, candidates };
}

/**
 * What was accepted is in force after `settleMax`; what got no answer then is or never will be, and so is what was accepted into a queue: that may have been
 * given up, or leave it out. A write whose answer is awaited stays SENT.
 */
function aged(candidate: Candidate, bounds: Bounds, now: number): Candidate {
  const due = leftAt(candidate) + bounds.settleMax;
  if (candidate.settledAt !== null || now < due) return candidate;
  if (candidate.state === 'SENT' || candidate.state === 'REJECTED') return candidate;
  const isCertain = candidate.state === 'ACCEPTED' && candidate.queuedUntil === undefined;
  return { ...candidate, state: isCertain ? 'EFFECTIVE' : 'UNKNOWN', settledAt: due };
}

/** The same array when nothing is different: most transitions change nothing here. */
function mapped<Value>(
  values: readonly Value[],
  change: (value: Value, index: number) => Value,
): readonly Value[] {
  let changed: Value[] | null = null;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as Value;
    const next = change(value, index);
    if (next === value) continue;
    changed ??= [...values];
    changed[index] = next;
  }
  return changed ?? values;
}

function filtered<Value>(
  values: readonly Value[],
  keep: (value: Value, index: number) => boolean,
): readonly Value[] {
  return values.every(keep) ? values : values.filter(keep);
}

/** Something is in force at any time: evidence that leaves nothing contradicts itself, and that is a conflict's matter. */
function unlessAllEnd(next: readonly Candidate[], before: readonly Candidate[]): readonly Candidate[] {
  return next.some(({ state, endedAt }) => state !== 'REJECTED' && endedAt === null) ? next : before;
}

/** A candidate ends when a write that was sent after its last possible effect is in force for certain. */
function ended(candidates: readonly Candidate[], bounds: Bounds): readonly Candidate[] {
  if (candidates.length < 2) return candidates;
  const next = mapped(candidates, (candidate, index) => {
    let { endedAt } = candidate;
    for (let position = index + 1; position < candidates.length; position++) {
      const later = candidates[position];
      if (later?.state !== 'EFFECTIVE' || later.sentAt < latestEffect(candidate, bounds)) continue;
      endedAt = Math.min(endedAt ?? Number.POSITIVE_INFINITY, latestEffect(later, bounds));
    }
    return endedAt === candidate.endedAt ? candidate : { ...candidate, endedAt };
  });
  return unlessAllEnd(next, candidates);
}

/** What each reading refutes ends, and what alone can explain a reading was in force then. */
function refuted(shadow: Shadow): readonly Candidate[] {
  if (shadow.candidates.length < 2 || shadow.readings.length === 0) return shadow.candidates;
  return shadow.readings.reduce<readonly Candidate[]>(
    (candidates, reading) =>
      refutedBy(candidates === shadow.candidates ? shadow : { ...shadow, candidates }, reading),
    shadow.candidates,
  );
}

function refutedBy(shadow: Shadow, reading: Reading): readonly Candidate[] {
  const possible = shadow.candidates.filter((candidate) => inForce(candidate, reading));
  if (possible.length < 2) return shadow.candidates;
  const surviving = possible.filter((candidate) => explains(shadow, candidate, reading));
  // Nothing explains it: that is a conflict's matter, not a reason to forget what we wrote.
  if (surviving.length === 0 || surviving.length === possible.length) return shadow.candidates;
  const next = mapped(shadow.candidates, (candidate) => {
    if (!possible.includes(candidate)) return candidate;
    const latest = latestEffect(candidate, shadow.bounds);
    if (!surviving.includes(candidate)) {
      // What has not settled may still land, if in the same millisecond: what it replaced has ended there too.
      if (latest >= reading.from) return candidate;
      return { ...candidate, endedAt: Math.min(candidate.endedAt ?? reading.until, reading.until) };
    }
    if (surviving.length > 1 || candidate.state === 'EFFECTIVE') return candidate;
    // Each attempt of an absolute write may land by itself: one has, the last one still may. Of one in a queue somebody else may have set the same number.
    if (mayLandTwice(candidate) || (candidate.queuedUntil ?? 0) > reading.until)
      return candidate.state === 'ACCEPTED' ? candidate : { ...candidate, state: 'ACCEPTED' as const };
    return { ...candidate, state: 'EFFECTIVE' as const, settledAt: Math.min(latest, reading.until) };
  });
  return unlessAllEnd(next, shadow.candidates);
}

/** A repeated absolute write; a compared one is answered by its key and happens once. */
export function mayLandTwice({ expected, sentAt, lastSentAt }: Candidate): boolean {
  return expected === null && lastSentAt > sentAt;
}

/** Unknown sales may have lowered the number, and units put back unknown to us may have raised it, until every order is known. */
function explains(shadow: Shadow, candidate: Candidate, reading: Reading): boolean {
  const { low, high } = candidateRange(shadow, candidate, reading);
  const covered = ordersCover(shadow, reading);
  const mayBeHigher = shadow.bounds.restocksOnCancel && !covered;
  return (reading.value <= high || mayBeHigher) && (reading.value >= low || !covered);
}

function forgotten(shadow: Shadow, now: number): Shadow {
  const { staleMax, readMax } = shadow.bounds;
  const readings = filtered(shadow.readings, (reading, index) => isTelling(shadow, reading, index));
  const horizon = readings.reduce((at, { from }) => Math.min(at, from), now - staleMax - readMax);
  const kept = keptCandidates(shadow, horizon);
  const knownSince = kept === shadow.candidates ? shadow.knownSince : sinceEnded(shadow, kept);
  const candidates = merged(kept, shadow.bounds);
  const same = readings === shadow.readings && candidates === shadow.candidates;
  const next = same ? shadow : { ...shadow, readings, candidates, knownSince };
  if (shadow.sales.length === 0 && shadow.restocks.length === 0) return next;
  return folded(next, isCrowded(next) ? horizon : Math.min(horizon, shadow.ordersWatermark));
}

/** Those that may have been in force since, and what a compared one of them replaced while that tells more than the order of the sales. */
function keptCandidates(shadow: Shadow, horizon: number): readonly Candidate[] {
  const isPast = ({ state, endedAt }: Candidate) =>
    state === 'REJECTED' || (endedAt !== null && endedAt < horizon);
  if (!shadow.candidates.some(isPast)) return shadow.candidates;
  // Evidence that contradicts itself has ended all that was in force for certain, and what may be in force instead can still be refused.
  const isCertain = shadow.candidates.some(({ state, endedAt }) => state === 'EFFECTIVE' && endedAt === null);
  if (!isCertain) return filtered(shadow.candidates, ({ state }) => state !== 'REJECTED');
  const needed = new Set<Candidate>();
  for (const candidate of shadow.candidates.toReversed()) {
    if (candidate.state === 'REJECTED' || (isPast(candidate) && !needed.has(candidate))) continue;
    needed.add(candidate);
    if (candidate.expected === null) continue;
    const replaced = replacedBy(shadow, candidate) ?? [];
    const tells = !isCrowded(shadow) && hasUncertainOrder(shadow, candidate);
    // All of them or none: without one the others would pass for all it can have replaced.
    if (tells || replaced.some((older) => !isPast(older))) for (const older of replaced) needed.add(older);
  }
  return filtered(shadow.candidates, (candidate) => needed.has(candidate));
}

function isCrowded({ sales, restocks }: Shadow): boolean {
  return sales.length + restocks.length > changesMax;
}

/** Only a time after the end of what is forgotten is known in full. */
function sinceEnded({ candidates, knownSince }: Shadow, kept: readonly Candidate[]): number {
  return candidates.reduce(
    (since, candidate) =>
      candidate.state === 'REJECTED' || candidate.endedAt === null || kept.includes(candidate)
        ? since
        : Math.max(since, candidate.endedAt + tick),
    knownSince,
  );
}

function isTelling(shadow: Shadow, reading: Reading, index: number): boolean {
  const later = shadow.readings.slice(index + 1);
  const tells = tellsExplained(shadow, reading, later);
  // Only a reading that is later for certain can take back what an unexplained one says.
  const after = later.filter(({ from }) => from > reading.until);
  // It tells either way: whether it is explained is the dearest question here, and mostly need not be asked.
  if (tells && after.length === 0) return true;
  if (isExplained(shadow, reading)) return tells;
  return !after.some((other) => isExplained(shadow, other) && !writtenBetween(shadow, reading, other));
}

/** What a reading that is explained is still good for. */
function tellsExplained(shadow: Shadow, reading: Reading, later: readonly Reading[]): boolean {
  if (isCrowded(shadow) && later.length > 0) return false;
  // Until its orders are known it may still refute a candidate, or prove what the unit can sell at most.
  if (!ordersCover(shadow, reading)) return true;
  if (later.some((other) => ordersCover(shadow, other))) return false;
  return !shadow.candidates.some(({ state, sentAt }) => state === 'EFFECTIVE' && sentAt >= reading.until);
}

function isExplained(shadow: Shadow, reading: Reading): boolean {
  return deficitOf(shadow, reading) === 0 && excessOf(shadow, reading) === 0;
}

/** True when the later reading may show a write that came into force after the earlier one: then it says nothing about what that one missed. */
function writtenBetween(shadow: Shadow, earlier: Reading, later: Reading): boolean {
  return shadow.candidates.some(
    (candidate) => latestEffect(candidate, shadow.bounds) > earlier.from && inForce(candidate, later),
  );
}

const mergedKey = 'merged';

/** Two candidates become one that allows whatever either of them did. */
function merged(candidates: readonly Candidate[], bounds: Bounds): readonly Candidate[] {
  if (candidates.length <= candidatesMax) return candidates;
  // What stands in a queue is asked for under its key.
  const [first, second] = candidates.filter(({ queuedUntil }) => queuedUntil === undefined);
  if (first === undefined || second === undefined) return candidates;
  const rest = candidates.filter((candidate) => candidate !== first && candidate !== second);
  const value = Math.max(first.value, second.value);
  const lowest = Math.min(first.value - first.spread, second.value - second.spread);
  const one: Candidate = {
    ...second,
    // No answer can be about one of the two any more.
    key: mergedKey,
    expected: null,
    value,
    spread: value - lowest,
    sentAt: Math.min(first.sentAt, second.sentAt),
    lastSentAt: Math.max(first.lastSentAt, second.lastSentAt),
    settledAt: Math.max(latestEffect(first, bounds), latestEffect(second, bounds)),
    state: 'UNKNOWN',
    endedAt:
      first.endedAt === null || second.endedAt === null ? null : Math.max(first.endedAt, second.endedAt),
  };
  return merged([one, ...rest], bounds);
}

/** Drops changes that happened before everything that is kept, and takes those that every later reading includes off the values. */
function folded(shadow: Shadow, horizon: number): Shadow {
  const { clockSkewMax: skew } = shadow.bounds;
  let start = Number.POSITIVE_INFINITY;
  for (const { sentAt } of shadow.candidates) start = Math.min(start, sentAt);
  for (const { from } of shadow.readings) start = Math.min(start, from);
  const matters = (change: Change) => latestOf(change, skew) >= start;
  const sales = filtered(shadow.sales, matters);
  const restocks = filtered(shadow.restocks, matters);
  const same = sales === shadow.sales && restocks === shadow.restocks;
  let next: Shadow = same ? shadow : { ...shadow, sales, restocks };
  if (next.sales.length + next.restocks.length <= salesMax) return next;
  for (const [list, sign] of [
    ['sales', -1],
    ['restocks', 1],
  ] as const) {
    for (const change of next[list]) {
      if (latestOf(change, skew) < horizon) next = foldedChange(next, list, change, sign);
    }
  }
  return next;
}

function foldedChange(shadow: Shadow, list: 'sales' | 'restocks', change: Change, sign: 1 | -1): Shadow {
  const { bounds } = shadow;
  const skew = bounds.clockSkewMax;
  const after = (candidate: Candidate) => change.from - skew > latestEffect(candidate, bounds);
  const before = (candidate: Candidate) => latestOf(change, skew) < candidate.sentAt;
  if (!shadow.candidates.every((candidate) => after(candidate) || before(candidate))) return shadow;
  const spread = change.certain === false ? change.quantity : 0;
  return {
    ...shadow,
    // A reading of an earlier time would find the units missing from the number.
    knownSince: Math.max(shadow.knownSince, latestOf(change, skew) + tick),
    [list]: shadow[list].filter((other) => other !== change),
    candidates: shadow.candidates.map((candidate) =>
      after(candidate)
        ? {
            ...candidate,
            value: candidate.value + sign * change.quantity,
            // What the write has changed the number by stays the same.
            expected: candidate.expected === null ? null : candidate.expected + sign * change.quantity,
            spread: candidate.spread + spread,
          }
        : candidate,
    ),
  };
}
