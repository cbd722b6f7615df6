/** Proves when a unit is lowered once more, and when not, while older writes of it may still land or may have landed on top of the newest. */
import { describe, expect, test } from 'vitest';
import { orderCancelled, type Shadow, settled } from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { decided, ordersKnown, read, sale, second, shadowOf, slow, written } from './support.ts';

/** 9 were shown; 8 may land until 430 s, and 7 is in force since 21 s at the latest. */
function overOlder(answer: 'accepted' | 'unknown' = 'accepted'): Shadow {
  const older = written(shadowOf(9, slow), ['eight', 8], 10 * second, answer);
  return written(older, ['seven', 7], 20 * second, 'effective');
}

function putBack(shadow: Shadow, quantity: number, at: number): Shadow {
  const news = { orderId: 'order', quantity, from: at, until: at, restockedByChannel: true };
  return orderCancelled(shadow, news, at);
}

describe('a number in force under an older write that may still land', () => {
  test('is written anew once that has landed or never will, for nobody can tell which of them was the last', () => {
    const shadow = settled(overOlder('unknown'), 500 * second);

    expect(decided(overOlder('unknown'), 7, 30 * second)).toEqual({ kind: 'wait', until: 430 * second });
    expect(decided(shadow, 7, 500 * second)).toMatchObject({
      kind: 'write',
      direction: 'lower',
      value: 7,
      repeats: null,
    });
  });

  test('is not written again when a sale of its own has brought it to the target', () => {
    const sold = sale(overOlder(), 1, 30 * second);

    expect(decided(sold, 6, 40 * second, { preemptMax: 9 })).toEqual({ kind: 'wait', until: 430 * second });
    expect(decided(sold, 5, 40 * second)).toMatchObject({ kind: 'write', value: 5 });
  });

  test('is lowered again when the channel has put units back on top of it', () => {
    const shadow = putBack(overOlder(), 1, 30 * second);

    expect(decided(shadow, 7, 40 * second, { targetSeq: 1 })).toMatchObject({ kind: 'write', value: 7 });
  });
});

describe('a lowering under way', () => {
  test('is sent once more when units were put back since that the target leaves out, though the number is the same', () => {
    const lowered = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');
    const shadow = putBack(lowered, 1, 15 * second);

    expect(decided(shadow, 7, 20 * second).kind).toBe('wait');
    expect(decided(shadow, 7, 20 * second, { targetSeq: 1, preemptMax: 9 })).toMatchObject({
      kind: 'write',
      value: 7,
      repeats: null,
    });
  });

  test('is none when it raises what is in force, whatever was shown before that', () => {
    const low = written(shadowOf(9, slow), ['two', 2], 10 * second, 'effective');
    const raising = written(low, ['five', 5], 12 * second, 'accepted');

    expect(raising.candidates.map(({ value, endedAt }) => [value, endedAt])).toEqual([
      [9, 11 * second],
      [2, null],
      [5, null],
    ]);
    expect(decided(raising, 4, 13 * second)).toMatchObject({ kind: 'write', direction: 'lower', value: 4 });
  });

  test('that got no answer is repeated under its own key, not under that of one before it', () => {
    const older = written(shadowOf(9, slow), ['eight', 8], 10 * second, 'unknown');
    const newest = written(older, ['seven', 7], 20 * second, 'unknown');
    const anew = written(newest, ['six', 6], 30 * second, 'unknown');

    expect(decided(newest, 7, 40 * second)).toMatchObject({ value: 7, repeats: 'seven' });
    expect(decided(anew, 8, 40 * second)).toMatchObject({ value: 8, repeats: null });
  });

  test('that was compared, and refuted by a reading, is written anew: it never happened', () => {
    const lost = written(shadowOf(9), ['seven', 7], 10 * second, 'unknown', { expected: 9 });
    const refuted = read(ordersKnown(settled(lost, 20 * second), 20 * second), 9, 20 * second, 20 * second);
    const known = ordersKnown(refuted.shadow, 21 * second);

    expect(known.candidates.find(({ key }) => key === 'seven')?.endedAt).toBe(20 * second);
    expect(decided(known, 7, 21 * second, { compareAndSet: true })).toMatchObject({
      kind: 'write',
      value: 7,
      expected: 9,
      repeats: null,
    });
  });
});

describe('a zero', () => {
  const inFlight = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');

  test('is not sent again when everything will have landed before that: it waits for that instead', () => {
    const zero = written(inFlight, ['zero', 0], 60 * second, 'accepted');

    expect(decided(zero, 0, 100 * second, { zeroAgain: 500 * second })).toEqual({
      kind: 'wait',
      until: 480 * second,
    });
  });

  test('leaves at once when the newest number is sold out, because an older one may still land on top of it', () => {
    const four = written(inFlight, ['four', 4], 60 * second, 'effective');
    const soldOut = sale(four, 4, 70 * second, 71 * second);

    expect(rangeNow(soldOut, 80 * second)).toEqual({ low: 0, high: 7 });
    expect(decided(soldOut, 0, 80 * second)).toMatchObject({ kind: 'write', direction: 'zero', value: 0 });
  });

  test('that nobody has answered when everything has landed is left to the caller, who gives up on answers', () => {
    const unanswered = written(inFlight, ['zero', 0], 60 * second, null);
    const answerAwaited = { kind: 'none', reason: 'answerAwaited' };

    expect(decided(unanswered, 0, 500 * second, { zeroAgain: 420 * second })).toEqual(answerAwaited);
    expect(decided(unanswered, 0, 480 * second, { zeroAgain: 420 * second })).toEqual(answerAwaited);
  });
});
