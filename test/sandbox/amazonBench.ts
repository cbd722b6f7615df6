/** An Amazon sandbox for one test: real HTTP, a clock that stands still, and every answer checked against Amazon's models. */

import { type AmazonOptions, createAmazonChannel } from '../../src/sandbox/amazon.ts';
import { type Channel, type ChannelServer, serveChannel } from '../../src/sandbox/channel.ts';
import { createManualClock, type ManualClock } from '../../src/sandbox/clock.ts';
import { createFaults, type Faults } from '../../src/sandbox/faults.ts';
import type { ShopSettings, Variant } from '../../src/sandbox/goods.ts';
import { createIdentifiers } from '../../src/sandbox/identifiers.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import { Shop } from '../../src/sandbox/world.ts';
import { assertAmazonAnswer } from './amazonSpecification.ts';

export const startAt = Date.parse('2026-11-22T08:00:00.000Z');
export const sellerId = 'A1SANDBOXSELLER';
export const marketplaceId = 'ATVPDKIKX0DER';

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown };

export type AmazonRequest = {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Default: a good token. Null sends none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
};

export type AmazonBench = {
  readonly shop: Shop;
  readonly clock: ManualClock;
  readonly faults: Faults;
  readonly channel: Channel;
  readonly server: ChannelServer;
  readonly token: string;
  readonly refreshToken: string;
  /** Sends one request; an answer of the Selling Partner API must conform to its model. */
  readonly call: (method: string, path: string, request?: AmazonRequest) => Promise<Answer>;
  /** The variant of a SKU that exists. */
  readonly variant: (sku: string) => Variant;
};

const ownPaths = ['/auth/', '/feed-documents/'];

function bodyOf(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const usd = (minor: number) => ({ minor, currency: 'USD' });

/** Opens a shop with one merchant-fulfilled and one Amazon-fulfilled item, runs the test and closes everything. */
export async function withAmazon(
  run: (bench: AmazonBench) => Promise<void>,
  options: Partial<AmazonOptions> & { readonly rateScale?: number } = {},
  settings: Partial<ShopSettings> = {},
): Promise<void> {
  const clock = createManualClock(startAt);
  const random = createRandom(1);
  const shop = new Shop({
    platform: 'amazon',
    clock,
    random: random.fork('shop'),
    identifiers: createIdentifiers('amazon', startAt),
    settings,
  });
  shop.addListing({
    title: 'Blue mug',
    variants: [
      {
        sku: 'MUG-BLUE',
        quantity: 5,
        price: usd(2450),
        attributes: { asin: 'B0DEMO0001', productType: 'MUG' },
      },
    ],
  });
  shop.addListing({
    title: 'Red mug',
    variants: [
      {
        sku: 'MUG-RED',
        quantity: 9,
        price: usd(2450),
        attributes: { productType: 'MUG', fulfillmentChannelCode: 'AMAZON_NA' },
      },
    ],
  });
  const faults = createFaults(random.fork('faults'));
  const { rateScale = 1000, ...rest } = options;
  const channel = createAmazonChannel({ shop, clock, random, rateScale }, rest);
  const server = await serveChannel(channel, { shop, clock, faults, port: 0 });
  const { credentials } = channel.connection(server.url, null);
  const token = credentials['accessToken'] ?? '';
  try {
    await run({
      shop,
      clock,
      faults,
      channel,
      server,
      token,
      refreshToken: credentials['refreshToken'] ?? '',
      variant: (sku) => shop.variantBySku(sku) ?? shop.requireVariant(`no SKU ${sku}`),
      async call(method, path, request = {}) {
        const query = new URLSearchParams(request.query).toString();
        const sent = request.token === undefined ? token : request.token;
        const response = await fetch(server.url + path + (query === '' ? '' : `?${query}`), {
          method,
          headers: {
            ...(sent === null ? {} : { 'x-amz-access-token': sent }),
            ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
            ...request.headers,
          },
          ...(request.body === undefined
            ? {}
            : { body: typeof request.body === 'string' ? request.body : JSON.stringify(request.body) }),
        });
        const body = bodyOf(await response.text());
        if (!ownPaths.some((own) => path.startsWith(own)))
          assertAmazonAnswer(method, path, response.status, body);
        return { status: response.status, headers: response.headers, body };
      },
    });
  } finally {
    await server.stop();
  }
}

export const itemPath = (sku: string) => `/listings/2021-08-01/items/${sellerId}/${encodeURIComponent(sku)}`;

/** The body of a PATCH that sets the merchant's quantity. */
export const quantityPatch = (quantity: unknown, productType = 'MUG') => ({
  productType,
  patches: [
    {
      op: 'merge',
      path: '/attributes/fulfillment_availability',
      value: [{ fulfillment_channel_code: 'DEFAULT', quantity }],
    },
  ],
});

export const pricePatch = (amount: number, op: 'merge' | 'replace' = 'merge') => ({
  productType: 'PRODUCT',
  patches: [
    {
      op,
      path: '/attributes/purchasable_offer',
      value: [
        {
          marketplace_id: marketplaceId,
          currency: 'USD',
          audience: 'ALL',
          our_price: [{ schedule: [{ value_with_tax: amount }] }],
        },
      ],
    },
  ],
});
