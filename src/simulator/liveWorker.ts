/** The product's worker as a process of its own, so that it can be killed without a word and started again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { configVariables } from '../config.ts';
import type { Timed } from './liveFaults.ts';
import { type Parameters } from './parameters.ts';
import { createRandom, streams } from './random.ts';
import { windowsOf } from './windows.ts';

export type WorkerProcess = {
  /** Resolves when it is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
};

const program = fileURLToPath(new URL('../main.ts', import.meta.url));
/** A busy machine takes seconds to start a process. */
const startMaxMs = 60_000;
/** Of log lines: an error, or worse. */
const errorLevel = 50;

/** Resolves when it is ready. What it logs as an error is told line by line. */
export async function startWorkerProcess(
  environment: Readonly<Record<string, string>>,
  onError: (line: string) => void,
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [program, 'worker'], {
    env: { ...withoutSettings(process.env), ...environment, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const ready = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { level, msg } = parsed(line);
    if (msg === 'ready') ready.resolve();
    if (level >= errorLevel) onError(line);
  });
  const gone = exited.then(() => Promise.reject(new Error('the worker ended before it was ready')));
  const late = AbortSignal.timeout(startMaxMs);
  const tooLate = once(late, 'abort').then(() => Promise.reject(new Error('the worker does not start')));
  // Once it is ready neither is a failure.
  for (const failing of [gone, tooLate]) failing.catch(() => undefined);
  const end: WorkerProcess['end'] = async (signal) => {
    child.kill(signal);
    await exited;
  };
  try {
    await Promise.race([ready.promise, gone, tooLate]);
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
  return { end };
}

/** A line that a kill has cut short says nothing. */
function parsed(line: string): { readonly level: number; readonly msg?: string } {
  try {
    const { level, msg } = JSON.parse(line) as { level?: number; msg?: string };
    return msg === undefined ? { level: level ?? 0 } : { level: level ?? 0, msg };
  } catch {
    return { level: 0 };
  }
}

/** The settings of whoever runs the simulator are not the product's. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const known: ReadonlySet<string> = new Set(configVariables.map(({ name }) => name));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !known.has(name)));
}

export type MortalWorker = {
  /** When it is killed and when it is started again, in simulated milliseconds. */
  crashes(world: Parameters, seed: number): readonly Timed[];
  stop(): Promise<void>;
};

/** One worker after the other: `note` is told of every kill and start. */
export async function startMortalWorker(
  start: () => Promise<WorkerProcess>,
  note: (text: string) => void,
): Promise<MortalWorker> {
  let worker: WorkerProcess | null = await start();
  // A start takes longer than a short crash: one thing after the other.
  let last: Promise<void> = Promise.resolve();
  const next = (step: () => Promise<void>): Promise<void> => {
    last = last.catch(() => undefined).then(step);
    return last;
  };
  const kill = async () => {
    note('the worker is killed');
    await worker?.end('SIGKILL');
    worker = null;
  };
  const restart = async () => {
    worker = await start();
    note('the worker is back');
  };
  return {
    crashes: ({ faults, duration }, seed) =>
      windowsOf(createRandom(seed, streams.crashes), faults.crashesPerHour, faults.crashTime, duration)
        .filter(({ until }) => until < duration)
        .flatMap(({ from, until }): Timed[] => [
          { at: from, run: () => next(kill) },
          { at: until, run: () => next(restart) },
        ]),
    stop: () =>
      next(async () => {
        await worker?.end('SIGTERM');
        worker = null;
      }),
  };
}
