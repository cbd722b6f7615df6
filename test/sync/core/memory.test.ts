/** Proves that a shadow's memory is bounded, and what goes first: no reading, write or sale that may still tell something. */
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { candidatesMax } from '../../../src/sync/core/collapse.ts';
import { tick } from '../../../src/sync/core/range.ts';
import {
  type Candidate,
  newShadow,
  orderCancelled,
  readingTaken,
  type Shadow,
  settled,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { thinnedReadings } from '../../../src/sync/core/thinning.ts';
import { fresh, ordersKnown, quick, read, sale, second, shadowOf, slow, written } from './support.ts';

/** What is left of a unit of 5 when its readings are one too many: each number with its second. */
function thinned(...values: readonly number[]): readonly (readonly [value: number, at: number])[] {
  const readings = values.map((value, at) => ({ value, from: at * second, until: at * second }));
  const shadow = { ...shadowOf(5), readings };
  return thinnedReadings(shadow, values.length - 1).map(
    ({ value, until }) => [value, until / second] as const,
  );
}

/** A unit of 100 that is read at 60 s and sells one a millisecond a second later. */
function rushAfterReading(sales: number): Shadow {
  let { shadow } = read(shadowOf(100), 100, 60 * second);
  for (let index = 0; index < sales; index++) shadow = sale(shadow, 1, 61 * second + index);
  return shadow;
}

/** The seconds of the readings that are kept when it is read once more. */
function readAroundSales(sales: number): readonly number[] {
  const { readings } = read(rushAfterReading(sales), 100 - sales, 65 * second).shadow;
  return readings.map(({ until }) => until / second);
}

describe('of too many readings', () => {
  test('none goes before there are', () => {
    const { shadow } = read(shadowOf(5), 5, 10 * second);

    expect(thinnedReadings(shadow, 1)).toBe(shadow.readings);
  });

  test('the newest explained one goes first, but for the very newest, which says how it is now', () => {
    expect(thinned(5, 5, 3, 4, 5).map(([, at]) => at)).toEqual([0, 2, 3, 4]);
    expect(thinned(3, 5, 4, 5).map(([value]) => value)).toEqual([3, 4, 5]);
    expect(thinned(3, 4, 5).map(([value]) => value)).toEqual([3, 5]);
  });

  test('one above everything that can be is not explained either', () => {
    expect(thinned(5, 7, 5).map(([, at]) => at)).toEqual([1, 2]);
    expect(thinned(7, 5, 7).map(([, at]) => at)).toEqual([0, 2]);
  });

  test('the newest that is not explained goes when all are, but never the one that withholds most', () => {
    expect(thinned(4, 1, 4, 4).map(([, at]) => at)).toEqual([0, 1, 3]);
    expect(thinned(4, 4, 1, 4).map(([, at]) => at)).toEqual([0, 2, 3]);
    expect(thinned(1, 4, 4, 4).map(([, at]) => at)).toEqual([0, 1, 3]);
  });

  test('no unexplained one goes without which fewer units would be withheld, while another is left: missing units add up over writes', () => {
    const looked = read(read(shadowOf(5), 3, 40 * second).shadow, 4, 50 * second).shadow;
    const raisedOnce = read(written(looked, ['nine', 9], 60 * second, 'effective'), 8, 62 * second).shadow;
    const raisedTwice = read(written(raisedOnce, ['ten', 10], 64 * second, 'effective'), 10, 66 * second);
    const { shadow } = raisedTwice;

    expect([shadow.hold, shadow.readings.map(({ value }) => value)]).toEqual([3, [3, 4, 8, 10]]);
    expect(thinnedReadings(shadow, 3).map(({ value }) => value)).toEqual([3, 8, 10]);
  });

  test('only the newest stays in a rush of which more is remembered than there is room for, orders known or not', () => {
    expect(readAroundSales(48)).toEqual([60, 65]);
    expect(readAroundSales(49)).toEqual([65]);
    expect(rushAfterReading(49).readings).toHaveLength(1);
  });

  test('one whose orders are not known stays although a later write is in force: it may still refute another', () => {
    const seen = read(shadowOf(5), 5, 20 * second).shadow;

    expect(written(seen, ['four', 4], 40 * second, 'effective').readings).toHaveLength(1);
    const known = ordersKnown(seen, 20 * second);
    expect(written(known, ['four', 4], 20 * second, 'effective').readings).toHaveLength(0);
  });
});

/** A unit that has sold one a second from the first second on. */
function sold(value: number, count: number, bounds = fresh): Shadow {
  let shadow = shadowOf(value, bounds);
  for (let at = 1; at <= count; at++) shadow = sale(shadow, 1, at * second);
  return shadow;
}

function full(change: (candidate: Candidate, index: number) => Candidate): Shadow {
  let shadow = shadowOf(50, slow);
  for (let index = 1; index < candidatesMax; index++)
    shadow = written(shadow, [`w${index}`, 50 - index], index * second, 'unknown', { targetSeq: index });
  return { ...shadow, candidates: shadow.candidates.map(change) };
}

/** What the two oldest become when one more write leaves. */
function mergedOf(shadow: Shadow): Candidate | undefined {
  const write = { key: 'more', value: 9, targetSeq: candidatesMax, expected: null };
  return writeSent(shadow, write, candidatesMax * second).candidates[0];
}

function mergedEnd(...ends: readonly (number | null)[]): number | null | undefined {
  return mergedOf(full((one, index) => ({ ...one, endedAt: ends[index] ?? null })))?.endedAt;
}

describe('of too many writes the two oldest allow together', () => {
  test('the lowest number that either did, whichever was the higher one and whatever was doubtful about it', () => {
    const spread = (...spreads: readonly number[]) =>
      mergedOf(full((one, index) => ({ ...one, spread: spreads[index] ?? 0 })));
    expect(spread(7, 0)).toMatchObject({ key: 'merged', value: 50, spread: 7 });
    expect(spread(0, 7)).toMatchObject({ value: 50, spread: 8 });
    const rising = mergedOf(full((one, index) => (index === 1 ? { ...one, value: 60 } : one)));
    expect(rising).toMatchObject({ value: 60, spread: 10 });
  });

  test('to be in force for as long as either was', () => {
    expect(mergedEnd(20 * second, 22 * second)).toBe(22 * second);
    expect(mergedEnd(22 * second, 20 * second)).toBe(22 * second);
    expect(mergedEnd(20 * second, null)).toBeNull();
    expect(mergedEnd(null, 20 * second)).toBeNull();
  });
});

const longAfter = 600 * second;

/** Of many sales and one more those that are kept beside a number of 20 s, and a write of 100 s that may have landed until 520 s. */
function salesKept(soldAt: number, clockSkewMax = 0): readonly number[] {
  const start = newShadow('unit', { ...slow, clockSkewMax }, { value: 50, at: 20 * second, targetSeq: 0 });
  const lost = written(start, ['lost', 30], 100 * second, 'unknown');
  let shadow = sale(lost, 1, soldAt, 700 * second);
  for (let at = 40; at < 53; at++) shadow = sale(shadow, 1, at * second, 700 * second);
  return settled(ordersKnown(shadow, 700 * second), 800 * second).sales.map(({ from }) => from);
}

/** What is left of a raise of 50 to 60, compared or not, when 26 units were sold since. */
function raisedAndSold(expected: number | null): readonly Candidate[] {
  const sent = writeSent(shadowOf(50), { key: 'raise', value: 60, targetSeq: 0, expected }, 1 * second);
  let shadow = writeAnswered(sent, 'raise', { kind: 'effective' }, 2 * second);
  for (let at = 10; at < 23; at++) shadow = sale(shadow, 2, at * second);
  return settled(ordersKnown(shadow, 500 * second), longAfter).candidates;
}

describe('many old sales', () => {
  test('come off the writes before them and not off those after them', () => {
    const lost = written(sold(50, 13, slow), ['lost', 30], 60 * second, 'unknown');
    const folded = settled(ordersKnown(lost, 500 * second), longAfter);

    expect(folded.sales).toEqual([]);
    expect(folded.candidates.map(({ value }) => value)).toEqual([37, 30]);
    // A reading of an earlier time would find them missing.
    expect(folded.knownSince).toBe(13 * second + tick);
  });

  test('stay where one of the writes may have come before them or after them, to the instant', () => {
    expect(salesKept(20 * second)).toEqual([20 * second]);
    expect(salesKept(20 * second + 1)).toEqual([]);
    expect(salesKept(100 * second - 1)).toEqual([]);
    expect(salesKept(100 * second)).toEqual([100 * second]);
    expect(salesKept(520 * second)).toEqual([520 * second]);
    expect(salesKept(520 * second + 1)).toEqual([]);
    expect(salesKept(25 * second, 5 * second)).toEqual([25 * second]);
    expect(salesKept(25 * second + 1, 5 * second)).toEqual([]);
    expect(salesKept(95 * second, 5 * second)).toEqual([95 * second]);
  });

  test('leave what a compared write has changed the number by, and an absolute one absolute', () => {
    expect(raisedAndSold(50)).toMatchObject([{ value: 34, expected: 24 }]);
    expect(raisedAndSold(null)).toMatchObject([{ value: 34, expected: null }]);
  });

  test('come off before their orders are known once there are too many, units put back counted with them', () => {
    const restocks = { ...fresh, restocksOnCancel: true };
    const changed = (sales: number) => {
      const back = { orderId: 'back', quantity: 1, from: 20 * second, until: 20 * second };
      const put = { ...back, restockedByChannel: true };
      return settled(orderCancelled(sold(100, sales, restocks), put, 81 * second), longAfter);
    };

    expect(changed(47).sales).toHaveLength(47);
    expect(changed(48)).toMatchObject({ sales: [], restocks: [], candidates: [{ value: 53 }] });
  });
});

describe('what was put back', () => {
  test('is forgotten from before all that is kept, also where nothing was sold', () => {
    const later = written(shadowOf(5), ['four', 4], 60 * second, 'effective');
    const restocked = (at: number) => {
      const change = { orderId: 'order', quantity: 1, from: at, until: at, restockedByChannel: true };
      return orderCancelled(settled(later, 200 * second), change, 200 * second).restocks;
    };

    expect(restocked(60 * second - 1)).toHaveLength(0);
    expect(restocked(60 * second)).toHaveLength(1);
  });
});

describe('a forgotten write', () => {
  test('is one that no reading can be old enough to show', () => {
    const replaced = written(shadowOf(5, quick), ['four', 4], 10 * second, 'effective');

    // It ended at 11 s; a read may be 60 s old and take 10 s.
    expect(settled(replaced, 81 * second).candidates).toHaveLength(2);
    expect(settled(replaced, 81 * second + 1).candidates).toHaveLength(1);
  });

  test('is what readings must be newer than, and one that is only replaced is not', () => {
    const four = written(shadowOf(5), ['four', 4], 10 * second, 'effective');
    const three = settled(written(four, ['three', 3], 15 * second, 'effective'), 21 * second + 1);

    expect(three.candidates.map(({ key, endedAt }) => [key, endedAt])).toEqual([
      ['four', 16 * second],
      ['three', null],
    ]);
    expect(three.knownSince).toBe(11 * second + tick);
  });
});

function keys({ candidates }: Shadow): readonly string[] {
  return candidates.map(({ key }) => key);
}

const raised = written(shadowOf(100), ['raise', 120], 10 * second, 'effective', { expected: 100 });

/** What is remembered beside that raise when so many were sold as it came into force. */
function rememberedAfter(sales: number): readonly string[] {
  let shadow = raised;
  for (let index = 0; index < sales; index++) shadow = sale(shadow, 1, 10 * second + index, 13 * second);
  return keys(settled(shadow, 100 * second));
}

describe('what a compared write has replaced', () => {
  test('is kept while there are sales of which nobody can tell whether they came before it', () => {
    expect(keys(settled(raised, 100 * second))).toEqual(['raise']);
    expect(keys(settled(sale(raised, 1, 10 * second, 13 * second), 100 * second))).toEqual([
      'reading',
      'raise',
    ]);
    expect(keys(settled(sale(raised, 1, 11 * second + 1, 13 * second), 100 * second))).toEqual(['raise']);
  });

  test('is forgotten all the same once more has changed than is remembered', () => {
    expect(rememberedAfter(48)).toEqual(['reading', 'raise']);
    expect(rememberedAfter(49)).toEqual(['raise']);
  });

  test('is kept as a whole while one of it may still land: alone that one would pass for all of it', () => {
    const lost = written(shadowOf(5, slow), ['lost', 4], 10 * second, 'unknown');
    const both = written(lost, ['raise', 6], 20 * second, 'effective', { expected: 4 });

    expect(settled(both, 100 * second).candidates.map(({ key, endedAt }) => [key, endedAt])).toEqual([
      ['reading', 21 * second],
      ['lost', null],
      ['raise', null],
    ]);
  });
});

test('a refused write never was in force: it makes nothing unknown, also where a reading had refuted it', () => {
  const lost = settled(written(shadowOf(5, slow), ['four', 4], 10 * second, 'unknown'), 430 * second);
  const refuted = read(lost, 5, 500 * second).shadow;
  const refused = writeAnswered(refuted, 'four', { kind: 'rejected' }, 501 * second);

  expect(refuted.candidates.map(({ endedAt }) => endedAt)).toEqual([null, 500 * second]);
  expect(refused.candidates.map(({ key }) => key)).toEqual(['reading']);
  expect(refused.knownSince).toBe(0);
});

describe('readings', () => {
  test('whose orders become known together refute each what it can', () => {
    const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'unknown');
    const seen = read(settled(five, 430 * second), 5, 500 * second).shadow;
    const three = settled(written(seen, ['three', 3], 510 * second, 'unknown'), 930 * second);
    const both = read(three, 3, 940 * second, 940 * second).shadow;

    expect(both.candidates.map(({ endedAt }) => endedAt)).toEqual([null, null, null]);
    // The first reading has ended the 9 before them, so long ago that it is forgotten.
    expect(ordersKnown(both, 940 * second).candidates.map(({ key, endedAt }) => [key, endedAt])).toEqual([
      ['five', 930 * second],
      ['three', null],
    ]);
  });

  test('that nothing explains end nothing, also where a newer write could stay alone', () => {
    const five = settled(written(shadowOf(9, slow), ['five', 5], 10 * second, 'unknown'), 500 * second);
    const newer = written(ordersKnown(five, 510 * second), ['seven', 7], 600 * second, 'unknown');
    const late = { value: 12, from: 500 * second, until: 500 * second };

    const { candidates } = readingTaken(newer, late, 610 * second);
    expect(candidates.map(({ endedAt }) => endedAt)).toEqual([null, null, null]);
  });

  test('do not end later what an earlier one has ended', () => {
    const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'accepted');
    const three = settled(written(five, ['three', 3], 60 * second, 'accepted'), 480 * second);
    const first = read(ordersKnown(three, 600 * second), 3, 500 * second).shadow;
    const again = read(first, 3, 520 * second, 495 * second).shadow;

    expect(again.candidates.map(({ key, endedAt }) => [key, endedAt])).toEqual([
      ['five', 500 * second],
      ['three', null],
    ]);
  });

  test('and contradict each other leave something in force', () => {
    const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'accepted');
    const three = settled(written(five, ['three', 3], 60 * second, 'accepted'), 480 * second);
    // Both have landed, in which order only readings can tell: it was 3 within the time of the first, and 5 in the midst of that.
    const first = read(ordersKnown(three, 600 * second), 3, 520 * second, 480 * second).shadow;
    const both = read(first, 5, 510 * second, 500 * second).shadow;

    expect(first.candidates.slice(-2).map(({ endedAt }) => endedAt)).toEqual([520 * second, null]);
    expect(both.candidates.map(({ key, endedAt }) => [key, endedAt])).toEqual([
      ['five', 520 * second],
      ['three', null],
    ]);
  });

  test('do not doubt anew a repeated write that time has settled', () => {
    const once = written(shadowOf(9, slow), ['four', 4], 10 * second, 'unknown');
    const again = settled(written(once, ['four', 4], 60 * second, 'accepted'), 480 * second);
    const seen = read(ordersKnown(again, 490 * second), 4, 485 * second, 478 * second).shadow;

    expect(seen.candidates.map(({ state }) => state)).toEqual(['EFFECTIVE', 'EFFECTIVE']);
  });
});
