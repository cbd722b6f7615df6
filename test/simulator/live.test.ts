/** The live mode drives the real product to rest with every promise kept, and says so when one is not. */
import { expect, test } from 'vitest';
import { UsageError } from '../../src/simulator/commandLine.ts';
import { buyersOf } from '../../src/simulator/liveBuyers.ts';
import { readLiveCommand } from '../../src/simulator/liveCommandLine.ts';
import type { LiveFacts } from '../../src/simulator/liveFacts.ts';
import { breachesOf } from '../../src/simulator/liveInvariants.ts';
import { channelOf, livePace } from '../../src/simulator/livePace.ts';
import { type LiveOptions, type LiveResult, liveRun } from '../../src/simulator/liveRun.ts';
import { demands, pageWorld } from '../../src/simulator/parameters.ts';
import { createDatabase } from '../support/database.ts';

/** The hour takes four seconds. */
const compress = 900;

async function run(
  options: Pick<LiveOptions, 'protection' | 'meanwhile'> & Partial<LiveOptions>,
): Promise<LiveResult> {
  await using database = await createDatabase();
  return await liveRun({ databaseUrl: database.url, seed: 1, world: pageWorld, compress, ...options });
}

function brokenPromises(facts: LiveFacts): readonly string[] {
  return [...new Set(breachesOf(facts).map((breach) => breach.slice(0, breach.indexOf(':'))))];
}

test.concurrent('an hour of a shared pool on the real product ends with every promise kept, and each promise can be seen to break', async () => {
  const { totals, breaches, timeline, facts } = await run({ protection: 'shared' });
  expect(breaches.length > 0 ? [...timeline, ...breaches] : []).toEqual([]);
  expect(totals.buyers).toBe(buyersOf(pageWorld, 1).length);
  expect(totals.sold).toBeGreaterThan(10);
  expect(brokenPromises(facts)).toEqual([]);

  const [item] = facts.items;
  const [write] = facts.writes;
  const [movement] = facts.movements;
  if (item === undefined || write === undefined || movement === undefined)
    throw new Error('nothing happened');
  const broken: readonly (readonly [string, LiveFacts])[] = [
    ['I1', { ...facts, items: [{ ...item, reserved: item.reserved + 1, available: item.available - 1 }] }],
    ['I2', { ...facts, ordered: facts.ordered.slice(1) }],
    ['I2', { ...facts, held: facts.held.slice(1) }],
    ['S2', { ...facts, conflicts: ['one'] }],
    ['S5', { ...facts, shown: facts.shown.map((one) => ({ ...one, units: one.units + 1 })) }],
    ['S5', { ...facts, restless: true }],
    ['S6', { ...facts, writes: [...facts.writes, { ...write, targetSeq: 0 }] }],
    ['S10', { ...facts, movements: [{ ...movement, kind: 'resolution' }, ...facts.movements.slice(1)] }],
  ];
  for (const [promise, changed] of broken) expect(brokenPromises(changed)).toContain(promise);
}, 60_000);

test.concurrent('an hour of escrow on the real product sells nothing that is not there', async () => {
  const { totals, breaches, timeline, facts } = await run({ protection: 'escrow' });
  expect(breaches.length > 0 ? [...timeline, ...breaches] : []).toEqual([]);
  expect(totals.sold).toBeGreaterThan(5);
  expect(totals.oversold).toBe(0);

  expect(brokenPromises({ ...facts, oversold: 1 })).toContain('E2');
  const [item] = facts.items;
  if (!item?.escrow) throw new Error('there is no escrow');
  const short = { ...item, escrow: { ...item.escrow, free: item.escrow.free + 1 } };
  expect(brokenPromises({ ...facts, items: [short] })).toContain('E1');
}, 60_000);

test.concurrent('a number that somebody else changes in the middle of the hour is told as a broken promise with its story', async () => {
  const { breaches, timeline } = await run({
    protection: 'shared',
    // Nobody buys: a write of ours could cover the edit up before anybody has read it.
    world: { ...pageWorld, buyersPerHour: 0, restock: 0 },
    meanwhile({ sandbox }) {
      const variant = sandbox.shops.ebay.variantBySku('ITEM-1');
      sandbox.shops.ebay.editOutside(variant?.id ?? '', 500);
    },
  });
  expect(breaches.join('\n')).toMatch(/^S2: a conflict without an outside edit: QUANTITY_MISMATCH/m);
  expect(timeline.join('\n')).toMatch(/\d s {2}ebay ITEM-1: outsideEdit \d+ -> 500$/m);
}, 60_000);

test('the same seed brings the same buyers, and another one others', () => {
  const rush = { ...pageWorld, buyersPerHour: demands.rush };
  expect(buyersOf(rush, 3)).toEqual(buyersOf(rush, 3));
  expect(buyersOf(rush, 3)).not.toEqual(buyersOf(rush, 4));
  expect(buyersOf(rush, 3).length).toBeGreaterThan(150);
});

test('bounds are the compressed durations and what a real machine cannot make shorter', () => {
  const amazon = channelOf(pageWorld, 'amazon');
  expect(livePace(pageWorld, 60).shop(amazon).writeEffectMs).toEqual({ min: 1_000, max: 7_000 });
  expect(livePace(pageWorld, 60).bounds(amazon).settleMaxMs).toBeGreaterThan(7_000 + 1_000);
  expect(livePace(pageWorld, 60).bounds(amazon).clockSkewMaxMs).toBe(1_000);
});

test('words that mean nothing are refused', () => {
  expect(readLiveCommand(['--live', '--protection', 'escrow', '--demand', 'rush']).world.buyersPerHour).toBe(
    240,
  );
  expect(() => readLiveCommand(['--live', '--compress', '0'])).toThrow(UsageError);
  expect(() => readLiveCommand(['--live', '--protection', 'none'])).toThrow(UsageError);
  expect(() => readLiveCommand(['--live', '--policy', 'shadow'])).toThrow(UsageError);
});
