/** Shopify: the variants of one product get their prices in one call, in the shop's own currency, and each is judged by itself. */
import { expect, test } from 'vitest';
import type { Money } from '../../src/connectors/connector.ts';
import { type Answer, unclearAnswers } from './localChannel.ts';
import { connectShop, type GraphqlRequest, locationId, startShop } from './shopifyShop.ts';

const dollars = (minor: number): Money => ({ minor, currency: 'USD' });
const address = (item: number) => ({ unitId: `${item}/${locationId}`, variantId: '' });
const write = (item: number, price: Money) => ({ address: address(item), price });

const variant = (number: number, product: number, price: string) => ({
  id: `gid://shopify/ProductVariant/${number}`,
  price,
  product: { id: `gid://shopify/Product/${product}` },
});
/** By inventory item, the variants behind it: 1 and 2 are of one product, 3 of another, 4 stands for two variants. */
const variants: Readonly<Record<string, readonly ReturnType<typeof variant>[]>> = {
  1: [variant(11, 91, '24.50')],
  2: [variant(12, 91, '24.5')],
  3: [variant(13, 92, '10.00')],
  4: [variant(14, 93, '1.00'), variant(15, 93, '2.00')],
};

function answered(request: GraphqlRequest, currencyCode = 'USD'): Answer {
  const ids = request.variables['ids'] as readonly string[];
  const nodes = ids.map((id) => {
    const found = variants[id.split('/').at(-1) ?? ''];
    return found === undefined ? null : { id, variants: { nodes: found } };
  });
  return { json: { data: { shop: { currencyCode }, nodes } } };
}

type Wanted = readonly { readonly id: string; readonly price: string }[];

/** Every variant that is not named in `refused` takes its price. */
function updated(
  request: GraphqlRequest,
  userErrors: readonly object[] = [],
  refused: readonly string[] = [],
): Answer {
  const wanted = request.variables['variants'] as Wanted;
  const productVariants = wanted.filter(({ id }) => !refused.includes(id));
  return { json: { data: { productVariantsBulkUpdate: { productVariants, userErrors } } } };
}

const shop = (update: (request: GraphqlRequest) => Answer, currency?: string) =>
  startShop((request) => (request.operation === 'Prices' ? answered(request, currency) : update(request)));

test('one call per product names each variant with its price alone', async () => {
  const calls: GraphqlRequest[] = [];
  await using channel = await shop((request) => {
    calls.push(request);
    return updated(request);
  });
  const results = await connectShop(channel).connector.setPrices([
    write(1, dollars(2_999)),
    write(3, dollars(1_050)),
    write(2, dollars(2_990)),
  ]);
  expect(results).toEqual([{ kind: 'effective' }, { kind: 'effective' }, { kind: 'effective' }]);
  expect(calls.map(({ operation, variables }) => ({ operation, variables }))).toEqual([
    {
      operation: 'SetPrices',
      variables: {
        productId: 'gid://shopify/Product/91',
        variants: [
          { id: 'gid://shopify/ProductVariant/11', price: '29.99' },
          { id: 'gid://shopify/ProductVariant/12', price: '29.90' },
        ],
      },
    },
    {
      operation: 'SetPrices',
      variables: {
        productId: 'gid://shopify/Product/92',
        variants: [{ id: 'gid://shopify/ProductVariant/13', price: '10.50' }],
      },
    },
  ]);
});

test('a price in another currency than the shop’s is never sent', async () => {
  await using channel = await shop(() => 'silent', 'EUR');
  expect(await connectShop(channel).connector.setPrices([write(1, dollars(2_999))])).toMatchObject([
    {
      kind: 'refused',
      refusal: 'wrong_currency',
      message: 'The listing is sold in EUR, the price is in USD',
    },
  ]);
  expect(channel.requests).toHaveLength(1);
});

test('an inventory item that is unknown, or stands for several variants, has no price to write', async () => {
  await using channel = await shop(() => 'silent');
  const results = await connectShop(channel).connector.setPrices([
    write(4, dollars(2_999)),
    write(5, dollars(2_999)),
  ]);
  expect(results).toMatchObject([
    { kind: 'refused', code: 'not_found' },
    { kind: 'refused', code: 'not_found' },
  ]);
});

test('an error is about the variant that it names, or about all of them', async () => {
  const refused = 'gid://shopify/ProductVariant/12';
  const error = { code: 'GREATER_THAN_OR_EQUAL_TO', field: ['variants', '1', 'price'], message: 'too low' };
  await using one = await shop((request) => updated(request, [error], [refused]));
  const both = [write(1, dollars(2_999)), write(2, dollars(0))];
  expect(await connectShop(one).connector.setPrices(both)).toEqual([
    { kind: 'effective' },
    { kind: 'refused', refusal: 'price_not_allowed', code: 'GREATER_THAN_OR_EQUAL_TO', message: 'too low' },
  ]);
  const gone = { code: 'PRODUCT_DOES_NOT_EXIST', field: ['productId'], message: 'gone' };
  await using all = await shop((request) => updated(request, [gone]));
  expect(await connectShop(all).connector.setPrices(both)).toMatchObject([
    { kind: 'refused', refusal: 'other', code: 'PRODUCT_DOES_NOT_EXIST' },
    { kind: 'refused', refusal: 'other', code: 'PRODUCT_DOES_NOT_EXIST' },
  ]);
});

test('an answer with another price, or without the variant, leaves it unknown', async () => {
  const named = { id: 'gid://shopify/ProductVariant/11', price: '24.50' };
  for (const productVariants of [[named], []]) {
    await using channel = await shop(() => ({
      json: { data: { productVariantsBulkUpdate: { productVariants, userErrors: [] } } },
    }));
    expect(await connectShop(channel).connector.setPrices([write(1, dollars(2_999))])).toMatchObject([
      { kind: 'unknown' },
    ]);
  }
});

test.each(unclearAnswers)(
  'an update answered with %s is unknown and never sent twice',
  async (_name, answer) => {
    await using channel = await shop(() => answer);
    expect(await connectShop(channel).connector.setPrices([write(1, dollars(2_999))])).toMatchObject([
      { kind: 'unknown' },
    ]);
    expect(channel.requests).toHaveLength(2);
  },
);

test('prices are read in the shop’s currency, whatever their trailing zeros', async () => {
  await using channel = await shop(() => 'silent');
  const readings = await connectShop(channel).connector.readPrices([
    address(1),
    address(2),
    address(4),
    address(5),
  ]);
  expect(readings).toMatchObject([
    { kind: 'price', price: dollars(2_450) },
    { kind: 'price', price: dollars(2_450) },
    { kind: 'unknown' },
    { kind: 'unknown' },
  ]);
});
