/** Spans of time that come by chance: storms, bursts of demand, and whatever else begins and ends. */
import { hour } from './parameters.ts';
import type { Random, Span } from './random.ts';

export type TimeWindow = { readonly from: number; readonly until: number };

/** A Poisson process of windows that do not overlap; none when there are 0 per hour. */
export function windowsOf(
  random: Random,
  perHour: number,
  length: Span,
  duration: number,
): readonly TimeWindow[] {
  const windows: TimeWindow[] = [];
  if (perHour === 0) return windows;
  for (let from = random.exponential(hour / perHour); from < duration; ) {
    const until = from + random.span(length);
    windows.push({ from, until });
    from = until + random.exponential(hour / perHour);
  }
  return windows;
}

export function isWithin(windows: readonly TimeWindow[], at: number): boolean {
  return windows.some(({ from, until }) => at >= from && at < until);
}
