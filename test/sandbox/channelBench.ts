/** One marketplace of the sandbox for one test: real HTTP, a clock that stands still, and webhooks to a receiver where a test wants them. */

import {
  type Channel,
  type ChannelParts,
  type ChannelServer,
  serveChannel,
} from '../../src/sandbox/channel.ts';
import { createManualClock, createSystemClock, type ManualClock } from '../../src/sandbox/clock.ts';
import { createFaults, type Faults } from '../../src/sandbox/faults.ts';
import type { ListingInput, Platform, ShopSettings, Variant } from '../../src/sandbox/goods.ts';
import { createIdentifiers } from '../../src/sandbox/identifiers.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import { createWebhookSender } from '../../src/sandbox/webhookSender.ts';
import { Shop } from '../../src/sandbox/world.ts';
import { openWebhookReceiver, type ReceiverAnswers, type WebhookReceiver } from './webhookReceiver.ts';

export const startAt = Date.parse('2026-11-22T08:00:00.000Z');

export type ChannelBench = {
  readonly shop: Shop;
  readonly clock: ManualClock;
  readonly faults: Faults;
  readonly channel: Channel;
  readonly server: ChannelServer;
  /** A good access token. */
  readonly token: string;
  readonly refreshToken: string;
  /** The variant of a SKU that exists. */
  readonly variant: (sku: string) => Variant;
};

export type ChannelSetup = {
  readonly platform: Platform;
  readonly create: (parts: ChannelParts) => Channel;
  readonly listings: readonly ListingInput[];
  /** Default 1000. */
  readonly rateScale?: number | undefined;
  readonly settings: Partial<ShopSettings>;
};

/** Opens a shop with these listings, runs the test and closes everything. */
export async function withChannel(
  { platform, create, listings, rateScale = 1000, settings }: ChannelSetup,
  run: (bench: ChannelBench) => Promise<void>,
): Promise<void> {
  const clock = createManualClock(startAt);
  const random = createRandom(1);
  const identifiers = createIdentifiers(platform, startAt);
  const shop = new Shop({ platform, clock, random: random.fork('shop'), identifiers, settings });
  for (const listing of listings) shop.addListing(listing);
  const faults = createFaults(random.fork('faults'));
  const channel = create({ shop, clock, random, rateScale });
  const server = await serveChannel(channel, { shop, clock, faults, port: 0 });
  const { accessToken: token = '', refreshToken = '' } = channel.connection(server.url, null).credentials;
  const variant = (sku: string) => shop.variantBySku(sku) ?? shop.requireVariant(`no SKU ${sku}`);
  try {
    await run({ shop, clock, faults, channel, server, token, refreshToken, variant });
  } finally {
    await server.stop();
  }
}

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown };

export type Request = {
  readonly query?: Readonly<Record<string, string>>;
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  /** Default: a good token. Null sends none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
};

/** An empty body is null, and one that is no JSON stays a text. */
export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const answer = (body: unknown) => ({ status: response.status, headers: response.headers, body });
  if (text === '') return answer(null);
  try {
    return answer(JSON.parse(text));
  } catch {
    return answer(text);
  }
}

/** `authorization` are the headers that carry the token, which this function does not add. */
export async function send(
  { server }: ChannelBench,
  method: string,
  path: string,
  { query, body, headers }: Request,
  authorization: Readonly<Record<string, string>>,
): Promise<Answer> {
  const search = new URLSearchParams(query).toString();
  const content = typeof body === 'string' ? body : JSON.stringify(body);
  return answerOf(
    await fetch(server.url + path + (search === '' ? '' : `?${search}`), {
      method,
      headers: {
        ...authorization,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: content }),
    }),
  );
}

export type Webhooks = { readonly receiver: WebhookReceiver; readonly idle: () => Promise<void> };

/** Sends everything the channel tells, by HTTP, to a receiver. */
export async function withWebhooks(
  { shop, channel, faults }: ChannelBench,
  answers: ReceiverAnswers,
  run: (webhooks: Webhooks) => Promise<void>,
): Promise<void> {
  await using receiver = await openWebhookReceiver(answers);
  const clock = createSystemClock();
  const { platform } = channel;
  const sender = createWebhookSender({ platform, clock, faults, retryDelaysMs: [1, 1] });
  sender.target = receiver.url;
  const unsubscribe = shop.subscribe((event) => {
    for (const delivery of channel.deliveries(event)) sender.send(delivery);
  });
  try {
    await run({ receiver, idle: () => sender.idle() });
  } finally {
    unsubscribe();
    await sender.stop();
    clock.cancelAll();
  }
}
