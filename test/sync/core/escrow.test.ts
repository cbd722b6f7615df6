/** Proves E1, E2 and E4 of the rights themselves: whatever lands when, no unit can be sold twice, and a broken assumption pauses the unit. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  booked,
  canGrant,
  chargedAtLeast,
  charges,
  confirmed,
  type Escrow,
  grant,
  newEscrow,
  provenAtMost,
  reoffered,
  restocked,
  settledRights,
  unitOf,
  violated,
  withdrawnGrant,
} from '../../../src/sync/core/escrow.ts';
import { allocationOf, type RebalanceUnit, rebalance } from '../../../src/sync/core/rebalance.ts';

const names = ['a', 'b', 'c'] as const;
type Name = (typeof names)[number];

function sold(escrow: Escrow, name: string, quantity: number, at: number, mayBePutBack = false): Escrow {
  return booked(escrow, name, { quantity, from: at, until: at, mayBePutBack });
}

function granted(escrow: Escrow, name: string, value: number, expected: number | null = null): Escrow {
  return grant(escrow, name, { key: 'key', value, expected, sentAt: 10 });
}

describe('rights', () => {
  const start = newEscrow(10, { a: 3, b: 2 });

  test('an absolute raise pays for all it shows, a compared one for the difference', () => {
    expect(start.free).toBe(5);
    expect(granted(start, 'a', 5).free).toBe(0);
    expect(granted(start, 'a', 5, 3).free).toBe(3);
    expect(canGrant(start, 'a', 6, null)).toBe(false);
    expect(canGrant(start, 'a', 8, 3)).toBe(true);
    expect(() => granted(start, 'a', 6)).toThrow('cannot be granted');
  });

  test.each<[Partial<Escrow>, string]>([
    [{ available: 11 }, 'E1: rights do not add up'],
    [
      { units: { ...start.units, a: { ...unitOf(start, 'a'), cur: -3, old: 6 } } },
      'E1: rights of a are below 0',
    ],
  ])('E1: a state that does not hold (%j) is never worked on', (broken, message) => {
    expect(() => chargedAtLeast({ ...start, ...broken }, 'b', 3)).toThrow(message);
  });

  test('what was replaced stays charged until every order before the confirmation is known', () => {
    const raised = confirmed(granted(start, 'a', 4), 'a', 20);

    expect(unitOf(raised, 'a')).toMatchObject({ cur: 4, old: 3, new: 0 });
    expect(settledRights(raised, 'a', 19).free).toBe(1);
    expect(settledRights(raised, 'a', 20).free).toBe(4);
    expect(settledRights(sold(raised, 'a', 2, 15), 'a', 20).free).toBe(2);
  });

  test('a late order beyond the replaced rights is taken from those in force', () => {
    const raised = confirmed(granted(start, 'a', 4), 'a', 20);

    expect(unitOf(sold(raised, 'a', 5, 15), 'a')).toMatchObject({ old: 0, cur: 2, paused: null });
    expect(unitOf(sold(raised, 'a', 1, 25), 'a')).toMatchObject({ old: 3, cur: 3 });
  });

  test('a compared write proves what it compared with, so what it takes back is free at once', () => {
    const lowered = confirmed(granted(start, 'a', 1, 3), 'a', 20);

    expect(unitOf(lowered, 'a')).toMatchObject({ cur: 1, old: 0 });
    expect(lowered.free).toBe(7);
  });

  test('a compared write keeps its rights when the sale that becomes known was already in what it compared with', () => {
    const soldUnseen = granted(newEscrow(5, { a: 1 }), 'a', 2, 0);
    const known = sold(soldUnseen, 'a', 1, 5);

    expect(unitOf(confirmed(known, 'a', 20), 'a')).toMatchObject({ cur: 2, old: 0 });
    expect(unitOf(confirmed(sold(granted(start, 'a', 5, 3), 'a', 1, 15), 'a', 20), 'a').cur).toBe(4);
  });

  test('units put back while a write is under way outlast it', () => {
    const underWay = reoffered(granted(start, 'a', 2), 'a', 1);

    expect(unitOf(settledRights(confirmed(underWay, 'a', 20), 'a', 20), 'a')).toMatchObject({
      cur: 3,
      old: 0,
    });
    expect(unitOf(withdrawnGrant(underWay, 'a'), 'a')).toMatchObject({ cur: 4, new: 0 });
  });

  test('a write that never happened gives its rights back', () => {
    expect(withdrawnGrant(granted(start, 'a', 5), 'a')).toEqual(start);
  });

  test('a proof of what can be sold at most frees the rest, and never adds rights', () => {
    expect(provenAtMost(granted(start, 'a', 5), 'a', 1).free).toBe(7);
    expect(provenAtMost(start, 'a', 9)).toBe(start);
    const soldOut = sold(granted(newEscrow(1, { a: 0 }), 'a', 1), 'a', 1, 15);
    expect(unitOf(provenAtMost(soldOut, 'a', 0), 'a').write).toBeNull();
  });

  test('a delivery is free, a cancellation only where the channel does not offer it again', () => {
    expect(restocked(start, 4).free).toBe(9);
    expect(reoffered(start, 'a', 1)).toMatchObject({ available: 11, free: 5 });
    expect(unitOf(reoffered(start, 'a', 1), 'a').cur).toBe(4);
  });

  test('stock that is taken away while it is granted is short until rights come back', () => {
    const short = restocked(start, -7);

    expect(short).toMatchObject({ available: 3, free: 0, shortfall: 2 });
    expect(sold(provenAtMost(short, 'a', 0), 'b', 1, 5)).toMatchObject({ free: 1, shortfall: 0 });
  });

  test('an item that enters with its whole stock on every channel is short by what is shown twice', () => {
    expect(newEscrow(4, { a: 4, b: 4 })).toMatchObject({ free: 0, shortfall: 4 });
  });
});

describe('E4: a violated assumption', () => {
  const start = newEscrow(5, { a: 2, b: 2 });

  test('A1: more sold than granted pauses the unit, and the units are missing elsewhere', () => {
    const oversold = sold(start, 'a', 3, 5);

    expect(unitOf(oversold, 'a').paused).toBe('A1');
    expect(oversold).toMatchObject({ available: 2, free: 0 });
  });

  test('A1: where the channel puts units back, only once every order is known', () => {
    const early = sold(start, 'a', 3, 5, true);

    expect(unitOf(early, 'a')).toMatchObject({ paused: null, owed: 1 });
    expect(unitOf(settledRights(early, 'a', 4), 'a').paused).toBeNull();
    expect(unitOf(settledRights(early, 'a', 5), 'a').paused).toBe('A1');
    const explained = settledRights(reoffered(early, 'a', 1), 'a', 5);
    expect(unitOf(explained, 'a')).toMatchObject({ paused: null, owed: 0, cur: 0 });
  });

  test('is taken to zero, gets nothing more, and keeps its first reason', () => {
    const paused = violated(violated(start, 'a', 'A4'), 'a', 'A2');
    const units = names.slice(0, 2).map((name) => facts(name));

    expect(unitOf(paused, 'a').paused).toBe('A4');
    expect(canGrant(paused, 'a', 1, null)).toBe(false);
    expect(rebalance(paused, units, limits)).toContainEqual({ name: 'a', value: 0, expected: null });
  });
});

const limits = { dryChance: 0.1, stuckMax: 1, patience: 0.5, fasterBy: 1, stillMax: 0 };

function facts(name: string, more: Partial<RebalanceUnit> = {}): RebalanceUnit {
  return {
    name,
    ratePerMs: 1 / 60_000,
    refill: 30_000,
    drain: 3_000,
    compareAndSet: false,
    exact: null,
    quantityMax: 999,
    still: 0,
    ...more,
  };
}

describe('rebalancing', () => {
  test('follows demand and gives a slow channel nothing that would be stuck there', () => {
    const units = [
      facts('a', { ratePerMs: 3 / 60_000 }),
      facts('b'),
      facts('c', { ratePerMs: 0.2 / 60_000, drain: 240_000 }),
    ];

    const allocation = allocationOf(4, units, limits);

    expect([...allocation.values()]).toEqual([3, 1, 0]);
    expect(allocationOf(1, units, limits).get('a')).toBe(1);
  });

  test('refills a dry channel from what is free', () => {
    expect(rebalance(newEscrow(5, { a: 0, b: 1 }), [facts('a'), facts('b')], limits)[0]).toMatchObject({
      name: 'a',
    });
  });

  test('drains what is shown twice when units are short', () => {
    const short = newEscrow(2, { a: 2, b: 2 });

    expect(rebalance(short, [facts('a'), facts('b')], limits).every(({ value }) => value === 0)).toBe(true);
    expect(rebalance(short, [facts('a'), facts('b')], limits)).not.toEqual([]);
  });

  test('never proposes what cannot be paid', () => {
    const shown = fc.record({ a: fc.nat(6), b: fc.nat(6), c: fc.nat(6) });
    fc.assert(
      fc.property(
        fc.nat(15),
        shown,
        fc.array(fc.double({ min: 0.01, max: 10, noNaN: true }), { minLength: 3, maxLength: 3 }),
        fc.boolean(),
        (stock, opening, paces, compared) => {
          let escrow = newEscrow(stock, opening);
          const units = names.map((name, index) =>
            facts(name, {
              ratePerMs: (paces[index] ?? 1) / 60_000,
              compareAndSet: compared,
              exact: opening[name],
            }),
          );
          for (const { name, value, expected } of rebalance(escrow, units, limits)) {
            expect(canGrant(escrow, name, value, expected)).toBe(true);
            escrow = grant(escrow, name, { key: name, value, expected, sentAt: 0 });
          }
          expect(escrow.available).toBe(escrow.free + charges(escrow) - escrow.shortfall);
        },
      ),
    );
  });
});

type Move = {
  readonly kind: 'sell' | 'learn' | 'grant' | 'land' | 'confirm' | 'settle' | 'deliver' | 'fail';
  readonly name: Name;
  readonly value: number;
  readonly compared: boolean;
};

const move: fc.Arbitrary<Move> = fc.record({
  kind: fc.constantFrom(
    'sell',
    'sell',
    'learn',
    'grant',
    'grant',
    'land',
    'confirm',
    'settle',
    'deliver',
    'fail',
  ),
  name: fc.constantFrom(...names),
  value: fc.nat(6),
  compared: fc.boolean(),
});

test('E1 and E2: under any interleaving of sales, news, writes and deliveries, what is displayed is physically there', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 80 }), (moves) => {
      const shop = new Shop();
      for (const one of moves) {
        shop.take(one);
        const displayed = names.reduce((sum, name) => sum + shop.shown[name], 0);
        expect(displayed).toBeLessThanOrEqual(shop.left);
        expect(shop.escrow.free).toBeGreaterThanOrEqual(0);
        expect(shop.escrow.available).toBe(shop.escrow.free + charges(shop.escrow) - shop.escrow.shortfall);
        expect(names.map((name) => unitOf(shop.escrow, name).paused)).toEqual([null, null, null]);
      }
    }),
    { numRuns: 2_000 },
  );
});

type Flight = { readonly value: number; readonly expected: number | null; landed: boolean | null };

/** Three channels that sell what they show, and an escrow that is told late. */
class Shop {
  now = 0;
  left = 9;
  readonly shown: Record<Name, number> = { a: 2, b: 2, c: 0 };
  escrow = newEscrow(9, this.shown);
  readonly unseen: Record<Name, { quantity: number; at: number }[]> = { a: [], b: [], c: [] };
  readonly flights: Partial<Record<Name, Flight>> = {};

  learnAll(name: Name): void {
    for (const { quantity, at } of this.unseen[name].splice(0))
      this.escrow = sold(this.escrow, name, quantity, at);
  }

  take({ kind, name, value, compared }: Move): void {
    this.now += 1;
    const flight = this.flights[name];
    switch (kind) {
      case 'sell':
        if (value < 1 || this.shown[name] < value) return;
        this.shown[name] -= value;
        this.left -= value;
        this.unseen[name].push({ quantity: value, at: this.now });
        return;
      case 'learn': {
        const [news] = this.unseen[name].splice(0, 1);
        if (news) this.escrow = sold(this.escrow, name, news.quantity, news.at);
        return;
      }
      case 'grant': {
        const expected = compared ? unitOf(this.escrow, name).cur : null;
        if (!canGrant(this.escrow, name, value, expected)) return;
        this.escrow = grant(this.escrow, name, { key: 'key', value, expected, sentAt: this.now });
        this.flights[name] = { value, expected, landed: null };
        return;
      }
      case 'land':
        if (flight === undefined || flight.landed !== null) return;
        flight.landed = flight.expected === null || flight.expected === this.shown[name];
        if (flight.landed) this.shown[name] = flight.value;
        return;
      case 'confirm':
        if (flight === undefined || flight.landed === null) return;
        this.escrow = flight.landed
          ? confirmed(this.escrow, name, this.now)
          : withdrawnGrant(this.escrow, name);
        delete this.flights[name];
        return;
      case 'settle':
        this.learnAll(name);
        this.escrow = settledRights(this.escrow, name, this.now);
        if (flight === undefined) this.escrow = provenAtMost(this.escrow, name, this.shown[name]);
        return;
      case 'deliver':
        this.left += value;
        this.escrow = restocked(this.escrow, value);
        return;
      case 'fail':
        if (flight === undefined || flight.landed !== null) return;
        this.escrow = withdrawnGrant(this.escrow, name);
        delete this.flights[name];
    }
  }
}
