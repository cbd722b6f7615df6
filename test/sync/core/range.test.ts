/** Proves the reachable range at its edges: which instants count, what a reading narrows, and what a unit can sell at most. */
import { describe, expect, test } from 'vitest';
import { deficitOf } from '../../../src/sync/core/missing.ts';
import {
  excessOf,
  inForce,
  isComparable,
  ordersCover,
  reachableRange,
} from '../../../src/sync/core/range.ts';
import { orderCancelled, type Shadow, settled } from '../../../src/sync/core/shadow.ts';
import { eventualRange, provenMax, rangeNow, sellableMax } from '../../../src/sync/core/shown.ts';
import { fresh, ordersKnown, read, sale, second, shadowOf, slow, written } from './support.ts';

function at(instant: number) {
  return { from: instant, until: instant };
}

function reading(value: number, from: number, until = from) {
  return { value, from, until };
}

function withCandidate(shadow: Shadow, change: object): Shadow {
  return { ...shadow, candidates: shadow.candidates.map((one) => ({ ...one, ...change })) };
}

describe('a candidate is in force', () => {
  const [candidate] = withCandidate(shadowOf(5), {
    sentAt: 10,
    lastSentAt: 10,
    settledAt: 20,
    endedAt: 50,
  }).candidates;
  if (candidate === undefined) throw new Error('no candidate');

  test('from when it was sent to when it ended, both included', () => {
    expect([9, 10, 50, 51].map((instant) => inForce(candidate, at(instant)))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(inForce({ ...candidate, endedAt: null }, at(9_999))).toBe(true);
    expect(inForce({ ...candidate, state: 'REJECTED' }, at(30))).toBe(false);
  });

  test('or each may be, where evidence that contradicts itself has ended all of them', () => {
    const ended = withCandidate(shadowOf(5), { endedAt: 5 });

    expect(reachableRange(ended, at(6))).toEqual({ low: 5, high: 5 });
  });

  test('or the unit has none, which is a defect of the program', () => {
    const none = { ...shadowOf(5), candidates: [] };

    expect(() => reachableRange(none, at(6))).toThrow('unit has no candidate');
  });
});

describe('a sale', () => {
  test('may be within from the instant of the write to that of the window, and certainly is only strictly between', () => {
    const writtenAtTen = withCandidate(shadowOf(5), { sentAt: 10, lastSentAt: 10, settledAt: 20 });
    const seen = (soldAt: number) => reachableRange(sale(writtenAtTen, 1, soldAt, 999), at(100));

    expect(seen(9)).toEqual({ low: 5, high: 5 });
    expect(seen(10)).toEqual({ low: 4, high: 5 });
    expect(seen(20)).toEqual({ low: 4, high: 5 });
    expect(seen(21)).toEqual({ low: 4, high: 4 });
    expect(seen(99)).toEqual({ low: 4, high: 4 });
    expect(seen(100)).toEqual({ low: 4, high: 5 });
    expect(seen(101)).toEqual({ low: 5, high: 5 });
  });

  test('is a channel’s clock away at most, and had happened when we heard of it', () => {
    const skewed = shadowOf(5, { ...fresh, clockSkewMax: 10 });
    const seen = (soldAt: number, knownAt: number) =>
      reachableRange(sale(skewed, 1, soldAt, knownAt), at(100));

    expect(seen(10, 999)).toEqual({ low: 4, high: 5 });
    expect(seen(11, 999)).toEqual({ low: 4, high: 4 });
    expect(seen(89, 999)).toEqual({ low: 4, high: 4 });
    expect(seen(90, 999)).toEqual({ low: 4, high: 5 });
    expect(seen(95, 99)).toEqual({ low: 4, high: 4 });
    // However far ahead its clock is, further than it ever should be.
    expect(seen(150, 99)).toEqual({ low: 4, high: 4 });
    expect(seen(110, 999)).toEqual({ low: 4, high: 5 });
    expect(seen(111, 999)).toEqual({ low: 5, high: 5 });
  });

  test('never takes the range below nothing', () => {
    expect(reachableRange(sale(shadowOf(1), 3, 10), at(100))).toEqual({ low: 0, high: 0 });
  });
});

describe('units put back', () => {
  const news = { orderId: 'order', quantity: 2, from: 50, until: 50, restockedByChannel: true };

  test('raise both ends when they are certain, and only the higher one when they are not', () => {
    const known = orderCancelled(shadowOf(5), news, 60);
    const uncertain = orderCancelled(shadowOf(5), { ...news, certain: false }, 60);

    expect(reachableRange(known, at(100))).toEqual({ low: 7, high: 7 });
    expect(reachableRange(orderCancelled(shadowOf(5), { ...news, certain: true }, 60), at(100)).low).toBe(7);
    expect(reachableRange(uncertain, at(100))).toEqual({ low: 5, high: 7 });
    expect(reachableRange(known, at(50))).toEqual({ low: 5, high: 7 });
    expect(reachableRange(known, at(49))).toEqual({ low: 5, high: 5 });
  });
});

describe('a reading', () => {
  test('is comparable when every write has settled before it, or ended', () => {
    const settledAt20 = withCandidate(shadowOf(5), { settledAt: 20 });
    const ended = withCandidate(shadowOf(5), { settledAt: null, state: 'ACCEPTED', endedAt: 20 });

    expect(isComparable(settledAt20, reading(5, 20))).toBe(true);
    expect(isComparable(settledAt20, reading(5, 19))).toBe(false);
    expect(isComparable(ended, reading(5, 21))).toBe(true);
    expect(isComparable(ended, reading(5, 20))).toBe(false);
    expect(isComparable({ ...ended, bounds: { ...fresh, settleMax: 10 } }, reading(5, 10))).toBe(true);
    expect(isComparable(withCandidate(ended, { state: 'REJECTED' }), reading(5, 0))).toBe(true);
  });

  test('is below or above by what the range does not reach, and never by less than nothing', () => {
    expect([3, 5, 7].map((value) => deficitOf(shadowOf(5), reading(value, 10)))).toEqual([2, 0, 0]);
    expect([3, 5, 7].map((value) => excessOf(shadowOf(5), reading(value, 10)))).toEqual([0, 0, 2]);
  });

  test('is covered when the orders reach its answer on any clock', () => {
    const skewed = ordersKnown(shadowOf(5, { ...fresh, clockSkewMax: 10 }), 100);

    expect(ordersCover(skewed, reading(5, 50, 90))).toBe(true);
    expect(ordersCover(skewed, reading(5, 50, 91))).toBe(false);
  });
});

describe('what is shown now', () => {
  test('is narrowed by a reading until a later write has replaced it', () => {
    const overtaken = sale(written(shadowOf(9), ['seven', 7], 10 * second, 'effective'), 1, 10.5 * second);
    const seen = read(overtaken, 6, 20 * second).shadow;

    expect(rangeNow(overtaken, 30 * second)).toEqual({ low: 6, high: 7 });
    expect(rangeNow(seen, 30 * second)).toEqual({ low: 6, high: 6 });
    const sent = written(seen, ['three', 3], 40 * second, 'accepted');
    expect(rangeNow(sent, 41 * second)).toEqual({ low: 3, high: 6 });
    expect(rangeNow(written(seen, ['three', 3], 40 * second, 'effective'), 50 * second)).toEqual({
      low: 3,
      high: 3,
    });
    expect(rangeNow(read(overtaken, 7, 20 * second).shadow, 30 * second)).toEqual({ low: 7, high: 7 });
  });

  test('is the lower of two readings, because units were sold in between that nobody has told us of', () => {
    const twice = read(read(shadowOf(14), 14, 20 * second).shadow, 12, 40 * second).shadow;

    expect(twice.hold).toBe(2);
    expect(rangeNow(twice, 50 * second)).toEqual({ low: 12, high: 12 });
    const thrice = read(twice, 11, 60 * second).shadow;
    expect(rangeNow(thrice, 70 * second)).toEqual({ low: 11, high: 11 });
  });

  test('may be either while a reading above everything is not explained', () => {
    const above = read(shadowOf(5), 8, 20 * second).shadow;

    expect(rangeNow(above, 30 * second)).toEqual({ low: 5, high: 8 });
    expect(rangeNow(read(above, 4, 40 * second).shadow, 50 * second)).toEqual({ low: 4, high: 8 });
  });

  test('lacks what a reading found missing, whatever the channel may have put back since, until a later number is in force', () => {
    const back = { orderId: 'order', quantity: 4, restockedByChannel: true, certain: false };
    const putBack = (shadow: Shadow, time: number) =>
      orderCancelled(shadow, { ...back, from: time, until: time }, time);
    const short = read(shadowOf(5), 3, 10 * second).shadow;
    const anew = written(short, ['eight', 8], 20 * second, 'effective');
    const shortAgain = read(anew, 7, 25 * second).shadow;

    expect(rangeNow(putBack(short, 30 * second), 40 * second)).toEqual({ low: 3, high: 7 });
    expect(rangeNow(putBack(anew, 30 * second), 40 * second)).toEqual({ low: 8, high: 12 });
    expect(rangeNow(putBack(shortAgain, 30 * second), 40 * second)).toEqual({ low: 7, high: 11 });
  });

  test('lacks it still while a later write is only under way', () => {
    const raising = written(read(shadowOf(5, slow), 3, 10 * second).shadow, ['eight', 8], 20 * second, null);

    expect(rangeNow(raising, 21 * second)).toEqual({ low: 3, high: 8 });
    expect(rangeNow(written(raising, ['nine', 9], 22 * second, 'unknown'), 30 * second).low).toBe(3);
  });

  test('does not reach below what was written since units were found missing', () => {
    const held = { ...shadowOf(5), hold: 2 };

    expect(rangeNow(held, 10)).toEqual({ low: 5, high: 5 });
  });
});

describe('what is shown in the end', () => {
  test('leaves out what a write under way will certainly replace', () => {
    const underWay = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');
    const lost = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'unknown');

    expect(rangeNow(underWay, 20 * second)).toEqual({ low: 7, high: 9 });
    expect(eventualRange(underWay, 20 * second)).toEqual({ low: 7, high: 7 });
    expect(eventualRange(lost, 20 * second)).toEqual({ low: 7, high: 9 });
    expect(eventualRange(shadowOf(9), 20 * second)).toEqual({ low: 9, high: 9 });
  });

  test('keeps what may land after the newest', () => {
    const two = written(
      written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted'),
      ['five', 5],
      20 * second,
      'accepted',
    );
    const late = written(
      written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted'),
      ['five', 5],
      430 * second,
      'accepted',
    );

    expect(eventualRange(two, 30 * second)).toEqual({ low: 5, high: 7 });
    expect(eventualRange(late, 440 * second)).toEqual({ low: 5, high: 5 });
  });
});

describe('the most a unit can sell', () => {
  test('is proven by a reading of settled writes whose orders are known, less what was sold since', () => {
    const seen = read(shadowOf(9), 4, 20 * second).shadow;

    expect(provenMax(seen, 30 * second)).toBeNull();
    expect(provenMax(shadowOf(9), 30 * second)).toBeNull();
    const covered = ordersKnown(seen, 20 * second);
    expect(provenMax(covered, 30 * second)).toBe(4);
    expect(provenMax(sale(covered, 1, 25 * second), 30 * second)).toBe(3);
    const underWay = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');
    const open = ordersKnown(read(underWay, 4, 20 * second).shadow, 20 * second);
    expect(provenMax(open, 30 * second)).toBeNull();
    const twice = {
      ...covered,
      readings: [reading(6, 10 * second), reading(4, 20 * second), reading(5, 20 * second)],
    };
    expect(provenMax(twice, 30 * second)).toBe(4);
  });

  test('counts every write that may still land on top of what is shown', () => {
    const open = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');
    const two = written(open, ['three', 3], 20 * second, 'unknown');

    expect(sellableMax(shadowOf(9), 30 * second)).toBe(9);
    expect(sellableMax(open, 30 * second)).toBe(16);
    expect(sellableMax(two, 30 * second)).toBe(19);
    expect(sellableMax(open, 430 * second)).toBe(9);
    expect(sellableMax(settled(open, 430 * second), 430 * second)).toBe(9);
    const [base, seven] = open.candidates;
    const candidates = base && seven ? [base, { ...seven, endedAt: 99 * second }] : [];
    const ended = { ...open, candidates };
    expect(sellableMax(ended, 30 * second)).toBe(9);
  });
});
