/** Amazon: the list price of one marketplace is merged into the offer for everybody, and only a reading proves it. */
import { expect, test } from 'vitest';
import type { Money } from '../../src/connectors/connector.ts';
import { assertAmazonBody } from '../support/amazonSpecification.ts';
import { connectSeller, marketplaceId, startSeller } from './amazonSeller.ts';
import { type Answer, collect, type ReceivedRequest, unclearAnswers } from './localChannel.ts';
import { recording } from './recordings.ts';

const listing = recording('amazon/getListingsItem') as Record<string, unknown>;
const dollars = (minor: number): Money => ({ minor, currency: 'USD' });
const write = (sku: string, price: Money) => ({ address: { unitId: sku, variantId: '' }, price });
const offer = (amount: number, more: Readonly<Record<string, unknown>> = {}) => ({
  marketplace_id: marketplaceId,
  currency: 'USD',
  audience: 'ALL',
  our_price: [{ schedule: [{ value_with_tax: amount }] }],
  ...more,
});

/** Knows every SKU that is asked for; `more` is what its body says beside the documented one. */
const knowing =
  (more: (sku: string) => object, patched: Answer = { json: recording('amazon/patchAccepted') }) =>
  (request: ReceivedRequest): Answer => {
    if (request.method === 'PATCH') return patched;
    const skus = (request.query.get('identifiers') ?? '').split(',').filter((sku) => sku !== 'GONE');
    const items = skus.map((sku) => Object.assign({}, listing, { sku }, more(sku)));
    return { json: { numberOfResults: items.length, items } };
  };

const patches = (requests: readonly ReceivedRequest[]): readonly unknown[] =>
  requests
    .filter(({ method }) => method === 'PATCH')
    .map(({ body }) => {
      const sent: unknown = JSON.parse(body);
      assertAmazonBody('listingsItems_2021-08-01', 'ListingsItemPatchRequest', sent);
      return sent;
    });

const refusal = (attribute: string): Answer => ({
  json: {
    sku: 'MUG-BLUE',
    status: 'INVALID',
    submissionId: 's',
    issues: [{ code: '90000900', message: 'no', severity: 'ERROR', attributeNames: [attribute] }],
  },
});

test('a write merges our_price into the offer for everybody and names nothing else of it', async () => {
  await using channel = await startSeller(knowing(() => ({})));
  const { connector } = connectSeller(channel);
  expect(await connector.setPrices([write('MUG-BLUE', dollars(2_599))])).toEqual([
    { kind: 'accepted', reference: 'f1dc0000-0000-11f0-0000-000000000001' },
  ]);
  const [read, patch] = channel.requests;
  expect(read?.query.get('includedData')).toBe(
    'summaries,offers,fulfillmentAvailability,productTypes,attributes',
  );
  expect(patch?.path).toBe('/listings/2021-08-01/items/A1SELLER/MUG-BLUE');
  expect(patch?.query.get('marketplaceIds')).toBe(marketplaceId);
  expect(patches(channel.requests)).toEqual([
    {
      productType: 'MUG',
      patches: [{ op: 'merge', path: '/attributes/purchasable_offer', value: [offer(25.99)] }],
    },
  ]);
});

test('the price of goods in Amazon’s warehouses is the seller’s to set', async () => {
  const fba = { fulfillmentAvailability: [{ fulfillmentChannelCode: 'AMAZON_NA', quantity: 9 }] };
  await using channel = await startSeller(knowing(() => fba));
  const results = await connectSeller(channel).connector.setPrices([write('FBA', dollars(2_599))]);
  expect(results).toMatchObject([{ kind: 'accepted' }]);
});

test('a SKU in another currency, without an offer or unknown is refused and not patched', async () => {
  const bodies: Readonly<Record<string, object>> = {
    EURO: { offers: [{ marketplaceId, offerType: 'B2C', price: { amount: '20.00', currencyCode: 'EUR' } }] },
    BARE: { offers: [] },
  };
  await using channel = await startSeller(knowing((sku) => bodies[sku] ?? {}));
  const results = await connectSeller(channel).connector.setPrices(
    ['EURO', 'BARE', 'GONE'].map((sku) => write(sku, dollars(2_599))),
  );
  expect(results).toMatchObject([
    {
      kind: 'refused',
      refusal: 'wrong_currency',
      message: 'The listing is sold in EUR, the price is in USD',
    },
    { kind: 'refused', code: 'no_offer' },
    { kind: 'refused', code: 'not_found' },
  ]);
  expect(patches(channel.requests)).toEqual([]);
});

test('a refusal about the offer is one of the price, any other is not', async () => {
  for (const [attribute, refusedAs] of [
    ['purchasable_offer', 'price_not_allowed'],
    ['product_type', 'other'],
  ] as const) {
    await using channel = await startSeller(knowing(() => ({}), refusal(attribute)));
    const results = await connectSeller(channel).connector.setPrices([write('MUG-BLUE', dollars(1))]);
    expect(results).toEqual([{ kind: 'refused', refusal: refusedAs, code: '90000900', message: 'no' }]);
  }
});

test.each(unclearAnswers)(
  'a patch answered with %s is unknown and never sent twice',
  async (_name, answer) => {
    await using channel = await startSeller(knowing(() => ({}), answer));
    const results = await connectSeller(channel).connector.setPrices([write('MUG-BLUE', dollars(2_599))]);
    expect(results).toMatchObject([{ kind: 'unknown' }]);
    expect(patches(channel.requests)).toHaveLength(1);
  },
);

test('a price that is read, alone or with the catalogue, is the list price for everybody in this marketplace, whatever promotion is on', async () => {
  const bodies: Readonly<Record<string, object>> = {
    SALE: {
      attributes: {
        purchasable_offer: [
          offer(10, { audience: 'B2B' }),
          offer(11, { marketplace_id: 'ELSEWHERE' }),
          offer(30, { discounted_price: [{ schedule: [{ value_with_tax: 20 }] }] }),
        ],
      },
      offers: [{ marketplaceId, offerType: 'B2C', price: { amount: '20.00', currencyCode: 'USD' } }],
    },
    PLAIN: { offers: [{ marketplaceId, offerType: 'B2C', price: { amount: '24.50', currencyCode: 'USD' } }] },
    BARE: { offers: [] },
  };
  await using channel = await startSeller(knowing((sku) => bodies[sku] ?? {}));
  const readings = await connectSeller(channel).connector.readPrices(
    ['SALE', 'PLAIN', 'BARE'].map((unitId) => ({ unitId, variantId: '' })),
  );
  expect(readings).toMatchObject([
    { kind: 'price', price: dollars(3_000) },
    { kind: 'price', price: dollars(2_450) },
    { kind: 'unknown' },
  ]);
  await using whole = await startSeller(({ query }) => {
    const attributed = (query.get('includedData') ?? '').split(',').includes('attributes');
    const hidden = attributed ? {} : { attributes: null };
    const items = Object.entries(bodies).map(([sku, body]) =>
      Object.assign({}, listing, { sku }, body, hidden),
    );
    return { json: { numberOfResults: items.length, items } };
  });
  const entries = await collect(connectSeller(whole).connector.catalogue());
  expect(entries.map(({ price }) => price)).toEqual([dollars(3_000), dollars(2_450), null]);
});
