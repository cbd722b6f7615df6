/** Proves the arithmetic of plans: the movement that makes a channel right, what known sales explain, and what is left of an old number. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TargetInput, targetOf } from '../../src/sync/core/targets.ts';
import {
  compareReadings,
  isLarge,
  ledgerDelta,
  numberBefore,
  type PlanReading,
  type PlanSale,
  shownNow,
} from '../../src/sync/planDecision.ts';

const rule = fc.record(
  {
    buffer: fc.nat({ max: 4 }),
    cutOff: fc.nat({ max: 6 }),
    quantityMax: fc.nat({ max: 20 }),
    quantityMin: fc.nat({ max: 5 }),
    share: fc.constantFrom(0, 0.3, 0.5, 1),
    fixed: fc.nat({ max: 12 }),
    paused: fc.boolean(),
  },
  { requiredKeys: [] },
);

const input: fc.Arbitrary<TargetInput> = fc.record({
  available: fc.integer({ min: -5, max: 30 }),
  holds: fc.nat({ max: 3 }),
  conflictDelta: fc.integer({ min: -3, max: 0 }),
  rules: fc.record({ listing: rule, account: rule }, { requiredKeys: [] }),
  channelMax: fc.constantFrom(10, 999),
});

describe('the movement that makes a channel right', () => {
  test('makes the target what is shown, is the smallest that does, and is none only where no stock would', () => {
    fc.assert(
      fc.property(input, fc.nat({ max: 25 }), (it, shown) => {
        const delta = ledgerDelta(it, shown);
        const at = (available: number): number => targetOf({ ...it, available }).target;
        const near = Array.from({ length: 401 }, (_, index) => index - 200)
          .filter((moved) => at(it.available + moved) === shown)
          .toSorted((one, other) => Math.abs(one) - Math.abs(other));
        expect(delta).toBe(near[0] ?? null);
      }),
      { numRuns: 2_000 },
    );
  });
});

const second = 1_000;
const reading = (shown: number, at: number): PlanReading => ({ shown, from: at, until: at + 100 });
const sale = (units: number, at: number): PlanSale => ({ units, at });
const margin = 2 * second;

describe('a later reading', () => {
  test.each([
    ['the same', 5, [], 'explained'],
    ['lower by a known sale', 3, [sale(2, 30 * second)], 'explained'],
    ['lower by more than was sold', 2, [sale(2, 30 * second)], 'low'],
    ['as if a known sale had not been', 5, [sale(2, 30 * second)], 'high'],
    ['higher', 6, [], 'high'],
    ['with or without a sale right before it', 5, [sale(2, 59 * second)], 'explained'],
    ['with or without a sale right after the first', 3, [sale(2, second)], 'explained'],
    ['lower by a sale that came after it', 3, [sale(2, 90 * second)], 'low'],
  ] as const)('that is %s is judged by the sales between', (_what, shown, sales, verdict) => {
    const first = reading(5, 0);
    expect(compareReadings(first, reading(shown, 60 * second), sales, margin)).toBe(verdict);
  });
});

test('what is shown now is the reading less later sales, unless one is too near to say', () => {
  const at = reading(5, 60 * second);
  expect(shownNow(at, [sale(2, 30 * second), sale(1, 90 * second)], margin)).toBe(4);
  expect(shownNow(at, [sale(2, 61 * second)], margin)).toBeNull();
  expect(shownNow(at, [sale(9, 90 * second)], margin)).toBe(0);
});

test('an old number loses everything that may have been sold since, is never below 0 and never more than it was', () => {
  const at = reading(5, 60 * second);
  expect(numberBefore(at, [sale(2, 30 * second)], margin)).toBe(5);
  expect(numberBefore(at, [sale(2, 61 * second), sale(1, 90 * second)], margin)).toBe(2);
  expect(numberBefore(at, [sale(9, 90 * second)], margin)).toBe(0);
  expect(numberBefore(at, [sale(-9, 90 * second)], margin)).toBe(5);
});

test.each([
  [{ listings: 100, zeroing: 20, changing: 50 }, false],
  [{ listings: 100, zeroing: 21, changing: 21 }, true],
  [{ listings: 100, zeroing: 0, changing: 51 }, true],
  [{ listings: 10, zeroing: 10, changing: 10 }, false],
  [{ listings: 11, zeroing: 11, changing: 11 }, true],
])('a plan of the size %j is large: %s', (size, large) => {
  expect(isLarge(size, { zeroShareMax: 0.2, changeShareMax: 0.5 })).toBe(large);
});
