/** A process of its own that owns an embedded PostgreSQL, so that tests can kill and signal owners; run directly, it is that process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { Client } from 'pg';
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from '../../src/embeddedPostgres.ts';
import { createLog } from '../../src/log.ts';
import { within } from './waiting.ts';

export type OwnerRequest = {
  readonly purpose: string;
  readonly dataDirectory?: string;
  readonly temporary?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  /** The checkout whose code is run. Default: this one. */
  readonly checkout?: string;
};

export type PostgresOwner = Pick<EmbeddedPostgres, 'url' | 'dataDirectory'> & {
  readonly pid: number;
  /** What the process said after it was asked to end: the server's answer at that moment, then that it stopped. */
  readonly signalGroup: (signal: NodeJS.Signals) => Promise<readonly string[]>;
  /** Ends the process without any chance to stop its server. */
  kill(): Promise<void>;
};

const startTimeoutMs = 30_000;
const stopTimeoutMs = 15_000;

/** Starts an owner in a process group of its own. */
export async function startOwner(request: OwnerRequest): Promise<PostgresOwner> {
  const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(request)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const started = await within(
    Promise.race([firstLine(lines), exited.then(() => null)]),
    startTimeoutMs,
    'an owner to start',
  );
  if (started === null) throw new Error('the owner ended before its server was ready');
  const { pid } = child;
  if (pid === undefined) throw new Error('the owner has no process id');
  return {
    ...(JSON.parse(started) as Pick<EmbeddedPostgres, 'url' | 'dataDirectory'>),
    pid,
    signalGroup: async (signal) => {
      const said: string[] = [];
      lines.on('line', (line) => said.push(line));
      process.kill(-pid, signal);
      await within(exited, stopTimeoutMs, 'the owner to end');
      return said;
    },
    kill: () => kill(child, exited),
  };
}

async function firstLine(lines: Interface): Promise<string> {
  const [line] = (await once(lines, 'line')) as [string];
  return line;
}

async function kill(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGKILL');
  await within(exited, stopTimeoutMs, 'the owner to be killed');
}

/** One query on a connection of its own. */
export async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

async function own({ checkout, ...request }: OwnerRequest): Promise<void> {
  const root = checkout ?? path.join(import.meta.dirname, '..', '..');
  const { startEmbeddedPostgres } = (await import(path.join(root, 'src', 'embeddedPostgres.ts'))) as {
    startEmbeddedPostgres: (options: EmbeddedPostgresOptions) => Promise<EmbeddedPostgres>;
  };
  const log = createLog({ level: 'fatal', destination: process.stderr });
  const server = await startEmbeddedPostgres({ ...request, log });

  const stop = async (): Promise<void> => {
    say(`answered ${JSON.stringify(await query(server.url, 'select 1 as one'))}`);
    await server.stop();
    say('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());
  // Owners wait for a signal; the server's own connection does not keep a process alive.
  setInterval(() => undefined, 1_000_000);
  say(JSON.stringify({ url: server.url, dataDirectory: server.dataDirectory }));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (process.argv[1] === import.meta.filename) await own(JSON.parse(process.argv[2] ?? '{}') as OwnerRequest);
