/** What the answer to a write tells: it proves the effect, or that it comes, or nothing. Pure. */
import { mayLandTwice, settled } from './collapse.ts';
import { type Candidate, readingTaken, type Shadow } from './shadow.ts';

export type WriteAnswer =
  /** The answer proves that the write was in force when it was given. */
  | { readonly kind: 'effective' }
  /** Taken in; takes effect within `settleMax`. */
  | { readonly kind: 'accepted' }
  /** The compare failed and nothing changed. `actual` is what the channel says it shows. */
  | { readonly kind: 'stale'; readonly actual: number | null }
  /** Nothing changed: refused, or certainly not sent. */
  | { readonly kind: 'rejected' }
  /** No answer: it may or may not have happened. */
  | { readonly kind: 'unknown' };

export function writeAnswered(shadow: Shadow, key: string, answer: WriteAnswer, now: number): Shadow {
  const written = shadow.candidates.find((candidate) => candidate.key === key);
  if (written === undefined) return shadow;
  const due = written.lastSentAt + shadow.bounds.settleMax;
  switch (answer.kind) {
    case 'effective':
      return mayLandTwice(written)
        ? replaceCandidate(shadow, { ...written, state: 'ACCEPTED' }, now)
        : replaceCandidate(shadow, { ...written, state: 'EFFECTIVE', settledAt: Math.min(now, due) }, now);
    case 'accepted':
      return replaceCandidate(shadow, { ...written, state: 'ACCEPTED' }, now);
    case 'unknown':
      return replaceCandidate(shadow, { ...written, state: 'UNKNOWN' }, now);
    case 'rejected':
    case 'stale': {
      const told = answer.kind === 'stale' ? answer.actual : null;
      // A reading has shown it in force: the answer to a repeated key can deny that, but not undo it.
      if (written.state === 'EFFECTIVE') return toldBy(shadow, written, told, now);
      // An earlier attempt under this key that got no answer may have happened all the same.
      const attempted = written.lastSentAt > written.sentAt;
      const state = attempted && answer.kind === 'rejected' ? 'UNKNOWN' : 'REJECTED';
      const next = replaceCandidate(shadow, { ...written, state }, now);
      return toldBy(next, written, told, now);
    }
  }
}

/** Under a repeated key the channel may tell again what it told the first time; and what it tells may be as old as any reading. */
function toldBy(shadow: Shadow, { sentAt }: Candidate, actual: number | null, now: number): Shadow {
  if (actual === null) return shadow;
  return readingTaken(shadow, { value: actual, from: sentAt - shadow.bounds.staleMax, until: now }, now);
}

function replaceCandidate(shadow: Shadow, candidate: Candidate, now: number): Shadow {
  const candidates = shadow.candidates.map((other) => (other.key === candidate.key ? candidate : other));
  return settled({ ...shadow, candidates }, now);
}
