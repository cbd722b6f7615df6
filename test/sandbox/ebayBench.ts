/** An eBay sandbox for one test: real HTTP, a clock that stands still, and every answer checked against eBay's documents. */

import { type Channel, type ChannelServer, serveChannel } from '../../src/sandbox/channel.ts';
import { createManualClock, type ManualClock } from '../../src/sandbox/clock.ts';
import { createEbayChannel, demoEbayOptions, type EbayOptions } from '../../src/sandbox/ebay.ts';
import { createFaults, type Faults } from '../../src/sandbox/faults.ts';
import type { Order, ShopSettings, Variant } from '../../src/sandbox/goods.ts';
import { createIdentifiers } from '../../src/sandbox/identifiers.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import { Shop } from '../../src/sandbox/world.ts';
import { assertEbayAnswer } from './ebaySpecification.ts';

export const startAt = Date.parse('2026-11-22T08:00:00.000Z');

export const inventory = '/sell/inventory/v1';
export const fulfillment = '/sell/fulfillment/v1';
export const notification = '/commerce/notification/v1';

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown };

export type EbayRequest = {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Default: the seller's good token. Null sends none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
};

export type EbayBench = {
  readonly shop: Shop;
  readonly clock: ManualClock;
  readonly faults: Faults;
  readonly channel: Channel;
  readonly server: ChannelServer;
  readonly refreshToken: string;
  /** Sends one request; an answer of an eBay API must conform to its document. */
  readonly call: (method: string, path: string, request?: EbayRequest) => Promise<Answer>;
  /** The body of a token request's answer. */
  readonly tokens: (form: Readonly<Record<string, string>>, authorization?: string) => Promise<Answer>;
  /** A token of the application alone. */
  readonly applicationToken: () => Promise<string>;
  readonly variant: (sku: string) => Variant;
  readonly buy: (quantity?: number, options?: { readonly paid?: boolean; readonly sku?: string }) => Order;
};

export const basic = (appId = demoEbayOptions.appId, certId = demoEbayOptions.certId) =>
  `Basic ${Buffer.from(`${appId}:${certId}`).toString('base64')}`;

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

/** Opens a shop with one published item, runs the test and closes everything. */
export async function withEbay(
  run: (bench: EbayBench) => Promise<void>,
  options: Partial<EbayOptions> & { readonly rateScale?: number } = {},
  settings: Partial<ShopSettings> = {},
): Promise<void> {
  const clock = createManualClock(startAt);
  const random = createRandom(1);
  const shop = new Shop({
    platform: 'ebay',
    clock,
    random: random.fork('shop'),
    identifiers: createIdentifiers('ebay', startAt),
    settings,
  });
  const price = { minor: 2450, currency: 'USD' };
  shop.addListing({
    title: 'Blue mug',
    variants: [{ sku: 'MUG-BLUE', quantity: 5, offerQuantity: 5, price }],
  });
  const faults = createFaults(random.fork('faults'));
  const { rateScale = 1000, ...rest } = options;
  const channel = createEbayChannel({ shop, clock, random, rateScale }, rest);
  const server = await serveChannel(channel, { shop, clock, faults, port: 0 });
  const { credentials } = channel.connection(server.url, null);

  const call: EbayBench['call'] = async (method, path, request = {}) => {
    const query = new URLSearchParams(request.query).toString();
    const token = request.token === undefined ? (credentials['accessToken'] ?? '') : request.token;
    const response = await fetch(server.url + path + (query === '' ? '' : `?${query}`), {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(request.body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-language': 'en-US' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    const answer = await answerOf(response);
    assertEbayAnswer(method, path, answer.status, answer.body);
    return answer;
  };
  const tokens: EbayBench['tokens'] = async (form, authorization = basic()) =>
    answerOf(
      await fetch(`${server.url}/identity/v1/oauth2/token`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form),
      }),
    );
  const variant = (sku: string) => shop.variantBySku(sku) ?? shop.requireVariant(`no SKU ${sku}`);

  try {
    await run({
      shop,
      clock,
      faults,
      channel,
      server,
      refreshToken: credentials['refreshToken'] ?? '',
      call,
      tokens,
      variant,
      async applicationToken() {
        const scope = 'https://api.ebay.com/oauth/api_scope';
        const { body } = await tokens({ grant_type: 'client_credentials', scope });
        return (body as { access_token: string }).access_token;
      },
      buy(quantity = 1, { paid = true, sku = 'MUG-BLUE' } = {}) {
        const lines = [{ variantId: variant(sku).id, quantity }];
        const result = shop.orders.place({ lines, paid, customerName: 'Ada Example', shippingMinor: 750 });
        if (result.kind === 'refused') throw new Error(`refused: ${result.displayed} left`);
        return result.order;
      },
    });
  } finally {
    await server.stop();
  }
}

/** An error body with exactly this eBay error number. */
export const ebayError = (status: number, errorId: number) => ({ status, body: { errors: [{ errorId }] } });
