/** Runs a range of seeds over several processor cores and adds up what came out. */
import { Worker } from 'node:worker_threads';
import type { Parameters } from './parameters.ts';
import type { PolicyName } from './policies.ts';
import { added, emptySummary, type Summary } from './summary.ts';
import { runTask } from './task.ts';

export type Seeds = { readonly first: number; readonly count: number; readonly step: number };

export type RunsTask = {
  readonly seeds: Seeds;
  readonly parameters: Parameters;
  readonly policy: PolicyName;
  readonly check: boolean;
  /** True when each seed draws its own world, which keeps nothing of `parameters` but its length and what is broken in it. */
  readonly drawn: boolean;
};

/** `workers` threads share the seeds; with one there is no thread at all. Rejects when a thread fails. */
export async function runAll(
  task: Omit<RunsTask, 'seeds'>,
  first: number,
  runs: number,
  workers: number,
): Promise<Summary> {
  const shares = Array.from({ length: Math.min(workers, runs) }, (_, share): RunsTask => {
    const seeds = { first: first + share, count: runs - share, step: Math.min(workers, runs) };
    return { ...task, seeds };
  });
  const sums = shares.length === 1 ? shares.map(runTask) : await Promise.all(shares.map(inThread));
  return sums.reduce(added, emptySummary);
}

function inThread(task: RunsTask): Promise<Summary> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./runsWorker.ts', import.meta.url), { workerData: task });
    worker.once('message', (sum: Summary) => resolve(sum));
    worker.once('error', reject);
    worker.once('exit', (code) => {
      if (code !== 0) reject(new Error(`a simulation thread ended with ${code}`));
    });
  });
}
