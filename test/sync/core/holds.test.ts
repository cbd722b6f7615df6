/** Proves that units which a reading found missing stay withheld until an order or a proof explains them, and never because we wrote over them. */
import { describe, expect, test } from 'vitest';
import { judge, readDueAt } from '../../../src/sync/core/readings.ts';
import { orderCancelled, watermarkAdvanced } from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
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

/** Shows 4 for a while, then 2; orders are known up to 58 s. */
function looked(bounds = fresh) {
  let shadow = shadowOf(5, bounds);
  for (const at of [50, 51, 52, 53, 54]) shadow = read(shadow, 4, at * second).shadow;
  for (const at of [60, 61]) shadow = read(shadow, 2, at * second).shadow;
  return ordersKnown(shadow, 58 * second);
}

describe('two sales that are not known yet, after one unit was taken by somebody else', () => {
  test('stay withheld when the edit is proven', () => {
    const { shadow, proof } = judge(looked(), 70 * second);
    expect([proof?.delta, shadow.hold, shadow.spokenAt]).toEqual([-1, 2, 61 * second]);
    expect(rangeNow(shadow, 70 * second)).toEqual({ low: 2, high: 2 });
    const told = sale(sale(shadow, 1, 58 * second, 95 * second), 1, 59 * second, 95 * second);
    expect(told.hold).toBe(0);
    expect(delta(ordersKnown(told, 100 * second), 100 * second)).toBeNull();
  });

  test('keep the edit unproven where their readings may be of the same time as its own', () => {
    const shadow = looked({ ...fresh, staleMax: 30 * second });
    expect([delta(shadow, 70 * second), shadow.hold]).toEqual([null, 3]);
    const told = sale(sale(shadow, 1, 59 * second, 95 * second), 1, 59 * second, 95 * second);
    expect(delta(ordersKnown(told, 100 * second), 100 * second)).toBe(-1);
  });
});

test('a raise waits until a reading can speak again after a proof', () => {
  const stale = { ...fresh, staleMax: 60 * second };
  const twice = read(read(shadowOf(5, stale), 3, 100 * second).shadow, 3, 170 * second).shadow;
  const { shadow: edited, proof } = judge(ordersKnown(twice, 180 * second), 180 * second);
  expect(proof?.delta).toBe(-2);
  // Somebody buys one, and the reading may be older than the proof: it cannot tell.
  const early = ordersKnown(read(edited, 2, 190 * second).shadow, 190 * second);
  expect(decided(early, 5, 190 * second)).toEqual({ kind: 'wait', until: 230 * second });
  expect(decided(early, 5, 231 * second)).toEqual({ kind: 'fence' });
  const spoken = ordersKnown(read(early, 2, 231 * second).shadow, 231 * second);
  expect(spoken.hold).toBe(1);
  expect(decided(spoken, 5, 231 * second)).toMatchObject({ kind: 'write', direction: 'raise' });
});

test('a sale that nobody had seen before the write counts as offered again', () => {
  const raised = written(shadowOf(5), ['raise', 9], 60 * second, 'effective', { targetSeq: 2 });
  expect(sale(raised, 1, 45 * second, 300 * second).resurrectedUnits).toBe(1);
  // Nor had the reading before it seen this one: the unit that it found missing is another.
  const both = sale(raisedOver(), 1, 60.5 * second, 300 * second);
  expect([both.hold, both.resurrectedUnits]).toEqual([1, 1]);
});

describe('a compared write changes the number by what it says, whichever sales came before it', () => {
  const skewed = { ...fresh, clockSkewMax: 2 * second };
  /** Shows 4; one is sold unheard of, the stale answer tells, and 3 become 6 instead: one of 7 is withheld. */
  const compared = () => {
    const read3 = read(shadowOf(4, skewed), 3, 50 * second).shadow;
    return written(read3, ['raise', 6], 52 * second, 'effective', { targetSeq: 2, expected: 3 });
  };

  test('a sale near the write was before it when its compare has counted it, so a unit missing later is another', () => {
    const told = sale(compared(), 1, 51 * second, 70 * second);
    expect(told.hold).toBe(0);
    const missing = read(told, 5, 80 * second).shadow;
    expect(missing.hold).toBe(1);
    // Also once what was before the write can be forgotten.
    const later = read(ordersKnown(missing, 78 * second), 5, 100 * second).shadow;
    expect(later.hold).toBe(1);
    expect(sale(later, 1, 79 * second, 110 * second).hold).toBe(0);
  });

  test('its echo is in range while no sale near it is known: what was missing before stays withheld, and nothing more is missing', () => {
    const { shadow, verdict } = read(compared(), 6, 80 * second);
    expect([verdict.kind, shadow.hold]).toEqual(['inRange', 1]);
    expect(shadow.candidates.map(({ value }) => value)).toEqual([4, 6]);
  });

  test('what nobody bought is proven missing, and its evidence shows the range that it is missing from', () => {
    const told = sale(compared(), 1, 51 * second, 70 * second);
    const twice = read(read(told, 5, 80 * second).shadow, 5, 90 * second).shadow;
    const { proof } = judge(ordersKnown(twice, 100 * second), 100 * second);
    expect([proof?.delta, proof?.range]).toEqual([-1, { low: 6, high: 6 }]);
  });

  test('and a sale near it that its compare has not counted explains a unit missing later', () => {
    const told = sale(sale(compared(), 1, 40 * second, 70 * second), 1, 53 * second, 71 * second);
    expect(read(told, 5, 80 * second).shadow.hold).toBe(0);
  });

  test('what was sold before it may be more than the number before it showed at last: nothing is missing for that', () => {
    let shadow = read(shadowOf(1, skewed), 0, 50 * second).shadow;
    shadow = written(shadow, ['raise', 1], 52 * second, 'effective', { targetSeq: 2, expected: 0 });
    shadow = read(
      sale(sale(shadow, 1, 51 * second, 70 * second), 1, 53 * second, 71 * second),
      0,
      80 * second,
    ).shadow;
    expect([shadow.hold, judge(ordersKnown(shadow, 90 * second), 90 * second).proof]).toEqual([0, null]);
  });

  test('an absolute write counted nothing: the sale may have been after it', () => {
    const low = read(shadowOf(4, skewed), 3, 50 * second).shadow;
    const absolute = written(low, ['raise', 6], 52 * second, 'effective', { targetSeq: 2 });
    expect(read(sale(absolute, 1, 51 * second, 70 * second), 5, 80 * second).shadow.hold).toBe(0);
  });

  test('where a later write may have landed before it, nothing is known of what it replaced', () => {
    const lost = written(shadowOf(4, skewed), ['lost', 6], 50 * second, 'unknown', {
      targetSeq: 2,
      expected: 4,
    });
    const both = written(lost, ['second', 5], 51 * second, 'effective', { targetSeq: 3, expected: 4 });
    const told = sale(both, 1, 51 * second, 60 * second);
    expect(read(told, 4, 120 * second).shadow.hold).toBe(0);
  });

  test('a raise is compared with the number by which no more is missing than is withheld, not with the lowest it may be', () => {
    // Whether a sale of about the same time is in the reading of 2, nobody can tell: it may be 1 by now.
    const two = read(read(shadowOf(4, skewed), 4, 45 * second).shadow, 2, 50 * second).shadow;
    const missing = sale(two, 1, 49 * second, 51 * second);
    expect([missing.hold, rangeNow(missing, 52 * second)]).toEqual([1, { low: 1, high: 2 }]);
    const fenced = watermarkAdvanced(missing, 40 * second, 51 * second, 52 * second);
    expect(decided(fenced, 5, 52 * second, { compareAndSet: true })).toMatchObject({
      kind: 'write',
      value: 5,
      expected: 2,
    });
  });

  test('changes that are taken off its number are taken off what it was compared with, and count once', () => {
    const channel = { ...skewed, restocksOnCancel: true };
    let shadow = written(shadowOf(20, channel), ['raise', 30], 60 * second, 'effective', { expected: 20 });
    shadow = sale(ordersKnown(shadow, 60 * second), 1, 60 * second, 62 * second);
    // More than are kept one by one; the channel puts none of them back.
    for (let order = 0; order < 14; order += 1) {
      const at = (100 + order) * second;
      const cancelled = { orderId: `cancelled ${order}`, quantity: 1, from: at, until: at, certain: false };
      shadow = orderCancelled(shadow, { ...cancelled, restockedByChannel: true }, at);
    }
    for (const at of [200, 220, 300, 320]) {
      shadow = ordersKnown(read(shadow, 29, at * second).shadow, (at + 3) * second);
      expect([shadow.hold, judge(shadow, (at + 3) * second).proof]).toEqual([0, null]);
    }
  });

  test('however many answers are lost in series, each with a sale beside it, what they replaced is counted once each', () => {
    const bounds = { ...skewed, settleMax: 30 * second };
    let shadow = shadowOf(100, bounds);
    for (let index = 0; index < 23; index += 1) {
      const at = (60 + 31 * index) * second;
      const write = [`write ${index}`, 99 - index] as const;
      shadow = written(shadow, write, at, 'unknown', { targetSeq: index + 1, expected: 100 - index });
      shadow = sale(shadow, 1, at + 500, at + 2 * second);
    }
    expect(shadow.candidates.length).toBeGreaterThan(20);
    expect(read(shadow, 50, 800 * second).shadow.hold).toBeGreaterThan(0);
  });

  test('what it replaced is kept, and is no open question: a unit in step is read now and then', () => {
    const told = ordersKnown(sale(compared(), 1, 51 * second, 70 * second), 100 * second);
    const later = ordersKnown(read(told, 6, 200 * second).shadow, 300 * second);
    expect(later.candidates.length).toBe(2);
    const pace = { verifyIntervalMs: 15 * second, reconcileIntervalMs: 1_800 * second };
    expect(readDueAt(later, pace, 300 * second)).toBe(2_000 * second);
  });
});
