/** Proves each transition of a shadow by itself: what it remembers, what it replaces, and what it leaves alone. */
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { judge } from '../../../src/sync/core/readings.ts';
import {
  arrivedTooLate,
  newShadow,
  orderCancelled,
  readingOf,
  readingTaken,
  rebased,
  type Shadow,
  shadowFromReading,
  targetSet,
  watermarkAdvanced,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { delta, fresh, ordersKnown, quick, read, sale, second, shadowOf, slow, written } from './support.ts';

const never = Number.NEGATIVE_INFINITY;

function changeAt(until: number) {
  return { orderId: 'order', quantity: 1, from: until, until };
}

describe('a shadow begins', () => {
  const nothing = { sales: [], restocks: [], readings: [], hold: 0, resurrectedUnits: 0 };
  const candidate = {
    key: 'reading',
    value: 5,
    spread: 0,
    targetSeq: 3,
    expected: null,
    state: 'EFFECTIVE',
    endedAt: null,
  };

  test('with a number that is certain at an instant', () => {
    expect(newShadow('unit', quick, { value: 5, at: 10, targetSeq: 3 })).toEqual({
      ...nothing,
      unit: 'unit',
      mode: 'shared',
      bounds: quick,
      target: 5,
      targetSeq: 3,
      sentSeq: 3,
      candidates: [{ ...candidate, sentAt: 10, lastSentAt: 10, settledAt: 10 }],
      knownSince: 10,
      ordersWatermark: 10,
      ordersFetchedAt: never,
      readAt: never,
      spokenAt: never,
    });
    expect(newShadow('unit', quick, { value: 5, at: 10, targetSeq: 3, mode: 'escrow' }).mode).toBe('escrow');
  });

  test('with a reading: true somewhere in its window, and no order known', () => {
    const reading = { value: 5, from: 10, until: 40 };

    expect(shadowFromReading('unit', quick, reading, 3)).toEqual({
      ...nothing,
      unit: 'unit',
      mode: 'shared',
      bounds: quick,
      target: 5,
      targetSeq: 3,
      sentSeq: 3,
      candidates: [{ ...candidate, sentAt: 10, lastSentAt: 10, settledAt: 40 }],
      knownSince: 40,
      ordersWatermark: never,
      ordersFetchedAt: never,
      readAt: 40,
      spokenAt: 40,
    });
    expect(shadowFromReading('unit', quick, reading, 3, 'observe').mode).toBe('observe');
  });
});

describe('a target', () => {
  const shadow = targetSet(shadowOf(5), 4, 7);

  test('replaces one of an older or the same seq, never one of a newer', () => {
    expect(shadow).toMatchObject({ target: 4, targetSeq: 7 });
    expect(targetSet(shadow, 3, 6)).toBe(shadow);
    expect(targetSet(shadow, 4, 7)).toBe(shadow);
    expect(targetSet(shadow, 3, 7)).toMatchObject({ target: 3, targetSeq: 7 });
    expect(targetSet(shadow, 4, 8)).toMatchObject({ target: 4, targetSeq: 8 });
  });
});

describe('a write', () => {
  const write = { key: 'key', value: 4, targetSeq: 2, expected: 5 };

  test('leaves as one candidate, and again under its key as the same one', () => {
    const sent = writeSent(shadowOf(5), write, 10 * second);
    const again = writeSent(sent, write, 30 * second);

    expect(sent).toMatchObject({ sentSeq: 2 });
    expect(sent.candidates.at(-1)).toEqual({
      ...write,
      spread: 0,
      sentAt: 10 * second,
      lastSentAt: 10 * second,
      settledAt: null,
      state: 'SENT',
      endedAt: null,
    });
    expect(again.candidates).toHaveLength(2);
    expect(again.candidates[0]).toEqual(sent.candidates[0]);
    expect(again.candidates[1]).toMatchObject({
      sentAt: 10 * second,
      lastSentAt: 30 * second,
      state: 'SENT',
      settledAt: null,
    });
    expect(writeSent(sent, { ...write, key: 'other' }, 30 * second).candidates).toHaveLength(3);
  });

  test('that a reading has refuted may still land once it is sent again', () => {
    const lost = written(shadowOf(1), ['zero', 0], 10 * second, 'unknown');
    const refuted = read(lost, 1, 20 * second).shadow;
    const again = writeSent(refuted, { key: 'zero', value: 0, targetSeq: 0, expected: null }, 30 * second);

    expect(rangeNow(refuted, 25 * second)).toEqual({ low: 1, high: 1 });
    expect(again.candidates.at(-1)).toMatchObject({ state: 'SENT', settledAt: null, endedAt: null });
    expect(rangeNow(again, 31 * second)).toEqual({ low: 0, high: 1 });
  });

  test('of the same seq may follow, one of an older may not', () => {
    const sent = writeSent(shadowOf(5), write, 10 * second);

    expect(() => writeSent(sent, { ...write, key: 'b' }, 11 * second)).not.toThrow();
    expect(() => writeSent(sent, { ...write, key: 'b', targetSeq: 1 }, 11 * second)).toThrow(
      'S6: write b is older than what was sent to unit',
    );
  });

  test('cannot be in a reading that was taken before it left, even in the same millisecond', () => {
    const seen = read(shadowOf(5), 5, 10 * second).shadow;
    const at = (time: number) => writeSent(seen, write, time).readings.map(({ writesUntil }) => writesUntil);

    expect(at(10 * second)).toEqual([10 * second - 0.5]);
    expect(at(10 * second + 1)).toEqual([undefined]);
    const later = writeSent(writeSent(seen, write, 10 * second), { ...write, key: 'b' }, 10 * second);
    expect(later.readings).toEqual([{ ...seen.readings[0], writesUntil: 10 * second - 0.5 }]);
    // Not before its own beginning: something was in force in it.
    const instant = { value: 5, from: 10 * second, until: 10 * second };
    const read5 = readingTaken(shadowOf(5), instant, 10 * second);
    expect(writeSent(read5, write, 10 * second).readings).toEqual([{ ...instant, writesUntil: 10 * second }]);
  });

  test('comes after what was known before it left, even in the same millisecond and whatever the channel’s clock says', () => {
    const skewed = { ...fresh, clockSkewMax: 3_600 * second, restocksOnCancel: true };
    const absolute = { ...write, expected: null };
    const inForce = (shadow: Shadow) =>
      writeAnswered(writeSent(shadow, absolute, 10 * second), 'key', { kind: 'effective' }, 11 * second);

    const sold = inForce(sale(shadowOf(5, skewed), 1, 9 * second, 10 * second));
    const missing = read(read(sold, 3, 60 * second).shadow, 3, 90 * second).shadow;
    expect(missing.hold).toBe(1);
    expect(delta(ordersKnown(missing, 3_690 * second), 3_690 * second)).toBe(-1);
    const later = written(sold, ['later', 6], 20 * second, 'unknown');
    expect(rangeNow(later, 30 * second)).toEqual({ low: 4, high: 6 });
    const news = { ...changeAt(9 * second), restockedByChannel: true };
    const putBack = inForce(orderCancelled(shadowOf(3, skewed), news, 10 * second));
    expect(read(putBack, 5, 60 * second).verdict).toEqual({ kind: 'aboveHigh', units: 1 });
  });

  test('may have left before what became known in its millisecond where something older is of that millisecond, too', () => {
    const opened = newShadow('unit', fresh, { value: 5, at: 10 * second, targetSeq: 0 });
    const raised = { ...write, value: 6, expected: null };
    const sent = writeSent(sale(opened, 1, 10 * second), raised, 10 * second);
    expect(rangeNow(sent, 10 * second).low).toBe(4);

    const instant = { value: 5, from: 10 * second, until: 10 * second };
    const seen = readingTaken(shadowOf(5), instant, 10 * second);
    expect(writeSent(sale(seen, 1, 10 * second), raised, 10 * second).sales).toMatchObject([
      { knownAt: 10 * second },
    ]);
  });

  test('takes nothing from what a reading of the same millisecond shows: a sale of that moment is still in it', () => {
    const seen = read(shadowOf(5), 4, 10 * second).shadow;
    const sent = writeSent(seen, write, 10 * second);
    expect(sent.hold).toBe(1);
    const told = ordersKnown(sale(sent, 1, 10 * second, 11 * second), 30 * second);
    expect(told.hold).toBe(0);
    expect(judge(told, 30 * second).proof).toBeNull();
  });
});

describe('an answer', () => {
  const sent = written(shadowOf(5, slow), ['key', 4], 10 * second, null);
  const stateOf = (kind: 'effective' | 'accepted' | 'rejected' | 'unknown', from = sent) =>
    writeAnswered(from, 'key', { kind }, 20 * second).candidates.find(({ key }) => key === 'key');

  test('proves the effect, or that it comes, or nothing', () => {
    expect(stateOf('effective')).toMatchObject({ state: 'EFFECTIVE', settledAt: 20 * second });
    expect(stateOf('accepted')).toMatchObject({ state: 'ACCEPTED', settledAt: null });
    expect(stateOf('unknown')).toMatchObject({ state: 'UNKNOWN', settledAt: null });
    expect(stateOf('rejected')).toBeUndefined();
  });

  test('that comes later than the effect can be settles at the latest effect', () => {
    const late = written(shadowOf(5), ['key', 4], 10 * second, null);

    expect(stateOf('effective', late)).toMatchObject({ settledAt: 12 * second });
  });

  test('to a repeated absolute write leaves the other attempt open; to a compared one it is the only answer', () => {
    const twice = written(
      written(shadowOf(5, slow), ['key', 4], 10 * second, 'unknown'),
      ['key', 4],
      15 * second,
      null,
    );
    const compared = { expected: 5 };
    const once = written(
      written(shadowOf(5, slow), ['key', 4], 10 * second, 'unknown', compared),
      ['key', 4],
      15 * second,
      null,
      compared,
    );

    expect(stateOf('effective', twice)).toMatchObject({ state: 'ACCEPTED' });
    expect(stateOf('effective', once)).toMatchObject({ state: 'EFFECTIVE', settledAt: 20 * second });
    // Refused this time; the attempt before may have happened.
    expect(stateOf('rejected', twice)).toMatchObject({ state: 'UNKNOWN' });
  });

  test('that the compare failed says what is shown, as of when it was first asked', () => {
    const compared = written(shadowOf(5), ['key', 4], 10 * second, null, { expected: 5 });
    const stale = writeAnswered(compared, 'key', { kind: 'stale', actual: 3 }, 11 * second);

    expect(stale.readings).toEqual([{ value: 3, from: 10 * second, until: 11 * second }]);
    expect(stale).toMatchObject({ hold: 2, readAt: 11 * second });
    expect(stale.candidates.map(({ key }) => key)).toEqual(['reading']);
    const silent = writeAnswered(compared, 'key', { kind: 'stale', actual: null }, 11 * second);
    expect(silent).toMatchObject({ readings: [], readAt: never });
    const again = writeSent(compared, { key: 'key', value: 4, targetSeq: 0, expected: 5 }, 20 * second);
    const repeated = writeAnswered(again, 'key', { kind: 'stale', actual: 3 }, 21 * second);
    expect(repeated.candidates.map(({ key }) => key)).toEqual(['reading']);
    expect(repeated.readings).toEqual([{ value: 3, from: 10 * second, until: 21 * second }]);
  });

  test('that nothing was changed may tell of a time before the write: what it shows can be from before a sale', () => {
    const sold = sale(shadowOf(1, quick), 1, 90 * second);
    const silent = written(sold, ['one', 1], 100 * second, null);
    const told = writeAnswered(silent, 'one', { kind: 'stale', actual: 1, read: true }, 101 * second);
    expect(told.readings).toEqual([{ value: 1, from: 40 * second, until: 101 * second }]);
    expect(rangeNow(told, 101 * second)).toEqual({ low: 0, high: 0 });
    const later = read(told, 0, 200 * second).shadow;
    expect([later.hold, judge(ordersKnown(later, 201 * second), 201 * second).proof]).toEqual([0, null]);
  });

  test('that there was nothing left to change says nothing against an attempt before it: that one may have done it', () => {
    const lost = written(shadowOf(6), ['four', 4], 10 * second, 'unknown');
    const again = written(lost, ['four', 4], 20 * second, null);
    const told = writeAnswered(again, 'four', { kind: 'stale', actual: 4, read: true }, 21 * second);
    const known = ordersKnown(read(told, 4, 60 * second).shadow, 90 * second);

    expect([known.hold, judge(read(known, 4, 91 * second).shadow, 91 * second).proof]).toEqual([0, null]);
    expect(rangeNow(known, 91 * second)).toEqual({ low: 4, high: 4 });
    // A compare under the same key answers as it did the first time.
    const compared = written(lost, ['four', 4], 20 * second, null, { expected: 6 });
    const failed = writeAnswered(compared, 'four', { kind: 'stale', actual: 5 }, 21 * second);
    expect(failed.candidates.some(({ key }) => key === 'four')).toBe(false);
  });

  test('that denies what a reading has proved is not believed', () => {
    for (const kind of ['stale', 'rejected'] as const) {
      const lost = written(shadowOf(5), ['three', 3], 10 * second, 'unknown', { expected: 5 });
      const again = written(lost, ['three', 3], 20 * second, null, { expected: 5 });
      const seen = read(ordersKnown(again, 21 * second), 3, 21 * second).shadow;
      const denied = writeAnswered(seen, 'three', { kind, actual: 3 }, 22 * second);
      expect([denied.hold, rangeNow(denied, 30 * second)]).toEqual([0, { low: 3, high: 3 }]);
    }
  });

  test('about a write that is not known changes nothing', () => {
    expect(writeAnswered(sent, 'other', { kind: 'effective' }, 20 * second)).toBe(sent);
  });
});

describe('an order', () => {
  test('that may have come before a write which did not know of it was offered again, to the millisecond', () => {
    const effective = written(shadowOf(5), ['four', 4], 10 * second, 'effective');
    const again = (soldAt: number, shadow = effective) =>
      sale(shadow, 2, soldAt, 60 * second).resurrectedUnits;

    expect(again(11 * second - 1)).toBe(2);
    expect(again(11 * second)).toBe(0);
    const skewed = { ...effective, bounds: { ...fresh, clockSkewMax: second } };
    expect(again(12 * second - 1, skewed)).toBe(2);
    expect(again(12 * second, skewed)).toBe(0);
    expect(again(5 * second, shadowOf(5))).toBe(0);
    const first = shadowFromReading('unit', fresh, { value: 5, from: 0, until: 40 * second }, 0);
    expect(again(20 * second, first)).toBe(0);
    // A write that may never have happened has offered nothing for certain.
    expect(again(5 * second, written(shadowOf(5), ['four', 4], 10 * second, 'unknown'))).toBe(0);
    expect(sale(sale(effective, 2, 10 * second), 1, 10 * second).resurrectedUnits).toBe(3);
  });

  test('is remembered with when it became known', () => {
    expect(sale(shadowOf(5), 2, 10 * second, 30 * second).sales).toEqual([
      { orderId: 'order 10000', quantity: 2, from: 10 * second, until: 10 * second, knownAt: 30 * second },
    ]);
  });

  test('that is cancelled matters only where the channel puts the units back', () => {
    const news = { orderId: 'order', quantity: 2, from: second, until: second };
    const shadow = shadowOf(5);

    expect(orderCancelled(shadow, { ...news, restockedByChannel: false }, 9 * second)).toBe(shadow);
    expect(orderCancelled(shadow, { ...news, restockedByChannel: true }, 9 * second).restocks).toEqual([
      { ...news, knownAt: 9 * second },
    ]);
  });

  test('is too late when every order of its time should have been known', () => {
    const bounds = { ...fresh, clockSkewMax: 5 };
    const known = watermarkAdvanced(shadowOf(5, bounds), 100, 200, 200);

    expect(arrivedTooLate(known, changeAt(95))).toBe(true);
    expect(arrivedTooLate(known, changeAt(96))).toBe(false);
  });
});

describe('a watermark', () => {
  test('and the fetch that found it never go back', () => {
    const known = watermarkAdvanced(shadowOf(5), 100, 200, 300);

    expect(known).toMatchObject({ ordersWatermark: 100, ordersFetchedAt: 200 });
    expect(watermarkAdvanced(known, 50, 150, 300)).toMatchObject({
      ordersWatermark: 100,
      ordersFetchedAt: 200,
    });
    expect(watermarkAdvanced(known, 150, 250, 300)).toMatchObject({
      ordersWatermark: 150,
      ordersFetchedAt: 250,
    });
  });
});

describe('a reading', () => {
  test('was true somewhere from its request less the staleness to its answer', () => {
    expect(readingOf(quick, { value: 3, requestedAt: 100 * second, respondedAt: 101 * second })).toEqual({
      value: 3,
      from: 40 * second,
      until: 101 * second,
    });
  });

  test('is kept among six: the oldest, which are proved first, the newest, and between them those furthest from the others', () => {
    let shadow = shadowOf(5);
    for (let index = 1; index <= 8; index++)
      shadow = readingTaken(shadow, { value: 5, from: index, until: index }, index);

    expect(shadow.readings.map(({ until }) => until)).toEqual([1, 2, 3, 5, 7, 8]);
    expect(shadow.readAt).toBe(8);
    expect(readingTaken(shadow, { value: 5, from: 2, until: 4 }, 9).readAt).toBe(8);
  });

  test('that may be older than what is known is not kept', () => {
    const later = newShadow('unit', fresh, { value: 5, at: 100, targetSeq: 0 });

    expect(readingTaken(later, { value: 4, from: 99, until: 150 }, 150)).toMatchObject({
      readings: [],
      readAt: 150,
      spokenAt: never,
    });
    expect(readingTaken(later, { value: 4, from: 100, until: 150 }, 150).readings).toHaveLength(1);
  });

  test('becomes the new beginning: what has ended before is gone, what may still land stays open', () => {
    const five = written(shadowOf(9, slow), ['five', 5], 10 * second, 'accepted');
    const three = written(five, ['three', 3], 60 * second, 'accepted');
    const refuted = read(ordersKnown(three, 470 * second), 3, 470 * second).shadow;
    const reading = { value: 8, from: 465 * second, until: 471 * second };

    const next = rebased(refuted, reading, 471 * second);

    expect(refuted.candidates.find(({ key }) => key === 'five')?.endedAt).toBe(470 * second);
    expect(next.candidates.map(({ key, endedAt }) => [key, endedAt])).toEqual([
      ['reading', null],
      ['three', null],
    ]);
    expect(next).toMatchObject({ knownSince: 471 * second, readings: [], hold: 0 });
    expect(next.candidates[0]).toMatchObject({ value: 8, sentAt: 465 * second, settledAt: 471 * second });
    // What may have landed after it is open again, whatever had spoken against that.
    const wider = rebased(refuted, { ...reading, from: 425 * second }, 471 * second);
    expect(wider.candidates.map(({ value, endedAt }) => [value, endedAt])).toEqual([
      [8, null],
      [5, null],
      [3, null],
    ]);
  });
});
