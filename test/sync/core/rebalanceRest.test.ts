/** Proves S5 and E3 of rights together: what lies still is not carried from channel to channel, and yet each channel gets its chance. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Demand, demandAged, ratesOf } from '../../../src/sync/core/demand.ts';
import { confirmed, type Escrow, grant, newEscrow, settledRights } from '../../../src/sync/core/escrow.ts';
import { rebalanceUnit } from '../../../src/sync/core/escrowUnit.ts';
import { demandLimits, rebalanceLimits } from '../../../src/sync/core/limits.ts';
import { rebalance } from '../../../src/sync/core/rebalance.ts';
import type { Shadow } from '../../../src/sync/core/shadow.ts';
import { sale, second, shadowOf, written } from './support.ts';

const minute = 60 * second;
const hour = 60 * minute;

/** What each channel had sold in how much time on sale, and how long units under way are on sale nowhere. */
const channel = fc.record({
  sold: fc.nat(12),
  shownMs: fc.integer({ min: 0, max: hour }),
  drain: fc.integer({ min: second, max: 10 * minute }),
  compareAndSet: fc.boolean(),
});

test('S5: once the last sale is a day ago a channel hands its rights on every few hours at most, however alike the channels sell', () => {
  fc.assert(
    fc.property(
      fc.array(channel, { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 1, max: 6 }),
      (channels, units) => {
        const names = channels.map((_, index) => `channel ${index}`);
        const shows = names.map(() => 0);
        let demands: readonly Demand[] = channels.map(({ sold, shownMs }) => ({
          units: sold,
          shownMs,
          at: 0,
        }));
        let escrow: Escrow = newEscrow(units, Object.fromEntries(names.map((name) => [name, 0])));
        let writtenAt = names.map(() => 0);
        let steps = 0;
        for (let now = minute; now <= 48 * hour; now += minute) {
          demands = demands.map((demand, index) => demandAged(demand, shows[index] !== 0, now, demandLimits));
          const rates = ratesOf(demands, demandLimits);
          const taking = channels.map(({ drain, compareAndSet }, index) => ({
            name: names[index] ?? '',
            ratePerMs: rates[index] ?? 0,
            refill: drain + 30 * second,
            drain,
            compareAndSet,
            exact: shows[index] ?? 0,
            quantityMax: 999,
            still: now - (writtenAt[index] ?? 0),
          }));
          for (const { name, value, expected } of rebalance(escrow, taking, rebalanceLimits)) {
            escrow = confirmed(grant(escrow, name, { key: 'key', value, expected, sentAt: now }), name, now);
            escrow = settledRights(escrow, name, now);
            shows[names.indexOf(name)] = value;
            writtenAt = writtenAt.map((at, index) => (names[index] === name ? now : at));
            if (now > 24 * hour) steps += 1;
          }
        }
        // What is taken back is one step, what is granted with it another.
        expect(steps).toBeLessThanOrEqual((2 * names.length * 24 * hour) / rebalanceLimits.stillMax);
      },
    ),
    { numRuns: 100 },
  );
});

/** The only unit lies on a channel that sells, and another one sells `faster` times as fast. */
function stepsFor(faster: number, still: number): readonly string[] {
  const ratePerMs = 1 / hour;
  const facts = {
    refill: minute,
    drain: minute,
    compareAndSet: false,
    exact: null,
    quantityMax: 999,
    still,
  };
  const units = [
    { ...facts, name: 'here', ratePerMs },
    { ...facts, name: 'there', ratePerMs: ratePerMs * faster },
  ];
  return rebalance(newEscrow(1, { here: 1, there: 0 }), units, rebalanceLimits).map(({ name }) => name);
}

test('the last unit goes at once where twice as many buy, and where a few more do only after it lay still for hours', () => {
  const { fasterBy, stillMax } = rebalanceLimits;
  expect(stepsFor(fasterBy + 0.1, 0)).toEqual(['here']);
  expect(stepsFor(fasterBy - 0.1, stillMax - 1)).toEqual([]);
  expect(stepsFor(fasterBy - 0.1, stillMax)).toEqual(['here']);
  expect(stepsFor(1, stillMax)).toEqual([]);
});

test('a unit lies still from its newest write or known sale on', () => {
  const pace = { ratePerMs: 1, sight: 0, landing: 0, drain: 0, compareAndSet: false, quantityMax: 999 };
  const still = (shadow: Shadow) => rebalanceUnit(shadow, pace, hour).still;
  const shown = written(shadowOf(3), ['three', 3], 10 * minute, 'effective');
  expect(still(shown)).toBe(50 * minute);
  expect(still(sale(shown, 1, 30 * minute, 40 * minute))).toBe(30 * minute);
});
