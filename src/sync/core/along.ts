/** A write that set this unit's number although it was meant for another variant: what it overwrote is noticed, what it read is not forgotten. Pure. */
import { settled } from './collapse.ts';
import { withUnshown } from './lateWrites.ts';
import { asCandidate, tick } from './range.ts';
import { readingArrived, type Verdict } from './readings.ts';
import type { Candidate, Shadow } from './shadow.ts';
import { rangeNow } from './shown.ts';

export type AlongWrite = {
  /** A fresh id: nobody sends this write again. */
  readonly key: string;
  /** What was put there, in units. */
  readonly value: number;
  /** What the channel had shown just before, true at some instant in [`readFrom`, `readAt`]; null when it was no number. */
  readonly shown: number | null;
  readonly readFrom: number;
  readonly readAt: number;
  /** EFFECTIVE: in force by now. The others take effect within `settleMax`, UNKNOWN perhaps. */
  readonly state: Extract<Candidate['state'], 'EFFECTIVE' | 'ACCEPTED' | 'UNKNOWN'>;
};

/**
 * The reading counts first, or a sale that it shows and nobody has told of would be forgotten with the number it was taken from. Whatever was sold
 * between the reading and the write's effect is offered again: known sales are counted here, the others when they become known.
 */
export function writtenAlong(
  shadow: Shadow,
  { key, value, shown, readFrom, readAt, state }: AlongWrite,
  now: number,
): { readonly shadow: Shadow; readonly verdict: Verdict | null } {
  // The write followed the reading, if within the same millisecond. It is the reading that is put before: a write of a later time than now would leave
  // nothing in force now.
  const until = readAt - tick;
  const read = shown === null ? null : { value: shown, from: Math.min(readFrom, until), until };
  const { shadow: known, verdict } =
    read === null
      ? { shadow, verdict: null }
      : readingArrived(shadow, { kind: 'quantity', reading: read }, now);
  const candidate: Candidate = {
    ...asCandidate({ value, from: readAt, until: readAt }),
    key,
    targetSeq: known.sentSeq,
    settledAt: state === 'EFFECTIVE' ? Math.max(now, readAt) : null,
    state,
  };
  // In the order of sending: one of the unit's own may have left since.
  const candidates = [...known.candidates, candidate].toSorted((one, other) => one.sentAt - other.sentAt);
  const again = verdict?.kind === 'aboveHigh' ? 0 : Math.max(0, value - rangeNow(known, now).high);
  const resurrectedUnits = known.resurrectedUnits + again;
  const next = { ...withUnshown(known, candidate, now), candidates, resurrectedUnits };
  return { shadow: settled(next, now), verdict };
}
