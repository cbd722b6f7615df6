/** What the answer to a write tells: it proves the effect, or that it comes, or nothing. Pure. */
import { mayLandTwice, settled } from './collapse.ts';
import { withoutUnshown } from './lateWrites.ts';
import { queuedMaxMs } from './limits.ts';
import { asCandidate, leftAt } from './range.ts';
import { type Candidate, readingTaken, type Shadow } from './shadow.ts';

export type WriteAnswer =
  /** The answer proves that the write was in force when it was given. */
  | { readonly kind: 'effective' }
  /** Taken in; takes effect within `settleMax`. `queued`: false where one that was to stand in a queue went by itself. */
  | { readonly kind: 'accepted'; readonly queued?: false }
  /** The compare failed and nothing changed. `actual` is what the channel says it shows. */
  | {
      readonly kind: 'stale';
      readonly actual: number | null;
      /** True when that was only read, and may be as old as any reading. False when left out: the channel compared. */
      readonly read?: boolean;
    }
  /** Nothing changed: refused, or certainly not sent. */
  | { readonly kind: 'rejected' }
  /** No answer: it may or may not have happened. `queued` as above. */
  | { readonly kind: 'unknown'; readonly queued?: false };

export function writeAnswered(shadow: Shadow, key: string, answer: WriteAnswer, now: number): Shadow {
  const written = shadow.candidates.find((candidate) => candidate.key === key);
  if (written === undefined) return shadow;
  const due = leftAt(written) + shadow.bounds.settleMax;
  switch (answer.kind) {
    case 'effective':
      if (mayLandTwice(written)) return replaceCandidate(shadow, { ...written, state: 'ACCEPTED' }, now);
      return replaceCandidate(
        shadow,
        // Also of a write that a reading had refuted before: both at once only an outside edit explains, and the reading will tell.
        { ...written, state: 'EFFECTIVE', settledAt: Math.min(now, due), endedAt: null },
        now,
      );
    case 'accepted':
      return replaceCandidate(shadow, { ...goneBy(written, answer), state: 'ACCEPTED' }, now);
    case 'unknown':
      return replaceCandidate(shadow, { ...goneBy(written, answer), state: 'UNKNOWN' }, now);
    case 'rejected':
    case 'stale': {
      // A reading has shown it in force: the answer to a repeated key can deny that, but not undo it.
      if (written.state === 'EFFECTIVE') return toldBy(shadow, written, answer, now);
      // An earlier attempt under this key that got no answer may have happened all the same: only a compare answers for it too.
      const attempted = written.lastSentAt > written.sentAt;
      const compared = answer.kind === 'stale' && answer.read !== true;
      const state = attempted && !compared ? 'UNKNOWN' : 'REJECTED';
      const known = state === 'REJECTED' ? withoutUnshown(shadow, key) : shadow;
      const next = replaceCandidate(known, { ...written, state }, now);
      return toldBy(next, written, answer, now);
    }
  }
}

function goneBy(written: Candidate, { queued }: { readonly queued?: false }): Candidate {
  if (queued !== false) return written;
  const { queuedUntil: _never, ...byItself } = written;
  return byItself;
}

/** What was sent when nothing of what is known now was, and may stand in a queue still: it can land on top of everything. */
export function withStanding(
  shadow: Shadow,
  writes: readonly { readonly key: string; readonly value: number; readonly sentAt: number }[],
): Shadow {
  const standing = writes.map(
    ({ key, value, sentAt }): Candidate => ({
      ...asCandidate({ value, from: sentAt, until: sentAt }),
      key,
      settledAt: null,
      state: 'ACCEPTED',
      queuedUntil: sentAt + queuedMaxMs,
    }),
  );
  return standing.length === 0 ? shadow : { ...shadow, candidates: [...shadow.candidates, ...standing] };
}

/** The channel has worked off the queue that the write stood in, at `at` by its clock: from then on it lands like any other. */
export function writeWorkedOff(shadow: Shadow, key: string, at: number, now: number): Shadow {
  const written = shadow.candidates.find((candidate) => candidate.key === key);
  if (written?.queuedUntil === undefined) return shadow;
  const queuedUntil = Math.max(written.lastSentAt, Math.min(at + shadow.bounds.clockSkewMax, now));
  return replaceCandidate(shadow, { ...written, queuedUntil }, now);
}

/** Under a repeated key the channel may tell again what it told the first time; what was only read may be as old as any reading. */
function toldBy(shadow: Shadow, { sentAt }: Candidate, answer: WriteAnswer, now: number): Shadow {
  if (answer.kind !== 'stale' || answer.actual === null) return shadow;
  const from = sentAt - (answer.read ? shadow.bounds.staleMax : 0);
  return readingTaken(shadow, { value: answer.actual, from, until: now }, now);
}

function replaceCandidate(shadow: Shadow, candidate: Candidate, now: number): Shadow {
  const candidates = shadow.candidates.map((other) => (other.key === candidate.key ? candidate : other));
  return settled({ ...shadow, candidates }, now);
}
