/** Proves that wake-ups reach other processes through Redis, and that losing Redis delays events and never loses one. */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { type Bus, createRedisBus } from '../../src/sync/bus.ts';
import { append, lookIntervalMs, numbered, startTail, subscribe } from '../support/eventStreams.ts';
import * as fixtures from '../support/fixtures.ts';
import { startRedis } from '../support/redis.ts';
import { waitFor } from '../support/waiting.ts';

type TestBus = AsyncDisposable & {
  readonly bus: Bus;
  readonly redis: Redis;
  heard(): number;
  readonly errors: Error[];
};

/** The bus of one process of its own. It tries to reach Redis again every few milliseconds. */
function openBus(url: string): TestBus {
  const errors: Error[] = [];
  const onError = (error: Error): void => void errors.push(error);
  const redis = new Redis(url, { retryStrategy: () => 5, maxRetriesPerRequest: 1 });
  redis.on('error', onError);
  const bus = createRedisBus(redis, onError);
  let heard = 0;
  bus.subscribe('log', () => (heard += 1));
  return {
    bus,
    redis,
    errors,
    heard: () => heard,
    async [Symbol.asyncDispose]() {
      await bus.close();
      redis.disconnect();
    },
  };
}

/** Ends the server by its own command, so that it can be started again on its port. */
async function shutDown(url: string): Promise<void> {
  const redis = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  const ended = new Promise((resolve) => {
    redis.on('error', () => undefined).once('end', resolve);
  });
  redis.shutdown('NOSAVE').catch(() => undefined);
  await ended;
}

/** Publishes until the other one hears: both are connected then. */
async function untilConnected(from: TestBus, to: TestBus): Promise<void> {
  const before = to.heard();
  await waitFor(() => {
    from.bus.publish('log');
    return to.heard() > before;
  });
}

test('a wake-up reaches the other process, and its own listeners once and without a detour', async () => {
  await using redis = await startRedis();
  await using here = openBus(redis.url);
  await using there = openBus(redis.url);
  await untilConnected(here, there);
  await untilConnected(there, here);
  const before = here.heard();
  const beforeThere = there.heard();
  here.bus.publish('log');
  expect(here.heard()).toBe(before + 1);
  await waitFor(() => there.heard() === beforeThere + 1);
  // Redis delivers in order: once the answer is here, an echo of our own would be too.
  there.bus.publish('log');
  await waitFor(() => here.heard() >= before + 2);
  expect(here.heard()).toBe(before + 2);
});

test('wake-ups work again after Redis was lost, and what was published meanwhile woke at least its own process', async () => {
  await using redis = await startRedis();
  await using here = openBus(redis.url);
  await using there = openBus(redis.url);
  await untilConnected(here, there);
  await redis.restart();
  const before = here.heard();
  here.bus.publish('log');
  expect(here.heard()).toBe(before + 1);
  await untilConnected(here, there);
  await untilConnected(there, here);
});

test('a bus that was made while Redis was away hears as soon as it comes', async () => {
  await using redis = await startRedis();
  await shutDown(redis.url);
  await using early = openBus(redis.url);
  // Several attempts to connect have failed by then, and everything that waited for the first one was given up.
  await waitFor(() => early.errors.length >= 5);
  await redis.restart();
  await using late = openBus(redis.url);
  expect(early.heard()).toBe(0);
  await untilConnected(late, early);
});

test('closing ends the subscription and leaves the given connection to its owner', async () => {
  await using redis = await startRedis();
  await using here = openBus(redis.url);
  await using there = openBus(redis.url);
  await untilConnected(here, there);
  await there.bus.close();
  await waitFor(async () => (await here.redis.publish('listgenius:wake:log', 'test')) === 1);
  expect(await there.redis.ping()).toBe('PONG');
});

test('a tail in another process is woken by Redis, and without Redis finds the same events at its next look', async () => {
  await using open = await fixtures.openTestPool(6);
  await using redis = await startRedis();
  await using here = openBus(redis.url);
  await using there = openBus(redis.url);
  await untilConnected(here, there);
  const accountId = randomUUID();
  await using running = await startTail(open.pool, { bus: there.bus });
  await using subscriber = subscribe(running.tail, accountId);
  await append(open.pool, ...numbered(accountId, 0, 2));
  here.bus.publish('log');
  await subscriber.hears(2);

  await shutDown(redis.url);
  await append(open.pool, ...numbered(accountId, 2, 4));
  here.bus.publish('log');
  await waitFor(() => {
    running.clock.advance(lookIntervalMs);
    return subscriber.numbers().length >= 4;
  });
  await redis.restart();
  await untilConnected(here, there);
  await append(open.pool, ...numbered(accountId, 4, 5));
  here.bus.publish('log');
  await waitFor(() => subscriber.numbers().length >= 5);
  expect(subscriber.numbers()).toEqual([0, 1, 2, 3, 4]);
});
