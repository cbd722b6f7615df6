/** Proves that a write without an answer keeps every number possible, and that a run ends whatever the channel answers. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockWriteResult } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import { settleClaims } from '../../src/sync/pushSql.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { createGate, type Gate } from '../support/waiting.ts';

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

describe('an answer that never came', () => {
  test('leaves both numbers possible, and the retry of the same number keeps its key', async () => {
    const { listingId } = await listed(5, 9);
    answerOnce({ kind: 'unknown', reason: 'no answer in time' });
    await push();
    expect(await support.readListing(open.pool, listingId)).toMatchObject({
      quantity: null,
      last_error: 'no answer in time',
    });
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { state: 'unknown', settled: false },
    ]);
    expect(await support.readDirty(open.pool, listingId)).toMatchObject({
      attempts: 1,
      leased: false,
    });

    await support.letTimePass(open.pool, connection.id, 60_000);
    await push();
    expect(channel.writes).toHaveLength(2);
    expect(channel.writes[1]).toEqual(channel.writes[0]);
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([{ state: 'effective' }]);
  });

  test('takes a new key when the stock has changed meanwhile, even back to the same number', async () => {
    const { item } = await listed(5, 9);
    answerOnce({ kind: 'unknown', reason: 'no answer in time' });
    await push();
    await support.moveStock(open.pool, item, -1);
    await support.moveStock(open.pool, item, 1);
    await push();
    expect(quantities()).toEqual([5, 5]);
    expect(channel.writes[1]?.key).not.toBe(channel.writes[0]?.key);
  });

  test('to a raise is waited for and then read: nothing more is sent when it turns out to have worked', async () => {
    const one = await listed(9, 5);
    answerOnce({ kind: 'unknown', reason: 'no answer in time' });
    await push();
    support.show(channel, one, 9);
    await support.letTimePass(open.pool, connection.id, 60_000);
    await push();
    expect(channel.writes).toHaveLength(1);
    await support.letTimePass(open.pool, connection.id, 400_000);
    await push();
    expect(channel.writes).toHaveLength(1);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({
      quantity: 9,
      last_error: null,
    });
  });

  test('stays possible although the retry is deferred: that only says that the retry did nothing', async () => {
    const { listingId } = await listed(5, 9);
    answerOnce({ kind: 'unknown', reason: 'no answer in time' });
    await push();
    await support.letTimePass(open.pool, connection.id, 60_000);
    answerOnce({ kind: 'deferred', reason: 'quota', retryAfterMs: 1_000 });
    await push();
    expect(await support.readWrites(open.pool, listingId)).toMatchObject([
      { state: 'unknown', settled: false },
    ]);
    await support.letTimePass(open.pool, connection.id, 60_000);
    await push();
    expect(new Set(channel.writes.map(({ key }) => key)).size).toBe(1);
  });
});

describe('the run ends', () => {
  test.each([
    ['shows less than it was told', { kind: 'effective', quantity: 3 }],
    ['finds every comparison stale', { kind: 'stale', actual: null }],
    ['finds every comparison stale and says what it shows', { kind: 'stale', actual: 8 }],
    ['never answers', { kind: 'unknown', reason: 'silence' }],
    ['always defers', { kind: 'deferred', reason: 'quota', retryAfterMs: 0 }],
    ['rejects everything', { kind: 'rejected', code: 'NO', message: 'no', raw: null }],
    ['accepts everything', { kind: 'accepted', reference: null }],
  ] as const)('although the channel %s', async (_what, result) => {
    const { listingId } = await listed(5, 9);
    channel.onWrite = (): StockWriteResult => {
      if (channel.writes.length > 20) throw new Error('the run does not end');
      return result;
    };
    await push();
    expect(channel.writes.length).toBeLessThan(6);
    const dirty = await support.readDirty(open.pool, listingId);
    expect(dirty === null || dirty.waitMs > 500).toBe(true);
  });

  test('when the connection does not exist', async () => {
    await pushConnection(support.pushOptions(open.pool, connections), '00000000-0000-7000-8000-000000000000');
    expect(channel.contexts).toEqual([]);
  });
});

test('a write that changed nothing is decided again, also when another worker found its listing in step because of it', async () => {
  for (const refusal of [
    { kind: 'deferred', reason: 'busy', retryAfterMs: 0 },
    { kind: 'stale', actual: 9 },
  ] as const) {
    const one = await listed(5, 9);
    const sent = createGate();
    const gate: Gate<StockWriteResult> = createGate();
    channel.onWrite = async () => {
      channel.onWrite = (write) => support.takeEffect(channel, write);
      sent.open();
      return gate.opened;
    };
    const running = push();
    await sent.opened;
    const owner = randomUUID();
    await open.pool.query('UPDATE dirty_listings SET version = version + 1, lease_owner = $1', [owner]);
    await settleClaims(open.pool, owner, [
      { listingId: one.listingId, version: '2', done: true, retryInMs: 0, reread: false },
    ]);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
    gate.open(refusal);
    await running;
    await push();
    expect(support.shownOn(channel, one)).toBe(5);
  }
});
