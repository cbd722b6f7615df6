/** Proves that prices which somebody changes on a channel are found, in turn, without a burst of calls, and never taken for ours or over ours. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ChannelError, type Money } from '../../src/connectors/connector.ts';
import { lookAtPrices, type PriceLookOptions } from '../../src/sync/priceLooks.ts';
import { lookForWork } from '../../src/sync/supervisor.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { openPricedShop, type PricedShop } from '../support/pricedShop.ts';
import { noWakeUps } from '../support/wakeUps.ts';

const hour = 3_600_000;
const paceMs = 60_000;

let open: fixtures.TestPool;
let shop: PricedShop;
let events: number;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPricedShop(open.pool);
  events = 0;
});

const look = (more: Partial<PriceLookOptions> = {}): Promise<void> =>
  lookAtPrices(
    {
      db: open.pool,
      clock: support.clock,
      connections: support.connectTo(open.pool, { shopify: shop.channel }),
      batchMax: 2,
      intervalMs: 6 * hour,
      paceMs,
      callMaxMs: support.callMaxMs,
      onEvents: () => (events += 1),
      ...more,
    },
    shop.connection.id,
  );

/** As if so much time had passed since everything was looked at. */
const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, shop.connection.id, ms);

const readAt = (): string[][] => shop.channel.priceReads.map((call) => call.map(({ unitId }) => unitId));

async function isDue(): Promise<boolean> {
  const woken: string[] = [];
  const wakeUps = { ...noWakeUps, prices: (ids: readonly string[]) => void woken.push(...ids) };
  await lookForWork({ db: open.pool, wakeUps });
  return woken.includes(shop.connection.id);
}

/** The connection's turn has come again. */
const askable = (): Promise<unknown> =>
  open.pool.query(`UPDATE connections SET next_price_look_at = now() - interval '1 s' WHERE id = $1`, [
    shop.connection.id,
  ]);

async function lastError(): Promise<string | null | undefined> {
  const { rows } = await open.pool.query<{ error: string | null }>(
    'SELECT last_error AS error FROM connections WHERE id = $1',
    [shop.connection.id],
  );
  return rows[0]?.error;
}

async function edited(price: Money): Promise<support.Listed> {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_000));
  support.priced(shop.channel, one, price);
  return one;
}

test('a price that somebody changes on a channel is a conflict once the interval is over, and not before', async () => {
  const one = await edited(fixtures.euros(1_250));
  await look();
  await pass(5 * hour);
  await look();
  expect(shop.channel.priceReads).toEqual([]);
  await pass(hour);
  expect(await isDue()).toBe(true);
  await look();
  expect(readAt()).toEqual([[one.unitId]]);
  expect(shop.channel.priceReadTurns).toEqual([{ urgency: 'import' }]);
  expect(await shop.openConflicts(one)).toMatchObject([{ type: 'price_mismatch', delta: 250 }]);
  expect(await shop.stateOf(one)).toMatchObject({ shown: 1_250, state: null });
  expect(events).toBe(1);
});

test('a conflict ends with a look that shows the price as it should be', async () => {
  const one = await edited(fixtures.euros(1_250));
  await pass(6 * hour);
  await look();
  support.priced(shop.channel, one, fixtures.euros(1_000));
  await pass(6 * hour);
  await look();
  expect(await shop.openConflicts(one)).toEqual([]);
});

test('those not looked at for longest come first, a batch at a time, and at most one batch in a while, however many look', async () => {
  const listed = [];
  for (let made = 0; made < 5; made++) listed.push(await shop.listed());
  const units = listed.map(({ unitId }) => unitId);
  await pass(6 * hour);
  for (const [index, { listingId }] of listed.entries()) {
    await open.pool.query(
      `UPDATE listings SET price_looked_at = price_looked_at - $2 * interval '1 s' WHERE id = $1`,
      [listingId, 10 - index],
    );
  }
  await Promise.all([look(), look(), look()]);
  expect(readAt()).toEqual([units.slice(0, 2)]);
  expect(await isDue()).toBe(false);
  for (let turn = 0; turn < 4; turn++) {
    await pass(paceMs);
    await look();
  }
  expect(readAt()).toEqual([units.slice(0, 2), units.slice(2, 4), units.slice(4)]);
});

test('a listing that is not due yet goes along with one that is, once half its interval is over', async () => {
  const [due, early, late] = [await shop.listed(), await shop.listed(), await shop.listed()];
  await pass(6 * hour);
  for (const [{ listingId }, hours] of [
    [early, 2],
    [late, 4],
  ] as const)
    await open.pool.query(
      `UPDATE listings SET price_looked_at = price_looked_at + $2 * interval '1 h' WHERE id = $1`,
      [listingId, hours],
    );
  await look({ batchMax: 10 });
  expect(readAt()).toEqual([[due.unitId, early.unitId]]);
  await pass(paceMs);
  await look({ batchMax: 10 });
  expect(readAt()).toHaveLength(1);
});

test('a channel that fails is reported, and asked again within a twelfth of the interval', async () => {
  const one = await edited(fixtures.euros(1_250));
  const answer = shop.channel.onPriceRead;
  shop.channel.onPriceRead = () => {
    throw new ChannelError('unavailable', 'down for maintenance');
  };
  await pass(6 * hour);
  await look();
  expect(await lastError()).toContain('down for maintenance');
  expect(await shop.openConflicts(one)).toEqual([]);
  shop.channel.onPriceRead = answer;
  await pass(hour / 2);
  await look();
  expect(await shop.openConflicts(one)).toHaveLength(1);
  expect(await lastError()).toBeNull();
});

test('a budget that others have spent is no fault of the channel', async () => {
  await shop.listed();
  shop.channel.onPriceRead = () => {
    throw new ChannelError('rate_limited', 'the rate budget is spent');
  };
  await pass(6 * hour);
  await look();
  expect(shop.channel.priceReads).toHaveLength(1);
  expect(await lastError()).toBeNull();
});

test('a listing by which every call fails does not keep the others from being read', async () => {
  const [bad, other] = [await shop.listed(), await edited(fixtures.euros(1_250))];
  shop.channel.onPriceRead = ({ unitId }) => {
    if (unitId === bad.unitId) throw new ChannelError('invalid_response', 'no price in it');
    return { kind: 'price', price: fixtures.euros(1_250) };
  };
  await pass(6 * hour);
  await look({ batchMax: 1 });
  expect(readAt()).toEqual([[bad.unitId]]);
  await pass(paceMs);
  await look({ batchMax: 1 });
  expect(readAt()[1]).toEqual([other.unitId]);
  expect(await shop.openConflicts(other)).toHaveLength(1);
});

test('a listing whose price cannot be read keeps the last one, and holds up no other', async () => {
  const [gone, other] = [await shop.listed(), await edited(fixtures.euros(1_250))];
  shop.channel.prices.delete(`${gone.unitId} ${gone.variantId}`);
  await pass(6 * hour);
  await look({ batchMax: 1 });
  await pass(paceMs);
  await look({ batchMax: 1 });
  expect(await shop.stateOf(gone)).toMatchObject({ shown: 1_000 });
  expect(await shop.openConflicts(other)).toHaveLength(1);
});

test('the price from before ours was proved is no change, and another one is, also while ours is on its way', async () => {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_100));
  await pass(6 * hour);
  await look();
  expect(await shop.openConflicts(one)).toEqual([]);
  await shop.push();
  expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
  support.priced(shop.channel, one, fixtures.euros(1_000));
  await open.pool.query(`UPDATE listings SET price_looked_at = now() - interval '7 h' WHERE id = $1`, [
    one.listingId,
  ]);
  await askable();
  await look();
  expect(shop.channel.priceReads).toHaveLength(2);
  expect(await shop.stateOf(one)).toMatchObject({ shown: 1_100 });
  expect(await shop.openConflicts(one)).toEqual([]);
  support.priced(shop.channel, one, fixtures.euros(1_300));
  await pass(6 * hour);
  await look();
  expect(await shop.openConflicts(one)).toMatchObject([{ delta: 200 }]);
});

test('a reading says nothing of what was written while it was on its way, whatever stood there before', async () => {
  const one = await edited(fixtures.euros(1_250));
  await pass(6 * hour);
  shop.channel.onPriceRead = async () => {
    shop.channel.onPriceRead = () => ({ kind: 'price', price: fixtures.euros(1_100) });
    await shop.mean(one, fixtures.euros(1_100));
    await shop.push();
    return { kind: 'price', price: fixtures.euros(1_250) };
  };
  await look();
  expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
  expect(await shop.openConflicts(one)).toEqual([]);
});

test('of two looks at once the one that asked later counts, whichever is answered first', async () => {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_000));
  await pass(6 * hour);
  shop.channel.onPriceRead = async () => {
    shop.channel.onPriceRead = () => ({ kind: 'price', price: fixtures.euros(1_250) });
    await askable();
    await look();
    return { kind: 'price', price: fixtures.euros(1_000) };
  };
  await look();
  expect(await shop.openConflicts(one)).toMatchObject([{ delta: 250 }]);
});

test('a reading of before our price was proved is told apart however long its answer took', async () => {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_100));
  await shop.push();
  await pass(6 * hour);
  let ahead = 0;
  shop.channel.onPriceRead = async () => {
    // Past everything that explains the price from before, were it not for the time that the answer took.
    await open.pool.query(
      `UPDATE dirty_prices SET echo_until = now() - interval '1 s' WHERE listing_id = $1`,
      [one.listingId],
    );
    ahead = support.callMaxMs + 5_000;
    return { kind: 'price', price: fixtures.euros(1_000) };
  };
  await look({ clock: { ...support.clock, now: () => support.clock.now() + ahead } });
  expect(await shop.stateOf(one)).toMatchObject({ shown: 1_100 });
});

test.each([
  ['there and back', [1_200, 1_100]],
  ['on to another one', [1_200]],
])('a price of ours that was just proved is still echoed after the seller goes %s', async (_way, wishes) => {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_100));
  await shop.push();
  for (const minor of wishes) await shop.mean(one, fixtures.euros(minor));
  await open.pool.query(`UPDATE listings SET price_looked_at = now() - interval '7 h' WHERE id = $1`, [
    one.listingId,
  ]);
  shop.channel.onPriceRead = () => ({ kind: 'price', price: fixtures.euros(1_000) });
  await look();
  expect(shop.channel.priceReads).toHaveLength(1);
  expect(await shop.stateOf(one)).toMatchObject({ shown: 1_100 });
  expect(await shop.openConflicts(one)).toEqual([]);
  // What was proved explains a reading while the next price is only accepted.
  shop.channel.onPrice = () => ({ kind: 'accepted', reference: 's1' });
  await shop.push();
  await open.pool.query(`UPDATE listings SET price_looked_at = now() - interval '7 h' WHERE id = $1`, [
    one.listingId,
  ]);
  await askable();
  shop.channel.onPriceRead = () => ({ kind: 'price', price: fixtures.euros(1_100) });
  await look();
  expect(await shop.openConflicts(one)).toEqual([]);
  await shop.later(0);
  expect((await shop.operationsOf(one)).filter(({ status }) => status === 'failed')).toEqual([]);
});

test('nothing is looked at that is not followed, waits for its first plan, or is not connected', async () => {
  const one = await shop.listed();
  await pass(6 * hour);
  const set = async (sql: string): Promise<void> => {
    await open.pool.query(sql, [sql.includes('listings') ? one.listingId : shop.connection.id]);
  };
  for (const [away, back] of [
    [
      'UPDATE listings SET sync_enabled = false WHERE id = $1',
      'UPDATE listings SET sync_enabled = true WHERE id = $1',
    ],
    [
      'UPDATE connections SET awaiting_plan = true WHERE id = $1',
      'UPDATE connections SET awaiting_plan = false WHERE id = $1',
    ],
    [
      'UPDATE connections SET sync_enabled = false WHERE id = $1',
      'UPDATE connections SET sync_enabled = true WHERE id = $1',
    ],
    ...['paused', 'needs_authorization'].map(
      (status) =>
        [
          `UPDATE connections SET status = '${status}' WHERE id = $1`,
          `UPDATE connections SET status = 'active' WHERE id = $1`,
        ] as const,
    ),
  ] as const) {
    await set(away);
    await look();
    await set(back);
    await pass(paceMs);
  }
  expect(shop.channel.priceReads).toEqual([]);
  await look();
  expect(shop.channel.priceReads).toHaveLength(1);
});
