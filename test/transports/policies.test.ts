/** Every policy, the same over HTTP, WebSocket and Server-Sent Events. */
import type { ExecutionResult } from 'graphql';
import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scope } from '../../src/schema/scopes.ts';
import { createFakeSync } from '../schema/fakeSync.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import {
  connectWith,
  listen,
  openServer,
  post,
  type Request,
  type Server,
  type ServerOptions,
} from './serverFixture.ts';

type Ask = (server: Server, request: Request, key: string | null) => Promise<ExecutionResult>;

const overHttp: Ask = async ({ url }, request, key) =>
  (await post(url, request, key === null ? {} : { authorization: `Bearer ${key}` })).body;

const overWebSocket: Ask = async ({ webSocketUrl }, request, key) => {
  await using client = await connectWith(webSocketUrl, key);
  client.send({ type: 'subscribe', id: '1', payload: request });
  const { type, payload } = await client.next();
  return type === 'error' ? { errors: payload as never } : (payload as ExecutionResult);
};

const overEvents: Ask = async ({ url }, request, key) => {
  await using events = await listen(url, request, key === null ? {} : { 'x-api-key': key });
  const message = await events.next();
  return JSON.parse(message?.data ?? 'null') as ExecutionResult;
};

const transports: [string, Ask][] = [
  ['HTTP', overHttp],
  ['WebSocket', overWebSocket],
  ['Server-Sent Events', overEvents],
];

let database: TestDatabase | undefined;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database?.drop());

const open = (options: ServerOptions = {}) => openServer({ on: database, ...options });

async function codes(
  ask: Ask,
  request: Request,
  options: ServerOptions & { scopes?: Scope[]; anonymous?: boolean } = {},
) {
  await using server = await open(options);
  const key = options.scopes
    ? (await server.api.keyFor(server.api.shop, options.scopes)).key
    : server.api.key;
  const { errors } = await ask(server, request, options.anonymous ? null : key);
  return (errors ?? []).map(({ extensions }) => extensions?.['code']);
}

/** An introspection that nests `part`, which opens two selections, ten times. */
function circle(part: string): string {
  return `{ __schema { types { ${part.repeat(10)} name ${'}'.repeat(20)} } } }`;
}

const items = (more = '') => `{ inventoryItems(first: 1) { nodes { id ${more} } } }`;

describe.each(transports)('over %s', (_name, ask) => {
  test('a good key gets an answer', async () => {
    await using server = await open();
    const result = await ask(server, { query: items() }, server.api.key);
    expect(result).toEqual({ data: { inventoryItems: { nodes: [] } } });
  });

  test('without a key only __typename and introspection are answered', async () => {
    await using server = await open();
    expect(await ask(server, { query: '{ __typename }' }, null)).toEqual({ data: { __typename: 'Query' } });
    expect(
      (await ask(server, { query: '{ __schema { queryType { name } } }' }, null)).errors,
    ).toBeUndefined();
    const { errors } = await ask(server, { query: items() }, null);
    expect(errors?.map(({ extensions }) => extensions?.['code'])).toEqual(['UNAUTHENTICATED']);
  });

  test('a missing scope is named', async () => {
    await using server = await open();
    const { key } = await server.api.keyFor(server.api.shop, ['stock:read']);
    const { errors } = await ask(server, { query: '{ orders(first: 1) { totalCount } }' }, key);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', scope: 'orders:read' });
  });

  test('a scope is needed wherever its type is reached', async () => {
    const scopes: Scope[] = ['stock:read'];
    const reached = [
      items('orderLines(first: 1) { totalCount }'),
      '{ alerts(first: 1) { nodes { orders(first: 1) { __typename } } } }',
      '{ node(id: "x") { ... on Order { customerName } } }',
      'fragment F on Order { id } { alerts(first: 1) { nodes { orders(first: 1) { ...F } } } }',
    ];
    for (const query of reached)
      expect([query, ...(await codes(ask, { query }, { scopes }))]).toEqual([query, 'FORBIDDEN']);
  });

  test('a document with too many tokens is not even parsed', async () => {
    const query = `{ ${'__typename '.repeat(200)} }`;
    expect(await codes(ask, { query }, { limits: { tokensMax: 100 } })).toEqual(['LIMIT_TOKENS']);
  });

  test('an operation that nests too deep is refused', async () => {
    const query = items(
      'listings(first: 1) { nodes { item { listings(first: 1) { nodes { item { id } } } } } }',
    );
    expect(await codes(ask, { query }, { limits: { depthMax: 6 } })).toEqual(['LIMIT_DEPTH']);
  });

  test('an operation with too many aliases is refused', async () => {
    const query = `{ ${Array.from({ length: 4 }, (_, index) => `a${index}: __typename`).join(' ')} }`;
    expect(await codes(ask, { query }, { limits: { aliasesMax: 3 } })).toEqual(['LIMIT_ALIASES']);
  });

  test('fragments that multiply are counted wherever they are spread', async () => {
    const levels = Array.from(
      { length: 10 },
      (_, index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`,
    );
    const query = `{ ...F0 } ${levels.join(' ')} fragment F10 on Query { __typename }`;
    expect(await codes(ask, { query }, { limits: { fieldsMax: 500 } })).toEqual(['LIMIT_FIELDS']);
  });

  test('pages are multiplied before anything is read, with variables and defaults', async () => {
    const query = `query Q($n: Int = 100, $m: Int!) { inventoryItems(first: $n) { nodes { listings(first: $m) { nodes { id } } } } }`;
    const limits = { nodesMax: 5_000 };
    expect(await codes(ask, { query, variables: { m: 100 } }, { limits })).toEqual(['LIMIT_NODES']);
    expect(await codes(ask, { query, variables: { n: 40, m: 100 } }, { limits })).toEqual([]);
    expect(await codes(ask, { query, variables: { n: 40, m: 100 } }, { limits: { costMax: 100 } })).toEqual([
      'LIMIT_COST',
    ]);
    expect(await codes(ask, { query, variables: { n: 101, m: 1 } })).toEqual(['LIMIT_PAGE_SIZE']);
    const ids = Array.from({ length: 101 }, () => 'x');
    expect(
      await codes(ask, { query: 'query N($ids: [ID!]!) { nodes(ids: $ids) { id } }', variables: { ids } }),
    ).toEqual(['LIMIT_PAGE_SIZE']);
  });

  test('one operation holds a bounded number of mutations', async () => {
    const one = 'inventorySyncAll { userErrors { code } }';
    const query = `mutation { a: ${one} b: ${one} c: ${one} }`;
    expect(await codes(ask, { query }, { limits: { mutationsMax: 2 } })).toEqual(['LIMIT_MUTATIONS']);
    expect(await codes(ask, { query }, { limits: { mutationsMax: 3 } })).toEqual([]);
  });

  test('introspection can be switched off, and then no message suggests names either', async () => {
    const options = { introspection: false };
    expect(await codes(ask, { query: getIntrospectionQuery() }, options)).toEqual(['INTROSPECTION_DISABLED']);
    expect(await codes(ask, { query: '{ __type(name: "Query") { name } }' }, options)).toEqual([
      'INTROSPECTION_DISABLED',
    ]);
    await using server = await open(options);
    const { errors } = await ask(
      server,
      { query: '{ inventoryItem { id } viewr { scopes } }' },
      server.api.key,
    );
    expect(errors?.length).toBeGreaterThan(0);
    expect(JSON.stringify(errors)).not.toContain('Did you mean');
  });

  test('the introspection query of tools is answered, one that turns in circles is not', async () => {
    expect(await codes(ask, { query: getIntrospectionQuery() }, { limits: { depthMax: 5 } })).toEqual([]);
    expect(await codes(ask, { query: circle('fields { type { ') })).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect(await codes(ask, { query: circle('ofType { ofType { ') })).toEqual(['LIMIT_DEPTH']);
  });

  test('mistakes of the caller have codes of their own', async () => {
    expect(await codes(ask, { query: '{ inventoryItems(' })).toEqual(['GRAPHQL_PARSE_FAILED']);
    expect(await codes(ask, { query: '{ nothing }' })).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect(await codes(ask, { query: 'query Q($id: ID!) { node(id: $id) { id } }' })).toEqual([
      'BAD_USER_INPUT',
    ]);
    expect(await codes(ask, { query: 'query A { __typename } query B { __typename }' })).toEqual([
      'BAD_USER_INPUT',
    ]);
    // The last two are outside the years 1 to 9999 in UTC.
    for (const at of ['yesterday', '0000-06-01T00:00:00Z', '9999-12-31T23:00:00-02:00']) {
      const query = `{ inventoryItems(first: 1, where: {updatedAt: {gte: "${at}"}}) { nodes { id } } }`;
      expect(await codes(ask, { query })).toEqual(['BAD_USER_INPUT']);
    }
  });

  test('text that no database keeps is refused, in variables and in the document', async () => {
    const query = 'query Q($sku: String!) { inventoryItemBySku(sku: $sku) { id } }';
    const written = query.replace('sku: $sku', String.raw`sku: "a\u0000b"`).replace('($sku: String!)', '');
    expect(await codes(ask, { query, variables: { sku: 'a\0b' } })).toEqual(['BAD_USER_INPUT']);
    expect(await codes(ask, { query: written })).toEqual(['BAD_USER_INPUT']);
    expect(await codes(ask, { query, variables: { sku: String.raw`a\u0000b` } })).toEqual([]);
  });

  test('variables that nest without end are refused', async () => {
    const query = 'query Q($w: InventoryItemWhere) { inventoryItems(first: 1, where: $w) { nodes { id } } }';
    const nested = (levels: number): object => (levels === 0 ? {} : { and: [nested(levels - 1)] });
    expect(await codes(ask, { query, variables: { w: nested(1_500) } })).toEqual(['BAD_USER_INPUT']);
    expect(await codes(ask, { query, variables: { w: nested(2) } })).toEqual([]);
  });

  test('a fault of ours is masked, logged, and can be found by its correlation id', async () => {
    const sync = createFakeSync();
    const events = { ...sync.events, oldestCursor: () => Promise.reject(new Error('secret detail')) };
    await using server = await open({ sync: () => ({ ...sync, events }) });
    const { errors } = await ask(server, { query: '{ oldestCursor }' }, server.api.key);
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.extensions).toEqual({
      code: 'INTERNAL',
      correlationId: expect.stringMatching(/^[\w-]{36}$/) as unknown,
    });
    expect(JSON.stringify(errors)).not.toMatch(/secret|stack|\.ts/);
    expect(server.api.internalErrors).toMatchObject([{ message: 'secret detail' }]);
  });

  test('a subscription obeys the same rules', async () => {
    const query = 'subscription { orderEvents { __typename } }';
    expect(await codes(ask, { query }, { scopes: ['stock:read'] })).toEqual(['FORBIDDEN']);
    expect(await codes(ask, { query }, { anonymous: true })).toEqual(['UNAUTHENTICATED']);
    expect(
      await codes(ask, { query: 'subscription { orderEvents { __typename } stockEvents { __typename } }' }),
    ).toEqual(['GRAPHQL_VALIDATION_FAILED']);
  });
});
