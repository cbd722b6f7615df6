/** What every benchmark shares: both sides in turn within one run, medians with their spread, and a verdict that can fail. */

export type Bound = 'atLeast' | 'atMost';

export type Result = {
  readonly name: string;
  /** Of `value` and `floor`. */
  readonly unit: string;
  /** The product. */
  readonly value: number;
  /** The least that does the same work, measured in the same run; null where a number stands for itself. */
  readonly floor: number | null;
  /** The product over the floor: the median over the rounds where there are rounds to pair. */
  readonly ratio: number | null;
  /** Of `ratio`, or of `value` where there is no floor. */
  readonly limit: number;
  readonly bound: Bound;
  readonly ok: boolean;
  /** Least and greatest over the rounds of what is compared with the limit: what this machine's noise does to it. */
  readonly spread: readonly [number, number];
  readonly notes: readonly string[];
};

export type Bench = {
  /** Seconds instead of minutes, for a look while working; the numbers do not count. */
  readonly quick: boolean;
  /** How long the demo runs for its memory to be measured. */
  readonly minutes: number;
  /** A fresh, migrated database on the run's own server. Answers its URL. */
  newDatabase(name: string): Promise<string>;
  /** Says on standard error what is going on. */
  say(text: string): void;
};

export type Benchmark = {
  readonly letter: string;
  readonly title: string;
  run(bench: Bench): Promise<readonly Result[]>;
};

/** The sample below which the share `share` (0 to 1) of all samples lies; NaN without samples. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  const pair = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return ((pair[0] ?? Number.NaN) + (pair[1] ?? Number.NaN)) / 2;
}

export type Turns<Measurement> = {
  readonly product: readonly Measurement[];
  readonly floor: readonly Measurement[];
};

/** Measures product, floor, product, floor, ... so that whatever else the machine does falls on both; the first pair only warms up. */
export async function inTurns<Measurement>(
  rounds: number,
  sides: { readonly product: () => Promise<Measurement>; readonly floor: () => Promise<Measurement> },
): Promise<Turns<Measurement>> {
  const product: Measurement[] = [];
  const floor: Measurement[] = [];
  for (let round = 0; round <= rounds; round++) {
    product.push(await sides.product());
    floor.push(await sides.floor());
  }
  return { product: product.slice(1), floor: floor.slice(1) };
}

export type Limit = {
  readonly name: string;
  readonly unit: string;
  readonly limit: number;
  readonly bound: Bound;
  readonly notes?: readonly string[];
};

/** Compares the rounds pair by pair. */
export function compare(limit: Limit, turns: Turns<number>): Result {
  const ratios = turns.product.map((value, round) => value / (turns.floor[round] ?? Number.NaN));
  const noise = `floor ${spreadText(turns.floor)} over ${turns.floor.length} rounds`;
  return {
    ...verdict(limit, median(ratios), ratios),
    value: median(turns.product),
    floor: median(turns.floor),
    ratio: median(ratios),
    notes: [...(limit.notes ?? []), noise],
  };
}

/** Compares all samples of all rounds at one quantile: a round alone has too few for its tail. */
export function compareAt(share: number, limit: Limit, turns: Turns<readonly number[]>): Result {
  const value = quantile(turns.product.flat(), share);
  const floor = quantile(turns.floor.flat(), share);
  const ratios = turns.product.map(
    (samples, round) => quantile(samples, share) / quantile(turns.floor[round] ?? [], share),
  );
  const noise = `floor ${spreadText(turns.floor.map((samples) => quantile(samples, share)))} over ${ratios.length} rounds`;
  return {
    ...verdict(limit, value / floor, ratios),
    value,
    floor,
    ratio: value / floor,
    notes: [...(limit.notes ?? []), noise],
  };
}

/** A number that stands for itself. `samples` are what it was taken from. */
export function absolute(limit: Limit, value: number, samples: readonly number[]): Result {
  return { ...verdict(limit, value, samples), value, floor: null, ratio: null, notes: limit.notes ?? [] };
}

function verdict(
  { name, unit, limit, bound }: Limit,
  compared: number,
  samples: readonly number[],
): Omit<Result, 'value' | 'floor' | 'ratio' | 'notes'> {
  // NaN, as from a round without a single sample, is within no limit.
  const ok = bound === 'atLeast' ? compared >= limit : compared <= limit;
  return { name, unit, limit, bound, ok, spread: [Math.min(...samples), Math.max(...samples)] };
}

function spreadText(samples: readonly number[]): string {
  return `${rounded(Math.min(...samples))} to ${rounded(Math.max(...samples))}`;
}

/** Three significant digits. */
export function rounded(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
