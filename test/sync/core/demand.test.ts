/** Proves how a pace is known: sales that were not counted yet count, time passes, and of several channels each has its share. */
import { expect, test } from 'vitest';
import { demandKnown, newDemand, ratesOf } from '../../../src/sync/core/demand.ts';

const hour = 3_600_000;
const limits = { halfLife: hour, priorPerMs: 1 / hour, priorUnits: 1, shareUnits: 1 };

test('a demand of which nothing was stored begins now, with what was sold since', () => {
  expect(demandKnown(null, { shown: true, sold: 0 }, 5 * hour, limits)).toEqual(newDemand(5 * hour));
  expect(demandKnown(null, { shown: true, sold: 3 }, 5 * hour, limits)).toEqual({
    units: 3,
    shownMs: 0,
    at: 5 * hour,
  });
});

test('what was stored weighs half after a half-life, time counts only while something is shown, and what is not counted yet weighs whole', () => {
  const stored = { units: 8, shownMs: hour, at: 2 * hour };
  expect(demandKnown(stored, { shown: false, sold: 0 }, 3 * hour, limits)).toEqual({
    units: 4,
    shownMs: hour / 2,
    at: 3 * hour,
  });
  expect(demandKnown(stored, { shown: true, sold: 2 }, 3 * hour, limits)).toEqual({
    units: 6,
    shownMs: 1.5 * hour,
    at: 3 * hour,
  });
});

test('of two channels that were shown for as long, the one that has sold more is expected to sell more, and neither nothing', () => {
  const shown = { shownMs: 4 * hour, at: 0 };
  const [busy = 0, quiet = 0] = ratesOf(
    [
      { ...shown, units: 9 },
      { ...shown, units: 0 },
    ],
    limits,
  );
  // By hand: pace 10 units in 5 hours, in shares of 9.5 and 0.5 of 10.
  expect(busy * hour).toBeCloseTo((1.9 * 10) / (1.9 * 4 + 1));
  expect(quiet * hour).toBeCloseTo((0.1 * 1) / (0.1 * 4 + 1));
});
