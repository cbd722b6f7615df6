/** The doors to PostgreSQL: a pool for SQL (all writes, hot reads), Prisma for the API's reads on the same connections, and a few for the job queue. */
import { PrismaPg } from '@prisma/adapter-pg';
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import { PrismaClient } from '../.generated/prisma/client.ts';
import { withRetry } from './dbErrors.ts';

export type Database = {
  readonly pool: Pool;
  readonly prisma: PrismaClient;
  /**
   * For the job queue only: a commit here does not wait for the disk. Jobs are hints at work that other tables hold, so losing the newest in a crash of
   * PostgreSQL costs a moment, and every order is spared waiting behind commits that mean nothing by themselves.
   */
  readonly queue: Pool;
  /**
   * For what a marketplace has just delivered. No statement waits long for a lock here, statements are sent one behind the other without waiting for
   * answers, and their plans are made once a connection.
   */
  readonly intake: Pool;
  close(): Promise<void>;
};

/** Anything that runs a statement: the pool, or one connection inside a transaction. */
export type Queryable = Pick<Pool, 'query'> | Pick<PoolClient, 'query'>;

export type DatabaseOptions = {
  readonly url: string;
  /** Most connections held by this process, beside the job queue's few. */
  readonly poolMax: number;
  readonly connectionTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
  readonly onError: (error: Error) => void;
};

/** One listens for jobs, the others take and finish them, which is a moment's work each. */
const queueConnectionsMax = 10;
/** The queue's library treats a connection that comes late as a fault of its own and gives up; it had better wait. */
const noTimeout = 0;
/** Orders applied as they come in; what comes beyond is stored for the inbox. More would only take turns on the processors, each with plans of its own to make. */
const intakeConnectionsMax = 4;
/** A marketplace waits for the answer meanwhile, and gives up after seconds: what takes longer is only stored. */
const intakeLockTimeoutMs = 250;
const intakeStatementTimeoutMs = 1_000;
/**
 * For statements that find all their rows by keys: planned once for any number of rows, and never by reading a whole table or index. A plan made while
 * a table was empty, or for the hundred rows that PostgreSQL expects of any JSON, would do that until the table is analysed again.
 */
const keyedSettings = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
};
/** A shop that sells once in a while should not pay for new connections, with their plans still to be made, at every sale. */
const idleMs = 600_000;

export function openDatabase(options: DatabaseOptions): Database {
  const pool = openPool(options, options.poolMax, '');
  const queueOptions = { ...options, connectionTimeoutMs: noTimeout };
  const queue = openPool(queueOptions, queueConnectionsMax, commandLine({ synchronous_commit: 'off' }));
  const intake = openPool(
    { ...options, statementTimeoutMs: Math.min(options.statementTimeoutMs, intakeStatementTimeoutMs) },
    intakeConnectionsMax,
    commandLine({ lock_timeout: String(intakeLockTimeoutMs), ...keyedSettings }),
    { pipeline: true },
  );
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool: false }) });
  return {
    pool,
    prisma,
    queue,
    intake,
    async close() {
      await prisma.$disconnect();
      await Promise.all([pool.end(), queue.end(), intake.end()]);
    },
  };
}

function commandLine(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => ` -c ${name}=${value}`)
    .join('');
}

function openPool(
  options: DatabaseOptions,
  max: number,
  settings: string,
  more: Pick<PoolConfig, 'pipeline'> = {},
): Pool {
  const pool = new Pool({
    connectionString: options.url,
    max,
    connectionTimeoutMillis: options.connectionTimeoutMs,
    idleTimeoutMillis: idleMs,
    statement_timeout: options.statementTimeoutMs,
    idle_in_transaction_session_timeout: options.statementTimeoutMs,
    application_name: options.applicationName,
    options: `-c timezone=UTC -c jit=off${settings}`,
    ...more,
  });
  // An idle connection that breaks (server restart) is replaced by the pool; without a listener the process would end.
  const onError = (error: Error & { client?: unknown }): void => {
    // `end` does not wait until the server has noticed: one that stops right after it still ends connections itself.
    if (pool.ending) return;
    // The error carries the whole client, and with it what could cancel its queries: none of a log's business.
    delete error.client;
    options.onError(error);
  };
  pool.on('error', onError);
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

const begin = 'BEGIN';
const beginKeyed = [
  begin,
  ...Object.entries(keyedSettings).map(([name, value]) => `SET LOCAL ${name} = ${value}`),
].join('; ');

/** As `inTransaction`, for work whose statements find all their rows by keys: a batch of listings, of any number. Never one inside another. */
export function inKeyedTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  return takingTurns(pool, () => inTransaction(pool, work, beginKeyed));
}

/** Batches of one process under way at once: more would only take the processors from what was just delivered. */
const batchesMax = 3;
const batches = new WeakMap<Pool, { running: number; readonly waiting: (() => void)[] }>();

async function takingTurns<Result>(pool: Pool, work: () => Promise<Result>): Promise<Result> {
  const turns = batches.get(pool) ?? { running: 0, waiting: [] };
  batches.set(pool, turns);
  if (turns.running < batchesMax) turns.running += 1;
  else await new Promise<void>((resolve) => turns.waiting.push(resolve));
  try {
    return await work();
  } finally {
    // Whoever waits takes over the turn.
    const next = turns.waiting.shift();
    if (next === undefined) turns.running -= 1;
    else next();
  }
}

/** Runs `work` in one transaction, again from the start when PostgreSQL reports a deadlock or an overtaken snapshot. */
export async function inTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
  beginSql = begin,
): Promise<Result> {
  return withRetry(async () => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query(beginSql);
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((rollbackError: Error) => {
        broken = rollbackError;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  });
}
