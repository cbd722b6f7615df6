/** Proves that the tests' Redis really goes away and comes back empty. */
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { startRedis } from './support/redis.ts';

test('a restarted Redis answers at the same address and has forgotten everything', async () => {
  await using server = await startRedis();
  const client = new Redis(server.url, {
    lazyConnect: true,
    retryStrategy: () => 10,
    maxRetriesPerRequest: null,
  });
  client.on('error', () => undefined);
  onTestFinished(() => client.disconnect());
  await client.set('key', 'value');

  await server.restart();

  expect(await client.get('key')).toBeNull();
});

test('a stopped Redis refuses connections', async () => {
  const server = await startRedis();
  await server.stop();
  await server.stop();
  const client = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);

  await expect(client.connect()).rejects.toThrow('Connection is closed');
});
