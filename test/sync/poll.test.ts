/** Proves that a poll repairs every lost webhook: the watermark moves only after the last page, overlaps, and one worker polls at a time. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError, type Order } from '../../src/connectors/connector.ts';
import { silentLog } from '../../src/log.ts';
import type { OrderEffect } from '../../src/sync/orders.ts';
import { fetchOrders, type PollOptions, pollConnection } from '../../src/sync/poll.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { availableDeltas } from '../support/ledgerState.ts';
import { createManualClock, type ManualClock } from '../support/manualClock.ts';
import { createGate } from '../support/waiting.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let clock: ManualClock;
let item: fixtures.TestItem;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  await open.pool.query('UPDATE connections SET connected_at = $2 WHERE id = $1', [
    connection.id,
    fixtures.noon,
  ]);
  channel = support.createChannel();
  clock = createManualClock(fixtures.after(600).getTime());
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 10 });
});

const poll = (more: Partial<PollOptions> = {}): Promise<number> =>
  pollConnection(
    {
      db: open.pool,
      connections: support.connectTo(open.pool, { shopify: channel }),
      clock,
      log: silentLog(),
      intervalMs: null,
      overlapMs: null,
      leaseMs: 60_000,
      onApplied: () => undefined,
      ...more,
    },
    connection.id,
  );

const sold = (): Order => fixtures.order({ lines: [fixtures.orderLine({ sku: item.sku, reserved: 1 })] });

type State = {
  watermark: Date | null;
  wait_ms: number;
  leased: boolean;
  status: string;
  last_error: string | null;
  polled: boolean;
};

async function state(): Promise<State> {
  const { rows } = await open.pool.query<State>(
    `SELECT orders_watermark AS watermark, greatest(0, extract(epoch FROM next_poll_at - now()) * 1000)::int AS wait_ms,
            coalesce(poll_lease_until >= now(), false) AS leased, status::text, last_error, last_polled_at IS NOT NULL AS polled
       FROM connections WHERE id = $1`,
    [connection.id],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the connection is gone');
  return row;
}

const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, connection.id, ms);

/** Pages of which the second fails. */
async function* failing(first: readonly Order[], error: Error): AsyncIterable<readonly Order[]> {
  yield first;
  throw error;
}

describe('the watermark', () => {
  test('starts at the moment of connecting, less the overlap, and moves to when the poll began', async () => {
    const orders = [sold(), sold(), sold()];
    const began = clock.now();
    channel.orderPages = async function* pages() {
      yield orders.slice(0, 2);
      // A change made while we read belongs to the next poll.
      clock.advance(30_000);
      yield orders.slice(2);
    };
    expect(await poll()).toBe(3);
    expect(channel.polledSince).toEqual([fixtures.after(-120)]);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-1, -1, -1]);
    const after = await state();
    expect(after).toMatchObject({
      watermark: new Date(began),
      leased: false,
      polled: true,
      last_error: null,
    });
    expect(after.wait_ms).toBeGreaterThan(channel.capabilities.pollIntervalMs - 5_000);

    await pass(60_001);
    await poll({ overlapMs: 5_000 });
    expect(channel.polledSince.at(-1)).toEqual(new Date(began - 5_000));
  });

  test('looks further back now and then, for orders that were indexed late and whose webhook was lost, never to before the connection', async () => {
    const deep = { intervalMs: 3_600_000, overlapMs: 10_800_000 };
    const pollAt = async (seconds: number): Promise<Date | undefined> => {
      clock = createManualClock(fixtures.after(seconds).getTime());
      await pass(3_600_000);
      await poll({ deep });
      return channel.polledSince.at(-1);
    };
    expect(await pollAt(3_500)).toEqual(fixtures.after(-120));
    expect(await pollAt(3_600)).toEqual(fixtures.after(-120));
    expect(await pollAt(3_700)).toEqual(fixtures.after(3_600 - 120));
    // After a long silence there is nothing further back.
    expect(await pollAt(20_000)).toEqual(fixtures.after(3_700 - 120));
    // One that failed comes again.
    channel.orderPages = () => failing([], new ChannelError('rate_limited', 'slow down'));
    expect(await pollAt(23_700)).toEqual(fixtures.after(23_700 - 10_800));
    expect(await pollAt(23_800)).toEqual(fixtures.after(23_800 - 10_800));
  });

  test('is counted back by how far the channel’s clock may be behind ours: it goes by its own', async () => {
    await open.pool.query('UPDATE connections SET clock_skew_measured_ms = 600000 WHERE id = $1', [
      connection.id,
    ]);
    await poll();
    const connections = support.connectTo(open.pool, { shopify: channel });
    const opened = await connections.open(connection.id);
    const { fetching } = support.pushOptions(open.pool, connections);
    expect(opened && (await fetchOrders({ ...fetching, overlapMs: null, clock }, opened))).toBeNull();
    await pass(60_001);
    await poll({ deep: { intervalMs: 0, overlapMs: 10_800_000 } });
    expect(channel.polledSince).toEqual([
      fixtures.after(-120 - 600),
      fixtures.after(600 - 120 - 600),
      fixtures.after(-120 - 600),
    ]);
  });

  test('tells nothing of how late the channel is where a poll looks further back than the one before', async () => {
    await poll();
    clock = createManualClock(fixtures.after(7_200).getTime());
    await pass(3_600_000);
    const old = { ...sold(), createdAt: fixtures.after(60), updatedAt: fixtures.after(60) };
    channel.orderPages = () => support.pages([old]);
    expect(await poll({ deep: { intervalMs: 3_600_000, overlapMs: 10_800_000 } })).toBe(1);
    const { rows } = await open.pool.query(
      'SELECT index_lag_measured_ms AS ms FROM connections WHERE id = $1',
      [connection.id],
    );
    expect(rows).toEqual([{ ms: null }]);
  });

  test('stays where it was when a later page fails; the pages before are kept', async () => {
    channel.orderPages = () =>
      failing([sold()], new ChannelError('rate_limited', 'slow down', { retryAfterMs: 300_000 }));
    expect(await poll()).toBe(0);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-1]);
    const after = await state();
    expect(after).toMatchObject({
      watermark: null,
      leased: false,
      status: 'active',
      last_error: 'rate_limited: slow down',
    });
    expect(after.wait_ms).toBeGreaterThan(295_000);
  });

  test('stays where it was when our own work fails, and that is not hidden', async () => {
    channel.orderPages = () => failing([], new TypeError('a bug'));
    await expect(poll()).rejects.toThrow('a bug');
    expect(await state()).toMatchObject({ watermark: null, leased: false });
  });

  test('never moves back, although the clock does', async () => {
    await poll();
    const before = await state();
    await pass(60_001);
    clock = createManualClock(fixtures.noon.getTime());
    await poll();
    expect((await state()).watermark).toEqual(before.watermark);
  });
});

test('orders fetched for a push keep no poll out: what a reading asks for is asked at once', async () => {
  const connections = support.connectTo(open.pool, { shopify: channel });
  const opened = await connections.open(connection.id);
  channel.orderPages = () => support.pages([sold()]);
  const { fetching } = support.pushOptions(open.pool, connections);
  expect(opened && (await fetchOrders({ ...fetching, clock }, opened))).toBeNull();
  expect(channel.polledSince).toHaveLength(1);
  expect(await state()).toMatchObject({ leased: false });
  expect(await poll()).toBe(1);
});

describe('orders seen again', () => {
  test('by the overlap change nothing and are not counted', async () => {
    const order = sold();
    const effects: OrderEffect[] = [];
    channel.orderPages = () => support.pages([order]);
    const onApplied = (effect: OrderEffect): void => void effects.push(effect);
    expect(await poll({ onApplied })).toBe(1);
    await pass(60_001);
    expect(await poll({ onApplied })).toBe(0);
    expect(effects).toHaveLength(1);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-1]);
  });
});

describe('one worker at a time', () => {
  test('polls; the lease is renewed with every page and can be taken over when its holder dies', async () => {
    const gate = createGate();
    const started = createGate();
    const order = sold();
    channel.orderPages = async function* pages() {
      yield [order];
      started.open();
      await gate.opened;
      yield [sold()];
    };
    const slow = poll();
    await started.opened;
    expect(await poll()).toBe(0);
    expect(channel.polledSince).toHaveLength(1);

    await pass(60_001);
    channel.orderPages = () => support.pages([order]);
    expect(await poll()).toBe(0);
    expect(channel.polledSince).toHaveLength(2);
    gate.open();
    expect(await slow).toBe(2);
    expect(await availableDeltas(open.pool, item.id)).toEqual([-1, -1]);
  });

  test('among many that start together', async () => {
    await Promise.all(Array.from({ length: 6 }, async () => poll()));
    expect(channel.polledSince).toHaveLength(1);
  });

  test('and none before the next poll is due, or while sync is switched off, or while paused', async () => {
    await poll();
    await poll();
    expect(channel.polledSince).toHaveLength(1);
    await pass(60_001);
    await open.pool.query('UPDATE connections SET sync_enabled = false WHERE id = $1', [connection.id]);
    await poll();
    await open.pool.query(`UPDATE connections SET sync_enabled = true, status = 'paused' WHERE id = $1`, [
      connection.id,
    ]);
    await poll();
    expect(channel.polledSince).toHaveLength(1);
  });
});

test('a refused token asks for the seller, polling goes on, and the first success makes the connection active again', async () => {
  channel.orderPages = () => failing([], new ChannelError('unauthorized', 'the token is refused'));
  await poll();
  expect(await state()).toMatchObject({
    status: 'needs_authorization',
    last_error: 'unauthorized: the token is refused',
    watermark: null,
  });
  await pass(60_001);
  channel.orderPages = () => support.pages([sold()]);
  expect(await poll()).toBe(1);
  expect(await state()).toMatchObject({ status: 'active', last_error: null });
});
