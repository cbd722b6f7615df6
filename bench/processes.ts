/** Processes beside the benchmark's own: the product as it is shipped, and small servers and clients that answer calls. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
const callTimeoutMs = 180_000;

export type Product = { readonly url: string; readonly pid: number; stop(): Promise<void> };

/** `npm start`'s own process on a database of the benchmark. Its log goes to a file, as under a service manager. */
export async function startProduct(environment: Readonly<Record<string, string>>): Promise<Product> {
  const port = await freePort();
  const logFile = path.join(tmpdir(), `listgenius-bench-${process.pid}-${port}.log`);
  const log = await open(logFile, 'w');
  const main = path.join(import.meta.dirname, '..', 'src', 'main.ts');
  const child = spawn(process.execPath, [...profiling(), main], {
    env: { ...inherited(), ...environment, PORT: String(port) },
    stdio: ['ignore', log.fd, log.fd],
  });
  // A run that breaks off must leave no server behind.
  const orphaned = () => child.kill('SIGKILL');
  process.once('exit', orphaned);
  const url = `http://127.0.0.1:${port}`;
  try {
    await answering(`${url}/ready`, child, logFile);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    await log.close();
  }
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      await end(child);
      process.off('exit', orphaned);
      await rm(logFile, { force: true });
    },
  };
}

/** Settings of the shell that runs the benchmarks must not decide what is measured. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'USER'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] ?? '']])),
  );
}

/** `BENCH_PROFILE=directory` writes a CPU profile of the product there. */
function profiling(): string[] {
  const directory = process.env['BENCH_PROFILE'];
  return directory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${directory}`];
}

async function answering(url: string, child: ChildProcess, logFile: string): Promise<void> {
  for (const deadline = Date.now() + startTimeoutMs; Date.now() < deadline; await delay(50)) {
    if (child.exitCode !== null) break;
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return;
  }
  const said = (await readFile(logFile, 'utf8')).slice(-2_000);
  throw new Error(`the product did not start; its log ends:\n${said}`);
}

export type Child = {
  readonly pid: number;
  /** Asks the child's handler of that name. */
  call<Answer>(name: string, input?: unknown): Promise<Answer>;
  stop(): Promise<void>;
};

type Call = { readonly call: number; readonly name: string; readonly input: unknown };
type Reply = { readonly call: number; readonly answer?: unknown; readonly error?: string };

/** A file of this folder as a process of its own, so that neither side of a comparison pays for the other's event loop. */
export function startChild(file: string): Child {
  const child = fork(path.join(import.meta.dirname, file), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let calls = 0;
  child.on('message', (message) => {
    const { call, answer, error } = message as Reply;
    const gate = waiting.get(call);
    waiting.delete(call);
    if (error === undefined) gate?.resolve(answer);
    else gate?.reject(new Error(`${file}: ${error}`));
  });
  child.once('exit', () => {
    for (const gate of waiting.values()) gate.reject(new Error(`${file} ended`));
  });
  return {
    pid: child.pid ?? 0,
    async call<Answer>(name: string, input?: unknown) {
      const gate = Promise.withResolvers<unknown>();
      waiting.set(++calls, gate);
      const message: Call = { call: calls, name, input };
      child.send(message);
      const late = setTimeout(() => gate.reject(new Error(`${file} does not answer ${name}`)), callTimeoutMs);
      try {
        return (await gate.promise) as Answer;
      } finally {
        clearTimeout(late);
      }
    },
    stop: () => end(child),
  };
}

/** The child's side of `startChild`. The process ends with its parent. */
export function answerCalls(handlers: Readonly<Record<string, (input: never) => Promise<unknown>>>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => {
    const { call, name, input } = message as Call;
    const handler = handlers[name] as ((input: unknown) => Promise<unknown>) | undefined;
    const answer = handler?.(input) ?? Promise.reject(new Error(`there is no ${name}`));
    answer.then(
      (value) => process.send?.({ call, answer: value }),
      (error: unknown) => process.send?.({ call, error: String(error) }),
    );
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  await exited;
  clearTimeout(late);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}
