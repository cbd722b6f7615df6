/** Proves what a reading may do: confirm, hold back, ask for another, or prove an outside edit; and that no answer does nothing. */
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { isEmptied, judge, readDueAt, readingArrived } from '../../../src/sync/core/readings.ts';
import {
  rebased,
  type Shadow,
  settled,
  shadowFromReading,
  targetSet,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { delta, fresh, ordersKnown, quick, read, sale, second, shadowOf, slow, written } from './support.ts';

describe('a reading', () => {
  test('of nothing is urgent only where something should be shown', () => {
    expect(read(shadowOf(3), 0, 50 * second).verdict).toEqual({ kind: 'belowLow', units: 3, urgent: true });
    expect(read(shadowOf(3), 1, 50 * second).verdict).toMatchObject({ units: 2, urgent: false });
    const emptied = targetSet(shadowOf(3), 0, 1);
    expect(read(emptied, 0, 50 * second).verdict).toMatchObject({ units: 3, urgent: false });
  });

  test('of nothing is an emptied listing only where units are left by every known sale, and what is older than all we know is none', () => {
    const reading = { value: 0, from: 50 * second, until: 50 * second };
    expect(isEmptied(shadowOf(3), reading)).toBe(true);
    expect(isEmptied(shadowOf(3), { ...reading, value: 1 })).toBe(false);
    expect(isEmptied(sale(shadowOf(3), 3, 40 * second), reading)).toBe(false);
    expect(isEmptied(shadowOf(0), reading)).toBe(false);
    expect(isEmptied(shadowOf(0), { ...reading, value: -1 })).toBe(false);
    expect(isEmptied(shadowOf(3), { ...reading, value: -1 })).toBe(true);
    const since = { ...shadowOf(3), knownSince: 50 * second };
    expect(isEmptied(since, reading)).toBe(true);
    expect(isEmptied({ ...since, knownSince: 50 * second + 1 }, reading)).toBe(false);
  });

  test('below 0 is one of 0, whoever tells it: no unit is missing where none can be seen', () => {
    const below = read(shadowOf(0), -2, 50 * second, 50 * second);
    expect(below.verdict).toEqual({ kind: 'inRange' });
    expect(below.shadow).toMatchObject({ readings: [{ value: 0 }], hold: 0 });
    expect(read(shadowOf(1), -2, 50 * second).verdict).toEqual({ kind: 'belowLow', units: 1, urgent: true });

    const sent = writeSent(shadowOf(0), { key: 'raise', value: 9, targetSeq: 1, expected: 0 }, 50 * second);
    const refused = writeAnswered(sent, 'raise', { kind: 'stale', actual: -2 }, 51 * second);
    expect(refused).toMatchObject({ readings: [{ value: 0 }], hold: 0 });
    const first = shadowFromReading('unit', fresh, { value: -2, from: 0, until: second }, 0);
    expect(first).toMatchObject({ target: 0, candidates: [{ value: 0 }] });
  });

  test('that may be older than all we know says nothing, and is asked for again after it cannot be', () => {
    const edited = rebased(
      shadowOf(5, quick),
      { value: 8, from: 90 * second, until: 100 * second },
      100 * second,
    );

    const old = read(edited, 5, 159 * second, 159 * second);
    expect(old.verdict).toEqual({ kind: 'notComparable', readAgainAt: 219 * second });
    expect(old.shadow.readings).toEqual([]);
    expect(read(edited, 5, 160 * second, 160 * second).verdict).toMatchObject({ kind: 'belowLow', units: 3 });
  });

  test('that shows one of the writes under way is not comparable yet', () => {
    const writing = written(shadowOf(5, slow), ['four', 4], 10 * second, 'accepted');

    expect(read(writing, 5, 20 * second).verdict).toEqual({
      kind: 'notComparable',
      readAgainAt: 20 * second,
    });
    expect(read(writing, 3, 20 * second).verdict).toMatchObject({ kind: 'belowLow', units: 1 });
    expect(read(writing, 6, 20 * second).verdict).toEqual({ kind: 'aboveHigh', units: 1 });
  });

  test('S10: that is none changes nothing and says why', () => {
    const before = shadowOf(4);

    expect(readingArrived(before, { kind: 'notTracked' }, second)).toEqual({
      shadow: before,
      verdict: { kind: 'unreadable', reason: 'the channel does not track this stock' },
    });
    expect(readingArrived(before, { kind: 'unknown', reason: 'empty page' }, second).verdict).toEqual({
      kind: 'unreadable',
      reason: 'empty page',
    });
  });
});

/** Read every second, with its orders known a minute late. */
function looked(before: Shadow, from: number, until: number): Shadow {
  let shadow = before;
  for (let at = from; at <= until; at += 1)
    shadow = ordersKnown(read(shadow, 3, at * second).shadow, (at - 60) * second);
  return shadow;
}

describe('a proof', () => {
  test('of a cut says how much, by which reading, in which range, with which orders known', () => {
    const seen = read(read(shadowOf(5), 3, 50 * second).shadow, 3, 60 * second).shadow;

    expect(judge(ordersKnown(seen, 70 * second), 70 * second).proof).toEqual({
      unit: 'unit',
      delta: -2,
      reading: { value: 3, from: 60 * second - 100, until: 60 * second },
      range: { low: 5, high: 5 },
      ordersWatermark: 70 * second,
    });
  });

  test('is none while one reading alone is below, and the shadow stays what it was', () => {
    const seen = ordersKnown(read(shadowOf(5), 3, 50 * second).shadow, 60 * second);

    expect(judge(seen, 60 * second)).toEqual({ shadow: seen, proof: null });
  });

  test('is none where the sale becomes known in time', () => {
    const seen = read(read(shadowOf(5), 3, 50 * second).shadow, 3, 60 * second).shadow;

    expect(delta(ordersKnown(sale(seen, 2, 40 * second, 65 * second), 70 * second), 70 * second)).toBeNull();
  });

  test('of a cut from more than its write alone allows names a range that is none the wrong way round', () => {
    const low = read(shadowOf(5), 3, 50 * second).shadow;
    const sent = writeSent(low, { key: 'two', value: 2, targetSeq: 1, expected: 3 }, 60 * second);
    const compared = writeAnswered(sent, 'two', { kind: 'effective' }, 62 * second);
    // Nobody can tell whether it came before the write: so the number before that counts, of which two were missing.
    const sold = sale(compared, 1, 61 * second, 63 * second);
    const seen = ordersKnown(read(read(sold, 0, 90 * second).shadow, 0, 95 * second).shadow, 96 * second);

    expect(judge(seen, 96 * second).proof).toMatchObject({ delta: -3, range: { low: 3, high: 3 } });
  });

  test('of an increase waits for the orders only where the channel puts units back', () => {
    const restocking = { ...fresh, restocksOnCancel: true };

    expect(delta(read(shadowOf(5), 6, 50 * second).shadow, 50 * second)).toBe(1);
    const seen = read(shadowOf(5, restocking), 6, 50 * second).shadow;
    expect(delta(seen, 50 * second)).toBeNull();
    expect(delta(ordersKnown(seen, 50 * second), 50 * second)).toBe(1);
  });

  test('comes however often the unit is read before its orders are known', () => {
    const early = looked(shadowOf(5), 50, 109);
    expect(delta(early, 109 * second)).toBeNull();
    const shadow = looked(early, 110, 170);
    expect(delta(shadow, 170 * second)).toBe(-2);
  });

  test('is not lost, nor is what is withheld, when the memory is full of readings nothing explains', () => {
    const values = [4, 4, 1, 4, 4, 4, 4, 4, 4];
    const shadow = values.reduce(
      (before, value, index) => read(before, value, (50 + index) * second).shadow,
      shadowOf(5),
    );
    expect(shadow.hold).toBe(4);
    expect(shadow.readings.map(({ until }) => until / second)).toEqual([50, 51, 52, 54, 56, 58]);
  });

  test('forgets what it has explained, keeps what may still land, and is drawn once', () => {
    const writing = written(shadowOf(5, slow), ['four', 4], 10 * second, 'accepted');
    const { shadow, proof } = judge(read(writing, 9, 20 * second).shadow, 20 * second);

    expect(proof?.delta).toBe(4);
    expect(shadow.candidates.map(({ value }) => value)).toEqual([9, 4]);
    expect(shadow).toMatchObject({ readings: [], knownSince: 20 * second, hold: 0 });
    expect(judge(shadow, 21 * second).proof).toBeNull();
  });
});

test('a proof uses its reading up, also one that took no time and that its own number does not explain', () => {
  const at = 50 * second;
  // As kept by who took numbers below 0 for what they are.
  const below = { value: -1, from: at, until: at };
  let shadow = ordersKnown({ ...shadowOf(0), readings: [below, { ...below }] }, at);
  const deltas: (number | undefined)[] = [];
  for (let proofs = 0; proofs < 3; proofs += 1) {
    const judged = judge(shadow, at);
    shadow = judged.shadow;
    deltas.push(judged.proof?.delta);
  }
  expect(deltas).toEqual([-1, undefined, undefined]);
});

describe('a cut while a newer reading of unknown orders may speak of the same time', () => {
  // Two readings of 3 where 5 should be, of whose orders nothing is missing.
  const seen = read(
    read(shadowOf(5), 3, 50 * second, 50 * second).shadow,
    3,
    60 * second,
    60 * second,
  ).shadow;
  const known = ordersKnown(seen, 60 * second);

  test('is not proved while that one misses more: its sales would be forgotten with it', () => {
    expect(delta(known, 65 * second)).toBe(-2);
    expect(delta(read(known, 1, 65 * second, 60 * second - 1).shadow, 65 * second)).toBeNull();
  });

  test('is proved where that one misses as much or less', () => {
    expect(delta(read(known, 3, 65 * second, 55 * second).shadow, 65 * second)).toBe(-2);
    expect(delta(read(known, 4, 65 * second, 55 * second).shadow, 65 * second)).toBe(-2);
  });

  test('is proved where that one began when the cut was read, and what it misses stays withheld', () => {
    const later = read(known, 1, 65 * second, 60 * second).shadow;
    const { shadow, proof } = judge(later, 65 * second);

    expect(later.hold).toBe(4);
    expect(proof?.delta).toBe(-2);
    expect(shadow.readings.map(({ value }) => value)).toEqual([1]);
    expect(shadow.hold).toBe(2);
  });
});

describe('a unit is read again', () => {
  const pace = { verifyIntervalMs: 30 * second, reconcileIntervalMs: 600 * second };
  const inStep = read(shadowOf(5, slow), 5, 50 * second).shadow;

  test('now and then while it is in step, counted from its last reading, or from now where there was none', () => {
    expect(readDueAt(inStep, pace, 70 * second)).toBe(650 * second);
    expect(readDueAt(inStep, pace, 900 * second)).toBe(650 * second);
    expect(readDueAt(shadowOf(5), pace, 70 * second)).toBe(670 * second);
  });

  test('soon while a write is not settled, and at once where that time has passed', () => {
    const writing = written(inStep, ['four', 4], 60 * second, 'accepted');

    expect(readDueAt(writing, pace, 70 * second)).toBe(80 * second);
    expect(readDueAt(writing, pace, 80 * second)).toBe(80 * second);
    expect(readDueAt(writing, pace, 200 * second)).toBe(200 * second);
  });

  test('soon after a write for as long as a reading may still show what that replaced, to the millisecond', () => {
    // Replaced at 101 s; a read may be 60 s old and take 10 s.
    const shown = read(shadowOf(5, quick), 5, 90 * second).shadow;
    const replaced = written(shown, ['four', 4], 100 * second, 'effective');

    expect(readDueAt(replaced, pace, 171 * second)).toBe(171 * second);
    expect(readDueAt(replaced, pace, 171 * second + 1)).toBe(690 * second);
  });

  test('soon while a repeated write that was seen once may land once more', () => {
    const lost = written(shadowOf(9, slow), ['four', 4], 10 * second, 'unknown');
    const again = written(lost, ['four', 4], 60 * second, 'unknown');
    const seen = read(ordersKnown(again, 100 * second), 4, 100 * second).shadow;

    expect(readDueAt(seen, pace, 115 * second)).toBe(130 * second);
  });

  test('soon while a reading is not explained, be it too low or too high', () => {
    expect(readDueAt(read(inStep, 3, 60 * second).shadow, pace, 70 * second)).toBe(90 * second);
    expect(readDueAt(read(inStep, 7, 60 * second).shadow, pace, 70 * second)).toBe(90 * second);
  });
});

/** What the channel says at 900 s about a time before. */
function told(shadow: Shadow, value: number, from: number, until: number) {
  const reading = { value, from: from * second, until: until * second };
  return readingArrived(shadow, { kind: 'quantity', reading }, 900 * second);
}

describe('a word that was under way for so long that what was in force then is forgotten', () => {
  const replaced = settled(written(shadowOf(9), ['five', 5], 100 * second, 'effective'), 900 * second);

  test('says nothing, also when the write that replaced it may be what it is about', () => {
    expect(replaced.candidates.map(({ value }) => value)).toEqual([5]);
    for (const [from, until] of [
      [50, 60],
      [99, 102],
    ] as const) {
      const { shadow, verdict } = told(replaced, 9, from, until);
      expect(verdict).toMatchObject({ kind: 'notComparable' });
      expect(delta(shadow, 900 * second)).toBeNull();
    }
    expect(told(replaced, 9, 102, 103).verdict).toEqual({ kind: 'aboveHigh', units: 4 });
  });

  test('says nothing about a time before sales that were taken off the number', () => {
    let shadow = shadowOf(40);
    for (let at = 10; at < 30; at += 1) shadow = ordersKnown(sale(shadow, 1, at * second), (at + 1) * second);
    const folded = settled(ordersKnown(shadow, 800 * second), 900 * second);
    expect(folded.sales.length).toBeLessThan(20);
    expect(told(folded, 40, 5, 6).verdict).toMatchObject({ kind: 'notComparable' });
    expect(told(folded, 20, 890, 891).verdict).toEqual({ kind: 'inRange' });
  });
});
