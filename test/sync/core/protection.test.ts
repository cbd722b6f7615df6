/** Proves the one rule of automatic and suggested protection, and the numbers that it is explained with. */
import { describe, expect, test } from 'vitest';
import { type Demand, newDemand } from '../../../src/sync/core/demand.ts';
import { automaticProtection, protectionOf } from '../../../src/sync/core/protection.ts';
import { automaticBuffer } from '../../../src/sync/core/targets.ts';

function modeOf(...given: Parameters<typeof protectionOf>): string {
  return protectionOf(...given).protection;
}

describe('protection', () => {
  const pace = { ratePerMs: 1 / 60_000, reaction: 60_000 };
  const limits = { epsilon: 0.01, surge: 1 };

  test('escrow when little is left, the shared pool when much is, and no flicker between', () => {
    expect(modeOf(2, [pace], 'shared', limits)).toBe('escrow');
    expect(modeOf(50, [pace], 'escrow', limits)).toBe('shared');
    expect(modeOf(6, [pace], 'shared', limits)).toBe('shared');
    expect(modeOf(6, [pace], 'escrow', limits)).toBe('escrow');
  });

  test('escrow begins at the stock that sells meanwhile with the accepted chance, and ends above twice that', () => {
    // P[Poisson(1) > 4] is 0.4 %, P[Poisson(1) > 3] is 1.9 %.
    expect(modeOf(4, [pace], 'shared', limits)).toBe('escrow');
    expect(modeOf(5, [pace], 'shared', limits)).toBe('shared');
    expect(modeOf(8, [pace], 'escrow', limits)).toBe('escrow');
    expect(modeOf(9, [pace], 'escrow', limits)).toBe('shared');
  });

  test('escrow is for the surge at which all channels sell, until the slowest of them is under escrow', () => {
    // P[Poisson(3) > 8] is 0.4 %, P[Poisson(3) > 7] is 1.2 %.
    const third = { ratePerMs: pace.ratePerMs / 3, reaction: 60_000 };
    for (const [units, surge] of [
      [[pace], 3],
      [[pace, { ...pace, reaction: 0 }, pace], 1],
      [[third], 9],
      [[{ ...pace, reaction: 180_000 }], 1],
    ] as const) {
      expect(modeOf(8, units, 'shared', { ...limits, surge })).toBe('escrow');
      expect(modeOf(9, units, 'shared', { ...limits, surge })).toBe('shared');
    }
  });

  test('is chosen by the pace of all channels, the slowest reaction, and the buffer that a surge would need, all of which it tells', () => {
    const slow = { ratePerMs: pace.ratePerMs / 2, reaction: 180_000 };
    const rate = 1.5 * pace.ratePerMs;

    expect(protectionOf(9, [pace, slow], 'shared', { epsilon: 0.01, surge: 4 })).toEqual({
      protection: 'escrow',
      ratePerMs: rate,
      reaction: 180_000,
      needed: automaticBuffer(4 * rate, 180_000, 0.01),
    });
  });

  test('of a sold-out item is escrow, and of one that nobody sells too', () => {
    expect(modeOf(0, [pace], 'shared', limits)).toBe('escrow');
    expect(protectionOf(0, [], 'shared', limits)).toMatchObject({ protection: 'escrow', needed: 0 });
    expect(protectionOf(1, [], 'shared', limits)).toMatchObject({ protection: 'shared', needed: 0 });
  });
});

describe('automatic protection', () => {
  const hour = 3_600_000;
  const reaction = 30_000;
  const idle = { demand: newDemand(0), reaction };
  const brisk: Demand = { units: 60, shownMs: hour, at: hour };

  test('is escrow for a one-of-a-kind that has never sold, and the shared pool for two', () => {
    // Eight a day sell 0.003 in half a minute: more than the accepted 0.001, and two of them far less.
    expect(automaticProtection(1, [idle, idle], 'shared')).toMatchObject({ protection: 'escrow', needed: 1 });
    expect(automaticProtection(2, [idle, idle], 'shared')).toMatchObject({ protection: 'shared', needed: 1 });
  });

  test('counts what is sold lately: an item that sells every minute needs far more to stay in the shared pool', () => {
    const { needed, ratePerMs } = automaticProtection(
      50,
      [
        { demand: brisk, reaction },
        { ...idle, demand: newDemand(hour) },
      ],
      'shared',
    );

    expect(ratePerMs * hour).toBeGreaterThan(55);
    expect(needed).toBe(automaticBuffer(8 * ratePerMs, reaction, 0.001));
    expect(needed).toBeGreaterThan(8);
  });
});
