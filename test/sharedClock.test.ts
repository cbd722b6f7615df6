/** Proves that processes on machines whose clocks differ, or are set, agree on the time. */
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { Queryable } from '../src/db.ts';
import { openSharedClock, type SharedClock } from '../src/sharedClock.ts';
import { createDatabase } from './support/database.ts';
import { openPool } from './support/fixtures.ts';
import { waitFor } from './support/waiting.ts';

const noon = Date.parse('2026-11-30T12:00:00Z');

/** A database whose clock and distance the test sets, and a machine on which time passes when the test says so. */
function createWorld() {
  const world = {
    /** Since noon by the database, and since the start of the machine. */
    at: 0,
    elapsed: 0,
    /** One way to the database, and back. */
    there: 0,
    back: 0,
    away: false,
    /** What the machine's own clock says: nobody asks it for the time. */
    machine: 0,
    pass(ms: number) {
      world.at += ms;
      world.elapsed += ms;
      world.machine += ms;
    },
  };
  const query = async () => {
    if (world.away) throw new Error('the database is away');
    world.pass(world.there);
    const rows = [{ at: noon + world.at }];
    world.pass(world.back);
    return { rows };
  };
  return { world, db: { query } as unknown as Queryable };
}

const errors: unknown[] = [];
const sets: number[] = [];
const log = {
  error: ({ error }: { readonly error: unknown }) => void errors.push(error),
  warn: ({ ms }: { readonly ms: number }) => void sets.push(ms),
};
afterEach(() => {
  errors.length = 0;
  sets.length = 0;
});

async function open({ world, db }: ReturnType<typeof createWorld>): Promise<SharedClock> {
  const clock = await openSharedClock({
    db,
    elapsed: () => world.elapsed,
    machine: () => world.machine,
    log,
  });
  onTestFinished(() => clock.close());
  return clock;
}

test('it tells the time of the database, to half of the quickest look, and goes on between two looks', async () => {
  const made = createWorld();
  made.world.there = 30;
  made.world.back = 10;
  const clock = await open(made);
  expect(Math.abs(clock.now() - (noon + made.world.at))).toBeLessThanOrEqual(20);
  const before = clock.now();
  made.world.pass(60_000);
  expect(clock.now() - before).toBe(60_000);
});

test('a slow look that explains the time changes nothing', async () => {
  const made = createWorld();
  const clock = await open(made);
  made.world.there = 4_000;
  await clock.check();
  made.world.there = 0;
  made.world.back = 4_000;
  await clock.check();
  expect(clock.now()).toBe(noon + made.world.at);
  expect(sets).toEqual([]);
});

test('a clock that runs fast is held back, and never goes back', async () => {
  const made = createWorld();
  const clock = await open(made);
  const before = clock.now();
  made.world.elapsed += 40;
  expect(clock.now()).toBe(before + 40);
  await clock.check();
  expect(clock.now()).toBe(before + 40);
  made.world.pass(39);
  expect(clock.now()).toBe(before + 40);
  made.world.pass(2);
  expect(clock.now()).toBe(before + 41);
  expect(sets).toEqual([]);
});

test('a clock that is wrong is put right by the next look, and one whose database was set goes by it, both told', async () => {
  const made = createWorld();
  const clock = await open(made);
  made.world.at += 300_000;
  expect(await clock.check()).toBe(300_000);
  expect(clock.now()).toBe(noon + 300_000);
  made.world.at -= 60_000;
  expect(await clock.check()).toBe(-60_000);
  expect(clock.now()).toBe(noon + 240_000);
  expect(sets).toEqual([300_000, -60_000]);
});

test('a jump of the machine’s clock has it look at once, whatever it was: the machine may have slept', async () => {
  const made = createWorld();
  const { world } = made;
  const clock = await open(made);
  world.at += 300_000;
  world.machine += 300_000;
  clock.now();
  await waitFor(() => clock.now() === noon + 300_000, { what: 'the clock to be right' });
  expect(sets).toEqual([300_000]);
  world.machine -= 3_600_000;
  clock.now();
  world.machine += 400;
  expect(await clock.check()).toBe(0);
  expect(clock.now()).toBe(noon + 300_000);
  expect(sets).toEqual([300_000]);
});

test('without its database it goes on, and says that it could not ask', async () => {
  const made = createWorld();
  const clock = await open(made);
  const { world } = made;
  world.away = true;
  world.pass(10_000);
  await expect(clock.check()).rejects.toThrow('the database is away');
  expect(clock.now()).toBe(noon + 10_000);
  world.machine += 5_000;
  clock.now();
  await waitFor(() => errors.length === 1, { what: 'the failure to be told' });
});

test('two of them on one PostgreSQL agree, whatever the clock of the machine says', async () => {
  const database = await createDatabase();
  onTestFinished(() => database[Symbol.asyncDispose]());
  const pool = openPool(database.url, 1);
  onTestFinished(() => pool.end());
  const options = { db: pool, log };
  const one = await openSharedClock(options);
  const other = await openSharedClock({ ...options, elapsed: () => performance.now() + 3_600_000 });
  onTestFinished(() => one.close());
  onTestFinished(() => other.close());
  const { rows } = await pool.query<{ at: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at',
  );
  const now = [one.now(), other.now()];
  for (const at of now) expect(Math.abs(at - (rows[0]?.at ?? 0))).toBeLessThan(1_000);
  expect([errors, sets]).toEqual([[], []]);
});
