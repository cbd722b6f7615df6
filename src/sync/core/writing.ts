/** Whether to write a unit's number now: never a sale offered again that we know of or could have known of. Pure. */
import { asCandidate, candidateRange, latestEffect } from './range.ts';
import type { Candidate, Shadow } from './shadow.ts';
import { type Believed, believedShown, eventualRange, ordersDueAt, raisedFrom, rangeNow } from './shown.ts';

export type Want = {
  readonly target: number;
  /** The ledger's seq that the target was computed from. */
  readonly targetSeq: number;
  /** False while something above the reachable range is unexplained: then nothing is raised anywhere. */
  readonly raisesAllowed: boolean;
  /** False when others will probably have sold what a raise offers before it is in force. True when left out. */
  readonly raiseInTime?: boolean;
};

export type WritingLimits = {
  readonly compareAndSet: boolean;
  /** How old the looks of a fence may be when the raise is sent, in milliseconds. */
  readonly fenceMax: number;
  /**
   * A lowering write to at most this many units pre-empts whatever is in flight; one that leaves more to sell waits for a lowering write in
   * flight, because of two that overlap the older may land last. In units.
   */
  readonly preemptMax: number;
  /** While an older write may still land after a zero, the zero is sent again after this many milliseconds, then ever more seldom. */
  readonly zeroAgain: number;
};

export type Direction = 'zero' | 'lower' | 'raise';

export type WriteDecision =
  | {
      readonly kind: 'none';
      readonly reason: 'inStep' | 'observed' | 'older' | 'raisesStopped' | 'raiseTooLate' | 'answerAwaited';
    }
  /** Something under way decides first; ask again at `until`. */
  | { readonly kind: 'wait'; readonly until: number }
  /** Fetch the connection's orders, then read the unit, then ask again. */
  | { readonly kind: 'fence' }
  | {
      readonly kind: 'write';
      readonly direction: Direction;
      readonly value: number;
      readonly targetSeq: number;
      /** What the channel must still show; null for an absolute write. */
      readonly expected: number | null;
      /**
       * What a channel that reads before it writes may find there; null where it writes over whatever it finds: a lowering, a comparison, or when nothing
       * that is known can tell.
       */
      readonly believed: Believed | null;
      /** The key of the same write sent before without an answer. */
      readonly repeats: string | null;
    };

/** The decision about one unit. Asked after every transition of its shadow, and whenever the target changes. */
export function decideWrite(shadow: Shadow, want: Want, limits: WritingLimits, now: number): WriteDecision {
  if (shadow.mode === 'observe') return { kind: 'none', reason: 'observed' };
  if (want.targetSeq < shadow.sentSeq) return { kind: 'none', reason: 'older' };
  const target = shadow.mode === 'paused' ? 0 : want.target;
  const eventual = eventualRange(shadow, now);
  if (eventual.low === target && eventual.high === target) return { kind: 'none', reason: 'inStep' };
  const wanted = { ...want, target };
  return eventual.high > target
    ? decideLowering(shadow, wanted, limits, now)
    : decideRaise(shadow, wanted, limits, now);
}

/** To zero at once, whatever is in flight; else behind a lowering write in flight when more than `preemptMax` is left to sell. */
function decideLowering(shadow: Shadow, want: Want, limits: WritingLimits, now: number): WriteDecision {
  const newest = shadow.candidates.at(-1);
  const direction = want.target === 0 ? 'zero' : 'lower';
  if (newest !== undefined && shadow.candidates.some(isOpen)) {
    const latest = latestEffect(newest, shadow.bounds);
    const alone = candidateRange(shadow, newest, { from: now, until: Math.max(now, latest) });
    // Nothing was learned since it left: the same write once more could not make the number any lower.
    const sameAgain = newest.value === want.target && newest.targetSeq === want.targetSeq;
    // Ours is on its way or there; only an older one that may land after it is still above the target, and nothing can be done about that before a
    // reading shows that it did: then ours has ended.
    const stands =
      newest.state !== 'UNKNOWN' &&
      newest.state !== 'REJECTED' &&
      newest.endedAt === null &&
      newest.queuedUntil === undefined;
    // What stood in a queue when ours left lands from now on, perhaps on top of it.
    if (isWorkedOffSince(shadow, newest, now)) return write(shadow, want, limits, direction, now);
    // A number that sales have brought to nothing stands in no older write's way, as a zero may.
    const isSold = want.target === 0 && newest.value > 0;
    if (stands && !isSold && (sameAgain || alone.high <= want.target))
      return want.target === 0 ? zeroAgain(shadow, newest, limits, now) : waiting(shadow, now);
    if (
      stands &&
      isOpen(newest) &&
      want.target > limits.preemptMax &&
      latest > now &&
      isLowering(shadow, newest)
    )
      return { kind: 'wait', until: latest };
  }
  return write(shadow, want, limits, direction, now);
}

/** A raise waits until nothing is in flight and the fence is clean. A compare-and-set from an exact number that lacks nothing is its own fence. */
function decideRaise(shadow: Shadow, want: Want, limits: WritingLimits, now: number): WriteDecision {
  if (shadow.candidates.some(isOpen)) return waiting(shadow, now);
  if (!want.raisesAllowed) return { kind: 'none', reason: 'raisesStopped' };
  if (want.raiseInTime === false) return { kind: 'none', reason: 'raiseTooLate' };
  const { low, high } = rangeNow(shadow, now);
  const fenced = isFenced(shadow, limits, now);
  if (limits.compareAndSet && raisedFrom(shadow, now) > high) {
    const until = fenced ? ordersDueAt(shadow, now) : null;
    if (until !== null && until > now) return { kind: 'wait', until };
  } else if (fenced || (limits.compareAndSet && low === high)) {
    return write(shadow, want, limits, 'raise', now);
  }
  const speaksFrom = shadow.knownSince + shadow.bounds.staleMax;
  return speaksFrom > now ? { kind: 'wait', until: speaksFrom } : { kind: 'fence' };
}

export function isFenced(shadow: Shadow, { fenceMax }: WritingLimits, now: number): boolean {
  return shadow.ordersFetchedAt >= now - fenceMax && shadow.spokenAt >= now - fenceMax;
}

/** Until the last open write has landed or never will; past that only its answer can tell, and the caller gives up on answers in time. */
function waiting(shadow: Shadow, now: number): WriteDecision {
  const until = lastSettling(shadow);
  return until > now ? { kind: 'wait', until } : { kind: 'none', reason: 'answerAwaited' };
}

/** An older write that lands after the zero would be sold from unnoticed until it is read. One in force is written anew: its key was answered. */
function zeroAgain(shadow: Shadow, newest: Candidate, limits: WritingLimits, now: number): WriteDecision {
  const pace = isOpen(newest) ? newest.sentAt : (shadow.candidates.find(isOpen)?.sentAt ?? newest.sentAt);
  const until = newest.lastSentAt + Math.max(limits.zeroAgain, newest.lastSentAt - pace);
  if (until >= lastSettling(shadow)) return waiting(shadow, now);
  if (now < until || newest.state === 'SENT') return { kind: 'wait', until: Math.max(until, now + 1) };
  const { targetSeq } = newest;
  return isOpen(newest)
    ? repeat(newest, 'zero')
    : {
        kind: 'write',
        direction: 'zero',
        value: 0,
        targetSeq,
        expected: null,
        believed: null,
        repeats: null,
      };
}

function isWorkedOffSince({ candidates }: Shadow, { lastSentAt }: Candidate, now: number): boolean {
  return candidates.some((candidate) => {
    const { queuedUntil } = candidate;
    return isOpen(candidate) && queuedUntil !== undefined && queuedUntil > lastSentAt && queuedUntil <= now;
  });
}

function isLowering({ candidates }: Shadow, newest: Candidate): boolean {
  return candidates.some((older) => older !== newest && older.endedAt === null && older.value > newest.value);
}

/**
 * An absolute write that certainly landed or never will is written anew instead: it would overwrite what was read since. One that left in company, or into a
 * queue, has no key of its own.
 */
function isUnanswered(candidate: Candidate): boolean {
  const { state, expected, endedAt, inCompany, queuedUntil } = candidate;
  const repeatable =
    inCompany !== true && queuedUntil === undefined && (expected !== null || isOpen(candidate));
  return state === 'UNKNOWN' && endedAt === null && repeatable;
}

function isOpen(candidate: Candidate): boolean {
  return candidate.settledAt === null && candidate.state !== 'REJECTED';
}

/** When the last open write has landed or never will; 0 when none is open. */
function lastSettling(shadow: Shadow): number {
  return shadow.candidates.reduce(
    (until, candidate) =>
      isOpen(candidate) ? Math.max(until, latestEffect(candidate, shadow.bounds)) : until,
    0,
  );
}

function write(
  shadow: Shadow,
  want: Want,
  limits: WritingLimits,
  direction: Direction,
  now: number,
): WriteDecision {
  const { target: value, targetSeq } = want;
  const newest = shadow.candidates.at(-1);
  // Its answer was lost: a fresh key could fail as stale because of the first attempt's own effect.
  if (
    newest !== undefined &&
    isUnanswered(newest) &&
    newest.value === value &&
    newest.targetSeq === targetSeq
  )
    return repeat(newest, direction);
  const expected = limits.compareAndSet ? comparedWith(shadow, direction, value, now) : null;
  const believed = direction === 'raise' && !limits.compareAndSet ? believedShown(shadow, now) : null;
  return { kind: 'write', direction, value, targetSeq, expected, believed, repeats: null };
}

/**
 * Where the number is not exact, a stale answer says what is shown, and nothing was changed. A raise that had company and got no answer may never have left:
 * once the unit was read since, a lowering is compared with what was read, for the raise would be refused then.
 */
function comparedWith(shadow: Shadow, direction: Direction, target: number, now: number): number {
  if (direction === 'raise') return raisedFrom(shadow, now);
  const { high } = rangeNow(shadow, now);
  const lost = shadow.candidates.findLast(
    ({ inCompany, state, endedAt }) => inCompany === true && state === 'UNKNOWN' && endedAt === null,
  );
  const seen = shadow.readings.at(-1);
  if (lost === undefined || seen === undefined || seen.until <= lost.lastSentAt) return high;
  const read = candidateRange(shadow, asCandidate(seen), { from: now, until: now }).high;
  return read > target && read < high ? read : high;
}

function repeat(candidate: Candidate, direction: Direction): WriteDecision {
  const { key, value, targetSeq, expected } = candidate;
  // No raise of a channel that does not compare is repeated: it waits until the first one has landed or never will.
  return { kind: 'write', direction, value, targetSeq, expected, believed: null, repeats: key };
}
