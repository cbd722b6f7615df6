/** Proves what happens when writes of one listing or one unit overlap: lowering never waits, a raise does, and the late answer of an older write is no proof. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ListingAddress, StockWrite, StockWriteResult } from '../../src/connectors/connector.ts';
import { inTransaction } from '../../src/db.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { claimDirty, settleClaims } from '../../src/sync/pushSql.ts';
import { readConnection } from '../../src/sync/reads.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { provenEdit, storeEdit } from '../support/provenEdits.ts';
import { createGate, type Gate, waitFor, within } from '../support/waiting.ts';

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

const listed = (
  onHand: number,
  shows: number | null,
  address: Partial<ListingAddress> = {},
): Promise<support.Listed> =>
  support.insertListed(open.pool, { connection, channel }, onHand, shows, address);
const push = (): Promise<void> =>
  within(
    pushConnection(support.pushOptions(open.pool, connections), connection.id),
    10_000,
    'the push to end',
  );
const quantities = (): number[] => channel.writes.map(({ quantity }) => quantity);
const shows = (listing: support.Listed): number | null => support.shownOn(channel, listing);

type Hanging = { readonly running: Promise<void>; answer(result?: StockWriteResult): Promise<void> };

/** A run whose first write hangs until the test answers it; it lands at that moment unless the answer says something else. */
async function hang(): Promise<Hanging> {
  const sent = createGate<StockWrite>();
  const gate: Gate<StockWriteResult | undefined> = createGate();
  const quick = channel.onWrite;
  channel.onWrite = async (write) => {
    channel.onWrite = quick;
    sent.open(write);
    return (await gate.opened) ?? support.takeEffect(channel, write);
  };
  const running = push();
  await within(sent.opened, 5_000, 'the write to be sent');
  return {
    running,
    answer(result) {
      gate.open(result);
      return running;
    },
  };
}

/** Everything that is still to happen when nothing changes any more. */
async function quiet(): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    await support.letTimePass(open.pool, connection.id, 400_000);
    await push();
    await readConnection(support.readOptions(open.pool, connections), connection.id);
  }
}

describe('stock that falls while a write hangs', () => {
  test('is written at once by a second run', async () => {
    const one = await listed(5, 9);
    const slow = await hang();
    await support.moveStock(open.pool, one.item, -3);
    await push();
    expect(quantities()).toEqual([5, 2]);
    expect(shows(one)).toBe(2);
    await slow.answer();
  });

  test('is written at once also when a buffer is withheld', async () => {
    const one = await listed(10, 12);
    await open.pool.query(`UPDATE listings SET rule = '{"buffer": 4}' WHERE id = $1`, [one.listingId]);
    const slow = await hang();
    await support.moveStock(open.pool, one.item, -3);
    await push();
    expect(quantities()).toEqual([6, 3]);
    await slow.answer();
  });

  test('is not written twice when a maximum hides the fall', async () => {
    const one = await listed(100, 12);
    await open.pool.query(`UPDATE listings SET rule = '{"quantityMax": 10}' WHERE id = $1`, [one.listingId]);
    const slow = await hang();
    await support.moveStock(open.pool, one.item, -3);
    await push();
    expect(quantities()).toEqual([10]);
    await slow.answer();
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('ends on the newest number although the older write is answered, and lands, last', async () => {
    const one = await listed(5, 9);
    const slow = await hang();
    await support.moveStock(open.pool, one.item, -3);
    await push();
    expect(shows(one)).toBe(2);
    await slow.answer();
    // The late answer says that the older number may have landed last: the newer one is written again.
    expect(quantities()).toEqual([5, 2, 2]);
    expect(shows(one)).toBe(2);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 2, target: 2 });
    await quiet();
    expect(quantities()).toHaveLength(3);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('ends on the newest number although the older write is answered while the newer one hangs', async () => {
    const one = await listed(5, 9);
    const older = await hang();
    await support.moveStock(open.pool, one.item, -3);
    const newer = await hang();
    await older.answer();
    await newer.answer();
    await quiet();
    expect(shows(one)).toBe(2);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 2 });
  });

  test('ends on the newest number although the newer write is answered first and the older one is only accepted', async () => {
    const one = await listed(5, 9);
    const older = await hang();
    await support.moveStock(open.pool, one.item, -3);
    await push();
    await older.answer({ kind: 'accepted', reference: 'feed' });
    support.show(channel, one, 5);
    await quiet();
    expect(shows(one)).toBe(2);
  });

  test('is not overwritten by a run that had read the stock before', async () => {
    const one = await listed(5, 9);
    await open.pool.query('UPDATE listings SET target = 9 WHERE id = $1', [one.listingId]);
    await support.markDirty(open.pool, one.listingId, true);
    const gate = createGate();
    const reading = createGate();
    const quick = channel.onRead;
    channel.onRead = async (address) => {
      channel.onRead = quick;
      reading.open();
      await gate.opened;
      return { kind: 'quantity', quantity: shows(address as support.Listed) ?? 0 };
    };
    const slow = push();
    await reading.opened;
    await support.moveStock(open.pool, one.item, -3);
    await push();
    expect(quantities()).toEqual([2]);
    gate.open();
    await slow;
    expect(quantities()).toEqual([2]);
    expect(shows(one)).toBe(2);
  });
});

describe('a number that falls for another reason than stock, while a write hangs', () => {
  test.each([
    ['a pause', 'listings', { paused: true }, 0],
    ['a pause of the account', 'accounts', { paused: true }, 0],
    ['a buffer of the account', 'accounts', { buffer: 2 }, 3],
    ['a cut-off of the connection', 'connections', { cutOff: 6 }, 0],
    ['a share', 'connections', { share: 0.5 }, 2],
    ['a fixed number', 'listings', { fixed: 1 }, 1],
    ['a maximum of the connection', 'connections', { quantityMax: 4 }, 4],
  ] as const)('is written at once: %s', async (_why, table, rule, lower) => {
    const one = await listed(5, 9);
    const slow = await hang();
    const id = { accounts: connection.accountId, connections: connection.id, listings: one.listingId };
    await open.pool.query(`UPDATE ${table} SET rule = $2 WHERE id = $1`, [id[table], rule]);
    await support.markDirty(open.pool, one.listingId);
    await push();
    expect(quantities()).toEqual([5, lower]);
    expect(shows(one)).toBe(lower);
    await slow.answer();
  });

  test('is written at once: a proven cut on another channel', async () => {
    const one = await listed(5, 9);
    const slow = await hang();
    const other = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
    const listingId = await fixtures.insertListing(open.pool, other, { itemId: one.item.id });
    const edited = { accountId: connection.accountId, itemId: one.item.id, listingId };
    await storeEdit(open.pool, edited, provenEdit(listingId, -15));
    await push();
    expect(quantities()).toEqual([5, 0]);
    await slow.answer();
  });
});

describe('stock that rises while a write hangs', () => {
  test('waits for the answer and is then written by the same run', async () => {
    const one = await listed(5, 9);
    const slow = await hang();
    await support.moveStock(open.pool, one.item, 4);
    await push();
    expect(quantities()).toEqual([5]);
    expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({ version: 2, leased: true });
    await slow.answer();
    expect(quantities()).toEqual([5, 9]);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('does not forget that a sale meanwhile asked for a new reading', async () => {
    const one = await listed(5, 9);
    const slow = await hang();
    await support.markDirty(open.pool, one.listingId, true);
    await slow.answer();
    expect(channel.readCalls).toHaveLength(1);
  });

  test('does not read it again for a reason that asks for no reading', async () => {
    const one = await listed(5, 9);
    await support.markDirty(open.pool, one.listingId, true);
    const slow = await hang();
    expect(channel.readCalls).toHaveLength(1);
    await support.markDirty(open.pool, one.listingId);
    await slow.answer();
    expect(channel.readCalls).toHaveLength(1);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });
});

describe('a raise that waits behind a slow lowering', () => {
  test('leaves as it was decided while that is true', async () => {
    channel.capabilities.compareAndSet = true;
    await listed(5, 9);
    await listed(9, 2);
    const slow = await hang();
    await support.letTimePass(open.pool, connection.id, support.sendWithinMs - 1_000);
    await slow.answer();
    expect(quantities()).toEqual([5, 9]);
  });

  test('is decided again when that was long ago', async () => {
    channel.capabilities.compareAndSet = true;
    await listed(5, 9);
    const raised = await listed(9, 2);
    const slow = await hang();
    await support.letTimePass(open.pool, connection.id, support.sendWithinMs + 1);
    await support.moveStock(open.pool, raised.item, -3);
    await slow.answer();
    expect(quantities()).toEqual([5, 6]);
    expect(shows(raised)).toBe(6);
    expect(await support.readDirty(open.pool, raised.listingId)).toBeNull();
    expect(await support.readListing(open.pool, raised.listingId)).toMatchObject({ last_error: null });
    expect((await support.readWrites(open.pool, raised.listingId)).map(({ state }) => state)).toEqual([
      'superseded',
      'effective',
    ]);
  });
});

describe('a reason that comes at the very moment of the answer', () => {
  test('keeps the listing dirty and gives the lease back', async () => {
    const one = await listed(5, 9);
    const owner = randomUUID();
    const claims = await claimDirty(open.pool, {
      connectionId: connection.id,
      owner,
      limit: 10,
      leaseMs: 60_000,
    });
    expect(claims).toMatchObject([{ listingId: one.listingId, version: '1' }]);
    const settling = await inTransaction(open.pool, async (client) => {
      await client.query('UPDATE dirty_listings SET version = version + 1 WHERE listing_id = $1', [
        one.listingId,
      ]);
      const started = settleClaims(open.pool, owner, [
        { listingId: one.listingId, version: '1', done: true, retryInMs: 0, reread: false },
      ]);
      await fixtures.waitForBlocked(open.pool, 1);
      return { started };
    });
    await settling.started;
    expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({
      version: 2,
      leased: false,
      waitMs: 0,
    });
  });
});

async function crash(one: support.Listed): Promise<void> {
  channel.onWrite = (write) => {
    channel.onWrite = (later) => support.takeEffect(channel, later);
    support.takeEffect(channel, write);
    throw new Error('the process is killed');
  };
  await expect(push()).rejects.toThrow('killed');
  expect(await support.readWrites(open.pool, one.listingId)).toMatchObject([{ state: 'sent' }]);
  expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({ leased: true });
}

describe('a worker that dies', () => {
  test('between sending and the answer keeps its lease, and is then followed by one that sends the same write again', async () => {
    const one = await listed(5, 9);
    await crash(one);
    await push();
    expect(channel.writes).toHaveLength(1);
    await support.letTimePass(open.pool, connection.id, 60_001);
    await push();
    expect(channel.writes).toHaveLength(2);
    expect(channel.writes[1]?.key).toBe(channel.writes[0]?.key);
    expect(await support.readWrites(open.pool, one.listingId)).toMatchObject([{ state: 'effective' }]);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('before it has read what it was asked to read leaves that to the next one', async () => {
    const one = await listed(5, 9);
    await support.markDirty(open.pool, one.listingId, true);
    expect(await claim()).toMatchObject([{ reread: true }]);
    expect(await claim()).toEqual([]);
    await support.letTimePass(open.pool, connection.id, 60_001);
    expect(await claim()).toMatchObject([{ reread: true }]);
  });

  test('does not keep a lower number waiting for its lease', async () => {
    const one = await listed(5, 9);
    await crash(one);
    await support.moveStock(open.pool, one.item, -5);
    await push();
    expect(quantities()).toEqual([5, 0]);
  });
});

const claim = async () =>
  claimDirty(open.pool, { connectionId: connection.id, owner: randomUUID(), limit: 2, leaseMs: 60_000 });

describe('variants that one write replaces together', () => {
  test('are never under way in two runs, and both end on their numbers', async () => {
    const unitId = fixtures.unique('etsy');
    const red = await listed(5, 9, { unitId, variantId: 'red' });
    const slow = await hang();
    const blue = await listed(0, 9, { unitId, variantId: 'blue' });
    const other = await listed(1, 9);
    await push();
    expect(channel.writes.map(({ address }) => address.unitId)).toEqual([unitId, other.unitId]);
    await slow.answer();
    expect([red, blue, other].map(shows)).toEqual([5, 0, 1]);
    expect(await support.readDirty(open.pool, blue.listingId)).toBeNull();
  });

  test('go out together when they are dirty together, lowered ones first', async () => {
    const unitId = fixtures.unique('etsy');
    await listed(5, 9, { unitId, variantId: 'red' });
    await listed(2, 9, { unitId, variantId: 'blue' });
    await listed(9, 2, { unitId, variantId: 'green' });
    await push();
    expect(channel.writeCalls.map((call) => call.map(({ address }) => address.variantId).toSorted())).toEqual(
      [['blue', 'red'], ['green']],
    );
  });

  test('of two listings claimed at the same moment go to one run', async () => {
    const unitId = fixtures.unique('etsy');
    await Promise.all(['a', 'b', 'c', 'd'].map(async (variantId) => listed(5, 9, { unitId, variantId })));
    const claims = await Promise.all([claim(), claim(), claim(), claim()]);
    expect(claims.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 2]);
  });
});

test('a write that was slow and one that was never answered are both settled in the end', async () => {
  const one = await listed(5, 9);
  const slow = await hang();
  await support.moveStock(open.pool, one.item, -1);
  await push();
  await slow.answer({ kind: 'unknown', reason: 'no answer in time' });
  await quiet();
  await waitFor(async () =>
    (await support.readWrites(open.pool, one.listingId)).every(({ settled }) => settled),
  );
  expect(shows(one)).toBe(4);
});
