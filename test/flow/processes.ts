/** Runs the product as processes of their own, the way an installation does, and ends them by their ids. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/clock.ts';
import { configVariables, type Role } from '../../src/config.ts';
import { createHttpClient } from '../../src/connectors/httpClient.ts';
import { connectorFactories } from '../../src/connectors/index.ts';
import { createMemoryRateBudget } from '../../src/connectors/rateBudget.ts';
import type { Queryable } from '../../src/db.ts';
import { createSecretBox } from '../../src/secrets.ts';
import { type Connections, createConnections } from '../../src/sync/connections.ts';
import { within } from '../support/waiting.ts';

export type ProductProcess = {
  readonly pid: number;
  /** `http://127.0.0.1:port`; empty for a worker. */
  readonly url: string;
  /** Everything it has said, one line each. */
  readonly lines: readonly string[];
  readonly running: boolean;
  /** Sends a signal and resolves with the exit code (null when the signal ended it) and the milliseconds that took. */
  end(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly tookMs: number }>;
};

export type ProcessOptions = {
  readonly role: Role;
  readonly environment: Readonly<Record<string, string>>;
  /** The checkout whose code is run. Default: this one. */
  readonly checkout?: string;
  /** By how many milliseconds the clock of its machine is ahead. Default 0. */
  readonly clockAheadMs?: number;
};

export const checkoutDirectory = path.join(import.meta.dirname, '..', '..');
const startTimeoutMs = 60_000;
const endTimeoutMs = 30_000;

/** Resolves when the process says that it is ready. */
export async function startProcess({
  role,
  environment,
  checkout = checkoutDirectory,
  clockAheadMs = 0,
}: ProcessOptions): Promise<ProductProcess> {
  const words = role === 'all' ? [] : [role];
  const child = spawn(process.execPath, [...machineClock(clockAheadMs), 'src/main.ts', ...words], {
    cwd: checkout,
    env: { ...withoutSettings(process.env), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const exited = once(child, 'exit');
  const ready = Promise.withResolvers<number | null>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      const said = readyPort(line);
      if (said !== undefined) ready.resolve(said);
    });
  }
  const ended = exited.then(() =>
    Promise.reject(new Error(`the process ended before it was ready:\n${lines.join('\n')}`)),
  );
  // After the start its end is no failure.
  ended.catch(() => undefined);
  try {
    const port = await within(
      Promise.race([ready.promise, ended]),
      startTimeoutMs,
      `a ${role} process to be ready`,
    );
    return running(child, exited, port, lines);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** What Node says of the time of day is moved before the product's first line is read; how time passes is not. */
function machineClock(aheadMs: number): readonly string[] {
  if (aheadMs === 0) return [];
  const moved = `
    const Machine = Date;
    globalThis.Date = class extends Machine {
      constructor(...parts) { if (parts.length === 0) super(Machine.now() + ${aheadMs}); else super(...parts); }
      static now() { return Machine.now() + ${aheadMs}; }
    };`;
  return ['--import', `data:text/javascript,${encodeURIComponent(moved)}`];
}

function running(
  child: ChildProcess,
  exited: Promise<unknown>,
  port: number | null,
  lines: readonly string[],
): ProductProcess {
  return {
    pid: child.pid ?? 0,
    url: port === null ? '' : `http://127.0.0.1:${port}`,
    lines,
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    async end(signal) {
      const from = performance.now();
      child.kill(signal);
      if (child.exitCode === null && child.signalCode === null)
        await within(exited, endTimeoutMs, 'the process to end');
      return { code: child.exitCode, tookMs: performance.now() - from };
    },
  };
}

/** The settings of whoever runs the tests are not the product's. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const known: ReadonlySet<string> = new Set([
    ...configVariables.map(({ name }) => name),
    'NODE_ENV',
    'NODE_OPTIONS',
  ]);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !known.has(name)));
}

/** The port in the line that says so, null for a worker; undefined for any other line. */
function readyPort(line: string): number | null | undefined {
  try {
    const { msg, port } = JSON.parse(line) as { msg?: string; port?: number | null };
    return msg === 'ready' ? (port ?? null) : undefined;
  } catch {
    return undefined;
  }
}

/** What a test needs to connect channels while the product runs elsewhere. */
export function openConnections(db: Queryable, secretsKey: Buffer): Connections {
  return createConnections({
    db,
    secretBox: createSecretBox(secretsKey),
    clock: systemClock,
    factories: connectorFactories,
    httpClient: () => createHttpClient({ budget: createMemoryRateBudget({ now: Date.now }) }),
    refreshLeaseMs: 5_000,
  });
}
