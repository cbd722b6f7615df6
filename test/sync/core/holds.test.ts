/** Proves that units which a reading found missing stay withheld until an order or a proof explains them, and never because we wrote over them. */
import { expect, test } from 'vitest';
import { rangeNow } from '../../../src/sync/core/range.ts';
import {
  decided,
  delta,
  fresh,
  ordersKnown,
  read,
  sale,
  second,
  shadowOf,
  slow,
  written,
} from './support.ts';

/** A unit that showed 5, read as 4 at 50 s, and raised to 9 at 60 s. */
function raisedOver(answer: 'effective' | 'accepted' = 'effective', bounds = fresh) {
  const low = read(shadowOf(5, bounds), 4, 50 * second).shadow;
  return written(low, ['raise', 9], 60 * second, answer, { targetSeq: 2 });
}

test('a write in force after the reading shows what was written: it is in step, and the unit stays withheld', () => {
  const shadow = raisedOver();
  expect(shadow.hold).toBe(1);
  expect(rangeNow(shadow, 70 * second)).toEqual({ low: 9, high: 9 });
  expect(decided(shadow, 9, 70 * second)).toEqual({ kind: 'none', reason: 'inStep' });
});

test('the echo of that write does not take the hold back', () => {
  expect(read(raisedOver(), 9, 70 * second).shadow.hold).toBe(1);
});

test('nor does a write that was under way when the reading was taken and landed after it', () => {
  const underWay = written(shadowOf(5, slow), ['three', 3], 10 * second, 'accepted');
  const low = read(underWay, 2, 20 * second).shadow;
  expect(low.hold).toBe(1);
  expect(read(low, 3, 100 * second).shadow.hold).toBe(1);
});

test('nor does any number of readings, however late the orders become known', () => {
  let shadow = raisedOver();
  for (let look = 1; look <= 20; look += 1) shadow = read(shadow, 9, (60 + 10 * look) * second).shadow;
  expect(shadow.hold).toBe(1);
  const told = sale(shadow, 1, 45 * second, 300 * second);
  expect([told.hold, told.resurrectedUnits]).toEqual([0, 0]);
  expect(rangeNow(told, 301 * second)).toEqual({ low: 9, high: 9 });
});

test('a later reading of the same number that nothing was written to takes it back', () => {
  const low = read(shadowOf(5), 4, 50 * second).shadow;
  expect(read(low, 5, 60 * second).shadow.hold).toBe(0);
});

test('once every order is known, what stays missing was taken by somebody else', () => {
  const shadow = ordersKnown(raisedOver(), 100 * second);
  expect(delta(shadow, 100 * second)).toBe(-1);
});

test('a sale that nobody had seen before the write counts as offered again', () => {
  const raised = written(shadowOf(5), ['raise', 9], 60 * second, 'effective', { targetSeq: 2 });
  expect(sale(raised, 1, 45 * second, 300 * second).resurrectedUnits).toBe(1);
});
