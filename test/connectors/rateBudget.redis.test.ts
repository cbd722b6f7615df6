/** Rate budgets: nobody gets more than the bucket holds, in one process or over several, and the last tokens are for the most urgent. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Urgency } from '../../src/connectors/connector.ts';
import {
  createMemoryRateBudget,
  createRedisRateBudget,
  type RateBudget,
} from '../../src/connectors/rateBudget.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const silent = (): Promise<never> => new Promise(() => {});
const slow = { perSecond: 0.001, burst: 3, urgency: 'lower' } as const;

/** Both implementations keep the same promises. The refill is so slow that the time a test takes cannot matter. */
function promises(budgetOf: () => RateBudget): void {
  test('gives the burst at once, then says how long one more token takes', async () => {
    const budget = budgetOf();
    const limit = { key: 'burst', ...slow };
    expect([await budget.take(limit), await budget.take(limit), await budget.take(limit)]).toEqual([0, 0, 0]);
    const wait = await budget.take(limit);
    expect(wait).toBeGreaterThan(990_000);
    expect(wait).toBeLessThanOrEqual(1_000_000);
  });

  test('an answer above zero takes nothing', async () => {
    const budget = budgetOf();
    const limit = { key: 'nothing taken', ...slow };
    expect(await budget.take({ ...limit, cost: 2 })).toBe(0);
    expect(await budget.take({ ...limit, cost: 2 })).toBeGreaterThan(0);
    expect(await budget.take(limit)).toBe(0);
  });

  test('keys do not share tokens', async () => {
    const budget = budgetOf();
    expect(await budget.take({ key: 'one', ...slow, cost: 3 })).toBe(0);
    expect(await budget.take({ key: 'other', ...slow, cost: 3 })).toBe(0);
  });

  test('a cost above the burst waits for a full bucket instead of for ever', async () => {
    expect(await budgetOf().take({ key: 'huge', ...slow, cost: 50 })).toBe(0);
  });

  test('a penalty closes the bucket for everybody although tokens are left', async () => {
    const budget = budgetOf();
    await budget.penalise('closed', 60_000);
    const wait = await budget.take({ key: 'closed', ...slow });
    expect(wait).toBeGreaterThan(50_000);
    expect(wait).toBeLessThanOrEqual(60_000);
  });

  test('a shorter penalty does not open a bucket that is closed for longer', async () => {
    const budget = budgetOf();
    await budget.penalise('closed twice', 60_000);
    await budget.penalise('closed twice', 10);
    expect(await budget.take({ key: 'closed twice', ...slow })).toBeGreaterThan(50_000);
  });

  test('what is less urgent leaves the last tokens to what is more urgent, and each waits for its own', async () => {
    const budget = budgetOf();
    const limit = { key: 'kept back', perSecond: 0.001, burst: 10 };
    const given: Record<Urgency, number> = { import: 0, price: 0, read: 0, raise: 0, orders: 0, lower: 0 };
    for (const urgency of ['import', 'price', 'read', 'raise', 'orders', 'lower'] as const)
      while ((await budget.take({ ...limit, urgency })) === 0) given[urgency] += 1;
    expect(given).toEqual({ import: 5, price: 1, read: 1, raise: 1, orders: 1, lower: 1 });
    const waits = await Promise.all(
      (['lower', 'orders', 'raise', 'read', 'price', 'import'] as const).map((urgency) =>
        budget.take({ ...limit, urgency }),
      ),
    );
    expect(waits.map((wait) => Math.ceil(wait / 1_000_000))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('nothing is kept back for what never draws from a bucket', async () => {
    const budget = budgetOf();
    const limit = { key: 'orders only', perSecond: 0.001, burst: 20, mostUrgent: 'orders' } as const;
    const takers = Array.from({ length: 30 }, () => budget.take({ ...limit, urgency: 'read' }));
    expect((await Promise.all(takers)).filter((wait) => wait === 0)).toHaveLength(16);
    expect(await budget.take({ ...limit, cost: 4, urgency: 'orders' })).toBe(0);
  });

  test('a bucket of one token, and a cost as large as the bucket, serve the least urgent too', async () => {
    const budget = budgetOf();
    const one = { key: 'one token', perSecond: 0.001, burst: 1, urgency: 'import' } as const;
    expect(await budget.take(one)).toBe(0);
    expect(await budget.take({ ...one, key: 'all of it', burst: 10, cost: 10 })).toBe(0);
  });

  test('callers at the same moment never get more than the burst', async () => {
    const budget = budgetOf();
    const waits = await Promise.all(Array.from({ length: 20 }, () => budget.take({ key: 'crowd', ...slow })));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(3);
  });
}

describe('the budget in memory', () => {
  promises(() => createMemoryRateBudget({ now: () => 1_000_000 }));

  test('refills with time, up to the burst', async () => {
    let at = 0;
    const budget = createMemoryRateBudget({ now: () => at });
    const limit = { key: 'refill', perSecond: 2, burst: 2, urgency: 'lower' } as const;
    expect([await budget.take(limit), await budget.take(limit), await budget.take(limit)]).toEqual([
      0, 0, 500,
    ]);
    at = 500;
    expect([await budget.take(limit), await budget.take(limit)]).toEqual([0, 500]);
    at = 60_000;
    expect([await budget.take(limit), await budget.take(limit), await budget.take(limit)]).toEqual([
      0, 0, 500,
    ]);
  });

  test('while tokens come back one by one, each goes to the most urgent of all who ask', async () => {
    let at = 0;
    const budget = createMemoryRateBudget({ now: () => at });
    const limit = { key: 'two workers', perSecond: 1, burst: 10 };
    await budget.take({ ...limit, cost: 10, urgency: 'lower' });
    const given: Urgency[] = [];
    for (at = 1_000; at <= 6_000; at += 1_000)
      for (const urgency of ['import', 'read', 'raise', 'lower'] as const)
        if ((await budget.take({ ...limit, urgency })) === 0) given.push(urgency);
    expect(given).toEqual(Array.from({ length: 6 }, () => 'lower'));
    // Nobody urgent asks any more: the others have their turn once what is kept from them is there again.
    at = 9_000;
    expect(await budget.take({ ...limit, urgency: 'raise' })).toBe(0);
    expect(await budget.take({ ...limit, urgency: 'raise' })).toBe(1_000);
  });

  test('forgets full buckets when there are many keys, and keeps the spent ones', async () => {
    const budget = createMemoryRateBudget({ now: () => 0, keysMax: 2 });
    await budget.penalise('closed', 1_000);
    const limit = { perSecond: 1, burst: 1, urgency: 'lower' } as const;
    for (let key = 0; key < 50; key += 1) await budget.take({ key: `key ${key}`, ...limit });
    expect(await budget.take({ key: 'closed', ...limit })).toBe(1_000);
  });
});

describe('the budget in Redis', () => {
  let server: TestRedis;
  let redis: Redis;
  let other: Redis;
  const never: RateBudget = {
    take: () => Promise.reject(new Error('the fallback was asked')),
    penalise: async () => {},
  };

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { maxRetriesPerRequest: 0, enableOfflineQueue: false, lazyConnect: true });
    other = new Redis(server.url, { lazyConnect: true });
    for (const client of [redis, other]) {
      client.on('error', () => {});
      await client.connect();
    }
  });
  afterAll(async () => {
    redis.disconnect();
    other.disconnect();
    await server.stop();
  });

  let run = 0;
  promises(() => {
    run += 1;
    return createRedisRateBudget({ redis, fallback: never, prefix: `rate:${run}:` });
  });

  test('workers with their own connections share one bucket', async () => {
    const mine = createRedisRateBudget({ redis, fallback: never, prefix: 'shared:' });
    const theirs = createRedisRateBudget({ redis: other, fallback: never, prefix: 'shared:' });
    const limit = { key: 'seller', ...slow };
    const takers = Array.from({ length: 12 }, (_unused, index) => (index % 2 === 0 ? mine : theirs));
    const waits = await Promise.all(takers.map((budget) => budget.take(limit)));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(3);
    await mine.penalise('seller', 90_000_000);
    expect(await theirs.take(limit)).toBeLessThanOrEqual(86_400_000);
  });

  test('whatever one worker imports, reads and raises, the zero of another finds tokens', async () => {
    const mine = createRedisRateBudget({ redis, fallback: never, prefix: 'classes:' });
    const theirs = createRedisRateBudget({ redis: other, fallback: never, prefix: 'classes:' });
    const limit = { key: 'seller', perSecond: 0.001, burst: 10 };
    const crowd = (['import', 'read', 'raise'] as const).flatMap((urgency) =>
      Array.from({ length: 20 }, () => theirs.take({ ...limit, urgency })),
    );
    expect((await Promise.all(crowd)).filter((wait) => wait === 0)).toHaveLength(8);
    expect(await mine.take({ ...limit, urgency: 'lower' })).toBe(0);
    expect(await mine.take({ ...limit, urgency: 'orders' })).toBeGreaterThan(0);
    expect(await mine.take({ ...limit, urgency: 'lower' })).toBe(0);
  });

  test('a key goes away by itself once it is full and open again', async () => {
    const budget = createRedisRateBudget({ redis, fallback: never, prefix: 'life:' });
    await budget.take({ key: 'short', perSecond: 10, burst: 1, urgency: 'lower' });
    const life = await redis.pttl('life:short');
    expect(life).toBeGreaterThan(0);
    expect(life).toBeLessThanOrEqual(1_101);
  });

  test('without Redis the memory decides, a penalty known before included, and Redis is used again once it is back', async () => {
    const failures: unknown[] = [];
    const fallback = createMemoryRateBudget({ now: () => 0 });
    const budget = createRedisRateBudget({
      redis,
      fallback,
      prefix: 'outage:',
      onFallback: (error) => failures.push(error),
    });
    await budget.penalise('limited', 5_000);
    redis.disconnect();
    expect(await budget.take({ key: 'free', ...slow })).toBe(0);
    expect(await budget.take({ key: 'limited', ...slow })).toBe(5_000);
    expect(failures).toHaveLength(2);
    // Also loses the script: the first call finds NOSCRIPT.
    await server.restart();
    await redis.connect();
    expect(await budget.take({ key: 'limited', ...slow })).toBe(0);
    expect(failures).toHaveLength(2);
  });

  test('a Redis that does not answer holds nobody up', async () => {
    const fallback = createMemoryRateBudget({ now: () => 0 });
    const budget = createRedisRateBudget({
      redis: { evalsha: silent, eval: silent },
      fallback,
      timeoutMs: 20,
    });
    expect(await budget.take({ key: 'free', ...slow })).toBe(0);
  });
});
