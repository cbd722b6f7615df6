/** Explanations, exposure, health and alerts over the API: every number from the rows behind it, in one statement for a whole page, for the own account only. */
import { expect, test } from 'vitest';
import { encodeId } from '../../src/schema/globalId.ts';
import { writeAnswered } from '../../src/sync/core/answers.ts';
import { newShadow, readingTaken, writeSent } from '../../src/sync/core/shadow.ts';
import { type Api, dataOf, sessionOf } from './apiFixture.ts';
import { openInsights } from './insightApi.ts';
import {
  accountHealth,
  connectionsHealth,
  explainedListings,
  explainQuantity,
  exposedItems,
  exposureOf,
  suggestedProtections,
} from './insightOperations.ts';
import { insert, insertItem, insertLine, insertListing, insertOrder, insertShop } from './rows.ts';

const bounds = {
  staleMax: 5_000,
  settleMax: 600_000,
  clockSkewMax: 1_000,
  readMax: 10_000,
  restocksOnCancel: false,
};

async function openShop() {
  const api = await openInsights();
  const item = await insertItem(api.database.pool, api.shop, 'MUG', { quantity: 6, reserved: 1, seq: 4 });
  const [one, two] = [
    await insertListing(api.database.pool, api.shop, item, 'one'),
    await insertListing(api.database.pool, api.shop, item, 'two'),
  ];
  return { api, item, one, two, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

function insertShadow(
  api: Api,
  item: string,
  listing: string,
  state: object,
  more: object = {},
): Promise<unknown> {
  const { accountId, connectionId } = api.shop;
  const columns = {
    listing_id: listing,
    account_id: accountId,
    connection_id: connectionId,
    item_id: item,
    state,
    shown_min: 0,
    shown_max: 0,
    ...more,
  };
  const names = Object.keys(columns);
  return api.database.pool.query(
    `INSERT INTO shadows (${names.join(', ')}) VALUES (${names.map((_, place) => `$${place + 1}`).join(', ')})`,
    Object.values(columns),
  );
}

test('a listing explains its number: ledger, holds, rule, push, orders since, and what is unconfirmed', async () => {
  await using shop = await openShop();
  const { api, item, one, two } = shop;
  const { pool } = api.database;
  const now = Date.now();
  const start = newShadow(one, bounds, { value: 5, at: now - 60_000, targetSeq: 3 });
  const sent = writeSent(start, { key: 'w1', value: 3, targetSeq: 4, expected: null }, now - 10_000);
  await insertShadow(api, item, one, {
    shadow: writeAnswered(sent, 'w1', { kind: 'accepted' }, now - 9_000),
    demand: {},
  });
  const other = newShadow(two, bounds, { value: 5, at: now - 60_000, targetSeq: 3 });
  const held = readingTaken(other, { value: 4, from: now - 30_000, until: now - 25_000 }, now - 25_000);
  await insertShadow(api, item, two, { shadow: held, demand: {} }, { hold: held.hold });
  await pool.query(`UPDATE connections SET rule = '{"buffer": 1}'`);
  const { accountId: account_id, connectionId: connection_id } = api.shop;
  await insert(pool, 'listing_writes', {
    account_id,
    connection_id,
    listing_id: one,
    quantity: 3,
    target_seq: 4,
    state: 'accepted',
    sent_at: new Date(now - 10_000),
  });
  const placed = { channel_created_at: new Date(now - 5_000) };
  const order = await insertOrder(pool, api.shop, 'after', placed);
  await insertLine(pool, api.shop, order, { item_id: item, listing_id: one, held_reserved: 2 });
  await insertLine(pool, api.shop, await insertOrder(pool, api.shop, 'elsewhere', placed), {
    item_id: item,
    listing_id: two,
    held_reserved: 1,
  });
  await insertLine(pool, api.shop, await insertOrder(pool, api.shop, 'before'), {
    item_id: item,
    listing_id: one,
    held_reserved: 1,
  });

  const { explainQuantity: explained } = dataOf(
    await api.run(explainQuantity, { listingId: encodeId('Listing', one) }),
  );

  expect(explained).toMatchObject({
    mode: 'SHARED',
    modeReason: null,
    target: 3,
    ledger: { quantity: 6, reserved: 1, available: 5, seq: 4 },
    holds: [
      {
        listingId: encodeId('Listing', two),
        platform: 'ETSY',
        units: 1,
        since: new Date(now - 25_000).toISOString(),
      },
    ],
    steps: [
      { step: 'AVAILABLE', amount: 5, level: null, result: 5 },
      { step: 'HOLDS', amount: 1, level: null, result: 4 },
      { step: 'BUFFER', amount: 1, level: 'CONNECTION', result: 3 },
    ],
    shown: { min: 3, max: 5 },
    candidates: [
      { key: 'reading', value: 5, state: 'EFFECTIVE', settledAt: new Date(now - 60_000).toISOString() },
      {
        key: 'w1',
        value: 3,
        state: 'ACCEPTED',
        sentAt: new Date(now - 10_000).toISOString(),
        settledAt: null,
      },
    ],
    push: { quantity: 3, state: 'ACCEPTED', targetSeq: 4, error: null },
    ordersSince: { orders: 1, units: 2 },
    rights: null,
    waitingSince: null,
  });
  expect(explained?.summary).toMatch(
    /^Etsy shows 3 to 5 and should show 3: 5 available, 1 held because Etsy showed fewer than expected, buffer 1 \(connection rule\)\. A write of 3 at .* UTC is not confirmed yet\. Since the last write 1 order of 2 units came in there\.$/,
  );
});

test('a page of listings is explained by as many statements as one listing', async () => {
  await using shop = await openShop();
  const { api, item } = shop;
  const count = async (): Promise<number> => {
    api.statements.length = 0;
    const { listings } = dataOf(await api.run(explainedListings, {}));
    expect(listings.nodes.every(({ explanation }) => explanation?.target === 5)).toBe(true);
    return api.statements.length;
  };
  const few = await count();
  for (const unit of ['three', 'four', 'five']) await insertListing(api.database.pool, api.shop, item, unit);
  expect(await count()).toBe(few);
});

test('exposure is the worst case, and what is expected from measured pace and delay', async () => {
  await using shop = await openShop();
  const { api, item, one, two } = shop;
  await insertShadow(api, item, one, {}, { shown_max: 5, sold_per_hour: 120 });
  await insertShadow(api, item, two, {}, { shown_max: 4 });
  await api.database.pool.query(
    `UPDATE connections SET measures = '{"saleToEffective": {"p50": 1, "p90": 60000, "p95": 3, "count": 9}}'`,
  );
  const { exposure } = dataOf(await api.run(exposureOf, { itemId: encodeId('InventoryItem', item) }));
  expect(exposure).toMatchObject({
    available: 5,
    oversold: 0,
    worst: 4,
    expected: 0,
    probability: 0,
    listings: [
      {
        listingId: encodeId('Listing', one),
        platform: 'ETSY',
        shownMax: 5,
        soldPerHour: 120,
        reactionMs: 60_000,
      },
      { listingId: encodeId('Listing', two), shownMax: 4, soldPerHour: 0 },
    ],
  });
  await api.database.pool.query('UPDATE inventory_items SET quantity = 2');
  const risky = dataOf(await api.run(exposureOf, { itemId: encodeId('InventoryItem', item) })).exposure;
  expect([risky?.available, risky?.worst]).toEqual([1, 8]);
  // Two are sold on average before the number is lowered: more than the one that is left in 1 - 3 e^-2 of all cases.
  expect(risky?.probability).toBeCloseTo(1 - 3 * Math.exp(-2), 6);
  api.statements.length = 0;
  await insertItem(api.database.pool, api.shop, 'CUP');
  api.statements.length = 0;
  const { inventoryItems } = dataOf(await api.run(exposedItems, {}));
  expect(inventoryItems.nodes.map(({ exposure: each }) => each?.worst)).toEqual([8, 0]);
  expect(api.statements).toHaveLength(2);
});

test('a protection is suggested with the numbers behind it, for a whole page in one statement', async () => {
  await using shop = await openShop();
  const { api, item } = shop;
  const { pool } = api.database;
  const asked = async () => {
    api.statements.length = 0;
    return dataOf(await api.run(suggestedProtections, {})).inventoryItems.nodes;
  };
  expect(await asked()).toEqual([{ sku: 'MUG', protection: 'SHARED', protectionSuggested: null }]);
  await pool.query('UPDATE inventory_items SET quantity = 2 WHERE id = $1', [item]);
  const cup = await insertItem(pool, api.shop, 'CUP', { quantity: 1 });
  for (const unit of ['three', 'four']) await insertListing(pool, api.shop, cup, unit);
  const suggestion = {
    protection: 'ESCROW',
    reason: expect.stringMatching(/^1 left to sell in 2 places, /),
    available: 1,
    bufferNeeded: 1,
    soldPerHour: expect.closeTo(1 / 24, 4),
    surge: 8,
    reactionMs: 30_000,
  };
  expect(await asked()).toEqual([
    { sku: 'CUP', protection: 'SHARED', protectionSuggested: suggestion },
    { sku: 'MUG', protection: 'SHARED', protectionSuggested: suggestion },
  ]);
  expect(api.statements).toHaveLength(2);
});

test('before a listing has a shadow, what we believe it shows counts', async () => {
  await using shop = await openShop();
  const { api, item } = shop;
  await api.database.pool.query('UPDATE listings SET quantity = 5');
  expect(
    dataOf(await api.run(exposureOf, { itemId: encodeId('InventoryItem', item) })).exposure,
  ).toMatchObject({ worst: 5 });
});

test('the health of a connection is counted from its rows', async () => {
  await using shop = await openShop();
  const { api, item, one, two } = shop;
  const { pool } = api.database;
  const { accountId: account_id, connectionId: connection_id } = api.shop;
  await insertShadow(api, item, one, {}, { resurrected_units: 2 });
  await insertShadow(api, item, two, {}, { resurrected_units: 0 });
  await pool.query(
    `UPDATE connections SET measures = jsonb_build_object('saleToKnown', measured(NULL, '{10,20,400}')), resurrected_units = 3, stale_max_ms = 30000,
            default_bounds = '{"staleMaxMs": 60000, "settleMaxMs": 5000, "indexLagMs": 60000, "clockSkewMaxMs": 1000}', index_lag_measured_ms = 75000,
            clock_skew_measured_ms = 9300`,
  );
  const write = { account_id, connection_id, listing_id: one, quantity: 1, target_seq: 1 };
  await insert(pool, 'listing_writes', { ...write, state: 'unknown', error: 'timeout' });
  await insert(pool, 'listing_writes', {
    ...write,
    state: 'effective',
    error: 'timeout',
    answered_at: new Date(0),
    settled_at: new Date(),
  });
  await insert(pool, 'listing_writes', {
    ...write,
    state: 'unknown',
    error: 'timeout',
    sent_at: new Date(Date.now() - 90_000_000),
  });
  await insert(pool, 'listing_writes', { ...write, state: 'effective' });
  const conflict = {
    account_id,
    item_id: item,
    listing_id: one,
    conflict_data: {},
    suggested_resolution: 'use_lowest',
  };
  await insert(pool, 'sync_conflicts', { ...conflict, conflict_type: 'quantity_mismatch' });
  await insert(pool, 'sync_conflicts', { ...conflict, listing_id: two, conflict_type: 'sold_out' });
  await pool.query(
    `INSERT INTO dirty_listings (listing_id, account_id, connection_id, since) VALUES ($1, $2, $3, now() - interval '5 minutes')`,
    [one, account_id, connection_id],
  );
  await insert(pool, 'webhook_deliveries', {
    account_id,
    connection_id,
    delivery_id: 'd',
    topic: 't',
    body: '',
    status: 'failed',
  });

  const { connections } = dataOf(await api.run(connectionsHealth, {}));

  expect(connections.nodes).toMatchObject([
    {
      health: {
        status: 'DEGRADED',
        reasons: [
          '1 listing of Etsy (Shop on Etsy) waits to be brought in step, for 5 minutes.',
          '2 writes to Etsy (Shop on Etsy) got no answer and are being read back.',
          'The clocks of Etsy (Shop on Etsy) and of our database are up to 10 seconds apart, and everything waits so much longer: have ours set by a time server, then connect it anew.',
          '1 webhook of Etsy (Shop on Etsy) could not be applied and was set aside.',
        ],
        connection: { name: 'Shop on Etsy' },
        saleToKnown: { p50Ms: 20, p90Ms: 400, p95Ms: 400, maxMs: 400, count: 3 },
        writeToEffective: null,
        saleToEffective: null,
        saleToEverywhere: null,
        staleMax: { ms: 30_000, source: 'SET' },
        settleMax: { ms: 5_000, source: 'DEFAULT' },
        clockSkew: { ms: 9_300, source: 'MEASURED' },
        indexLag: { ms: 75_000, source: 'MEASURED' },
        resurrectedUnits: 3,
        unknownWrites: 2,
        unknownWritesLastDay: 2,
        driftFound: [
          { conflictType: 'QUANTITY_MISMATCH', count: 1 },
          { conflictType: 'SOLD_OUT', count: 1 },
        ],
        waitingListings: 1,
        failedDeliveries: 1,
        failingSince: null,
      },
    },
  ]);
});

test('the health of the account is said in plain words, and is the worst of its connections', async () => {
  await using shop = await openShop();
  const { api, item } = shop;
  const { pool } = api.database;
  const health = async () => dataOf(await api.run(accountHealth, {})).syncHealth;
  expect(await health()).toEqual({
    status: 'OK',
    summary: 'All is well: 1 marketplace account in step.',
    reasons: [],
    openAlerts: [],
    connections: [{ status: 'OK', connection: { name: 'Shop on Etsy' } }],
  });
  await insert(pool, 'alerts', { account_id: api.shop.accountId, kind: 'oversell', item_id: item, units: 1 });
  expect(await health()).toMatchObject({
    status: 'DEGRADED',
    summary: 'Something needs a look: 1 item oversold.',
    openAlerts: [{ kind: 'OVERSELL', count: 1 }],
  });
  await pool.query(`UPDATE connections SET status = 'needs_authorization'`);
  expect(await health()).toMatchObject({
    status: 'BROKEN',
    summary:
      'Something is broken: Etsy (Shop on Etsy) refuses our access and must be authorised again. 1 item oversold.',
  });
});

test('another account is told nothing of any of it', async () => {
  await using shop = await openShop();
  const { api, item, one } = shop;
  const visitor = { session: sessionOf(await insertShop(api.database.pool, 'Stranger')) };
  expect(
    dataOf(await api.run(explainQuantity, { listingId: encodeId('Listing', one) }, visitor)).explainQuantity,
  ).toBeNull();
  expect(
    dataOf(await api.run(exposureOf, { itemId: encodeId('InventoryItem', item) }, visitor)).exposure,
  ).toBeNull();
  const { syncHealth } = dataOf(await api.run(accountHealth, {}, visitor));
  expect(syncHealth.connections.map(({ connection }) => connection?.name)).toEqual(['Stranger on Etsy']);
});
