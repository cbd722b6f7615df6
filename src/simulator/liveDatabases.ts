/** A fresh, migrated database for each run, on the server of DATABASE_URL or on an embedded one that leaves nothing behind. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../embeddedPostgres.ts';
import type { Log } from '../log.ts';
import { migrate } from '../migrate.ts';

export type LiveDatabases = {
  /** Answers its address. */
  make(): Promise<string>;
  drop(databaseUrl: string): Promise<void>;
  /** Removes the template and ends the embedded server. */
  close(): Promise<void>;
};

/** A run that loses its database loses nothing of worth. */
const quickSettings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

export async function openDatabases(
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
  prepare: (databaseUrl: string) => Promise<unknown> = migrate,
): Promise<LiveDatabases> {
  const given = environment['DATABASE_URL']?.trim();
  const embedded =
    given === undefined || given === ''
      ? await startEmbeddedPostgres({ purpose: 'simulate', log, temporary: true, settings: quickSettings })
      : null;
  const server = embedded?.url ?? given ?? '';
  const template = `simulate_${randomBytes(6).toString('hex')}`;
  const named = (name: string) => {
    const url = new URL(server);
    url.pathname = name;
    return url.href;
  };
  const drop = (name: string) => execute(server, `drop database if exists ${name} with (force)`);
  async function close(): Promise<void> {
    try {
      await drop(template);
    } finally {
      await embedded?.stop();
    }
  }
  try {
    await execute(server, `create database ${template}`);
    await prepare(named(template));
  } catch (error) {
    await close().catch((left: unknown) => log.warn({ error: left, template }, 'a database was left behind'));
    throw error;
  }
  let made = 0;
  return {
    async make() {
      made += 1;
      const name = `${template}_${made}`;
      await execute(server, `create database ${name} template ${template}`);
      return named(name);
    },
    drop: (databaseUrl) => drop(new URL(databaseUrl).pathname.slice(1)),
    close,
  };
}

async function execute(server: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
