/** Sends signed Shopify webhooks at a rate that does not wait for answers, and takes the time until a subscriber hears of each order. */
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { answerCalls } from './processes.ts';
import { sku } from './shopData.ts';
import { newOrderNumber, shopifyOrderBody } from './shopifyOrders.ts';
import { orderHeader, statementPath } from './webhookFloor.ts';

/** `statement`: the floor's server with the product's statement. */
export type Side = 'product' | 'floor' | 'statement';
export type WebhookTargets = {
  readonly product: { readonly url: string; readonly webhookPath: string; readonly apiKey: string };
  readonly floor: { readonly url: string };
  readonly shopDomain: string;
  readonly clientSecret: string;
  readonly items: number;
};
export type WebhookRound = {
  readonly side: Side;
  readonly perSecond: number;
  /** Sales that go before, at the same rate, and do not count. */
  readonly runInSeconds: number;
  readonly seconds: number;
};
export type WebhookRoundAnswer = {
  /** Milliseconds from the first byte sent to the subscriber's message, one per order that counts. */
  readonly latencies: readonly number[];
  /** Orders that no message came for, and webhooks that were not answered with 2xx. */
  readonly lost: number;
  readonly refused: number;
  /** How late the sender itself was at the worst, in milliseconds. */
  readonly latestMs: number;
};

const arrivalTimeoutMs = 20_000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
/** Sent and not heard of yet, by the marketplace's order id. */
const waiting = new Map<string, number>();
let latencies: number[] = [];
/** When the sales that count begin. */
let countedFrom = 0;
let targets: WebhookTargets | undefined;

async function subscribe(to: WebhookTargets): Promise<null> {
  targets = to;
  const opened = Promise.withResolvers<void>();
  const client = createClient({
    url: `${to.product.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { apiKey: to.product.apiKey },
    retryAttempts: 0,
    on: { connected: () => opened.resolve() },
  });
  client.subscribe<{ orderEvents: { platformOrderId?: string } }>(
    { query: 'subscription { orderEvents { ... on OrderEvent { cursor platformOrderId status } } }' },
    {
      next: ({ data }) => hear(data?.orderEvents.platformOrderId),
      error: (error) => opened.reject(error),
      complete: () => undefined,
    },
  );
  await opened.promise;
  // A subscription is not acknowledged; a query sent after it is answered after it was taken in.
  await client.iterate({ query: '{ __typename }' }).next();
  const socket = new WebSocket(to.floor.url.replace('http', 'ws'));
  socket.on('message', (data: Buffer) => {
    hear((JSON.parse(data.toString('utf8')) as { platformOrderId: string }).platformOrderId);
  });
  await once(socket, 'open');
  return null;
}

function hear(orderId: string | undefined): void {
  const sentAt = orderId === undefined ? undefined : waiting.get(orderId);
  if (sentAt === undefined || orderId === undefined) return;
  if (sentAt >= countedFrom) latencies.push(performance.now() - sentAt);
  waiting.delete(orderId);
}

async function send(to: WebhookTargets, side: Side): Promise<boolean> {
  const number = newOrderNumber();
  const orderId = String(number);
  const body = JSON.stringify(shopifyOrderBody(number, sku(Math.floor(Math.random() * to.items))));
  const urls = {
    product: to.product.url + to.product.webhookPath,
    floor: to.floor.url,
    statement: to.floor.url + statementPath,
  };
  const call = request(urls[side], {
    method: 'POST',
    agent,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': to.shopDomain,
      'x-shopify-webhook-id': randomUUID(),
      'x-shopify-hmac-sha256': createHmac('sha256', to.clientSecret).update(body).digest('base64'),
      [orderHeader]: orderId,
    },
  });
  waiting.set(orderId, performance.now());
  call.end(body);
  const [response] = (await once(call, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode < 300;
}

async function round({ side, perSecond, runInSeconds, seconds }: WebhookRound): Promise<WebhookRoundAnswer> {
  const to = targets;
  if (to === undefined) throw new Error('nobody has subscribed');
  latencies = [];
  waiting.clear();
  let refused = 0;
  let latestMs = 0;
  const answers: Promise<void>[] = [];
  let due = performance.now();
  countedFrom = due + runInSeconds * 1_000;
  const end = countedFrom + seconds * 1_000;
  while (due < end) {
    await delay(Math.max(0, due - performance.now()));
    latestMs = Math.max(latestMs, performance.now() - due);
    answers.push(
      send(to, side).then(
        (good) => void (refused += good ? 0 : 1),
        () => void (refused += 1),
      ),
    );
    // Sales come independently of each other: the pauses between them are exponential.
    due += (-Math.log(1 - Math.random()) * 1_000) / perSecond;
  }
  await Promise.all(answers);
  const deadline = performance.now() + arrivalTimeoutMs;
  while (waiting.size > 0 && performance.now() < deadline) await delay(10);
  return { latencies, lost: waiting.size, refused, latestMs };
}

answerCalls({ subscribe, round });
