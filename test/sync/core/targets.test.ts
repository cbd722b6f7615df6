/** Proves section 4: from available to what a channel shows, explained, and the buffer from data. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { automaticBuffer, type RuleLevels, targetOf } from '../../../src/sync/core/targets.ts';

function target(
  available: number,
  rules: RuleLevels,
  more: { readonly holds?: number; readonly conflictDelta?: number; readonly automaticBuffer?: number } = {},
) {
  return targetOf({ available, holds: 0, conflictDelta: 0, rules, channelMax: 999, ...more });
}

describe('a target', () => {
  test.each([
    ['what is available', 7, {}, 7],
    ['never below zero', -3, {}, 0],
    ['less the buffer', 7, { account: { buffer: 2 } }, 5],
    ['a share, rounded down', 7, { account: { share: 0.5 } }, 3],
    ['nothing below the cut-off', 2, { account: { cutOff: 3 } }, 0],
    ['at most the maximum', 70, { account: { quantityMax: 10 } }, 10],
    ['at most what the channel can show', 5_000, {}, 999],
    ['a fixed number while there is as much', 70, { account: { fixed: 4 } }, 4],
    ['less than fixed when less is there', 3, { account: { fixed: 4 } }, 3],
    ['at least the minimum while there is as much', 7, { account: { share: 0.1, quantityMin: 2 } }, 2],
    ['never a minimum that is not there', 1, { account: { share: 0.1, quantityMin: 2 } }, 1],
    ['nothing while paused', 7, { listing: { paused: true } }, 0],
    [
      'the listing over the connection over the account',
      9,
      { account: { buffer: 5 }, connection: { buffer: 3 }, listing: { buffer: 1 } },
      8,
    ],
    ['field by field', 9, { account: { buffer: 5 }, listing: { quantityMax: 2 } }, 2],
  ] as [string, number, RuleLevels, number][])('is %s', (_, available, rules, expected) => {
    expect(target(available, rules).target).toBe(expected);
  });

  test('withholds holds and what open conflicts ask for, and prefers a named buffer to the automatic one', () => {
    expect(target(9, {}, { holds: 2, conflictDelta: -3, automaticBuffer: 1 }).target).toBe(3);
    expect(target(9, { account: { buffer: 0 } }, { automaticBuffer: 4 }).target).toBe(9);
  });

  test('is explained by steps that begin with what is available and end with the number', () => {
    const { steps, target: shown } = target(
      9,
      { connection: { buffer: 2 }, listing: { quantityMax: 5 } },
      { holds: 1 },
    );

    expect(steps).toEqual([
      { step: 'available', amount: 9, level: null, result: 9 },
      { step: 'holds', amount: 1, level: null, result: 8 },
      { step: 'buffer', amount: 2, level: 'connection', result: 6 },
      { step: 'quantityMax', amount: 5, level: 'listing', result: 5 },
    ]);
    expect(shown).toBe(5);
  });

  test.each([
    [7, {}, {}, []],
    [7, {}, { conflictDelta: -2 }, ['conflicts']],
    [7, {}, { automaticBuffer: 2 }, ['automaticBuffer']],
    [7, { account: { share: 0.5 } }, {}, ['share']],
    [7, { account: { fixed: 4 } }, {}, ['fixed']],
    [7, { account: { share: 0.1, quantityMin: 2 } }, {}, ['share', 'quantityMin']],
    [7, { account: { quantityMin: 7 } }, {}, []],
    [3, { account: { cutOff: 3 } }, {}, []],
    [2, { account: { cutOff: 3 } }, {}, ['cutOff']],
    [9, { account: { quantityMax: 9 } }, {}, []],
    [999, {}, {}, []],
    [1_000, {}, {}, ['channelMax']],
    [7, { account: { paused: true } }, {}, ['paused']],
    [7, { account: { paused: false } }, {}, []],
    [0, {}, {}, []],
    [-1, {}, {}, ['notBelowZero']],
  ] as [number, RuleLevels, { conflictDelta?: number; automaticBuffer?: number }, string[]][])(
    'of %i with %j and %j takes no step that changes nothing: %j',
    (available, rules, more, steps) => {
      expect(target(available, rules, more).steps.map(({ step }) => step)).toEqual(['available', ...steps]);
    },
  );

  test('without a minimum never offers more than there is, whatever the rules', () => {
    const rule = fc.record(
      {
        buffer: fc.nat(9),
        cutOff: fc.nat(9),
        quantityMax: fc.nat(99),
        quantityMin: fc.nat(9),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
        fixed: fc.nat(99),
        paused: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.integer({ min: -20, max: 2_000 }),
        fc.nat(5),
        fc.record({ account: rule, connection: rule, listing: rule }, { requiredKeys: [] }),
        (available, holds, rules) => {
          const found = target(available, rules, { holds });
          expect(found.target).toBeGreaterThanOrEqual(0);
          expect(found.target).toBeLessThanOrEqual(Math.max(0, available - holds));
          expect(found.steps.at(-1)?.result).toBe(found.target);
        },
      ),
    );
  });
});

function tail(mean: number, buffer: number): number {
  let term = Math.exp(-mean);
  let within = term;
  for (let units = 1; units <= buffer; units++) {
    term *= mean / units;
    within += term;
  }
  return 1 - within;
}

describe('the automatic buffer', () => {
  test('is the smallest that more than epsilon would not suffice for', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 50, noNaN: true }),
        fc.double({ min: 0.001, max: 0.5, noNaN: true }),
        (mean, epsilon) => {
          const buffer = automaticBuffer(mean / 1_000, 1_000, epsilon);
          expect(tail(mean, buffer)).toBeLessThanOrEqual(epsilon + 1e-9);
          const smaller = buffer === 0 ? 1 : tail(mean, buffer - 1);
          expect(smaller).toBeGreaterThan(epsilon - 1e-9);
        },
      ),
    );
  });

  test('is 0 without sales, finite for any pace, and refuses what is no probability', () => {
    expect(automaticBuffer(0, 1_000, 0.01)).toBe(0);
    expect(automaticBuffer(10, 1_000, 0.01)).toBeLessThan(11_000);
    expect(() => automaticBuffer(1, 1, 0)).toThrow(RangeError);
    expect(() => automaticBuffer(Number.NaN, 1, 0.5)).toThrow('no buffer for a mean of NaN at 0.5');
    expect(() => automaticBuffer(1, 1, 1)).toThrow(RangeError);
  });

  test('of a large mean errs upwards by six deviations, and no more', () => {
    expect(automaticBuffer(1, 900, 0.01)).toBe(1_080);
    expect(automaticBuffer(1, 500, 0.01)).toBeLessThan(560);
    expect(automaticBuffer(1, 500, 1e-300)).toBeLessThan(5_000);
  });
});
