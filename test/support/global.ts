/** Starts one PostgreSQL for the whole run, or takes the one that `TEST_DATABASE_URL` names, with a migrated template database, and fails a run that leaves databases or processes. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embeddedPostgres.ts';
import { createLog } from '../../src/log.ts';
import { migrate } from '../../src/migrate.ts';
import { testDatabasePrefix } from './databaseNames.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The test server's superuser connection string. */
    databaseServer: string;
    /** The migrated database that tests clone. */
    databaseTemplate: string;
    /** Why there is no template; empty when there is one. Tests that need no database run all the same. */
    databaseTemplateError: string;
  }
}

/** How long a process that was told to end may take: a browser takes its helpers with it. */
const endingTimeMs = 3_000;
const runMark = 'LISTGENIUS_TEST_RUN';

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await openServer();
  process.env[runMark] = randomBytes(6).toString('hex');
  // A second run at the same moment shares the server, never the template.
  const template = `template_${randomBytes(4).toString('hex')}`;
  await execute(server.url, `create database ${template}`);
  const url = new URL(server.url);
  url.pathname = template;
  const error = await migrate(url.href).then(
    () => '',
    (reason: unknown) => String(reason),
  );
  project.provide('databaseServer', server.url);
  project.provide('databaseTemplate', template);
  project.provide('databaseTemplateError', error);
  return async () => {
    const databases = await query(
      server.url,
      `select datname from pg_database where datname like '${testDatabasePrefix(template)}%'`,
    );
    for (const { datname } of databases) await execute(server.url, `drop database "${datname}" with (force)`);
    await execute(server.url, `drop database if exists ${template} with (force)`);
    await server.stop();
    const left = [...databases.map(({ datname }) => `the database ${datname}`), ...(await processesLeft())];
    // Vitest turns an error here into a failed run.
    if (left.length > 0) throw new Error(`tests left behind:\n  ${left.join('\n  ')}`);
  };
}

/** A server named by hand is left running: it is there to try another version of PostgreSQL. */
async function openServer(): Promise<Pick<EmbeddedPostgres, 'url' | 'stop'>> {
  const named = process.env['TEST_DATABASE_URL'];
  if (named !== undefined) return { url: named, stop: () => Promise.resolve() };
  return startEmbeddedPostgres({
    purpose: 'test',
    log: createLog({ level: 'warn' }),
    temporary: true,
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' },
  });
}

/** The processes of this run that do not end by themselves. They are named, and ended. */
async function processesLeft(): Promise<string[]> {
  const deadline = performance.now() + endingTimeMs;
  let left = await findProcesses();
  while (left.length > 0 && performance.now() < deadline) {
    await delay(50);
    left = await findProcesses();
  }
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
  return left.map(({ pid, words }) => `the process ${pid} (${words.slice(0, 120)})`);
}

/** What tests started, by the mark that every process inherits; Linux only. */
async function findProcesses(): Promise<{ readonly pid: number; readonly words: string }[]> {
  if (process.platform !== 'linux') return [];
  const mark = `${runMark}=${process.env[runMark] ?? ''}`;
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [environment = '', command = ''] = await Promise.all(
        ['environ', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
      );
      return {
        pid,
        words: command.replaceAll('\0', ' ').trim(),
        marked: environment.split('\0').includes(mark),
      };
    }),
  );
  // Vitest ends its own workers after this; a process without words has ended and waits for its parent.
  return found.filter(({ words, marked }) => marked && words !== '' && !/\bvitest\b/.test(words));
}

async function execute(url: string, statement: string): Promise<void> {
  await query(url, statement);
}

async function query(url: string, statement: string): Promise<Record<string, string>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(statement)).rows;
  } finally {
    await client.end();
  }
}
