/** Proves the exposure meter: worst case, mean and probability, and what follows for protection and polling. */
import { describe, expect, test } from 'vitest';
import {
  demandAged,
  demandSeen,
  newDemand,
  rateOf,
  ratesOf,
  ratesPerMs,
} from '../../../src/sync/core/demand.ts';
import {
  excessPerMs,
  exposedUnit,
  exposureOf,
  needsWatch,
  raiseInTime,
} from '../../../src/sync/core/exposure.ts';
import { demandLimits } from '../../../src/sync/core/limits.ts';
import { second, shadowOf, slow, written } from './support.ts';

function unit(shownMax: number, mean: number) {
  return { shownMax, ratePerMs: mean / 1_000, reaction: 1_000 };
}

describe('the exposure of an item', () => {
  test('at worst is what all channels may show beyond what there is', () => {
    expect(exposureOf(3, [unit(3, 0), unit(3, 0), unit(2, 0)])).toMatchObject({
      worst: 5,
      expected: 0,
      probability: 0,
      oversold: 0,
    });
    expect(exposureOf(-2, [unit(1, 0)])).toMatchObject({ worst: 1, oversold: 2 });
  });

  test('on average follows the sales that fit the time until a lowering is in force', () => {
    const { expected, probability } = exposureOf(0, [unit(1, 0.5)]);

    expect(expected).toBeCloseTo(1 - Math.exp(-0.5), 9);
    expect(probability).toBeCloseTo(1 - Math.exp(-0.5), 9);
  });

  test('of two channels adds up what both sell', () => {
    // Sold in all: 0, 1 or 2 with q = P[at least one sold]; one unit is there.
    const q = 1 - Math.exp(-1);
    expect(exposureOf(1, [unit(1, 1), unit(1, 1)]).expected).toBeCloseTo(q * q, 9);
  });

  test('of two channels that show plenty is that of one that sells at the pace of both', () => {
    const apart = exposureOf(3, [unit(60, 1), unit(60, 2)]);
    const together = exposureOf(3, [unit(120, 3)]);

    expect(apart.probability).toBeCloseTo(together.probability, 9);
    expect(apart.expected).toBeCloseTo(together.expected, 9);
    expect(together.probability).toBeCloseTo(1 - 13 * Math.exp(-3), 9);
  });

  test('weighs each unit oversold, and a channel that sells far more than it shows sells all of it', () => {
    expect(exposureOf(0, [unit(3, 100)]).expected).toBeCloseTo(3, 9);
    expect(exposureOf(1, [unit(3, 100)])).toMatchObject({ left: 1, worst: 2 });
    expect(exposureOf(1, [unit(3, 100)]).expected).toBeCloseTo(2, 9);
    expect(exposureOf(0, [unit(2, 0), unit(2, 0)])).toMatchObject({ worst: 4, expected: 0, probability: 0 });
  });

  test('follows the Poisson distribution, cut at what is shown', () => {
    const [none, one] = [Math.exp(-2), 2 * Math.exp(-2)];

    expect(exposureOf(1, [unit(2, 2)]).probability).toBeCloseTo(1 - none - one, 9);
    expect(exposureOf(0, [unit(2, 2)]).expected).toBeCloseTo(one + 2 * (1 - none - one), 9);
    expect(exposureOf(5, [unit(400, 3)]).probability).toBeCloseTo(0.0839, 4);
  });

  test('is nothing at all where no more is shown than there is', () => {
    expect(exposureOf(5, [unit(2, 9), unit(3, 9)])).toEqual({
      left: 5,
      oversold: 0,
      worst: 0,
      expected: 0,
      probability: 0,
    });
  });

  test('counts a write that may still land', () => {
    const late = written(shadowOf(5, slow), ['zero', 0], second, 'accepted');

    expect(exposedUnit(late, 2 * second, { ratePerMs: 0, reaction: 0 }).shownMax).toBe(5);
  });

  test('by one channel grows at its pace with each unit that it may show beyond what it is to show, and below that not at all', () => {
    const late = written(shadowOf(5, slow), ['zero', 0], second, 'accepted');
    const rate = 1 / 4_096;

    expect(excessPerMs(late, 0, rate, 2 * second)).toBe(5 * rate);
    expect(excessPerMs(late, 3, rate, 2 * second)).toBe(2 * rate);
    expect(excessPerMs(late, 5, rate, 2 * second)).toBe(0);
    expect(excessPerMs(late, 9, rate, 2 * second)).toBe(0);
  });
});

describe('what follows', () => {
  test('orders are to be watched while a lost event could cost an oversell', () => {
    const exposure = { left: 2, oversold: 0, worst: 9, expected: 1, probability: 0.5 };

    expect(needsWatch(exposure)).toBe(true);
    expect(needsWatch({ ...exposure, probability: 0.01 })).toBe(false);
    expect(needsWatch({ ...exposure, left: 0 })).toBe(false);
  });

  test('a raise is in time when something is left at the pace of the others, or when the rush is over', () => {
    const rush = { othersPerMs: 1 / second, landing: 2 * second, quietFor: 0 };

    expect(raiseInTime(3, rush)).toBe(true);
    expect(raiseInTime(2, rush)).toBe(false);
    expect(raiseInTime(2, { ...rush, quietFor: 1_999 })).toBe(false);
    expect(raiseInTime(2, { ...rush, quietFor: 2_000 })).toBe(true);
  });
});

describe('demand', () => {
  test('of an item that nobody knew, a rush is believed within two minutes, and a single sale is none', () => {
    const watched = demandAged(newDemand(0), true, 2 * 60_000, demandLimits);
    const perHour = (units: number) => rateOf(demandSeen(watched, units), demandLimits) * 3_600_000;

    expect(perHour(0)).toBeLessThan(0.1);
    expect(perHour(1)).toBeLessThan(20);
    expect(perHour(8)).toBeGreaterThan(60);
  });

  test('of several channels is shared out by what each has sold', () => {
    const busy = demandSeen(demandAged(newDemand(0), true, 3_600_000, demandLimits), 30);
    const idle = demandAged(newDemand(0), true, 3_600_000, demandLimits);
    const [most = 0, least = 0] = ratesOf([busy, idle], demandLimits);

    expect(most).toBeGreaterThan(10 * least);
    expect(least).toBeGreaterThan(0);
  });

  const limits = { halfLife: 600_000, priorPerMs: 1 / 60_000, priorUnits: 1, shareUnits: 10 };

  test('before any sale is the expected pace in the earlier shares', () => {
    const [first, other] = ratesPerMs([newDemand(0), newDemand(0)], [0.75, 0.25], limits);

    expect(first).toBeCloseTo(0.75 / 60_000, 12);
    expect(other).toBeCloseTo(0.25 / 60_000, 12);
  });

  test('ages: half of what was sold and of the time it took is forgotten after a half-life', () => {
    const seen = demandSeen(demandAged(newDemand(0), true, 600_000, limits), 8);

    expect(demandAged(seen, true, 600_000, limits)).toBe(seen);
    expect(demandAged(seen, false, 1_200_000, limits)).toEqual({ units: 4, shownMs: 300_000, at: 1_200_000 });
    expect(demandAged(seen, true, 1_200_000, limits)).toMatchObject({ shownMs: 900_000 });
  });

  test('of one channel among several is the pace of all in its share, until its own sales say otherwise', () => {
    const idle = { units: 0, shownMs: 600_000, at: 0 };
    const busy = { units: 30, shownMs: 600_000, at: 0 };
    // 30 units and one expected, in the half of 600 s that busy is worth and the half of idle, and one minute.
    const pace = 31 / 660_000;

    const rates = ratesPerMs([idle, busy], [0.5, 0.5], limits);

    expect(rates[0]).toBeCloseTo((pace * 0.5 * 10) / (pace * 0.5 * 600_000 + 10), 12);
    expect(rates[1]).toBeCloseTo((pace * 0.5 * 40) / (pace * 0.5 * 600_000 + 10), 12);
    const part = ratesPerMs([{ ...idle, units: 3 }, busy], [0.25, 0.75], limits);
    expect(part[0]).toBeCloseTo(((34 / 660_000) * 0.25 * 13) / ((34 / 660_000) * 0.25 * 600_000 + 10), 12);
  });

  test('in a rush rises on every channel, also on one that has not sold yet', () => {
    const busy = demandSeen(demandAged(newDemand(0), true, 60_000, limits), 12);
    const idle = demandAged(newDemand(0), true, 60_000, limits);

    const rates = ratesPerMs([busy, idle], [0.5, 0.5], limits);

    expect(Math.min(...rates)).toBeGreaterThan(0.5 / 60_000);
  });

  test('is not taken for low while nothing was shown', () => {
    const shown = demandSeen(demandAged(newDemand(0), true, 60_000, limits), 2);
    const soldOut = demandAged(shown, false, 3_600_000, limits);
    const unsold = demandAged(shown, true, 3_600_000, limits);

    expect(ratesPerMs([soldOut], [1], limits)[0]).toBeGreaterThan(ratesPerMs([unsold], [1], limits)[0] ?? 0);
  });
});
