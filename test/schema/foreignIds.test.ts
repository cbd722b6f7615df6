/** Every id that a mutation takes is of the caller's account, or the mutation answers NOT_FOUND and changes nothing. */
import { type GraphQLInputType, getNamedType, isInputObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { encodeId, type NodeType, parseId } from '../../src/schema/globalId.ts';
import { schema } from '../../src/schema/schema.ts';
import { newEscrow } from '../../src/sync/core/escrow.ts';
import * as support from '../support/channel.ts';
import type { Api } from './apiFixture.ts';
import { openReal } from './realApi.ts';
import { insertEverything, insertItem, insertShop, type Shop } from './rows.ts';

type Ids = Readonly<Record<NodeType, string>> & { readonly part: string };
type Input = Readonly<Record<string, unknown>>;

const idempotencyKey = 'key';
const reason = 'OTHER';

/** These are about the whole account of the caller. */
const withoutIds = ['accountRuleSet', 'accountSettingsUpdate', 'conflictPolicySet', 'inventorySyncAll'];

/** A good input of every other mutation, with every id that it may name. */
const cases: Readonly<Record<string, (own: Ids) => Input>> = {
  alertAcknowledge: (own) => ({ alertId: own.Alert }),
  blastApprove: (own) => ({ connectionId: own.PlatformConnection }),
  bundleSet: (own) => ({
    itemId: own.InventoryItem,
    components: [{ itemId: own.part, quantity: 1 }],
    idempotencyKey,
  }),
  conflictResolve: (own) => ({
    conflicts: [{ id: own.SyncConflict, expectedVersion: 1 }],
    resolution: 'KEEP_OURS',
    idempotencyKey,
  }),
  connectionPause: (own) => ({ connectionId: own.PlatformConnection }),
  connectionResume: (own) => ({ connectionId: own.PlatformConnection }),
  connectionRuleSet: (own) => ({ connectionId: own.PlatformConnection, rule: { buffer: 1 } }),
  escrowResume: (own) => ({ listingId: own.Listing }),
  inventoryItemProtectionSet: (own) => ({ itemId: own.InventoryItem, protection: 'ESCROW' }),
  inventoryItemSync: (own) => ({ itemId: own.InventoryItem }),
  itemPriceSet: (own) => ({ itemId: own.InventoryItem, price: { amount: '1.00', currencyCode: 'EUR' } }),
  listingMap: (own) => ({ listingId: own.Listing, itemId: own.InventoryItem }),
  listingPause: (own) => ({ listingId: own.Listing }),
  listingResume: (own) => ({ listingId: own.Listing }),
  listingRuleSet: (own) => ({ listingId: own.Listing, rule: { buffer: 1 } }),
  orderReturn: (own) => ({
    orderId: own.Order,
    lines: [{ lineId: own.OrderLine, quantity: 1 }],
    restock: true,
    idempotencyKey,
  }),
  orderStatusUpdate: (own) => ({ orderId: own.Order, status: 'CANCELLED', idempotencyKey }),
  reservationCommit: (own) => ({ reservationId: own.Reservation, idempotencyKey }),
  reservationCreate: (own) => ({ lines: [{ itemId: own.InventoryItem, quantity: 1 }], idempotencyKey }),
  reservationExtend: (own) => ({ reservationId: own.Reservation, expiresInSeconds: 60, idempotencyKey }),
  reservationRelease: (own) => ({ reservationId: own.Reservation, idempotencyKey }),
  skuMap: (own) => ({ sku: 'UNMATCHED-own', itemId: own.InventoryItem }),
  stockAdjust: (own) => ({ itemId: own.InventoryItem, delta: 1, reason, idempotencyKey }),
  stockSet: (own) => ({ itemId: own.InventoryItem, quantity: 1, skipCompare: true, reason, idempotencyKey }),
  syncPlanApply: (own) => ({ planId: own.SyncPlan, idempotencyKey }),
  syncPlanCreate: (own) => ({ connectionId: own.PlatformConnection, replace: true }),
  syncPlanEntrySet: (own) => ({ planId: own.SyncPlan, listingIds: [own.Listing], winner: 'LEDGER' }),
  syncPlanUndo: (own) => ({ planId: own.SyncPlan }),
};

const mutations = Object.values(schema.getMutationType()?.getFields() ?? {});
const inputOf = (name: string): GraphQLInputType | null =>
  mutations.find((mutation) => mutation.name === name)?.args.at(0)?.type ?? null;

/** Where an input has ids: `conflicts.id`, whatever lists lie on the way. */
function idsIn(
  type: GraphQLInputType | null,
  before: readonly string[] = [],
): readonly (readonly string[])[] {
  const named = type === null ? null : getNamedType(type);
  if (named?.name === 'ID') return [before];
  if (!isInputObjectType(named)) return [];
  return Object.values(named.getFields()).flatMap((field) => idsIn(field.type, [...before, field.name]));
}

/** The input with the id at a path replaced; every path must be there. */
function withId(value: unknown, path: readonly string[], replace: (own: string) => string): unknown {
  if (Array.isArray(value)) return value.map((each) => withId(each, path, replace));
  const [name, ...rest] = path;
  if (name === undefined) return replace(value as string);
  const object = value as Input;
  if (object[name] === undefined) throw new Error(`the case names no ${path.join('.')}`);
  return { ...object, [name]: withId(object[name], rest, replace) };
}

async function everythingOf(api: Api, shop: Shop, word: string): Promise<Ids> {
  const { pool } = api.database;
  const ids = await insertEverything(pool, shop, word);
  await support.insertShadow(pool, support.createChannel(), ids.listing, 10);
  await pool.query('INSERT INTO escrows (item_id, account_id, state, seq) VALUES ($1, $2, $3, 1)', [
    ids.item,
    shop.accountId,
    JSON.stringify(newEscrow(10, { [ids.listing]: 10 })),
  ]);
  const part = await insertItem(pool, shop, `PART-${word}`);
  const uuids = {
    Alert: ids.alert,
    InventoryItem: ids.item,
    Job: ids.job,
    Listing: ids.listing,
    Order: ids.order,
    OrderLine: ids.line,
    PlatformConnection: ids.connection,
    Reservation: ids.reservation,
    SettingChange: ids.item,
    StockMovement: ids.movement,
    SyncConflict: ids.conflict,
    SyncOperation: ids.operation,
    SyncPlan: ids.plan,
    SyncPlanEntry: ids.planEntry,
  };
  const globalIds = Object.entries(uuids).map(([type, id]) => [type, encodeId(type, id)] as const);
  return { ...Object.fromEntries(globalIds), part: encodeId('InventoryItem', part) } as Ids;
}

/** What is wrong, by the words of clients. */
async function codesOf(api: Api, mutation: string, input: unknown): Promise<readonly unknown[]> {
  const query = `mutation ($input: ${String(inputOf(mutation))}) { answer: ${mutation}(input: $input) { userErrors { code } } }`;
  const visitor = { session: api.session, correlationId: 'test', lastEventId: null, safe: false };
  const result = await api.pipeline.run({ query, variables: { input } }, visitor);
  const { data, errors = [] } = result as {
    data?: { answer: { userErrors: { code: string }[] } };
    errors?: readonly { readonly extensions: { readonly code?: string } }[];
  };
  const business = data?.answer.userErrors.map(({ code }) => code) ?? [];
  return [...business, ...errors.map(({ extensions }) => extensions.code)];
}

/** Everything that is stored, as one text per table. */
async function contents({ database: { pool } }: Api): Promise<Readonly<Record<string, string>>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`,
  );
  const selects = tables.map(
    ({ name }) =>
      `SELECT '${name}' AS name, coalesce(string_agg(row::text, E'\\n' ORDER BY row::text), '') AS text FROM ${name} row`,
  );
  const { rows } = await pool.query<{ name: string; text: string }>(selects.join(' UNION ALL '));
  return Object.fromEntries(rows.map(({ name, text }) => [name, text]));
}

test('every mutation has a case, or takes no id', () => {
  const named = [...Object.keys(cases), ...withoutIds].toSorted();
  expect(named).toEqual(mutations.map(({ name }) => name).toSorted());
  const taking = named.filter((name) => idsIn(inputOf(name)).length > 0);
  expect(taking).toEqual(Object.keys(cases).toSorted());
});

test('every id of another account is NOT_FOUND to every mutation that takes it, and nothing is changed', async () => {
  await using real = await openReal();
  const { api } = real;
  const own = await everythingOf(api, api.shop, 'own');
  const foreign = await everythingOf(api, await insertShop(api.database.pool, 'Other'), 'foreign');
  const before = await contents(api);
  expect(Object.keys(before).length).toBeGreaterThan(30);
  const foreignIdFor = (id: string): string => foreign[parseId(id)?.type ?? 'Job'];
  let tried = 0;
  for (const [name, good] of Object.entries(cases)) {
    for (const path of idsIn(inputOf(name))) {
      const input = withId(good(own), path, foreignIdFor);
      const what = `${name} ${path.join('.')}`;
      expect([what, await codesOf(api, name, input)]).toEqual([what, ['NOT_FOUND']]);
      expect([what, await contents(api)]).toEqual([what, before]);
      tried += 1;
    }
  }
  expect(tried).toBeGreaterThanOrEqual(30);
  expect(api.internalErrors).toEqual([]);
});

test('the same inputs with ids of the own account find what they name', async () => {
  await using real = await openReal();
  const { api } = real;
  const own = await everythingOf(api, api.shop, 'own');
  for (const [name, good] of Object.entries(cases)) {
    expect([name, await codesOf(api, name, good(own))]).not.toEqual([name, ['NOT_FOUND']]);
  }
});
