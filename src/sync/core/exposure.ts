/** How many units of an item can be oversold right now, at worst and on average, and what that means for how closely it is watched. Pure. */
import type { Shadow } from './shadow.ts';
import { rangeNow } from './shown.ts';

export type ExposedUnit = {
  /** The most the channel may show now. */
  readonly shownMax: number;
  /** Units per millisecond that the channel sells. */
  readonly ratePerMs: number;
  /** Milliseconds from a sale anywhere until this channel's number can be in force. */
  readonly reaction: number;
};

export type Exposure = {
  /** Still to be sold. */
  readonly left: number;
  /** Already sold beyond what there is. */
  readonly oversold: number;
  /** Units oversold if every channel sold all it may show before anything is lowered. */
  readonly worst: number;
  /** Units oversold on average if each channel goes on selling for its reaction time. */
  readonly expected: number;
  /** Probability of at least one unit more oversold within the reaction times. */
  readonly probability: number;
};

export function exposedUnit(shadow: Shadow, now: number, pace: Omit<ExposedUnit, 'shownMax'>): ExposedUnit {
  return { ...pace, shownMax: rangeNow(shadow, now).high };
}

export function exposureOf(available: number, units: readonly ExposedUnit[]): Exposure {
  const left = Math.max(0, available);
  const worst = Math.max(0, units.reduce((sum, { shownMax }) => sum + shownMax, 0) - left);
  const oversold = Math.max(0, -available);
  if (worst === 0) return { left, oversold, worst, expected: 0, probability: 0 };
  const sold = units.map(salesDistribution).reduce(convolution, [1]);
  let expected = 0;
  let probability = 0;
  for (let total = left + 1; total < sold.length; total++) {
    probability += sold[total] ?? 0;
    expected += (sold[total] ?? 0) * (total - left);
  }
  return { left, oversold, worst, expected, probability };
}

/** Poisson, cut at what the channel shows: it cannot sell more. */
function salesDistribution({ shownMax, ratePerMs, reaction }: ExposedUnit): readonly number[] {
  const mean = ratePerMs * reaction;
  const chances: number[] = [];
  let rest = 1;
  let logarithm = -mean;
  for (let count = 0; count < shownMax; count++) {
    const chance = mean === 0 ? Number(count === 0) : Math.exp(logarithm);
    chances.push(chance);
    rest -= chance;
    if (rest < 1e-12 || (count > mean && chance < 1e-15)) break;
    logarithm += Math.log(mean) - Math.log(count + 1);
  }
  return [...chances, Math.max(0, rest)];
}

function convolution(one: readonly number[], other: readonly number[]): readonly number[] {
  const sum = Array.from({ length: one.length + other.length - 1 }, () => 0);
  one.forEach((chance, index) => {
    other.forEach((factor, position) => {
      sum[index + position] = (sum[index + position] ?? 0) + chance * factor;
    });
  });
  return sum;
}

/** Units that a channel is expected to sell in a millisecond beyond `quantity`, which it is to show: none unless it may show more. */
export function excessPerMs(shadow: Shadow, quantity: number, ratePerMs: number, now: number): number {
  return Math.max(0, rangeNow(shadow, now).high - quantity) * ratePerMs;
}

/** Accepted probability that an event that was lost costs an oversell before the next ordinary poll. */
const lostEventMax = 0.01;

/**
 * True while an event that was lost could cost an oversell: then orders are asked for sooner. `reaction` of the exposure is the time between two ordinary
 * polls. Once nothing is left every unit is on its way to zero, and no order could change that.
 */
export function needsWatch({ left, probability }: Exposure): boolean {
  return left > 0 && probability > lostEventMax;
}

/** All times in milliseconds. */
export type RaisePace = {
  /** Units per millisecond that all other channels sell. */
  readonly othersPerMs: number;
  /** From sending a raise until it is in force. */
  readonly landing: number;
  /** Since the item's stock last moved, by a sale or a delivery: while it is sold out nothing can be learned of a rush. */
  readonly quietFor: number;
};

/**
 * True when something is still left once a raise is in force, at the pace of the others; and when nothing has moved for as long as it takes, because
 * then a rush is over, whatever the average says. A raise that comes too late can only be sold twice, or be taken back by the next write.
 */
export function raiseInTime(available: number, { othersPerMs, landing, quietFor }: RaisePace): boolean {
  return othersPerMs * landing < available || quietFor >= landing;
}
