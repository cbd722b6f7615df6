/** Many WebSocket clients in one process: counts what arrives, keeps it, and checks afterwards that nobody missed anything. */
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { WebSocket } from 'ws';
import { answerCalls } from './processes.ts';

export type FanOutOpening = {
  readonly url: string;
  /** Null: a server without GraphQL, that just sends. */
  readonly apiKey: string | null;
  readonly clients: number;
};
export type FanOutAnswer = {
  readonly perSecond: number;
  /** Clients that did not get exactly the expected messages in their order. */
  readonly incomplete: number;
  /** One client's messages, as they came. */
  readonly frames: readonly string[];
  /** How busy this process was, 0 to 1: near 1 the clients are what is measured. */
  readonly utilization: number;
};

type Client = { readonly socket: WebSocket; readonly side: string; got: Buffer[] };

const arrivalTimeoutMs = 60_000;
const openAtOnce = 50;
const query =
  'subscription { stockEvents { __typename ... on StockEvent { cursor itemId sku quantity reserved available seq } } }';
const clients: Client[] = [];

async function open({ url, apiKey, clients: count }: FanOutOpening): Promise<null> {
  for (let opened = 0; opened < count; opened += openAtOnce) {
    await Promise.all(
      Array.from({ length: Math.min(openAtOnce, count - opened) }, () => openClient(url, apiKey)),
    );
  }
  return null;
}

async function openClient(url: string, apiKey: string | null): Promise<void> {
  const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false });
  await once(socket, 'open');
  if (apiKey !== null) {
    socket.send(JSON.stringify({ type: 'connection_init', payload: { apiKey } }));
    await once(socket, 'message');
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    // A subscription is not acknowledged; a query sent after it is answered after it was taken in.
    socket.send(JSON.stringify({ id: '2', type: 'subscribe', payload: { query: '{ __typename }' } }));
    await once(socket, 'message');
  }
  const client: Client = { socket, side: apiKey === null ? 'floor' : 'product', got: [] };
  socket.on('message', (data: Buffer) => arrived(client, data));
  clients.push(client);
}

let expected = 0;
let seen = 0;
let firstAt = 0;
let side = '';
let all = Promise.withResolvers<void>();

function arrived(client: Client, data: Buffer): void {
  // A heartbeat of a quiet stream is no delivery.
  if (client.side !== side || data.includes('"Heartbeat"')) return;
  if (seen === 0) firstAt = performance.now();
  client.got.push(data);
  if (++seen === expected) all.resolve();
}

/** Call before the events are made; `received` answers when they have come. */
async function expect(want: {
  readonly side: 'product' | 'floor';
  readonly messages: number;
}): Promise<null> {
  side = want.side;
  for (const client of clients) client.got = [];
  expected = want.messages * clients.filter((client) => client.side === side).length;
  seen = 0;
  all = Promise.withResolvers();
  return null;
}

async function received(): Promise<FanOutAnswer> {
  const before = performance.eventLoopUtilization();
  const late = setTimeout(() => all.resolve(), arrivalTimeoutMs);
  await all.promise;
  clearTimeout(late);
  const seconds = (performance.now() - firstAt) / 1_000;
  const { utilization } = performance.eventLoopUtilization(before);
  const mine = clients.filter((client) => client.side === side);
  const texts = mine.map(({ got }) => got.map((data) => data.toString('utf8')));
  const frames = texts[0] ?? [];
  const wanted = frames.map(changeOf).join(' ');
  const incomplete = texts.filter(
    (text) => text.length * mine.length !== expected || text.map(changeOf).join(' ') !== wanted,
  ).length;
  return { perSecond: seen / seconds, incomplete, frames, utilization };
}

/** Which change of which item a message tells of. */
function changeOf(text: string): string {
  type Message = {
    readonly payload: { readonly data: { readonly stockEvents: { sku: string; seq: number } } };
  };
  const { sku, seq } = (JSON.parse(text) as Message).payload.data.stockEvents;
  return `${sku}:${seq}`;
}

answerCalls({ open, expect, received });
