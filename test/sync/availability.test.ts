/** Proves the arithmetic from what is available to what a channel shows. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { targetQuantity } from '../../src/sync/availability.ts';

const free = { buffer: 0, quantityMax: null, channelMax: 1_000 };

test('a listing shows what is available, less its buffer', () => {
  expect(targetQuantity(12, free)).toBe(12);
  expect(targetQuantity(12, { ...free, buffer: 5 })).toBe(7);
});

test('a listing never shows less than nothing, however oversold the item is', () => {
  expect(targetQuantity(-3, free)).toBe(0);
  expect(targetQuantity(2, { ...free, buffer: 3 })).toBe(0);
});

test('the smaller of the listing’s and the channel’s maximum caps the number, also when it is 0', () => {
  expect(targetQuantity(5_000, { ...free, channelMax: 999 })).toBe(999);
  expect(targetQuantity(5_000, { ...free, quantityMax: 10, channelMax: 999 })).toBe(10);
  expect(targetQuantity(5_000, { ...free, quantityMax: 2_000, channelMax: 999 })).toBe(999);
  expect(targetQuantity(5_000, { ...free, quantityMax: 0 })).toBe(0);
});

test('the buffer is taken off what is available, not off the maximum', () => {
  expect(targetQuantity(100, { ...free, buffer: 20, quantityMax: 10 })).toBe(10);
  expect(targetQuantity(25, { ...free, buffer: 20, quantityMax: 10 })).toBe(5);
});

test('no rule shows more than is available, and more stock never shows less', () => {
  const rule = fc.record({ buffer: fc.nat(50), quantityMax: fc.option(fc.nat(50)), channelMax: fc.nat(60) });
  fc.assert(
    fc.property(fc.integer({ min: -50, max: 120 }), rule, (available, each) => {
      const shown = targetQuantity(available, each);
      expect(shown).toBeGreaterThanOrEqual(0);
      expect(shown).toBeLessThanOrEqual(Math.max(available, 0));
      expect(targetQuantity(available + 1, each)).toBeGreaterThanOrEqual(shown);
    }),
  );
});
