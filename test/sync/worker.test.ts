/** Proves that the worker runs what it is woken for, that a failing task is logged and holds up nothing, and that a wake-up during a run runs again. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog, silentLog } from '../../src/log.ts';
import type { Task } from '../../src/sync/engine.ts';
import { createWakeUps, type TaskName, type WakeUps } from '../../src/sync/wakeUps.ts';
import { type JobQueue, openJobQueue, startWorker } from '../../src/sync/worker.ts';
import * as fixtures from '../support/fixtures.ts';
import { createGate, waitFor, within } from '../support/waiting.ts';

let open: fixtures.TestPool;
let queue: JobQueue;
let wakeUps: WakeUps;
let runs: string[];
let lines: Record<string, unknown>[];
let stop: () => Promise<void>;

beforeEach(async () => {
  open = await fixtures.openTestPool(8);
  queue = await openJobQueue(open.pool, silentLog());
  wakeUps = createWakeUps(queue, (error) => {
    throw error;
  });
  runs = [];
  lines = [];
  stop = async () => undefined;
});
afterEach(async () => {
  await stop();
  await queue.release();
  await open[Symbol.asyncDispose]();
});

const record =
  (name: TaskName): Task =>
  async (subject) =>
    void runs.push(`${name} ${subject}`);

async function working(tasks: Partial<Record<TaskName, Task>> = {}): Promise<void> {
  const log = createLog({
    level: 'warn',
    readable: false,
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const all = {
    push: record('push'),
    read: record('read'),
    poll: record('poll'),
    inbox: record('inbox'),
    job: record('job'),
    plan: record('plan'),
    prices: record('prices'),
    observe: record('observe'),
    ...tasks,
  };
  const runner = await startWorker({ pool: open.pool, tasks: all, log, concurrency: 4 });
  let stopped: Promise<void> | undefined;
  stop = () => (stopped ??= Promise.resolve(runner.stop()));
}

const failing: Task = async (subject) => {
  runs.push(`push ${subject}`);
  if (subject === 'bad') throw new TypeError('a bug');
};

const idle = async (): Promise<boolean> =>
  (
    await open.pool.query(
      'SELECT 1 FROM graphile_worker._private_jobs WHERE attempts < max_attempts OR locked_at IS NOT NULL',
    )
  ).rows.length === 0;

test('every kind of wake-up runs its task with its subject, once', async () => {
  await working();
  wakeUps.push(['a', 'b']);
  wakeUps.read(['a']);
  wakeUps.poll(['a']);
  wakeUps.inbox();
  wakeUps.job('j');
  wakeUps.plan('p');
  await waitFor(() => runs.length === 7);
  await waitFor(idle);
  expect(runs.toSorted()).toEqual(['inbox null', 'job j', 'plan p', 'poll a', 'push a', 'push b', 'read a']);
});

test('a task that fails is logged with its subject, is not run again by the queue, and holds up nothing', async () => {
  await working({ push: failing });
  wakeUps.push(['bad', 'good']);
  await waitFor(() => runs.includes('push bad') && runs.includes('push good'));
  await waitFor(idle);
  expect(lines).toMatchObject([
    { level: 'error', msg: 'task failed', task: 'push', subject: 'bad', error: { message: 'a bug' } },
  ]);
  // The supervisor wakes it again, and then it runs again.
  wakeUps.push(['bad']);
  await waitFor(() => runs.filter((run) => run === 'push bad').length === 2);
});

test('a wake-up during a run of the same task runs it again, beside it', async () => {
  const gate = createGate();
  const push: Task = async (subject) => {
    runs.push(`push ${subject}`);
    if (runs.length === 1) await gate.opened;
  };
  await working({ push });
  wakeUps.push(['a']);
  await waitFor(() => runs.length === 1);
  // A lowering must not wait for the slow write that the first run is waiting for.
  wakeUps.push(['a']);
  await waitFor(() => runs.length === 2);
  gate.open();
  await waitFor(idle);
  expect(runs).toEqual(['push a', 'push a']);
});

test('a wake-up that comes while all runs of its subject are taken runs once more, behind what others wait for', async () => {
  const gate = createGate();
  await working({
    push: async (subject) => {
      runs.push(`push ${subject}`);
      await gate.opened;
    },
  });
  for (const count of [1, 2]) {
    wakeUps.push(['a']);
    await waitFor(() => runs.length === count);
  }
  wakeUps.push(['a']);
  await waitFor(async () => {
    const { rows } = await open.pool.query(
      'SELECT 1 FROM graphile_worker._private_jobs WHERE locked_at IS NULL',
    );
    return rows.length === 0;
  });
  expect(runs).toEqual(['push a', 'push a']);
  gate.open();
  await waitFor(idle);
  expect(runs).toEqual(['push a', 'push a', 'push a']);
});

test('deliveries and polls never wait behind writes, however many channels are slow', async () => {
  const gate = createGate();
  await working({
    push: async (subject) => {
      runs.push(`push ${subject}`);
      await gate.opened;
    },
  });
  wakeUps.push(['a', 'b', 'c', 'd', 'e', 'f']);
  await waitFor(() => runs.length === 4);
  wakeUps.inbox();
  wakeUps.poll(['a']);
  await waitFor(() => runs.includes('inbox null') && runs.includes('poll a'));
  expect(runs.filter((run) => run.startsWith('push'))).toHaveLength(4);
  gate.open();
  await waitFor(idle);
});

test('stopping waits for what is under way', async () => {
  const gate = createGate();
  await working({
    push: async () => {
      runs.push('begun');
      await gate.opened;
      runs.push('ended');
    },
  });
  wakeUps.push(['a']);
  await waitFor(() => runs.length === 1);
  const stopped = stop();
  gate.open();
  await within(stopped, 10_000, 'the worker to stop');
  expect(runs).toEqual(['begun', 'ended']);
});
