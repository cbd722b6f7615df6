/** Proves when a unit is known to show more than all its rights, although every number it shows is explained: E4 where the shadow alone sees nothing. */
import { describe, expect, test } from 'vitest';
import { confirmed, grant, newEscrow } from '../../../src/sync/core/escrow.ts';
import { beyondRights } from '../../../src/sync/core/escrowUnit.ts';
import { judge } from '../../../src/sync/core/readings.ts';
import { type Bounds, orderCancelled, type Shadow } from '../../../src/sync/core/shadow.ts';
import { fresh, ordersKnown, read, sale, second, shadowOf, written } from './support.ts';

const bounds: Bounds = { ...fresh, clockSkewMax: 5 * second, restocksOnCancel: true };
const putBack = (shadow: Shadow, at: number) =>
  orderCancelled(
    shadow,
    {
      orderId: `cancelled ${at}`,
      quantity: 1,
      from: at,
      until: at,
      restockedByChannel: true,
      certain: false,
    },
    at,
  );
/** Sold and cancelled once before a write of 4 and once after it; by the channel's clock both may have been sold before. */
const cancelledTwice = () => {
  const soldOut = sale(shadowOf(1, bounds), 1, 2 * second);
  const raised = written(soldOut, ['grant', 4], 10 * second, 'effective');
  const seen = sale(read(raised, 4, 12 * second).shadow, 1, 14 * second);
  return putBack(putBack(seen, 20 * second), 30 * second);
};
/** Had 3, and is granted more. */
const granted = (value: number) =>
  grant(newEscrow(10, { unit: 3 }), 'unit', { key: 'grant', value, expected: null, sentAt: 10 * second });
const because = (had: number, shadow: Shadow, now = 90 * second) =>
  beyondRights(newEscrow(10, { unit: had }), shadow, now);
/** Showed 1 until `at`, and 3 from about then on. */
const lessUntil = (at: number) =>
  because(2, read(read(shadowOf(3), 1, at, 60 * second).shadow, 3, 71 * second, 69 * second).shadow);

describe('a unit that shows more than all its rights', () => {
  test('is in breach of A4 although each number alone is explained, once every order up to the reading is known by either clock', () => {
    const { shadow, verdict } = read(cancelledTwice(), 6, 60 * second);
    const known = (watermark: number) => ordersKnown(shadow, watermark);

    expect(verdict.kind).toBe('inRange');
    expect(judge(known(65 * second), 65 * second).proof).toBeNull();
    expect(because(5, known(65 * second - 1))).toBeNull();
    expect(because(5, known(65 * second))).toBe('A4');
    expect(because(6, known(65 * second))).toBeNull();
  });

  test('is so by all its rights: replaced ones and those under way are charged as well', () => {
    const raised = written(shadowOf(3), ['grant', 4], 10 * second, 'effective');
    const shadow = read(written(raised, ['other', 5], 20 * second, 'unknown'), 5, 60 * second).shadow;

    expect(beyondRights(granted(2), shadow, 60 * second)).toBeNull();
    expect(beyondRights(granted(1), shadow, 60 * second)).not.toBeNull();
    expect(beyondRights(confirmed(granted(2), 'unit', 20 * second), shadow, 60 * second)).toBeNull();
  });

  test('is known at once where the channel puts nothing back by itself: no order can add to what it shows', () => {
    const shadow = read(shadowOf(3), 3, 60 * second).shadow;

    expect([2, 3].map((had) => because(had, shadow))).toEqual(['A4', null]);
  });

  test('is not known by a reading that was taken before units that are booked by now were sold', () => {
    const shadow = sale(read(shadowOf(3), 3, 60 * second).shadow, 1, 70 * second);

    expect([1, 2].map((had) => because(had, shadow))).toEqual(['A4', null]);
  });

  test('is not known by a reading that a write may have overtaken', () => {
    const shadow = written(read(shadowOf(3), 3, 60 * second).shadow, ['lower', 1], 70 * second, 'unknown');

    expect(because(1, shadow)).toBeNull();
  });

  test('is not known while another reading that may be later shows less: somebody may have cut the number, or a sale is told too late', () => {
    expect(lessUntil(69 * second)).toBeNull();
    expect(lessUntil(69 * second - 1)).toBe('A4');
  });

  test('is known although an earlier reading showed less: what was raised since says nothing of now', () => {
    const raised = written(read(shadowOf(1), 1, 20 * second).shadow, ['raise', 5], 30 * second, 'effective');
    const seen = read(raised, 5, 60 * second).shadow;

    expect(seen.readings.map(({ value }) => value)).toEqual([1, 5]);
    expect([4, 5].map((had) => because(had, seen) !== null)).toEqual([true, false]);
  });

  test('is known by a reading of one single instant', () => {
    expect(because(2, read(shadowOf(3), 3, 60 * second, 60 * second).shadow)).toBe('A4');
  });

  test('is in breach of A2 where it shows what a write of ours carried that was not seen in force yet', () => {
    const raised = written(shadowOf(3), ['raise', 4], 10 * second, 'effective');
    const lowered = written(raised, ['lower', 2], 20 * second, 'effective');
    const late = read(lowered, 4, 60 * second).shadow;

    expect(because(2, late)).toBe('A2');
  });
});
