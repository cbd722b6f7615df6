/** Proves which rights are granted and taken back: how many each channel is worth, in which order, and when nothing is worth a write. */
import { describe, expect, test } from 'vitest';
import {
  type Escrow,
  grant,
  newEscrow,
  reoffered,
  restocked,
  unitOf,
  violated,
} from '../../../src/sync/core/escrow.ts';
import { allocationOf, type RebalanceUnit, rebalance } from '../../../src/sync/core/rebalance.ts';
import { second } from './support.ts';

const limits = { dryChance: 0.1, stuckMax: 1, patience: 0.5, fasterBy: 1, stillMax: 0 };

/** Two units sold until a refill is in force, so that five are enough; taken back at once. */
function facts(name: string, more: Partial<RebalanceUnit> = {}): RebalanceUnit {
  const defaults = { ratePerMs: 1 / second, refill: 2 * second, drain: 0, quantityMax: 999, still: 0 };
  return { name, ...defaults, compareAndSet: false, exact: null, ...more };
}

function shares(units: number, channels: readonly RebalanceUnit[], patience = 0.5): readonly number[] {
  return [...allocationOf(units, channels, { ...limits, patience }).values()];
}

function underWay(escrow: Escrow, name: string, value = 0): Escrow {
  return grant(escrow, name, { key: 'key', value, expected: null, sentAt: 0 });
}

function fastAndSlow(drain: number): readonly RebalanceUnit[] {
  const refill = 100 * second;
  return [facts('a', { refill, ratePerMs: 3 / second }), facts('b', { refill, drain })];
}

function raises(stock: number, cur: number, quantityMax: number) {
  return rebalance(newEscrow(stock, { a: cur }), [facts('a', { quantityMax })], limits);
}

function compared(stock: number, cur: number, exact: number | null) {
  return rebalance(newEscrow(stock, { a: cur }), [facts('a', { compareAndSet: true, exact })], limits);
}

describe('an allocation', () => {
  test('gives no more than is sold until a refill, but for the accepted chance, at least one and at most the maximum', () => {
    expect(shares(99, [facts('a')])).toEqual([5]);
    expect(shares(99, [facts('a', { refill: 0 })])).toEqual([1]);
    expect(shares(99, [facts('a', { quantityMax: 3 })])).toEqual([3]);
    expect(shares(99, [facts('a', { quantityMax: 0 })])).toEqual([0]);
    expect(shares(3, [facts('a')])).toEqual([3]);
    expect(shares(0, [facts('a')])).toEqual([0]);
  });

  test('is in proportion to demand, the first of equals first', () => {
    const patient = { refill: 100 * second };

    expect(shares(3, [facts('a'), facts('b')])).toEqual([2, 1]);
    expect(shares(14, [facts('a', { ...patient, ratePerMs: 3 / second }), facts('b', patient)])).toEqual([
      11, 3,
    ]);
  });

  test('trusts a slow channel with a part of its proportion only', () => {
    const slow = facts('b', { refill: 100 * second, drain: 10 * second });
    const fast = facts('a', { refill: 100 * second, ratePerMs: 3 / second });

    expect(shares(14, [fast, slow])).toEqual([12, 2]);
    // It sells as much as all others, even if only partly trusted.
    expect(shares(14, [fast, slow], 3)).toEqual([11, 3]);
    expect(shares(14, [slow])).toEqual([14]);
    const busiest = { ...slow, ratePerMs: 3 / second };
    expect(shares(14, [facts('a', { refill: 100 * second }), busiest])).toEqual([3, 11]);
  });

  test('shows one unit on the busiest channel that may show any where all are too slow to be trusted with one', () => {
    const slow = { refill: 100 * second, drain: 1_000 * second };
    const channels = [facts('a', slow), facts('b', { ...slow, ratePerMs: 2 / second }), facts('c', slow)];

    expect(shares(1, channels)).toEqual([0, 1, 0]);
    expect(shares(1, [facts('a', slow), facts('b', slow)])).toEqual([1, 0]);
    expect(shares(1, [facts('a', { ...slow, quantityMax: 0 }), facts('b', slow)])).toEqual([0, 1]);
    expect(shares(0, channels)).toEqual([0, 0, 0]);
  });

  test('calls a channel quick while hardly a buyer passes until its rights are back', () => {
    expect(shares(14, fastAndSlow(0.25 * second))).toEqual([11, 3]);
    expect(shares(14, fastAndSlow(0.26 * second))).toEqual([12, 2]);
  });
});

describe('a raise', () => {
  test('goes to the channel whose buyers find nothing, and pays in full for an absolute write', () => {
    expect(rebalance(newEscrow(5, { a: 0, b: 1 }), [facts('a'), facts('b')], limits)).toEqual([
      { name: 'a', value: 3, expected: null },
    ]);
    expect(rebalance(newEscrow(20, { b: 1, a: 0 }), [facts('b'), facts('a')], limits)).toEqual([
      { name: 'a', value: 5, expected: null },
      { name: 'b', value: 5, expected: null },
    ]);
    const busier = facts('b', { ratePerMs: 3 / second, refill: 0.5 * second });
    expect(
      rebalance(newEscrow(20, { a: 0, b: 1 }), [facts('a'), busier], limits).map(({ name }) => name),
    ).toEqual(['b', 'a']);
  });

  test('of what still sells waits until half is gone and all of it can be paid', () => {
    expect(raises(20, 3, 5)).toEqual([]);
    expect(raises(20, 2, 5)).toEqual([{ name: 'a', value: 5, expected: null }]);
    expect(raises(20, 2, 4)).toEqual([{ name: 'a', value: 4, expected: null }]);
    expect(raises(6, 2, 5)).toEqual([]);
    expect(raises(3, 0, 5)).toEqual([{ name: 'a', value: 3, expected: null }]);
    expect(raises(0, 0, 5)).toEqual([]);
    expect(raises(20, 5, 5)).toEqual([]);
  });

  test('that is compared pays for the difference only, from what is shown', () => {
    expect(compared(5, 3, 3)).toEqual([{ name: 'a', value: 5, expected: 3 }]);
    expect(compared(5, 4, 4)).toEqual([{ name: 'a', value: 5, expected: 4 }]);
    expect(compared(9, 4, 1)).toEqual([{ name: 'a', value: 5, expected: 1 }]);
    expect(compared(3, 3, 3)).toEqual([]);
    // What is shown is not known, or more than was granted: only an absolute write is certain.
    expect(compared(20, 2, null)).toEqual([{ name: 'a', value: 5, expected: null }]);
    expect(compared(20, 2, 3)).toEqual([{ name: 'a', value: 5, expected: null }]);
    expect(compared(20, 3, null)).toEqual([]);
  });

  test('waits for what is under way, also where it carries no rights', () => {
    const free = newEscrow(20, { a: 0 });

    expect(rebalance(underWay(free, 'a'), [facts('a')], limits)).toEqual([]);
    expect(rebalance(free, [facts('a', { busy: true })], limits)).toEqual([]);
    expect(rebalance(free, [facts('a', { busy: false })], limits)).toHaveLength(1);
  });
});

describe('a paused unit', () => {
  const paused = violated(newEscrow(9, { a: 4, b: 0 }), 'a', 'A4');

  test('is taken to zero once, unless it is there, and its rights are nobody’s meanwhile', () => {
    const stop = { name: 'a', value: 0, expected: null };
    const raise = { name: 'b', value: 5, expected: null };

    expect(rebalance(paused, [facts('a'), facts('b')], limits)).toEqual([stop, raise]);
    expect(rebalance(paused, [facts('a', { exact: 2 }), facts('b')], limits)).toEqual([stop, raise]);
    expect(rebalance(paused, [facts('a', { exact: 0 }), facts('b')], limits)).toEqual([raise]);
    expect(rebalance(underWay(paused, 'a'), [facts('a'), facts('b')], limits)).toEqual([raise]);
  });
});

/** Two of b's rights are being taken down to one. */
const lowering = (stock: number) =>
  grant(newEscrow(stock, { a: 1, b: 2 }), 'b', { key: 'key', value: 1, expected: 2, sentAt: 0 });

describe('rights are taken back', () => {
  test('while units are short: absolutely to zero, compared to what is left for the channel', () => {
    const short = newEscrow(2, { a: 2, b: 2 });
    const exactly = facts('a', { compareAndSet: true, exact: 2 });

    expect(rebalance(short, [facts('a'), facts('b')], limits)).toEqual([
      { name: 'a', value: 0, expected: null },
      { name: 'b', value: 0, expected: null },
    ]);
    expect(rebalance(short, [exactly, facts('b')], limits)[0]).toEqual({ name: 'a', value: 1, expected: 2 });
    expect(rebalance(short, [{ ...exactly, exact: 1 }, facts('b')], limits)).toHaveLength(1);
    expect(rebalance(short, [{ ...exactly, exact: 3 }, facts('b')], limits)[0]).toMatchObject({ value: 0 });
    expect(rebalance(underWay(short, 'a'), [facts('a'), facts('b')], limits)).toHaveLength(1);
    // What is shown may be known where nothing can be compared with it.
    expect(rebalance(short, [facts('a', { exact: 2 }), facts('b')], limits)[0]).toEqual({
      name: 'a',
      value: 0,
      expected: null,
    });
    const rest = rebalance(newEscrow(2, { a: 1, b: 2 }), [facts('a'), facts('b')], limits);
    expect(rest).toEqual([{ name: 'b', value: 0, expected: null }]);
  });

  test('while units are short, from what has no write under way: it does not wait for one that takes back too few', () => {
    const first = facts('a', { compareAndSet: true, exact: 1 });
    const other = facts('b', { compareAndSet: true });
    expect(rebalance(lowering(2), [first, other], limits)).toEqual([]);
    expect(rebalance(lowering(1), [first, other], limits)).toEqual([{ name: 'a', value: 0, expected: 1 }]);
    // What a raise under way carries is not to be had either, and is no reason to take more from the others.
    const raising = restocked(underWay(newEscrow(5, { a: 2, b: 0 }), 'b', 3), -1);
    expect(rebalance(raising, [{ ...first, exact: 2 }, facts('b')], limits)).toEqual([
      { name: 'a', value: 1, expected: 2 },
    ]);
  });

  const rich = facts('a', { ratePerMs: 1 / (60 * second), refill: 600 * second, drain: 10 * second });
  const dry = facts('b', { ratePerMs: 10 / (60 * second), refill: 120 * second });
  const stuck = newEscrow(5, { a: 5, b: 0 });

  test('when a better channel is sold out and nothing is free, and they would wait longer than they take to come back', () => {
    expect(rebalance(stuck, [rich, dry], limits)).toEqual([{ name: 'a', value: 0, expected: null }]);
    const exactly = { ...rich, compareAndSet: true, exact: 5 };
    expect(rebalance(stuck, [exactly, dry], limits)).toEqual([{ name: 'a', value: 0, expected: 5 }]);
    const quick = { ...rich, ratePerMs: 1 / (3 * second) };
    expect(rebalance(stuck, [quick, dry], limits)).toEqual([]);
    // 300 s until five are sold here; 294 s to take them back, and six more until the first buyer there.
    expect(rebalance(stuck, [{ ...rich, drain: 294 * second }, dry], limits)).toEqual([]);
    expect(rebalance(stuck, [{ ...rich, drain: 293 * second }, dry], limits)).toHaveLength(1);
  });

  test('not while something is free: a channel that is sold out gets that', () => {
    const raised = rebalance(newEscrow(26, { a: 5, b: 0 }), [rich, dry], limits);

    expect(raised.map(({ name, value }) => [name, value > 0])).toEqual([['b', true]]);
  });

  test('when no channel is sold out yet, but the others will be before these rights are back', () => {
    // The other one sells 1.7 units in the ten seconds that it takes.
    expect(rebalance(newEscrow(6, { a: 5, b: 1 }), [rich, dry], limits)).toEqual([
      { name: 'a', value: 0, expected: null },
    ]);
    expect(rebalance(newEscrow(7, { a: 5, b: 2 }), [rich, dry], limits)).toEqual([]);
  });

  test('not while the others have enough to sell meanwhile, but for one that is dry', () => {
    const plenty = facts('c', { ratePerMs: 10 / (60 * second), refill: 120 * second });
    const escrow = newEscrow(25, { a: 5, b: 0, c: 20 });

    expect(rebalance(escrow, [rich, dry, plenty], limits)).toContainEqual({
      name: 'a',
      value: 0,
      expected: null,
    });
    // What comes back soon is on its way already.
    const coming = underWay(restocked(escrow, 3), 'b', 3);
    expect(rebalance(coming, [rich, dry, plenty], limits).map(({ name }) => name)).not.toContain('a');
    const served = newEscrow(25, { a: 5, b: 4, c: 16 });
    expect(rebalance(served, [rich, dry, plenty], limits)).toEqual([]);
  });

  test('E3: all of it where a part would have to stay, when a channel that sells far more has none', () => {
    const idle = facts('a', { ratePerMs: 1 / (86_400 * second), drain: 3 * second });
    const other = { ...idle, name: 'c' };
    const starved = newEscrow(4, { a: 4, b: 0, c: 0 });

    expect(rebalance(starved, [idle, dry, other], limits)).toContainEqual({
      name: 'a',
      value: 0,
      expected: null,
    });
    expect(rebalance(newEscrow(5, { a: 4, b: 1, c: 0 }), [idle, dry, other], limits)).toEqual([]);
  });

  test('E3: all of it where a part would have to stay, for a channel that sells more alone than each of these units here', () => {
    const here = facts('a', { ratePerMs: 1 / (60 * second), refill: 600 * second, drain: 5 * second });
    const there = (ratePerMinute: number) =>
      facts('b', { ratePerMs: ratePerMinute / (60 * second), refill: 120 * second, quantityMax: 2 });
    const handed = (ratePerMinute: number) =>
      rebalance(newEscrow(3, { a: 3, b: 0 }), [here, there(ratePerMinute)], limits);

    expect(shares(3, [here, there(10)])).toEqual([1, 2]);
    expect(handed(10)).toEqual([{ name: 'a', value: 0, expected: null }]);
    expect(handed(3)).toEqual([]);
  });

  test('E3: all of it where a part would have to stay, for a channel of the same pace, when it is back before many buyers have come', () => {
    const pace = { ratePerMs: 1 / (600 * second), refill: 200 * second };
    const slow = facts('a', { ...pace, drain: 400 * second });
    const fast = facts('b', pace);
    const kept = newEscrow(4, { a: 4, b: 0 });

    expect(shares(4, [slow, fast])).toEqual([1, 2]);
    expect(rebalance(kept, [slow, fast], limits)).toEqual([{ name: 'a', value: 0, expected: null }]);
    const slower = { ...slow, drain: 401 * second };
    expect(rebalance(kept, [slower, fast], limits)).toEqual([]);
  });

  test('not where a part would have to stay, because an absolute write cannot know how much is left', () => {
    const level = facts('b', { ratePerMs: 1 / (60 * second), refill: 600 * second });

    expect(rebalance(stuck, [rich, level], { ...limits, patience: 1 })).toEqual([]);
    const exactly = { ...rich, compareAndSet: true, exact: 5 };
    expect(rebalance(stuck, [exactly, level], { ...limits, patience: 1 })).toEqual([
      { name: 'a', value: 3, expected: 5 },
    ]);
    expect(unitOf(reoffered(stuck, 'a', 1), 'a').cur).toBe(6);
  });
});
