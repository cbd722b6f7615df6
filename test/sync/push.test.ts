/** Proves what one push run leaves behind: the numbers sent and their order, and for every answer the rows that follow from it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError, type StockWriteResult } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { fetchOrders } from '../../src/sync/poll.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  connections = support.connectTo(open.pool, { shopify: channel });
});

const listed = (onHand: number, shows: number | null): Promise<support.Listed> =>
  support.insertListed(open.pool, { connection, channel }, onHand, shows);

const push = (more: Partial<PushOptions> = {}): Promise<void> =>
  pushConnection(support.pushOptions(open.pool, connections, more), connection.id);

/** Answers the next write so, and every later one as the channel does. */
function answerOnce(result: StockWriteResult): void {
  channel.onWrite = () => {
    channel.onWrite = (write) => support.takeEffect(channel, write);
    return result;
  };
}

const quantities = (): number[] => channel.writes.map(({ quantity }) => quantity);
const shows = (listing: support.Listed): number | null => support.shownOn(channel, listing);

test('a run whose turn is over makes room for other connections, and tells that there may be more to do', async () => {
  // A batch is never less than fits one call.
  channel.capabilities.writesPerCall = 1;
  await listed(5, 9);
  await listed(5, 9);
  const told: string[] = [];
  const turn = { maxMs: 0, onMore: (id: string) => void told.push(id) };
  await push({ batchMax: 1, turn });
  expect(quantities()).toEqual([5]);
  expect(told).toEqual([connection.id]);
  await push({ batchMax: 1 });
  expect(quantities()).toEqual([5, 5]);
});

describe('nothing is sent', () => {
  test('when the channel already shows the target; the belief keeps the time at which it was formed', async () => {
    const { listingId } = await listed(5, 5);
    await open.pool.query(`UPDATE listings SET quantity_at = '2026-01-01' WHERE id = $1`, [listingId]);
    await push();
    expect(channel.writes).toEqual([]);
    expect(channel.readCalls).toEqual([]);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
    const { rows } = await open.pool.query(
      `SELECT quantity, quantity_at = '2026-01-01' AS untouched FROM listings WHERE id = $1`,
      [listingId],
    );
    expect(rows).toEqual([{ quantity: 5, untouched: true }]);
  });

  test('after a reading that shows the target already, which is remembered', async () => {
    const one = await listed(5, null);
    support.show(channel, one, 5);
    await push();
    expect(channel.writes).toEqual([]);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({
      quantity: 5,
      last_error: null,
    });
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('for a listing that is switched off, that we may not write, or that sells no known item', async () => {
    const off = await listed(5, 9);
    const foreign = await listed(5, 9);
    const unknown = await listed(5, 9);
    await open.pool.query('UPDATE listings SET sync_enabled = false WHERE id = $1', [off.listingId]);
    await open.pool.query('UPDATE listings SET writable = false WHERE id = $1', [foreign.listingId]);
    await open.pool.query('UPDATE listings SET item_id = NULL WHERE id = $1', [unknown.listingId]);
    await push();
    expect(channel.writes).toEqual([]);
    const dirty = [off, foreign, unknown].map(async ({ listingId }) =>
      support.readDirty(open.pool, listingId),
    );
    expect(await Promise.all(dirty)).toEqual([null, null, null]);
  });

  test.each(['paused', 'disconnected', 'needs_authorization'] as const)(
    'while the connection is %s, and the listing stays dirty until it is active again',
    async (status) => {
      const one = await listed(5, 9);
      await open.pool.query(`UPDATE connections SET status = $2, last_error = 'why' WHERE id = $1`, [
        connection.id,
        status,
      ]);
      await push();
      expect(channel.writes).toEqual([]);
      expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({ version: 1, leased: false });
      const { rows } = await open.pool.query(
        'SELECT status::text, last_error FROM connections WHERE id = $1',
        [connection.id],
      );
      expect(rows).toEqual([{ status, last_error: 'why' }]);

      await open.pool.query(`UPDATE connections SET status = 'active' WHERE id = $1`, [connection.id]);
      await push();
      expect(shows(one)).toBe(5);
    },
  );

  test('while sync of the connection is switched off, and the listing stays dirty', async () => {
    const one = await listed(5, 9);
    await open.pool.query('UPDATE connections SET sync_enabled = false WHERE id = $1', [connection.id]);
    await push();
    expect(channel.writes).toEqual([]);
    expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({ version: 1 });
  });
});

describe('a reading that is no number', () => {
  test('“not tracked” neither zeroes nor raises anything: it is a note on the listing', async () => {
    const one = await listed(0, 4);
    const two = await listed(9, 4);
    await open.pool.query('UPDATE dirty_listings SET reread = true');
    channel.onRead = () => ({ kind: 'notTracked' });
    await push();
    expect(channel.writes).toEqual([]);
    for (const { listingId } of [one, two]) {
      expect(await support.readListing(open.pool, listingId)).toMatchObject({
        quantity: 4,
        last_error: expect.stringContaining('does not track'),
      });
      expect(await support.readDirty(open.pool, listingId)).toBeNull();
    }
  });

  test('“unknown” raises nothing and zeroes nothing that is in stock: it is asked again later', async () => {
    const { listingId } = await listed(9, 4);
    await open.pool.query('UPDATE dirty_listings SET reread = true');
    channel.onRead = () => ({ kind: 'unknown', reason: 'no row' });
    await push();
    expect(channel.writes).toEqual([]);
    expect(await support.readListing(open.pool, listingId)).toMatchObject({
      quantity: 4,
      last_error: 'no row',
    });
    expect(await support.readDirty(open.pool, listingId)).toMatchObject({
      reread: true,
      attempts: 1,
      leased: false,
    });
    expect((await support.readDirty(open.pool, listingId))?.waitMs).toBeGreaterThan(500);
  });

  test('“unknown” does not keep a sold-out item on offer: its zero goes out unread', async () => {
    const { listingId } = await listed(0, 4);
    await open.pool.query('UPDATE dirty_listings SET reread = true');
    channel.onRead = () => ({ kind: 'unknown', reason: 'no row' });
    await push();
    expect(channel.writes).toMatchObject([{ quantity: 0, expected: null }]);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
  });

  test('a failed reading sends nothing, is told to the connection and is tried again with growing pauses', async () => {
    const { listingId } = await listed(5, null);
    const pauses: number[] = [];
    channel.onRead = () => {
      throw new ChannelError('unavailable', 'maintenance');
    };
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await push({ backoffMaxMs: 4_000 });
      pauses.push(Math.ceil(((await support.readDirty(open.pool, listingId))?.waitMs ?? 0) / 1_000));
      await support.letTimePass(open.pool, connection.id, 10_000);
    }
    expect(pauses).toEqual([1, 2, 4, 4]);
    expect(channel.writes).toEqual([]);
    const { rows } = await open.pool.query('SELECT status::text, last_error FROM connections WHERE id = $1', [
      connection.id,
    ]);
    expect(rows).toEqual([{ status: 'active', last_error: 'unavailable: maintenance' }]);
  });
});

describe('what an answer leaves behind', () => {
  test('effective: the listing shows it, is in step and remembers when', async () => {
    const { listingId, item } = await listed(5, 9);
    const settled: (readonly string[])[] = [];
    await push({ onSettled: async (itemIds) => void settled.push(itemIds) });
    expect(await support.readListing(open.pool, listingId)).toEqual({
      quantity: 5,
      target: 5,
      target_seq: 1,
      last_error: null,
    });
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { quantity: 5, target_seq: 1, state: 'effective', settled: true },
    ]);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
    expect(settled).toEqual([[item.id]]);
    const { rows } = await open.pool.query(
      'SELECT last_pushed_at IS NOT NULL AS pushed FROM listings WHERE id = $1',
      [listingId],
    );
    expect(rows).toEqual([{ pushed: true }]);
  });

  test('accepted: what is shown is unknown until a reading, and nothing is sent twice meanwhile', async () => {
    const { listingId } = await listed(5, 9);
    answerOnce({ kind: 'accepted', reference: 'feed 1' });
    await push();
    expect(await support.readListing(open.pool, listingId)).toMatchObject({
      quantity: null,
      target: 5,
      last_error: null,
    });
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { state: 'accepted', settled: false },
    ]);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
    await support.markDirty(open.pool, listingId);
    await push();
    expect(channel.writes).toHaveLength(1);
  });

  test('rejected: the reason stands on the listing, which is not tried again by itself', async () => {
    const { listingId } = await listed(5, 9);
    answerOnce({ kind: 'rejected', code: 'SKU_ENDED', message: 'The listing has ended.', raw: null });
    await push();
    expect(await support.readListing(open.pool, listingId)).toMatchObject({
      quantity: 9,
      last_error: 'SKU_ENDED: The listing has ended.',
    });
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { state: 'rejected', settled: true },
    ]);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
  });

  test('stale: what the channel said counts at once, the difference is held as unseen sales until the orders say otherwise', async () => {
    channel.capabilities.compareAndSet = true;
    const one = await listed(5, 9);
    const { listingId } = one;
    support.show(channel, one, 7);
    answerOnce({ kind: 'stale', actual: 7 });
    let asked = 0;
    const readings: PushOptions['readings'] = (opened) =>
      support.readingOptions(open.pool, opened, { onUnexplained: async () => void (asked += 1) });
    await push({ readings });
    expect(channel.writes).toMatchObject([
      { quantity: 5, expected: 9 },
      { quantity: 3, expected: 7 },
    ]);
    expect(asked).toBe(1);
    const opened = await connections.open(connection.id);
    if (opened !== null) await fetchOrders(support.pushOptions(open.pool, connections).fetching, opened);
    await support.markDirty(open.pool, listingId);
    await push();
    // The orders are known and there were none: somebody else took two away, and whether that counts is decided elsewhere.
    expect(channel.writes.slice(2)).toMatchObject([{ quantity: 5, expected: 3 }]);
    expect(channel.writes[0]?.key).not.toBe(channel.writes[1]?.key);
    expect((await support.readWrites(open.pool, listingId)).map(({ state }) => state).toSorted()).toEqual([
      'effective',
      'effective',
      'stale',
    ]);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
  });

  test('stale without a number: it is read before the next write', async () => {
    channel.capabilities.compareAndSet = true;
    const one = await listed(5, 9);
    support.show(channel, one, 8);
    answerOnce({ kind: 'stale', actual: null });
    await push();
    expect(channel.readCalls.length).toBeGreaterThanOrEqual(1);
    expect(channel.writes.slice(0, 2).map(({ expected }) => expected)).toEqual([9, 8]);
  });

  test('deferred: nothing is believed, and it is sent when the channel wants it', async () => {
    const { listingId } = await listed(5, 9);
    answerOnce({ kind: 'deferred', reason: 'quota', retryAfterMs: 30_000 });
    await push();
    expect(await support.readListing(open.pool, listingId)).toMatchObject({
      quantity: 9,
      last_error: 'quota',
    });
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { state: 'superseded', settled: true },
    ]);
    const dirty = await support.readDirty(open.pool, listingId);
    expect(dirty).toMatchObject({ version: 1, attempts: 1, leased: false });
    expect(dirty?.waitMs).toBeGreaterThan(25_000);
    await support.letTimePass(open.pool, connection.id, 30_000);
    await push();
    expect(quantities()).toEqual([5, 5]);
    expect(await support.readListing(open.pool, listingId)).toMatchObject({ quantity: 5, last_error: null });
  });

  test('a missing answer counts as unknown, never as done', async () => {
    const { listingId } = await listed(5, 9);
    Object.assign(channel.connector, { setStock: async () => [] });
    await push();
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { state: 'unknown', settled: false },
    ]);
    expect(await support.readDirty(open.pool, listingId)).toMatchObject({ attempts: 1, leased: false });
  });
});

describe('a write that is answered with a refused access', () => {
  const refusal = {
    kind: 'deferred',
    reason: 'the token is refused',
    retryAfterMs: 0,
    error: 'unauthorized',
  } as const;

  test('is reported at once: the seller need not wait for the next poll, and nothing more is sent', async () => {
    await listed(1, 9);
    channel.onWrite = () => refusal;
    await push();
    const { rows } = await open.pool.query('SELECT status::text, last_error FROM connections WHERE id = $1', [
      connection.id,
    ]);
    expect(rows).toEqual([
      { status: 'needs_authorization', last_error: 'unauthorized: the token is refused' },
    ]);
    await listed(1, 9);
    await push();
    expect(channel.writes).toHaveLength(1);
  });

  test('a failure that mends itself says nothing about the connection', async () => {
    await listed(1, 9);
    channel.onWrite = () => ({ ...refusal, error: 'rate_limited' });
    await push();
    const { rows } = await open.pool.query('SELECT status::text, last_error FROM connections WHERE id = $1', [
      connection.id,
    ]);
    expect(rows).toEqual([{ status: 'active', last_error: null }]);
  });
});
