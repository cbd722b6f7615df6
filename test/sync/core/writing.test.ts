/** Proves section 5: when a number is written, when it waits, in which order, and when so many are stopped. */
import { describe, expect, test } from 'vitest';
import { calls, emptyBlast, guardBlast, type Sendable } from '../../../src/sync/core/sending.ts';
import { decided, ordersKnown, quick, read, sale, second, shadowOf, slow, written } from './support.ts';

describe('skipping', () => {
  test('only when the reachable range is exactly the target', () => {
    const afterOwnSale = sale(shadowOf(5), 1, 10 * second);

    expect(decided(afterOwnSale, 4, 11 * second)).toEqual({ kind: 'none', reason: 'inStep' });
    expect(decided(shadowOf(5), 4, 11 * second)).toMatchObject({
      kind: 'write',
      value: 4,
      direction: 'lower',
    });
  });

  test('a write under way that will bring the target is enough, one that a sale may have preceded is not', () => {
    const underWay = written(shadowOf(5, slow), ['four', 4], 10 * second, 'accepted');

    expect(decided(underWay, 4, 20 * second)).toEqual({ kind: 'none', reason: 'inStep' });
    expect(decided(sale(underWay, 1, 15 * second), 3, 20 * second, { preemptMax: 3 })).toMatchObject({
      kind: 'write',
      value: 3,
    });
  });

  test('nothing is written to a unit that is only observed, and zero to one that is paused', () => {
    expect(decided({ ...shadowOf(5), mode: 'observe' }, 3, second)).toEqual({
      kind: 'none',
      reason: 'observed',
    });
    expect(decided({ ...shadowOf(5), mode: 'paused' }, 3, second)).toMatchObject({
      value: 0,
      direction: 'zero',
    });
  });

  test('a target older than what was sent is not written', () => {
    const newer = written(shadowOf(5), ['key', 4], second, 'effective', { targetSeq: 9 });

    expect(decided(newer, 5, 5 * second, { targetSeq: 8 })).toEqual({ kind: 'none', reason: 'older' });
  });
});

describe('lowering', () => {
  const inFlight = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');

  test('to zero pre-empts whatever is in flight', () => {
    expect(decided(inFlight, 0, 20 * second)).toMatchObject({ kind: 'write', value: 0, direction: 'zero' });
  });

  test('that leaves units to sell waits for a lowering in flight, for at most its settling time', () => {
    expect(decided(inFlight, 6, 20 * second)).toEqual({ kind: 'wait', until: 430 * second });
    expect(decided(inFlight, 6, 20 * second, { preemptMax: 6 })).toMatchObject({ kind: 'write', value: 6 });
  });

  test('never waits for a raise in flight', () => {
    const raising = written(shadowOf(2, slow), ['nine', 9], 10 * second, 'accepted');

    expect(decided(raising, 5, 20 * second)).toMatchObject({ kind: 'write', value: 5, direction: 'lower' });
  });

  test('zero is sent again under its key while an older write may land after it, ever more seldom', () => {
    const zero = written(inFlight, ['zero', 0], 60 * second, 'accepted');

    expect(decided(zero, 0, 70 * second)).toEqual({ kind: 'wait', until: 90 * second });
    expect(decided(zero, 0, 90 * second)).toMatchObject({ kind: 'write', value: 0, repeats: 'zero' });
    const again = written(zero, ['zero', 0], 120 * second, 'accepted');
    expect(decided(again, 0, 150 * second)).toEqual({ kind: 'wait', until: 180 * second });
  });

  test('compares where the channel can', () => {
    expect(decided(shadowOf(5), 4, second, { compareAndSet: true })).toMatchObject({ expected: 5 });
  });
});

describe('S4: raising', () => {
  test('waits until nothing can land any more', () => {
    const inFlight = written(shadowOf(5, slow), ['four', 4], 10 * second, 'accepted');

    expect(decided(inFlight, 8, 20 * second)).toEqual({ kind: 'wait', until: 430 * second });
  });

  test('waits for a fence that is not older than allowed', () => {
    const looked = read(ordersKnown(shadowOf(5, quick), 100 * second), 5, 101 * second).shadow;

    expect(decided(looked, 8, 105 * second)).toMatchObject({ kind: 'write', direction: 'raise', value: 8 });
    expect(decided(looked, 8, 115 * second)).toEqual({ kind: 'fence' });
  });

  test('needs no fence where an exact number is compared', () => {
    expect(decided(shadowOf(5), 8, second, { compareAndSet: true })).toMatchObject({
      direction: 'raise',
      expected: 5,
    });
  });

  test('is stopped everywhere while something above the range is unexplained', () => {
    expect(decided(shadowOf(5), 8, second, { raisesAllowed: false })).toEqual({
      kind: 'none',
      reason: 'raisesStopped',
    });
  });

  test('is left out when others will have sold what it offers before it is in force', () => {
    expect(decided(shadowOf(5), 8, second, { raiseInTime: false })).toEqual({
      kind: 'none',
      reason: 'raiseTooLate',
    });
    expect(decided(shadowOf(5), 4, second, { raiseInTime: false })).toMatchObject({ direction: 'lower' });
  });
});

function sendable(unit: string, kind: Sendable['class'], exposure = 0): Sendable {
  return { unit, class: kind, exposure };
}

describe('sending', () => {
  test('is in bulk, urgent first, and a raise never travels with a lowering', () => {
    const sent = calls(
      [sendable('a', 'raise'), sendable('b', 'lower', 1), sendable('c', 'zero'), sendable('d', 'lower', 2)],
      2,
    );

    expect(sent.map((call) => call.map(({ unit }) => unit))).toEqual([['c', 'd'], ['b'], ['a']]);
    expect(() => calls([], 0)).toThrow(RangeError);
  });

  test('C4: the blast-radius guard counts each unit once over batches, retries and restarts', () => {
    const limits = { zeroShareMax: 0.2, changeShareMax: 0.5, alwaysAllowed: 1 };
    const first = guardBlast(emptyBlast, [sendable('a', 'zero'), sendable('b', 'zero')], 10, limits);
    if (first.kind !== 'allowed') throw new Error('two of ten were stopped');

    expect(guardBlast(first.count, [sendable('a', 'zero')], 10, limits).kind).toBe('allowed');
    const third = guardBlast(first.count, [sendable('c', 'zero')], 10, limits);
    expect(third).toEqual({ kind: 'stopped', zeroing: 3, changing: 3, listings: 10 });
    const approved = { ...first.count, approved: true };
    expect(guardBlast(approved, [sendable('c', 'zero')], 10, limits).kind).toBe('allowed');
  });
});
