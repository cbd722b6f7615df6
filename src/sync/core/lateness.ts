/** What a reading tells of how late a channel is: it still shows a higher number that a lowering write of ours had replaced. Pure. */
import { candidateRange, inForce, latestEffect, leftAt } from './range.ts';
import type { Candidate, Reading, Shadow } from './shadow.ts';

/** At least so many milliseconds old was what a read showed, or so late a write that only time had settled has landed. */
export type Lateness = { readonly of: 'staleMax' | 'settleMax'; readonly ms: number };

/**
 * Null where nothing was late, or where it cannot be told: below what was written there may be unknown sales, and a number that was never ours is
 * somebody else's edit. Asked before the reading is taken.
 */
export function latenessOf(shadow: Shadow, reading: Reading): Lateness | null {
  const { bounds, candidates } = shadow;
  const index = candidates.findLastIndex(({ state }) => state === 'EFFECTIVE');
  const written = candidates[index];
  if (written === undefined || written.settledAt === null) return null;
  if (reading.value <= candidateRange(shadow, written, reading).high) return null;
  // So may a newer write, of which nobody knows yet whether it is in force.
  if (candidates.slice(index + 1).some((newer) => mayShow(shadow, newer, reading))) return null;
  const replaced = candidates.slice(0, index).filter((older) => explains(shadow, older, reading));
  if (replaced.length === 0) return null;
  // What may still land is in time, if on top of what was written after it.
  if (replaced.some((older) => latestEffect(older, bounds) > reading.from)) return null;
  const byTimeAlone = written.settledAt >= leftAt(written) + bounds.settleMax;
  const ms = byTimeAlone
    ? reading.from - leftAt(written)
    : reading.from + bounds.staleMax - written.settledAt;
  return ms > bounds[byTimeAlone ? 'settleMax' : 'staleMax']
    ? { of: byTimeAlone ? 'settleMax' : 'staleMax', ms }
    : null;
}

function mayShow(shadow: Shadow, candidate: Candidate, reading: Reading): boolean {
  return inForce(candidate, reading) && reading.value <= candidateRange(shadow, candidate, reading).high;
}

function explains(shadow: Shadow, candidate: Candidate, reading: Reading): boolean {
  const { low, high } = candidateRange(shadow, candidate, reading);
  return candidate.state !== 'REJECTED' && reading.value >= low && reading.value <= high;
}
