/** Names the assumption that broke: a write of our own that took effect late, somebody else's number, or a sale of what was not shown. Pure. */
import { candidateRange, inForce } from './range.ts';
import type { Candidate, Reading, Shadow } from './shadow.ts';
import { rangeNow } from './shown.ts';

/**
 * An absolute write that no reading has shown in force: that it was, an answer or time has said. A compared write is none: it happens with its answer or
 * not at all.
 */
export type UnshownWrite = {
  readonly key: string;
  readonly value: number;
  /** What the unit showed at most when it was sent: what it shows still while the write is late. */
  readonly before: number;
  readonly sentAt: number;
};

/** The newest of them: what was replaced so many times would have landed long ago. */
const unshownMax = 6;

export function withUnshown(
  shadow: Shadow,
  write: Pick<Candidate, 'key' | 'value' | 'sentAt'>,
  now: number,
): Shadow {
  const { key, value, sentAt } = write;
  const known = (shadow.unshown ?? []).filter((older) => !soldFrom(shadow, older));
  const before = rangeNow(shadow, now).high;
  return { ...shadow, unshown: [...known, { key, value, before, sentAt }].slice(-unshownMax) };
}

/** More was sold since it was sent than the number before it could give: it was in force. Asked when the next one leaves, which could give some itself. */
function soldFrom({ sales, bounds, candidates }: Shadow, write: UnshownWrite): boolean {
  const after = sales.filter(({ from }) => from - bounds.clockSkewMax > write.sentAt);
  return candidates.at(-1)?.key === write.key && sumOf(after) > write.before;
}

/** It has happened for everybody to see, or never will. */
export function withoutUnshown(shadow: Shadow, key: string): Shadow {
  const { unshown = [] } = shadow;
  return unshown.some((write) => write.key === key)
    ? { ...shadow, unshown: unshown.filter((write) => write.key !== key) }
    : shadow;
}

/** What alone explains a reading has been in force. */
export function shownBy(shadow: Shadow, reading: Reading): Shadow {
  if ((shadow.unshown ?? []).length === 0) return shadow;
  const explaining = shadow.candidates.filter((candidate) => {
    if (!inForce(candidate, reading)) return false;
    const { low, high } = candidateRange(shadow, candidate, reading);
    return reading.value >= low && reading.value <= high;
  });
  const [only] = explaining;
  return only !== undefined && explaining.length === 1 ? withoutUnshown(shadow, only.key) : shadow;
}

/**
 * Why a reading is above everything that can be. A2 where it shows what one of our own writes carried that no reading has shown yet, or what such a write
 * should have replaced, less what was sold since; A4 otherwise. Somebody who puts back just such a number cannot be told from a late write, and counts as
 * one; a write that was seen in force and lands once more counts as somebody else's.
 */
export function raisedBecause(shadow: Shadow, reading: Reading): 'A2' | 'A4' {
  const late = (shadow.unshown ?? []).some(({ value, before, sentAt }) => {
    if (sentAt >= reading.until) return false;
    const sold = sumOf(shadow.sales.filter(({ knownAt }) => knownAt === undefined || knownAt >= sentAt));
    const putBack = sumOf(shadow.restocks);
    return [value, before].some((shown) => reading.value >= shown - sold && reading.value <= shown + putBack);
  });
  return late ? 'A2' : 'A4';
}

/**
 * Why more was sold than there were rights for: A2 where a write that no reading has shown may have landed after a newer one, or may not have lowered the
 * number yet; A1 otherwise. Nothing but a reading could tell a number that somebody else had raised, and there was none.
 */
export function oversoldBecause(shadow: Shadow, soldAt: number): 'A1' | 'A2' {
  const { unshown = [], candidates } = shadow;
  const late = unshown.some(({ value, before, sentAt }) => {
    if (sentAt >= soldAt) return false;
    const replaced = [...unshown, ...candidates].some((other) => other.sentAt > sentAt);
    return before > value || (replaced && value > 0);
  });
  return late ? 'A2' : 'A1';
}

function sumOf(changes: readonly { readonly quantity: number }[]): number {
  return changes.reduce((sum, { quantity }) => sum + quantity, 0);
}
