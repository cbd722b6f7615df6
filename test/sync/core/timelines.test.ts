/** Proves the race timelines of the model, one named test each, as far as the decision core is concerned. */
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { quantityConflict, resolve } from '../../../src/sync/core/conflicts.ts';
import { judge, readingArrived } from '../../../src/sync/core/readings.ts';
import { sendingOrder } from '../../../src/sync/core/sending.ts';
import { orderCancelled, writeSent } from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { bundleAvailable, targetOf } from '../../../src/sync/core/targets.ts';
import {
  decided,
  delta,
  fresh,
  ordersKnown,
  quick,
  read,
  sale,
  second,
  shadowOf,
  slow,
  written,
} from './support.ts';

describe('T1: a poll older than the sale', () => {
  test('the old number is in range while no write is confirmed since: no conflict, no hold', () => {
    const etsy = written(shadowOf(1, quick), ['zero', 0], 100 * second, null);

    const { shadow, verdict } = read(etsy, 1, 101 * second, 99 * second);

    expect(verdict).toMatchObject({ kind: 'notComparable' });
    expect(shadow.hold).toBe(0);
    expect(delta(ordersKnown(shadow, 200 * second), 200 * second)).toBeNull();
  });
});

describe('T2: resurrection', () => {
  const amazon = shadowOf(1);

  test('the fence reads 0 below 1: one unit is held on every channel and nothing is raised', () => {
    const { shadow, verdict } = read(amazon, 0, 50 * second);
    const { target } = targetOf({
      available: 1,
      holds: shadow.hold,
      conflictDelta: 0,
      rules: {},
      channelMax: 999,
    });

    expect(verdict).toEqual({ kind: 'belowLow', units: 1, urgent: true });
    expect(target).toBe(0);
    expect(decided(shadow, target, 50 * second)).toEqual({ kind: 'none', reason: 'inStep' });
    expect(decided(shadowOf(1), target, 50 * second)).toMatchObject({ kind: 'write', direction: 'zero' });
  });

  test('the order turns the hold into a reservation', () => {
    const held = read(amazon, 0, 50 * second).shadow;

    const known = sale(held, 1, 40 * second, 160 * second);

    expect([held.hold, known.hold]).toEqual([1, 0]);
    expect(delta(ordersKnown(known, 200 * second), 200 * second)).toBeNull();
  });
});

describe('T3: echo', () => {
  const shopify = written(shadowOf(5), ['four', 4], 100 * second, 'effective');

  test('the echo of our own write changes nothing', () => {
    const { shadow, verdict } = read(shopify, 4, 103 * second);

    expect(verdict).toEqual({ kind: 'inRange' });
    expect(shadow.hold).toBe(0);
    expect(decided(shadow, 4, 103 * second)).toEqual({ kind: 'none', reason: 'inStep' });
  });

  test('a lower number right after the echo is a sale that is not known yet: held, then booked', () => {
    const held = read(shopify, 3, 104 * second).shadow;

    expect(held.hold).toBe(1);
    expect(sale(held, 1, 103.5 * second, 110 * second).hold).toBe(0);
  });
});

describe('T4: the older write lands last', () => {
  const five = written(shadowOf(5, slow), ['five', 5], 10 * second, 'accepted');
  const overlapped = written(five, ['three', 3], 60 * second, 'accepted', { targetSeq: 2 });

  test('both stay possible until a reading, and reading 5 leaves only the five', () => {
    const settled = 500 * second;
    const before = read(overlapped, 3, settled).shadow;

    expect(rangeNow(before, settled)).toEqual({ low: 3, high: 3 });
    expect(before.candidates.map(({ key }) => key)).toEqual(['five', 'three']);
    const after = read(overlapped, 5, settled).shadow;
    expect(rangeNow(after, settled)).toEqual({ low: 5, high: 5 });
    expect(decided(after, 3, settled, { targetSeq: 2 })).toMatchObject({
      kind: 'write',
      value: 3,
      direction: 'lower',
    });
  });

  test('an exposure of two units is what the range allows above the target', () => {
    const { high } = rangeNow(overlapped, 100 * second);

    expect(high - 3).toBe(2);
  });
});

describe('T5: a lost answer', () => {
  const lost = written(shadowOf(1), ['key', 0], 10 * second, 'unknown', { expected: 1, targetSeq: 1 });

  test('old and new number are both possible, and the retry keeps its key and its comparison', () => {
    expect(rangeNow(lost, 11 * second)).toEqual({ low: 0, high: 1 });
    expect(decided(lost, 0, 11 * second, { targetSeq: 1, compareAndSet: true })).toMatchObject({
      repeats: 'key',
      expected: 1,
      value: 0,
    });
  });

  test('the answer of the retry settles it, and nothing looks like an outside edit', () => {
    const again = writeSent(lost, { key: 'key', value: 0, targetSeq: 1, expected: 1 }, 12 * second);
    const answered = writeAnswered(again, 'key', { kind: 'effective' }, 13 * second);
    const { shadow } = read(ordersKnown(answered, 20 * second), 0, 20 * second);

    expect(rangeNow(shadow, 20 * second)).toEqual({ low: 0, high: 0 });
    expect(delta(ordersKnown(shadow, 30 * second), 30 * second)).toBeNull();
  });
});

describe('T7: a cancellation, two behaviours', () => {
  const cancellation = { orderId: 'order', quantity: 1, from: 50 * second, until: 50 * second };
  const sold = sale(shadowOf(3, { ...fresh, restocksOnCancel: true }), 1, 20 * second);

  test('the channel restocks itself: the number is there already and nothing is written', () => {
    const cancelled = orderCancelled(sold, { ...cancellation, restockedByChannel: true }, 60 * second);

    expect(rangeNow(cancelled, 60 * second)).toEqual({ low: 3, high: 3 });
    expect(decided(cancelled, 3, 60 * second)).toEqual({ kind: 'none', reason: 'inStep' });
  });

  test('the channel does not: a raise, and it waits for the fence', () => {
    const cancelled = orderCancelled(sold, { ...cancellation, restockedByChannel: false }, 60 * second);

    expect(decided(cancelled, 3, 60 * second)).toEqual({ kind: 'fence' });
    const fenced = read(ordersKnown(cancelled, 61 * second), 2, 62 * second).shadow;
    expect(decided(fenced, 3, 62 * second)).toMatchObject({ kind: 'write', direction: 'raise', value: 3 });
  });

  test('units put back before we hear of it are no proof of an edit until every order is known', () => {
    const { shadow, verdict } = read(sold, 3, 55 * second);
    const explained = orderCancelled(shadow, { ...cancellation, restockedByChannel: true }, 58 * second);

    expect(verdict).toEqual({ kind: 'aboveHigh', units: 1 });
    expect(delta(shadow, 55 * second)).toBeNull();
    expect(delta(ordersKnown(explained, 70 * second), 70 * second)).toBeNull();
    expect(delta(ordersKnown(shadow, 70 * second), 70 * second)).toBe(1);
  });
});

test('T8: a restock during a sale is raised by what the fence leaves, not by what the ledger says', () => {
  const etsy = ordersKnown(shadowOf(1), 100 * second);
  expect(decided(etsy, 11, 100 * second, { targetSeq: 1 })).toEqual({ kind: 'fence' });

  const fenced = read(etsy, 0, 101 * second).shadow;
  const { target } = targetOf({
    available: 11,
    holds: fenced.hold,
    conflictDelta: 0,
    rules: {},
    channelMax: 999,
  });

  expect(decided(fenced, target, 101 * second, { targetSeq: 1 })).toMatchObject({
    direction: 'raise',
    value: 10,
  });
});

test('T9: a conflict resolved late moves the present by what was proven', () => {
  const before = read(shadowOf(4), 9, 50 * second).shadow;
  const { proof } = judge(before, 50 * second);
  expect(proof?.delta).toBe(5);
  if (proof === null) return;
  const conflict = quantityConflict(before, proof, 50 * second);
  const available = 4 - 3;

  const resolved = resolve([{ conflict, expectedVersion: 1 }], 'use_highest');

  expect(resolved).toMatchObject({ kind: 'resolved', movement: 5 });
  expect(available + (resolved.kind === 'resolved' ? resolved.movement : 0)).toBe(6);
});

test('T11: not tracked is a health event: no hold, no conflict, no write', () => {
  const before = shadowOf(4);

  for (const result of [{ kind: 'notTracked' }, { kind: 'unknown', reason: 'empty page' }] as const) {
    const { shadow, verdict } = readingArrived(before, result, 50 * second);
    expect(verdict.kind).toBe('unreadable');
    expect(shadow).toBe(before);
    expect(decided(shadow, 4, 50 * second)).toEqual({ kind: 'none', reason: 'inStep' });
  }
});

describe('T12: a bundle', () => {
  test('sold in the same second as its component takes the component below zero, and every listing of it to 0 first', () => {
    const component = 1 - 1 - 1;
    const bundle = bundleAvailable([
      { available: component, quantity: 1 },
      { available: 4, quantity: 1 },
    ]);
    const shown = [component, bundle].map(
      (available) => targetOf({ available, holds: 0, conflictDelta: 0, rules: {}, channelMax: 999 }).target,
    );
    const sent = sendingOrder([
      { unit: 'other', class: 'lower', exposure: 9 },
      { unit: 'raise', class: 'raise', exposure: 9 },
      { unit: 'A', class: 'zero', exposure: 1 },
      { unit: 'bundle', class: 'zero', exposure: 2 },
    ]);

    expect([component, bundle]).toEqual([-1, -1]);
    expect(shown).toEqual([0, 0]);
    expect(sent.map(({ unit }) => unit)).toEqual(['bundle', 'A', 'other', 'raise']);
  });

  test('is as many as the scarcest component allows, by what one bundle needs of each', () => {
    expect(bundleAvailable([{ available: 9, quantity: 1 }])).toBe(9);
    expect(
      bundleAvailable([
        { available: 9, quantity: 4 },
        { available: 5, quantity: 1 },
      ]),
    ).toBe(2);
    expect(() => bundleAvailable([])).toThrow('a bundle of nothing');
  });
});
