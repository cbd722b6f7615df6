/** The WebSocket transport keeps its protocol and its limits, waits for slow readers, and lets clients come back. */
import { createClient } from 'graphql-ws';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { revokeApiKey } from '../../src/apiKeys.ts';
import { stockPayload } from '../schema/fakeSync.ts';
import { insertShop } from '../schema/rows.ts';
import { waitFor, within } from '../support/waiting.ts';
import { connect, connectWith, openServer, type Server } from './serverFixture.ts';

const query = 'subscription { stockEvents { __typename ... on StockEvent { sku quantity } } }';
const id = '00000000-0000-7000-8000-000000000001';

function publish({ api }: Server, quantity: number, more: object = {}): void {
  const payload = Object.defineProperties(stockPayload(id, quantity), Object.getOwnPropertyDescriptors(more));
  api.sync.publish({ accountId: api.shop.accountId, topic: 'stock', subjectId: id, payload });
}

test('events arrive over graphql-ws, and completing ends the stream', async () => {
  await using server = await openServer();
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  client.send({ type: 'subscribe', id: 'a', payload: { query } });
  expect(await client.next()).toMatchObject({ type: 'next', id: 'a' });
  publish(server, 3);
  expect(await client.next()).toEqual({
    type: 'next',
    id: 'a',
    payload: { data: { stockEvents: { __typename: 'StockEvent', sku: 'SKU-1', quantity: 3 } } },
  });
  client.send({ type: 'complete', id: 'a' });
  await server.api.sync.opened(0);
  expect(server.api.sync.openStreams()).toBe(0);
});

test('a key may also come in the headers of the upgrade', async () => {
  await using server = await openServer();
  await using client = await connect(server.webSocketUrl, { authorization: `Bearer ${server.api.key}` });
  client.send({ type: 'connection_init' });
  expect((await client.next()).type).toBe('connection_ack');
  client.send({ type: 'subscribe', id: '1', payload: { query: '{ viewer { keyName } }' } });
  expect(await client.next()).toMatchObject({ payload: { data: { viewer: { keyName: 'test' } } } });
});

test('a wrong key is closed with 4403', async () => {
  await using server = await openServer();
  await using client = await connect(server.webSocketUrl);
  client.send({ type: 'connection_init', payload: { apiKey: 'lgs_wrong_wrong_wrong' } });
  expect((await client.closed).code).toBe(4403);
});

test('what cannot be a key is a wrong one, and not none', async () => {
  await using server = await openServer();
  await using client = await connect(server.webSocketUrl);
  client.send({ type: 'connection_init', payload: { apiKey: 12 } });
  expect((await client.closed).code).toBe(4403);
});

test('the protocol is kept: 4400, 4401, 4406, 4408, 4409 and 4429', async () => {
  await using server = await openServer({ webSocket: { initWaitMs: 50, socketsMax: 100 } });
  const { key } = server.api;
  const codeAfter = async (...messages: Parameters<Awaited<ReturnType<typeof connect>>['send']>[0][]) => {
    await using client = await connect(server.webSocketUrl);
    for (const message of messages) client.send(message);
    return (await within(client.closed, 2_000, 'the socket to be closed')).code;
  };
  const init = { type: 'connection_init', payload: { apiKey: key } };
  const subscribe = { type: 'subscribe', id: '1', payload: { query } };
  expect(await codeAfter('nonsense')).toBe(4400);
  expect(await codeAfter(subscribe)).toBe(4401);
  expect(await codeAfter()).toBe(4408);
  expect(await codeAfter(init, init)).toBe(4429);
  await using other = await connect(server.webSocketUrl, {}, 'graphql-transport-ws');
  expect(other.socket.protocol).toBe('graphql-transport-ws');
  await expect(connect(server.webSocketUrl, {}, 'graphql-ws')).rejects.toThrow('subprotocol');
  await using twice = await connectWith(server.webSocketUrl, key);
  twice.send(subscribe);
  await twice.next();
  twice.send(subscribe);
  expect((await twice.closed).code).toBe(4409);
});

test('a socket without the subprotocol is closed with 4406', async () => {
  await using server = await openServer();
  const socket = new WebSocket(server.webSocketUrl);
  const code = await new Promise((resolve) => {
    socket.once('close', resolve);
  });
  expect(code).toBe(4406);
});

test('a syntax error answers its operation and leaves the socket and its other operations alone', async () => {
  await using server = await openServer();
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  client.send({ type: 'subscribe', id: 'good', payload: { query } });
  await client.next();
  client.send({ type: 'subscribe', id: 'bad', payload: { query: 'subscription {' } });
  expect(await client.next()).toMatchObject({
    type: 'error',
    id: 'bad',
    payload: [{ extensions: { code: 'GRAPHQL_PARSE_FAILED' } }],
  });
  publish(server, 1);
  expect(await client.next()).toMatchObject({ type: 'next', id: 'good' });
});

test('operations per socket are bounded, and a finished one makes room', async () => {
  await using server = await openServer({ webSocket: { operationsPerSocketMax: 2 } });
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  for (const each of ['1', '2']) {
    client.send({ type: 'subscribe', id: each, payload: { query } });
    await client.next();
  }
  client.send({ type: 'subscribe', id: '3', payload: { query } });
  expect(await client.next()).toMatchObject({
    type: 'error',
    id: '3',
    payload: [{ extensions: { code: 'LIMIT_OPERATIONS' } }],
  });
  client.send({ type: 'complete', id: '1' });
  await server.api.sync.opened(1);
  client.send({ type: 'subscribe', id: '4', payload: { query } });
  expect(await client.next()).toMatchObject({ type: 'next', id: '4' });
});

test('sockets per account are bounded, without a cost to other accounts', async () => {
  await using server = await openServer({ webSocket: { socketsPerAccountMax: 1 } });
  const { api, webSocketUrl } = server;
  const first = await connectWith(webSocketUrl, api.key);
  await using second = await connect(webSocketUrl);
  second.send({ type: 'connection_init', payload: { apiKey: api.key } });
  expect((await second.closed).code).toBe(1013);
  const { key } = await api.keyFor(await insertShop(api.database.pool));
  await using other = await connectWith(webSocketUrl, key);
  expect(other.socket.readyState).toBe(WebSocket.OPEN);
  await first[Symbol.asyncDispose]();
  const again = await waitFor(() => connectWith(webSocketUrl, api.key));
  await again[Symbol.asyncDispose]();
});

test('sockets of the whole process are bounded', async () => {
  await using server = await openServer({ webSocket: { socketsMax: 1 } });
  await using first = await connect(server.webSocketUrl);
  expect(first.socket.readyState).toBe(WebSocket.OPEN);
  await expect(connect(server.webSocketUrl)).rejects.toThrow('503');
});

test('pages of other origins may not connect unless their origin is configured', async () => {
  await using server = await openServer({ webSocket: { corsOrigins: ['https://shop.example'] } });
  for (const origin of ['https://shop.example', new URL(server.url).origin]) {
    await using allowed = await connect(server.webSocketUrl, { origin });
    expect(allowed.socket.readyState).toBe(WebSocket.OPEN);
  }
  await expect(connect(server.webSocketUrl, { origin: 'https://evil.example' })).rejects.toThrow('403');
  await expect(connect(server.webSocketUrl.replace('/graphql', '/other'))).rejects.toThrow('404');
});

test('a message that is too large closes the socket', async () => {
  await using server = await openServer({ webSocket: { payloadMaxBytes: 1_000 } });
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  client.send('x'.repeat(2_000));
  expect((await client.closed).code).toBe(1009);
});

test('a revoked key loses its sockets with 4403', async () => {
  await using server = await openServer();
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  client.send({ type: 'subscribe', id: '1', payload: { query } });
  await client.next();
  await revokeApiKey(server.api.database.pool, server.api.session.keyId);
  await server.api.keys.recheck();
  expect((await client.closed).code).toBe(4403);
  await server.api.sync.opened(0);
});

test('shutting down closes with 1001 and completes no subscription, so that clients come back', async () => {
  await using server = await openServer();
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  client.send({ type: 'subscribe', id: '1', payload: { query } });
  await client.next();
  const after = client.next().catch(String);
  await server.webSocket.close(1_000);
  expect(await client.closed).toEqual({ code: 1001, reason: 'Going away' });
  expect(await after).toBe('Error: the socket was closed with 1001');
});

test('a socket that answers no ping is cut', async () => {
  await using server = await openServer({ webSocket: { pingIntervalMs: 20 } });
  const socket = new WebSocket(server.webSocketUrl, 'graphql-transport-ws', { autoPong: false });
  const code = await new Promise((resolve) => {
    socket.once('close', resolve);
  });
  expect(code).toBe(1006);
});

test('a client that does not read is not written to: results are made only as fast as they leave', async () => {
  await using server = await openServer();
  await using client = await connectWith(server.webSocketUrl, server.api.key);
  client.send({ type: 'subscribe', id: '1', payload: { query } });
  await client.next();
  client.socket.pause();
  const events = 400;
  const made = { count: 0 };
  const heavy = 'x'.repeat(100_000);
  for (let index = 0; index < events; index += 1) {
    publish(server, index, {
      get sku() {
        made.count += 1;
        return heavy;
      },
    });
  }
  let before = -1;
  await waitFor(
    () => {
      const still = made.count === before && made.count > 0;
      before = made.count;
      return still;
    },
    { intervalMs: 200 },
  );
  expect(made.count).toBeLessThan(events / 2);
  client.socket.resume();
  await waitFor(() => made.count >= events);
});

test('the client of graphql-ws gets events', async () => {
  await using server = await openServer();
  const client = createClient({
    url: server.webSocketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { apiKey: server.api.key },
    retryAttempts: 0,
  });
  const results = client.iterate<{ stockEvents: { quantity?: number } }>({ query });
  await results.next();
  publish(server, 8);
  expect((await results.next()).value).toMatchObject({ data: { stockEvents: { quantity: 8 } } });
  await results.return?.();
  await server.api.sync.opened(0);
  await client.dispose();
});
