/** Runs a real Redis server without persistence, for tests that lose it and get it back. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './network.ts';
import { waitFor } from './waiting.ts';

export type TestRedis = AsyncDisposable & {
  /** The same before and after a restart. */
  readonly url: string;
  /** Ends the server at once, as a crash would. Its data is gone. Safe to call twice. */
  stop(): Promise<void>;
  /** An empty server on the same port, whether or not it was stopped. */
  restart(): Promise<void>;
};

/** Whether this machine has Redis. `npm test` installs it or names the suites left out. */
export function hasRedis(): boolean {
  return spawnSync('redis-server', ['--version']).status === 0;
}

export async function startRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(path.join(tmpdir(), 'listgenius-redis-'));
  const port = await freePort();
  let server: ChildProcess | null = await launch(port, directory);
  const end = async (): Promise<void> => {
    const ending = server;
    server = null;
    if (ending) await kill(ending);
  };
  const stop = async (): Promise<void> => {
    await end();
    await rm(directory, { recursive: true, force: true });
  };
  const restart = async (): Promise<void> => {
    await end();
    server = await launch(port, directory);
  };
  return { url: `redis://127.0.0.1:${port}`, stop, restart, [Symbol.asyncDispose]: stop };
}

async function launch(port: number, directory: string): Promise<ChildProcess> {
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory];
  const child = spawn(
    'redis-server',
    [...place, '--save', '', '--appendonly', 'no', '--loglevel', 'warning'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let words = '';
  let failure: Error | null = null;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => (words += text.toString()));
  child.once('error', (error) => (failure = error));
  await waitFor(
    () => {
      if (child.exitCode !== null) failure ??= new Error(words);
      return failure !== null || accepts(port);
    },
    { timeoutMs: 10_000, what: 'redis-server to accept connections' },
  );
  if (failure) throw new Error('redis-server did not start', { cause: failure });
  return child;
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  child.kill('SIGKILL');
  await ended;
}
