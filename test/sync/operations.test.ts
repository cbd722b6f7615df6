/** Proves that syncing one item can be followed and ends, whatever its channels do and wherever a worker dies. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Platform } from '../../src/connectors/connector.ts';
import { inTransaction } from '../../src/db.ts';
import { settleOperations, sweepOperations, syncItem } from '../../src/sync/operations.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { pushConnection } from '../../src/sync/push.ts';
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

async function sync(
  item: fixtures.TestItem,
  on: readonly Platform[] | null = null,
  idempotencyKey: string | null = null,
): Promise<string> {
  const outcome = await syncItem(shop.options(), caller, { itemId: item.id, platforms: on, idempotencyKey });
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
  const { rows } = await open.pool.query<{ sync_status: string }>(
    'SELECT sync_status::text FROM inventory_items WHERE id = $1',
    [item.id],
  );
  return rows[0]?.sync_status ?? '';
}

const killed = async (): Promise<void> => Promise.reject(new Error('killed'));

describe('syncing one item', () => {
  test('reads and, where needed, writes every listing of it, and ends with the last of them', async () => {
    const item = await shop.listed('shopify', 'etsy');
    const id = await sync(item);
    expect(await operation(id)).toMatchObject({
      status: 'processing',
      ended: false,
      platforms: ['etsy', 'shopify'],
      actor_id: 'ada',
    });
    expect(await syncStatus(item)).toBe('syncing');
    expect(shop.woken.toSorted()).toEqual(
      [`push ${shop.connections.shopify.id}`, `push ${shop.connections.etsy.id}`].toSorted(),
    );

    await shop.push('shopify');
    expect(await operation(id)).toMatchObject({ status: 'processing' });
    await shop.push('etsy');
    expect(await operation(id)).toMatchObject({ status: 'completed', error: null, ended: true });
    expect(await syncStatus(item)).toBe('synced');
    expect([shop.channels.shopify, shop.channels.etsy].map(({ readCalls }) => readCalls.length)).toEqual([
      1, 1,
    ]);
    expect(shop.channels.etsy.writes).toMatchObject([{ quantity: 5 }]);
  });

  test('on one platform leaves the others alone', async () => {
    const id = await sync(await shop.listed('shopify', 'etsy'), ['etsy']);
    await shop.push('etsy');
    expect(await operation(id)).toMatchObject({ status: 'completed', platforms: ['etsy'] });
    expect(shop.channels.shopify.readCalls).toEqual([]);
  });

  test('that is listed nowhere ends at once', async () => {
    expect(await operation(await sync(await shop.listed()))).toMatchObject({
      status: 'completed',
      platforms: [],
    });
  });

  test('fails with the channel’s words when a listing could not be written', async () => {
    const item = await shop.listed('shopify', 'etsy');
    shop.channels.etsy.onWrite = () => ({
      kind: 'rejected',
      code: 'ENDED',
      message: 'The listing has ended.',
      raw: null,
    });
    const id = await sync(item);
    await shop.push('shopify');
    await shop.push('etsy');
    expect(await operation(id)).toMatchObject({
      status: 'failed',
      error: 'etsy: ENDED: The listing has ended.',
    });
    expect(await syncStatus(item)).toBe('error');
  });

  test('fails after five attempts in vain, although the listing is tried on', async () => {
    const item = await shop.listed('etsy');
    shop.channels.etsy.onWrite = () => ({ kind: 'deferred', reason: 'quota', retryAfterMs: 1_000 });
    const id = await sync(item);
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      expect(await operation(id)).toMatchObject({ status: 'processing' });
      await shop.push('etsy');
      await support.letTimePass(open.pool, shop.connections.etsy.id, 100_000);
    }
    expect(await operation(id)).toMatchObject({ status: 'failed', error: 'etsy: quota' });
    shop.channels.etsy.onWrite = (write) => support.takeEffect(shop.channels.etsy, write);
    await shop.push('etsy');
    expect(await syncStatus(item)).toBe('synced');
  });

  test('fails when its channel is paused instead of waiting for ever', async () => {
    const item = await shop.listed('shopify', 'etsy');
    const id = await sync(item);
    await open.pool.query(`UPDATE connections SET status = 'paused' WHERE id = $1`, [
      shop.connections.etsy.id,
    ]);
    await shop.push('shopify');
    expect(await operation(id)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('etsy: the connection is paused'),
    });
  });

  test('twice with one key is one operation; of an unknown item is refused', async () => {
    const item = await shop.listed('etsy');
    expect(await sync(item, null, 'k')).toBe(await sync(item, null, 'k'));
    caller = { ...caller, accountId: await fixtures.insertAccount(open.pool) };
    expect(
      await syncItem(shop.options(), caller, { itemId: item.id, platforms: null, idempotencyKey: null }),
    ).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND' }],
    });
  });

  test('ends although two channels settle it at the same moment', async () => {
    const item = await shop.listed('shopify', 'etsy');
    const id = await sync(item);
    const neverSettles = { onSettled: async () => undefined };
    const connections = support.connectTo(open.pool, shop.channels);
    await pushConnection(
      support.pushOptions(open.pool, connections, neverSettles),
      shop.connections.shopify.id,
    );
    // One settler still looks at the state before the other channel was done, and holds the operation while it looks.
    await inTransaction(open.pool, async (client) => {
      await client.query('SELECT id FROM sync_operations WHERE id = $1 FOR UPDATE', [id]);
      await pushConnection(
        support.pushOptions(open.pool, connections, neverSettles),
        shop.connections.etsy.id,
      );
      const settling = settleOperations(shop.options(), [item.id]);
      await fixtures.waitForBlocked(open.pool, 1);
      return { settling };
    }).then(async ({ settling }) => settling);
    expect(await operation(id)).toMatchObject({ status: 'completed' });
  });

  test('ends although the worker died between the last write and the word about it', async () => {
    const id = await sync(await shop.listed('etsy'));
    const connections = support.connectTo(open.pool, shop.channels);
    await expect(
      pushConnection(
        support.pushOptions(open.pool, connections, { onSettled: killed }),
        shop.connections.etsy.id,
      ),
    ).rejects.toThrow('killed');
    expect(await operation(id)).toMatchObject({ status: 'processing' });
    await sweepOperations(shop.options());
    expect(await operation(id)).toMatchObject({ status: 'completed' });
  });
});
