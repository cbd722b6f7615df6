/** An Amazon sandbox for one test, with every answer checked against Amazon's models. */

import { type AmazonOptions, createAmazonChannel } from '../../src/sandbox/amazon.ts';
import type { ListingInput, ShopSettings } from '../../src/sandbox/goods.ts';
import { assertAmazonAnswer } from '../support/amazonSpecification.ts';
import { type Answer, type ChannelBench, type Request, send, withChannel } from './channelBench.ts';

export const sellerId = 'A1SANDBOXSELLER';
export const marketplaceId = 'ATVPDKIKX0DER';

export type AmazonBench = ChannelBench & {
  /** Sends one request; an answer of the Selling Partner API must conform to its model. */
  readonly call: (method: string, path: string, request?: Request) => Promise<Answer>;
};

const ownPaths = ['/auth/', '/feed-documents/'];

const mug = (
  colour: string,
  quantity: number,
  attributes: Readonly<Record<string, string>>,
): ListingInput => ({
  title: `${colour} mug`,
  variants: [
    {
      sku: `MUG-${colour.toUpperCase()}`,
      quantity,
      price: { minor: 2450, currency: 'USD' },
      attributes,
    },
  ],
});

/** One merchant-fulfilled and one Amazon-fulfilled item. */
const listings = [
  mug('Blue', 5, { asin: 'B0DEMO0001', productType: 'MUG' }),
  mug('Red', 9, { productType: 'MUG', fulfillmentChannelCode: 'AMAZON_NA' }),
];

export function withAmazon(
  run: (bench: AmazonBench) => Promise<void>,
  { rateScale, ...options }: Partial<AmazonOptions> & { readonly rateScale?: number } = {},
  settings: Partial<ShopSettings> = {},
): Promise<void> {
  const create = (parts: Parameters<typeof createAmazonChannel>[0]) => createAmazonChannel(parts, options);
  return withChannel({ platform: 'amazon', create, listings, rateScale, settings }, (bench) => {
    const call: AmazonBench['call'] = async (method, path, request = {}) => {
      const { token = bench.token } = request;
      const authorization = token === null ? {} : { 'x-amz-access-token': token };
      const answer = await send(bench, method, path, request, authorization);
      if (!ownPaths.some((own) => path.startsWith(own)))
        assertAmazonAnswer(method, path, answer.status, answer.body);
      return answer;
    };
    return run({ ...bench, call });
  });
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
