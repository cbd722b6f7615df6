/** Proves I6 for the push: a worker may die at any point of it, and what the next one leaves is what would be there if none had died. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as support from '../support/channel.ts';
import { dyingPool, KilledError, type Life, untilKilled } from '../support/dyingPool.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';
import { Schedule } from '../support/raceSchedule.ts';
import { answers, place, platforms, type Step, step } from '../support/raceSteps.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

/** Before its n-th statement, right before a write leaves, or when the channel has it and nobody has taken its answer. */
const death = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ at: fc.constant('statement' as const), n: fc.integer({ min: 0, max: 24 }) }),
  },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('before sending' as const) }) },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('after sending' as const) }) },
);
const crash = fc.record({
  kind: fc.constant('crash' as const),
  on: place,
  doing: fc.constantFrom('push' as const, 'push' as const, 'read' as const),
  answer: fc.constantFrom(...answers),
  death,
});
type Crash = typeof crash extends fc.Arbitrary<infer Value> ? Value : never;

const forever = Number.POSITIVE_INFINITY;

function pushDiesAt(at: Crash['death']): (Step | Crash)[] {
  return [
    { kind: 'move', delta: -2 },
    { kind: 'crash', on: 'shopify', doing: 'push', answer: 'lands', death: at },
  ];
}
/** One of each kind, so that none is left to chance. */
const everyDeath: [(Step | Crash)[]][] = [
  [pushDiesAt({ at: 'statement', n: 6 })],
  [pushDiesAt({ at: 'before sending' })],
  [pushDiesAt({ at: 'after sending' })],
];

/** Where workers have died, by what they left behind. */
type Deaths = { claimed: number; recorded: number; sent: number };

async function dieOn(
  schedule: Schedule,
  { on, doing, answer, death: drawn }: Crash,
  deaths: Deaths,
): Promise<void> {
  const { race } = schedule;
  const life: Life = { left: drawn.at === 'statement' ? drawn.n : forever };
  const sentBefore = race.written(on).length;
  schedule.answer = answer;
  if (drawn.at !== 'statement')
    schedule.around = (carryOut) => {
      const answered = drawn.at === 'before sending' ? null : carryOut();
      life.left = -1;
      if (answered === null) throw new KilledError('killed');
      return answered;
    };
  const pool = dyingPool(open.pool, life);
  await untilKilled(doing === 'push' ? race.push(on, {}, pool) : schedule.readNow(on, pool));
  schedule.around = (carryOut) => carryOut();
  schedule.answer = 'lands';
  if (life.left < 0) {
    const sent = drawn.at !== 'before sending' && race.written(on).length > sentBefore;
    await note(schedule, on, sent, deaths);
  }
}

async function note(schedule: Schedule, on: Crash['on'], sent: boolean, deaths: Deaths): Promise<void> {
  const { listingId } = schedule.race.at(on);
  const dirty = await support.readDirty(open.pool, listingId);
  const writes = await support.readWrites(open.pool, listingId);
  if (!writes.some(({ state }) => state === 'sent')) deaths.claimed += dirty?.leased === true ? 1 : 0;
  else if (sent) deaths.sent += 1;
  else deaths.recorded += 1;
}

/** What the facts alone say: what people moved, less what buyers have taken and kept. */
function left(steps: readonly (Step | Crash)[], { race }: Schedule): number {
  const moved = steps.reduce((sum, each) => sum + (each.kind === 'move' ? each.delta : 0), 4);
  const lines = race.placed.flatMap(({ order }) => order.lines);
  return lines.reduce((units, { reserved }) => units - reserved, moved);
}

async function openRows({ race }: Schedule): Promise<readonly unknown[]> {
  const { rows } = await open.pool.query(
    `SELECT 'dirty' AS kind, listing_id FROM dirty_listings WHERE account_id = $1
     UNION ALL
     SELECT 'write', listing_id FROM listing_writes WHERE account_id = $1 AND state IN ('sent', 'accepted', 'unknown')`,
    [race.item.accountId],
  );
  return rows;
}

test('I6: whatever point of a push or a reading a worker dies at, the next one ends with every channel at its target and nothing lost', async () => {
  const deaths: Deaths = { claimed: 0, recorded: 0, sent: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 3, arbitrary: step }, { weight: 2, arbitrary: crash }), {
        minLength: 6,
        maxLength: 24,
      }),
      async (steps) => {
        const schedule = await Schedule.open(open.pool);
        const { race } = schedule;
        for (const each of steps) {
          if (each.kind === 'crash') await dieOn(schedule, each, deaths);
          else await schedule.take(each);
        }
        await schedule.quiet();
        expect(schedule.breaches).toEqual([]);
        const available = left(steps, schedule);
        expect(await readStock(open.pool, race.item.id)).toMatchObject({ available });
        expect(platforms.map((platform) => race.shows(platform))).toEqual(
          platforms.map(() => Math.max(0, available)),
        );
        for (const platform of platforms)
          expect(await race.shadow(platform)).toMatchObject({
            hold: 0,
            raises_stopped: false,
            shown_min: Math.max(0, available),
            shown_max: Math.max(0, available),
          });
        expect(await openRows(schedule)).toEqual([]);
        expect(race.proven).toEqual([]);
      },
    ),
    { numRuns: 30, endOnFailure: true, examples: everyDeath },
  );
  expect(await ledgerBreaches(open.pool)).toEqual([]);
  for (const [where, count] of Object.entries(deaths)) expect([where, count > 0]).toEqual([where, true]);
}, 240_000);
