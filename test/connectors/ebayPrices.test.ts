/** eBay: a price is written to the live offers of a SKU, and to nothing else of it. */
import { expect, test } from 'vitest';
import type { Money } from '../../src/connectors/connector.ts';
import { assertEbayBody } from '../support/ebaySpecification.ts';
import { connectEbay, ebayError } from './ebaySeller.ts';
import { type Answer, type ReceivedRequest, unclearAnswers } from './localChannel.ts';

const dollars = (minor: number): Money => ({ minor, currency: 'USD' });
const write = (sku: string, minor: number) => ({
  address: { unitId: sku, variantId: '' },
  price: dollars(minor),
});

const address = (unitId: string) => ({ unitId, variantId: '' });

type Offer = {
  readonly offerId: string;
  readonly price: string;
  readonly currency?: string;
  readonly status?: string;
};

const update = '/sell/inventory/v1/bulk_update_price_quantity';

/** Offers by SKU; `answer` answers the update, by default with success for every offer. */
async function sellerOf(
  skus: Readonly<Record<string, readonly Offer[]>>,
  answer: (call: ReceivedRequest) => Answer = everyOffer,
  settings: Readonly<Record<string, unknown>> = {},
) {
  const { connector, channel } = await connectEbay(
    (call) => {
      if (call.path === update) return answer(call);
      if (call.path !== '/sell/inventory/v1/offer') return { status: 404 };
      const offers = skus[call.query.get('sku') ?? ''] ?? [];
      return offers.length === 0
        ? { status: 404, json: { errors: [ebayError(25_713)] } }
        : { json: body(offers) };
    },
    { settings },
  );
  const updates = () => channel.requests.filter(({ path }) => path === update).map(requestsOf);
  return { connector, updates };
}

function body(offers: readonly Offer[]) {
  const answer = {
    offers: offers.map(({ offerId, price, currency = 'USD', status = 'PUBLISHED' }) => ({
      offerId,
      format: 'FIXED_PRICE',
      availableQuantity: 5,
      pricingSummary: { price: { value: price, currency } },
      status,
      listing: { listingId: '2556', listingStatus: 'ACTIVE' },
    })),
  };
  assertEbayBody('sell_inventory_v1', 'Offers', answer);
  return answer;
}

type Entry = { readonly offers: readonly { readonly offerId: string }[] };

function requestsOf(call: ReceivedRequest): readonly Entry[] {
  const sent = JSON.parse(call.body) as { readonly requests: readonly Entry[] };
  assertEbayBody('sell_inventory_v1', 'BulkPriceQuantity', sent);
  return sent.requests;
}

function entries(call: ReceivedRequest, entry: (offerId: string) => object): Answer {
  const responses = requestsOf(call).flatMap(({ offers }) =>
    offers.map(({ offerId }) =>
      Object.assign({ offerId, statusCode: 200, errors: [], warnings: [] }, entry(offerId)),
    ),
  );
  assertEbayBody('sell_inventory_v1', 'BulkPriceQuantityResponse', { responses });
  return { status: responses.every(({ statusCode }) => statusCode === 200) ? 200 : 207, json: { responses } };
}

const everyOffer = (call: ReceivedRequest): Answer => entries(call, () => ({}));
const mug: readonly Offer[] = [{ offerId: '1', price: '24.50' }];

test('a price names only the offer: neither its quantity nor that of the item', async () => {
  const { connector, updates } = await sellerOf({ MUG: mug });
  expect(await connector.setPrices([write('MUG', 2_999)])).toEqual([{ kind: 'effective' }]);
  expect(updates()).toEqual([[{ offers: [{ offerId: '1', price: { value: '29.99', currency: 'USD' } }] }]]);
});

test('every live offer in the currency of the price gets it, those in another and those that are not live stay', async () => {
  const { connector, updates } = await sellerOf({
    MUG: [
      ...mug,
      { offerId: '2', price: '23.00' },
      { offerId: '3', price: '20.00', currency: 'GBP' },
      { offerId: '4', price: '1.00', status: 'UNPUBLISHED' },
    ],
  });
  expect(await connector.setPrices([write('MUG', 2_999)])).toEqual([{ kind: 'effective' }]);
  expect(updates()[0]?.[0]?.offers.map(({ offerId }) => offerId)).toEqual(['1', '2']);
});

test('a listing in another currency, without a live offer or unknown is refused and not sent', async () => {
  const { connector, updates } = await sellerOf({
    UK: [{ offerId: '1', price: '20.00', currency: 'GBP' }],
    DRAFT: [{ offerId: '2', price: '20.00', status: 'UNPUBLISHED' }],
  });
  expect(
    await connector.setPrices([write('UK', 2_999), write('DRAFT', 2_999), write('GONE', 2_999)]),
  ).toMatchObject([
    {
      kind: 'refused',
      refusal: 'wrong_currency',
      message: 'The listing is sold in GBP, the price is in USD',
    },
    { kind: 'refused', code: 'no_live_offer' },
    { kind: 'refused', code: 'no_live_offer' },
  ]);
  expect(updates()).toEqual([]);
});

test('thirty SKUs travel in two calls of at most 25, or one by one where a shop has set so', async () => {
  const skus = Array.from({ length: 30 }, (_unused, index) => `S${index}`);
  const all = Object.fromEntries(skus.map((sku, index) => [sku, [{ offerId: `${index}`, price: '24.50' }]]));
  const { connector, updates } = await sellerOf(all);
  expect(await connector.setPrices(skus.map((sku) => write(sku, 2_999)))).toEqual(
    skus.map(() => ({ kind: 'effective' })),
  );
  expect(updates().map((call) => call.length)).toEqual([25, 5]);
  const single = await sellerOf(all, everyOffer, { skusPerUpdate: 1 });
  await single.connector.setPrices([write('S1', 2_999), write('S2', 2_999)]);
  expect(single.updates().map((call) => call.length)).toEqual([1, 1]);
});

test('of a 207 every offer is judged by itself, and an invalid price is told apart', async () => {
  const skus = {
    A: [{ offerId: '1', price: '1.00' }],
    B: [{ offerId: '2', price: '1.00' }],
    C: [{ offerId: '3', price: '1.00' }],
    D: [{ offerId: '4', price: '1.00' }],
  };
  const said: Readonly<Record<string, object>> = {
    '2': { statusCode: 400, errors: [ebayError(25_003)] },
    '3': { statusCode: 400, errors: [ebayError(25_002)] },
    '4': { statusCode: 500, errors: [ebayError(25_025, 'APPLICATION')] },
  };
  const { connector } = await sellerOf(skus, (call) => entries(call, (offerId) => said[offerId] ?? {}));
  expect(await connector.setPrices(['A', 'B', 'C', 'D'].map((sku) => write(sku, 10)))).toMatchObject([
    { kind: 'effective' },
    { kind: 'refused', refusal: 'price_not_allowed', code: '25003' },
    { kind: 'refused', refusal: 'other', code: '25002' },
    { kind: 'deferred' },
  ]);
});

test('a bulk call that is refused as a whole is sent SKU by SKU', async () => {
  const { connector, updates } = await sellerOf({ A: mug, B: [{ offerId: '2', price: '1.00' }] }, (call) =>
    requestsOf(call).length > 1 ? { status: 400, json: { errors: [ebayError(25_709)] } } : everyOffer(call),
  );
  expect(await connector.setPrices([write('A', 10), write('B', 20)])).toMatchObject([
    { kind: 'effective' },
    { kind: 'effective' },
  ]);
  expect(updates().map((call) => call.length)).toEqual([2, 1, 1]);
});

test('an offer that is left out of the answer leaves the price unknown', async () => {
  const { connector } = await sellerOf({ MUG: mug }, () => ({ json: { responses: [] } }));
  expect(await connector.setPrices([write('MUG', 2_999)])).toMatchObject([{ kind: 'unknown' }]);
});

test.each(unclearAnswers)(
  'an update answered with %s is unknown and never sent twice',
  async (_name, answer) => {
    const { connector, updates } = await sellerOf({ MUG: mug }, () => answer);
    expect(await connector.setPrices([write('MUG', 2_999)])).toMatchObject([{ kind: 'unknown' }]);
    expect(updates()).toHaveLength(1);
  },
);

test('a price that is read is that of the live offer, and unknown where there is none', async () => {
  const { connector } = await sellerOf({
    MUG: [{ offerId: '2', price: '9.00', status: 'UNPUBLISHED' }, ...mug],
  });
  expect(await connector.readPrices([address('MUG'), address('GONE')])).toMatchObject([
    { kind: 'price', price: dollars(2_450) },
    { kind: 'unknown' },
  ]);
});
