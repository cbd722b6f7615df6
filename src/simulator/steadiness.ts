/** What was found of a unit is found once only, as long as neither news nor time can have changed it. */
import { salesMax } from '../sync/core/collapse.ts';
import { latestEffect, type Range } from '../sync/core/range.ts';
import { type Shadow, settled } from '../sync/core/shadow.ts';
import { rangeNow } from '../sync/core/shown.ts';
import type { KeptUnit } from './keeping.ts';

/** Until then time alone changes nothing in a shadow that is settled, nor in what it shows; `now` or earlier when it may at any moment. */
export function steadyUntil({ candidates, sales, restocks, bounds }: Shadow, now: number): number {
  // So many are taken off the writes' numbers as time passes.
  if (sales.length + restocks.length > salesMax) return now;
  // What has just become known may be of this very millisecond.
  for (const changes of [sales, restocks])
    for (const { knownAt = now } of changes) if (knownAt >= now) return now;
  let until = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate.settledAt === null) until = Math.min(until, latestEffect(candidate, bounds));
    if (candidate.endedAt === null) continue;
    until = Math.min(until, changesAfterEnd(candidate.endedAt, bounds, now));
  }
  return until;
}

/** What has ended is in force until then, and kept while a reading may still speak of it. */
function changesAfterEnd(endedAt: number, { staleMax, readMax }: Shadow['bounds'], now: number): number {
  if (endedAt >= now) return endedAt;
  const forgottenAt = endedAt + staleMax + readMax;
  // Kept for longer, it is for the sake of something else.
  return forgottenAt >= now ? forgottenAt : Number.POSITIVE_INFINITY;
}

/** Lets time have its effect on the unit's shadow. */
export function settle(kept: KeptUnit, now: number): void {
  if (isSteady(kept, now)) return;
  const { shadow } = kept;
  kept.shadow = settled(shadow, now);
  kept.steady = kept.shadow === shadow ? { shadow, until: steadyUntil(shadow, now) } : null;
}

export function isSteady({ shadow, steady }: KeptUnit, now: number): boolean {
  return steady?.shadow === shadow && now < steady.until;
}

/** What the unit shows now. */
export function shownNow(kept: KeptUnit, now: number): Range {
  const { shadow, shown, steady } = kept;
  if (shown?.shadow === shadow && now < shown.until) return shown.range;
  const range = rangeNow(shadow, now);
  const until = steady !== null && isSteady(kept, now) ? steady.until : now + 1;
  kept.shown = { shadow, until, range };
  return range;
}
