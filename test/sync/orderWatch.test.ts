/** Proves that orders are asked for sooner while one that was lost could cost an oversell, and no sooner than the channel bears. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ChannelError } from '../../src/connectors/connector.ts';
import { silentLog } from '../../src/log.ts';
import { watchOrders } from '../../src/sync/orderWatch.ts';
import { pollConnection } from '../../src/sync/poll.ts';
import { pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
});

const connected = () => support.connectTo(open.pool, { shopify: channel });

/** An item on one listing that shows so many units of it and sells so fast. */
async function sellingItem(available: number, shown: number, soldPerHour: number): Promise<string> {
  const { item, listingId } = await support.insertListed(
    open.pool,
    { connection, channel },
    available,
    shown,
  );
  await open.pool.query('UPDATE shadows SET sold_per_hour = $2 WHERE listing_id = $1', [
    listingId,
    soldPerHour,
  ]);
  return item.id;
}

async function watch(itemIds: readonly string[]): Promise<void> {
  const opened = await connected().open(connection.id);
  if (opened === null) throw new Error('the connection is gone');
  await watchOrders({ db: open.pool, intervalMs: null }, opened, itemIds);
}

async function poll(): Promise<number> {
  const { clock } = support;
  const options = { db: open.pool, connections: connected(), clock, log: silentLog(), overlapMs: null };
  return pollConnection(
    { ...options, intervalMs: null, leaseMs: 60_000, onApplied: () => undefined },
    connection.id,
  );
}

async function waitSeconds(): Promise<number> {
  const { rows } = await open.pool.query<{ wait: number }>(
    'SELECT round(extract(epoch FROM next_poll_at - last_polled_at))::int AS wait FROM connections WHERE id = $1',
    [connection.id],
  );
  return rows[0]?.wait ?? Number.NaN;
}

test('an item that sells fast and shows more than is left brings the next poll of its channel forward, and those after it', async () => {
  await poll();
  expect(await waitSeconds()).toBe(60);

  await watch([await sellingItem(2, 5, 120)]);
  expect(await waitSeconds()).toBe(10);

  await support.letTimePass(open.pool, connection.id, 60_001);
  await poll();
  expect(channel.polledSince).toHaveLength(2);
  expect(await waitSeconds()).toBe(10);
});

test.each([
  ['shows no more than is left', 5, 5, 120],
  ['hardly sells', 2, 5, 0.04],
  ['is sold out', 0, 5, 120],
])('an item that %s leaves the polls as they are', async (_, available, shown, soldPerHour) => {
  await poll();

  await watch([await sellingItem(available, shown, soldPerHour)]);

  expect(await waitSeconds()).toBe(60);
});

test('once nothing was at risk for a quarter of an hour polls are as far apart as before', async () => {
  await poll();
  await watch([await sellingItem(2, 5, 120)]);
  await open.pool.query(`UPDATE connections SET watched_until = watched_until - interval '15 minutes'`);
  await support.letTimePass(open.pool, connection.id, 60_001);

  await poll();

  expect(await waitSeconds()).toBe(60);
});

test('a pause that the channel asked for is kept', async () => {
  channel.orderPages = () => {
    throw new ChannelError('rate_limited', 'slow down', { retryAfterMs: 300_000 });
  };
  await poll();

  await watch([await sellingItem(2, 5, 120)]);

  expect(await waitSeconds()).toBe(300);
});

test('a push tells its channel of the items that it has settled', async () => {
  await poll();
  const itemId = await sellingItem(3, 5, 120);
  const told: (readonly [readonly string[], string])[] = [];
  const options = support.pushOptions(open.pool, connected(), {
    onSettled: async (itemIds, { connection: { id } }) => void told.push([itemIds, id]),
  });

  await pushConnection(options, connection.id);

  expect(told).toEqual([[[itemId], connection.id]]);
});
