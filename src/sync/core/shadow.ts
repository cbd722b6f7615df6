/** What we believe one write unit shows: every write that may be in force, every known sale, and what readings said. Pure values and transitions. */
import { settled } from './collapse.ts';
import { shownBy, type UnshownWrite, withUnshown } from './lateWrites.ts';
import { asCandidate, latestEffect, readingKey, tick } from './range.ts';
import { thinnedReadings } from './thinning.ts';

export { settled } from './collapse.ts';

/** ACCEPTED is not EFFECTIVE: that needs a reading, an answer that proves it, or, but for a queue, the end of `settleMax`. A lost answer is UNKNOWN. */
export type CandidateState = 'SENT' | 'ACCEPTED' | 'EFFECTIVE' | 'UNKNOWN' | 'REJECTED';

/** A number that may be in force, and when it came into force at the earliest and at the latest. All times in milliseconds. */
export type Candidate = {
  /** The write's idempotency key: never derived from the quantity. */
  readonly key: string;
  readonly value: number;
  /** Units by which `value` may be too high: 0 but for candidates that were merged to bound memory. */
  readonly spread: number;
  readonly targetSeq: number;
  /** What a compare-and-set compares with; null for an absolute write. */
  readonly expected: number | null;
  readonly sentAt: number;
  /** The newest attempt under the same key; `sentAt` when there was one. */
  readonly lastSentAt: number;
  /** The latest instant of its effect, once that is known. */
  readonly settledAt: number | null;
  readonly state: CandidateState;
  /** From when on it certainly is not in force any more: replaced by a later write, or refuted by a reading. */
  readonly endedAt: number | null;
  /** True when it left in one call with others, which has one key for all of them: it is never repeated, but read back. Left out otherwise. */
  readonly inCompany?: true;
  /** Until when it may stand in a queue of the channel; once that is known, when it was worked off. Left out when it is not queued. */
  readonly queuedUntil?: number;
};

/** Units sold, or put back by the channel itself, somewhere in [from, until] on the channel's clock. */
export type Change = {
  readonly orderId: string;
  readonly quantity: number;
  readonly from: number;
  readonly until: number;
  /** False when nobody knows whether the channel put them back: then only a reading can tell. True when left out. */
  readonly certain?: boolean;
  /** When we heard of it, on our own clock: by then it had happened, whatever the channel's clock says. */
  readonly knownAt?: number;
};

/** A number that was true at some instant in [from, until]: `from` is the request's time minus `staleMax`, `until` the response's time. */
export type Reading = {
  readonly value: number;
  readonly from: number;
  readonly until: number;
  /** It was taken before any write that was sent later than this; `until` when left out. */
  readonly writesUntil?: number;
};

export type Mode = 'shared' | 'escrow' | 'paused' | 'observe';

/** Measured bounds of one channel, in milliseconds. What holds beyond them is outside every promise. */
export type Bounds = {
  /** How old what a read shows may be. */
  readonly staleMax: number;
  /** How late a write may land, counted from when it was sent, or from when the queue that it stood in was worked off. */
  readonly settleMax: number;
  /** How far the channel's clock may be from ours. */
  readonly clockSkewMax: number;
  /** How long a read may take: what is older than this plus `staleMax` no reading can speak of. */
  readonly readMax: number;
  /** True when the channel may put the units of a cancelled order back by itself. */
  readonly restocksOnCancel: boolean;
};

export type Shadow = {
  readonly unit: string;
  readonly mode: Mode;
  readonly bounds: Bounds;
  readonly target: number;
  /** The ledger's seq that `target` was computed from. */
  readonly targetSeq: number;
  /** The newest `targetSeq` that was sent: nothing older is ever sent after it. */
  readonly sentSeq: number;
  readonly candidates: readonly Candidate[];
  /** Writes that no reading has shown, oldest first: what A2 is judged by. Left out when there is none. */
  readonly unshown?: readonly UnshownWrite[];
  /** Since when all that was in force is among the candidates: a reading that may be older says nothing. */
  readonly knownSince: number;
  readonly sales: readonly Change[];
  readonly restocks: readonly Change[];
  /** Readings that still say something, oldest first. */
  readonly readings: readonly Reading[];
  /** Channel time up to which every order is known. */
  readonly ordersWatermark: number;
  /** When the newest finished fetch of this connection's orders was started. */
  readonly ordersFetchedAt: number;
  /** When the newest read was answered. */
  readonly readAt: number;
  /** The same of readings that are certainly of a time that is known: only they can tell a raise what was sold. */
  readonly spokenAt: number;
  /** Units withheld everywhere because a reading suggests sales that we have not seen. */
  readonly hold: number;
  /** Units that became known only after a write which may have offered them again. */
  readonly resurrectedUnits: number;
};

/** Readings kept as evidence. */
const readingsMax = 6;

/** A unit whose number was just read or written for certain. `at` is when. */
export function newShadow(
  unit: string,
  bounds: Bounds,
  start: { readonly value: number; readonly at: number; readonly targetSeq: number; readonly mode?: Mode },
): Shadow {
  const { value, at, targetSeq, mode = 'shared' } = start;
  return {
    unit,
    mode,
    bounds,
    target: value,
    targetSeq,
    sentSeq: targetSeq,
    candidates: [{ ...asCandidate({ value, from: at, until: at }), targetSeq }],
    knownSince: at,
    sales: [],
    restocks: [],
    readings: [],
    ordersWatermark: at,
    ordersFetchedAt: Number.NEGATIVE_INFINITY,
    readAt: Number.NEGATIVE_INFINITY,
    spokenAt: Number.NEGATIVE_INFINITY,
    hold: 0,
    resurrectedUnits: 0,
  };
}

/**
 * A unit of which nothing but a reading is known: the number was in force somewhere in its window, so that a sale within the window may or may not
 * be in it. No order is known yet, whatever its age.
 */
export function shadowFromReading(
  unit: string,
  bounds: Bounds,
  reading: Reading,
  targetSeq: number,
  mode: Mode = 'shared',
): Shadow {
  const seen = asSeen(reading);
  const { value, until } = seen;
  return {
    ...newShadow(unit, bounds, { value, at: until, targetSeq, mode }),
    candidates: [{ ...asCandidate(seen), targetSeq }],
    ordersWatermark: Number.NEGATIVE_INFINITY,
    readAt: until,
    spokenAt: until,
  };
}

export function targetSet(shadow: Shadow, target: number, targetSeq: number): Shadow {
  if (targetSeq < shadow.targetSeq) return shadow;
  if (shadow.target === target && shadow.targetSeq === targetSeq) return shadow;
  return { ...shadow, target, targetSeq };
}

/** A write leaves. The same key again is a retry: one candidate, whose effect may come as late as the newest attempt's. */
export function writeSent(
  shadow: Shadow,
  write: Pick<Candidate, 'key' | 'value' | 'targetSeq' | 'expected' | 'inCompany' | 'queuedUntil'>,
  now: number,
): Shadow {
  if (write.targetSeq < shadow.sentSeq)
    throw new Error(`S6: write ${write.key} is older than what was sent to ${shadow.unit}`);
  const again = shadow.candidates.some(({ key }) => key === write.key);
  const candidates = again
    ? shadow.candidates.map((candidate) =>
        candidate.key === write.key
          ? { ...candidate, lastSentAt: now, state: 'SENT' as const, settledAt: null, endedAt: null }
          : candidate,
      )
    : [
        ...shadow.candidates,
        {
          ...asCandidate({ value: write.value, from: now, until: now }),
          ...write,
          settledAt: null,
          state: 'SENT' as const,
        },
      ];
  // What was read before this write left cannot show it, even in the same millisecond.
  const readings = shadow.readings.map((reading) =>
    reading.until >= now
      ? { ...reading, writesUntil: Math.max(reading.from, Math.min(reading.writesUntil ?? now, now - tick)) }
      : reading,
  );
  const before = withChangesBefore(shadow, now);
  const known =
    again || write.expected !== null ? before : withUnshown(before, { ...write, sentAt: now }, now);
  return settled({ ...known, candidates, readings, sentSeq: write.targetSeq }, now);
}

/** What was known before a write left had happened before it, even in the same millisecond: most writes follow from what has just become known. */
function withChangesBefore(shadow: Shadow, now: number): Shadow {
  const { candidates, readings, sales, restocks } = shadow;
  const newest = Math.max(...candidates.map(({ sentAt }) => sentAt), ...readings.map(({ from }) => from));
  // It may have happened after something older of this very millisecond.
  if (newest >= now) return shadow;
  const isJustKnown = ({ knownAt }: Change) => knownAt !== undefined && knownAt >= now;
  const before = (change: Change) => (isJustKnown(change) ? { ...change, knownAt: now - tick } : change);
  return { ...shadow, sales: sales.map(before), restocks: restocks.map(before) };
}

/** Units of an order became known: the ledger's movement for this unit, never a second delivery of the same news. */
export function orderSeen(shadow: Shadow, sale: Change, now: number): Shadow {
  const last = shadow.candidates.findLast(({ state }) => state !== 'UNKNOWN' && state !== 'REJECTED');
  // Written without knowing of the sale, in force after it: the unit was offered a second time.
  const offeredAgain =
    last !== undefined &&
    last.key !== readingKey &&
    last.expected === null &&
    sale.from - shadow.bounds.clockSkewMax < latestEffect(last, shadow.bounds);
  const known = settled({ ...shadow, sales: [...shadow.sales, { ...sale, knownAt: now }] }, now);
  if (!offeredAgain) return known;
  // Units that a reading had found missing were withheld from that write already, and it offers no more than its number.
  const again = Math.min(last.value, Math.max(0, sale.quantity - Math.max(0, shadow.hold - known.hold)));
  return { ...known, resurrectedUnits: known.resurrectedUnits + again };
}

/** Units came back. The shown number only changes by itself when the channel put them back; where that is not known, as if, but not `certain`. */
export function orderCancelled(
  shadow: Shadow,
  cancellation: Change & { readonly restockedByChannel: boolean },
  now: number,
): Shadow {
  const { restockedByChannel, ...change } = cancellation;
  if (!restockedByChannel) return shadow;
  return settled({ ...shadow, restocks: [...shadow.restocks, { ...change, knownAt: now }] }, now);
}

/** Every order up to `to` (channel time) is known, by a fetch that was started at `fetchedAt`. */
export function watermarkAdvanced(shadow: Shadow, to: number, fetchedAt: number, now: number): Shadow {
  return settled(
    {
      ...shadow,
      ordersWatermark: Math.max(shadow.ordersWatermark, to),
      ordersFetchedAt: Math.max(shadow.ordersFetchedAt, fetchedAt),
    },
    now,
  );
}

/** True when an order that old should have been known already: assumption A3 does not hold. */
export function arrivedTooLate(shadow: Shadow, change: Change): boolean {
  return change.until + shadow.bounds.clockSkewMax <= shadow.ordersWatermark;
}

/** The window in which a read's answer was true. */
export function readingOf(
  bounds: Bounds,
  read: { readonly value: number; readonly requestedAt: number; readonly respondedAt: number },
): Reading {
  return { value: read.value, from: read.requestedAt - bounds.staleMax, until: read.respondedAt };
}

/** No buyer sees less than nothing: a channel that counts below 0 shows 0. */
export function asSeen(reading: Reading): Reading {
  return reading.value < 0 ? { ...reading, value: 0 } : reading;
}

/** Remembers a reading. What it means is asked of `judge`; here it only ends candidates that it refutes. */
export function readingTaken(shadow: Shadow, taken: Reading, now: number): Shadow {
  const reading = asSeen(taken);
  const speaks = reading.from >= shadow.knownSince;
  const all = speaks ? [...shadow.readings, reading] : shadow.readings;
  const readings = thinnedReadings({ ...shadow, readings: all }, readingsMax);
  const readAt = Math.max(shadow.readAt, reading.until);
  const spokenAt = speaks ? Math.max(shadow.spokenAt, reading.until) : shadow.spokenAt;
  const known = speaks ? shownBy(shadow, reading) : shadow;
  return settled({ ...known, readings, readAt, spokenAt }, now);
}

/**
 * Starts again from a reading: what an outside edit has made wrong is forgotten. Writes that may still land are not, nor what was read later: units that it
 * found missing may be sales. The reading itself goes in any case, so that no proof is ever drawn from it again.
 */
export function rebased(shadow: Shadow, reading: Reading, now: number): Shadow {
  const open = shadow.candidates.filter(
    (candidate) => latestEffect(candidate, shadow.bounds) > reading.from && candidate.state !== 'REJECTED',
  );
  const candidates = [asCandidate(reading), ...open.map(notEnded)];
  const readings = shadow.readings.filter((other) => other !== reading && other.from >= reading.until);
  const spokenAt = readings.reduce((at, { until }) => Math.max(at, until), reading.until);
  return settled({ ...shadow, candidates, knownSince: reading.until, readings, spokenAt }, now);
}

function notEnded(candidate: Candidate): Candidate {
  return candidate.endedAt === null ? candidate : { ...candidate, endedAt: null };
}
