/** Proves each right to the unit: what a booking takes, what a confirmation leaves, and that an impossible state is refused as E1. */
import { describe, expect, test } from 'vitest';
import {
  booked,
  canGrant,
  chargedAtLeast,
  confirmed,
  costOf,
  type Escrow,
  type EscrowUnit,
  grant,
  joined,
  newEscrow,
  provenAtMost,
  reoffered,
  restocked,
  resumed,
  settledRights,
  unitOf,
  violated,
  withdrawnGrant,
} from '../../../src/sync/core/escrow.ts';

const start = newEscrow(10, { a: 3, b: 2 });

function granted(escrow: Escrow, value: number, expected: number | null = null): Escrow {
  return grant(escrow, 'a', { key: 'key', value, expected, sentAt: 10 });
}

function sold(escrow: Escrow, quantity: number, at: number, mayBePutBack = false): Escrow {
  return booked(escrow, 'a', { quantity, from: at, until: at, mayBePutBack });
}

function rights(escrow: Escrow): EscrowUnit {
  return unitOf(escrow, 'a');
}

describe('E1: a state that cannot be', () => {
  const broken: readonly (readonly [string, Partial<Escrow>, Partial<EscrowUnit>])[] = [
    ['rights do not add up', { available: 11 }, {}],
    ['rights of a are below 0', { available: 6 }, { cur: -1 }],
    ['rights of a are below 0', { available: 9 }, { old: -1 }],
    ['rights of a are below 0', { available: 9 }, { new: -1 }],
  ];

  test.each(broken)('%s: is refused', (message, escrow, unit) => {
    const units = { ...start.units, a: { ...rights(start), ...unit } };

    expect(() => restocked({ ...start, ...escrow, units }, 0)).toThrow(`E1: ${message}`);
  });

  test('names a unit that is not there', () => {
    expect(() => unitOf(start, 'c')).toThrow('c is not in this escrow');
  });
});

describe('what may be granted', () => {
  test('is what free pays for, on top of what is compared with, to a unit that has nothing under way', () => {
    expect([costOf(4, null), costOf(4, 3), costOf(2, 3)]).toEqual([4, 1, 0]);
    expect(canGrant(start, 'a', 5, null)).toBe(true);
    expect(canGrant(start, 'a', 4, 4)).toBe(false);
    expect(canGrant(start, 'a', 4, 3)).toBe(true);
    expect(canGrant(granted(start, 1), 'a', 1, null)).toBe(false);
  });

  test('is zero also when nothing is free, and to a paused unit', () => {
    const full = newEscrow(3, { a: 3 });

    expect(canGrant(full, 'a', 0, null)).toBe(true);
    expect(canGrant(full, 'a', 1, null)).toBe(false);
    expect(canGrant(violated(full, 'a', 'A4'), 'a', 0, null)).toBe(true);
    expect(canGrant(violated(full, 'a', 'A4'), 'a', 2, 3)).toBe(false);
  });
});

describe('a confirmation', () => {
  test('of nothing changes nothing, and of a first grant leaves nothing to settle', () => {
    const empty = newEscrow(5, { a: 0 });

    expect(confirmed(start, 'a', 20)).toBe(start);
    expect(rights(confirmed(granted(empty, 2), 'a', 20))).toMatchObject({ cur: 2, old: 0, replacedAt: null });
    expect(rights(confirmed(granted(start, 2), 'a', 20))).toMatchObject({ cur: 2, old: 3, replacedAt: 20 });
  });

  test('of an absolute write puts all of it in force, also where a sale was booked while it was under way: that may have come before', () => {
    const one = confirmed(sold(granted(start, 4), 2, 15), 'a', 20);

    expect(rights(one)).toMatchObject({ cur: 4, old: 1, new: 0, replacedAt: 20 });
    expect(settledRights(one, 'a', 20)).toMatchObject({ available: 8, free: 2 });
  });

  test('of a compared write that was sold from before it counts the rest as replaced until it settles', () => {
    // 3 in force and 2 granted; one sold after sending, so 4 are shown at most.
    const one = confirmed(sold(granted(start, 5, 3), 1, 15), 'a', 20);
    expect(rights(one)).toMatchObject({ cur: 4, old: 0, new: 0, replacedAt: null });
    // Compared with 1 where 3 are charged: two may have been sold unseen.
    const unseen = confirmed(granted(start, 2, 1), 'a', 20);
    expect(rights(unseen)).toMatchObject({ cur: 2, old: 2, replacedAt: 20 });
    expect(unseen.free).toBe(4);
    // Of a lowering what it took away is free at once, and no more.
    const lowered = confirmed(granted(start, 1, 2), 'a', 20);
    expect(rights(lowered)).toMatchObject({ cur: 1, old: 1, replacedAt: 20 });
    expect(lowered.free).toBe(6);
    expect(rights(confirmed(sold(granted(start, 1, 3), 2, 15), 'a', 20))).toMatchObject({ cur: 0, old: 0 });
    // A sale from before it that its compare did not see: no more comes back than was left.
    const before = confirmed(sold(granted(start, 1, 3), 1, 5), 'a', 20);
    expect(rights(before)).toMatchObject({ cur: 1, old: 0 });
    expect(before).toMatchObject({ available: 9, free: 6 });
  });

  test('keeps the later of two instants for what was replaced twice, and counts units put back as shown', () => {
    const first = confirmed(granted(start, 1), 'a', 30);
    const again = confirmed(granted(first, 2, 1), 'a', 20);
    const late = confirmed(granted(first, 2, 1), 'a', 40);

    expect(rights(again)).toMatchObject({ cur: 2, old: 3, replacedAt: 30 });
    expect(rights(late)).toMatchObject({ cur: 2, old: 3, replacedAt: 40 });
    const putBack = confirmed(reoffered(granted(start, 5, 3), 'a', 1), 'a', 20);
    expect(rights(putBack)).toMatchObject({ cur: 6, old: 0 });
  });
});

describe('a booking', () => {
  const replaced = confirmed(granted(start, 4), 'a', 20);

  test('takes what was replaced first, up to the instant of the replacement', () => {
    expect(rights(sold(replaced, 1, 20))).toMatchObject({ old: 2, cur: 4 });
    expect(rights(sold(replaced, 1, 21))).toMatchObject({ old: 3, cur: 3 });
    expect(rights(sold(replaced, 5, 21))).toMatchObject({ old: 2, cur: 0, paused: null });
  });

  test('takes rights of a write under way last, and remembers what was sold after it was sent', () => {
    expect(rights(sold(granted(start, 4), 4, 15))).toMatchObject({ cur: 0, new: 3, paused: null });
    expect(rights(sold(granted(start, 4), 2, 10)).write?.booked).toBe(0);
    expect(rights(sold(granted(start, 4), 2, 11)).write?.booked).toBe(2);
  });

  test('owes only what no right covers, and only where units may have been put back', () => {
    expect(rights(sold(start, 3, 5, true))).toMatchObject({ owed: 0, owedAt: 0, paused: null });
    expect(rights(sold(start, 5, 5, true))).toMatchObject({ owed: 2, owedAt: 5, paused: null });
    expect(rights(sold(start, 5, 5))).toMatchObject({ owed: 0, owedAt: 0, paused: 'A1' });
    expect(rights(sold(violated(start, 'a', 'A3'), 5, 5)).paused).toBe('A3');
  });

  test('of a sale from before escrow began takes no right, because the unit may have been offered again', () => {
    const entered = newEscrow(4, { a: 4, b: 4 }, 100);

    const known = sold(entered, 1, 100);
    expect(rights(known)).toMatchObject({ cur: 4, since: 100, paused: null });
    expect(known).toMatchObject({ available: 3, free: 0, shortfall: 5 });
    expect(sold(entered, 1, 101)).toMatchObject({ available: 3, shortfall: 4 });
    expect(rights(sold(entered, 1, 101)).cur).toBe(3);
    expect(rights(sold(granted(entered, 0), 1, 90)).write?.booked).toBe(1);
    expect(rights(start)).not.toHaveProperty('since');
  });
});

describe('rights come back', () => {
  test('when the orders reach the replacement, and not before', () => {
    const replaced = confirmed(granted(start, 4), 'a', 20);

    expect(settledRights(start, 'a', 99)).toBe(start);
    expect(settledRights(replaced, 'a', 19)).toBe(replaced);
    expect(rights(settledRights(replaced, 'a', 20))).toMatchObject({ cur: 4, old: 0, replacedAt: null });
  });

  test('when a write never happened, but for units that were put back meanwhile', () => {
    expect(withdrawnGrant(start, 'a')).toEqual(start);
    const putBack = reoffered(granted(start, 4), 'a', 1);
    expect(rights(withdrawnGrant(putBack, 'a'))).toMatchObject({ cur: 4, new: 0, write: null });
    const sparse = sold(putBack, 8, 15);
    expect(rights(withdrawnGrant(sparse, 'a')).cur).toBe(0);
  });

  test('when less is proven to be shown than is charged', () => {
    expect(provenAtMost(start, 'a', 3)).toBe(start);
    expect(provenAtMost(start, 'a', 2)).toMatchObject({ free: 6 });
    expect(rights(provenAtMost(granted(start, 4), 'a', 9))).toMatchObject({ cur: 7, new: 0, write: null });
  });

  test('to a paused unit when somebody has looked: what it shows is charged then, and at least what it had', () => {
    const paused = violated(start, 'a', 'A4');

    expect(resumed(paused, 'a', 5)).toMatchObject({ free: 3 });
    expect(rights(resumed(paused, 'a', 5))).toMatchObject({ cur: 5, paused: null });
    expect(rights(resumed(paused, 'a', 1))).toMatchObject({ cur: 3, paused: null });
    expect(resumed(paused, 'a', 1).free).toBe(5);
    expect(resumed(paused, 'a', 9)).toMatchObject({ free: 0, shortfall: 1 });
  });
});

describe('a unit that joins', () => {
  const grown = joined(start, 'c', 4, 100);

  test('is charged with what it may sell, out of what is free', () => {
    expect(grown).toMatchObject({ available: 10, free: 1 });
    expect(unitOf(grown, 'c')).toMatchObject({ cur: 4, joinedAt: 100 });
    expect(joined(start, 'c', 6, 100)).toMatchObject({ free: 0, shortfall: 1 });
    expect(() => joined(start, 'a', 1, 100)).toThrow('a takes part already');
  });

  test('keeps its rights when a sale from before becomes known, and is known itself once every such sale is', () => {
    const told = booked(grown, 'c', { quantity: 1, from: 90, until: 90, mayBePutBack: false });

    expect(told).toMatchObject({ available: 9, free: 0 });
    expect(unitOf(told, 'c').cur).toBe(4);
    expect(unitOf(settledRights(told, 'c', 99), 'c')).toHaveProperty('joinedAt', 100);
    expect(unitOf(settledRights(told, 'c', 100), 'c')).not.toHaveProperty('joinedAt');
  });

  test('or takes part already is charged with at least what it shows, and stays paused if it was', () => {
    expect(chargedAtLeast(start, 'a', 5)).toMatchObject({ free: 3 });
    expect(chargedAtLeast(start, 'a', 2)).toEqual(start);
    expect(rights(chargedAtLeast(violated(start, 'a', 'A3'), 'a', 5)).paused).toBe('A3');
  });
});
