/** A whole API over a fresh database: pipeline, keys, and a count of the SQL statements it sends. */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type ExecutionResult, print } from 'graphql';
import { type ApiKeys, createApiKey, openApiKeys } from '../../src/apiKeys.ts';
import { type Database, openDatabase } from '../../src/db.ts';
import {
  createPipeline,
  type GraphqlLimits,
  type Pipeline,
  type Results,
  type Visitor,
} from '../../src/graphql.ts';
import type { Session } from '../../src/schema/context.ts';
import { type Scope, scopes } from '../../src/schema/scopes.ts';
import type { Sync } from '../../src/sync/sync.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createFakeSync, type FakeSync } from './fakeSync.ts';
import { insertShop, type Shop } from './rows.ts';

export const limits: GraphqlLimits = {
  tokensMax: 2_000,
  depthMax: 14,
  aliasesMax: 30,
  fieldsMax: 1_000,
  nodesMax: 20_000,
  mutationsMax: 10,
  costMax: 2_000,
  operationTimeoutMs: 20_000,
  subscriptionsPerAccountMax: 500,
};

export type Api = AsyncDisposable & {
  readonly database: Database;
  readonly pipeline: Pipeline;
  readonly keys: ApiKeys;
  readonly sync: FakeSync;
  readonly shop: Shop;
  /** A session with every scope in the shop. */
  readonly session: Session;
  /** A key with every scope in the shop. */
  readonly key: string;
  readonly internalErrors: unknown[];
  /** SQL statements sent since the last call of `resetStatements`. */
  readonly statements: string[];
  keyFor(shop: Shop, allowed?: readonly Scope[]): Promise<{ readonly id: string; readonly key: string }>;
  /** Runs a document without any transport. */
  run<Data, Variables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    visitor?: Partial<Visitor>,
  ): Promise<ExecutionResult<Data>>;
  open<Data, Variables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    visitor?: Partial<Visitor>,
  ): Promise<Results>;
};

export type ApiOptions = {
  readonly limits?: Partial<GraphqlLimits>;
  readonly introspection?: boolean;
  readonly sync?: (database: Database) => Sync;
  /** A database that outlives the API, for suites that open many. Default: a fresh one. */
  readonly on?: TestDatabase | undefined;
};

export async function openApi(options: ApiOptions = {}): Promise<Api> {
  const testDatabase = options.on ?? (await createDatabase());
  const database = openDatabase({
    url: testDatabase.url,
    poolMax: 5,
    connectionTimeoutMs: 5_000,
    statementTimeoutMs: 10_000,
    applicationName: 'test',
    onError: () => undefined,
  });
  const statements = recordStatements(database);
  const sync = createFakeSync();
  const internalErrors: unknown[] = [];
  const keys = openApiKeys({
    database: database.pool,
    cacheMs: 1_000,
    cacheMax: 100,
    recheckMs: 60_000,
    onError: (error) => internalErrors.push(error),
  });
  const pipeline = createPipeline({
    services: { prisma: database.prisma, database: database.pool, sync: options.sync?.(database) ?? sync },
    limits: { ...limits, ...options.limits },
    introspection: options.introspection ?? true,
    watch: keys.watch,
    onInternalError({ error }) {
      internalErrors.push(error);
      newestInternalError = error;
    },
  });
  const shop = await insertShop(database.pool);
  const keyFor: Api['keyFor'] = (owner, allowed = scopes) =>
    createApiKey(database.pool, {
      accountId: owner.accountId,
      name: 'test',
      scopes: allowed,
      expiresAt: null,
    });
  const { key } = await keyFor(shop);
  const session = await keys.verify(key);
  if (!session) throw new Error('the key is not good');

  const visitorOf = (more: Partial<Visitor> = {}): Visitor => ({
    session,
    correlationId: 'test',
    lastEventId: null,
    safe: false,
    ...more,
  });
  return {
    database,
    pipeline,
    keys,
    sync,
    shop,
    session,
    key,
    internalErrors,
    statements,
    keyFor,
    run: async (document, variables, visitor) => {
      const result = await pipeline.run({ query: print(document), variables }, visitorOf(visitor));
      if (Symbol.asyncIterator in result) throw new Error('that is a subscription');
      return result as never;
    },
    open: async (document, variables, visitor) => {
      const result = await pipeline.run({ query: print(document), variables }, visitorOf(visitor));
      if (!(Symbol.asyncIterator in result))
        throw new Error(`no subscription: ${JSON.stringify(result.errors)}`);
      return result;
    },
    async [Symbol.asyncDispose]() {
      keys.close();
      await database.close();
      if (!options.on) await testDatabase.drop();
    },
  };
}

// Clients see a masked error; whoever reads a failed test wants the real one.
let newestInternalError: unknown;

/** The data of a result that must have no error. */
export function dataOf<Data>(result: ExecutionResult<Data>): Data {
  if (result.errors || !result.data)
    throw new Error(`the operation failed: ${JSON.stringify(result.errors)}`, { cause: newestInternalError });
  return result.data;
}

/** The codes of a result's errors. */
export function codesOf(result: ExecutionResult): unknown[] {
  return (result.errors ?? []).map((error) => error.extensions?.['code']);
}

export function sessionOf(shop: Shop, allowed: readonly Scope[] = scopes): Session {
  return { accountId: shop.accountId, keyId: shop.connectionId, keyName: 'test', scopes: new Set(allowed) };
}

function recordStatements({ pool }: Database): string[] {
  const statements: string[] = [];
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const [first] = args;
      statements.push(typeof first === 'string' ? first : String((first as { text?: unknown }).text));
      return query(...args);
    }) as never;
  });
  return statements;
}
