/** Proves the shadow's invariants S4 to S7 and S10 over random schedules: marketplaces that sell, cancel, read stale and lose answers, and real code between them. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ChannelError, type Order, type Platform } from '../../src/connectors/connector.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';
import { Race } from '../support/race.ts';
import { Schedule } from '../support/raceSchedule.ts';
import { place, platforms, type Step, step } from '../support/raceSteps.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

test('S2, S4, S5 and S6: channels that disagree are no conflict, no raise goes over anything unsettled, no older number after a newer one, and quiet ends at the target', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 30 }), async (steps: readonly Step[]) => {
      const schedule = await Schedule.open(open.pool);
      const { race } = schedule;
      for (const each of steps) await schedule.take(each);
      await schedule.quiet();
      const counted = schedule.writes();
      await race.pass(2_000_000);
      for (const platform of platforms) {
        await race.poll(platform);
        await race.read(platform);
      }
      await race.pushAll();
      expect(schedule.breaches).toEqual([]);
      // S2: nobody has edited anything.
      expect(race.proven.map(({ listing, proof }) => [listing.platform, proof.delta])).toEqual([]);
      const { available } = await readStock(open.pool, race.item.id);
      expect(platforms.map((platform) => race.shows(platform))).toEqual(
        platforms.map(() => Math.max(0, available)),
      );
      expect(schedule.writes()).toBe(counted);
      for (const platform of platforms)
        expect(await race.shadow(platform)).toMatchObject({ hold: 0, raises_stopped: false });
      // I3: what moved the stock was people and orders.
      const kinds = (await readMovements(open.pool, race.item.id)).map(({ kind }) => kind);
      expect(kinds.filter((kind) => !['opening', 'adjustment', 'order'].includes(kind))).toEqual([]);
    }),
    { numRuns: 30, endOnFailure: true },
  );
  expect(await ledgerBreaches(open.pool)).toEqual([]);
}, 180_000);

const quietStep = fc.oneof(
  fc.record({ kind: fc.constant('move' as const), delta: fc.integer({ min: -2, max: 4 }) }),
  fc.record({ kind: fc.constant('buy' as const), on: place }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 4_000, 61_000) }),
);

test('S7: the echo of what we wrote, told once or again and at any time, causes no write, no movement and no hold', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(quietStep, { minLength: 2, maxLength: 12 }), async (steps) => {
      const race = await Race.open(open.pool, 4, platforms);
      race.at('shopify').channel.capabilities.compareAndSet = true;
      await race.know();
      const writes = (): number => platforms.reduce((sum, on) => sum + race.written(on).length, 0);
      for (const each of steps) {
        if (each.kind === 'move' && each.delta !== 0)
          await support.moveStock(open.pool, race.item, each.delta);
        if (each.kind === 'buy' && race.shows(each.on) > 0) await race.hear(race.buy(each.on));
        if (each.kind === 'time') await race.pass(each.ms);
        await race.pushAll(1);
        const before = [writes(), (await readMovements(open.pool, race.item.id)).length];
        await race.pass(1);
        for (const on of [...platforms, ...platforms]) expect(await race.tell(on, race.shows(on))).toBe(0);
        await race.pushAll(1);
        expect([writes(), (await readMovements(open.pool, race.item.id)).length]).toEqual(before);
        for (const on of platforms) expect(await race.shadow(on)).toMatchObject({ hold: 0 });
      }
      expect([race.asked, race.proven]).toEqual([[], []]);
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);

const badAnswer = fc.constantFrom('not tracked', 'unknown', 'missing', 'error', 'broken orders');

test('S10: “not tracked”, errors, missing rows and truncated pages change nothing, whatever was under way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 2, maxLength: 15 }),
      fc.array(badAnswer, { minLength: 1, maxLength: 4 }),
      async (steps, bad) => {
        const schedule = await Schedule.open(open.pool);
        const { race } = schedule;
        for (const each of steps) await schedule.take(each);
        // What time and earlier knowledge change by themselves has happened then.
        for (const on of platforms) await answered(schedule, on, 'unknown');
        const before = await stateOf(race);
        for (const each of bad) for (const on of platforms) await answered(schedule, on, each);
        expect(await stateOf(race)).toEqual(before);
        expect(schedule.breaches).toEqual([]);
      },
    ),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);

async function* truncated(): AsyncIterable<readonly Order[]> {
  yield [];
  throw new ChannelError('invalid_response', 'the second page is missing');
}

async function answered(schedule: Schedule, on: Platform, how: string): Promise<void> {
  const { channel } = schedule.race.at(on);
  const honest = { read: channel.onRead, pages: channel.orderPages };
  if (how === 'not tracked') channel.onRead = () => ({ kind: 'notTracked' });
  if (how === 'unknown') channel.onRead = () => ({ kind: 'unknown', reason: 'an empty page' });
  if (how === 'missing') channel.onRead = () => undefined as never;
  if (how === 'error' || how === 'broken orders')
    channel.onRead = () => {
      throw new ChannelError('unavailable', 'out for lunch');
    };
  if (how === 'broken orders') {
    channel.orderPages = truncated;
    await schedule.race.poll(on);
  }
  await schedule.readNow(on);
  Object.assign(channel, { onRead: honest.read, orderPages: honest.pages });
}

/** Everything that may have consequences. */
async function stateOf(race: Race): Promise<unknown> {
  const { id } = race.item;
  const all = async (text: string): Promise<readonly unknown[]> =>
    (await open.pool.query<Record<string, unknown>>(text, [id])).rows;
  return {
    stock: await readStock(open.pool, id),
    shadows: await all(
      'SELECT listing_id, hold, raises_stopped, shown_min, shown_max, resurrected_units FROM shadows WHERE item_id = $1 ORDER BY listing_id',
    ),
    dirty: await all(
      'SELECT listing_id, reread FROM dirty_listings JOIN listings ON listings.id = listing_id WHERE item_id = $1 ORDER BY listing_id',
    ),
    writes: await all(
      'SELECT write.id, write.state FROM listing_writes write JOIN listings ON listings.id = write.listing_id WHERE item_id = $1 ORDER BY write.id',
    ),
    proven: race.proven.length,
  };
}
