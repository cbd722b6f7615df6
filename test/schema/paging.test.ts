/** Pages meet every row exactly once, cost the same anywhere in the list, and know what lies around them. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { InventoryItemWhere } from '../../.generated/gql/graphql.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import { type Api, codesOf, dataOf, openApi } from './apiFixture.ts';
import { itemsPage } from './operations.ts';
import { insertItem } from './rows.ts';

const orders = [
  'UPDATED_AT_ASC',
  'UPDATED_AT_DESC',
  'TITLE_ASC',
  'TITLE_DESC',
  'AVAILABLE_ASC',
  'AVAILABLE_DESC',
  'SKU_ASC',
  'SKU_DESC',
] as const;

/** Walks every page; `between` runs after each. Answers the SKUs as met. */
async function walk(
  api: Api,
  orderBy: (typeof orders)[number],
  size: number,
  forward: boolean,
  between: () => Promise<void> = async () => undefined,
): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | null = null;
  for (;;) {
    const range = forward ? { first: size, after: cursor } : { last: size, before: cursor };
    const page: PageOfItems = dataOf(await api.run(itemsPage, { ...range, orderBy })).inventoryItems;
    const skus = page.nodes.map(({ sku }) => sku);
    seen.push(...(forward ? skus : skus.toReversed()));
    const { hasNextPage, hasPreviousPage, startCursor, endCursor } = page.pageInfo;
    // The way back is open exactly when there was something before.
    expect(forward ? hasPreviousPage : hasNextPage).toBe(cursor !== null);
    if (!(forward ? hasNextPage : hasPreviousPage)) return seen;
    cursor = forward ? endCursor : startCursor;
    await between();
  }
}

type PageOfItems = {
  readonly nodes: readonly { readonly sku: string }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
};

test('walking forward or backward meets every row exactly once, in the order asked, whatever ties there are', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ title: fc.constantFrom('a', 'b', 'B', 'ä'), quantity: fc.integer({ min: -1, max: 2 }) }),
        {
          minLength: 1,
          maxLength: 12,
        },
      ),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(...orders),
      async (rows, size, orderBy) => {
        await pool.query('DELETE FROM inventory_items');
        for (const [index, row] of rows.entries()) {
          await insertItem(pool, api.shop, `SKU-${index}`, {
            ...row,
            updated_at: new Date(Date.UTC(2026, 0, 1 + (index % 3))),
          });
        }
        const forward = await walk(api, orderBy, size, true);
        const backward = await walk(api, orderBy, size, false);
        expect(forward).toHaveLength(rows.length);
        expect(new Set(forward).size).toBe(rows.length);
        expect(backward).toEqual(forward.toReversed());
        expect(forward).toEqual(await walk(api, orderBy, 100, true));
      },
    ),
    { numRuns: 25 },
  );
});

test('rows that appear or disappear while one walks neither shift nor repeat the ones that stay', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  for (let index = 10; index < 40; index += 1) await insertItem(pool, api.shop, `SKU-${index}`);
  let step = 0;
  const seen = await walk(api, 'SKU_ASC', 3, true, async () => {
    step += 1;
    await insertItem(pool, api.shop, `SKU-0${step}`);
    await insertItem(pool, api.shop, `SKU-99-${step}`);
    // The row that the cursor names goes too.
    await pool.query('DELETE FROM inventory_items WHERE sku = $1', [`SKU-${9 + step * 3}`]);
  });
  const stayed = seen.filter((sku) => /^SKU-[1-3]\d$/.test(sku));
  expect(stayed).toEqual(Array.from({ length: 30 }, (_, index) => `SKU-${index + 10}`));
  expect(new Set(seen).size).toBe(seen.length);
});

test('a page between two cursors says what lies on both sides', async () => {
  await using api = await openApi();
  for (const letter of 'abcdefg') await insertItem(api.database.pool, api.shop, letter);
  const all = dataOf(await api.run(itemsPage, { first: 7, orderBy: 'SKU_ASC' })).inventoryItems;
  expect(all.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: false });
  const at = async (sku: string) => {
    const range = { first: 1, orderBy: 'SKU_ASC', where: { sku: { eq: sku } } } as const;
    return dataOf(await api.run(itemsPage, range)).inventoryItems.pageInfo.endCursor;
  };
  const [b, f] = [await at('b'), await at('f')];
  const between = dataOf(
    await api.run(itemsPage, { first: 2, after: b, before: f, orderBy: 'SKU_ASC' }),
  ).inventoryItems;
  expect(between.nodes.map(({ sku }) => sku)).toEqual(['c', 'd']);
  expect(between.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
  const backward = dataOf(
    await api.run(itemsPage, { last: 5, after: b, before: f, orderBy: 'SKU_ASC' }),
  ).inventoryItems;
  expect(backward.nodes.map(({ sku }) => sku)).toEqual(['c', 'd', 'e']);
  expect(backward.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
});

test('an empty page after the last row knows that there is something before it', async () => {
  await using api = await openApi();
  await insertItem(api.database.pool, api.shop, 'a');
  const { endCursor } = dataOf(await api.run(itemsPage, { first: 1 })).inventoryItems.pageInfo;
  const page = dataOf(await api.run(itemsPage, { first: 1, after: endCursor })).inventoryItems;
  expect(page.nodes).toEqual([]);
  expect(page.pageInfo).toEqual({
    hasNextPage: false,
    hasPreviousPage: true,
    startCursor: null,
    endCursor: null,
  });
});

test('PostgreSQL starts reading the index at the cursor, and never skips rows by counting them', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  await pool.query(
    `INSERT INTO inventory_items (account_id, sku, title, updated_at)
     SELECT $1, 'SKU-' || n, 'Title', timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(1, 3000) n`,
    [api.shop.accountId],
  );
  await pool.query('ANALYZE inventory_items');
  const { endCursor } = dataOf(await api.run(itemsPage, { first: 100 })).inventoryItems.pageInfo;
  api.statements.length = 0;
  await api.run(itemsPage, { first: 100, after: endCursor });
  const statement = api.statements.find((text) => text.includes('inventory_items')) ?? '';
  expect(statement).not.toMatch(/OFFSET \$?[1-9]/);
  // Parameters take the place of literals only in text: the plan is asked for with the same shape of condition.
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT id FROM inventory_items WHERE account_id = '${api.shop.accountId}' AND updated_at >= '2026-01-02'
      AND (updated_at > '2026-01-02' OR (updated_at = '2026-01-02' AND id > '${api.shop.accountId}')) ORDER BY updated_at, id LIMIT 101`,
  );
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  expect(plan).toMatch(/Index.*Scan.*updated_at_id_idx[\s\S]*Index Cond: .*updated_at >=/);
  expect(statement).toMatch(/"updated_at" >= \$/);
});

test('a cursor of another order or of nobody is refused', async () => {
  await using api = await openApi();
  await insertItem(api.database.pool, api.shop, 'a');
  const { endCursor } = dataOf(await api.run(itemsPage, { first: 1, orderBy: 'SKU_ASC' })).inventoryItems
    .pageInfo;
  expect(codesOf(await api.run(itemsPage, { first: 1, orderBy: 'TITLE_ASC', after: endCursor }))).toEqual([
    'BAD_USER_INPUT',
  ]);
  const forged = [
    '{}',
    '["UPDATED_AT_ASC","never","x"]',
    `["UPDATED_AT_ASC","never","${api.shop.accountId}"]`,
    'null',
  ];
  for (const text of ['x', ...forged.map((each) => Buffer.from(each).toString('base64url'))]) {
    expect(codesOf(await api.run(itemsPage, { first: 1, after: text }))).toEqual(['BAD_USER_INPUT']);
  }
  expect(api.internalErrors).toEqual([]);
});

test('exactly one of first and last, from 1 to 100, is required', async () => {
  await using api = await openApi();
  expect(codesOf(await api.run(itemsPage, {}))).toEqual(['BAD_USER_INPUT']);
  expect(codesOf(await api.run(itemsPage, { first: 1, last: 1 }))).toEqual(['BAD_USER_INPUT']);
  for (const first of [0, -1, 101])
    expect(codesOf(await api.run(itemsPage, { first }))).toEqual(['LIMIT_PAGE_SIZE']);
});

test('filters combine, and a percent sign means a percent sign', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const ids = new Map<string, string>();
  for (const [sku, quantity] of [
    ['50%-a', 1],
    ['50x-a', 2],
    ['a_b', 3],
    ['axb', 4],
  ] as const) {
    ids.set(sku, await insertItem(pool, api.shop, sku, { quantity }));
  }
  const find = async (where: InventoryItemWhere) =>
    dataOf(await api.run(itemsPage, { first: 10, orderBy: 'SKU_ASC', where })).inventoryItems.nodes.map(
      ({ sku }) => sku,
    );

  expect(await find({ sku: { contains: '50%' } })).toEqual(['50%-a']);
  expect(await find({ sku: { contains: 'A_' } })).toEqual(['a_b']);
  expect(await find({ sku: { contains: '\\' } })).toEqual([]);
  expect(await find({ quantity: { gte: 2, lte: 3 } })).toEqual(['50x-a', 'a_b']);
  expect(await find({ quantity: { gt: 2, lt: 4 } })).toEqual(['a_b']);
  expect(await find({ or: [{ sku: { eq: 'axb' } }, { quantity: { eq: 1 } }] })).toEqual(['50%-a', 'axb']);
  expect(await find({ not: { sku: { in: ['axb', 'a_b'] } }, and: [{ quantity: { gte: 2 } }] })).toEqual([
    '50x-a',
  ]);
  expect(await find({ id: { in: [encodeId('InventoryItem', ids.get('axb') ?? '')] } })).toEqual(['axb']);
  expect(await find({ syncStatus: { eq: 'ERROR' } })).toEqual([]);
});

test('a filter that is nested too deep or too long is refused', async () => {
  await using api = await openApi();
  const deep = { not: { not: { not: { not: { sku: { eq: 'a' } } } } } };
  expect(codesOf(await api.run(itemsPage, { first: 1, where: deep }))).toEqual(['LIMIT_WHERE']);
  const long = { sku: { in: Array.from({ length: 101 }, String) } };
  expect(codesOf(await api.run(itemsPage, { first: 1, where: long }))).toEqual(['LIMIT_WHERE']);
  const wide = { or: Array.from({ length: 21 }, () => ({ sku: { eq: 'a' } })) };
  expect(codesOf(await api.run(itemsPage, { first: 1, where: wide }))).toEqual(['LIMIT_WHERE']);
});
