/** Proves that a rule is stored with who set it, makes exactly the listings dirty for which all levels together change, and refuses what makes no sense. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Caller } from '../../src/sync/outcome.ts';
import { type RulePlace, setRule, switchSync, updateAccountSettings } from '../../src/sync/rules.ts';
import { loadTargets, type StoredRule, targetFor } from '../../src/sync/targets.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let caller: Caller;
let etsy: fixtures.TestConnection;
let ebay: fixtures.TestConnection;
let item: fixtures.TestItem;
let woken: string[];
let polled: string[];

const account: RulePlace = { level: 'account', id: null };

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'api_key', id: 'key-1' }, correlationId: 'test' };
  etsy = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  ebay = await fixtures.insertConnection(open.pool, accountId, 'ebay');
  item = await fixtures.insertItem(open.pool, accountId, { onHand: 10 });
  woken = [];
  polled = [];
});

const options = () => ({
  pool: open.pool,
  onDirty: (ids: readonly string[]) => void woken.push(...ids),
  onResumed: (ids: readonly string[]) => void polled.push(...ids),
});

const set = (place: RulePlace, rule: StoredRule) => setRule(options(), caller, { place, rule });

const listed = (connection: fixtures.TestConnection, more: object = {}): Promise<string> =>
  fixtures.insertListing(open.pool, connection, { itemId: item.id, ...more });

async function dirty(): Promise<string[]> {
  const { rows } = await open.pool.query<{ listing_id: string }>(
    'SELECT listing_id FROM dirty_listings WHERE account_id = $1 AND guarded ORDER BY listing_id',
    [caller.accountId],
  );
  return rows.map((row) => row.listing_id);
}

const clean = () => open.pool.query('DELETE FROM dirty_listings WHERE account_id = $1', [caller.accountId]);

async function targetOf(listingId: string): Promise<number | undefined> {
  const target = (await loadTargets(open.pool, [listingId], 999)).get(listingId);
  return target && targetFor(target).target;
}

async function history(): Promise<unknown[]> {
  const { rows } = await open.pool.query(
    `SELECT setting::text, before, after, actor_kind::text || ':' || actor_id AS actor,
            CASE WHEN listing_id IS NOT NULL THEN 'listing' WHEN connection_id IS NOT NULL THEN 'connection' ELSE 'account' END AS of
       FROM setting_changes WHERE account_id = $1 ORDER BY id`,
    [caller.accountId],
  );
  return rows;
}

test('a rule of a listing replaces its whole rule, makes only that listing dirty and wakes its connection', async () => {
  const [one, other] = [await listed(etsy), await listed(etsy)];
  expect(await set({ level: 'listing', id: one }, { buffer: 2, quantityMax: 5 })).toEqual({
    ok: true,
    value: { listings: 1 },
  });
  expect(await dirty()).toEqual([one]);
  expect(woken).toEqual([etsy.id]);
  expect([await targetOf(one), await targetOf(other)]).toEqual([5, 10]);
  await set({ level: 'listing', id: one }, { buffer: 3 });
  expect(await targetOf(one)).toBe(7);
});

test('a rule of a connection leaves the listings of others and those with a nearer rule of their own alone', async () => {
  const [plain, own, elsewhere] = [await listed(etsy), await listed(etsy), await listed(ebay)];
  await set({ level: 'listing', id: own }, { share: 0.2 });
  await clean();
  expect(await set({ level: 'connection', id: etsy.id }, { share: 0.5 })).toMatchObject({
    value: { listings: 1 },
  });
  expect(await dirty()).toEqual([plain]);
  expect([await targetOf(plain), await targetOf(own), await targetOf(elsewhere)]).toEqual([5, 2, 10]);
});

test('a rule of the account reaches every listing that is written to, and no other', async () => {
  const reached = [await listed(etsy), await listed(ebay)];
  await listed(etsy, { writable: false });
  await listed(etsy, { syncEnabled: false });
  await listed(etsy, { itemId: null });
  expect(await set(account, { cutOff: 20 })).toMatchObject({ value: { listings: 2 } });
  expect(await dirty()).toEqual(reached.toSorted());
  expect(new Set(woken)).toEqual(new Set([etsy.id, ebay.id]));
});

test('a listing that was dirty already gets a newer version, so that a push under way is not the last word', async () => {
  const listing = await listed(etsy);
  await support.markDirty(open.pool, listing);
  await set(account, { buffer: 1 });
  expect(await support.readDirty(open.pool, listing)).toMatchObject({ version: 2, reread: false });
});

test('the same rule again changes nothing, wakes nobody and leaves no trace', async () => {
  await listed(etsy);
  await set(account, { buffer: 1, share: 0.5 });
  await clean();
  woken = [];
  expect(await set(account, { share: 0.5, buffer: 1 })).toEqual({ ok: true, value: { listings: 0 } });
  expect([await dirty(), woken, (await history()).length]).toEqual([[], [], 1]);
});

test('an automatic buffer takes the place of a farther buffer, and a nearer buffer the place of an automatic one', async () => {
  const listing = await listed(etsy);
  const other = await listed(ebay);
  await open.pool.query(
    `INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, shown_min, shown_max, sold_per_hour)
     VALUES ($1, $2, $3, $4, '{}', 1, 1, 240)`,
    [other, caller.accountId, ebay.id, item.id],
  );
  await set(account, { buffer: 1 });
  await set({ level: 'connection', id: etsy.id }, { automaticBuffer: 0.05 });
  // 240 an hour over the half minute that is assumed before anything was measured: 2 on average, at most 5 in 95 of 100 cases.
  expect(await targetOf(listing)).toBe(5);
  await clean();
  expect(await set({ level: 'listing', id: listing }, { buffer: 1 })).toMatchObject({
    value: { listings: 1 },
  });
  expect(await targetOf(listing)).toBe(9);
});

test('every change is recorded with its level, the values before and after, and who did it', async () => {
  const listing = await listed(etsy);
  await set(account, { buffer: 1 });
  await set({ level: 'connection', id: etsy.id }, { paused: true });
  await switchSync(options(), caller, { place: { level: 'listing', id: listing }, enabled: false });
  await updateAccountSettings(options(), caller, { lowStockUnits: 4 });
  const actor = 'api_key:key-1';
  expect(await history()).toEqual([
    { setting: 'rule', before: {}, after: { buffer: 1 }, actor, of: 'account' },
    { setting: 'rule', before: {}, after: { paused: true }, actor, of: 'connection' },
    { setting: 'sync_enabled', before: true, after: false, actor, of: 'listing' },
    { setting: 'low_stock_units', before: null, after: 4, actor, of: 'account' },
  ]);
});

test.each<[StoredRule, string]>([
  [{ buffer: -1 }, 'buffer'],
  [{ quantityMax: 1.5 }, 'quantityMax'],
  [{ fixed: 1_000_000_001 }, 'fixed'],
  [{ share: 1.01 }, 'share'],
  [{ automaticBuffer: 0 }, 'automaticBuffer'],
  [{ automaticBuffer: 0.1, buffer: 1 }, 'automaticBuffer'],
  [{ quantityMin: 3, quantityMax: 2 }, 'quantityMin'],
])('the rule %j is refused by the name of its member', async (rule, member) => {
  const outcome = await set(account, rule);
  expect(outcome).toMatchObject({
    ok: false,
    problems: [{ code: 'INVALID_INPUT', field: ['input', 'rule', member] }],
  });
  expect(await history()).toEqual([]);
});

test('the listings and connections of another account are not found', async () => {
  const foreign = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  const listing = await fixtures.insertListing(open.pool, foreign, { itemId: null });
  for (const place of [
    { level: 'listing', id: listing },
    { level: 'connection', id: foreign.id },
  ] as const) {
    const field = ['input', `${place.level}Id`];
    expect(await set(place, { buffer: 1 })).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND', field }],
    });
    expect(await switchSync(options(), caller, { place, enabled: false })).toMatchObject({
      problems: [{ code: 'NOT_FOUND', field }],
    });
  }
});

test('a listing that is switched on again is read before it is written; switching off makes nothing dirty', async () => {
  const listing = await listed(etsy);
  const place = { level: 'listing', id: listing } as const;
  await switchSync(options(), caller, { place, enabled: false });
  expect(await support.readDirty(open.pool, listing)).toBeNull();
  await switchSync(options(), caller, { place, enabled: true });
  expect(await support.readDirty(open.pool, listing)).toMatchObject({ reread: true });
  await clean();
  await switchSync(options(), caller, { place, enabled: true });
  expect(await dirty()).toEqual([]);
});

test('a connection that is switched on again is polled at once and all its listings are brought in step', async () => {
  const listings = [await listed(etsy), await listed(etsy)];
  await listed(etsy, { syncEnabled: false });
  await open.pool.query(`UPDATE connections SET next_poll_at = now() + interval '1 hour' WHERE id = $1`, [
    etsy.id,
  ]);
  const place = { level: 'connection', id: etsy.id } as const;
  await switchSync(options(), caller, { place, enabled: false });
  await set(account, { buffer: 1 });
  expect(await dirty()).toEqual([]);
  expect(await switchSync(options(), caller, { place, enabled: true })).toMatchObject({
    value: { listings: 2 },
  });
  expect(await dirty()).toEqual(listings.toSorted());
  expect([woken, polled]).toEqual([[etsy.id], [etsy.id]]);
  const { rows } = await open.pool.query(
    'SELECT 1 FROM connections WHERE id = $1 AND next_poll_at <= now()',
    [etsy.id],
  );
  expect(rows).toHaveLength(1);
});

test('of two levels changed at the same moment the listing ends dirty whenever its number changed', async () => {
  const listing = await listed(etsy);
  for (let round = 1; round <= 10; round += 1) {
    await clean();
    const before = await targetOf(listing);
    await Promise.all([
      set(account, { buffer: round }),
      set({ level: 'connection', id: etsy.id }, round % 2 === 0 ? {} : { buffer: 9 }),
    ]);
    const changed = (await targetOf(listing)) !== before;
    expect([changed, (await dirty()).length >= (changed ? 1 : 0)]).toEqual([changed, true]);
  }
});

test('settings out of range are refused, and what is left out stays as it is', async () => {
  await updateAccountSettings(options(), caller, { lowStockUnits: 3, stillOnSaleAfterSeconds: 60 });
  await updateAccountSettings(options(), caller, { stillOnSaleAfterSeconds: 90 });
  const read = async () =>
    (
      await open.pool.query('SELECT low_stock_units, still_on_sale_after_s FROM accounts WHERE id = $1', [
        caller.accountId,
      ])
    ).rows[0] as unknown;
  expect(await read()).toEqual({ low_stock_units: 3, still_on_sale_after_s: 90 });
  expect(await updateAccountSettings(options(), caller, { lowStockUnits: -1 })).toMatchObject({
    problems: [{ code: 'INVALID_INPUT', field: ['input', 'lowStockUnits'] }],
  });
  expect(await updateAccountSettings(options(), caller, { stillOnSaleAfterSeconds: 86_401 })).toMatchObject({
    problems: [{ code: 'INVALID_INPUT', field: ['input', 'stillOnSaleAfterSeconds'] }],
  });
  await updateAccountSettings(options(), caller, { lowStockUnits: null });
  expect(await read()).toEqual({ low_stock_units: null, still_on_sale_after_s: 90 });
});
