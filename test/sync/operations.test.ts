/** Proves that syncing one item or all of them can be followed, ends, and goes on where a killed worker stopped. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Platform } from '../../src/connectors/connector.ts';
import { inTransaction } from '../../src/db.ts';
import { advanceJob, type OperationsOptions, settleOperations, sweepOperations, syncAll, syncItem } from '../../src/sync/operations.ts';
import { type Caller, systemActor } from '../../src/sync/outcome.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { lookForWork } from '../../src/sync/supervisor.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let caller: Caller;
let shopify: fixtures.TestConnection;
let etsy: fixtures.TestConnection;
let channels: Record<'shopify' | 'etsy', support.ScriptedChannel>;
let woken: string[];
let told: number;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  woken = [];
  told = 0;
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  shopify = await fixtures.insertConnection(open.pool, accountId, 'shopify');
  etsy = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  channels = { shopify: support.createChannel('shopify'), etsy: support.createChannel('etsy') };
});

const wakeUps = {
  push: (ids: readonly string[]) => void woken.push(...ids.map((id) => `push ${id}`)),
  verify: () => undefined,
  poll: () => undefined,
  inbox: () => undefined,
  job: (id: string) => void woken.push(`job ${id}`),
  flush: async () => undefined,
};
const options = (more: Partial<OperationsOptions> = {}): OperationsOptions => ({
  pool: open.pool,
  wakeUps,
  onEvents: () => void (told += 1),
  jobBatch: 3,
  jobOpenMax: 100,
  ...more,
});

/** An item listed on so many of the two channels, showing 9 everywhere while there are 5. */
async function listed(...platforms: readonly ('shopify' | 'etsy')[]): Promise<fixtures.TestItem> {
  const item = await fixtures.insertItem(open.pool, caller.accountId, { onHand: 5 });
  for (const platform of platforms) {
    const unitId = fixtures.unique('unit');
    await fixtures.insertListing(open.pool, platform === 'etsy' ? etsy : shopify, { itemId: item.id, unitId });
    support.show(channels[platform], { unitId, variantId: '' }, 9);
  }
  return item;
}

async function push(platform: 'shopify' | 'etsy', more: Partial<OperationsOptions> = {}): Promise<void> {
  const onSettled = async (itemIds: readonly string[]) => settleOperations(options(more), itemIds);
  const connections = support.connectTo(open.pool, channels);
  await pushConnection(support.pushOptions(open.pool, connections, { onSettled }), (platform === 'etsy' ? etsy : shopify).id);
}

async function sync(item: fixtures.TestItem, on: readonly Platform[] | null = null, idempotencyKey: string | null = null): Promise<string> {
  const outcome = await syncItem(options(), caller, { itemId: item.id, platforms: on, idempotencyKey });
  if (!outcome.ok) throw new Error(outcome.problems[0]?.message);
  return outcome.value.operationId;
}

async function operation(id: string): Promise<Record<string, unknown>> {
  const { rows } = await open.pool.query(
    `SELECT status::text, error, target_platforms::text[] AS platforms, completed_at IS NOT NULL AS ended, actor_id FROM sync_operations WHERE id = $1`,
    [id],
  );
  return rows[0] ?? {};
}

async function syncStatus(item: fixtures.TestItem): Promise<string> {
  const { rows } = await open.pool.query<{ sync_status: string }>('SELECT sync_status::text FROM inventory_items WHERE id = $1', [item.id]);
  return rows[0]?.sync_status ?? '';
}

describe('syncing one item', () => {
  test('reads and, where needed, writes every listing of it, and ends with the last of them', async () => {
    const item = await listed('shopify', 'etsy');
    const id = await sync(item);
    expect(await operation(id)).toMatchObject({ status: 'processing', ended: false, platforms: ['etsy', 'shopify'], actor_id: 'ada' });
    expect(await syncStatus(item)).toBe('syncing');
    expect(woken.toSorted()).toEqual([`push ${shopify.id}`, `push ${etsy.id}`].toSorted());

    await push('shopify');
    expect(await operation(id)).toMatchObject({ status: 'processing' });
    await push('etsy');
    expect(await operation(id)).toMatchObject({ status: 'completed', error: null, ended: true });
    expect(await syncStatus(item)).toBe('synced');
    expect([channels.shopify, channels.etsy].map(({ readCalls }) => readCalls.length)).toEqual([1, 1]);
    expect(channels.etsy.writes).toMatchObject([{ quantity: 5 }]);
  });

  test('on one platform leaves the others alone', async () => {
    const id = await sync(await listed('shopify', 'etsy'), ['etsy']);
    await push('etsy');
    expect(await operation(id)).toMatchObject({ status: 'completed', platforms: ['etsy'] });
    expect(channels.shopify.readCalls).toEqual([]);
  });

  test('that is listed nowhere ends at once', async () => {
    expect(await operation(await sync(await listed()))).toMatchObject({ status: 'completed', platforms: [] });
  });

  test('fails with the channel’s words when a listing could not be written', async () => {
    const item = await listed('shopify', 'etsy');
    channels.etsy.onWrite = () => ({ kind: 'rejected', code: 'ENDED', message: 'The listing has ended.', raw: null });
    const id = await sync(item);
    await push('shopify');
    await push('etsy');
    expect(await operation(id)).toMatchObject({ status: 'failed', error: 'etsy: ENDED: The listing has ended.' });
    expect(await syncStatus(item)).toBe('error');
  });

  test('fails after five attempts in vain, although the listing is tried on', async () => {
    const item = await listed('etsy');
    channels.etsy.onWrite = () => ({ kind: 'deferred', reason: 'quota', retryAfterMs: 1_000 });
    const id = await sync(item);
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      expect(await operation(id)).toMatchObject({ status: 'processing' });
      await push('etsy');
      await support.letTimePass(open.pool, etsy.id, 100_000);
    }
    expect(await operation(id)).toMatchObject({ status: 'failed', error: 'etsy: quota' });
    channels.etsy.onWrite = (write) => support.takeEffect(channels.etsy, write);
    await push('etsy');
    expect(await syncStatus(item)).toBe('synced');
  });

  test('fails when its channel is paused instead of waiting for ever', async () => {
    const item = await listed('shopify', 'etsy');
    const id = await sync(item);
    await open.pool.query(`UPDATE connections SET status = 'paused' WHERE id = $1`, [etsy.id]);
    await push('shopify');
    expect(await operation(id)).toMatchObject({ status: 'failed', error: expect.stringContaining('etsy: the connection is paused') });
  });

  test('twice with one key is one operation; of an unknown item is refused', async () => {
    const item = await listed('etsy');
    expect(await sync(item, null, 'k')).toBe(await sync(item, null, 'k'));
    caller = { ...caller, accountId: await fixtures.insertAccount(open.pool) };
    expect(await syncItem(options(), caller, { itemId: item.id, platforms: null, idempotencyKey: null })).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND' }],
    });
  });

  test('ends although two channels settle it at the same moment', async () => {
    const item = await listed('shopify', 'etsy');
    const id = await sync(item);
    const neverSettles = { onSettled: async () => undefined };
    const connections = support.connectTo(open.pool, channels);
    await pushConnection(support.pushOptions(open.pool, connections, neverSettles), shopify.id);
    // One settler still looks at the state before the other channel was done, and holds the operation while it looks.
    await inTransaction(open.pool, async (client) => {
      await client.query('SELECT id FROM sync_operations WHERE id = $1 FOR UPDATE', [id]);
      await pushConnection(support.pushOptions(open.pool, connections, neverSettles), etsy.id);
      const settling = settleOperations(options(), [item.id]);
      await fixtures.waitForBlocked(open.pool, 1);
      return { settling };
    }).then(async ({ settling }) => settling);
    expect(await operation(id)).toMatchObject({ status: 'completed' });
  });

  test('ends although the worker died between the last write and the word about it', async () => {
    const id = await sync(await listed('etsy'));
    const connections = support.connectTo(open.pool, channels);
    const killed = async (): Promise<void> => Promise.reject(new Error('killed'));
    await expect(pushConnection(support.pushOptions(open.pool, connections, { onSettled: killed }), etsy.id)).rejects.toThrow('killed');
    expect(await operation(id)).toMatchObject({ status: 'processing' });
    await sweepOperations(options());
    expect(await operation(id)).toMatchObject({ status: 'completed' });
  });
});

type Job = { status: string; total: number; completed: number; failed: number; fully_queued: boolean };

describe('syncing everything', () => {
  async function start(): Promise<string> {
    const outcome = await syncAll(options(), caller);
    if (!outcome.ok) throw new Error('the job was refused');
    return outcome.value.jobId;
  }

  async function readJob(id: string): Promise<Job> {
    const { rows } = await open.pool.query<Job>('SELECT status::text, total, completed, failed, fully_queued FROM jobs WHERE id = $1', [id]);
    const [row] = rows;
    if (row === undefined) throw new Error('there is no such job');
    return row;
  }

  async function queued(id: string): Promise<string[]> {
    const { rows } = await open.pool.query<{ item_id: string }>('SELECT item_id FROM sync_operations WHERE job_id = $1 ORDER BY item_id', [id]);
    return rows.map((row) => row.item_id);
  }

  async function catalogue(count: number): Promise<string[]> {
    const items = [];
    for (let index = 0; index < count; index += 1) items.push(await listed('etsy'));
    return items.map(({ id }) => id).toSorted();
  }

  test('queues every listed item once, in steps, and tells its progress until the last one is done', async () => {
    const items = await catalogue(7);
    await listed();
    const id = await start();
    expect(await readJob(id)).toMatchObject({ status: 'pending', total: 7, completed: 0 });
    expect(woken).toEqual([`job ${id}`]);
    for (const count of [3, 6, 7]) {
      await advanceJob(options(), id);
      expect(await queued(id)).toEqual(items.slice(0, count));
    }
    await advanceJob(options(), id);
    expect(await readJob(id)).toMatchObject({ status: 'processing', fully_queued: true });
    await push('etsy');
    expect(await readJob(id)).toEqual({ status: 'completed', total: 7, completed: 7, failed: 0, fully_queued: true });
    const { rows } = await open.pool.query<{ payload: Job }>(`SELECT payload FROM events WHERE subject_id = $1 AND topic = 'job' ORDER BY id`, [id]);
    expect(rows.at(-1)?.payload).toMatchObject({ jobId: id, status: 'completed', total: 7, completed: 7, failed: 0 });
    expect(rows.map(({ payload }) => payload.completed)).toEqual(rows.map(({ payload }) => payload.completed).toSorted((a, b) => a - b));
    expect(told).toBeGreaterThan(0);
  });

  test('counts what failed', async () => {
    await catalogue(3);
    channels.etsy.onWrite = (write) =>
      write === channels.etsy.writes[0] ? { kind: 'rejected', code: 'NO', message: 'no', raw: null } : support.takeEffect(channels.etsy, write);
    const id = await start();
    await advanceJob(options({ jobBatch: 10 }), id);
    await push('etsy');
    expect(await readJob(id)).toMatchObject({ status: 'completed', total: 3, completed: 2, failed: 1 });
  });

  test('queues every item exactly once although several workers advance it, or the same one again and again', async () => {
    const items = await catalogue(10);
    const id = await start();
    while (!(await readJob(id)).fully_queued) {
      await Promise.all(Array.from({ length: 4 }, async () => advanceJob(options(), id)));
    }
    await advanceJob(options(), id);
    expect(await queued(id)).toEqual(items);
  });

  test('keeps only so many under way, and goes on as they end', async () => {
    await catalogue(7);
    const id = await start();
    const few = { jobBatch: 2, jobOpenMax: 2 };
    await advanceJob(options(few), id);
    await advanceJob(options(few), id);
    expect(await queued(id)).toHaveLength(2);
    woken = [];
    await push('etsy', few);
    expect(woken).toContain(`job ${id}`);
    for (let step = 0; step < 6; step += 1) {
      await advanceJob(options(few), id);
      await push('etsy', few);
    }
    expect(await readJob(id)).toMatchObject({ status: 'completed', completed: 7 });
  });

  test('is one job however often and at once it is asked for, until it has ended', async () => {
    await catalogue(2);
    const ids = await Promise.all(Array.from({ length: 8 }, start));
    expect(new Set(ids).size).toBe(1);
    const [id = ''] = ids;
    await advanceJob(options(), id);
    await push('etsy');
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
    await advanceJob(options(), id);
    expect(await readJob(id)).toMatchObject({ status: 'completed', total: 0 });
  });

  test('corrects its total when items came or went meanwhile', async () => {
    await catalogue(2);
    const id = await start();
    await catalogue(2);
    await advanceJob(options({ jobBatch: 10 }), id);
    await push('etsy');
    expect(await readJob(id)).toMatchObject({ status: 'completed', total: 4, completed: 4 });
  });

  test.each(['after the last item was queued', 'after the last item was settled'] as const)(
    'is found and ended when the worker died %s',
    async (moment) => {
      if (moment.includes('settled')) await catalogue(1);
      const id = await start();
      await advanceJob(options(), id);
      await push('etsy');
      // As the statement before the last one left it.
      await open.pool.query(`UPDATE jobs SET status = 'processing', completed_at = NULL WHERE id = $1`, [id]);
      woken = [];
      await lookForWork({ db: open.pool, wakeUps, verifyIntervalMs: 10_000 });
      expect(woken).toContain(`job ${id}`);
      await advanceJob(options(), id);
      expect(await readJob(id)).toMatchObject({ status: 'completed' });
      woken = [];
      await lookForWork({ db: open.pool, wakeUps, verifyIntervalMs: 10_000 });
      expect(woken).not.toContain(`job ${id}`);
    },
  );

  test('is not blocked by a channel that was disconnected meanwhile', async () => {
    await catalogue(2);
    const id = await start();
    await advanceJob(options(), id);
    await open.pool.query(`UPDATE connections SET status = 'disconnected' WHERE id = $1`, [etsy.id]);
    await push('etsy');
    await sweepOperations(options());
    expect(await readJob(id)).toMatchObject({ status: 'completed', completed: 0, failed: 2 });
  });

  test('records who asked for it on every operation', async () => {
    await catalogue(1);
    caller = { ...caller, actor: systemActor };
    const id = await start();
    await advanceJob(options(), id);
    const { rows } = await open.pool.query('SELECT actor_kind::text, actor_id FROM sync_operations WHERE job_id = $1', [id]);
    expect(rows).toEqual([{ actor_kind: 'system', actor_id: null }]);
  });
});
