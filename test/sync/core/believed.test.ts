/** Proves what a raise expects to be read just before it: what tells nothing new, however old the answer, and nothing where nobody can know. */
import { describe, expect, test } from 'vitest';
import { orderCancelled, type Shadow, settled, shadowFromReading } from '../../../src/sync/core/shadow.ts';
import { believedShown } from '../../../src/sync/core/shown.ts';
import { decided, fresh, ordersKnown, quick, read, sale, second, shadowOf, written } from './support.ts';

const minute = 60 * second;

/** What is believed ten minutes in, with readings that may be a minute old. */
const believed = (shadow: Shadow) => believedShown(settled(shadow, 10 * minute), 10 * minute);

describe('what a look just before a raise is believed to show', () => {
  test('is the one number that is known, less what was sold since', () => {
    expect(believed(shadowOf(5, quick))).toEqual({ least: 5, most: 5 });
    expect(believed(sale(shadowOf(5, quick), 2, 5 * minute))).toEqual({ least: 3, most: 3 });
  });

  test('is a number from before a sale or a write, too, for as long as the answer may be so old', () => {
    const sold = sale(shadowOf(5, quick), 2, 9.5 * minute);
    const lowered = written(shadowOf(9, quick), ['four', 4], 9.5 * minute, 'effective');
    const raised = written(shadowOf(2, quick), ['six', 6], 9.5 * minute, 'effective');

    expect(believed(sold)).toEqual({ least: 3, most: 5 });
    expect(believed(lowered)).toEqual({ least: 4, most: 9 });
    expect(believed(raised)).toEqual({ least: 2, most: 6 });
    expect(believedShown(settled(raised, 11 * minute), 11 * minute)).toEqual({ least: 6, most: 6 });
  });

  test('spans every write that may have landed', () => {
    const lost = written(shadowOf(5, quick), ['three', 3], 5 * minute, 'unknown');

    expect(believed(lost)).toEqual({ least: 3, most: 5 });
  });

  test('is lower by the units that are withheld already, and no lower once a write has put another number there', () => {
    const missing = read(shadowOf(5, quick), 3, 8 * minute).shadow;
    const raised = written(missing, ['six', 6], 8.5 * minute, 'effective');

    expect(missing.hold).toBe(2);
    expect(believed(missing)).toEqual({ least: 3, most: 5 });
    expect(raised.hold).toBe(2);
    expect(believed(raised)).toEqual({ least: 6, most: 6 });
  });

  test('is higher by what the channel has put back, if it has', () => {
    const change = { orderId: 'order', quantity: 2, from: 8 * minute, until: 8 * minute };
    const perhaps = { ...change, certain: false, restockedByChannel: true };

    expect(believed(orderCancelled(shadowOf(5, quick), perhaps, 8 * minute))).toEqual({ least: 5, most: 7 });
  });

  test('is not known while an answer may be from before all that is known', () => {
    const reading = { value: 5, from: 8 * minute, until: 9.5 * minute };
    const first = shadowFromReading('unit', quick, reading, 0);

    expect(believed(first)).toBeNull();
    expect(believedShown(first, 10.5 * minute - 1)).toBeNull();
    expect(believedShown(first, 10.5 * minute)).toEqual({ least: 5, most: 5 });
    expect(believed(shadowFromReading('unit', fresh, reading, 0))).toEqual({ least: 5, most: 5 });
  });

  test('excludes just the answers that withhold units or stop the raises', () => {
    const missing = read(sale(shadowOf(5, quick), 1, 9.8 * minute), 3, 9.9 * minute).shadow;
    const { least = 0, most = 0 } = believed(missing) ?? {};

    expect([missing.hold, least, most]).toEqual([1, 3, 5]);
    const told = [2, 3, 5, 6].map((value) => read(missing, value, 10 * minute));
    expect(told.map(({ shadow, verdict }) => [shadow.hold, verdict.kind])).toEqual([
      [2, 'belowLow'],
      [1, 'belowLow'],
      [1, 'inRange'],
      [1, 'aboveHigh'],
    ]);
  });
});

test('a raise without a comparison tells what it believes from before it was sent; a lowering and a comparison tell nothing', () => {
  const looked = read(ordersKnown(shadowOf(5, quick), 10 * minute), 5, 10 * minute).shadow;
  const now = 10 * minute + second;

  expect(decided(looked, 8, now)).toMatchObject({ direction: 'raise', believed: { least: 5, most: 5 } });
  expect(decided(looked, 4, now)).toMatchObject({ direction: 'lower', believed: null });
  expect(decided(looked, 0, now)).toMatchObject({ direction: 'zero', believed: null });
  expect(decided(looked, 8, now, { compareAndSet: true })).toMatchObject({ expected: 5, believed: null });
});

test('a sale that the look finds is withheld from the raise that follows, which the same look lets pass', () => {
  const fenced = read(ordersKnown(shadowOf(1, quick), 10 * minute), 1, 10 * minute).shadow;
  const now = 10 * minute + second;
  expect(decided(fenced, 5, now)).toMatchObject({ value: 5, believed: { least: 1, most: 1 } });
  const found = read(written(fenced, ['five', 5], now, 'rejected'), 0, now + second).shadow;

  expect(found.hold).toBe(1);
  expect(decided(found, 5 - found.hold, now + second)).toMatchObject({
    value: 4,
    believed: { least: 0, most: 1 },
  });
});
