/** Proves how an accepted or unanswered write ends: only a reading makes it effective, and none decides before the settling time. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError, type StockWriteResult } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { verifyConnection } from '../../src/sync/verify.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { createGate } from '../support/waiting.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;

const intervalMs = 10_000;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  channel.onWrite = () => ({ kind: 'accepted', reference: 'feed' });
  connections = support.connectTo(open.pool, { shopify: channel });
});

const push = (): Promise<void> => pushConnection(support.pushOptions(open.pool, connections), connection.id);
const verify = (): Promise<number> =>
  verifyConnection(support.verifyOptions(open.pool, connections, { intervalMs }), connection.id);
const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, connection.id, ms);

/** A listing that showed 9, whose write of 5 the channel has accepted. */
async function accepted(onHand = 5): Promise<support.Listed> {
  const one = await support.insertListed(open.pool, { connection, channel }, onHand, 9);
  await push();
  return one;
}

const states = async ({ listingId }: support.Listed): Promise<[number, string][]> =>
  (await support.readWrites(open.pool, listingId)).map(({ quantity, state }) => [quantity, state]);

describe('an accepted write', () => {
  test('is not looked at before the interval, and then becomes effective by a reading that shows it', async () => {
    const one = await accepted();
    support.show(channel, one, 5);
    expect(await verify()).toBe(0);
    expect(channel.readCalls).toEqual([]);
    expect(await states(one)).toEqual([[5, 'accepted']]);

    await pass(intervalMs + 1);
    expect(await verify()).toBe(0);
    expect(channel.readCalls).toHaveLength(1);
    expect(await states(one)).toEqual([[5, 'effective']]);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 5 });
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('is left open by any other reading within the settling time: it may still land', async () => {
    const one = await accepted();
    for (let look = 0; look < 3; look += 1) {
      await pass(intervalMs + 1);
      expect(await verify()).toBe(0);
    }
    expect(channel.readCalls).toHaveLength(3);
    expect(await states(one)).toEqual([[5, 'accepted']]);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: null });
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('that never landed is closed after the settling time; a number above the target is corrected at once', async () => {
    const one = await accepted();
    await pass(channel.capabilities.settleMaxMs + 1);
    expect(await verify()).toBe(1);
    expect(await states(one)).toEqual([[5, 'superseded']]);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 9 });
    expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({ reread: true, waitMs: 0 });
    channel.onWrite = (write) => support.takeEffect(channel, write);
    await push();
    expect(support.shownOn(channel, one)).toBe(5);
  });

  test('below which the channel shows less waits for the orders before it is raised: the difference may be a sale', async () => {
    const one = await accepted();
    support.show(channel, one, 3);
    await pass(channel.capabilities.settleMaxMs + 1);
    expect(await verify()).toBe(1);
    const dirty = await support.readDirty(open.pool, one.listingId);
    expect(dirty?.waitMs).toBeGreaterThan(channel.capabilities.pollIntervalMs - 5_000);
    await push();
    expect(channel.writes).toHaveLength(1);
  });

  test('is not read while the listing is dirty: the push that is due answers for it', async () => {
    const one = await accepted();
    await support.moveStock(open.pool, one.item, -1);
    await pass(intervalMs + 1);
    expect(await verify()).toBe(0);
    expect(channel.readCalls).toEqual([]);
  });

  test('that a newer one followed is not closed together with it: each has its own settling time', async () => {
    const one = await accepted();
    await support.moveStock(open.pool, one.item, -1);
    await pass(channel.capabilities.settleMaxMs + 1);
    await push();
    expect(await states(one)).toEqual([
      [5, 'accepted'],
      [4, 'accepted'],
    ]);
    // The older one is overdue, the newer one was sent just now.
    expect(await verify()).toBe(0);
    expect((await states(one)).at(-1)).toEqual([4, 'accepted']);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('does not end while an older one may still land over it', async () => {
    const one = await accepted();
    await support.moveStock(open.pool, one.item, -1);
    await push();
    support.show(channel, one, 4);
    await pass(intervalMs + 1);
    await verify();
    expect(await states(one)).toEqual([
      [5, 'accepted'],
      [4, 'effective'],
    ]);

    // The older one lands last.
    support.show(channel, one, 5);
    await pass(channel.capabilities.settleMaxMs + 1);
    expect(await verify()).toBe(1);
    channel.onWrite = (write) => support.takeEffect(channel, write);
    await push();
    expect(support.shownOn(channel, one)).toBe(4);
  });
});

describe('an unanswered write', () => {
  test('that was sent again has the whole settling time from then on', async () => {
    channel.onWrite = (): StockWriteResult => ({ kind: 'unknown', reason: 'no answer in time' });
    const one = await accepted();
    await pass(channel.capabilities.settleMaxMs + 1);
    channel.onWrite = () => ({ kind: 'accepted', reference: 'feed' });
    await push();
    expect(channel.writes).toHaveLength(2);
    await pass(intervalMs + 1);
    expect(await verify()).toBe(0);
    expect(await states(one)).toEqual([[5, 'accepted']]);
  });

  test('of a worker that died is settled as well', async () => {
    const one = await accepted();
    await open.pool.query(`UPDATE listing_writes SET state = 'sent'`);
    support.show(channel, one, 5);
    await pass(intervalMs + 1);
    await verify();
    expect(await states(one)).toEqual([[5, 'effective']]);
  });
});

describe('a reading decides nothing', () => {
  test.each([
    ['not tracked', { kind: 'notTracked' }],
    ['unknown', { kind: 'unknown', reason: 'no row' }],
  ] as const)('when it is “%s”, however overdue the write is', async (_word, reading) => {
    const one = await accepted();
    channel.onRead = () => reading;
    await pass(channel.capabilities.settleMaxMs + 1);
    expect(await verify()).toBe(0);
    expect(await states(one)).toEqual([[5, 'accepted']]);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('when it fails: the connection is told, and it is read again after the interval', async () => {
    const one = await accepted();
    channel.onRead = () => {
      throw new ChannelError('unavailable', 'maintenance');
    };
    await pass(channel.capabilities.settleMaxMs + 1);
    expect(await verify()).toBe(0);
    expect(await verify()).toBe(0);
    expect(channel.readCalls).toHaveLength(1);
    expect(await states(one)).toEqual([[5, 'accepted']]);
    const { rows } = await open.pool.query('SELECT last_error FROM connections WHERE id = $1', [
      connection.id,
    ]);
    expect(rows).toEqual([{ last_error: 'unavailable: maintenance' }]);
  });

  test('about the ledger, whatever it shows', async () => {
    const one = await accepted();
    support.show(channel, one, 0);
    await pass(channel.capabilities.settleMaxMs + 1);
    await verify();
    const { rows } = await open.pool.query('SELECT quantity, seq::int FROM inventory_items WHERE id = $1', [
      one.item.id,
    ]);
    expect(rows).toEqual([{ quantity: 5, seq: 1 }]);
  });
});

test('a reading that a newer write has overtaken decides nothing', async () => {
  const one = await accepted();
  await pass(channel.capabilities.settleMaxMs + 1);
  const asked = createGate();
  const gate = createGate();
  channel.onRead = async () => {
    channel.onRead = () => ({ kind: 'quantity', quantity: 9 });
    asked.open();
    await gate.opened;
    return { kind: 'quantity', quantity: 9 };
  };
  const looking = verify();
  await asked.opened;
  await support.moveStock(open.pool, one.item, -1);
  channel.onWrite = (write) => support.takeEffect(channel, write);
  await push();
  gate.open();
  expect(await looking).toBe(0);
  expect((await states(one)).at(-1)).toEqual([4, 'effective']);
  expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 4 });
  expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
});

test('the target that a reading is compared with honours the listing’s rule', async () => {
  const one = await support.insertListed(open.pool, { connection, channel }, 20, 9);
  await open.pool.query(`UPDATE listings SET rule = '{"buffer": 2, "quantityMax": 7}' WHERE id = $1`, [
    one.listingId,
  ]);
  await push();
  support.show(channel, one, 7);
  await pass(intervalMs + 1);
  await verify();
  expect(await states(one)).toEqual([[7, 'effective']]);
});

test('other connections and other listings are left alone', async () => {
  const one = await accepted();
  const other = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
  await pass(channel.capabilities.settleMaxMs + 1);
  const elsewhere = support.connectTo(open.pool, { etsy: support.createChannel('etsy') });
  expect(await verifyConnection(support.verifyOptions(open.pool, elsewhere), other.id)).toBe(0);
  expect(await states(one)).toEqual([[5, 'accepted']]);
});
