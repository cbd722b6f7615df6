/** What is observed over the API: what sync would show, how it compares, and where no such number exists; a page by as many statements as one listing. */
import { expect, test } from 'vitest';
import { dataOf, sessionOf } from './apiFixture.ts';
import { openInsights } from './insightApi.ts';
import { observedHealth, observedListings } from './insightOperations.ts';
import { insertItem, insertListing, insertShop } from './rows.ts';

async function openShop() {
  const api = await openInsights();
  const { pool } = api.database;
  const item = await insertItem(pool, api.shop, 'MUG', { quantity: 1_200, reserved: 0, seq: 1 });
  for (const unit of ['same', 'other', 'written']) await insertListing(pool, api.shop, item, unit);
  await pool.query(
    `UPDATE listings SET sync_enabled = unit_id = 'written', quantity = CASE unit_id WHEN 'other' THEN 7 ELSE 999 END, quantity_at = '2026-05-04T12:00:00Z',
            differs = unit_id <> 'same'`,
  );
  return { api, pool, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

test('a listing that is only looked at says what sync would show, and one that is written to does not', async () => {
  await using shop = await openShop();
  const { listings } = dataOf(await shop.api.run(observedListings, {}));
  const byUnit = Object.fromEntries(listings.nodes.map(({ platformId, ...rest }) => [platformId, rest]));
  const observedAt = '2026-05-04T12:00:00.000Z';
  // No more than Etsy shows.
  expect(byUnit).toMatchObject({
    same: { wouldShow: 999, differs: false, explanation: { observedAt } },
    other: { wouldShow: 999, differs: true, explanation: { observedAt } },
    written: { wouldShow: null, differs: null, explanation: { observedAt: null } },
  });
  expect(byUnit['other']?.explanation?.summary).toBe(
    'Etsy shows 7 and would show 999: 1200 available, the channel shows at most 999. It was read at 2026-05-04 12:00:00 UTC. Nothing is written to it: Sync is switched off for this listing.',
  );
});

test('the health report counts what is observed and lists what differs, and tells another account nothing of it', async () => {
  await using shop = await openShop();
  const { syncHealth } = dataOf(await shop.api.run(observedHealth, {}));
  expect(syncHealth.connections).toEqual([
    {
      observed: {
        summary: 'Of 2 observed listings 1 shows another number than sync would.',
        listings: 2,
        differing: 1,
        unreadable: 0,
        unseen: 0,
        oldestAt: '2026-05-04T12:00:00.000Z',
        differences: [{ platformId: 'other', quantity: 7, wouldShow: 999 }],
      },
    },
  ]);
  const visitor = { session: sessionOf(await insertShop(shop.pool, 'Stranger')) };
  const theirs = dataOf(await shop.api.run(observedHealth, {}, visitor)).syncHealth;
  expect(theirs.connections).toMatchObject([{ observed: { listings: 0, differences: [] } }]);
});

test('the health report says which marketplace accounts are only looked at', async () => {
  await using shop = await openShop();
  const summary = async () => dataOf(await shop.api.run(observedHealth, {})).syncHealth.summary;
  await shop.pool.query('UPDATE connections SET awaiting_plan = true');
  expect(await summary()).toBe('All is well: 1 marketplace account only looked at.');
  await shop.pool.query('UPDATE connections SET sync_enabled = false');
  expect(await summary()).toBe(
    'Something needs a look: Etsy (Shop on Etsy) is switched off: its numbers are looked at and not written.',
  );
});
