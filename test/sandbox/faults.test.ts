/** Faults on demand, each over real HTTP: what the caller sees, and whether the effect happened. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { createFaults, type FaultInput } from '../../src/sandbox/faults.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import {
  at,
  buy,
  etsyClient,
  listingId,
  openSandbox,
  shopifyClient,
  timerSet,
  variantId,
} from './sandboxBench.ts';

const one = {
  sku: 'A',
  property_values: [],
  offerings: [{ price: 24.5, quantity: 2, is_enabled: true, readiness_state_id: 3100 }],
};

/** Writes 2 units of A on Etsy under one fault, and answers what came back and what is shown after. */
async function writeUnder(fault: FaultInput) {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  bench.sandbox.faults.add(fault);
  const path = `/v3/application/listings/${listingId(bench.sandbox, 'etsy', 'A')}/inventory`;
  const answer = await etsy('PUT', path, { json: { products: [one] } }).catch((error: unknown) => error);
  return {
    answer,
    status: at(answer, 'status'),
    shown: bench.sandbox.displayed('etsy')['A'],
    left: bench.sandbox.faults.list().length,
  };
}

test('A lost answer destroys the connection after the write took effect', async () => {
  const { answer, shown } = await writeUnder({ platform: 'etsy', kind: 'lostAnswer', count: 1 });
  expect(answer).toBeInstanceOf(TypeError);
  expect(shown).toBe(2);
});

test('Every answer says the time of the sandbox’s clock, a refusal as well', async () => {
  await using bench = await openSandbox();
  for (const path of ['/v3/application/openapi-ping', '/nowhere']) {
    const { headers } = await fetch(bench.sandbox.url('etsy') + path);
    expect(headers.get('date')).toBe(new Date(bench.clock.now()).toUTCString());
  }
});

test('A request that was given up before anybody looked at it is not carried out, however long it lay there', async () => {
  await using bench = await openSandbox();
  const { keystring, sharedSecret, accessToken } = bench.sandbox.connection('etsy').credentials;
  const { hostname, port } = new URL(bench.sandbox.url('etsy'));
  const body = JSON.stringify({ products: [one] });
  const request = [
    `PUT /v3/application/listings/${listingId(bench.sandbox, 'etsy', 'A')}/inventory HTTP/1.1`,
    `host: ${hostname}:${port}`,
    `x-api-key: ${keystring}:${sharedSecret}`,
    `authorization: Bearer ${accessToken}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
  /** What came back until the connection ended. */
  const send = async (hangUp: boolean): Promise<string> => {
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes.toString();
      socket.end();
    });
    socket.write(request);
    if (hangUp) socket.destroy();
    await closed;
    return answer;
  };
  expect(await send(true)).toBe('');
  // Whatever comes after it is answered after it.
  expect(await etsyClient(bench.sandbox)('GET', '/v3/application/openapi-ping')).toMatchObject({
    status: 200,
  });
  expect(bench.sandbox.displayed('etsy')['A']).toBe(5);
  expect(await send(false)).toMatch(/^HTTP\/1.1 200/);
  expect(bench.sandbox.displayed('etsy')['A']).toBe(2);
});

test('A broken answer ends in the middle of the body after the write took effect', async () => {
  const { answer, shown } = await writeUnder({ platform: 'etsy', kind: 'brokenAnswer', count: 1 });
  expect(answer).toBeInstanceOf(TypeError);
  expect(shown).toBe(2);
});

test('A refused connection has no effect', async () => {
  const { answer, shown, left } = await writeUnder({ platform: 'etsy', kind: 'refusedConnection', count: 1 });
  expect(answer).toBeInstanceOf(TypeError);
  expect([shown, left]).toEqual([5, 0]);
});

test('A server error has no effect and carries the marketplace’s own body', async () => {
  const { answer, shown } = await writeUnder({ platform: 'etsy', kind: 'serverError', status: 502 });
  expect(answer).toMatchObject({ status: 502, body: { error: 'Server Error' } });
  expect(shown).toBe(5);
});

test('Too many requests says when to come back, in Etsy’s headers', async () => {
  const { answer, shown } = await writeUnder({ platform: 'etsy', kind: 'rateLimit', retryAfterSeconds: 7 });
  const headers = at(answer, 'headers') as Headers;
  expect([at(answer, 'status'), headers.get('retry-after'), headers.get('x-remaining-this-second')]).toEqual([
    429,
    '7',
    '0',
  ]);
  expect(shown).toBe(5);
});

test('Shopify is throttled inside a 200, as a bucket that is empty for the asked time', async () => {
  await using bench = await openSandbox({ rateScale: 1 });
  bench.sandbox.faults.add({ platform: 'shopify', kind: 'rateLimit', retryAfterSeconds: 2 });
  const { status, body } = await shopifyClient(bench.sandbox)('{ shop { id } }');
  expect([status, at(body, 'errors.0.extensions.code')]).toEqual([200, 'THROTTLED']);
  expect(at(body, 'extensions.cost')).toMatchObject({
    requestedQueryCost: 200,
    actualQueryCost: null,
    throttleStatus: { currentlyAvailable: 0, restoreRate: 100 },
  });
});

test('An expired token is refused, and its refresh token still works', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const { keystring = '', refreshToken = '' } = bench.sandbox.connection('etsy').credentials;
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'expiredToken', count: 1 });
  expect((await etsy('GET', '/v3/application/users/me')).body).toMatchObject({ error: 'invalid_token' });
  const form = { grant_type: 'refresh_token', client_id: keystring, refresh_token: refreshToken };
  const refreshed = await etsy('POST', '/v3/public/oauth/token', { form });
  const headers = { authorization: `Bearer ${String(at(refreshed.body, 'access_token'))}` };
  expect((await etsy('GET', '/v3/application/users/me', { headers })).status).toBe(200);
});

test('Latency holds the answer back until its time has passed', async () => {
  await using bench = await openSandbox();
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'latency', delayMs: { min: 4000, max: 4000 } });
  let answered = false;
  const answer = etsyClient(bench.sandbox)('GET', '/v3/application/users/me').then((value) => {
    answered = true;
    return value;
  });
  await timerSet(bench.clock);
  bench.clock.advance(3999);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toBe(false);
  bench.clock.advance(1);
  expect((await answer).status).toBe(200);
});

test('A stale read answers the number from before', async () => {
  await using bench = await openSandbox();
  bench.clock.advance(60_000);
  buy(bench.sandbox, 'etsy', 'A', 2);
  bench.clock.advance(5000);
  bench.sandbox.faults.add({
    platform: 'etsy',
    kind: 'staleRead',
    ageMs: 30_000,
    operation: 'getListingInventory',
  });
  const path = `/v3/application/listings/${listingId(bench.sandbox, 'etsy', 'A')}/inventory`;
  const { body } = await etsyClient(bench.sandbox)('GET', path);
  expect([at(body, 'products.0.offerings.0.quantity'), bench.sandbox.displayed('etsy')['A']]).toEqual([5, 3]);
});

test('A late effect is accepted at once and applied later', async () => {
  await using bench = await openSandbox();
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'lateEffect', delayMs: { min: 9000, max: 9000 } });
  const path = `/v3/application/listings/${listingId(bench.sandbox, 'etsy', 'A')}/inventory`;
  const { status } = await etsyClient(bench.sandbox)('PUT', path, { json: { products: [one] } });
  expect([status, bench.sandbox.displayed('etsy')['A']]).toEqual([200, 5]);
  bench.clock.advance(9000);
  expect(bench.sandbox.displayed('etsy')['A']).toBe(2);
});

test('A truncated page leaves rows out and claims to be the last', async () => {
  await using bench = await openSandbox();
  bench.sandbox.faults.add({ platform: 'shopify', kind: 'truncatedPage', keep: 1 });
  const query = '{ inventoryItems(first: 10) { nodes { sku } pageInfo { hasNextPage } } }';
  const { body } = await shopifyClient(bench.sandbox)(query);
  expect(at(body, 'data.inventoryItems')).toEqual({
    nodes: [{ sku: 'A' }],
    pageInfo: { hasNextPage: false },
  });
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'truncatedPage' });
  const listings = await etsyClient(bench.sandbox)('GET', '/v3/application/shops/41000001/listings');
  expect(listings.body).toEqual({ count: 2, results: [] });
});

test('A fault hits only its marketplace and operation, and ends after its count', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'serverError', operation: 'getMe', count: 2 });
  bench.sandbox.faults.add({ platform: 'shopify', kind: 'serverError', operation: 'orders' });
  const statuses = [];
  for (const path of ['openapi-ping', 'users/me', 'users/me', 'users/me'])
    statuses.push((await etsy('GET', `/v3/application/${path}`)).status);
  expect(statuses).toEqual([200, 503, 503, 200]);
  const shopify = shopifyClient(bench.sandbox);
  expect((await shopify('query Any { shop { id } }')).status).toBe(200);
  expect((await shopify('query Any { orders(first: 1) { nodes { id } } }')).status).toBe(503);
});

function draw(seed: number): readonly (number | null)[] {
  const faults = createFaults(createRandom(seed));
  faults.add({ platform: 'ebay', kind: 'serverError', probability: 0.3 });
  return Array.from({ length: 500 }, () => faults.forCall('ebay', 'getOrders').serverErrorStatus);
}

test('The same seed gives the same misfortunes, at about the asked rate', () => {
  expect(draw(5)).toEqual(draw(5));
  expect(draw(5)).not.toEqual(draw(6));
  const hits = draw(5).filter((status) => status !== null).length;
  expect(hits).toBeGreaterThan(110);
  expect(hits).toBeLessThan(190);
});

test('A fault that makes no sense is refused', () => {
  const faults = createFaults(createRandom(1));
  expect(() => faults.add({ platform: 'etsy', kind: 'serverError', status: 404 })).toThrow('>=500');
  expect(() => faults.add({ platform: 'etsy', kind: 'latency', delayMs: { min: 5, max: 1 } })).toThrow(
    'min must not be above max',
  );
  expect(faults.list()).toEqual([]);
});

test('Stopping ends a call that is held back by latency', async () => {
  await using bench = await openSandbox();
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'latency', delayMs: { min: 60_000, max: 60_000 } });
  const answer = etsyClient(bench.sandbox)('GET', '/v3/application/users/me').catch(
    (error: unknown) => error,
  );
  await timerSet(bench.clock);
  await bench.sandbox.stop();
  await answer;
  expect(bench.clock.pending()).toBe(0);
});

test('A port that is taken fails the start and leaves nothing listening', async () => {
  await using bench = await openSandbox();
  const taken = Number(new URL(bench.sandbox.url('etsy')).port);
  const second = createSandbox({ ports: { shopify: taken } });
  await expect(second.start()).rejects.toThrow('EADDRINUSE');
  expect(() => second.url('etsy')).toThrow('not started');
  expect(variantId(second, 'etsy', 'MUG-BLUE')).toMatch(/^\d+$/);
});
