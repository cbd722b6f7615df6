/** Starts, recognises and ends the server process of one data directory, and never touches any other process. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedPostgresError, isAlive, type Place, serverEnvironment } from './embeddedPostgresFiles.ts';
import type { Log } from './log.ts';

/** A server as its `postmaster.pid` describes it. */
export type Postmaster = { readonly pid: number; readonly port: number; readonly ready: boolean };

const pollIntervalMs = 10;

/** Fast shutdown, then immediate, then kill; each is given its time. */
export async function endProcess(
  pid: number,
  dataDirectory: string,
  timeoutMs: number,
  log: Log,
): Promise<void> {
  const steps = [
    ['SIGINT', timeoutMs],
    ['SIGQUIT', timeoutMs],
    ['SIGKILL', 2_000],
  ] as const;
  for (const [signal, waitMs] of steps) {
    if (!(await isServerOf(pid, dataDirectory))) return;
    process.kill(pid, signal);
    if (await ended(pid, dataDirectory, waitMs)) return;
    log.warn({ serverPid: pid, signal, waitMs }, 'the embedded PostgreSQL is slow to stop');
  }
}

async function ended(pid: number, dataDirectory: string, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (!(await isServerOf(pid, dataDirectory))) return true;
    await delay(pollIntervalMs);
  }
  return false;
}

/** Starts a server on a free port; null when another process was faster or the port was taken meanwhile. */
export async function startServer(
  place: Place,
  chosen: Readonly<Record<string, string>>,
  deadline: number,
  log: Log,
): Promise<Postmaster | null> {
  const { dataDirectory, binaries, user } = place;
  await discardStalePidFile(dataDirectory);
  const port = await freePort();
  const settings = Object.entries({ ...chosen, port: String(port) });
  const logFile = openSync(serverLogFile(dataDirectory), 'w', 0o600);
  // Detached, so that a signal to our process group leaves the server for our own ordered shutdown to stop.
  const child = spawn(
    binaries.postgres,
    ['-D', dataDirectory, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    {
      ...user,
      cwd: '/',
      env: serverEnvironment,
      detached: true,
      stdio: ['ignore', logFile, logFile],
    },
  );
  closeSync(logFile);
  child.unref();
  const exited = exitOf(child);
  while (Date.now() < deadline) {
    const outcome = await Promise.race([exited, delay(pollIntervalMs, null)]);
    if (outcome !== null) {
      await explainExit(outcome, dataDirectory, log);
      return null;
    }
    const running = await readPostmaster(dataDirectory);
    if (running?.pid === child.pid && running?.ready) return running;
  }
  child.kill('SIGQUIT');
  return null;
}

type Exit = { readonly error: Error | null };

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ error })).once('exit', () => resolve({ error: null }));
  });
}

/** A lost race (port or data directory taken) is tried again; anything else is the end, with the server's own words. */
async function explainExit(exit: Exit, dataDirectory: string, log: Log): Promise<void> {
  if (exit.error) throw new EmbeddedPostgresError(`PostgreSQL could not be started: ${exit.error.message}`);
  const words = await readFile(serverLogFile(dataDirectory), 'utf8').catch(() => '');
  const lostRace =
    /Address already in use|lock file "postmaster.pid"|shared memory block .* is still in use|No such file/;
  if (!lostRace.test(words))
    throw new EmbeddedPostgresError(`PostgreSQL stopped while starting: ${words.slice(-2_000)}`);
  log.debug('PostgreSQL lost a race while starting; looking again');
}

/** Where the server's own words go. */
export function serverLogFile(dataDirectory: string): string {
  return `${dataDirectory}.log`;
}

/** The live server of this data directory once it accepts connections; null when there is none. */
export async function awaitRunning(dataDirectory: string, deadline: number): Promise<Postmaster | null> {
  while (Date.now() < deadline) {
    const running = await readPostmaster(dataDirectory);
    if (!running || running.ready) return running;
    await delay(pollIntervalMs);
  }
  return null;
}

/** The live server of this data directory, by its `postmaster.pid`. */
async function readPostmaster(dataDirectory: string): Promise<Postmaster | null> {
  const text = await readFile(pidFile(dataDirectory), 'utf8').catch(() => '');
  // Its lines: pid, data directory, start time, port, socket directory, listen address, shared memory, status.
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!(pid > 0) || !(await isServerOf(pid, dataDirectory))) return null;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/**
 * PostgreSQL itself replaces the file of a dead server, but takes any living process of its user with that pid for a server.
 */
async function discardStalePidFile(dataDirectory: string): Promise<void> {
  const content = await readFile(pidFile(dataDirectory), 'utf8').catch(() => '');
  const pid = Number(content.split('\n')[0]);
  if (!(pid > 0) || !isAlive(pid) || (await isServerOf(pid, dataDirectory))) return;
  const aside = `${pidFile(dataDirectory)}.${process.pid}`;
  await rename(pidFile(dataDirectory), aside).catch(() => undefined);
  // Another process may have started a server since the look: then the file is that server's and goes back.
  if ((await readFile(aside, 'utf8').catch(() => content)) !== content)
    await rename(aside, pidFile(dataDirectory));
  await rm(aside, { force: true });
}

function pidFile(dataDirectory: string): string {
  return path.join(dataDirectory, 'postmaster.pid');
}

/** Whether the process is a PostgreSQL server started on that data directory: a pid alone may have been reused. */
async function isServerOf(pid: number, dataDirectory: string): Promise<boolean> {
  return isAlive(pid) && (await commandOf(pid)).includes(`postgres -D ${dataDirectory} `);
}

async function commandOf(pid: number): Promise<string> {
  // Not /proc/<pid>/cwd: in a container root may not read that of another user's process.
  if (process.platform === 'linux')
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
  return spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (typeof address !== 'object' || address === null) throw new EmbeddedPostgresError('no free port');
  return address.port;
}
