/** Proves that a price which stands in a queue of its channel is neither lost, repeated nor taken for somebody else's, however long that takes. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Submission } from '../../src/connectors/connector.ts';
import { checkShownPrices } from '../../src/sync/prices.ts';
import * as support from '../support/channel.ts';
import { dyingPool, untilKilled } from '../support/dyingPool.ts';
import * as fixtures from '../support/fixtures.ts';
import { openPricedShop, type PricedShop } from '../support/pricedShop.ts';

let open: fixtures.TestPool;
let shop: PricedShop;

const hour = 3_600_000;
/** From the end of a queue until a price that is not shown yet is lost: what a write, a call and its leaving take at most. */
const settleMaxMs = 60_000;
const landingMs = settleMaxMs + support.callMaxMs + support.sendWithinMs;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPricedShop(open.pool);
  shop.channel.capabilities.settleMaxMs = settleMaxMs;
  let feeds = 0;
  shop.channel.onPrice = () => ({ kind: 'accepted', reference: `feed-${++feeds}`, queued: true });
});

const endedNow = (): Submission => ({
  kind: 'ended',
  at: new Date(support.clock.now()),
  refused: null,
});

/** A price of 11.00 over one of 10.00 that stands in a queue. */
async function queuedPrice(): Promise<support.Listed> {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_100));
  await shop.push();
  return one;
}

async function rowOf({ listingId }: support.Listed) {
  const { rows } = await open.pool.query<{ reference: string | null; lost: number; worked_off: boolean }>(
    'SELECT reference, lost, worked_off_at IS NOT NULL AS worked_off FROM dirty_prices WHERE listing_id = $1',
    [listingId],
  );
  return rows[0];
}

describe('a price in a queue', () => {
  test('that stands for hours is not lost, not edited, not written again, and no conflict', async () => {
    const one = await queuedPrice();
    for (let look = 0; look < 8; look += 1) await shop.later(hour);
    await checkShownPrices(open.pool, shop.caller.accountId, [one.item.id]);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'accepted', shown: 1_000, error: null });
    expect(await rowOf(one)).toEqual({ reference: 'feed-1', lost: 0, worked_off: false });
    expect(shop.sent()).toEqual([1_100]);
    expect(shop.channel.priceReads).toEqual([]);
    expect(await shop.openConflicts(one)).toEqual([]);
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'processing' }]);
    const { rowCount } = await open.pool.query('SELECT FROM alerts WHERE account_id = $1', [
      shop.caller.accountId,
    ]);
    expect(rowCount).toBe(0);
  });

  test('is shown after the queue was worked off, and was sent once', async () => {
    const one = await queuedPrice();
    await shop.later(5 * hour);
    shop.channel.onQueued = endedNow;
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(hour);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(shop.sent()).toEqual([1_100]);
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'completed' }]);
  });

  test('lands as late after the end of the queue as after a call, and the queue is not asked for again', async () => {
    const one = await queuedPrice();
    await shop.later(5 * hour);
    shop.channel.onQueued = endedNow;
    await shop.later(hour);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'accepted', shown: 1_000 });
    expect(await rowOf(one)).toMatchObject({ worked_off: true });
    const asks = shop.channel.queueAsks.length;
    await shop.later(landingMs - 10_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'accepted' });
    expect(shop.sent()).toEqual([1_100]);
    expect(shop.channel.queueAsks).toHaveLength(asks);
    await shop.later(hour);
    expect(shop.sent()).toEqual([1_100, 1_100]);
    expect(await rowOf(one)).toEqual({ reference: 'feed-2', lost: 1, worked_off: false });
  });

  test('that nobody wants any more is remembered while the queue stands, and the next wish waits for it', async () => {
    const one = await queuedPrice();
    await open.pool.query('UPDATE inventory_items SET price_minor = NULL, currency = NULL WHERE id = $1', [
      one.item.id,
    ]);
    await shop.later(hour);
    expect(await rowOf(one)).toMatchObject({ reference: 'feed-1' });
    await shop.mean(one, fixtures.euros(1_200));
    await shop.push();
    expect(shop.sent()).toEqual([1_100]);
    shop.channel.onQueued = endedNow;
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(hour);
    await shop.later(hour);
    expect(shop.sent()).toEqual([1_100, 1_200]);
    expect(await shop.openConflicts(one)).toEqual([]);
  });

  test('over which a third one is shown after its end is somebody else’s edit', async () => {
    const one = await queuedPrice();
    support.priced(shop.channel, one, fixtures.euros(1_500));
    await shop.later(5 * hour);
    expect(await shop.openConflicts(one)).toEqual([]);
    shop.channel.onQueued = endedNow;
    await shop.later(hour);
    await shop.later(hour);
    expect(await shop.openConflicts(one)).toMatchObject([{ delta: 400 }]);
    expect(shop.sent()).toEqual([1_100]);
  });

  test('that its report refuses ends at once with the reason, and the others are read', async () => {
    const [bad, good] = [await shop.listed(), await shop.listed()];
    await shop.mean(bad, fixtures.euros(1));
    await shop.mean(good, fixtures.euros(1_100));
    shop.channel.onPrice = () => ({ kind: 'accepted', reference: 'feed', queued: true });
    await shop.push();
    shop.channel.onQueued = ({ address }) => ({
      kind: 'ended',
      at: new Date(support.clock.now()),
      refused:
        address.unitId === bad.unitId
          ? { refusal: 'price_not_allowed', code: '90000900', message: 'too low' }
          : null,
    });
    support.priced(shop.channel, good, fixtures.euros(1_100));
    await shop.later(hour);
    expect(await shop.stateOf(bad)).toMatchObject({ state: 'refused', error: '90000900: too low' });
    expect(await shop.operationsOf(bad)).toMatchObject([{ status: 'failed', error: '90000900: too low' }]);
    expect(await shop.openConflicts(bad)).toMatchObject([{ delta: 999 }]);
    expect(await shop.stateOf(good)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(shop.channel.queueAsks.map((ask) => ask.length)).toEqual([2]);
  });

  test('that may stand there without an answer is asked for under its reference before anything is read', async () => {
    const reference = 'feeds/2026-05-04T12:00:00.000Z';
    shop.channel.onPrice = () => ({ kind: 'unknown', reason: 'no answer', reference });
    const one = await queuedPrice();
    expect(await shop.stateOf(one)).toMatchObject({ state: 'unknown', error: 'no answer' });
    const sentAt = support.clock.now();
    await shop.later(hour);
    expect(await rowOf(one)).toEqual({ reference, lost: 0, worked_off: false });
    expect(shop.channel.priceReads).toEqual([]);
    const [asked] = shop.channel.queueAsks.flat();
    expect(asked).toMatchObject({ reference, address: { unitId: one.unitId } });
    expect(Math.abs((asked?.sentAt.getTime() ?? 0) - sentAt)).toBeLessThan(60_000);
    shop.channel.onQueued = endedNow;
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(hour);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(shop.sent()).toEqual([1_100]);
  });

  test('is overtaken by a newer one only after the queue was worked off', async () => {
    const one = await queuedPrice();
    await shop.mean(one, fixtures.euros(1_200));
    await shop.push();
    await shop.later(5 * hour);
    expect(shop.sent()).toEqual([1_100]);
    shop.channel.onQueued = endedNow;
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(hour);
    expect(shop.sent()).toEqual([1_100, 1_200]);
    expect(await rowOf(one)).toMatchObject({ reference: 'feed-2', worked_off: false });
  });

  test('of which nothing can be heard stays open with the reason', async () => {
    const one = await queuedPrice();
    shop.channel.onQueued = () => ({ kind: 'unknown', reason: 'HTTP 503', error: 'unavailable' });
    await shop.later(hour);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'accepted', error: 'HTTP 503' });
    expect(shop.sent()).toEqual([1_100]);
  });

  test('that is still open after a day is judged by what is read, like any other', async () => {
    const one = await queuedPrice();
    await shop.later(23 * hour);
    expect(await rowOf(one)).toMatchObject({ worked_off: false });
    await shop.later(hour);
    expect(await rowOf(one)).toMatchObject({ worked_off: true });
    expect(shop.sent()).toEqual([1_100]);
    await shop.later(hour);
    expect(shop.sent()).toEqual([1_100, 1_100]);
  });
});

describe('a worker that dies', () => {
  test.each([
    ['before the reference is kept, has sent a price without an answer', 0, null],
    ['right after the reference was kept, has forgotten nothing', 1, 'feed-1'],
  ])('%s', async (_name, statements, reference) => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    const life = { left: 1_000 };
    const queue = shop.channel.onPrice;
    shop.channel.onPrice = (write) => {
      life.left = statements;
      return queue(write);
    };
    await untilKilled(shop.push({ db: dyingPool(open.pool, life) }));
    expect(await shop.stateOf(one)).toMatchObject({ state: 'sent' });
    expect(await rowOf(one)).toMatchObject({ reference });
    await shop.later(61_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: reference === null ? 'unknown' : 'accepted' });
    if (reference !== null) await shop.later(5 * hour);
    expect(shop.sent()).toEqual([1_100]);
    shop.channel.onQueued = endedNow;
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(hour);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(shop.sent()).toEqual([1_100]);
  });
});

test('as many prices as the channel takes at once are taken together, whatever the batch', async () => {
  const all = [await shop.listed(), await shop.listed(), await shop.listed()];
  for (const one of all) await shop.mean(one, fixtures.euros(1_100));
  await shop.push({ batchMax: 1 });
  expect(shop.channel.priceCalls.map(({ writes }) => writes.length)).toEqual([3]);
});
