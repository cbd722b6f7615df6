/** Proves that PostgreSQL's errors are recognised through both doors, and that only work which changed nothing is done again. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../src/db.ts';
import { isRetryable, sqlState, violatedConstraint, withRetry } from '../src/dbErrors.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

let server: TestDatabase;
let database: Database;

beforeAll(async () => {
  server = await createDatabase();
  database = openDatabase({
    url: server.url,
    poolMax: 2,
    connectionTimeoutMs: 5_000,
    statementTimeoutMs: 5_000,
    applicationName: 'test',
    onError: () => undefined,
  });
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

describe('the code of an error', () => {
  test('is found through the pool and through Prisma', async () => {
    expect(sqlState(await errorOf(database.pool.query('SELECT 1 / 0')))).toBe('22012');
    expect(sqlState(await errorOf(database.prisma.$queryRawUnsafe('SELECT 1 / 0')))).toBe('22012');
    const conflict = `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END $$`;
    expect(isRetryable(await errorOf(database.pool.query(conflict)))).toBe(true);
    expect(isRetryable(await errorOf(database.prisma.$executeRawUnsafe(conflict)))).toBe(true);
  });

  test('names the constraint that was violated', async () => {
    await database.pool.query(`INSERT INTO accounts (name) VALUES ('a')`);
    const error = await errorOf(database.pool.query(`UPDATE accounts SET name = ''`));
    expect(violatedConstraint(error)).toBe('accounts_name_check');
  });

  test.each([
    null,
    undefined,
    'text',
    7,
    {},
    new Error('no database'),
    { code: 'ECONNREFUSED' },
    { code: 40_001 },
  ])('is null for %s', (error) => {
    expect(sqlState(error)).toBeNull();
    expect(violatedConstraint(error)).toBeNull();
    expect(isRetryable(error)).toBe(false);
  });
});

const failing = (times: number, code: string) => {
  let attempts = 0;
  return {
    attempts: () => attempts,
    work: async (): Promise<number> => {
      attempts += 1;
      if (attempts <= times) throw Object.assign(new Error(`attempt ${attempts}`), { code });
      return attempts;
    },
  };
};

describe('doing work again', () => {
  test.each(['40001', '40P01'])('happens after %s until it succeeds', async (code) => {
    expect(await withRetry(failing(3, code).work)).toBe(4);
  });

  test('never happens after another error: the work may have been done', async () => {
    const { work, attempts } = failing(1, '23505');
    await expect(withRetry(work)).rejects.toThrow('attempt 1');
    expect(attempts()).toBe(1);
  });

  test('ends after ten attempts with the last error', async () => {
    const { work, attempts } = failing(1_000, '40001');
    await expect(withRetry(work)).rejects.toThrow('attempt 10');
    expect(attempts()).toBe(10);
  });
});
