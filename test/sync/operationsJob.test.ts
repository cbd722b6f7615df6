/** Proves that syncing everything is one job at a time, queues each item once and goes on where a killed worker stopped. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { advanceJob, sweepOperations, syncAll } from '../../src/sync/operations.ts';
import { type Caller, systemActor } from '../../src/sync/outcome.ts';
import { lookForWork } from '../../src/sync/supervisor.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { openTwoChannels, type TwoChannels } from '../support/twoChannels.ts';

let open: fixtures.TestPool;
let shop: TwoChannels;
let caller: Caller;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openTwoChannels(open.pool);
  ({ caller } = shop);
});

type Job = { status: string; total: number; completed: number; failed: number; fully_queued: boolean };

async function start(): Promise<string> {
  const outcome = await syncAll(shop.options(), caller);
  if (!outcome.ok) throw new Error('the job was refused');
  return outcome.value.jobId;
}

async function readJob(id: string): Promise<Job> {
  const { rows } = await open.pool.query<Job>(
    'SELECT status::text, total, completed, failed, fully_queued FROM jobs WHERE id = $1',
    [id],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('there is no such job');
  return row;
}

async function queued(id: string): Promise<string[]> {
  const { rows } = await open.pool.query<{ item_id: string }>(
    'SELECT item_id FROM sync_operations WHERE job_id = $1 ORDER BY item_id',
    [id],
  );
  return rows.map((row) => row.item_id);
}

async function catalogue(count: number): Promise<string[]> {
  const items = [];
  for (let index = 0; index < count; index += 1) items.push(await shop.listed('etsy'));
  return items.map(({ id }) => id).toSorted();
}

describe('syncing everything', () => {
  test('queues every listed item once, in steps, and tells its progress until the last one is done', async () => {
    const items = await catalogue(7);
    await shop.listed();
    const id = await start();
    expect(await readJob(id)).toMatchObject({ status: 'pending', total: 7, completed: 0 });
    expect(shop.woken).toEqual([`job ${id}`]);
    for (const count of [3, 6, 7]) {
      await advanceJob(shop.options(), id);
      expect(await queued(id)).toEqual(items.slice(0, count));
    }
    await advanceJob(shop.options(), id);
    expect(await readJob(id)).toMatchObject({ status: 'processing', fully_queued: true });
    await shop.push('etsy');
    expect(await readJob(id)).toEqual({
      status: 'completed',
      total: 7,
      completed: 7,
      failed: 0,
      fully_queued: true,
    });
    const { rows } = await open.pool.query<{ payload: Job }>(
      `SELECT payload FROM events WHERE subject_id = $1 AND topic = 'job' ORDER BY id`,
      [id],
    );
    expect(rows.at(-1)?.payload).toMatchObject({
      jobId: id,
      status: 'completed',
      total: 7,
      completed: 7,
      failed: 0,
    });
    expect(rows.map(({ payload }) => payload.completed)).toEqual(
      rows.map(({ payload }) => payload.completed).toSorted((a, b) => a - b),
    );
    expect(shop.told.length).toBeGreaterThan(0);
  });

  test('counts what failed', async () => {
    await catalogue(3);
    shop.channels.etsy.onWrite = (write) =>
      write === shop.channels.etsy.writes[0]
        ? { kind: 'rejected', code: 'NO', message: 'no', raw: null }
        : support.takeEffect(shop.channels.etsy, write);
    const id = await start();
    await advanceJob(shop.options({ jobBatch: 10 }), id);
    await shop.push('etsy');
    expect(await readJob(id)).toMatchObject({ status: 'completed', total: 3, completed: 2, failed: 1 });
  });

  test('queues every item exactly once although several workers advance it, or the same one again and again', async () => {
    const items = await catalogue(10);
    const id = await start();
    while (!(await readJob(id)).fully_queued) {
      await Promise.all(Array.from({ length: 4 }, async () => advanceJob(shop.options(), id)));
    }
    await advanceJob(shop.options(), id);
    expect(await queued(id)).toEqual(items);
  });

  test('keeps only so many under way, and goes on as they end', async () => {
    await catalogue(7);
    const id = await start();
    const few = { jobBatch: 2, jobOpenMax: 2 };
    await advanceJob(shop.options(few), id);
    await advanceJob(shop.options(few), id);
    expect(await queued(id)).toHaveLength(2);
    shop.woken.length = 0;
    await shop.push('etsy', few);
    expect(shop.woken).toContain(`job ${id}`);
    for (let step = 0; step < 6; step += 1) {
      await advanceJob(shop.options(few), id);
      await shop.push('etsy', few);
    }
    expect(await readJob(id)).toMatchObject({ status: 'completed', completed: 7 });
  });

  test('is one job however often and at once it is asked for, until it has ended', async () => {
    await catalogue(2);
    const ids = await Promise.all(Array.from({ length: 8 }, start));
    expect(new Set(ids).size).toBe(1);
    const [id = ''] = ids;
    await advanceJob(shop.options(), id);
    await shop.push('etsy');
    expect(await readJob(id)).toMatchObject({ status: 'completed' });
    expect(await start()).not.toBe(id);
  });

  test('waits for a request that is adding the job at this moment, and answers that one', async () => {
    for (let round = 0; round < 40; round += 1) {
      caller = { ...caller, accountId: await fixtures.insertAccount(open.pool) };
      const ids = await Promise.all(Array.from({ length: 9 }, start));
      expect(new Set(ids).size).toBe(1);
    }
  });

  test('of a shop without listings ends at once', async () => {
    const id = await start();
    await advanceJob(shop.options(), id);
    expect(await readJob(id)).toMatchObject({ status: 'completed', total: 0 });
  });

  test('corrects its total when items came or went meanwhile', async () => {
    await catalogue(2);
    const id = await start();
    await catalogue(2);
    await advanceJob(shop.options({ jobBatch: 10 }), id);
    await shop.push('etsy');
    expect(await readJob(id)).toMatchObject({ status: 'completed', total: 4, completed: 4 });
  });

  test.each(['after the last item was queued', 'after the last item was settled'] as const)(
    'is found and ended when the worker died %s',
    async (moment) => {
      if (moment.includes('settled')) await catalogue(1);
      const id = await start();
      await advanceJob(shop.options(), id);
      await shop.push('etsy');
      // As the statement before the last one left it.
      await open.pool.query(`UPDATE jobs SET status = 'processing', completed_at = NULL WHERE id = $1`, [id]);
      shop.woken.length = 0;
      await lookForWork({ db: open.pool, wakeUps: shop.wakeUps });
      expect(shop.woken).toContain(`job ${id}`);
      await advanceJob(shop.options(), id);
      expect(await readJob(id)).toMatchObject({ status: 'completed' });
      shop.woken.length = 0;
      await lookForWork({ db: open.pool, wakeUps: shop.wakeUps });
      expect(shop.woken).not.toContain(`job ${id}`);
    },
  );

  test('is not blocked by a channel that was disconnected meanwhile', async () => {
    await catalogue(2);
    const id = await start();
    await advanceJob(shop.options(), id);
    await open.pool.query(`UPDATE connections SET status = 'disconnected' WHERE id = $1`, [
      shop.connections.etsy.id,
    ]);
    await shop.push('etsy');
    await sweepOperations(shop.options());
    expect(await readJob(id)).toMatchObject({ status: 'completed', completed: 0, failed: 2 });
  });

  test('records who asked for it on every operation', async () => {
    await catalogue(1);
    caller = { ...caller, actor: systemActor };
    const id = await start();
    await advanceJob(shop.options(), id);
    const { rows } = await open.pool.query(
      'SELECT actor_kind::text, actor_id FROM sync_operations WHERE job_id = $1',
      [id],
    );
    expect(rows).toEqual([{ actor_kind: 'system', actor_id: null }]);
  });
});
