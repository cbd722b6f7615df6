/** Proves that a price which nobody answered, or whose sender has died, is read back before it is repeated, and never written over somebody else's. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError, type PriceWriteResult } from '../../src/connectors/connector.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { openPricedShop, type PricedShop } from '../support/pricedShop.ts';

let open: fixtures.TestPool;
let shop: PricedShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPricedShop(open.pool);
});

/** A worker takes the price, and dies before it has an answer. */
async function dieWhileSending(): Promise<void> {
  const honest = shop.channel.onPrice;
  shop.channel.onPrice = () => {
    throw new Error('the worker dies');
  };
  await expect(shop.push()).rejects.toThrow('the worker dies');
  shop.channel.onPrice = honest;
}

const unanswered: PriceWriteResult = { kind: 'unknown', reason: 'no answer' };

describe('a price without a proof', () => {
  test('that nobody answered is read back, and not repeated when it is shown', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = (write) => {
      support.priced(shop.channel, write.address, write.price);
      return unanswered;
    };
    await shop.push();
    expect(await shop.stateOf(one)).toMatchObject({ state: 'unknown', shown: 1_000, error: 'no answer' });
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'processing' }]);
    await shop.later(20_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100, error: null });
    expect(shop.sent()).toEqual([1_100]);
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'completed' }]);
  });

  test('that was lost is repeated only once it can no longer land', async () => {
    shop.channel.capabilities.settleMaxMs = 60_000;
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    const honest = shop.channel.onPrice;
    shop.channel.onPrice = () => unanswered;
    await shop.push();
    shop.channel.onPrice = honest;
    await shop.later(30_000);
    expect(shop.channel.priceReads).toHaveLength(1);
    expect(shop.sent()).toEqual([1_100]);
    await shop.later(120_000);
    expect(shop.sent()).toEqual([1_100, 1_100]);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(await shop.operationsOf(one)).toHaveLength(1);
  });

  test('that the channel only accepted is proved by a reading', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = () => ({ kind: 'accepted', reference: 's1' });
    await shop.push();
    await shop.later(20_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'accepted', shown: 1_000 });
    expect(await shop.openConflicts(one)).toEqual([]);
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(120_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(shop.sent()).toEqual([1_100]);
  });

  test('whose sender died between sending and storing is read back by the next one', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    await dieWhileSending();
    expect(await shop.stateOf(one)).toMatchObject({ state: 'sent' });
    await shop.push();
    expect(shop.channel.priceReads).toEqual([]);
    support.priced(shop.channel, one, fixtures.euros(1_100));
    await shop.later(61_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
    expect(shop.sent()).toEqual([1_100]);
  });

  test('that the channel takes in again and again and never shows is given up after three, and is tried anew when somebody asks', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    const honest = shop.channel.onPrice;
    shop.channel.onPrice = () => ({ kind: 'accepted', reference: 's1' });
    await shop.push();
    for (let look = 0; look < 5; look += 1) await shop.later(3_600_000);
    expect(shop.sent()).toEqual([1_100, 1_100, 1_100]);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'refused', shown: 1_000 });
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'failed' }]);
    expect(await shop.openConflicts(one)).toMatchObject([{ delta: -100 }]);
    shop.channel.onPrice = () => ({ kind: 'accepted', reference: 's2' });
    await shop.mean(one, fixtures.euros(1_150));
    await shop.push();
    shop.channel.onPrice = honest;
    await shop.later(3_600_000);
    expect(shop.sent()).toEqual([1_100, 1_100, 1_100, 1_150, 1_150]);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_150 });
  });

  test('of a listing that is gone ends after a day with the reason', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = () => unanswered;
    await shop.push();
    shop.channel.onPriceRead = () => ({ kind: 'unknown', reason: 'there is no such listing' });
    await shop.later(3_600_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'unknown', error: 'there is no such listing' });
    await shop.later(86_400_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'refused', error: 'there is no such listing' });
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'failed' }]);
  });

  test('over which somebody else has set a third one is a conflict, and is not written again', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = () => unanswered;
    await shop.push();
    support.priced(shop.channel, one, fixtures.euros(1_500));
    await shop.later(20_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'unknown' });
    await shop.later(3_600_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: null, shown: 1_500 });
    expect(await shop.openConflicts(one)).toMatchObject([{ type: 'price_mismatch', delta: 400 }]);
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'failed' }]);
    await shop.later(3_600_000);
    expect(shop.sent()).toEqual([1_100]);
  });

  test('that cannot be read stays unknown, and the connection says why', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = () => unanswered;
    await shop.push();
    shop.channel.onPriceRead = () => {
      throw new ChannelError('unavailable', 'HTTP 503');
    };
    await shop.later(20_000);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'unknown', error: 'HTTP 503' });
  });
});
