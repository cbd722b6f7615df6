/** Etsy: a price travels with the whole listing, and takes no unit of it to where it is not. */
import { describe, expect, test } from 'vitest';
import type { Money, PriceWrite } from '../../src/connectors/connector.ts';
import { connectEtsy, createShop, type TestListing } from './etsyShop.ts';
import { type Answer, type ReceivedRequest, unclearAnswers } from './localChannel.ts';

const dollars = (minor: number): Money => ({ minor, currency: 'USD' });
const write = (variantId: string, minor: number, others?: PriceWrite['others']): PriceWrite => ({
  address: { unitId: '11', variantId },
  price: dollars(minor),
  ...(others === undefined ? {} : { others }),
});
const address = (variantId: string) => ({ unitId: '11', variantId });
const atMost = (variantId: string, quantity: number) => ({ address: { unitId: '11', variantId }, quantity });

/** X with 3 and Y with 7, each with a price of its own. */
const listing = (changes: Partial<TestListing> = {}): TestListing => ({
  state: 'active',
  pricedApart: true,
  products: [
    { id: 101, sku: 'X', quantity: 3 },
    { id: 102, sku: 'Y', quantity: 7 },
  ],
  ...changes,
});

async function shopWith(
  only: TestListing,
  before?: (call: ReceivedRequest) => Answer | null | Promise<Answer | null>,
) {
  const shop = createShop({ 11: only }, before);
  const { connector, channel, context } = await connectEtsy(shop.handle);
  const updates = () =>
    channel.requests
      .filter(({ method }) => method === 'PUT')
      .map(({ body }) => JSON.parse(body) as { products: { offerings: unknown[] }[] });
  return { shop, connector, channel, context, updates, products: () => shop.listings.get(11)?.products };
}

describe('a price', () => {
  test('is written with the whole record as it was read just before, and the quantities stay', async () => {
    const { connector, updates, channel } = await shopWith(listing());
    const results = await connector.setPrices([write('X', 2_999)]);
    expect(results).toMatchObject([{ kind: 'effective' }]);
    expect(channel.requests.map(({ method }) => method)).toEqual(['GET', 'PUT']);
    expect(updates()).toMatchObject([
      {
        products: [
          {
            sku: 'X',
            offerings: [{ price: 29.99, quantity: 3, is_enabled: true, readiness_state_id: 3100 }],
          },
          { sku: 'Y', offerings: [{ price: 24.5, quantity: 7, is_enabled: true, readiness_state_id: 3100 }] },
        ],
        price_on_property: [200],
        quantity_on_property: [200],
        sku_on_property: [200],
      },
    ]);
  });

  test('tells what it put at every variant, its own included, with what was read there', async () => {
    const { connector, context } = await shopWith(listing());
    const readAt = context.now();
    const companion = (variantId: string, quantity: number) => ({
      address: { unitId: '11', variantId },
      quantity,
      shown: quantity,
      readAt,
    });
    expect(await connector.setPrices([write('X', 2_999)])).toEqual([
      { kind: 'effective', companions: [companion('X', 3), companion('Y', 7)] },
    ]);
  });

  test('T10: puts no variant back higher than it may show by what is known', async () => {
    const { connector, products } = await shopWith(listing());
    await connector.setPrices([write('X', 2_999, [atMost('X', 2), atMost('Y', 9)])]);
    expect(products()).toMatchObject([
      { sku: 'X', quantity: 2, price: 2_999 },
      { sku: 'Y', quantity: 7, price: 2_450 },
    ]);
  });

  test('T10: takes its turn with the numbers of the listing, so that neither undoes the other', async () => {
    const { connector, products } = await shopWith(listing());
    await Promise.all([
      connector.setPrices([write('X', 2_999)]),
      connector.setStock([
        { address: { unitId: '11', variantId: 'Y' }, quantity: 4, expected: null, key: 'k' },
      ]),
      connector.setPrices([write('Y', 1_999)]),
    ]);
    expect(products()).toMatchObject([
      { sku: 'X', quantity: 3, price: 2_999 },
      { sku: 'Y', quantity: 4, price: 1_999 },
    ]);
  });

  test('of several variants travels in one update', async () => {
    const { connector, products, updates } = await shopWith(listing());
    await connector.setPrices([write('X', 2_999), write('Y', 1_999)]);
    expect(products()).toMatchObject([{ price: 2_999 }, { price: 1_999 }]);
    expect(updates()).toHaveLength(1);
  });

  test('of a listing with one price for all variants is written when all of them are to have it', async () => {
    const { connector, products } = await shopWith(listing({ pricedApart: false }));
    expect(await connector.setPrices([write('X', 2_999)])).toMatchObject([
      { kind: 'refused', refusal: 'shared_price' },
    ]);
    expect(products()).toMatchObject([{ quantity: 3 }, { quantity: 7 }]);
    expect(await connector.setPrices([write('X', 2_999), write('Y', 2_999)])).toMatchObject([
      { kind: 'effective' },
      { kind: 'effective' },
    ]);
    expect(products()).toMatchObject([{ price: 2_999 }, { price: 2_999 }]);
  });

  test('of a taken-down listing is written to its record, which nobody sees and which stays down', async () => {
    const { connector, shop, products } = await shopWith(listing({ state: 'inactive' }));
    expect(await connector.setPrices([write('X', 2_999)])).toEqual([{ kind: 'effective', companions: [] }]);
    expect(products()).toMatchObject([{ quantity: 3, price: 2_999 }, { quantity: 7 }]);
    expect(shop.listings.get(11)?.state).toBe('inactive');
  });

  test('waits while the listing has no unit, without which Etsy takes no record', async () => {
    const sold = listing({ products: [{ id: 101, sku: 'X', quantity: 0 }], state: 'sold_out' });
    const { connector, updates } = await shopWith(sold);
    expect(await connector.setPrices([write('X', 2_999)])).toMatchObject([{ kind: 'deferred' }]);
    const known = await shopWith(listing());
    const nothing = [atMost('X', 0), atMost('Y', 0)];
    expect(await known.connector.setPrices([write('X', 2_999, nothing)])).toMatchObject([
      { kind: 'deferred' },
    ]);
    expect([...updates(), ...known.updates()]).toEqual([]);
  });
});

describe('a price that Etsy does not take', () => {
  test('in another currency than the listing’s is never sent', async () => {
    const { connector, updates } = await shopWith(listing({ currency: 'EUR' }));
    expect(await connector.setPrices([write('X', 2_999)])).toEqual([
      {
        kind: 'refused',
        refusal: 'wrong_currency',
        code: 'wrong_currency',
        message: 'The listing is sold in EUR, the price is in USD',
      },
    ]);
    expect(updates()).toEqual([]);
  });

  test('below the least one is refused in Etsy’s words', async () => {
    const { connector } = await shopWith(listing());
    expect(await connector.setPrices([write('X', 19)])).toMatchObject([
      {
        kind: 'refused',
        refusal: 'price_not_allowed',
        message: 'The price must be between 0.20 and 50000.00',
      },
    ]);
  });

  test('for a variant or a listing that does not exist is refused, beside one that goes through', async () => {
    const { connector } = await shopWith(listing());
    const elsewhere = { ...write('X', 2_999), address: { unitId: '12', variantId: 'X' } };
    expect(await connector.setPrices([write('Z', 2_999), write('X', 2_999), elsewhere])).toMatchObject([
      { kind: 'refused', code: 'unknown_variant' },
      { kind: 'effective' },
      { kind: 'refused', code: 'not_found' },
    ]);
  });
});

test.each(unclearAnswers)(
  'an update answered with %s is unknown, never sent twice, and tells of the numbers',
  async (_name, answer) => {
    const { connector, updates } = await shopWith(listing(), ({ method }) =>
      method === 'PUT' ? answer : null,
    );
    expect(await connector.setPrices([write('X', 2_999)])).toMatchObject([
      { kind: 'unknown', companions: [{ quantity: 3 }, { quantity: 7 }] },
    ]);
    expect(updates()).toHaveLength(1);
  },
);

test('prices are read as they are listed, and a missing variant is unknown', async () => {
  const { connector } = await shopWith(listing());
  expect(await connector.readPrices([address('X'), address('Z')])).toMatchObject([
    { kind: 'price', price: dollars(2_450) },
    { kind: 'unknown' },
  ]);
});
