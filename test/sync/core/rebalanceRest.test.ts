/** Proves S5 of rights: what lies still where nobody buys is not carried from channel to channel. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Demand, demandAged, ratesOf } from '../../../src/sync/core/demand.ts';
import { confirmed, type Escrow, grant, newEscrow, settledRights } from '../../../src/sync/core/escrow.ts';
import { demandLimits, rebalanceLimits } from '../../../src/sync/core/limits.ts';
import { rebalance } from '../../../src/sync/core/rebalance.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** What each channel had sold in how much time on sale, and how long units under way are on sale nowhere. */
const channel = fc.record({
  sold: fc.nat(12),
  shownMs: fc.integer({ min: 0, max: hour }),
  drain: fc.integer({ min: second, max: 10 * minute }),
  compareAndSet: fc.boolean(),
});

test('S5: once the last sale is a day ago no right is handed on any more, however alike the channels sell', () => {
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
        let lastStepAt = 0;
        for (let now = minute; now <= 30 * hour; now += minute) {
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
          }));
          for (const { name, value, expected } of rebalance(escrow, taking, rebalanceLimits)) {
            escrow = confirmed(grant(escrow, name, { key: 'key', value, expected, sentAt: now }), name, now);
            escrow = settledRights(escrow, name, now);
            shows[names.indexOf(name)] = value;
            lastStepAt = now;
          }
        }
        expect(lastStepAt).toBeLessThan(24 * hour);
      },
    ),
    { numRuns: 150 },
  );
});
