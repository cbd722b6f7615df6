/** Rules, switches and settings over the API: what is set is read back, narrowed to the account, and kept with who did it. */
import { expect, test } from 'vitest';
import { encodeId } from '../../src/schema/globalId.ts';
import { codesOf, dataOf, sessionOf } from './apiFixture.ts';
import { openInsights } from './insightApi.ts';
import {
  accountRuleSet,
  accountSettingsUpdate,
  connectionPause,
  connectionResume,
  connectionRuleSet,
  listingPause,
  listingResume,
  listingRuleSet,
  settingChanges,
} from './insightOperations.ts';
import { insertItem, insertListing, insertShop, type Shop } from './rows.ts';

async function openShop() {
  const api = await openInsights();
  const item = await insertItem(api.database.pool, api.shop, 'MUG');
  const listing = await insertListing(api.database.pool, api.shop, item, 'unit');
  return {
    api,
    listingId: encodeId('Listing', listing),
    connectionId: encodeId('PlatformConnection', api.shop.connectionId),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

const nothing = {
  buffer: null,
  automaticBuffer: null,
  share: null,
  fixed: null,
  quantityMin: null,
  cutOff: null,
  quantityMax: null,
  paused: null,
};

test('a rule of a listing is replaced as a whole, read back, and brings the listing in step', async () => {
  await using shop = await openShop();
  const { api, listingId } = shop;
  const set = async (rule: object) =>
    dataOf(await api.run(listingRuleSet, { input: { listingId, rule } })).listingRuleSet;
  expect(
    await set({ buffer: 2, share: 0.5, quantityMin: 1, quantityMax: 7, cutOff: 3, fixed: 4, paused: false }),
  ).toEqual({
    listing: {
      pending: true,
      rule: {
        buffer: 2,
        automaticBuffer: null,
        share: 0.5,
        fixed: 4,
        quantityMin: 1,
        cutOff: 3,
        quantityMax: 7,
        paused: false,
      },
    },
    listingsAffected: 1,
    userErrors: [],
  });
  expect((await set({ automaticBuffer: 0.01, buffer: null })).listing?.rule).toEqual({
    ...nothing,
    automaticBuffer: 0.01,
  });
  expect((await set({})).listing?.rule).toEqual(nothing);
  expect(new Set(api.woken)).toEqual(new Set([api.shop.connectionId]));
});

test('rules of the account and of a connection say how many listings they reach', async () => {
  await using shop = await openShop();
  const { api, connectionId } = shop;
  const account = dataOf(await api.run(accountRuleSet, { input: { rule: { buffer: 1, share: 0.5 } } }));
  expect(account.accountRuleSet).toEqual({
    account: { rule: { buffer: 1, share: 0.5 } },
    listingsAffected: 1,
    userErrors: [],
  });
  const connection = dataOf(
    await api.run(connectionRuleSet, { input: { connectionId, rule: { buffer: 1 } } }),
  );
  expect(connection.connectionRuleSet).toEqual({
    connection: { rule: { buffer: 1, automaticBuffer: null } },
    listingsAffected: 0,
    userErrors: [],
  });
});

test('a rule that makes no sense is refused by its member, and nothing is changed', async () => {
  await using shop = await openShop();
  const { api } = shop;
  const { accountRuleSet: payload } = dataOf(
    await api.run(accountRuleSet, { input: { rule: { share: 1.5, buffer: -1 } } }),
  );
  expect(payload).toEqual({
    account: { rule: { buffer: null, share: null } },
    listingsAffected: 0,
    userErrors: [
      {
        __typename: 'InvalidInputError',
        code: 'INVALID_INPUT',
        field: ['input', 'rule', 'buffer'],
        message: 'buffer must be a whole number of units from 0 to 1000000000.',
      },
      {
        __typename: 'InvalidInputError',
        code: 'INVALID_INPUT',
        field: ['input', 'rule', 'share'],
        message: 'share must be a share from 0 to 1.',
      },
    ],
  });
});

test('listings and connections are paused and resumed', async () => {
  await using shop = await openShop();
  const { api, listingId, connectionId } = shop;
  const paused = dataOf(await api.run(listingPause, { input: { listingId } })).listingPause;
  expect(paused).toEqual({ listing: { syncEnabled: false, pending: false }, userErrors: [] });
  const resumed = dataOf(await api.run(listingResume, { input: { listingId } })).listingResume;
  expect(resumed).toEqual({ listing: { syncEnabled: true, pending: true }, userErrors: [] });
  const off = dataOf(await api.run(connectionPause, { input: { connectionId } })).connectionPause;
  expect(off).toEqual({ connection: { syncEnabled: false }, userErrors: [] });
  const on = dataOf(await api.run(connectionResume, { input: { connectionId } })).connectionResume;
  expect(on).toEqual({ connection: { syncEnabled: true }, userErrors: [] });
});

test('what counts as low is set, left alone and ended', async () => {
  await using shop = await openShop();
  const { api } = shop;
  const update = async (input: object) =>
    dataOf(await api.run(accountSettingsUpdate, { input })).accountSettingsUpdate;
  expect(await update({ lowStockUnits: 5 })).toEqual({
    account: { lowStockUnits: 5, stillOnSaleAfterSeconds: 300 },
    userErrors: [],
  });
  expect((await update({ stillOnSaleAfterSeconds: 60 })).account).toEqual({
    lowStockUnits: 5,
    stillOnSaleAfterSeconds: 60,
  });
  expect((await update({ lowStockUnits: null })).account).toEqual({
    lowStockUnits: null,
    stillOnSaleAfterSeconds: 60,
  });
  expect((await update({ lowStockUnits: -1 })).userErrors).toEqual([
    { code: 'INVALID_INPUT', field: ['input', 'lowStockUnits'] },
  ]);
});

test('the history says who changed what, from what to what', async () => {
  await using shop = await openShop();
  const { api, listingId, connectionId } = shop;
  await api.run(listingRuleSet, { input: { listingId, rule: { buffer: 2 } } });
  await api.run(connectionPause, { input: { connectionId } });
  const { settingChanges: all } = dataOf(await api.run(settingChanges, {}));
  const actor = { kind: 'API_KEY', id: api.session.keyId };
  expect(all.nodes).toEqual([
    {
      setting: 'RULE',
      before: '{}',
      after: '{"buffer":2}',
      rule: { buffer: 2 },
      listing: { platformId: 'unit' },
      connection: null,
      actor,
    },
    {
      setting: 'SYNC_ENABLED',
      before: 'true',
      after: 'false',
      rule: null,
      listing: null,
      connection: { name: 'Shop on Etsy' },
      actor,
    },
  ]);
  const narrowed = dataOf(await api.run(settingChanges, { where: { connectionId: { eq: connectionId } } }));
  expect(narrowed.settingChanges.nodes).toHaveLength(1);
});

test('another account finds neither the listing nor the connection, and its own rule stays its own', async () => {
  await using shop = await openShop();
  const { api, listingId, connectionId } = shop;
  const stranger: Shop = await insertShop(api.database.pool, 'Stranger');
  const visitor = { session: sessionOf(stranger) };
  const payloads = [
    dataOf(await api.run(listingRuleSet, { input: { listingId, rule: { buffer: 1 } } }, visitor))
      .listingRuleSet,
    dataOf(await api.run(connectionRuleSet, { input: { connectionId, rule: { buffer: 1 } } }, visitor))
      .connectionRuleSet,
    dataOf(await api.run(listingPause, { input: { listingId } }, visitor)).listingPause,
    dataOf(await api.run(connectionResume, { input: { connectionId } }, visitor)).connectionResume,
    dataOf(await api.run(listingRuleSet, { input: { listingId: connectionId, rule: {} } })).listingRuleSet,
  ];
  for (const { userErrors } of payloads) expect(userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
  await api.run(accountRuleSet, { input: { rule: { buffer: 9 } } }, visitor);
  const own = dataOf(await api.run(accountRuleSet, { input: { rule: {} } })).accountRuleSet;
  expect(own).toMatchObject({ account: { rule: { buffer: null } }, listingsAffected: 0 });
});

test('a key that may only read stock sets nothing', async () => {
  await using shop = await openShop();
  const { api, listingId } = shop;
  const visitor = { session: sessionOf(api.shop, ['stock:read', 'stock:write']) };
  expect(codesOf(await api.run(listingPause, { input: { listingId } }, visitor))).toEqual(['FORBIDDEN']);
});
