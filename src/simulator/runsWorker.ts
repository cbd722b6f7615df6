/** One worker thread: runs its share of the seeds and posts their sum. */
import { parentPort, workerData } from 'node:worker_threads';
import type { RunsTask } from './runs.ts';
import { runTask } from './task.ts';

parentPort?.postMessage(runTask(workerData as RunsTask), []);
