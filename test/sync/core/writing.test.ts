/** Proves section 5: when a number is written, when it waits, in which order, and when so many are stopped. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  calls,
  emptyBlast,
  guardBlast,
  listingsEnough,
  listingsToBelieve,
  mayBeSoldOut,
  type Sendable,
  sendingOrder,
  zeroesAlwaysBelieved,
} from '../../../src/sync/core/sending.ts';
import { orderCancelled, settled } from '../../../src/sync/core/shadow.ts';
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

describe('what was learned since the last write', () => {
  const lowered = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted', { targetSeq: 5 });

  test('is nothing: the same write is not sent again while the first may still land', () => {
    const news = { orderId: 'order', quantity: 1, from: 8 * second, until: 12 * second };
    const overtaken = orderCancelled(lowered, { ...news, restockedByChannel: true }, 12 * second);

    // The unit put back may or may not be on top of the seven.
    expect(decided(overtaken, 7, 20 * second, { preemptMax: 9 })).toEqual({
      kind: 'wait',
      until: 430 * second,
    });
    expect(decided(overtaken, 6, 20 * second, { preemptMax: 9, targetSeq: 6 })).toMatchObject({ value: 6 });
  });

  test('is a new target: the number is written again, also when it is the same', () => {
    const raisedAndSold = written(lowered, ['nine', 9], 20 * second, 'accepted', { targetSeq: 6 });

    expect(decided(raisedAndSold, 7, 30 * second, { targetSeq: 7 })).toMatchObject({
      value: 7,
      repeats: null,
    });
  });

  test('is a lost answer: an absolute write is repeated under its key while it may land, and written anew after', () => {
    const lost = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'unknown', { targetSeq: 5 });

    expect(decided(lost, 7, 20 * second)).toMatchObject({ value: 7, repeats: 'seven' });
    expect(decided(lost, 6, 20 * second, { targetSeq: 6 })).toMatchObject({ value: 6, repeats: null });
    expect(decided(lost, 7, 20 * second, { targetSeq: 6 })).toMatchObject({ value: 7, repeats: null });
    const settledLong = settled(lost, 500 * second);
    expect(decided(settledLong, 7, 500 * second)).toMatchObject({ value: 7, repeats: null });
  });

  test('is a lost answer: a compared write is repeated under its key and comparison however late, up and down', () => {
    const down = written(shadowOf(9), ['seven', 7], 10 * second, 'unknown', { expected: 9 });
    const up = written(shadowOf(3), ['seven', 7], 10 * second, 'unknown', { expected: 3 });
    const fenced = read(
      ordersKnown(settled(up, 60 * second), 60 * second),
      3,
      60 * second,
      5 * second,
    ).shadow;

    for (const shadow of [settled(down, 60 * second), fenced])
      expect(decided(shadow, 7, 61 * second, { compareAndSet: true })).toMatchObject({
        value: 7,
        repeats: 'seven',
        expected: shadow === fenced ? 3 : 9,
      });
  });

  test('is an older write that landed on top of it: as soon as it is read the number is lowered again, although an attempt may still land', () => {
    const lost = written(shadowOf(9, slow), ['eight', 8], 10 * second, 'unknown', { targetSeq: 5 });
    const repeated = written(lost, ['eight', 8], 20 * second, 'accepted', { targetSeq: 5 });
    const newer = written(repeated, ['seven', 7], 30 * second, 'accepted', { targetSeq: 6 });
    const shown = read(ordersKnown(newer, 100 * second), 7, 100 * second).shadow;
    expect(decided(shown, 7, 100 * second)).toEqual({ kind: 'wait', until: 440 * second });

    const { shadow: overtaken } = read(ordersKnown(shown, 200 * second), 8, 200 * second);
    expect(decided(overtaken, 7, 200 * second)).toMatchObject({
      direction: 'lower',
      value: 7,
      repeats: null,
    });
  });

  test('is a reading that refutes it: what has not landed by then is written again before its answer comes', () => {
    const silent = written(shadowOf(9), ['seven', 7], 10 * second, null, { targetSeq: 5 });
    const { shadow: refuted } = read(ordersKnown(silent, 15 * second), 9, 15 * second);

    expect(decided(refuted, 7, 15 * second)).toMatchObject({ direction: 'lower', value: 7, repeats: null });
  });

  test('is an answer that never came: nothing is decided before the caller gives it up', () => {
    const silent = written(shadowOf(9), ['seven', 7], 10 * second, null);

    expect(decided(silent, 8, 11 * second)).toEqual({ kind: 'wait', until: 12 * second });
    expect(decided(silent, 8, 12 * second)).toEqual({ kind: 'none', reason: 'answerAwaited' });
  });
});

describe('a compared write', () => {
  test('compares with the most that may be shown, when it raises too: with less it could put back a unit sold unheard of', () => {
    const overtaken = sale(written(shadowOf(9), ['seven', 7], 10 * second, 'effective'), 1, 10.5 * second);
    const looked = ordersKnown({ ...overtaken, spokenAt: 20 * second }, 20 * second);

    expect(decided(looked, 5, 20 * second, { compareAndSet: true })).toMatchObject({ expected: 7 });
    expect(decided(looked, 8, 20 * second, { compareAndSet: true })).toMatchObject({ expected: 7 });
    expect(decided(overtaken, 8, 20 * second, { compareAndSet: true })).toEqual({ kind: 'fence' });
    expect(decided(looked, 8, 20 * second)).toMatchObject({ expected: null });
  });
});

describe('every write is decided by what the channel may show by now: a range', () => {
  const overtaken = sale(written(shadowOf(9), ['seven', 7], 10 * second, 'effective'), 1, 10.5 * second);

  test('that reaches above the target is lowered, and one that only reaches below it is raised', () => {
    expect(decided(overtaken, 6, 20 * second)).toMatchObject({ direction: 'lower', value: 6 });
    expect(decided(overtaken, 7, 20 * second)).toEqual({ kind: 'fence' });
  });
});

describe('lowering', () => {
  const inFlight = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'accepted');

  test('a zero overtakes whatever its listing has in flight', () => {
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
    expect(decided(zero, 0, 90 * second)).toMatchObject({
      kind: 'write',
      direction: 'zero',
      repeats: 'zero',
    });
    const again = written(zero, ['zero', 0], 120 * second, 'accepted');
    expect(decided(again, 0, 150 * second)).toEqual({ kind: 'wait', until: 180 * second });
  });

  test('zero that is in force is written anew while an older write may land after it: its key was answered', () => {
    const zero = written(inFlight, ['zero', 0], 60 * second, 'effective');

    expect(decided(zero, 0, 90 * second)).toEqual({ kind: 'wait', until: 110 * second });
    expect(decided(zero, 0, 110 * second)).toEqual({
      kind: 'write',
      direction: 'zero',
      value: 0,
      targetSeq: zero.sentSeq,
      expected: null,
      believed: null,
      repeats: null,
    });
  });

  test('zero is not sent again before its answer, nor when everything has landed before', () => {
    const unanswered = written(inFlight, ['zero', 0], 60 * second, null);

    expect(decided(unanswered, 0, 95 * second)).toEqual({ kind: 'wait', until: 95 * second + 1 });
    const late = written(inFlight, ['zero', 0], 60 * second, 'accepted', { targetSeq: 1 });
    expect(decided(late, 0, 100 * second, { targetSeq: 1, zeroAgain: 420 * second })).toEqual({
      kind: 'wait',
      until: 480 * second,
    });
  });

  test('waits for the newest write only when that one lowers, and only as long as it may land', () => {
    const levelled = written(shadowOf(7, slow), ['seven', 7], 10 * second, 'accepted', { targetSeq: 1 });

    expect(decided(levelled, 6, 20 * second, { targetSeq: 2 })).toMatchObject({ kind: 'write', value: 6 });
    const lost = written(shadowOf(9, slow), ['seven', 7], 10 * second, 'unknown', { targetSeq: 1 });
    expect(decided(lost, 6, 20 * second, { targetSeq: 2 })).toMatchObject({ kind: 'write', value: 6 });
    const silent = written(shadowOf(9), ['seven', 7], 10 * second, null, { targetSeq: 1 });
    expect(decided(silent, 6, 11 * second, { targetSeq: 2 })).toEqual({ kind: 'wait', until: 12 * second });
    expect(decided(silent, 6, 12 * second, { targetSeq: 2 })).toMatchObject({ kind: 'write', value: 6 });
  });

  test('compares where the channel can', () => {
    expect(decided(shadowOf(5), 4, second, { compareAndSet: true })).toMatchObject({ expected: 5 });
  });
});

describe("S4: a raise waits until nothing is in flight, the channel's orders were asked for and the listing was read, or compares with an exact number: it", () => {
  test('waits until nothing can land any more', () => {
    const inFlight = written(shadowOf(5, slow), ['four', 4], 10 * second, 'accepted');

    expect(decided(inFlight, 8, 20 * second)).toEqual({ kind: 'wait', until: 430 * second });
  });

  test('waits for a fence that is not older than allowed', () => {
    const looked = read(ordersKnown(shadowOf(5, quick), 100 * second), 5, 101 * second).shadow;

    expect(decided(looked, 8, 105 * second)).toMatchObject({ kind: 'write', direction: 'raise', value: 8 });
    expect(decided(looked, 8, 115 * second)).toEqual({ kind: 'fence' });
    expect(decided(shadowOf(5, quick), 8, 59 * second)).toEqual({ kind: 'wait', until: 60 * second });
    expect(decided(shadowOf(5, quick), 8, 60 * second)).toEqual({ kind: 'fence' });
  });

  test('takes looks that are just as old as allowed, and no older one of either kind', () => {
    const looked = { ...shadowOf(5, quick), ordersFetchedAt: 100 * second, spokenAt: 100 * second };

    expect(decided(looked, 8, 110 * second)).toMatchObject({ direction: 'raise' });
    expect(decided({ ...looked, spokenAt: 99 * second }, 8, 110 * second)).toEqual({ kind: 'fence' });
    expect(decided({ ...looked, ordersFetchedAt: 99 * second }, 8, 110 * second)).toEqual({ kind: 'fence' });
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

    expect(sent.lowering.map((call) => call.map(({ unit }) => unit))).toEqual([['c', 'd'], ['b']]);
    expect(sent.others.map((call) => call.map(({ unit }) => unit))).toEqual([['a']]);
    expect(() => calls([], 0)).toThrow('0 writes per call');
    expect(calls([sendable('a', 'zero'), sendable('b', 'zero')], 1).lowering).toHaveLength(2);
  });

  test('never parts what one write replaces together, which goes out with its most urgent part', () => {
    const sent = calls(
      [
        sendable('a', 'lower', 9),
        sendable('b', 'lower', 1),
        sendable('b', 'zero'),
        sendable('c', 'lower', 8),
        sendable('b', 'lower', 2),
      ],
      2,
    );

    expect(sent.lowering.map((call) => call.map(({ unit }) => unit))).toEqual([
      ['b', 'b', 'b'],
      ['a', 'c'],
    ]);
  });

  test('goes to zero first, then lower, raise, price and content, whatever the exposure', () => {
    const kinds = ['zero', 'lower', 'raise', 'price', 'content'] as const;
    const unsorted = [4, 2, 0, 3, 1].map((index) => sendable(`${index}`, kinds[index] ?? 'zero', index));

    expect(sendingOrder(unsorted).map(({ class: kind }) => kind)).toEqual(kinds);
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

  test('C4: contents never stop a run, prices and other changes do by their share, and a small connection is never stopped', () => {
    const limits = { zeroShareMax: 0.1, changeShareMax: 0.3, alwaysAllowed: 2 };
    const lowered = ['a', 'b', 'c', 'd'].map((unit) => sendable(unit, 'lower'));
    const silent = ['a', 'b', 'c', 'd'].map((unit) => sendable(unit, 'content'));
    const priced = ['a', 'b', 'c', 'd'].map((unit) => sendable(unit, 'price'));

    expect(guardBlast(emptyBlast, silent, 10, limits)).toEqual({ kind: 'allowed', count: emptyBlast });
    expect(guardBlast(emptyBlast, lowered.slice(0, 3), 10, limits).kind).toBe('allowed');
    expect(guardBlast(emptyBlast, lowered, 10, limits)).toMatchObject({ zeroing: 0, changing: 4 });
    expect(guardBlast(emptyBlast, priced, 10, limits)).toMatchObject({ zeroing: 0, changing: 4 });
    const both = [sendable('a', 'zero'), sendable('b', 'zero')];
    expect(guardBlast(emptyBlast, both, 2, limits).kind).toBe('allowed');
    expect(guardBlast(emptyBlast, [...both, sendable('c', 'zero')], 3, limits).kind).toBe('stopped');
  });

  test('C4: to count no more listings than allow a batch changes no verdict, and what is always allowed needs no count', () => {
    const share = fc.oneof(
      fc.constantFrom(0, 0.1, 0.2, 0.5, 0.7, 1),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.record({
          zeroed: fc.nat(40),
          lowered: fc.nat(40),
          listings: fc.nat(2_000),
          approved: fc.boolean(),
        }),
        fc.record({ zeroShareMax: share, changeShareMax: share, alwaysAllowed: fc.nat(10) }),
        ({ zeroed, lowered, listings, approved }, limits) => {
          const count = { ...emptyBlast, zeroed: new Set(['0']), changed: new Set(['0']), approved };
          const batch = Array.from({ length: zeroed + lowered }, (_, index) =>
            sendable(`${index}`, index < zeroed ? 'zero' : 'lower'),
          );
          const enough = listingsEnough(count, batch, limits);
          const counted = Math.min(listings, enough);
          expect(guardBlast(count, batch, counted, limits)).toEqual(
            guardBlast(count, batch, listings, limits),
          );
          const changing = Math.max(batch.length, count.changed.size);
          expect(enough === 0).toBe(approved || changing <= limits.alwaysAllowed);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('C4: zeroes of readings are believed of a few listings or of a share of them, and to count no more listings than that takes changes nothing', () => {
    expect(mayBeSoldOut(zeroesAlwaysBelieved, zeroesAlwaysBelieved, 0)).toBe(true);
    expect(mayBeSoldOut(zeroesAlwaysBelieved + 1, 1_000, 0)).toBe(false);
    expect([29, 30].map((listings) => mayBeSoldOut(6, listings, 0.2))).toEqual([false, true]);
    expect(listingsToBelieve(zeroesAlwaysBelieved, 0.2)).toBe(0);
    expect(listingsToBelieve(6, 0.2)).toBe(31);
    expect(listingsToBelieve(6, 0)).toBe(Number.MAX_SAFE_INTEGER);
    const share = fc.oneof(
      fc.constantFrom(0, 0.1, 0.2, 0.7, 1),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(fc.nat(100), fc.nat(2_000), share, (emptied, listings, shareMax) => {
        const counted = Math.min(listings, listingsToBelieve(emptied, shareMax));
        expect(mayBeSoldOut(emptied, counted, shareMax)).toBe(mayBeSoldOut(emptied, listings, shareMax));
      }),
    );
  });
});
