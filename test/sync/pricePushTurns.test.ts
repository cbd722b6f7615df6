/** Proves that prices of one connection leave in turn: soon after they were remembered, one run at a time, the next one after the one before is decided. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PriceWriteResult } from '../../src/connectors/connector.ts';
import { checkShownPrices } from '../../src/sync/prices.ts';
import type { PushOptions } from '../../src/sync/push.ts';
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

describe('a price', () => {
  test.each([
    { kind: 'deferred', reason: 'busy', retryAfterMs: 0, error: 'rate_limited' },
    { kind: 'accepted', reference: 's1' },
    { kind: 'unknown', reason: 'no answer' },
  ] as const)(
    'over one of ours that was just proved is no conflict while it is $kind, and is written in the end',
    async (answer) => {
      const one = await shop.listed();
      await shop.mean(one, fixtures.euros(1_100));
      shop.channel.onPrice = async (write) => {
        if (write.price.minor === 1_200) return answer;
        await shop.mean(one, fixtures.euros(1_200));
        support.priced(shop.channel, write.address, write.price);
        return { kind: 'effective' };
      };
      await shop.push();
      expect(await shop.openConflicts(one)).toEqual([]);
      await open.pool.query('UPDATE listings SET price_minor = 1000 WHERE id = $1', [one.listingId]);
      await checkShownPrices(open.pool, shop.caller.accountId, [one.item.id]);
      expect(await shop.openConflicts(one)).toEqual([]);
      await open.pool.query('UPDATE listings SET price_minor = 1100 WHERE id = $1', [one.listingId]);
      shop.channel.onPrice = (write) => {
        support.priced(shop.channel, write.address, write.price);
        return { kind: 'effective' };
      };
      await shop.later(3_600_000);
      expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_200 });
      expect(await shop.operationsOf(one)).toMatchObject([{ status: 'completed' }]);
    },
  );

  test('whose turn comes too late after it was remembered does not leave, and is taken anew, by what holds then', async () => {
    shop.channel.capabilities.pricesPerCall = 1;
    for (let index = 0; index < 3; index += 1) {
      await shop.mean(await shop.listed(), fixtures.euros(1_100));
    }
    let ahead = 0;
    shop.channel.onPrice = async (write) => {
      ahead += 3_000;
      await open.pool.query(`UPDATE connections SET status = 'paused' WHERE id = $1`, [shop.connection.id]);
      support.priced(shop.channel, write.address, write.price);
      return { kind: 'effective' };
    };
    const clock = { ...support.clock, now: () => support.clock.now() + ahead };
    const readings: PushOptions['readings'] = (opened) => {
      const reading = support.readingOptions(open.pool, opened);
      return { ...reading, context: { ...reading.context, now: clock.now } };
    };
    await shop.push({ clock, readings });
    expect(shop.sent()).toHaveLength(2);
    await open.pool.query(`UPDATE connections SET status = 'active' WHERE id = $1`, [shop.connection.id]);
    await shop.push({ clock, readings });
    expect(shop.sent()).toHaveLength(3);
  });

  test('while another one of the connection is on its way waits for it, and no second run of the push with it', async () => {
    const [one, two] = [await shop.listed(), await shop.listed()];
    await shop.mean(one, fixtures.euros(1_100));
    const calls: string[] = [];
    shop.channel.onPrice = async (write) => {
      calls.push(`${write.price.minor} leaves`);
      if (write.price.minor === 1_100) {
        await shop.mean(two, fixtures.euros(1_200));
        await shop.push();
      }
      calls.push(`${write.price.minor} answered`);
      return { kind: 'effective' };
    };
    await shop.push();
    expect(calls).toEqual(['1100 leaves', '1100 answered', '1200 leaves', '1200 answered']);
  });

  test('behind numbers that never end has their turn a minute after it was wished for, however often it was put off', async () => {
    const [busy, one] = [await shop.listed(), await shop.listed()];
    await support.markDirty(open.pool, busy.listingId);
    await shop.mean(one, fixtures.euros(1_100));
    const done: string[] = [];
    const answers: PriceWriteResult[] = [
      { kind: 'deferred', reason: 'busy', retryAfterMs: 300, error: 'rate_limited' },
      { kind: 'effective' },
    ];
    shop.channel.onPrice = (write) => {
      done.push('price');
      const answer = answers.shift() ?? { kind: 'effective' };
      if (answer.kind === 'effective') support.priced(shop.channel, write.address, write.price);
      return answer;
    };
    const endless: Partial<PushOptions> = {
      async onSettled() {
        done.push('number');
        await support.markDirty(open.pool, busy.listingId);
      },
      turn: { maxMs: 0, onMore: () => done.push('turn over') },
    };
    await shop.push(endless);
    expect(done).toEqual(['number', 'turn over']);
    await support.letTimePass(open.pool, shop.connection.id, 60_000);
    await shop.push(endless);
    await support.letTimePass(open.pool, shop.connection.id, 1_000);
    await shop.push(endless);
    expect(done.slice(2)).toEqual(['number', 'price', 'turn over', 'number', 'price', 'turn over']);
    expect(shop.channel.priceCalls.at(-1)?.turn).toMatchObject({ urgency: 'raise' });
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100 });
  });
});
