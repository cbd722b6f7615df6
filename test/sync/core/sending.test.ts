/** Proves the edges of sending: what has to be a call of its own, and how many listings are counted where a share is nothing. */
import { expect, test } from 'vitest';
import { calls, emptyBlast, listingsEnough, type Sendable } from '../../../src/sync/core/sending.ts';

function lowered(unit: string, more: Partial<Sendable> = {}): Sendable {
  return { unit, class: 'lower', exposure: 0, ...more };
}

test('what one write replaces together is a call of its own as soon as one part of it has to be', () => {
  const { lowering } = calls([lowered('a'), lowered('b', { alone: true }), lowered('b')], 3);

  expect(lowering.map((call) => call.map(({ unit }) => unit))).toEqual([['a'], ['b', 'b']]);
});

test('C4: a batch that takes nothing to zero needs no listings for that, also where none may be: only as many as its changes', () => {
  const limits = { zeroShareMax: 0, changeShareMax: 0.5, alwaysAllowed: 1 };
  const zeroed = lowered('d', { class: 'zero' });

  expect(
    listingsEnough(
      emptyBlast,
      ['a', 'b', 'c'].map((unit) => lowered(unit)),
      limits,
    ),
  ).toBe(7);
  expect(listingsEnough(emptyBlast, [lowered('a'), zeroed], limits)).toBe(Number.MAX_SAFE_INTEGER);
});
