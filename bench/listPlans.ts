/** What the API's lists cost in a very large shop: no table that has grown is read whole, and no page takes much longer than in a small shop. */
import { type Database, openDatabase } from '../src/db.ts';
import { createPipeline, type Pipeline } from '../src/graphql.ts';
import type { Session } from '../src/schema/context.ts';
import { scopes } from '../src/schema/scopes.ts';
import type { Sync } from '../src/sync/sync.ts';
import { lists } from '../test/support/listPages.ts';
import { explainAll, startRecording, statementsOf } from '../test/support/queryPlans.ts';
import { absolute, type Bench, compare, inTurns, type Result, rounded } from './harness.ts';
import { filledTables } from './shopData.ts';

type Shop = { readonly url: string; readonly items: number; readonly accountId: string };
type Reader = AsyncDisposable & {
  readonly database: Database;
  /** Two pages of a list, one behind the other; answers how many milliseconds they took. */
  read(query: string): Promise<number>;
};
type Pace = { readonly name: string; readonly result: Result };

export async function measureLists(bench: Bench, large: Shop, small: Shop): Promise<readonly Result[]> {
  await using product = openReader(large);
  await using floor = openReader(small);
  const paces: Pace[] = [];
  for (const [name, query] of Object.entries(lists)) {
    const sides = { product: () => product.read(query), floor: () => floor.read(query) };
    const turns = await inTurns(bench.quick ? 3 : 9, sides);
    // A walk through everything would be a hundred times slower and more; estimates that differ are not.
    paces.push({
      name,
      result: compare({ name: 'catalogue.list', unit: 'ms', limit: 5, bound: 'atMost' }, turns),
    });
  }
  return [await scansOf(product), slowestOf(paces, large.items)];
}

/** By how much its large shop is slower; all lists are told with their times. */
function slowestOf(paces: readonly Pace[], items: number): Result {
  const [slowest] = paces.toSorted((a, b) => (b.result.ratio ?? 0) - (a.result.ratio ?? 0));
  if (slowest === undefined) throw new Error('there is no list: this measured nothing');
  const times = paces.map(
    ({ name, result: { value, floor } }) => `${name} ${rounded(value)} (${rounded(floor ?? 0)})`,
  );
  const notes = [
    `two pages of the list that is slowed down most by ${items.toLocaleString('en')} items: ${slowest.name}`,
    `median ms of two pages (in the small shop): ${times.join(', ')}`,
  ];
  return { ...slowest.result, notes: [...notes, ...slowest.result.notes] };
}

async function scansOf({ database, read }: Reader): Promise<Result> {
  const recording = startRecording();
  try {
    return await explained(database, read);
  } finally {
    recording[Symbol.dispose]();
  }
}

async function explained(database: Database, read: Reader['read']): Promise<Result> {
  const scans: string[] = [];
  let statements = 0;
  for (const [name, query] of Object.entries(lists)) {
    for (const { scans: tables } of await explainAll(database.pool, await statementsOf(() => read(query)))) {
      statements += 1;
      scans.push(
        ...tables
          .filter((table) => filledTables.includes(table))
          .map((table) => `${name} reads all of ${table}`),
      );
    }
  }
  if (statements === 0) throw new Error('no statement was explained: this measured nothing');
  const notes = [`tables read whole by the plans of ${statements} statements`, ...scans];
  return absolute(
    { name: 'catalogue.list.scans', unit: 'scans', limit: 0, bound: 'atMost', notes },
    scans.length,
    [scans.length],
  );
}

function openReader({ url, accountId }: Shop): Reader {
  const database = openDatabase({
    url,
    poolMax: 5,
    connectionTimeoutMs: 5_000,
    statementTimeoutMs: 60_000,
    applicationName: 'bench',
    onError: () => undefined,
  });
  const session: Session = { accountId, keyId: 'bench', keyName: 'bench', scopes: new Set(scopes) };
  const pipeline = createPipeline({
    // No list asks for a verb.
    services: { prisma: database.prisma, database: database.pool, sync: {} as Sync },
    limits: {
      tokensMax: 2_000,
      depthMax: 14,
      aliasesMax: 30,
      fieldsMax: 1_000,
      nodesMax: 20_000,
      mutationsMax: 10,
      costMax: 2_000,
      operationTimeoutMs: 60_000,
      subscriptionsPerAccountMax: 1,
    },
    introspection: false,
    watch: () => ({ signal: new AbortController().signal, release: () => undefined }),
    onInternalError: () => undefined,
  });
  return {
    database,
    read: async (query) => {
      const startedAt = performance.now();
      const after = await endOf(pipeline, session, query, null);
      await endOf(pipeline, session, query, after);
      return performance.now() - startedAt;
    },
    [Symbol.asyncDispose]: () => database.close(),
  };
}

/** The cursor behind one page; null behind an empty one. */
async function endOf(
  pipeline: Pipeline,
  session: Session,
  query: string,
  after: string | null,
): Promise<string | null> {
  const visitor = { session, correlationId: 'bench', lastEventId: null, safe: false };
  const result = await pipeline.run({ query, variables: { after } }, visitor);
  if (Symbol.asyncIterator in result || result.errors)
    throw new Error(`a list could not be read: ${JSON.stringify(result)}`);
  const { page } = result.data as { page: { pageInfo: { endCursor: string | null } } };
  return page.pageInfo.endCursor;
}
