/** Gives each test a migrated database of its own in some 30 ms. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { inject } from 'vitest';
import { testDatabasePrefix } from './databaseNames.ts';

export type TestDatabase = AsyncDisposable & {
  readonly url: string;
  /** Ends every connection to the database and removes it. Safe to call twice. */
  drop(): Promise<void>;
};

/** A clone of the migrated template. `empty` gives a database without any table. `await using` drops it at the end of the block. */
export async function createDatabase(options: { readonly empty?: boolean } = {}): Promise<TestDatabase> {
  const problem = inject('databaseTemplateError');
  if (problem !== '' && !options.empty) throw new Error(`there is no migrated database to clone: ${problem}`);
  const own = inject('databaseTemplate');
  const name = testDatabasePrefix(own) + randomBytes(6).toString('hex');
  const template = options.empty ? 'template0' : own;
  await onServer(`create database ${name} template ${template}`);
  const url = new URL(inject('databaseServer'));
  url.pathname = name;
  let dropped: Promise<void> | null = null;
  const drop = (): Promise<void> => (dropped ??= onServer(`drop database if exists ${name} with (force)`));
  return { url: url.href, drop, [Symbol.asyncDispose]: drop };
}

async function onServer(statement: string): Promise<void> {
  const client = new Client({ connectionString: inject('databaseServer') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
