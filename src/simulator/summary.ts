/** Many runs as one row: sums that can be added up in any order, and what they mean per run. */
import type { RunResult } from './run.ts';

export type Summary = {
  readonly runs: number;
  readonly oversoldRuns: number;
  readonly oversoldUnits: number;
  readonly turnedAway: number;
  readonly writes: number;
  readonly reads: number;
  /** Orders asked for, in calls. */
  readonly fetches: number;
  readonly readings: number;
  readonly falseConflicts: number;
  readonly raises: number;
  readonly raisesCaught: number;
  readonly cuts: number;
  readonly cutsCaught: number;
  /** Runs in which a unit was paused at zero, and those in which the first was for the assumption that was broken. */
  readonly paused: number;
  readonly pausedRightly: number;
  readonly resurrectedUnits: number;
  readonly refusedPlans: number;
  readonly events: number;
  readonly processorMs: number;
  /** Seeds of runs in which something did not hold, with what; the first ones only. */
  readonly failures: readonly { readonly seed: number; readonly message: string }[];
  readonly failed: number;
};

const failuresMax = 10;

export const emptySummary: Summary = {
  runs: 0,
  oversoldRuns: 0,
  oversoldUnits: 0,
  turnedAway: 0,
  writes: 0,
  reads: 0,
  fetches: 0,
  readings: 0,
  falseConflicts: 0,
  raises: 0,
  raisesCaught: 0,
  cuts: 0,
  cutsCaught: 0,
  paused: 0,
  pausedRightly: 0,
  resurrectedUnits: 0,
  refusedPlans: 0,
  events: 0,
  processorMs: 0,
  failures: [],
  failed: 0,
};

export function summaryOf(result: RunResult): Summary {
  const { totals, results, failure, seed } = result;
  const caught = results?.caught ?? null;
  return {
    ...emptySummary,
    runs: 1,
    oversoldRuns: totals.oversold > 0 ? 1 : 0,
    oversoldUnits: totals.oversold,
    turnedAway: totals.turnedAway,
    writes: totals.writes,
    reads: totals.reads,
    fetches: totals.fetches,
    readings: results?.readings ?? 0,
    falseConflicts: results?.falseConflicts ?? 0,
    raises: caught?.raise === true ? 1 : 0,
    raisesCaught: caught?.raise === true && caught.caught ? 1 : 0,
    cuts: caught?.raise === false ? 1 : 0,
    cutsCaught: caught?.raise === false && caught.caught ? 1 : 0,
    paused: results?.paused ? 1 : 0,
    pausedRightly: results?.paused?.rightly === true ? 1 : 0,
    resurrectedUnits: results?.resurrectedUnits ?? 0,
    refusedPlans: results?.refusedPlans ?? 0,
    events: result.events,
    failures: failure ? [{ seed, message: failure.message }] : [],
    failed: failure ? 1 : 0,
  };
}

export function added(one: Summary, other: Summary): Summary {
  const failures = [...one.failures, ...other.failures].toSorted((a, b) => a.seed - b.seed);
  const sum = { ...one, failures: failures.slice(0, failuresMax) } as Record<keyof Summary, unknown>;
  for (const [key, value] of Object.entries(other) as [keyof Summary, unknown][]) {
    if (typeof value === 'number') sum[key] = (one[key] as number) + value;
  }
  return sum as Summary;
}
