/** Proves S3 over random schedules: an edit from outside that is followed by quiet is reported as large as it was, whatever happened before and whoever has sold meanwhile. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { Schedule, staleMaxMs } from '../support/raceSchedule.ts';
import { place, platforms, type Step, step } from '../support/raceSteps.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

/** How often what is not explained is read again. */
const verifyMs = 10_000;
/** Of the slowest to tell of its orders, and once more the time that a reading may be old. */
const quietMs = 60_000 + 2 * staleMaxMs;

test('S3: an outside edit, and then quiet of the index lag and twice the age of a reading: it is always reported', async () => {
  const reported = { raises: 0, cuts: 0 };
  await fc.assert(
    fc.asyncProperty(
      // Whether a cancelled unit came back on sale by itself stays open where nothing was written since: that may hide an edit.
      fc.array(
        step.filter(({ kind }) => kind !== 'cancel'),
        { minLength: 2, maxLength: 14 },
      ),
      fc.array(place, { maxLength: 4 }),
      place,
      fc.integer({ min: -3, max: 3 }).filter((delta) => delta !== 0),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (steps: readonly Step[], buyers, on, wished, age) => {
        const schedule = await Schedule.open(open.pool);
        const { race } = schedule;
        for (const each of steps) await schedule.take(each);
        await schedule.quiet();
        await schedule.pass(staleMaxMs);
        // Nobody has heard of these yet, and one of them may hide the edit until somebody has.
        for (const buyer of buyers) schedule.buy(buyer);
        const before = race.shows(on);
        schedule.edit(on, Math.max(0, before + wished));
        const delta = race.shows(on) - before;

        schedule.age = age;
        await schedule.pass(staleMaxMs);
        // A webhook, or the reading that is due now and then.
        for (const platform of platforms) await schedule.readNow(platform);
        // From here on by itself: orders are polled, and what is not explained is read again when it is due.
        let reread = false;
        for (let passed = 0; passed <= quietMs; passed += verifyMs) {
          await schedule.pass(verifyMs);
          for (const platform of platforms) await race.poll(platform);
          // An order makes its listing be read before anything is written to it.
          const sold = (await support.readDirty(open.pool, race.at(on).listingId))?.reread === true;
          if (sold && !reread) await schedule.readNow(on);
          reread ||= sold;
          for (const platform of platforms) await race.read(platform);
        }
        const found = race.proven.map(({ listing, proof }) => [listing.platform, Math.sign(proof.delta)]);
        expect(found).toEqual(delta === 0 ? [] : [[on, Math.sign(delta)]]);
        // A raise is proven at once, less what was sold there and nobody had heard of; a cut waits for that.
        const hidden = delta > 0 ? buyers.filter((buyer) => buyer === on).length : 0;
        for (const { proof } of race.proven) {
          expect(proof.delta).toBeLessThanOrEqual(delta);
          expect(proof.delta).toBeGreaterThanOrEqual(delta - hidden);
        }
        reported.raises += delta > 0 ? 1 : 0;
        reported.cuts += delta < 0 ? 1 : 0;
      },
    ),
    { numRuns: 30, endOnFailure: true },
  );
  expect(Math.min(reported.raises, reported.cuts)).toBeGreaterThan(3);
}, 240_000);
