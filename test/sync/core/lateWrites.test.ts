/** Proves E4's reason: a write of ours that was late is told as A2, somebody else's number as A4, a sale of what was not shown as A1. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writtenAlong } from '../../../src/sync/core/along.ts';
import { booked, newEscrow, unitOf } from '../../../src/sync/core/escrow.ts';
import { learnedRights, used } from '../../../src/sync/core/escrowUnit.ts';
import { oversoldBecause, raisedBecause } from '../../../src/sync/core/lateWrites.ts';
import { judge, type Proof } from '../../../src/sync/core/readings.ts';
import { orderCancelled, type Reading, type Shadow } from '../../../src/sync/core/shadow.ts';
import { fresh, ordersKnown, read, sale, second, shadowOf, slow, written } from './support.ts';

function raised(shadow: Shadow, value: number, at: number): 'A2' | 'A4' {
  const before = read(shadow, value, at).shadow;
  const { proof } = judge(before, at);
  expect(proof?.delta).toBeGreaterThan(0);
  return raisedBecause(before, (proof as Proof).reading);
}

function unshown({ unshown: writes = [] }: Shadow): readonly string[] {
  return writes.map(({ key }) => key);
}

function withZero(shadow: Shadow, at: number): Shadow {
  return written(shadow, ['zero', 0], at, 'effective');
}

/** Whether a write of 1 s still counts as never shown when one was sold where nothing was shown before it, and the next one leaves. */
function isRemembered(soldAt: number, clockSkewMax: number): boolean {
  const first = written(shadowOf(0, { ...fresh, clockSkewMax }), ['first', 2], 1 * second, 'effective');
  const next = written(sale(first, 1, soldAt, 15 * second), ['next', 2], 20 * second, 'effective');
  return unshown(next).includes('first');
}

describe('a number above everything that can be', () => {
  test('is our own when an older write lands after the newer one is in force', () => {
    const older = written(shadowOf(1, slow), ['older', 5], 1 * second, 'accepted');
    const both = written(older, ['newer', 2], 10 * second, 'accepted');
    // Both are in force by their bound, and the newer one is seen: no sale makes the older one's number of it.
    const settledAt = ordersKnown(read(both, 2, 600 * second).shadow, 610 * second);

    expect(unshown(settledAt)).toEqual(['older']);
    expect(raised(settledAt, 5, 700 * second)).toBe('A2');
    expect(raised(sale(settledAt, 1, 650 * second), 4, 700 * second)).toBe('A2');
    expect(raised(settledAt, 4, 700 * second)).toBe('A4');
    expect(raised(settledAt, 6, 700 * second)).toBe('A4');
  });

  test('is what a write should have replaced when that was answered as done and is not', () => {
    const zeroed = written(shadowOf(3), ['zero', 0], 1 * second, 'effective');

    expect(raised(zeroed, 3, 60 * second)).toBe('A2');
    expect(raised(sale(zeroed, 1, 30 * second), 2, 60 * second)).toBe('A2');
    expect(raised(zeroed, 2, 60 * second)).toBe('A4');
  });

  test('is somebody else’s once the write was seen in force, also when it is the very same number', () => {
    const seen = read(written(shadowOf(1), ['write', 4], 1 * second, 'effective'), 4, 60 * second).shadow;
    const lowered = read(written(seen, ['lower', 1], 70 * second, 'effective'), 1, 100 * second).shadow;

    expect(unshown(lowered)).toEqual([]);
    expect(raised(lowered, 4, 120 * second)).toBe('A4');
  });

  test('is somebody else’s where we never wrote', () => {
    expect(raised(shadowOf(3), 5, 60 * second)).toBe('A4');
  });

  test('is what a late write carried less what became known since it left, not less what it was computed from', () => {
    // It replaced 2: one of the 3 was known to be sold.
    const soldBefore = withZero(sale(shadowOf(3), 1, 4 * second, 5 * second), 10 * second);
    expect(raised(soldBefore, 2, 15 * second)).toBe('A2');
    expect(raised(soldBefore, 1, 15 * second)).toBe('A4');

    const soldMeanwhile = withZero(sale(shadowOf(3), 1, 10 * second), 10 * second);
    expect(raised(soldMeanwhile, 2, 15 * second)).toBe('A2');
    expect(raised(soldMeanwhile, 1, 15 * second)).toBe('A4');
  });

  test('may be less a sale of which nobody noted when it became known', () => {
    const sold = { orderId: 'order', quantity: 1, from: 30 * second, until: 30 * second };
    const zeroed = written(shadowOf(3), ['zero', 0], 1 * second, 'effective');

    expect(raised({ ...zeroed, sales: [sold] }, 2, 60 * second)).toBe('A2');
    expect(raised({ ...zeroed, sales: [sold] }, 1, 60 * second)).toBe('A4');
  });

  test('may be our own and put back by the channel besides', () => {
    const bounds = { ...fresh, restocksOnCancel: true };
    const zeroed = written(shadowOf(3, bounds), ['zero', 0], 1 * second, 'effective');
    const change = { orderId: 'order', quantity: 1, from: 2 * second, until: 2 * second };
    const putBack = orderCancelled(
      zeroed,
      { ...change, certain: false, restockedByChannel: true },
      3 * second,
    );

    expect(raised(ordersKnown(putBack, 70 * second), 4, 60 * second)).toBe('A2');
    expect(raised(ordersKnown(putBack, 70 * second), 5, 60 * second)).toBe('A4');
  });

  test('is never blamed on a write that left after it', () => {
    const before = read(shadowOf(1), 4, 60 * second).shadow;
    const [reading] = before.readings as [Reading];
    const leaving = (at: number) => raisedBecause(written(before, ['later', 4], at, 'effective'), reading);

    expect(leaving(61 * second)).toBe('A4');
    // The number was answered in the millisecond in which the write left.
    expect(leaving(60 * second)).toBe('A4');
    expect(leaving(60 * second - 1)).toBe('A2');
  });
});

describe('a write is remembered', () => {
  test('unless it compares, is refused, or is another attempt at the same', () => {
    const absolute = written(shadowOf(1), ['write', 2], 1 * second, 'unknown');

    expect(unshown(absolute)).toEqual(['write']);
    expect(unshown(written(absolute, ['write', 2], 3 * second, 'unknown'))).toEqual(['write']);
    expect(unshown(written(shadowOf(1), ['write', 2], 1 * second, 'rejected'))).toEqual([]);
    // An attempt before the refused one may be under way.
    expect(unshown(written(absolute, ['write', 2], 3 * second, 'rejected'))).toEqual(['write']);
    expect(unshown(written(shadowOf(1), ['write', 2], 1 * second, 'effective', { expected: 1 }))).toEqual([]);
  });

  test('that went along with another variant’s too', () => {
    const along = { key: 'along', value: 2, shown: 2, readFrom: 0, readAt: 1 * second } as const;
    const { shadow } = writtenAlong(shadowOf(2), { ...along, state: 'ACCEPTED' }, 2 * second);

    expect(unshown(shadow)).toEqual(['along']);
  });

  test('until more was sold than the number before it could give', () => {
    const first = sale(written(shadowOf(0), ['first', 2], 1 * second, 'effective'), 1, 10 * second);
    const doubtful = sale(written(shadowOf(1), ['first', 2], 1 * second, 'effective'), 1, 10 * second);

    expect(unshown(written(first, ['next', 2], 20 * second, 'effective'))).toEqual(['next']);
    expect(unshown(written(doubtful, ['next', 2], 20 * second, 'effective'))).toEqual(['first', 'next']);
  });

  test('also when so much was sold, but perhaps from the number of a newer one', () => {
    const first = written(shadowOf(0), ['first', 2], 1 * second, 'effective');
    const newer = sale(written(first, ['newer', 2], 5 * second, 'effective'), 1, 10 * second);

    expect(unshown(written(newer, ['next', 2], 20 * second, 'effective'))).toEqual([
      'first',
      'newer',
      'next',
    ]);
  });

  test('until such a sale was certainly after it left, whatever the channel’s clock says', () => {
    expect(isRemembered(1 * second, 0)).toBe(true);
    expect(isRemembered(1 * second + 1, 0)).toBe(false);
    expect(isRemembered(6 * second, 5 * second)).toBe(true);
    expect(isRemembered(6 * second + 1, 5 * second)).toBe(false);
  });

  test('while a reading of its number may be of another write of the same number', () => {
    const older = written(shadowOf(9, slow), ['older', 4], 1 * second, 'accepted');
    const both = written(older, ['newer', 4], 10 * second, 'accepted');

    expect(unshown(read(older, 4, 60 * second).shadow)).toEqual([]);
    expect(unshown(read(both, 4, 60 * second).shadow)).toEqual(['older', 'newer']);
  });

  test('and only the newest few are, however many leave', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 30 }), (values) => {
        const last = values.reduce(
          (shadow, value, index) =>
            written(shadow, [`w${index}`, value], (index + 1) * 10 * second, 'unknown'),
          shadowOf(5),
        );
        expect(unshown(last)).toEqual(values.map((_, index) => `w${index}`).slice(-6));
      }),
    );
  });
});

describe('more sold than there were rights for', () => {
  const soldAt = 60 * second;

  test('is the channel’s fault where every write was seen, or none could offer more', () => {
    expect(oversoldBecause(shadowOf(3), soldAt)).toBe('A1');
    expect(oversoldBecause(written(shadowOf(1), ['write', 2], 1 * second, 'effective'), soldAt)).toBe('A1');
    const zeroed = written(shadowOf(1), ['zero', 0], 61 * second, 'effective');
    expect(oversoldBecause(zeroed, soldAt)).toBe('A1');
  });

  test('may be a write that has not lowered the number yet, or one that landed after a newer one', () => {
    expect(oversoldBecause(written(shadowOf(3), ['zero', 0], 1 * second, 'effective'), soldAt)).toBe('A2');
    const raisedOnce = written(shadowOf(0), ['older', 2], 1 * second, 'accepted');
    const replaced = read(written(raisedOnce, ['newer', 0], 10 * second, 'effective'), 0, 50 * second).shadow;
    expect(unshown(replaced)).toEqual(['older']);
    expect(oversoldBecause(replaced, soldAt)).toBe('A2');
  });

  test('is never blamed on a write that left when the unit was sold already', () => {
    expect(oversoldBecause(withZero(shadowOf(3), soldAt), soldAt)).toBe('A1');
    expect(oversoldBecause(withZero(shadowOf(3), soldAt - 1), soldAt)).toBe('A2');
  });

  test('is never blamed on a write that could offer nothing, be it of the number before it or a zero that lands late', () => {
    expect(oversoldBecause(written(shadowOf(2), ['same', 2], 1 * second, 'effective'), soldAt)).toBe('A1');
    const older = written(shadowOf(0), ['older', 0], 1 * second, 'accepted');
    const both = written(older, ['newer', 0], 10 * second, 'accepted');
    expect(unshown(both)).toEqual(['older', 'newer']);
    expect(oversoldBecause(both, soldAt)).toBe('A1');
  });

  test('pauses the unit with that reason, at once or when no cancellation can explain it any more', () => {
    const zeroed = written(shadowOf(3), ['zero', 0], 1 * second, 'effective');
    const use = { units: 1, from: soldAt, until: soldAt, late: false };
    const none = newEscrow(5, { unit: 0 });

    expect(unitOf(used(none, zeroed, use, 90 * second), 'unit').paused).toBe('A2');
    expect(unitOf(used(none, shadowOf(0), use, 90 * second), 'unit').paused).toBe('A1');
    const putsBack = { ...zeroed, bounds: { ...zeroed.bounds, restocksOnCancel: true } };
    const owing = used(none, putsBack, use, 90 * second);
    expect(unitOf(owing, 'unit')).toMatchObject({ paused: null, owed: 1 });
    const told = learnedRights(owing, ordersKnown(putsBack, 90 * second), 90 * second);
    expect(unitOf(told, 'unit').paused).toBe('A2');
    const booking = { quantity: 1, from: soldAt, until: soldAt, mayBePutBack: false };
    expect(unitOf(booked(none, 'unit', booking), 'unit').paused).toBe('A1');
  });
});
