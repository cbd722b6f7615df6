/** Proves how late a channel is taken to be: its marketplace's default or what was set, widened at once by what was measured and narrowed by nothing. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  boundInForce,
  channelBounds,
  measuredBounds,
  type StoredBounds,
  widenBound,
} from '../../src/sync/bounds.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { loadExposures } from '../../src/sync/exposures.ts';
import { storeDelivery, workOffInbox } from '../../src/sync/inbox.ts';
import { pollConnection } from '../../src/sync/poll.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection } from '../../src/sync/reads.ts';
import { loadTargets } from '../../src/sync/targets.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  connections = support.connectTo(open.pool, { shopify: channel });
});

const nothing: StoredBounds = {
  staleMaxMs: null,
  settleMaxMs: null,
  indexLagMs: null,
  clockSkewMaxMs: null,
  staleMeasuredMs: null,
  settleMeasuredMs: null,
  indexLagMeasuredMs: null,
  clockSkewMeasuredMs: null,
};

const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, connection.id, ms);
const push = (): Promise<void> => pushConnection(support.pushOptions(open.pool, connections), connection.id);
const read = (): Promise<number> =>
  readConnection(support.readOptions(open.pool, connections), connection.id);

const poll = (): Promise<number> => {
  const { fetching } = support.pushOptions(open.pool, connections);
  return pollConnection({ ...fetching, connections, intervalMs: 0 }, connection.id);
};

async function readNow({ listingId }: support.Listed): Promise<void> {
  await open.pool.query(`UPDATE shadows SET read_due_at = 'epoch' WHERE listing_id = $1`, [listingId]);
  await read();
}

type Columns = {
  readonly stale_measured_ms: number | null;
  readonly settle_measured_ms: number | null;
  readonly index_lag_measured_ms: number | null;
  readonly clock_skew_measured_ms: number | null;
};

async function measured(): Promise<Columns | undefined> {
  const { rows } = await open.pool.query<Columns>(
    'SELECT stale_measured_ms, settle_measured_ms, index_lag_measured_ms, clock_skew_measured_ms FROM connections WHERE id = $1',
    [connection.id],
  );
  return rows[0];
}

/** The newest finished fetch was started so long after an order was placed, and did not show it. */
async function shownAfter(missingMs: number): Promise<void> {
  channel.capabilities.indexLagMs = 60_000;
  const one = await support.insertListed(open.pool, { connection, channel }, 5, 5);
  const at = new Date(support.clock.now());
  const order = fixtures.order({
    createdAt: at,
    updatedAt: at,
    lines: [fixtures.orderLine({ address: one })],
  });
  await pass(missingMs);
  await poll();
  channel.orderPages = () => support.pages([order]);
  await pass(60_001);
  await poll();
}

describe('the bound in force', () => {
  test('is the larger of what was given and what was measured, and says where it comes from', () => {
    const stored = {
      ...nothing,
      staleMaxMs: 2_000,
      settleMeasuredMs: 400_000,
      indexLagMeasuredMs: 10,
      clockSkewMaxMs: 3_000,
      clockSkewMeasuredMs: 9_000,
    };
    const defaults = { staleMaxMs: 9_000, settleMaxMs: 300_000, indexLagMs: 60_000, clockSkewMaxMs: 1_000 };
    expect(channelBounds(stored, { ...channel.capabilities, ...defaults })).toMatchObject({
      staleMaxMs: 2_000,
      settleMaxMs: 400_000,
      indexLagMs: 60_000,
      clockSkewMaxMs: 9_000,
    });
    expect(measuredBounds.map((name) => boundInForce(stored, defaults, name))).toEqual([
      { ms: 2_000, source: 'set' },
      { ms: 400_000, source: 'measured' },
      { ms: 60_000, source: 'default' },
      { ms: 9_000, source: 'measured' },
    ]);
    expect(boundInForce(nothing, {}, 'staleMaxMs')).toBeNull();
  });

  test('of a write always holds our own call and the wait before it, also where the channel’s part was set', async () => {
    await open.pool.query('UPDATE connections SET settle_max_ms = 1000 WHERE id = $1', [connection.id]);
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 9);
    await push();
    const { rows } = await open.pool.query<{ ms: number }>(
      `SELECT (state->'shadow'->'bounds'->>'settleMax')::int AS ms FROM shadows WHERE listing_id = $1`,
      [one.listingId],
    );
    expect(rows).toEqual([{ ms: support.sendWithinMs + support.callMaxMs + 1_000 }]);
  });

  test('grows by what was late and a quarter of it, up to an hour, and never falls until the account is connected anew', async () => {
    await widenBound(open.pool, connection.id, 'staleMaxMs', 80_000);
    await widenBound(open.pool, connection.id, 'staleMaxMs', 70_000);
    await widenBound(open.pool, connection.id, 'settleMaxMs', 9_000_000);
    await widenBound(open.pool, connection.id, 'clockSkewMaxMs', 4_000);
    expect(await measured()).toMatchObject({
      stale_measured_ms: 100_000,
      settle_measured_ms: 3_600_000,
      clock_skew_measured_ms: 5_000,
    });
    const { rows } = await open.pool.query<{ external_account_id: string }>(
      'SELECT external_account_id FROM connections WHERE id = $1',
      [connection.id],
    );
    await connections.connect({
      accountId: connection.accountId,
      platform: 'shopify',
      name: 'again',
      externalAccountId: rows[0]?.external_account_id ?? '',
      settings: {},
      credentials: {},
    });
    expect(await measured()).toEqual({
      stale_measured_ms: null,
      settle_measured_ms: null,
      index_lag_measured_ms: null,
      clock_skew_measured_ms: null,
    });
  });
});

describe('how late orders are shown', () => {
  test('widens the bound by a fetch that should have shown the order and did not', async () => {
    await shownAfter(100_000);
    const { index_lag_measured_ms: ms } = (await measured()) ?? {};
    expect(ms).toBeGreaterThanOrEqual(125_000);
    expect(ms).toBeLessThan(130_000);
  });

  test.each([
    ['that should have shown an order which is delivered later widens the bound', 100_000, true],
    ['need not have shown it yet, nothing is measured', 50_000, false],
  ])('where a finished fetch %s', async (_case, missingMs, widens) => {
    channel.capabilities.indexLagMs = 60_000;
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 5);
    const at = new Date(support.clock.now());
    await pass(missingMs);
    await poll();
    await pass(60_001);
    const order = fixtures.order({
      createdAt: at,
      updatedAt: at,
      lines: [fixtures.orderLine({ address: one })],
    });
    const body = support.deliveryBody({ kind: 'order', order });
    await storeDelivery(
      open.pool,
      {
        accountId: connection.accountId,
        connectionId: connection.id,
        deliveryId: '1',
        topic: 'orders',
        body,
      },
      null,
    );
    const { fetching } = support.pushOptions(open.pool, connections);
    await workOffInbox({
      ...fetching,
      connections,
      batchMax: 1,
      connectionMax: 1,
      attemptsMax: 1,
      backoffMaxMs: 1_000,
      onShown: async () => undefined,
    });
    const { index_lag_measured_ms: ms } = (await measured()) ?? {};
    expect((ms ?? 0) >= 125_000).toBe(widens);
  });

  test('is not measured by how seldom we ask', async () => {
    await shownAfter(50_000);
    expect(await measured()).toMatchObject({ index_lag_measured_ms: null });
  });
});

describe('how old readings are and how late writes land', () => {
  test('a reading of the old number, later after a lowering write that was answered than it may be, widens the bound', async () => {
    channel.capabilities.staleMaxMs = 20_000;
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 9);
    await pass(120_000);
    await push();
    support.show(channel, one, 9);
    await pass(10_000);
    await readNow(one);
    expect(await measured()).toMatchObject({ stale_measured_ms: null });
    await pass(20_000);
    await readNow(one);
    const { stale_measured_ms: ms } = (await measured()) ?? {};
    expect(ms).toBeGreaterThanOrEqual(37_500);
    expect(ms).toBeLessThan(42_500);
  });

  test('a number that was never ours is somebody’s edit and measures nothing', async () => {
    channel.capabilities.staleMaxMs = 20_000;
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 9);
    await pass(120_000);
    await push();
    support.show(channel, one, 7);
    await pass(30_000);
    await readNow(one);
    expect(await measured()).toMatchObject({ stale_measured_ms: null, settle_measured_ms: null });
  });

  test('a write that only time has settled and that a reading finds not to have landed widens the bound of writes', async () => {
    channel.capabilities.settleMaxMs = 60_000;
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 9);
    channel.onWrite = () => ({ kind: 'accepted', reference: 'feed' });
    await pass(120_000);
    await push();
    await pass(100_000);
    await readNow(one);
    const { settle_measured_ms: ms } = (await measured()) ?? {};
    // The channel's own part: what our call may have taken is in the bound anyway.
    expect(ms).toBeGreaterThanOrEqual(81_250);
    expect(ms).toBeLessThan(87_500);
  });
});

describe('before anything was measured', () => {
  test('a channel reacts as late as its orders are shown and its writes land', async () => {
    channel.capabilities.indexLagMs = 120_000;
    channel.capabilities.settleMaxMs = 900_000;
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 5);
    await poll();
    const exposures = await loadExposures(open.pool, connection.accountId, [one.item.id]);
    expect(exposures.get(one.item.id)?.listings).toMatchObject([{ reactionMs: 1_020_000 }]);
    await open.pool.query(
      `UPDATE connections SET measures = jsonb_build_object('saleToEffective', measured(NULL, '{7000}')) WHERE id = $1`,
      [connection.id],
    );
    const again = await loadExposures(open.pool, connection.accountId, [one.item.id]);
    expect(again.get(one.item.id)?.listings).toMatchObject([{ reactionMs: 7_000 }]);
  });
});

describe('how long an item has been quiet', () => {
  test('is told by its newest movement, not by a new price', async () => {
    const one = await support.insertListed(open.pool, { connection, channel }, 5, 5);
    await open.pool.query(
      `UPDATE stock_movements SET created_at = now() - interval '1 hour' WHERE item_id = $1`,
      [one.item.id],
    );
    await open.pool.query('UPDATE inventory_items SET updated_at = now() WHERE id = $1', [one.item.id]);
    const target = (await loadTargets(open.pool, [one.listingId], 999)).get(one.listingId);
    expect(target?.quietForMs).toBeGreaterThanOrEqual(3_600_000);
  });
});
