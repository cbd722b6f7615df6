/** An eBay sandbox for one test, with every answer checked against eBay's documents. */

import { createEbayChannel, demoEbayOptions, type EbayOptions } from '../../src/sandbox/ebay.ts';
import type { Order, ShopSettings } from '../../src/sandbox/goods.ts';
import { assertEbayAnswer } from '../support/ebaySpecification.ts';
import { type Answer, answerOf, type ChannelBench, type Request, send, withChannel } from './channelBench.ts';

export const inventory = '/sell/inventory/v1';
export const fulfillment = '/sell/fulfillment/v1';
export const notification = '/commerce/notification/v1';

export type EbayBench = ChannelBench & {
  /** Sends one request; an answer of an eBay API must conform to its document. */
  readonly call: (method: string, path: string, request?: Request) => Promise<Answer>;
  /** The body of a token request's answer. */
  readonly tokens: (form: Readonly<Record<string, string>>, authorization?: string) => Promise<Answer>;
  /** A token of the application alone. */
  readonly applicationToken: () => Promise<string>;
  readonly buy: (quantity?: number, options?: { readonly paid?: boolean; readonly sku?: string }) => Order;
};

export const basic = (appId = demoEbayOptions.appId, certId = demoEbayOptions.certId) =>
  `Basic ${Buffer.from(`${appId}:${certId}`).toString('base64')}`;

const price = { minor: 2450, currency: 'USD' };
const listings = [
  { title: 'Blue mug', variants: [{ sku: 'MUG-BLUE', quantity: 5, offerQuantity: 5, price }] },
];

/** The shop has one published item. */
export function withEbay(
  run: (bench: EbayBench) => Promise<void>,
  { rateScale, ...options }: Partial<EbayOptions> & { readonly rateScale?: number } = {},
  settings: Partial<ShopSettings> = {},
): Promise<void> {
  const create = (parts: Parameters<typeof createEbayChannel>[0]) => createEbayChannel(parts, options);
  return withChannel({ platform: 'ebay', create, listings, rateScale, settings }, (bench) =>
    run({ ...bench, ...clientOf(bench) }),
  );
}

function clientOf(bench: ChannelBench): Omit<EbayBench, keyof ChannelBench> {
  const tokens: EbayBench['tokens'] = async (form, authorization = basic()) =>
    answerOf(
      await fetch(`${bench.server.url}/identity/v1/oauth2/token`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form),
      }),
    );
  return {
    tokens,
    async call(method, path, request = {}) {
      const { token = bench.token } = request;
      const answer = await send(bench, method, path, request, {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(request.body === undefined ? {} : { 'content-language': 'en-US' }),
      });
      assertEbayAnswer(method, path, answer.status, answer.body);
      return answer;
    },
    async applicationToken() {
      const scope = 'https://api.ebay.com/oauth/api_scope';
      const { body } = await tokens({ grant_type: 'client_credentials', scope });
      return (body as { access_token: string }).access_token;
    },
    buy(quantity = 1, { paid = true, sku = 'MUG-BLUE' } = {}) {
      const lines = [{ variantId: bench.variant(sku).id, quantity }];
      const result = bench.shop.orders.place({
        lines,
        paid,
        customerName: 'Ada Example',
        shippingMinor: 750,
      });
      if (result.kind === 'refused') throw new Error(`refused: ${result.displayed} left`);
      return result.order;
    },
  };
}

/** An error body with exactly this eBay error number. */
export const ebayError = (status: number, errorId: number) => ({ status, body: { errors: [{ errorId }] } });
