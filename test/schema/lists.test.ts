/** Every root list can be asked for in the order of creation, and of the last change where its rows have one; each order is one whose costs are known. */
import { type ExecutionResult, type GraphQLField, getNamedType, isEnumType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { schema } from '../../src/schema/schema.ts';
import { lists } from '../support/listPages.ts';
import { type Api, dataOf, openApi } from './apiFixture.ts';
import { insertEverything } from './rows.ts';

type List = {
  readonly name: string;
  readonly orders: readonly string[];
  readonly columns: readonly string[];
};

const rootLists: readonly List[] = Object.values(schema.getQueryType()?.getFields() ?? {})
  .filter((field) => getNamedType(field.type).name.endsWith('Connection') && pageOf(field) !== null)
  .map((field) => ({ name: field.name, orders: ordersOf(field), columns: columnsOf(field) }));

/** SKUs that nothing matches are no rows of their own. */
const ofRows = rootLists.filter(({ name }) => name !== 'unmatchedSkus');

test('every list has an order of creation, or of its natural key, and one of the last change where its rows have that', () => {
  expect(rootLists.length).toBeGreaterThanOrEqual(12);
  for (const { name, orders, columns } of ofRows) {
    expect([name, orders]).toEqual([
      name,
      expect.arrayContaining(
        columns.includes('updatedAt')
          ? ['UPDATED_AT_ASC', 'UPDATED_AT_DESC']
          : ['CREATED_AT_ASC', 'CREATED_AT_DESC'],
      ),
    ]);
  }
  expect(rootLists.find(({ name }) => name === 'unmatchedSkus')?.orders).toEqual(['SKU_ASC', 'SKU_DESC']);
});

test('every order of every list is among those whose plans are looked at', () => {
  const looked = Object.values(lists).join('\n');
  for (const { name, orders } of rootLists)
    for (const order of orders) expect(looked).toMatch(new RegExp(`page: ${name}\\(.*orderBy: ${order}\\b`));
});

test('every list answers each of its orders, the other way round, and behind a cursor', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  for (const word of ['a', 'b', 'c']) await insertEverything(pool, api.shop, word);
  for (const table of ['alerts', 'jobs', 'sync_conflicts', 'sync_operations', 'sync_plans', 'reservations'])
    await pool.query(`UPDATE ${table} SET updated_at = now() - random() * interval '1 day'`);
  for (const list of rootLists) {
    const read = (range: string) => readPage(api, list, range);
    for (const order of list.orders) {
      const { nodes, pageInfo } = await read(`first: 10, orderBy: ${order}`);
      expect(nodes.length).toBeGreaterThan(0);
      const reversed = order.endsWith('ASC') ? order.replace(/ASC$/, 'DESC') : order.replace(/DESC$/, 'ASC');
      expect([order, (await read(`first: 10, orderBy: ${reversed}`)).nodes]).toEqual([
        order,
        nodes.toReversed(),
      ]);
      expect((await read(`last: 10, orderBy: ${order}`)).nodes).toEqual(nodes);
      const after = `after: "${pageInfo.startCursor}", orderBy: ${order}`;
      expect((await read(`first: 10, ${after}`)).nodes).toEqual(nodes.slice(1));
      const before = `before: "${pageInfo.endCursor}", orderBy: ${order}`;
      expect((await read(`last: 10, ${before}`)).nodes).toEqual(nodes.slice(0, -1));
      const times = order === 'UPDATED_AT_ASC' ? nodes.map(({ at }) => at) : [];
      expect(times).toEqual(times.toSorted());
    }
  }
});

type AnyPage = {
  readonly nodes: readonly { readonly key: string; readonly at: string }[];
  readonly pageInfo: { readonly startCursor: string; readonly endCursor: string };
};

async function readPage(api: Api, { name, columns }: List, range: string): Promise<AnyPage> {
  const key = columns.includes('id') ? 'id' : 'sku';
  const at = columns.includes('updatedAt') ? 'updatedAt' : '__typename';
  const query = `{ page: ${name}(${range}) { nodes { key: ${key} at: ${at} } pageInfo { startCursor endCursor } } }`;
  const visitor = { session: api.session, correlationId: 'test', lastEventId: null, safe: false };
  const result = await api.pipeline.run({ query }, visitor);
  return dataOf(result as ExecutionResult<{ page: AnyPage }>).page;
}

function pageOf(field: GraphQLField<unknown, unknown>) {
  const type = getNamedType(field.type);
  return isObjectType(type) ? (type.getFields()['nodes'] ?? null) : null;
}

function columnsOf(field: GraphQLField<unknown, unknown>): readonly string[] {
  const node = getNamedType(pageOf(field)?.type);
  return isObjectType(node) ? Object.keys(node.getFields()) : [];
}

function ordersOf(field: GraphQLField<unknown, unknown>): readonly string[] {
  const type = getNamedType(field.args.find(({ name }) => name === 'orderBy')?.type);
  return isEnumType(type) ? type.getValues().map(({ name }) => name) : [];
}
