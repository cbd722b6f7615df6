/** Proves that a transaction commits whole or not at all, runs again after a deadlock, and that broken connections are replaced. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, inKeyedTransaction, inTransaction, openDatabase } from '../src/db.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { createGate, waitFor } from './support/waiting.ts';

let server: TestDatabase;
let database: Database;
let errors: Error[];

const open = (more: { readonly poolMax?: number; readonly statementTimeoutMs?: number } = {}): Database =>
  openDatabase({
    url: server.url,
    poolMax: 4,
    connectionTimeoutMs: 500,
    statementTimeoutMs: 5_000,
    applicationName: 'the test',
    onError: (error) => errors.push(error),
    ...more,
  });

beforeAll(async () => {
  server = await createDatabase();
  errors = [];
  database = open();
});
afterAll(async () => {
  await database.close();
  await server.drop();
});
beforeEach(async () => {
  errors = [];
  await database.pool.query('TRUNCATE accounts CASCADE');
  await database.pool.query(`INSERT INTO accounts (name) VALUES ('a'), ('b')`);
});

async function names(): Promise<string[]> {
  const { rows } = await database.pool.query<{ name: string }>('SELECT name FROM accounts ORDER BY name');
  return rows.map(({ name }) => name);
}

describe('a transaction', () => {
  test('commits what it did and answers its result', async () => {
    expect(
      await inTransaction(database.pool, async (client) => {
        await client.query(`INSERT INTO accounts (name) VALUES ('c')`);
        return 7;
      }),
    ).toBe(7);
    expect(await names()).toEqual(['a', 'b', 'c']);
  });

  test('that fails leaves nothing and gives its connection back', async () => {
    for (let round = 0; round < 10; round += 1) {
      await expect(
        inTransaction(database.pool, async (client) => {
          await client.query(`INSERT INTO accounts (name) VALUES ('c')`);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
    }
    expect(await names()).toEqual(['a', 'b']);
    expect(database.pool.idleCount).toBe(database.pool.totalCount);
  });

  test('that meets another one in a deadlock runs again, and both are done', async () => {
    const both = [createGate(), createGate()] as const;
    let runs = 0;
    const swap = (first: string, second: string, own: 0 | 1) =>
      inTransaction(database.pool, async (client) => {
        runs += 1;
        await client.query(`UPDATE accounts SET updated_at = now() WHERE name = $1`, [first]);
        both[own].open();
        await both[own === 0 ? 1 : 0].opened;
        await client.query(`UPDATE accounts SET updated_at = now() WHERE name = $1`, [second]);
      });
    await Promise.all([swap('a', 'b', 0), swap('b', 'a', 1)]);
    // Both may be chosen to give way.
    expect(runs).toBeGreaterThanOrEqual(3);
  });

  test('whose connection breaks fails, and the next one works', async () => {
    await expect(
      inTransaction(database.pool, async (client) => {
        await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
      }),
    ).rejects.toThrow(/terminat/);
    expect(await names()).toEqual(['a', 'b']);
  });
});

describe('the pool', () => {
  test('survives that the server ends an idle connection, and says so', async () => {
    const other = open({ poolMax: 1 });
    const { rows } = await other.pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await database.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await waitFor(() => errors.length > 0);
    expect((await other.pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await other.close();
  });

  test('says nothing of a connection that the server ends while the pool is closing', async () => {
    const other = open({ poolMax: 1 });
    const client = await other.pool.connect();
    const ended = new Promise((resolve) => client.once('end', resolve));
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const closing = other.close();
    await waitFor(() => other.pool.ending);
    await database.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await ended;
    client.release(true);
    await closing;
    expect(errors).toEqual([]);
  });

  test('ends a statement that takes too long', async () => {
    const quick = open({ statementTimeoutMs: 50 });
    await expect(quick.pool.query('SELECT pg_sleep(5)')).rejects.toMatchObject({ code: '57014' });
    await quick.close();
  });

  test('leaves connections to others while many batches are worked on, and a batch that fails gives its turn back', async () => {
    const gate = createGate();
    let running = 0;
    const batch = (fails: boolean): Promise<void> =>
      inKeyedTransaction(database.pool, async (client) => {
        await client.query('SELECT 1');
        running += 1;
        await gate.opened;
        if (fails) throw new Error('the batch failed');
      });
    const all = [true, false, true, false, true, false].map(batch);
    const settled = Promise.allSettled(all);
    await waitFor(() => running === 3);
    // Of four connections the batches leave one.
    expect((await database.pool.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(running).toBe(3);
    gate.open();
    expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(running).toBe(6);
  });

  test('ends after a second what a marketplace would have to wait for', async () => {
    const begun = performance.now();
    await expect(database.intake.query('SELECT pg_sleep(4)')).rejects.toMatchObject({ code: '57014' });
    expect(performance.now() - begun).toBeGreaterThan(900);
  });

  test('refuses to wait for a connection without end', async () => {
    const small = open({ poolMax: 1 });
    const client = await small.pool.connect();
    await expect(small.pool.query('SELECT 1')).rejects.toThrow('timeout');
    client.release();
    await small.close();
  });

  test('speaks UTC under the application’s name, and serves Prisma from the same connections', async () => {
    const { rows } = await database.pool.query(
      `SELECT current_setting('TimeZone') AS zone, current_setting('application_name') AS name`,
    );
    expect(rows).toEqual([{ zone: 'UTC', name: 'the test' }]);
    const before = database.pool.totalCount;
    expect(await database.prisma.account.count()).toBe(2);
    expect(database.pool.totalCount).toBe(before);
  });
});
