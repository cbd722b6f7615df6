/** Proves what ends a candidate, what a reading refutes, and what may be forgotten: each by the instant at which it happens. */
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { candidatesMax } from '../../../src/sync/core/collapse.ts';
import { type Candidate, orderCancelled, type Shadow, settled } from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { fresh, ordersKnown, read, sale, second, shadowOf, slow, written } from './support.ts';

function candidate(shadow: Shadow, key: string): Candidate | undefined {
  return shadow.candidates.find((one) => one.key === key);
}

function ends(shadow: Shadow): readonly (readonly [string, number | null])[] {
  return shadow.candidates.map(({ key, endedAt }) => [key, endedAt]);
}

describe('time alone', () => {
  test('makes what was accepted effective when it can be no later, to the millisecond', () => {
    const accepted = written(shadowOf(5, slow), ['four', 4], 10 * second, 'accepted');

    expect(candidate(settled(accepted, 430 * second - 1), 'four')).toMatchObject({
      state: 'ACCEPTED',
      settledAt: null,
    });
    expect(candidate(settled(accepted, 430 * second), 'four')).toMatchObject({
      state: 'EFFECTIVE',
      settledAt: 430 * second,
    });
  });

  test('settles what got no answer without saying which way, and never what is still awaited', () => {
    const lost = written(shadowOf(5, slow), ['four', 4], 10 * second, 'unknown');
    const awaited = written(shadowOf(5, slow), ['four', 4], 10 * second, null);

    expect(candidate(settled(lost, 429 * second), 'four')?.settledAt).toBeNull();
    expect(candidate(settled(lost, 900 * second), 'four')).toMatchObject({
      state: 'UNKNOWN',
      settledAt: 430 * second,
    });
    expect(candidate(settled(awaited, 900 * second), 'four')).toMatchObject({
      state: 'SENT',
      settledAt: null,
    });
  });

  test('changes nothing about a shadow of which nothing is open', () => {
    const quiet = ordersKnown(shadowOf(5), 10 * second);

    expect(settled(quiet, 1_000 * second)).toBe(quiet);
    const replaced = sale(written(shadowOf(5), ['four', 4], 10 * second, 'effective'), 1, 12 * second);
    expect(replaced.candidates).toHaveLength(2);
    expect(settled(replaced, 13 * second)).toBe(replaced);
  });
});

describe('a later write', () => {
  test('ends what was in force when it is in force itself', () => {
    const effective = written(shadowOf(5), ['four', 4], 10 * second, 'effective');

    expect(ends(effective)).toEqual([
      ['reading', 11 * second],
      ['four', null],
    ]);
  });

  test('ends nothing while it is only accepted, and nothing that may land after it', () => {
    const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'accepted');
    const three = written(five, ['three', 3], 60 * second, 'accepted');

    expect(ends(three)).toEqual([
      ['reading', null],
      ['five', null],
      ['three', null],
    ]);
    expect(ends(settled(three, 430 * second))).toEqual([
      ['reading', 430 * second],
      ['five', null],
      ['three', null],
    ]);
    // Both landed, in which order nobody knows.
    expect(ends(settled(three, 480 * second)).slice(-2)).toEqual([
      ['five', null],
      ['three', null],
    ]);
  });

  test('that was sent when all before had landed ends all of them', () => {
    const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'accepted');
    const three = written(five, ['three', 3], 60 * second, 'accepted');
    const one = written(three, ['one', 1], 480 * second, 'accepted');
    const early = written(three, ['one', 1], 480 * second - 1, 'accepted');

    const after = settled(one, 900 * second);
    expect(ends(after)).toEqual([
      ['five', 900 * second],
      ['three', 900 * second],
      ['one', null],
    ]);
    expect(ends(settled(early, 900 * second)).slice(-2)).toEqual([
      ['three', null],
      ['one', null],
    ]);
  });
});

describe('a reading', () => {
  const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'accepted');
  const overlapped = written(five, ['three', 3], 60 * second, 'accepted');

  test('with every order known refutes what it cannot be, but for what may still land', () => {
    const seen = read(ordersKnown(overlapped, 100 * second), 3, 100 * second).shadow;

    expect(ends(seen)).toEqual([
      ['reading', 100 * second],
      ['five', null],
      ['three', null],
    ]);
    expect(candidate(seen, 'three')).toMatchObject({ state: 'EFFECTIVE', settledAt: 100 * second });
    expect(candidate(seen, 'five')).toMatchObject({ state: 'ACCEPTED' });
  });

  test('refutes nothing by being low while sales may be unknown', () => {
    const seen = read(overlapped, 3, 100 * second).shadow;

    expect(ends(seen).map(([, at]) => at)).toEqual([null, null, null]);
    expect(candidate(seen, 'three')?.state).toBe('ACCEPTED');
    expect(candidate(ordersKnown(seen, 100 * second), 'three')?.state).toBe('EFFECTIVE');
  });

  test('refutes what is too low at once, because unknown sales only lower', () => {
    const seen = read(settled(overlapped, 500 * second), 5, 500 * second).shadow;

    expect(candidate(seen, 'five')).toMatchObject({ state: 'EFFECTIVE', endedAt: null });
    expect(candidate(seen, 'three')?.endedAt).toBe(500 * second);
  });

  test('does not end later what has ended before', () => {
    const patient = { ...overlapped, bounds: { ...slow, readMax: 200 * second } };
    const long = settled(patient, 480 * second);
    const seen = read(ordersKnown(long, 481 * second), 3, 481 * second, 400 * second).shadow;

    expect(candidate(seen, 'reading')?.endedAt).toBe(430 * second);
  });

  test('that nothing explains ends nothing: it is for a conflict to say', () => {
    const seen = read(settled(overlapped, 500 * second), 8, 500 * second).shadow;

    expect(candidate(seen, 'five')?.endedAt).toBeNull();
    expect(candidate(seen, 'three')?.endedAt).toBeNull();
  });

  test('of a repeated absolute write proves one landing, and the other may still come', () => {
    const lost = written(shadowOf(9, slow), ['four', 4], 10 * second, 'unknown');
    const again = written(lost, ['four', 4], 60 * second, 'unknown');
    const seen = read(ordersKnown(again, 100 * second), 4, 100 * second).shadow;

    expect(candidate(seen, 'four')).toMatchObject({ state: 'ACCEPTED', settledAt: null });
    expect(candidate(seen, 'reading')?.endedAt).toBe(100 * second);
    const once = read(ordersKnown(lost, 100 * second), 4, 100 * second).shadow;
    expect(candidate(once, 'four')).toMatchObject({ state: 'EFFECTIVE', settledAt: 100 * second });
  });
});

describe('what is forgotten', () => {
  test('is a candidate that no reading can speak of any more, and a refused one at once', () => {
    const effective = written(shadowOf(5), ['four', 4], 10 * second, 'effective');
    const refused = written(shadowOf(5), ['four', 4], 10 * second, 'rejected');

    // It ended at 11 s, and a read takes up to 10 s.
    expect(settled(effective, 21 * second).candidates).toHaveLength(2);
    expect(settled(effective, 21 * second + 1).candidates).toHaveLength(1);
    expect(refused.candidates.map(({ key }) => key)).toEqual(['reading']);
    // Also when the answer comes later than the write could have landed.
    const awaited = settled(written(shadowOf(5), ['four', 4], 10 * second, null), 30 * second);
    const late = writeAnswered(awaited, 'four', { kind: 'rejected' }, 30 * second);
    expect(late.candidates.map(({ key }) => key)).toEqual(['reading']);
  });

  test('is an older reading once the orders of a later one are known, never one whose orders are not', () => {
    const first = read(shadowOf(5), 5, 20 * second).shadow;
    const both = read(first, 5, 40 * second).shadow;

    expect(both.readings.map(({ until }) => until)).toEqual([20 * second, 40 * second]);
    expect(ordersKnown(both, 39 * second).readings).toHaveLength(2);
    expect(ordersKnown(both, 40 * second).readings.map(({ until }) => until)).toEqual([40 * second]);
  });

  test('is a reading that a later write has replaced', () => {
    const seen = ordersKnown(read(shadowOf(5), 5, 20 * second).shadow, 30 * second);

    expect(seen.readings).toHaveLength(1);
    expect(written(seen, ['four', 4], 40 * second, 'accepted').readings).toHaveLength(1);
    expect(written(seen, ['four', 4], 40 * second, 'effective').readings).toHaveLength(0);
  });

  test('is never an unexplained reading before one that is later for certain explains it', () => {
    const low = ordersKnown(read(shadowOf(5), 3, 20 * second).shadow, 30 * second);

    expect(low.readings).toHaveLength(1);
    expect(low.hold).toBe(2);
    // Read again, but possibly from before.
    expect(read(low, 5, 40 * second, 20 * second).shadow.hold).toBe(2);
    const again = ordersKnown(read(low, 5, 40 * second).shadow, 50 * second);
    expect(again.hold).toBe(0);
    expect(again.readings.map(({ value }) => value)).toEqual([5]);
    const high = read(shadowOf(5), 7, 20 * second).shadow;
    expect(ordersKnown(read(high, 5, 40 * second).shadow, 50 * second).readings).toHaveLength(1);
    expect(ordersKnown(read(high, 7, 40 * second).shadow, 50 * second).readings).toHaveLength(2);
  });
});

function lostWrites(count: number): Shadow {
  let shadow = shadowOf(50, slow);
  for (let index = 1; index <= count; index++)
    shadow = written(shadow, [`w${index}`, 50 - index], index * second, 'unknown', { targetSeq: index });
  return shadow;
}

describe('memory', () => {
  test('merges the two oldest candidates into one that allows what either did', () => {
    const full = lostWrites(candidatesMax - 1);
    const over = lostWrites(candidatesMax);

    expect(full.candidates).toHaveLength(candidatesMax);
    expect(full.candidates[0]).toMatchObject({ key: 'reading', value: 50, spread: 0 });
    expect(over.candidates).toHaveLength(candidatesMax);
    expect(over.candidates[0]).toMatchObject({
      key: 'merged',
      value: 50,
      spread: 1,
      sentAt: 0,
      lastSentAt: second,
      settledAt: 421 * second,
      state: 'UNKNOWN',
      endedAt: null,
    });
    expect(over.candidates[1]?.key).toBe('w2');
    expect(lostWrites(candidatesMax + 2).candidates[0]).toMatchObject({
      value: 50,
      spread: 3,
      lastSentAt: 3 * second,
    });
  });

  test('lets no answer speak of a merged candidate', () => {
    const over = lostWrites(candidatesMax);

    expect(writeAnswered(over, 'w1', { kind: 'rejected' }, 100 * second)).toBe(over);
    expect(rangeNow(over, 100 * second).high).toBe(50);
  });

  test('drops a sale from before all that is kept, and keeps one that may be within', () => {
    const later = written(shadowOf(5), ['four', 4], 60 * second, 'effective');

    expect(sale(later, 1, 50 * second, 200 * second).sales).toHaveLength(0);
    expect(sale(later, 1, 60 * second, 200 * second).sales).toHaveLength(1);
  });

  test('takes many old sales off the value, and units that may have come back off what is certain', () => {
    const restocking = { ...fresh, restocksOnCancel: true };
    let shadow = shadowOf(50, restocking);
    for (let index = 1; index <= 12; index++) shadow = sale(shadow, 1, index * second);
    const few = ordersKnown(shadow, 100 * second);
    expect(few.sales).toHaveLength(12);
    const news = { orderId: 'order', quantity: 2, from: 20 * second, until: 20 * second };
    const many = orderCancelled(few, { ...news, restockedByChannel: true, certain: false }, 100 * second);

    const folded = settled(many, 200 * second);
    expect([folded.sales, folded.restocks]).toEqual([[], []]);
    expect(folded.candidates[0]).toMatchObject({ value: 40, spread: 2 });
    expect(rangeNow(folded, 200 * second)).toEqual({ low: 38, high: 40 });
  });

  test('takes off only what every order is known of', () => {
    let shadow = ordersKnown(shadowOf(50), 2 * second);
    for (let index = 1; index <= 13; index++) shadow = sale(shadow, 1, index * second);

    const partly = settled(shadow, 200 * second);
    expect(partly.sales.map(({ from }) => from / second)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(partly.candidates[0]?.value).toBe(49);
  });

  test('keeps sales while a reading may tell them apart, and those whose orders are not all known', () => {
    let shadow = shadowOf(50);
    for (let index = 1; index <= 13; index++) shadow = sale(shadow, 1, index * second);

    expect(settled(shadow, 200 * second).sales).toHaveLength(13);
    const seen = read(ordersKnown(shadow, 100 * second), 37, 100 * second).shadow;
    expect(settled(seen, 101 * second).sales.length).toBe(0);
  });
});
