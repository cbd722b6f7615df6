/** C3 as a property: applying a plan is idempotent and an undo is its inverse, whatever is sold meanwhile and wherever the worker dies. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { setPlanEntries } from '../../src/sync/planEntries.ts';
import { dyingPool, untilKilled } from '../support/dyingPool.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';
import { openPlanShop, type PlanShop, readEntries, readPlan } from '../support/planShop.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

type Listed = {
  readonly onHand: number;
  readonly shows: number;
  readonly winner: 'ledger' | 'channel' | 'skip';
  /** Units sold there after the plan was made, after it was applied. */
  readonly sold: readonly [number, number];
  /** Whether sync wrote to it before the plan. */
  readonly enabled: boolean;
};

type Scenario = {
  readonly listed: readonly Listed[];
  readonly kills: readonly number[];
  readonly buffer: number;
  readonly compareAndSet: boolean;
  readonly awaiting: boolean;
};

const listed: fc.Arbitrary<Listed> = fc.record({
  onHand: fc.nat({ max: 12 }),
  shows: fc.nat({ max: 12 }),
  winner: fc.constantFrom('ledger', 'ledger', 'channel', 'skip'),
  sold: fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })),
  enabled: fc.boolean(),
});

const scenario: fc.Arbitrary<Scenario> = fc.record({
  listed: fc.array(listed, { minLength: 1, maxLength: 5 }),
  // Before which statement the worker dies, again and again.
  kills: fc.array(fc.nat({ max: 45 }), { maxLength: 5 }),
  buffer: fc.nat({ max: 2 }),
  compareAndSet: fc.boolean(),
  awaiting: fc.boolean(),
});

type Placed = Listed & {
  readonly item: fixtures.TestItem;
  readonly unit: string;
  readonly elsewhere: string;
};

/** A listing that sync writes to already shows what it should; the others show what they like. */
async function place(shop: PlanShop, { listed: all, buffer }: Scenario): Promise<readonly Placed[]> {
  const placed: Placed[] = [];
  for (const each of all) {
    const item = await shop.item(fixtures.unique('SKU'), each.onHand);
    const shows = each.enabled ? Math.max(0, each.onHand - buffer) : each.shows;
    const unit = shop.offer(item.sku, shows);
    const elsewhere = await shop.elsewhere(item, each.onHand);
    placed.push({ ...each, shows, item, unit, elsewhere });
  }
  return placed;
}

async function prepare(
  shop: PlanShop,
  placed: readonly Placed[],
  { buffer, awaiting }: Scenario,
): Promise<void> {
  await open.pool.query('UPDATE connections SET rule = $2, awaiting_plan = $3 WHERE id = $1', [
    shop.connection.id,
    buffer === 0 ? {} : { buffer },
    awaiting,
  ]);
  // The import of the first plan makes the listings known.
  await shop.planned();
  for (const { unit, enabled } of placed)
    await open.pool.query('UPDATE listings SET sync_enabled = $2 WHERE unit_id = $1', [unit, enabled]);
}

type State = {
  readonly enabled: Readonly<Record<string, boolean>>;
  readonly awaiting: boolean;
  readonly onHand: readonly number[];
};

async function stateOf(shop: PlanShop, placed: readonly Placed[]): Promise<State> {
  const { rows } = await open.pool.query<{ unit_id: string; sync_enabled: boolean; awaiting_plan: boolean }>(
    `SELECT unit_id, listing.sync_enabled, awaiting_plan FROM listings listing JOIN connections connection ON connection.id = connection_id
      WHERE connection_id = $1`,
    [shop.connection.id],
  );
  const stocks = await Promise.all(placed.map(({ item }) => readStock(open.pool, item.id)));
  return {
    enabled: Object.fromEntries(rows.map((row) => [row.unit_id, row.sync_enabled])),
    awaiting: rows[0]?.awaiting_plan ?? false,
    onHand: stocks.map(({ quantity }) => quantity),
  };
}

/** Works until the plan ends, dying before each of these statements first. */
async function workDying(shop: PlanShop, planId: string, kills: readonly number[]): Promise<string> {
  for (const statements of kills) {
    await untilKilled(shop.work(planId, { pool: dyingPool(open.pool, statements) }));
    await shop.leasesEnd();
    await shop.poll();
  }
  return shop.finish(planId);
}

async function choose(shop: PlanShop, planId: string, placed: readonly Placed[]): Promise<void> {
  const entries = await readEntries(open.pool, planId);
  for (const { unit, winner } of placed) {
    const outcome = await setPlanEntries(shop.options(), shop.caller, {
      planId,
      listingIds: [entries[unit]?.listing_id ?? ''],
      action: null,
      winner,
    });
    expect(outcome).toMatchObject({ ok: true });
  }
}

/** As many as the channel still shows. Answers how many were sold. */
function sell(shop: PlanShop, { unit, item }: Placed, units: number): number {
  const sold = Math.min(units, shop.shows(unit) ?? 0);
  if (sold > 0) shop.sell(unit, item.sku, sold);
  return sold;
}

async function checkApplied(
  shop: PlanShop,
  planId: string,
  placed: readonly Placed[],
  buffer: number,
): Promise<void> {
  const entries = await readEntries(open.pool, planId);
  for (const each of placed) {
    const { available } = await readStock(open.pool, each.item.id);
    expect(entries[each.unit]).toMatchObject({ state: 'applied', enabled: each.winner !== 'skip' });
    if (each.winner !== 'skip') expect(shop.shows(each.unit)).toBe(Math.max(0, available - buffer));
    expect(shop.shows(each.elsewhere)).toBe(Math.max(0, available));
  }
}

async function run(it: Scenario): Promise<void> {
  const shop = await openPlanShop(open.pool);
  shop.channel.capabilities.compareAndSet = it.compareAndSet;
  const placed = await place(shop, it);
  await prepare(shop, placed, it);
  const before = await stateOf(shop, placed);
  const planId = await shop.create({ replace: true });
  await workDying(shop, planId, it.kills);
  await choose(shop, planId, placed);

  shop.later(60_000);
  const soldFirst = placed.map((each) => sell(shop, each, each.sold[0]));
  await shop.poll();
  shop.later(60_000);
  await shop.apply(planId);
  expect(await workDying(shop, planId, it.kills)).toBe('applied');
  const counted = await readPlan(open.pool, planId);
  expect([counted.applied, counted.changed]).toEqual([placed.length, 0]);
  await shop.push();
  await checkApplied(shop, planId, placed, it.buffer);
  const applied = await stateOf(shop, placed);
  await shop.apply(planId);
  await shop.finish(planId);
  expect(await stateOf(shop, placed)).toEqual(applied);

  shop.later(60_000);
  const soldThen = placed.map((each) => sell(shop, each, each.sold[1]));
  shop.later(60_000);
  await shop.undo(planId);
  expect(await workDying(shop, planId, it.kills)).toBe('undone');
  await shop.poll();
  await shop.push();
  expect(await stateOf(shop, placed)).toEqual(before);
  for (const [index, each] of placed.entries()) {
    const { available } = await readStock(open.pool, each.item.id);
    const sold = (soldFirst[index] ?? 0) + (soldThen[index] ?? 0);
    const expected = each.enabled ? Math.max(0, available - it.buffer) : Math.max(0, each.shows - sold);
    expect([each, shop.shows(each.unit)]).toEqual([each, expected]);
    expect(shop.shows(each.elsewhere)).toBe(Math.max(0, available));
  }
  expect(await ledgerBreaches(open.pool)).toEqual([]);
}

test('C3: applying twice is applying once, and an undo leaves what would be there without the plan', async () => {
  await fc.assert(fc.asyncProperty(scenario, run), { numRuns: 25 });
}, 300_000);
