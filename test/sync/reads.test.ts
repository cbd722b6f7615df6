/** Proves what readings of the channel do: they confirm writes, hold units back and prove outside edits, and never touch the ledger. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError, type StockReading } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection, takeShown } from '../../src/sync/reads.ts';
import type { ProvenEdit } from '../../src/sync/shadows.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readMovements } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;
let proven: ProvenEdit[];
let asked: number;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  connections = support.connectTo(open.pool, { shopify: channel });
  proven = [];
  asked = 0;
});

const intervalMs = 10_000;
const settleMs = (): number => support.sendWithinMs + channel.capabilities.settleMaxMs + support.callMaxMs;
const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, connection.id, ms);
const listed = (onHand: number, shows: number | null): Promise<support.Listed> =>
  support.insertListed(open.pool, { connection, channel }, onHand, shows);

async function onProven(_client: unknown, edit: ProvenEdit): Promise<readonly string[]> {
  proven.push(edit);
  return [];
}

const readings: NonNullable<Parameters<typeof support.readOptions>[2]>['readings'] = (opened) => {
  const options = support.readingOptions(open.pool, opened, {
    onUnexplained: async () => void (asked += 1),
  });
  return { ...options, context: { ...options.context, onProven } };
};
const push = (): Promise<void> =>
  pushConnection(support.pushOptions(open.pool, connections, { readings }), connection.id);
const read = (): Promise<number> =>
  readConnection(support.readOptions(open.pool, connections, { readings }), connection.id);
/** Every order up to now is known. */
const knowOrders = async (): Promise<unknown> =>
  open.pool.query('UPDATE connections SET orders_watermark = $2 WHERE id = $1', [
    connection.id,
    new Date(support.clock.now()),
  ]);
const states = async ({ listingId }: support.Listed): Promise<[number, string][]> =>
  (await support.readWrites(open.pool, listingId)).map(({ quantity, state }) => [quantity, state]);

type ShadowColumns = { hold: number; raises_stopped: boolean; shown_min: number; shown_max: number };

async function shadowOf({ listingId }: support.Listed): Promise<ShadowColumns> {
  const { rows } = await open.pool.query<ShadowColumns>(
    'SELECT hold, raises_stopped, shown_min, shown_max FROM shadows WHERE listing_id = $1',
    [listingId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('there is no shadow');
  return row;
}

/** A listing that showed 9, whose write of 5 the channel has accepted. */
async function accepted(): Promise<support.Listed> {
  channel.onWrite = () => ({ kind: 'accepted', reference: 'feed' });
  const one = await listed(5, 9);
  await push();
  return one;
}

describe('an accepted write counts only once a reading proves it or its settling time has passed: it', () => {
  test('is not looked at before the interval, and becomes effective by a reading once the orders are known', async () => {
    const one = await accepted();
    support.show(channel, one, 5);
    await read();
    expect(channel.readCalls).toEqual([]);
    await pass(intervalMs + 1);
    await read();
    // Four unseen sales would explain it as well.
    expect(await states(one)).toEqual([[5, 'accepted']]);
    await knowOrders();
    await pass(intervalMs + 1);
    await read();
    await knowOrders();
    await pass(intervalMs + 1);
    await read();
    expect(await states(one)).toEqual([[5, 'effective']]);
    expect(await support.readListing(open.pool, one.listingId)).toMatchObject({ quantity: 5 });
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('is left open by a reading of the old number within the settling time: it may still land', async () => {
    const one = await accepted();
    await knowOrders();
    await pass(intervalMs + 1);
    await read();
    expect(channel.readCalls).toHaveLength(1);
    expect(await states(one)).toEqual([[5, 'accepted']]);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
  });

  test('counts as in force after the settling time; a number above it is then proof of an outside edit, and nothing is raised', async () => {
    const one = await accepted();
    await pass(settleMs() + 1);
    await knowOrders();
    await read();
    expect(proven).toMatchObject([{ proof: { delta: 4 } }]);
    expect(await read()).toBe(0);
    expect(await support.readDirty(open.pool, one.listingId)).toMatchObject({ version: 1 });
  });
});

test('a reading that may be from before all that is known is repeated once it cannot be, not only at the next regular look', async () => {
  channel.capabilities.staleMaxMs = 20_000;
  const one = await listed(5, null);
  support.show(channel, one, 5);
  await push();
  await pass(5_000);
  await open.pool.query(`UPDATE shadows SET read_due_at = 'epoch' WHERE listing_id = $1`, [one.listingId]);
  await read();
  for (const ms of [19_000, 1_001, 60_000]) {
    await pass(ms);
    await read();
  }
  expect(channel.readCalls).toHaveLength(3);
});

describe('a reading below everything that is known', () => {
  test('is taken again at once where nothing is shown although something should be, and then at the usual pace', async () => {
    const one = await listed(5, 5);
    await push();
    support.show(channel, one, 0);
    await pass(1_800_001);
    for (let look = 0; look < 4; look += 1) await read();
    expect(channel.readCalls).toHaveLength(2);
    expect(await shadowOf(one)).toMatchObject({ hold: 5 });
  });

  test('is held back everywhere at once, has the orders asked for, and makes every listing of the item dirty', async () => {
    const one = await listed(5, 5);
    const other = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
    const elsewhere = await fixtures.insertListing(open.pool, other, { itemId: one.item.id });
    await push();
    support.show(channel, one, 3);
    await pass(1_800_001);
    expect(await read()).toBe(0);
    expect(await shadowOf(one)).toMatchObject({ hold: 2 });
    expect(asked).toBe(1);
    expect(await support.readDirty(open.pool, elsewhere)).toMatchObject({ version: 1 });
    expect(proven).toEqual([]);
  });

  test('is forgotten when the order that explains it becomes known, and the ledger moves by the order alone', async () => {
    const one = await listed(5, 5);
    await push();
    support.show(channel, one, 3);
    await pass(1_800_001);
    await read();
    const soldAt = new Date(support.clock.now());
    await open.pool.query(
      `INSERT INTO channel_sales (account_id, listing_id, order_id, units, sold_from, sold_until) VALUES ($1, $2, $3, 2, $4, $4)`,
      [connection.accountId, one.listingId, one.item.id, soldAt],
    );
    await pass(intervalMs + 1);
    await read();
    expect(await shadowOf(one)).toMatchObject({ hold: 0 });
    expect(await readMovements(open.pool, one.item.id)).toHaveLength(1);
  });

  test('is explained by units that were sold and given up again before we heard of the order, and so is the full number', async () => {
    const one = await listed(5, 5);
    await push();
    await pass(1_000);
    const createdAt = new Date(support.clock.now());
    await pass(1_000);
    const updatedAt = new Date(support.clock.now());
    const lines = [fixtures.orderLine({ address: one, ordered: 2, reserved: 0 })];
    const order = fixtures.order({ status: 'cancelled', createdAt, updatedAt, lines });
    channel.capabilities.restocksOnCancel = true;
    await applyOrder(open.pool, fixtures.source(connection, { observedAt: updatedAt }), order);
    for (const quantity of [3, 5]) {
      support.show(channel, one, quantity);
      await pass(1_800_001);
      await knowOrders();
      await read();
      expect(await shadowOf(one)).toMatchObject({ hold: 0, raises_stopped: false });
    }
    expect(proven).toEqual([]);
    expect(await readMovements(open.pool, one.item.id)).toHaveLength(1);
  });

  test('is proof of a cut only when the orders are known and a second reading says the same', async () => {
    const one = await listed(5, 5);
    await push();
    support.show(channel, one, 3);
    await pass(1_800_001);
    await read();
    await pass(intervalMs + 1);
    await read();
    expect(proven).toEqual([]);
    await knowOrders();
    await pass(intervalMs + 1);
    await read();
    expect(proven).toMatchObject([{ proof: { delta: -2 } }]);
    expect(await shadowOf(one)).toMatchObject({ hold: 0 });
  });
});

test('a reading above everything that can be is proof at once where the channel never restocks by itself', async () => {
  const one = await listed(5, 5);
  await push();
  support.show(channel, one, 8);
  await pass(1_800_001);
  await read();
  expect(proven).toMatchObject([{ proof: { delta: 3, range: { low: 5, high: 5 } } }]);
  expect(await readMovements(open.pool, one.item.id)).toHaveLength(1);
});

describe('S10: nothing changes', () => {
  test.each([
    ['T11 not tracked', { kind: 'notTracked' }],
    ['unknown', { kind: 'unknown', reason: 'an empty page' }],
  ] as const)('when the answer is %s', async (_what, answer: StockReading) => {
    const one = await listed(5, 5);
    await push();
    const before = await shadowOf(one);
    channel.onRead = () => answer;
    await pass(1_800_001);
    expect(await read()).toBe(0);
    expect(await shadowOf(one)).toEqual(before);
    expect(await support.readDirty(open.pool, one.listingId)).toBeNull();
    expect(channel.writes).toEqual([]);
  });

  test('when the call fails: the connection is told, and it is read again after the interval', async () => {
    await listed(5, 5);
    await push();
    channel.onRead = () => {
      throw new ChannelError('unavailable', 'out for lunch');
    };
    await pass(1_800_001);
    await read();
    await read();
    expect(channel.readCalls).toHaveLength(1);
    const { rows } = await open.pool.query('SELECT last_error FROM connections WHERE id = $1', [
      connection.id,
    ]);
    expect(rows).toEqual([{ last_error: 'unavailable: out for lunch' }]);
    await pass(intervalMs + 1);
    await read();
    expect(channel.readCalls).toHaveLength(2);
  });
});

test('T3 Echo: a channel’s word that our own write landed changes nothing, one unit fewer is held at once', async () => {
  const one = await listed(4, 9);
  await push();
  const told = async (quantity: number): Promise<void> => {
    const opened = await connections.open(connection.id);
    if (opened === null) throw new Error('the connection is closed');
    const at = new Date(support.clock.now());
    await takeShown(support.readOptions(open.pool, connections, { readings }), opened, {
      kind: 'stockChanged',
      address: one,
      quantity,
      at,
    });
  };
  await pass(1_000);
  await told(4);
  expect(await shadowOf(one)).toMatchObject({ hold: 0 });
  expect(asked).toBe(0);
  await told(3);
  expect(await shadowOf(one)).toMatchObject({ hold: 1 });
  expect(asked).toBe(1);
  expect(channel.writes).toHaveLength(1);
});

test('S2: an order that is first seen when it was cancelled explains both what was missing in between and that it came back', async () => {
  channel.capabilities.restocksOnCancel = true;
  const one = await listed(5, 5);
  await push();
  const placedAt = new Date(support.clock.now());
  support.show(channel, one, 3);
  await pass(1_800_001);
  await read();
  expect(await shadowOf(one)).toMatchObject({ hold: 2 });
  await pass(1_000);
  support.show(channel, one, 5);
  const cancelledAt = new Date(support.clock.now());
  const line = fixtures.orderLine({ address: one, reserved: 0, shipped: 0 });
  await applyOrder(
    open.pool,
    fixtures.source(connection, { observedAt: cancelledAt }),
    fixtures.order({
      status: 'cancelled',
      createdAt: placedAt,
      updatedAt: cancelledAt,
      lines: [{ ...line, ordered: 2 }],
    }),
  );
  await pass(intervalMs + 1);
  await knowOrders();
  await read();
  await pass(intervalMs + 1);
  await read();
  expect(proven).toEqual([]);
  expect(await shadowOf(one)).toMatchObject({ hold: 0 });
});
