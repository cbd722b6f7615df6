/** Proves that wake-ups are coalesced, that none is lost while a send is under way, and what they rely on in the job queue. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../src/log.ts';
import { createWakeUps } from '../../src/sync/wakeUps.ts';
import { type JobQueue, openJobQueue } from '../../src/sync/worker.ts';
import * as fixtures from '../support/fixtures.ts';
import { createGate, type Gate } from '../support/waiting.ts';

type Jobs = Parameters<JobQueue['addJobs']>[0];

/** A queue that takes a statement only when the test opens its gate. */
function slowQueue() {
  const sent: string[][] = [];
  const gates: Gate[] = [];
  return {
    sent,
    gates,
    addJobs: async (jobs: Jobs) => {
      const gate = createGate();
      sent.push(jobs.map(({ jobKey }) => jobKey ?? ''));
      gates.push(gate);
      await gate.opened;
      return [];
    },
  };
}

const fail = (error: unknown): void => {
  throw error;
};

describe('wake-ups', () => {
  test('of one turn go out together, each once', async () => {
    const queue = slowQueue();
    const wakeUps = createWakeUps(queue, fail);
    wakeUps.push(['a', 'b', 'a']);
    wakeUps.push(['a']);
    wakeUps.inbox();
    wakeUps.inbox();
    wakeUps.poll(['a']);
    wakeUps.read(['a']);
    wakeUps.job('j');
    const flushed = wakeUps.flush();
    await Promise.resolve();
    queue.gates[0]?.open();
    await flushed;
    expect(queue.sent).toEqual([['push:a', 'push:b', 'inbox', 'poll:a', 'read:a', 'job:j']]);
  });

  test('that meet others in a deadlock inside the queue are sent again', async () => {
    const sent: string[][] = [];
    const addJobs = async (jobs: Jobs) => {
      sent.push(jobs.map(({ jobKey }) => jobKey ?? ''));
      if (sent.length === 1) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
      return [];
    };
    const wakeUps = createWakeUps({ addJobs }, fail);
    wakeUps.push(['a']);
    await wakeUps.flush();
    expect(sent).toEqual([['push:a'], ['push:a']]);
  });

  test('that come while a send is under way follow it, the same ones too: the first may already be running', async () => {
    const queue = slowQueue();
    const wakeUps = createWakeUps(queue, fail);
    wakeUps.push(['a']);
    await Promise.resolve();
    wakeUps.push(['a', 'b']);
    wakeUps.push(['b']);
    const flushed = wakeUps.flush();
    queue.gates[0]?.open();
    await expect.poll(() => queue.sent).toEqual([['push:a'], ['push:a', 'push:b']]);
    queue.gates[1]?.open();
    await flushed;
  });

  test('that come at the very end of a send are sent as well', async () => {
    const queue = slowQueue();
    const wakeUps = createWakeUps(queue, fail);
    for (let round = 0; round < 20; round += 1) {
      wakeUps.push(['a']);
      await expect.poll(() => queue.gates.length).toBe(round + 1);
      queue.gates[round]?.open();
      for (let turn = 0; turn < round; turn += 1) await Promise.resolve();
    }
    await wakeUps.flush();
    expect(queue.sent).toHaveLength(20);
  });

  test('that cannot be sent are reported, and the next ones are sent all the same', async () => {
    const errors: unknown[] = [];
    const sent: number[] = [];
    const addJobs = async (jobs: Jobs) => {
      sent.push(jobs.length);
      if (sent.length === 1) throw new Error('the database is away');
      return [];
    };
    const wakeUps = createWakeUps({ addJobs }, (error) => void errors.push(error));
    wakeUps.inbox();
    await wakeUps.flush();
    wakeUps.inbox();
    await wakeUps.flush();
    expect(errors).toEqual([new Error('the database is away')]);
    expect(sent).toEqual([1, 1]);
  });

  test('for nobody send nothing', async () => {
    const queue = slowQueue();
    const wakeUps = createWakeUps(queue, fail);
    wakeUps.push([]);
    await wakeUps.flush();
    expect(queue.sent).toEqual([]);
  });
});

describe('in the job queue', () => {
  let open: fixtures.TestPool;
  let queue: JobQueue;

  beforeAll(async () => {
    open = await fixtures.openTestPool(4);
    queue = await openJobQueue(open.pool, silentLog());
  });
  afterAll(async () => {
    await queue.release();
    await open[Symbol.asyncDispose]();
  });
  beforeEach(() => open.pool.query('DELETE FROM graphile_worker._private_jobs'));

  const jobs = async (): Promise<{ key: string | null; task: string; running: boolean; over: boolean }[]> => {
    const { rows } = await open.pool.query(
      `SELECT job.key, task.identifier AS task, job.locked_at IS NOT NULL AS running, job.attempts >= job.max_attempts AS over
         FROM graphile_worker._private_jobs job JOIN graphile_worker._private_tasks task ON task.id = job.task_id ORDER BY job.id`,
    );
    return rows as never;
  };

  test('a wake-up whose job still waits adds none', async () => {
    const wakeUps = createWakeUps(queue, fail);
    for (let round = 0; round < 3; round += 1) {
      wakeUps.push(['a']);
      await wakeUps.flush();
    }
    expect(await jobs()).toEqual([{ key: 'push:a', task: 'push', running: false, over: false }]);
  });

  test('a wake-up whose job is running adds a successor, and only one', async () => {
    const wakeUps = createWakeUps(queue, fail);
    wakeUps.push(['a']);
    await wakeUps.flush();
    await open.pool.query(
      `UPDATE graphile_worker._private_jobs SET locked_at = now(), locked_by = 'a worker'`,
    );
    for (let round = 0; round < 3; round += 1) {
      wakeUps.push(['a']);
      await wakeUps.flush();
    }
    expect((await jobs()).filter(({ running }) => !running)).toEqual([
      { key: 'push:a', task: 'push', running: false, over: false },
    ]);
    expect(await jobs()).toHaveLength(2);
  });

  test('of several processes add up to one job', async () => {
    const processes = Array.from({ length: 4 }, () => createWakeUps(queue, fail));
    for (const wakeUps of processes) wakeUps.poll(['a', 'b']);
    await Promise.all(processes.map(async (wakeUps) => wakeUps.flush()));
    expect((await jobs()).map(({ key }) => key ?? '').toSorted()).toEqual(['poll:a', 'poll:b']);
  });
});
