/** Event streams can be resumed by their ids, wait for slow readers, and end with their client or its key. */
import { connect } from 'node:net';
import { createClient } from 'graphql-sse';
import { expect, test } from 'vitest';
import { stockPayload } from '../schema/fakeSync.ts';
import { insertItem } from '../schema/rows.ts';
import { waitFor } from '../support/waiting.ts';
import { listen, openServer, type Server } from './serverFixture.ts';

const query =
  'subscription S($after: Cursor) { stockEvents(after: $after) { __typename ... on StockEvent { quantity } } }';
const id = '00000000-0000-7000-8000-000000000001';

function publish({ api }: Server, quantity: number, more: object = {}): void {
  api.sync.publish({
    accountId: api.shop.accountId,
    topic: 'stock',
    subjectId: id,
    payload: Object.defineProperties(stockPayload(id, quantity), Object.getOwnPropertyDescriptors(more)),
  });
}

function headersOf({ api }: Server, more: Readonly<Record<string, string>> = {}) {
  return { 'x-api-key': api.key, ...more };
}

test('each message carries its cursor as id, and Last-Event-ID resumes after it', async () => {
  await using server = await openServer();
  await using events = await listen(server.url, { query }, headersOf(server));
  expect(events).toMatchObject({ status: 200, type: 'text/event-stream; charset=utf-8' });
  expect(await events.next()).toEqual({
    event: 'next',
    id: '0',
    data: '{"data":{"stockEvents":{"__typename":"Heartbeat"}}}',
  });
  publish(server, 1);
  publish(server, 2);
  expect(await events.next()).toMatchObject({
    id: '1',
    data: expect.stringContaining('"quantity":1') as unknown,
  });

  await using resumed = await listen(
    server.url,
    { query, variables: { after: '0' } },
    headersOf(server, { 'last-event-id': '1' }),
  );
  expect((await resumed.next())?.id).toBe('1');
  expect(await resumed.next()).toMatchObject({
    id: '2',
    data: expect.stringContaining('"quantity":2') as unknown,
  });
});

test('a client that leaves ends its stream', async () => {
  await using server = await openServer();
  const events = await listen(server.url, { query }, headersOf(server));
  await events.next();
  expect(server.api.sync.openStreams()).toBe(1);
  await events[Symbol.asyncDispose]();
  await server.api.sync.opened(0);
});

test('a query asked for as an event stream is answered once and completed', async () => {
  await using server = await openServer();
  await using events = await listen(server.url, { query: '{ __typename }' });
  expect((await events.next())?.data).toBe('{"data":{"__typename":"Query"}}');
  expect((await events.next())?.event).toBe('complete');
  expect(await events.next()).toBeNull();
});

test('a revoked key ends its stream with UNAUTHENTICATED', async () => {
  await using server = await openServer();
  await using events = await listen(server.url, { query }, headersOf(server));
  await events.next();
  await server.api.database.pool.query('UPDATE api_keys SET revoked_at = now()');
  await server.api.keys.recheck();
  expect((await events.next())?.data).toContain('UNAUTHENTICATED');
  expect((await events.next())?.event).toBe('complete');
  await server.api.sync.opened(0);
});

test('a client that does not read is not written to: results are made only as fast as they leave', async () => {
  await using server = await openServer();
  const { port } = new URL(server.url);
  const socket = connect(Number(port), '127.0.0.1');
  const body = JSON.stringify({ query: query.replace('quantity', 'quantity sku') });
  socket.write(
    `POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-type: application/json\r\nx-api-key: ${server.api.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  socket.pause();
  await server.api.sync.opened(1);
  // Far more than the buffers of the kernel and of Node hold.
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
  // Reading again makes it go on.
  socket.resume();
  await waitFor(() => made.count >= events);
  socket.destroy();
  await server.api.sync.opened(0);
});

test('the client of graphql-sse gets events and completion', async () => {
  await using server = await openServer();
  await insertItem(server.api.database.pool, server.api.shop, 'a');
  const client = createClient({ url: server.url, headers: headersOf(server) });
  const results = client.iterate<{ stockEvents: { __typename: string } }>({ query });
  expect((await results.next()).value).toMatchObject({
    data: { stockEvents: { __typename: 'Heartbeat' } },
  });
  publish(server, 5);
  expect((await results.next()).value).toMatchObject({ data: { stockEvents: { quantity: 5 } } });
  await results.return?.();
  await server.api.sync.opened(0);
  client.dispose();
});
