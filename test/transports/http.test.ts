/** The HTTP server takes what it should, refuses the rest with the right status, and closes without losing anybody. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { createGate } from '../support/waiting.ts';
import { listen, openServer, post } from './serverFixture.ts';

const typename = { query: '{ __typename }' };

test('health says yes while the process runs, ready only while its checks pass and nobody stops it', async () => {
  let good = true;
  const checks = {
    database: async () => (good ? undefined : Promise.reject(new Error('secret'))),
    bus: async () => undefined,
  };
  await using server = await openServer({ http: { checks } });
  const base = server.url.replace('/graphql', '');
  const ask = async (path: string) => {
    const response = await fetch(base + path);
    return { status: response.status, body: (await response.json()) as unknown };
  };
  expect(await ask('/health')).toEqual({ status: 200, body: { status: 'ok' } });
  expect(await ask('/ready')).toEqual({
    status: 200,
    body: { status: 'ok', checks: { database: 'ok', bus: 'ok' } },
  });
  good = false;
  expect(await ask('/ready')).toEqual({
    status: 503,
    body: { status: 'failed', checks: { database: 'failed', bus: 'ok' } },
  });
  good = true;
  server.http.drain();
  expect(await ask('/ready')).toMatchObject({ status: 503, body: { status: 'stopping' } });
  expect(await ask('/health')).toMatchObject({ status: 200 });
});

test('a check that never answers fails in time', async () => {
  const checks = { slow: () => new Promise<void>(() => undefined) };
  await using server = await openServer({ http: { checks, checkTimeoutMs: 20 } });
  const response = await fetch(server.url.replace('graphql', 'ready'));
  expect(response.status).toBe(503);
});

test('the start page needs no script and says where everything is', async () => {
  await using server = await openServer();
  const response = await fetch(server.url.replace('graphql', ''));
  const page = await response.text();
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(page).not.toContain('<script');
  for (const word of ['/graphql', '/health', '/ready', 'schema.graphql']) expect(page).toContain(word);
  expect(page).not.toContain('GraphiQL');
});

test('an unknown path is 404 and a wrong method 405', async () => {
  await using server = await openServer();
  const base = server.url.replace('graphql', '');
  expect((await fetch(`${base}nothing`)).status).toBe(404);
  const refused = await fetch(`${base}health`, { method: 'POST' });
  expect(refused.status).toBe(405);
  expect(refused.headers.get('allow')).toBe('GET, HEAD');
  expect((await fetch(server.url, { method: 'DELETE' })).status).toBe(405);
});

test('webhooks go to their own door, and its failure is a plain 500', async () => {
  const paths: (string | undefined)[] = [];
  await using server = await openServer({
    http: {
      async webhooks(request, response) {
        paths.push(request.url);
        if (request.url?.endsWith('bad')) throw new Error('secret');
        response.statusCode = 202;
        response.end();
      },
    },
  });
  const base = server.url.replace('graphql', 'webhooks/');
  expect((await fetch(`${base}shopify?x=1`, { method: 'POST', body: 'raw' })).status).toBe(202);
  const failed = await fetch(`${base}bad`, { method: 'POST' });
  expect(failed.status).toBe(500);
  expect(await failed.text()).not.toContain('secret');
  expect(paths).toEqual(['/webhooks/shopify?x=1', '/webhooks/bad']);
});

test('a request id is taken over when it is well formed, and made otherwise', async () => {
  await using server = await openServer();
  const idFor = async (id: string) =>
    (await fetch(server.url.replace('graphql', 'health'), { headers: { 'x-request-id': id } })).headers.get(
      'x-request-id',
    );
  expect(await idFor('abc-123')).toBe('abc-123');
  expect(await idFor('a b')).toMatch(/^[\w-]{36}$/);
  expect(await idFor('x'.repeat(100))).toMatch(/^[\w-]{36}$/);
});

test('only JSON is taken: a form or plain text could be posted by any page', async () => {
  await using server = await openServer();
  const bodies = {
    'text/plain': JSON.stringify(typename),
    'application/graphql': '{ __typename }',
    'application/x-www-form-urlencoded': 'query={__typename}',
    'multipart/form-data; boundary=x': '--x--',
  };
  for (const [type, body] of Object.entries(bodies)) {
    const response = await fetch(server.url, { method: 'POST', headers: { 'content-type': type }, body });
    expect([type, response.status]).toEqual([type, 415]);
  }
});

test('a body that is too large, no JSON or a batch is refused', async () => {
  await using server = await openServer({ http: { bodyMaxBytes: 2_000 } });
  expect((await post(server.url, { query: `{ __typename } #${'x'.repeat(3_000)}` })).status).toBe(413);
  expect((await post(server.url, [typename, typename])).status).toBe(400);
  const broken = await fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{',
  });
  expect(broken.status).toBe(400);
  for (const request of [{}, { query: 1 }, { query: '{ __typename }', variables: 'x' }, null]) {
    expect((await post(server.url, request)).status).toBe(400);
  }
  const parameters = await fetch(`${server.url}?query={__typename}&variables=x`);
  expect(parameters.status).toBe(400);
  expect(await parameters.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  expect(server.api.internalErrors).toEqual([]);
});

test('a wrong key is 401 even for what needs none', async () => {
  await using server = await openServer();
  const { status, body } = await post(server.url, typename, {
    authorization: 'Bearer lgs_wrong_wrong_wrong',
  });
  expect(status).toBe(401);
  expect(body.errors?.[0]?.extensions?.['code']).toBe('UNAUTHENTICATED');
});

test('the status says what kind of failure it was', async () => {
  await using server = await openServer();
  const { api, url } = server;
  const { key } = await api.keyFor(api.shop, ['stock:read']);
  const read = { query: '{ orders(first: 1) { totalCount } }' };
  expect((await post(url, read)).status).toBe(401);
  expect((await post(url, read, { 'x-api-key': key })).status).toBe(403);
  expect((await post(url, { query: '{' })).status).toBe(400);
  expect((await post(url, typename)).status).toBe(200);
  // The GraphQL-over-HTTP draft: a plain JSON client gets 200 for a well-formed request that GraphQL refuses.
  expect((await post(url, { query: '{ nothing }' }, { accept: 'application/json' })).status).toBe(200);
  expect((await post(url, read, { accept: 'application/json' })).status).toBe(401);
});

test('a query may come by GET, a mutation may not', async () => {
  await using server = await openServer();
  const get = (query: string) =>
    fetch(`${server.url}?query=${encodeURIComponent(query)}`, { headers: { 'x-api-key': server.api.key } });
  expect(await (await get('{ __typename }')).json()).toEqual({ data: { __typename: 'Query' } });
  expect((await get('mutation { inventorySyncAll { userErrors { code } } }')).status).toBe(405);
  expect(server.api.sync.calls).toEqual([]);
});

test('pages of other origins may not read answers unless their origin is configured', async () => {
  const origin = 'https://shop.example';
  const headers = { origin, 'content-type': 'application/json' };
  const request = { method: 'POST', headers, body: JSON.stringify(typename) };
  {
    await using closed = await openServer();
    expect((await fetch(closed.url, request)).headers.get('access-control-allow-origin')).toBeNull();
  }
  await using open = await openServer({ http: { corsOrigins: [origin] } });
  const allowed = await fetch(open.url, request);
  expect(allowed.headers.get('access-control-allow-origin')).toBe(origin);
  expect(allowed.headers.get('access-control-allow-credentials')).not.toBe('true');
  const other = await fetch(open.url, {
    ...request,
    headers: { ...headers, origin: 'https://evil.example' },
  });
  expect(other.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
});

test('GraphiQL is drawn only where it is switched on', async () => {
  const accept = { headers: { accept: 'text/html' } };
  {
    await using without = await openServer();
    expect(String((await fetch(without.url, accept)).headers.get('content-type'))).not.toContain('text/html');
  }
  await using server = await openServer({
    http: { graphiql: true, renderGraphiql: (options) => `<p>${options?.title}</p>` },
  });
  expect(await (await fetch(server.url, accept)).text()).toBe('<p>ListGenius Sync</p>');
  expect(await (await fetch(server.url.replace('graphql', ''))).text()).toContain('GraphiQL');
});

test('headers that do not arrive in time are not waited for', async () => {
  await using server = await openServer({ http: { headersTimeoutMs: 50 } });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write('POST /graphql HTTP/1.1\r\nhost: x\r\n');
  const [data] = (await once(socket, 'data')) as [Buffer];
  expect(data.toString()).toContain('408');
  socket.destroy();
});

test('closing waits for requests in flight and cuts event streams, which are not completed', async () => {
  const arrived = createGate();
  const leave = createGate();
  await using server = await openServer({
    http: {
      async webhooks(_request, response) {
        arrived.open();
        await leave.opened;
        response.end('done');
      },
    },
  });
  const key = { 'x-api-key': server.api.key };
  const events = await listen(server.url, { query: 'subscription { stockEvents { __typename } }' }, key);
  expect((await events.next())?.event).toBe('next');
  const inFlight = fetch(server.url.replace('graphql', 'webhooks/x'), { method: 'POST' });
  await arrived.opened;
  const closed = server.http.close(10_000);
  await expect(events.next()).rejects.toThrow('terminated');
  await server.api.sync.opened(0);
  leave.open();
  expect(await (await inFlight).text()).toBe('done');
  await closed;
  await expect(fetch(server.url)).rejects.toThrow('fetch failed');
});

test('what is still in flight at the deadline is cut', async () => {
  const arrived = createGate();
  await using server = await openServer({
    http: {
      async webhooks() {
        arrived.open();
        await new Promise(() => undefined);
      },
    },
  });
  const inFlight = fetch(server.url.replace('graphql', 'webhooks/x'), { method: 'POST' });
  await arrived.opened;
  await Promise.all([expect(inFlight).rejects.toThrow('fetch failed'), server.http.close(10)]);
});
