/** Proves that applying a plan does what somebody has looked at, once, and leaves alone what has become something else meanwhile. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setPlanEntries } from '../../src/sync/planEntries.ts';
import { applyPlan } from '../../src/sync/plans.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';
import { entryOf, openPlanShop, type PlanShop, readEntries, readPlan } from '../support/planShop.ts';

let open: fixtures.TestPool;
let shop: PlanShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPlanShop(open.pool);
});

const apply = (planId: string, acknowledgeLarge: boolean, idempotencyKey = fixtures.unique('key')) =>
  applyPlan(shop.options(), shop.caller, { planId, acknowledgeLarge, idempotencyKey });

async function choose(
  planId: string,
  units: readonly string[] | null,
  winner: 'ledger' | 'channel' | 'skip',
) {
  const entries = await readEntries(open.pool, planId);
  const listingIds = units?.map((unit) => entries[unit]?.listing_id ?? '') ?? null;
  const action = listingIds === null ? ('raise' as const) : null;
  return setPlanEntries(shop.options(), shop.caller, { planId, listingIds, action, winner });
}

async function awaiting(): Promise<boolean> {
  const { rows } = await open.pool.query<{ awaiting_plan: boolean }>(
    'SELECT awaiting_plan FROM connections WHERE id = $1',
    [shop.connection.id],
  );
  return rows[0]?.awaiting_plan ?? false;
}

/** Whether what waits to be pushed there counts towards the blast guard; null when nothing waits. */
async function guarded(unit: string): Promise<boolean | null> {
  const { rows } = await open.pool.query<{ guarded: boolean }>(
    'SELECT guarded FROM dirty_listings JOIN listings ON listings.id = listing_id WHERE unit_id = $1',
    [unit],
  );
  return rows[0]?.guarded ?? null;
}

/** A plan over so many listings that would zero some of them. */
async function sizeOf(listings: number, zeroed: number): Promise<string> {
  for (let index = 0; index < listings; index += 1) {
    await shop.item(`SKU-${index}`, index < zeroed ? 0 : 5);
    shop.offer(`SKU-${index}`, 5);
  }
  return shop.planned();
}

describe('where the ledger wins', () => {
  test('the listing is written to from now on, and the connection waits no longer', async () => {
    await shop.item('MUG', 9);
    await shop.item('BOWL', 0);
    const [mug, bowl] = [shop.offer('MUG', 3), shop.offer('BOWL', 5)];
    const planId = await shop.planned();
    expect(await awaiting()).toBe(true);
    await shop.apply(planId);
    expect(await shop.finish(planId)).toBe('applied');
    expect([await guarded(mug), await guarded(bowl)]).toEqual([false, false]);
    await shop.push();
    expect([shop.shows(mug), shop.shows(bowl)]).toEqual([9, 0]);
    expect(await awaiting()).toBe(false);
    expect(await readPlan(open.pool, planId)).toMatchObject({ applied: 2, changed: 0 });
  });

  test('the number is the ledger’s of that moment, and counts towards the blast guard when nobody has seen it', async () => {
    const item = await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 3);
    const planId = await shop.planned();
    await support.moveStock(open.pool, item, -9);
    await shop.apply(planId);
    await shop.finish(planId);
    expect(await guarded(mug)).toBe(true);
    await shop.push();
    expect(shop.shows(mug)).toBe(0);
  });

  test('sales between the plan and its application are no change', async () => {
    await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 5);
    const planId = await shop.planned();
    shop.later(10_000);
    shop.sell(mug, 'MUG', 2);
    shop.later(10_000);
    // The order is not known yet: the lower number must wait for it.
    await shop.apply(planId);
    await shop.work(planId);
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'pending', enabled: false });
    expect(await shop.finish(planId)).toBe('applied');
    await shop.push();
    expect(shop.shows(mug)).toBe(7);
  });
});

describe('what has changed since it was looked at', () => {
  test('is left as it is, with the reason, until it is planned anew', async () => {
    await shop.item('UP', 9);
    await shop.item('DOWN', 9);
    await shop.item('MOVED', 9);
    await shop.item('SILENT', 9);
    const units = ['UP', 'DOWN', 'MOVED', 'SILENT'].map((sku) => shop.offer(sku, 5));
    const [up = '', down = '', moved = '', silent = ''] = units;
    const planId = await shop.planned();
    support.show(shop.channel, { unitId: up, variantId: '' }, 6);
    support.show(shop.channel, { unitId: down, variantId: '' }, 4);
    shop.channel.shelf.delete(`${silent} `);
    const elsewhere = await shop.item('ELSE', 3);
    await open.pool.query('UPDATE listings SET item_id = $2 WHERE unit_id = $1', [moved, elsewhere.id]);
    await shop.apply(planId);
    expect(await shop.finish(planId)).toBe('applied');
    const entries = await readEntries(open.pool, planId);
    expect(units.map((unit) => [entries[unit]?.state, entries[unit]?.enabled, entries[unit]?.error])).toEqual(
      [
        ['changed', false, 'it shows 6 instead of 5, and nothing known raised it'],
        ['changed', false, 'it shows 4 instead of 5, and no known order lowered it'],
        ['changed', false, 'it sells another item now'],
        ['changed', false, 'the marketplace did not say what it shows'],
      ],
    );
    await shop.push();
    expect(shop.channel.writes).toEqual([]);
  });

  test.each([
    ['expired', `status = 'expired'`, 'PLAN_EXPIRED'],
    ['a day old', `created_at = now() - interval '25 hours'`, 'PLAN_EXPIRED'],
    ['undone', `status = 'undone'`, 'PLAN_STATUS'],
    ['still being made', `status = 'planning'`, 'PLAN_STATUS'],
  ])('a plan that is %s is not applied at all', async (_what, change, code) => {
    const planId = await shop.planned();
    await open.pool.query(`UPDATE sync_plans SET ${change} WHERE id = $1`, [planId]);
    expect(await apply(planId, true)).toMatchObject({ ok: false, problems: [{ code }] });
  });
});

describe('where the channel wins', () => {
  test('the ledger moves by the difference, the channel is not written, and other channels follow', async () => {
    const item = await shop.item('MUG', 9);
    const elsewhere = await shop.elsewhere(item, 9);
    const mug = shop.offer('MUG', 4);
    const planId = await shop.planned();
    expect(await choose(planId, [mug], 'channel')).toMatchObject({ ok: true, value: { entries: 1 } });
    expect(await readPlan(open.pool, planId)).toMatchObject({
      raising: 0,
      channel_wins: 1,
      units_added: 0,
      units_removed: 5,
    });
    await shop.apply(planId);
    await shop.finish(planId);
    await shop.push();
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 4 });
    expect([shop.shows(mug), shop.shows(elsewhere)]).toEqual([4, 4]);
    expect(shop.channel.writes).toEqual([]);
    expect(await readMovements(open.pool, item.id)).toMatchObject([
      { kind: 'opening' },
      { kind: 'adjustment', onHandDelta: -5 },
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('rules are counted in: what the channel shows is what our number becomes', async () => {
    const item = await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 4);
    await open.pool.query(`UPDATE connections SET rule = '{"buffer": 2}' WHERE id = $1`, [
      shop.connection.id,
    ]);
    const planId = await shop.planned({ winner: 'channel' });
    await shop.apply(planId);
    await shop.finish(planId);
    await shop.push();
    expect([shop.shows(mug), shop.channel.writes.length]).toEqual([4, 0]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 6 });
  });

  test('a sale that the channel shows at once and its order a minute later counts once', async () => {
    shop.channel.capabilities.indexLagMs = 60_000;
    const item = await shop.item('MUG', 5);
    const mug = shop.offer('MUG', 5);
    shop.sell(mug, 'MUG', 1);
    const hidden = [...shop.channel.orders];
    shop.channel.orders.clear();
    shop.later(5_000);
    const planId = await shop.planned({ winner: 'channel' });
    await shop.apply(planId);
    await shop.work(planId);
    await shop.poll();
    await shop.work(planId);
    expect(await readStock(open.pool, item.id)).toMatchObject({ available: 5 });
    shop.later(60_000);
    for (const [id, order] of hidden) shop.channel.orders.set(id, order);
    await shop.finish(planId);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 5, available: 4 });
  });

  test('a number that may be from before a sale is read again until it is from after it', async () => {
    shop.channel.capabilities.staleMaxMs = 60_000;
    const item = await shop.item('MUG', 5);
    const mug = shop.offer('MUG', 5);
    const planId = await shop.planned({ winner: 'channel' });
    shop.later(120_000);
    shop.sell(mug, 'MUG', 1);
    // The channel still answers from before the sale.
    support.show(shop.channel, { unitId: mug, variantId: '' }, 5);
    await shop.poll();
    shop.later(5_000);
    await shop.apply(planId);
    for (let round = 0; round < 15; round += 1) {
      await shop.work(planId);
      await shop.poll();
    }
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'pending' });
    support.show(shop.channel, { unitId: mug, variantId: '' }, 4);
    shop.later(70_000);
    expect(await shop.finish(planId)).toBe('applied');
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'applied' });
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 5, available: 4 });
  });

  test('sales between the plan and its application count once, also those that are known late', async () => {
    const item = await shop.item('MUG', 9);
    await shop.elsewhere(item, 9);
    const mug = shop.offer('MUG', 12);
    const planId = await shop.planned({ winner: 'channel' });
    shop.later(10_000);
    shop.sell(mug, 'MUG', 2);
    await shop.poll();
    shop.later(10_000);
    await shop.apply(planId);
    await shop.work(planId);
    // Sold after the second reading, and known before the orders are: the movement must not take it for a difference.
    shop.later(10_000);
    shop.sell(mug, 'MUG', 3);
    expect(await shop.finish(planId)).toBe('applied');
    await shop.poll();
    await shop.push();
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 12, reserved: 5, available: 7 });
    expect(shop.shows(mug)).toBe(7);
  });

  test('a sale too near to the reading is read again before anything is booked', async () => {
    const item = await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 12);
    const planId = await shop.planned({ winner: 'channel' });
    await shop.apply(planId);
    shop.sell(mug, 'MUG', 2);
    await shop.work(planId);
    await shop.poll();
    await shop.work(planId);
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'pending' });
    shop.later(10_000);
    expect(await shop.finish(planId)).toBe('applied');
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 12, reserved: 2 });
  });

  test('listings of one item must say the same, and a rule must let them', async () => {
    const item = await shop.item('MUG', 9);
    await shop.item('CAP', 9);
    const [one, two, capped] = [shop.offer('MUG', 4), shop.offer('MUG', 5), shop.offer('CAP', 5)];
    await shop.planned();
    await open.pool.query(`UPDATE listings SET rule = '{"quantityMax": 3}' WHERE unit_id = $1`, [capped]);
    const planId = await shop.planned({ replace: true, winner: 'channel' });
    const entries = await readEntries(open.pool, planId);
    // By default nothing is done where it cannot be decided.
    expect([one, two, capped].map((unit) => entries[unit]?.winner)).toEqual(['skip', 'skip', 'skip']);
    for (const units of [[one, two], [capped]]) {
      expect(await choose(planId, units, 'channel')).toMatchObject({
        ok: false,
        problems: [
          {
            code: 'CHANNEL_CANNOT_WIN',
            listingIds: units.map((unit) => entries[unit]?.listing_id ?? '').toSorted(),
          },
        ],
      });
    }
    expect(await entryOf(open.pool, planId, one)).toMatchObject({ winner: 'skip' });
    // One of them may win over the other.
    expect(await choose(planId, [one], 'channel')).toMatchObject({ ok: true });
    expect(await choose(planId, [two], 'ledger')).toMatchObject({ ok: true });
    await shop.apply(planId);
    await shop.finish(planId);
    await shop.push();
    expect([shop.shows(one), shop.shows(two), shop.shows(capped)]).toEqual([4, 4, 5]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 4 });
  });
});

describe('choosing', () => {
  test('skipped listings are switched off and stay as they are', async () => {
    const item = await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 4);
    const planId = await shop.planned();
    await choose(planId, null, 'skip');
    await shop.apply(planId);
    await shop.finish(planId);
    await support.moveStock(open.pool, item, 1);
    await shop.push();
    expect(shop.channel.writes).toEqual([]);
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'applied', enabled: false });
  });

  test('names listings that are in the plan and not left out, while it is ready', async () => {
    await shop.item('MUG', 9);
    const [mug, stranger] = [shop.offer('MUG', 4), shop.offer('STRANGER', 4)];
    const planId = await shop.planned();
    expect(await choose(planId, [mug, stranger], 'skip')).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND' }],
    });
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ winner: 'ledger' });
    const nothing = { planId, listingIds: null, action: null, winner: 'skip' } as const;
    expect(await setPlanEntries(shop.options(), shop.caller, nothing)).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT' }],
    });
    await shop.apply(planId);
    expect(await choose(planId, [mug], 'skip')).toMatchObject({
      ok: false,
      problems: [{ code: 'PLAN_STATUS', current: 'applying' }],
    });
  });
});

describe('the blast guard', () => {
  test('C4: a plan beyond the limits is not applied without a word, also after a restart, and then it is', async () => {
    const planId = await sizeOf(24, 12);
    expect(await readPlan(open.pool, planId)).toMatchObject({ zeroing: 12, unchanged: 12, large: true });
    for (let restart = 0; restart < 3; restart += 1) {
      expect(await apply(planId, false)).toMatchObject({
        ok: false,
        problems: [{ code: 'PLAN_TOO_LARGE', size: { listings: 24, zeroing: 12, changing: 12 } }],
      });
      await shop.work(planId);
      expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'ready', applied: 0 });
    }
    await shop.push();
    expect(shop.channel.writes).toEqual([]);
    expect(await apply(planId, true)).toMatchObject({ ok: true });
    await shop.finish(planId);
    await shop.push();
    expect(shop.channel.writes).toHaveLength(12);
  });

  test('counts what is chosen, and the limits as they are when it is applied', async () => {
    const planId = await sizeOf(24, 12);
    const entries = Object.values(await readEntries(open.pool, planId));
    const zeroed = entries.filter(({ action }) => action === 'zero').map(({ unit }) => unit);
    await choose(planId, zeroed.slice(0, 8), 'skip');
    expect(await readPlan(open.pool, planId)).toMatchObject({ zeroing: 4, skipped: 8, large: false });
    await choose(planId, zeroed, 'ledger');
    await open.pool.query(
      'UPDATE connections SET zero_share_max = 0.9, change_share_max = 0.9 WHERE id = $1',
      [shop.connection.id],
    );
    expect(await apply(planId, false)).toMatchObject({ ok: true });
  });

  test('lets a handful of listings through', async () => {
    const planId = await sizeOf(10, 10);
    expect(await apply(planId, false)).toMatchObject({ ok: true });
  });
});

test('applying under the same key or another one changes nothing twice', async () => {
  const item = await shop.item('MUG', 9);
  shop.offer('MUG', 4);
  const planId = await shop.planned({ winner: 'channel' });
  const outcomes = await Promise.all(['a', 'a', 'b', 'c'].map((key) => apply(planId, true, key)));
  for (const outcome of outcomes) expect(outcome).toEqual({ ok: true, value: { planId } });
  await shop.finish(planId);
  expect(await apply(planId, true, 'd')).toMatchObject({ ok: true });
  await shop.finish(planId);
  expect(await readMovements(open.pool, item.id)).toHaveLength(2);
});
