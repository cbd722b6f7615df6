/** Proves what becomes of compared writes that share a call, and so a key: none is repeated, and nothing that may have been sold from one is offered again. */
import { describe, expect, test } from 'vitest';
import { calls, type Sendable } from '../../../src/sync/core/sending.ts';
import { type Shadow, settled, watermarkAdvanced } from '../../../src/sync/core/shadow.ts';
import { decided, ordersKnown, quick, read, sale, second, shadowOf, written } from './support.ts';

const at = 100 * second;
/** Writes happen with their answer or not at all, reads are up to five seconds old. */
const shopify = { ...quick, staleMax: 5 * second, settleMax: 0 };
const compares = { compareAndSet: true } as const;

/** From `shown` to `value`, and nobody has answered. */
function lost(
  shown: number,
  value: number,
  more: { readonly inCompany?: true } = { inCompany: true },
): Shadow {
  const sent = written(shadowOf(shown, shopify), ['first', value], at, 'unknown', {
    expected: shown,
    ...more,
  });
  return settled(sent, at + second);
}

const raise = (shadow: Shadow, now: number) => decided(shadow, 5, now, compares);

describe('a write that left in company and got no answer', () => {
  test('is not repeated under its key, as one that was alone is', () => {
    expect(decided(lost(5, 3, {}), 3, at + 2 * second, compares)).toMatchObject({ repeats: 'first' });
    expect(decided(lost(5, 3), 3, at + 2 * second, compares)).toMatchObject({
      kind: 'write',
      direction: 'lower',
      expected: 5,
      repeats: null,
    });
  });

  test('may have raised the number: a raise is compared with that, until a later reading shows less and its orders are known', () => {
    const waiting = lost(1, 5);
    expect(raise(waiting, at + 2 * second)).toEqual({ kind: 'fence' });

    // Too old to tell: what it shows may be from before the write.
    const early = ordersKnown(read(waiting, 1, at + 4 * second).shadow, at + 4 * second);
    expect(raise(early, at + 4 * second)).toMatchObject({ kind: 'write', expected: 5, repeats: null });

    const seen = read(waiting, 1, at + 6 * second).shadow;
    expect(raise(seen, at + 7 * second)).toEqual({ kind: 'fence' });
    const fetched = watermarkAdvanced(seen, at - 3 * second, at + 7 * second, at + 7 * second);
    expect(raise(fetched, at + 7 * second)).toEqual({ kind: 'wait', until: at + 10 * second });
    expect(raise(ordersKnown(seen, at + 6 * second), at + 7 * second)).toMatchObject({
      kind: 'write',
      expected: 1,
      repeats: null,
    });
  });

  test('and was sold from: the sales are counted, and what it offered is not offered again', () => {
    const seen = read(lost(1, 5), 1, at + 20 * second).shadow;
    const told = ordersKnown(sale(seen, 4, at + 3 * second, at + 25 * second), at + 25 * second);
    expect(decided(told, 1, at + 26 * second, compares)).toEqual({ kind: 'none', reason: 'inStep' });
  });

  test('that turns out to have landed is done with', () => {
    const seen = ordersKnown(read(lost(1, 5), 5, at + 6 * second).shadow, at + 6 * second);
    expect(decided(seen, 5, at + 7 * second, compares)).toEqual({ kind: 'none', reason: 'inStep' });
    expect(decided(seen, 6, at + 7 * second, compares)).toMatchObject({ kind: 'write', expected: 5 });
  });

  test('and never left holds up no lowering: once the unit was read, that is what is compared', () => {
    // The write may still be at work: nothing can end it yet.
    const atWork = { ...shopify, settleMax: 35 * second };
    const sent = { expected: 1, inCompany: true } as const;
    const open = written(shadowOf(1, atWork), ['first', 5], at, 'unknown', sent);
    expect(decided(open, 0, at + 2 * second, compares)).toMatchObject({ value: 0, expected: 5 });
    const seen = read(open, 1, at + 3 * second).shadow;
    expect(decided(seen, 0, at + 4 * second, compares)).toMatchObject({ value: 0, expected: 1 });
    // A lowering to what was read, or to more, would be no lowering of that.
    expect(decided(seen, 1, at + 4 * second, compares)).toMatchObject({ value: 1, expected: 5 });
    expect(decided(read(open, 1, at).shadow, 0, at + 4 * second, compares)).toMatchObject({ expected: 5 });
  });

  test('is counted with the sales since: a lowering is compared with what is left of what was read', () => {
    const atWork = { ...shopify, settleMax: 35 * second };
    const open = written(shadowOf(3, atWork), ['first', 8], at, 'unknown', { expected: 3, inCompany: true });
    const sold = sale(read(open, 3, at + 3 * second).shadow, 1, at + 4 * second);

    expect(decided(sold, 1, at + 6 * second, compares)).toMatchObject({ direction: 'lower', expected: 2 });
    expect(decided(sold, 2, at + 6 * second, compares)).toMatchObject({ expected: 8 });
  });

  test('is the only one so compared: one that was alone, or was answered, is on its way', () => {
    const atWork = { ...shopify, settleMax: 35 * second };
    const first = (answer: 'accepted' | 'unknown', more: { readonly inCompany?: true }) => {
      const sent = written(shadowOf(1, atWork), ['first', 5], at, answer, { expected: 1, ...more });
      return decided(read(sent, 1, at + 3 * second).shadow, 0, at + 4 * second, compares);
    };

    expect(first('unknown', { inCompany: true })).toMatchObject({ direction: 'zero', expected: 1 });
    expect(first('unknown', {})).toMatchObject({ direction: 'zero', expected: 5 });
    expect(first('accepted', { inCompany: true })).toMatchObject({ direction: 'zero', expected: 5 });
  });

  test('holds up no other lowering, and no raise once another write was answered', () => {
    expect(decided(lost(1, 5), 0, at + 2 * second, compares)).toMatchObject({ value: 0, expected: 5 });
    const replaced = written(lost(1, 5), ['second', 0], at + 2 * second, 'effective', { expected: 5 });
    expect(decided(replaced, 2, at + 4 * second, compares)).toMatchObject({ kind: 'write', expected: 0 });
  });
});

const one = (unit: string, alone = false): Sendable => ({ unit, class: 'lower', exposure: 0, alone });
const units = (writes: readonly Sendable[], most: number) =>
  calls(writes, most).lowering.map((call) => call.map(({ unit }) => unit));

describe('a write that has to be alone', () => {
  test('has a call of its own, and the others share theirs around it', () => {
    expect(units([one('a'), one('b', true), one('c'), one('d', true), one('e')], 2)).toEqual([
      ['a', 'c'],
      ['b'],
      ['d'],
      ['e'],
    ]);
    expect(units([one('a', true), one('b')], 2)).toEqual([['a'], ['b']]);
  });
});
