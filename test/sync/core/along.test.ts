/** Proves what a shadow learns of a write that was meant for another variant and set its number too. */
import { describe, expect, test } from 'vitest';
import { type AlongWrite, writtenAlong } from '../../../src/sync/core/along.ts';
import type { Shadow } from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { decided, delta, ordersKnown, read, sale, second, shadowOf, written } from './support.ts';

/** Read at 100 s, in force by 102 s. */
function along(shadow: Shadow, shown: number | null, more: Partial<AlongWrite> = {}) {
  const write: AlongWrite = {
    key: 'along',
    value: shown ?? 0,
    shown,
    readFrom: 99 * second,
    readAt: 100 * second,
    state: 'EFFECTIVE',
    ...more,
  };
  return writtenAlong(shadow, write, 102 * second);
}

test('without a sale in between nothing is different: the number is exact and in step', () => {
  const { shadow, verdict } = along(shadowOf(7), 7);
  expect(verdict).toEqual({ kind: 'inRange' });
  expect(rangeNow(shadow, 103 * second)).toEqual({ low: 7, high: 7 });
  expect(decided(shadow, 7, 103 * second)).toEqual({ kind: 'none', reason: 'inStep' });
  expect(shadow.resurrectedUnits).toBe(0);
});

describe('a sale between the reading and the write', () => {
  test('that is known already is offered again, counted and lowered', () => {
    const sold = sale(shadowOf(7), 1, 101 * second);
    const { shadow } = along(sold, 7);
    expect(shadow.resurrectedUnits).toBe(1);
    expect(rangeNow(shadow, 103 * second)).toEqual({ low: 6, high: 7 });
    expect(decided(shadow, 6, 103 * second)).toMatchObject({ kind: 'write', direction: 'lower', value: 6 });
  });

  test('that becomes known later is counted then, and lowered', () => {
    const { shadow } = along(shadowOf(7), 7);
    const told = sale(shadow, 1, 101 * second, 160 * second);
    expect(told.resurrectedUnits).toBe(1);
    expect(decided(told, 6, 160 * second)).toMatchObject({ kind: 'write', direction: 'lower', value: 6 });
    expect(delta(ordersKnown(told, 200 * second), 200 * second)).toBeNull();
  });
});

test('a sale that is known and may have come before the reading or after it explains either number', () => {
  const sold = sale(shadowOf(7), 1, 99.5 * second, 99.6 * second);
  expect([6, 7].map((shown) => along(sold, shown).verdict?.kind)).toEqual(['inRange', 'inRange']);
});

describe('a sale before the reading', () => {
  test('that nobody has told of is held, and never counted as offered again', () => {
    const { shadow, verdict } = along(shadowOf(7), 6);
    expect(verdict).toMatchObject({ kind: 'belowLow', units: 1 });
    expect([shadow.hold, rangeNow(shadow, 103 * second).high]).toEqual([1, 6]);
    expect(decided(shadow, 6, 103 * second)).toEqual({ kind: 'none', reason: 'inStep' });
    const echoed = read(shadow, 6, 110 * second).shadow;
    expect(echoed.hold).toBe(1);
    const told = sale(echoed, 1, 50 * second, 160 * second);
    expect([told.hold, told.resurrectedUnits]).toEqual([0, 0]);
    expect(decided(told, 6, 160 * second)).toEqual({ kind: 'none', reason: 'inStep' });
  });

  test('that is known explains the number', () => {
    const { shadow, verdict } = along(sale(shadowOf(7), 1, 50 * second), 6);
    expect([verdict?.kind, shadow.hold, shadow.resurrectedUnits]).toEqual(['inRange', 0, 0]);
  });
});

test('without an answer both numbers stay possible until a reading, and no raise leaves', () => {
  const { shadow } = along(sale(shadowOf(7), 1, 101 * second), 7, { state: 'UNKNOWN', readAt: 100_500 });
  expect(rangeNow(shadow, 103 * second)).toEqual({ low: 6, high: 7 });
  expect(decided(shadow, 9, 102 * second)).toMatchObject({ kind: 'wait', until: 102_500 });
});

test('a number that somebody else raised is told as such and not as a sale offered again', () => {
  const { shadow, verdict } = along(shadowOf(7), 9);
  expect(verdict).toEqual({ kind: 'aboveHigh', units: 2 });
  expect(shadow.resurrectedUnits).toBe(0);
});

test('a variant that takes part for the first time, unread, has only the number that was put there', () => {
  const { shadow, verdict } = along(shadowOf(7), null, { value: 0 });
  expect(verdict).toBeNull();
  expect(rangeNow(shadow, 103 * second)).toEqual({ low: 0, high: 0 });
});

test('a write of its own that left meanwhile stays the newest', () => {
  const own = written(shadowOf(7), ['own', 3], 101 * second, 'accepted', { targetSeq: 4 });
  const { shadow } = along(own, 7);
  expect(shadow.candidates.map(({ key }) => key).slice(-2)).toEqual(['along', 'own']);
  expect(shadow.sentSeq).toBe(4);
});
