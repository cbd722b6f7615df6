/** What a reading may do: it confirms, it holds units back, or it proves an outside edit. It never moves stock. */
import { deficitOf, knownLeast } from './missing.ts';
import { excessOf, isComparable, ordersCover, type Range, reachableRange, stopsRaises } from './range.ts';
import { asSeen, type Reading, readingTaken, rebased, type Shadow } from './shadow.ts';

/** Absent is not zero: a read answers a number, that the channel does not count, or that it cannot say. */
export type ReadResult =
  | { readonly kind: 'quantity'; readonly reading: Reading }
  | { readonly kind: 'notTracked' }
  | { readonly kind: 'unknown'; readonly reason: string };

export type Verdict =
  /** Explained by what is known: our own write's echo included. */
  | { readonly kind: 'inRange' }
  /** A write may have landed on either side of it: read again from `readAgainAt` on (milliseconds). */
  | { readonly kind: 'notComparable'; readonly readAgainAt: number }
  /** Probably sales that we have not seen: fetch orders now and read again. `urgent` when the unit shows nothing although it should. */
  | { readonly kind: 'belowLow'; readonly units: number; readonly urgent: boolean }
  /** Nothing known explains it: nothing is raised anywhere. */
  | { readonly kind: 'aboveHigh'; readonly units: number }
  /** Says nothing about the number: a health event, and nothing else changes. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** An outside edit that no sale, write or cancellation explains. `delta` in units, below 0 for a cut. */
export type Proof = {
  readonly unit: string;
  readonly delta: number;
  readonly reading: Reading;
  readonly range: Range;
  readonly ordersWatermark: number;
};

export function readingArrived(
  shadow: Shadow,
  result: ReadResult,
  now: number,
): { readonly shadow: Shadow; readonly verdict: Verdict } {
  if (result.kind === 'notTracked')
    return { shadow, verdict: { kind: 'unreadable', reason: 'the channel does not track this stock' } };
  if (result.kind === 'unknown') return { shadow, verdict: { kind: 'unreadable', reason: result.reason } };
  const reading = asSeen(result.reading);
  const notComparable = { kind: 'notComparable', readAgainAt: now + shadow.bounds.staleMax } as const;
  if (reading.from < shadow.knownSince)
    return { shadow: readingTaken(shadow, reading, now), verdict: notComparable };
  const deficit = deficitOf(shadow, reading);
  const excess = excessOf(shadow, reading);
  const comparable = isComparable(shadow, reading);
  const next = readingTaken(shadow, reading, now);
  if (deficit > 0) {
    const urgent = reading.value === 0 && shadow.target > 0;
    return { shadow: next, verdict: { kind: 'belowLow', units: deficit, urgent } };
  }
  if (excess > 0) return { shadow: next, verdict: { kind: 'aboveHigh', units: excess } };
  if (comparable) return { shadow: next, verdict: { kind: 'inRange' } };
  return { shadow: next, verdict: notComparable };
}

/** True when a reading shows nothing although units are left by every sale that is known. */
export function isEmptied(shadow: Shadow, taken: Reading): boolean {
  const reading = asSeen(taken);
  return reading.value === 0 && reading.from >= shadow.knownSince && deficitOf(shadow, reading) > 0;
}

/**
 * What the readings prove by now. Above the range is proof at once, unless the channel puts cancelled units back by itself: then, as
 * below the range, every order up to the reading must be known first. A cut needs two readings, but one when a later write has overwritten
 * what a second would have to show.
 */
export function judge(
  shadow: Shadow,
  now: number,
): { readonly shadow: Shadow; readonly proof: Proof | null } {
  const raised = shadow.readings.findLast(
    (reading) =>
      excessOf(shadow, reading) > 0 && (!shadow.bounds.restocksOnCancel || ordersCover(shadow, reading)),
  );
  if (raised !== undefined) return proven(shadow, raised, excessOf(shadow, raised), now);
  const cuts = shadow.readings.filter(
    (reading) => deficitOf(shadow, reading) > 0 && ordersCover(shadow, reading),
  );
  const cut = cuts.at(-1);
  if (cut === undefined || withholdsMore(shadow, cut)) return { shadow, proof: null };
  const overwritten = shadow.candidates.some(({ lastSentAt }) => lastSentAt > cut.from);
  if (cuts.length < 2 && !overwritten) return { shadow, proof: null };
  return proven(shadow, cut, -deficitOf(shadow, cut), now);
}

/** True while a reading of perhaps the same time found more missing: sales that we do not know yet, which a proof would forget. */
function withholdsMore(shadow: Shadow, cut: Reading): boolean {
  const deficit = deficitOf(shadow, cut);
  return shadow.readings.some(
    (other) =>
      other.until > cut.until &&
      other.from < cut.until &&
      !ordersCover(shadow, other) &&
      deficitOf(shadow, other) > deficit,
  );
}

function proven(
  shadow: Shadow,
  reading: Reading,
  delta: number,
  now: number,
): { readonly shadow: Shadow; readonly proof: Proof } {
  const { unit, ordersWatermark } = shadow;
  const { high } = reachableRange(shadow, reading);
  // What a cut is measured from: the low end of the writes alone can be lower.
  const low = knownLeast(shadow, reading);
  const proof = { unit, delta, reading, range: { low, high: Math.max(low, high) }, ordersWatermark };
  return { shadow: rebased(shadow, reading, now), proof };
}

/** When a unit is read again, in milliseconds. */
export type ReadPace = {
  /** While a write is not proved or a reading is not explained. */
  readonly verifyIntervalMs: number;
  /** While it is in step. */
  readonly reconcileIntervalMs: number;
};

/**
 * Open questions are asked again soon, a unit in step now and then. While nothing but a write in a queue is open, and nothing was written since that it could
 * overwrite, ever more seldom: after an eighth of the time that it has stood, and four times as long as else at least.
 */
export function readDueAt(
  shadow: Shadow,
  { verifyIntervalMs, reconcileIntervalMs }: ReadPace,
  now: number,
): number {
  // What ended longer ago is kept for what a later write changed: no reading can show it any more.
  const since = now - shadow.bounds.staleMax - shadow.bounds.readMax;
  const recent = shadow.candidates.filter(({ endedAt }) => endedAt === null || endedAt >= since);
  const open = recent.length > 1 || shadow.candidates.some(({ settledAt }) => settledAt === null);
  const asked = Number.isFinite(shadow.readAt) ? shadow.readAt : now;
  const unexplained = shadow.hold > 0 || stopsRaises(shadow);
  if (!open && !unexplained) return asked + reconcileIntervalMs;
  const stood = unexplained ? null : stoodFor(shadow, now);
  const pauseMs =
    stood === null
      ? verifyIntervalMs
      : Math.min(Math.max(4 * verifyIntervalMs, stood / 8), Math.max(verifyIntervalMs, reconcileIntervalMs));
  return Math.max(asked, now - pauseMs) + pauseMs;
}

/** How long the newest write has stood in a queue, in milliseconds; null when it does not. */
function stoodFor({ candidates }: Shadow, now: number): number | null {
  const newest = candidates.at(-1);
  const stands = newest?.settledAt === null && (newest.queuedUntil ?? 0) > now;
  return stands ? now - newest.lastSentAt : null;
}
