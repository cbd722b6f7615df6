/** Proves that many raises leave as one queue of the channel, and that a number which stands there is neither lost, repeated nor in the way of a lowering. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockWrite, StockWriteResult, Submission } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection } from '../../src/sync/reads.ts';
import { followStockQueues } from '../../src/sync/stockQueues.ts';
import { lookForWork } from '../../src/sync/supervisor.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

const hour = 3_600_000;
const settleMaxMs = 60_000;
/** From the end of a queue until what it held has landed: what a write, a call and its leaving take at most. */
const landingMs = settleMaxMs + support.callMaxMs + support.sendWithinMs;
const queue = { waitingMin: 5, callMin: 3, callMax: 6, landingMs: hour };

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  connection = await fixtures.insertConnection(open.pool, accountId, 'amazon');
  channel = support.createChannel('amazon');
  Object.assign(channel.capabilities, {
    writesPerCall: 1,
    ordersWrites: false,
    settleMaxMs,
    stockQueue: queue,
  });
  connections = support.connectTo(open.pool, { amazon: channel });
  channel.onWrite = takenIn;
});

const raised = () => support.insertListed(open.pool, { connection, channel }, 9, 3);
const lowered = () => support.insertListed(open.pool, { connection, channel }, 3, 9);
const many = async <Value>(count: number, make: () => Promise<Value>): Promise<readonly Value[]> => {
  const made: Value[] = [];
  for (let index = 0; index < count; index += 1) made.push(await make());
  return made;
};

/** As Amazon does: what may stand in a queue stands there, and shows nothing yet. */
function takenIn(write: StockWrite): StockWriteResult {
  if (write.mayQueue === true) return { kind: 'accepted', reference: 'feed', queued: true };
  support.show(channel, write.address, write.quantity);
  return { kind: 'accepted', reference: null };
}

const push = (batchMax = 2): Promise<void> =>
  pushConnection(support.pushOptions(open.pool, connections, { batchMax }), connection.id);

const follow = (): Promise<void> =>
  followStockQueues({ ...support.readOptions(open.pool, connections), backoffMaxMs: hour }, connection.id);

const read = (): Promise<number> =>
  readConnection(support.readOptions(open.pool, connections), connection.id);

/** So much later: the queues are asked for, what is due is read, and what is out of step written. */
async function later(ms: number): Promise<void> {
  await support.letTimePass(open.pool, connection.id, ms);
  await open.pool.query('UPDATE shadows SET read_due_at = now() WHERE connection_id = $1', [connection.id]);
  await follow();
  await read();
  await push();
}

/** A raise from 3 to 9 that stands in a queue, with others. */
async function standing(): Promise<support.Listed> {
  const [one] = await many(6, raised);
  if (one === undefined) throw new Error('nothing was listed');
  await push();
  return one;
}

const sentTo = ({ unitId }: support.Listed): readonly number[] =>
  channel.writes.filter(({ address }) => address.unitId === unitId).map(({ quantity }) => quantity);

const shownAt = (one: support.Listed) => support.shownOn(channel, one);

const queuedCalls = () => channel.writeCalls.filter(([first]) => first?.mayQueue === true);

const ended = (refused: Extract<Submission, { kind: 'ended' }>['refused'] = null): Submission => ({
  kind: 'ended',
  at: new Date(support.clock.now()),
  refused,
});

async function writeOf({ listingId }: support.Listed) {
  const { rows } = await open.pool.query<{ state: string; reference: string | null; followed: boolean }>(
    `SELECT state::text, queue_reference AS reference, queue_due_at IS NOT NULL AS followed
       FROM listing_writes WHERE listing_id = $1 ORDER BY sent_at, id`,
    [listingId],
  );
  return rows[0];
}

describe('raises leave as one queue', () => {
  test('where so many listings wait, all that it holds in one call', async () => {
    const all = await many(7, raised);
    await push();
    expect(queuedCalls().map((call) => call.length)).toEqual([6]);
    // What was left over waits for too few others.
    expect(channel.writes).toHaveLength(7);
    for (const one of all) expect(sentTo(one)).toEqual([9]);
  });

  test('but go by themselves where fewer wait', async () => {
    await many(4, raised);
    await push();
    expect(queuedCalls()).toEqual([]);
    expect(channel.writes).toHaveLength(4);
  });

  test('but go by themselves where the channel takes no queue now', async () => {
    channel.capabilities.stockQueue = null;
    await many(6, raised);
    await push();
    expect(queuedCalls()).toEqual([]);
    expect(channel.writes).toHaveLength(6);
  });

  test('and by themselves where too few of those that wait turn out to be raises', async () => {
    const raises = await many(2, raised);
    // Dirty, and in step: they are claimed after the raises.
    await many(4, () => support.insertListed(open.pool, { connection, channel }, 5, 5));
    await push();
    expect(queuedCalls()).toEqual([]);
    for (const one of raises) expect(sentTo(one)).toEqual([9]);
  });

  test('but go by themselves where the others will have sold what they offer before a queue has landed, or where they may come under escrow', async () => {
    const [fast, automatic] = await many(8, raised);
    if (fast === undefined || automatic === undefined) throw new Error('nothing was listed');
    await open.pool.query(`UPDATE inventory_items SET protection = 'automatic' WHERE id = $1`, [
      automatic.item.id,
    ]);
    const sibling = await fixtures.insertListing(open.pool, connection, { itemId: fast.item.id });
    await support.insertShadow(open.pool, channel, sibling, 9);
    await open.pool.query('UPDATE shadows SET sold_per_hour = 12 WHERE listing_id = $1', [sibling]);
    await open.pool.query('UPDATE listings SET sync_enabled = false WHERE id = $1', [sibling]);
    await push();
    expect(queuedCalls().flat()).toHaveLength(queue.callMax - 2);
    for (const { unitId } of [fast, automatic])
      expect(channel.writes.find(({ address }) => address.unitId === unitId)).not.toHaveProperty('mayQueue');
  });

  test('also where the last look at the orders has failed, and they wait for the next one', async () => {
    const all = await many(6, raised);
    await open.pool.query(
      `UPDATE dirty_listings SET not_before = now() + interval '20 s' WHERE listing_id = ANY($1)`,
      [all.slice(2).map(({ listingId }) => listingId)],
    );
    await many(1, raised);
    await push();
    expect(queuedCalls().map((call) => call.length)).toEqual([3]);
  });

  test('after the lowering writes, of which none ever does', async () => {
    const lowering = await many(2, lowered);
    await many(6, raised);
    await push();
    expect(channel.writes.slice(0, 2).map(({ quantity }) => quantity)).toEqual([3, 3]);
    for (const one of lowering)
      expect(channel.writes.find(({ address }) => address.unitId === one.unitId)).not.toHaveProperty(
        'mayQueue',
      );
    expect(queuedCalls().map((call) => call.length)).toEqual([6]);
  });
});

describe('a number that stands in a queue', () => {
  test('for hours is not lost, not written again, and no conflict, and what is asked for is asked ever more seldom', async () => {
    const one = await standing();
    for (let look = 0; look < 8; look += 1) await later(hour);
    expect(sentTo(one)).toEqual([9]);
    expect(await writeOf(one)).toEqual({ state: 'accepted', reference: 'feed', followed: true });
    const asked = channel.queueAsks.length;
    await later(hour / 2);
    expect(channel.queueAsks).toHaveLength(asked);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
    const { rowCount: conflicts } = await open.pool.query('SELECT FROM sync_conflicts WHERE item_id = $1', [
      one.item.id,
    ]);
    expect(conflicts).toBe(0);
  });

  test('is in no lowering’s way: that leaves at once, and again when the queue is worked off, and when it has landed on top of it', async () => {
    const one = await standing();
    await support.moveStock(open.pool, one.item, -5);
    await later(1_000);
    expect(sentTo(one)).toEqual([9, 4]);
    expect(shownAt(one)).toBe(4);
    await later(hour);
    channel.onQueued = () => ended();
    await later(hour);
    expect(sentTo(one)).toEqual([9, 4, 4]);
    support.show(channel, one, 9);
    await later(landingMs + 1_000);
    expect(sentTo(one)).toEqual([9, 4, 4, 4]);
    expect(shownAt(one)).toBe(4);
  });

  test('holds back a further raise until it has landed, which follows at once then', async () => {
    const one = await standing();
    await support.moveStock(open.pool, one.item, 3);
    await later(hour);
    expect(sentTo(one)).toEqual([9]);
    channel.onQueued = () => ended();
    support.show(channel, one, 9);
    await later(hour);
    await later(landingMs + 1_000);
    expect(sentTo(one)).toEqual([9, 12]);
  });

  test('is in force when a reading shows it, and yet followed to the end of its queue: somebody else may have set that number', async () => {
    const one = await standing();
    await later(hour);
    support.show(channel, one, 9);
    await later(hour);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 9 });
    expect(await writeOf(one)).toMatchObject({ state: 'accepted', followed: true });
    // All of them are sold, and the queue lands on top of the zero.
    await support.moveStock(open.pool, one.item, -9);
    await later(60_000);
    expect(shownAt(one)).toBe(0);
    channel.onQueued = () => ended();
    await later(hour);
    expect(sentTo(one).slice(-2)).toEqual([0, 0]);
    channel.queueAsks.length = 0;
    await later(4 * hour);
    expect(channel.queueAsks).toEqual([]);
    expect(await writeOf(one)).toMatchObject({ followed: false });
  });

  test('that a reading proves leaves nothing waiting, also where its answer was lost', async () => {
    channel.onWrite = (write) =>
      write.mayQueue === true ? { kind: 'unknown', reason: 'no answer', reference: 'lost' } : takenIn(write);
    const one = await standing();
    await later(hour);
    expect((await support.readDirty(open.pool, one.listingId))?.waitMs).toBeLessThanOrEqual(600_000);
    support.show(channel, one, 9);
    await later(hour);
    await later(600_000);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('of an item that was mapped to another meanwhile is known to the new one, and followed', async () => {
    const one = await standing();
    const other = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 1 });
    await open.pool.query('UPDATE listings SET item_id = $2 WHERE id = $1', [one.listingId, other.id]);
    await support.markDirty(open.pool, one.listingId, true);
    await later(60_000);
    expect(sentTo(one)).toEqual([9, 1]);
    expect(await writeOf(one)).toMatchObject({ state: 'accepted', followed: true });
    channel.onQueued = () => ended();
    await later(hour);
    expect(sentTo(one)).toEqual([9, 1, 1]);
    support.show(channel, one, 9);
    await later(landingMs + 1_000);
    expect(shownAt(one)).toBe(1);
    const { rowCount: edits } = await open.pool.query('SELECT FROM sync_conflicts WHERE listing_id = $1', [
      one.listingId,
    ]);
    expect(edits).toBe(0);
  });

  test('of a listing that sells no known item any more is closed at the end of its queue', async () => {
    const one = await standing();
    await open.pool.query('UPDATE listings SET item_id = NULL WHERE id = $1', [one.listingId]);
    channel.onQueued = () => ended();
    await later(hour);
    expect(await writeOf(one)).toMatchObject({ state: 'superseded', followed: false });
    expect(await support.readWrites(open.pool, one.listingId)).toMatchObject([{ settled: true }]);
  });

  test('is written again when its queue has ended without it, once it can no longer land', async () => {
    const one = await standing();
    channel.onQueued = () => ended();
    await later(hour);
    expect(await writeOf(one)).toMatchObject({ followed: false });
    await later(landingMs - 10_000);
    expect(sentTo(one)).toEqual([9]);
    channel.capabilities.stockQueue = null;
    await later(11_000);
    expect(sentTo(one)).toEqual([9, 9]);
    expect(channel.writes.at(-1)).not.toHaveProperty('mayQueue');
    expect(shownAt(one)).toBe(9);
  });

  test('that the report refuses is refused: told with the channel’s words, and not written again', async () => {
    const one = await standing();
    channel.onQueued = ({ address }) =>
      ended(
        address.unitId === one.unitId ? { refusal: 'other', code: '8541', message: 'no such value' } : null,
      );
    await support.letTimePass(open.pool, connection.id, hour);
    await follow();
    await push();
    expect(sentTo(one)).toEqual([9]);
    expect(await writeOf(one)).toEqual({ state: 'rejected', reference: null, followed: false });
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({
      last_error: '8541: no such value',
      quantity: 3,
    });
  });

  test('counts as worked off after a day', async () => {
    const one = await standing();
    await later(25 * hour);
    expect(await writeOf(one)).toMatchObject({ followed: false });
    await later(landingMs + 1_000);
    expect(sentTo(one)).toEqual([9, 9]);
  });

  test('is asked for by whoever looks for work', async () => {
    await standing();
    await support.letTimePass(open.pool, connection.id, 11_000);
    const woken: string[] = [];
    const wakeUps = new Proxy(
      {},
      {
        get: (_target, task) => (ids?: readonly string[]) =>
          woken.push(...(ids ?? []).map((id) => `${String(task)} ${id}`)),
      },
    ) as Parameters<typeof lookForWork>[0]['wakeUps'];
    await lookForWork({ db: open.pool, wakeUps });
    expect(woken).toContain(`read ${connection.id}`);
  });
});

describe('when its answer was lost', () => {
  test('it is asked for under the reference that the connector has made, and not repeated', async () => {
    channel.onWrite = (write) =>
      write.mayQueue === true ? { kind: 'unknown', reason: 'no answer', reference: 'lost' } : takenIn(write);
    const one = await standing();
    expect(await writeOf(one)).toEqual({ state: 'unknown', reference: 'lost', followed: true });
    for (let look = 0; look < 4; look += 1) await later(hour);
    expect(sentTo(one)).toEqual([9]);
    expect(new Set(channel.queueAsks.flat().map(({ reference }) => reference))).toEqual(new Set(['lost']));
  });

  test('with the process that waited for it, it is asked for without one, after the longest time that it could take', async () => {
    channel.onWrite = () => new Promise(() => undefined);
    const all = await many(6, raised);
    void push();
    await expect.poll(() => channel.writes.length).toBe(6);
    await later(support.callMaxMs);
    expect(channel.queueAsks).toEqual([]);
    await later(support.sendWithinMs + 1_000);
    expect(channel.queueAsks.flat().map(({ reference }) => reference)).toEqual(all.map(() => null));
    channel.onWrite = takenIn;
    channel.onQueued = () => ended();
    await later(hour);
    await later(landingMs + 1_000);
    for (const one of all) expect(sentTo(one)).toEqual([9, 9]);
  });
});

test('what went by itself after all lands like any other, and nobody asks for it', async () => {
  channel.onWrite = ({ address, quantity }) => {
    support.show(channel, address, quantity);
    return { kind: 'accepted', reference: 'submission' };
  };
  const one = await standing();
  expect(await writeOf(one)).toEqual({ state: 'accepted', reference: null, followed: false });
  await later(landingMs + 1_000);
  expect(await writeOf(one)).toMatchObject({ state: 'effective' });
  expect(channel.queueAsks).toEqual([]);
});
