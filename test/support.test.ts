/** Proves that what the other tests stand on does what it says. */
import { Client } from 'pg';
import { expect, inject, test } from 'vitest';
import { migrate, pendingMigrations } from '../src/migrate.ts';
import { createDatabase } from './support/database.ts';
import { createGate, waitFor, within } from './support/waiting.ts';

async function namesOnServer(): Promise<string[]> {
  const client = new Client({ connectionString: inject('databaseServer') });
  await client.connect();
  try {
    return (await client.query<{ datname: string }>('select datname from pg_database')).rows.map(
      ({ datname }) => datname,
    );
  } finally {
    await client.end();
  }
}

test('each test gets a migrated database of its own, gone when dropped', async () => {
  const [one, other] = await Promise.all([createDatabase(), createDatabase()]);

  expect(one.url).not.toBe(other.url);
  expect(await pendingMigrations(one.url)).toEqual([]);
  expect(await migrate(other.url)).toEqual([]);
  await Promise.all([one.drop(), other.drop()]);
  await one.drop();
  const names = await namesOnServer();
  expect(names).toContain(inject('databaseTemplate'));
  expect(names).not.toContain(new URL(one.url).pathname.slice(1));
});

test('a database is dropped even while connections are open', async () => {
  const database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  // Two errors follow: the server's farewell and the closed connection.
  const ended = new Promise((resolve) => {
    client.on('error', resolve);
  });
  await client.connect();
  await database.drop();

  expect(await within(ended, 5_000, 'the connection to be ended')).toBeInstanceOf(Error);
});

test('waiting gives the first truthy value', async () => {
  let looks = 0;

  expect(await waitFor(() => ++looks === 3 && 'seen', { intervalMs: 1 })).toBe('seen');
});

test('waiting in vain says for what, and why not', async () => {
  const waiting = waitFor(() => Promise.reject(new Error('still empty')), {
    timeoutMs: 20,
    what: 'the inbox',
  });

  await expect(waiting).rejects.toThrow('waited 20 ms in vain for the inbox: still empty');
});

test('a promise that is late is named, and one in time gives its value', async () => {
  const gate = createGate<number>();

  await expect(within(gate.opened, 10, 'the gate')).rejects.toThrow('waited 10 ms in vain for the gate');
  gate.open(7);
  expect(await within(gate.opened, 1_000, 'the gate')).toBe(7);
});
