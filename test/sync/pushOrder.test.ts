/** Proves in which order a push sends: to zero, lower, raise, each by what is oversold fastest, with every rule and every wait counted in. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockWriteResult } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { provenEdit, storeEdit } from '../support/provenEdits.ts';

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

/** One listing after the other: a batch is never less than fits one call. */
function pushOneByOne(): Promise<void> {
  channel.capabilities.writesPerCall = 1;
  return push({ batchMax: 1 });
}

const quantities = (): number[] => channel.writes.map(({ quantity }) => quantity);
const shows = (listing: support.Listed): number | null => support.shownOn(channel, listing);

describe('the order of sending', () => {
  test('within one batch every lowering is answered before the first raise is sent', async () => {
    const raised = await listed(9, 1);
    const lowered = await listed(1, 9);
    const emptied = await listed(0, 4);
    await push();
    expect(
      channel.writeCalls.map((call) => call.map(({ quantity }) => quantity).toSorted((a, b) => a - b)),
    ).toEqual([[0, 1], [9]]);
    expect([raised, lowered, emptied].map(shows)).toEqual([9, 1, 0]);
  });

  test('over batches, what must go to zero is taken first, then what must be lowered, then what may be raised', async () => {
    await listed(9, 1);
    await listed(1, 9);
    await listed(0, 4);
    await pushOneByOne();
    expect(quantities()).toEqual([0, 1, 9]);
  });

  test('a buffer counts: what it brings to zero goes first', async () => {
    await listed(8, 9);
    const buffered = await listed(2, 9);
    await open.pool.query(`UPDATE listings SET rule = '{"buffer": 3}' WHERE id = $1`, [buffered.listingId]);
    await pushOneByOne();
    expect(quantities()).toEqual([0, 8]);
  });
});

/** What its listings sell in an hour, as it was measured. */
async function sells({ listingId }: support.Listed, perHour: number): Promise<void> {
  const demand = { units: 1_000, shownMs: (1_000 * 3_600_000) / perHour, at: support.clock.now() };
  await open.pool.query(
    `UPDATE shadows SET sold_per_hour = $2, state = jsonb_set(state, '{demand}', $3) WHERE listing_id = $1`,
    [listingId, perHour, JSON.stringify(demand)],
  );
}

async function threeListings(onHand: number): Promise<readonly support.Listed[]> {
  const slow = await listed(onHand, 9);
  await sells(slow, 1);
  const little = await listed(onHand, onHand + 1);
  await sells(little, 4);
  const fast = await listed(onHand, 9);
  await sells(fast, 4);
  return [fast, slow, little];
}

describe('within a class, what is oversold fastest goes first and not what waits longest', () => {
  test.each([
    ['in one batch', 50],
    ['over batches', 1],
  ])('%s', async (_where, batchMax) => {
    channel.capabilities.writesPerCall = 1;
    const lowered = await threeListings(1);
    const zeroed = await threeListings(0);
    await push({ batchMax });
    expect(channel.writes.map(({ address }) => address.unitId)).toEqual(
      [...zeroed, ...lowered].map(({ unitId }) => unitId),
    );
  });

  test('what nobody has ever read comes after what is known to show too much', async () => {
    const unread = await listed(0, null);
    const known = await listed(0, 9);
    await sells(known, 1);
    support.show(channel, unread, 9);
    await pushOneByOne();
    expect(channel.writes.map(({ address }) => address.unitId)).toEqual([known.unitId, unread.unitId]);
  });
});

/** Answers the next write so, and every later one as the channel does. */
function refuseOnce(result: StockWriteResult): void {
  channel.onWrite = () => {
    channel.onWrite = (write) => support.takeEffect(channel, write);
    return result;
  };
}

describe('the turn of a call', () => {
  test('is that of a lowering or of a raise, and ends when the decision is too old', async () => {
    await listed(9, 1);
    await listed(1, 9);
    const before = support.clock.now();
    await push();
    expect(channel.turns.map((turn) => turn?.urgency)).toEqual(['lower', 'raise']);
    for (const turn of channel.turns) {
      expect(turn?.leaveBy).toBeGreaterThanOrEqual(before + support.sendWithinMs);
      expect(turn?.leaveBy).toBeLessThanOrEqual(support.clock.now() + support.sendWithinMs);
    }
  });

  test('that came too late for the rate budget is decided again as soon as there is budget, without growing pauses', async () => {
    const { listingId } = await listed(5, 9);
    await open.pool.query('UPDATE dirty_listings SET attempts = 9 WHERE listing_id = $1', [listingId]);
    refuseOnce({
      kind: 'deferred',
      reason: 'the rate budget is spent',
      retryAfterMs: 300,
      error: 'rate_limited',
    });
    await push();
    expect((await support.readDirty(open.pool, listingId))?.waitMs).toBeLessThanOrEqual(300);
    await support.letTimePass(open.pool, connection.id, 300);
    await push();
    expect(quantities()).toEqual([5, 5]);
    expect(await support.readListing(open.pool, listingId)).toMatchObject({ quantity: 5, last_error: null });
  });
});

describe('every rule counts for the order', () => {
  test.each([
    ['accounts', { buffer: 5 }],
    ['connections', { buffer: 5 }],
    ['accounts', { cutOff: 6 }],
    ['connections', { share: 0.1 }],
    ['listings', { fixed: 0 }],
    ['connections', { quantityMax: 0 }],
    ['accounts', { paused: true }],
    ['connections', { automaticBuffer: 0.01 }],
  ] as const)('what %s with %o bring to zero goes first', async (table, rule) => {
    const lowered = await listed(8, 90);
    const zeroed = await listed(5, 9);
    const other = await fixtures.insertConnection(open.pool, connection.accountId, 'etsy');
    const elsewhere = await fixtures.insertListing(open.pool, other, { itemId: zeroed.item.id });
    await support.insertShadow(open.pool, channel, elsewhere, 5);
    await sells({ ...zeroed, listingId: elsewhere }, 6_000);
    const own = { buffer: 0, cutOff: 0, fixed: 8, quantityMax: 8, paused: false };
    await open.pool.query('UPDATE listings SET rule = $2 WHERE id = $1', [lowered.listingId, own]);
    const id = { accounts: connection.accountId, connections: connection.id, listings: zeroed.listingId };
    await open.pool.query(`UPDATE ${table} SET rule = $2 WHERE id = $1`, [id[table], rule]);
    await pushOneByOne();
    expect(quantities()).toEqual([0, 8]);
  });

  test('what a proven cut withholds too', async () => {
    await listed(8, 90);
    const cut = await listed(5, 9);
    const { listingId, item } = cut;
    const edited = { accountId: connection.accountId, itemId: item.id, listingId };
    await storeEdit(open.pool, edited, provenEdit(listingId, -15));
    await pushOneByOne();
    expect(quantities()).toEqual([0, 8]);
  });
});
