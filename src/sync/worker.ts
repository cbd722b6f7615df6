/** Runs the engine's tasks from the job queue in PostgreSQL. A task that fails is only logged: its work is still in the tables and is found again. */
import { type JobHelpers, Logger, makeWorkerUtils, run, type WorkerUtils } from 'graphile-worker';
import type pg from 'pg';
import type { Log } from '../log.ts';
import type { Task } from './engine.ts';
import type { TaskName } from './wakeUps.ts';

export type JobQueue = Pick<WorkerUtils, 'addJobs' | 'release'>;

/** The sending end. Also brings the queue's own schema up to date. */
export async function openJobQueue(pool: pg.Pool, log: Log): Promise<JobQueue> {
  const queue = await makeWorkerUtils({ pgPool: pool, logger: queueLogger(log) });
  await queue.migrate();
  return queue;
}

export type WorkerOptions = {
  readonly pool: pg.Pool;
  readonly tasks: Readonly<Record<TaskName, Task>>;
  readonly log: Log;
  /** Runs under way at once: of tasks that write to channels, and as many of those that look at them. */
  readonly concurrency: number;
};

export type Worker = { stop(): Promise<void> };

/** Nothing is less urgent, and a marketplace lets whoever is least urgent wait for longest. */
const looksAtOnce = 2;

/**
 * Tasks that share runners. Writes wait for marketplaces, for as long as there is something to write: a delivery, or the poll that repairs a lost one,
 * must never wait behind them.
 */
const lanes = (concurrency: number): readonly (readonly [number, readonly TaskName[]])[] => [
  [1, ['inbox']],
  [concurrency, ['poll', 'read', 'job', 'plan']],
  [concurrency, ['push']],
  [looksAtOnce, ['prices', 'observe']],
];

/**
 * Runs of one task on one subject at the same time. A marketplace that does not answer then keeps only these from the others, and still a
 * lowering write can pass a slow one.
 */
const runsMax: Readonly<Record<TaskName, number>> = {
  push: 2,
  read: 1,
  prices: 1,
  observe: 1,
  poll: 1,
  inbox: 1,
  job: 1,
  plan: 1,
};

type Runs = (name: TaskName, subject: string | null, work: () => Promise<void>) => Promise<boolean>;

/**
 * A wake-up that comes while all runs are taken is kept: whichever of them ends first answers true, and goes to the end of the queue. Looking once more
 * at once would keep its runner from the others for as long as wake-ups come.
 */
function createRuns(): Runs {
  const states = new Map<string, { runs: number; again: boolean }>();
  return async (name, subject, work) => {
    const key = `${name} ${subject ?? ''}`;
    const state = states.get(key) ?? { runs: 0, again: false };
    if (state.runs >= runsMax[name]) {
      state.again = true;
      return false;
    }
    states.set(key, state);
    state.runs++;
    try {
      await work();
    } finally {
      state.runs--;
      if (state.runs === 0) states.delete(key);
    }
    const { again } = state;
    state.again = false;
    return again;
  };
}

export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const limited = createRuns();
  const task =
    (name: TaskName) =>
    async (payload: unknown, { addJob, job }: JobHelpers): Promise<void> => {
      const { subject } = payload as { subject: string | null };
      // A task that fails is found again by the supervisor, with whatever was told meanwhile.
      const again = await limited(name, subject, () => options.tasks[name](subject)).catch(
        (error: unknown) => {
          options.log.error({ error, task: name, subject }, 'task failed');
          return false;
        },
      );
      if (again)
        await addJob(name, payload, { ...(job.key === null ? {} : { jobKey: job.key }), maxAttempts: 1 });
    };
  const runners = await Promise.all(
    lanes(options.concurrency).map(([concurrency, names]) =>
      run({
        pgPool: options.pool,
        taskList: Object.fromEntries(names.map((name) => [name, task(name)])),
        concurrency,
        noHandleSignals: true,
        logger: queueLogger(options.log),
        pollInterval: 1_000,
      }),
    ),
  );
  return {
    async stop() {
      await Promise.all(runners.map((runner) => runner.stop()));
    },
  };
}

function queueLogger(log: Log): Logger {
  return new Logger(() => (level, message) => {
    if (level === 'error') log.error(message);
    else if (level === 'warning') log.warn(message);
    else log.trace(message);
  });
}
