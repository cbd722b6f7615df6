/** Proves that a plan begins anew with what was believed of a listing while nobody wrote there: somebody has looked at its number. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { observeConnection } from '../../src/sync/observations.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import { openPlanShop, readEntries } from '../support/planShop.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

test('what was believed of a listing that was switched off is forgotten: somebody has looked at its number', async () => {
  const shop = await openPlanShop(open.pool);
  const item = await shop.item('MUG', 9);
  const elsewhere = await shop.elsewhere(item, 9);
  const mug = shop.offer('MUG', 3);
  const planId = await shop.planned();
  const { listing_id: listingId = '' } = (await readEntries(open.pool, planId))[mug] ?? {};
  await support.insertShadow(open.pool, shop.channel, listingId, 9);
  await open.pool.query('UPDATE shadows SET hold = 6 WHERE listing_id = $1', [listingId]);
  await shop.apply(planId);
  expect(await shop.finish(planId)).toBe('applied');
  const { rows } = await open.pool.query('SELECT FROM shadows WHERE listing_id = $1', [listingId]);
  expect(rows).toEqual([]);
  // What it withheld elsewhere is offered there again.
  const dirty = await open.pool.query(
    'SELECT guarded FROM dirty_listings JOIN listings ON listings.id = listing_id WHERE unit_id = $1',
    [elsewhere],
  );
  expect(dirty.rows).toEqual([{ guarded: false }]);
  await shop.push();
  expect([shop.shows(mug), (await readStock(open.pool, item.id)).quantity]).toEqual([9, 9]);
});

test('a listing that was observed beside another tool starts cleanly with a plan: what that tool did is no conflict', async () => {
  const shop = await openPlanShop(open.pool);
  const item = await shop.item('MUG', 9);
  const mug = shop.offer('MUG', 9);
  await shop.planned();
  const { pool, clock, connections } = shop.options();
  for (const shows of [6, 2]) {
    support.show(shop.channel, { unitId: mug, variantId: '' }, shows);
    await pool.query(`UPDATE connections SET next_observation_at = now() - interval '1 s' WHERE id = $1`, [
      shop.connection.id,
    ]);
    await observeConnection(
      { db: pool, clock, connections, batchMax: 10, intervalMs: 1, paceMs: 1 },
      shop.connection.id,
    );
  }
  const planId = await shop.planned({ replace: true });
  expect((await readEntries(pool, planId))[mug]).toMatchObject({ shown: 2, target: 9 });
  await shop.apply(planId);
  expect(await shop.finish(planId)).toBe('applied');
  await shop.push();
  expect([shop.shows(mug), (await readStock(pool, item.id)).quantity]).toEqual([9, 9]);
  expect((await pool.query('SELECT FROM sync_conflicts WHERE item_id = $1', [item.id])).rows).toEqual([]);
});
