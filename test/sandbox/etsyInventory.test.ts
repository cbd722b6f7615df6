/** Etsy's inventory write in the sandbox: it replaces the whole listing and is refused as a whole. */
import { expect, test } from 'vitest';
import type { VariantInput } from '../../src/sandbox/goods.ts';
import { at, buy, etsyClient, listingId, openSandbox, type SandboxBench, variantId } from './sandboxBench.ts';

const shopPath = '/v3/application/shops/41000001';
const price = { minor: 2450, currency: 'USD' };
const inventoryPath = (id: string) => `/v3/application/listings/${id}/inventory`;

const offering = (quantity: number, more: object = {}) => ({
  price: 24.5,
  quantity,
  is_enabled: true,
  readiness_state_id: 3100,
  ...more,
});

const color = (value: string, id: number) => ({
  property_id: 200,
  property_name: 'Primary color',
  scale_id: null,
  value_ids: [id],
  values: [value],
});

const product = (sku: string, value: string, id: number, quantity: number, more: object = {}) => ({
  sku,
  property_values: [color(value, id)],
  offerings: [offering(quantity, more)],
});

const onColor = {
  price_on_property: [],
  quantity_on_property: [200],
  sku_on_property: [200],
  readiness_state_on_property: [],
};

const variant = (sku: string, value: string, id: number, quantity: number): VariantInput => ({
  sku,
  quantity,
  price,
  properties: [
    { propertyId: 200, propertyName: 'Primary color', scaleId: null, valueIds: [id], values: [value] },
  ],
});

/** A listing with RED 4 and BLUE 6, told apart by colour. */
function addYarn({ sandbox }: SandboxBench): string {
  const listing = sandbox.shops.etsy.addListing({
    title: 'Yarn',
    dependence: { price: [], quantity: [200], sku: [200], readiness: [] },
    variants: [variant('RED', 'Red', 1, 4), variant('BLUE', 'Blue', 2, 6)],
  });
  return listing.id;
}

test('A write sets quantity and price of every product and keeps the product ids', async () => {
  await using bench = await openSandbox();
  const id = addYarn(bench);
  const before = [variantId(bench.sandbox, 'etsy', 'RED'), variantId(bench.sandbox, 'etsy', 'BLUE')];
  const products = [
    product('RED', 'Red', 1, 3, { price: 25.9 }),
    product('BLUE', 'Blue', 2, 0, { price: 25.9 }),
  ];
  const { status, body } = await etsyClient(bench.sandbox)('PUT', inventoryPath(id), {
    json: { products, ...onColor },
  });
  expect([status, at(body, 'products.0.offerings.0.price')]).toEqual([
    200,
    { amount: 2590, divisor: 100, currency_code: 'USD' },
  ]);
  expect(bench.sandbox.displayed('etsy')).toMatchObject({ RED: 3, BLUE: 0 });
  expect([variantId(bench.sandbox, 'etsy', 'RED'), variantId(bench.sandbox, 'etsy', 'BLUE')]).toEqual(before);
});

test('A price below the least, above the most or of one variant alone is refused, and nothing changes', async () => {
  await using bench = await openSandbox();
  const id = addYarn(bench);
  const prices = (red: number, blue: number) =>
    etsyClient(bench.sandbox)('PUT', inventoryPath(id), {
      json: {
        products: [
          product('RED', 'Red', 1, 4, { price: red }),
          product('BLUE', 'Blue', 2, 6, { price: blue }),
        ],
        ...onColor,
      },
    });
  const range = { error: 'The price must be between 0.20 and 50000.00' };
  expect(await prices(0.19, 0.19)).toMatchObject({ status: 400, body: range });
  expect(await prices(50_000.01, 50_000.01)).toMatchObject({ status: 400, body: range });
  expect(await prices(30, 24.5)).toMatchObject({
    status: 400,
    body: { error: 'The price of the products is incompatible with price_on_property' },
  });
  expect(bench.sandbox.shops.etsy.variantBySku('RED')?.price).toEqual(price);
  expect((await prices(30, 30)).status).toBe(200);
});

test('What a read answers can be written back unchanged', async () => {
  await using bench = await openSandbox();
  const id = addYarn(bench);
  const etsy = etsyClient(bench.sandbox);
  const { body } = await etsy('GET', inventoryPath(id));
  const products = (at(body, 'products') as readonly unknown[]).map((each) => ({
    sku: at(each, 'sku'),
    property_values: [{ ...(at(each, 'property_values.0') as object), scale_name: undefined }],
    offerings: [
      offering(Number(at(each, 'offerings.0.quantity')), {
        price: Number(at(each, 'offerings.0.price.amount')) / 100,
      }),
    ],
  }));
  const written = await etsy('PUT', inventoryPath(id), { json: { ...(body as object), products } });
  expect(written).toMatchObject({ status: 200, body });
});

test('A product that a write leaves out is deleted', async () => {
  await using bench = await openSandbox();
  const id = addYarn(bench);
  const json = { products: [product('RED', 'Red', 1, 4)], ...onColor };
  await etsyClient(bench.sandbox)('PUT', inventoryPath(id), { json });
  expect(bench.sandbox.shops.etsy.variantBySku('BLUE')).toBeUndefined();
});

test('A sale between read and write is lost, because the write is absolute', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const id = listingId(bench.sandbox, 'etsy', 'A');
  await etsy('GET', inventoryPath(id));
  buy(bench.sandbox, 'etsy', 'A', 2);
  await etsy('PUT', inventoryPath(id), {
    json: { products: [{ sku: 'A', property_values: [], offerings: [offering(5)] }] },
  });
  expect(bench.sandbox.displayed('etsy')['A']).toBe(5);
});

const refusals: readonly (readonly [string, object, string])[] = [
  [
    'a listing without a single unit',
    { products: [product('RED', 'Red', 1, 0), product('BLUE', 'Blue', 2, 0)], ...onColor },
    'One offering must have quantity greater than 0',
  ],
  [
    'more than 999 units',
    { products: [product('RED', 'Red', 1, 1000), product('BLUE', 'Blue', 2, 1)], ...onColor },
    'Offering quantity must be no more than 999',
  ],
  [
    'different quantities when no property explains them',
    {
      products: [product('RED', 'Red', 1, 1), product('BLUE', 'Blue', 2, 2)],
      ...onColor,
      quantity_on_property: [],
    },
    'The quantity of the products is incompatible with quantity_on_property',
  ],
  [
    'different prices when no property explains them',
    { products: [product('RED', 'Red', 1, 1, { price: 9 }), product('BLUE', 'Blue', 2, 2)], ...onColor },
    'The price of the products is incompatible with price_on_property',
  ],
  [
    'two products with the same values',
    { products: [product('RED', 'Red', 1, 1), product('BLUE', 'Red', 1, 1)], ...onColor },
    'Products must have unique property values',
  ],
  [
    'parentheses in a property value',
    { products: [product('RED', 'Red (dark)', 1, 1)], ...onColor },
    'Property values may not contain parentheses',
  ],
  [
    'a property that no product has',
    { products: [product('RED', 'Red', 1, 1)], ...onColor, price_on_property: [513] },
    'Property 513 is named in *_on_property but no product has it',
  ],
  [
    'an offering without readiness_state_id',
    { products: [product('RED', 'Red', 1, 1, { readiness_state_id: undefined })], ...onColor },
    'Invalid value for products.0.offerings.0.readiness_state_id',
  ],
];

test.each(refusals)('A write is refused and changes nothing: %s', async (_name, json, message) => {
  await using bench = await openSandbox();
  const id = addYarn(bench);
  const { status, body } = await etsyClient(bench.sandbox)('PUT', inventoryPath(id), { json });
  expect([status, String(at(body, 'error'))]).toEqual([400, expect.stringContaining(message)]);
  expect(bench.sandbox.displayed('etsy')).toMatchObject({ RED: 4, BLUE: 6 });
});

test('One unknown listing makes a whole batch read a 404', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const ids = ['A', 'B'].map((sku) => listingId(bench.sandbox, 'etsy', sku));
  const read = (list: readonly string[]) =>
    etsy('GET', `/v3/application/listings/batch/inventory?listing_ids=${list.join(',')}`);
  const good = await read(ids);
  expect([
    good.status,
    at(good.body, 'count'),
    at(good.body, 'results.1.inventory.products.0.offerings.0.quantity'),
  ]).toEqual([200, 2, 3]);
  expect((await read([...ids, '1'])).status).toBe(404);
  expect((await read(Array.from({ length: 101 }, () => ids[0] ?? ''))).status).toBe(400);
});

test('Deactivating stops the sale, activating again keeps the quantity', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const patch = (state: string) =>
    etsy('PATCH', `${shopPath}/listings/${listingId(bench.sandbox, 'etsy', 'A')}`, { form: { state } });
  expect((await patch('inactive')).body).toMatchObject({ state: 'inactive' });
  expect(bench.sandbox.displayed('etsy')['A']).toBe(0);
  expect((await patch('active')).body).toMatchObject({ state: 'active', quantity: 5 });
  expect((await patch('sold_out')).status).toBe(400);
});

test('Activating a sold-out listing renews it with quantity 1, whatever was written before', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const id = listingId(bench.sandbox, 'etsy', 'A');
  buy(bench.sandbox, 'etsy', 'A', 5);
  const soldOut = await etsy('GET', `${shopPath}/listings?state=sold_out&includes=Inventory`);
  expect([at(soldOut.body, 'count'), at(soldOut.body, 'results.0.listing_id')]).toEqual([1, Number(id)]);
  await etsy('PUT', inventoryPath(id), {
    json: { products: [{ sku: 'A', property_values: [], offerings: [offering(7)] }] },
  });
  expect(bench.sandbox.displayed('etsy')['A']).toBe(0);
  expect(
    (await etsy('PATCH', `${shopPath}/listings/${id}`, { form: { state: 'active' } })).body,
  ).toMatchObject({ quantity: 1 });
  expect(bench.sandbox.shops.etsy.journal.values().at(-1)).toMatchObject({ cause: 'renewal', to: 1 });
});

test('A listing is drafted from a form and deleted for good', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const form = {
    quantity: '5',
    title: 'Blue mug',
    description: 'Stoneware',
    price: '24.50',
    who_made: 'i_did',
    when_made: '2020_2026',
    taxonomy_id: '1633',
  };
  const created = await etsy('POST', `${shopPath}/listings`, { form });
  expect([created.status, at(created.body, 'state'), at(created.body, 'price.amount')]).toEqual([
    201,
    'draft',
    2450,
  ]);
  const { title: _title, ...incomplete } = form;
  expect((await etsy('POST', `${shopPath}/listings`, { form: incomplete })).status).toBe(400);
  const path = `/v3/application/listings/${String(at(created.body, 'listing_id'))}`;
  expect((await etsy('DELETE', path)).status).toBe(204);
  expect((await etsy('GET', `${path}/inventory`)).status).toBe(404);
});

test('A late answer with its listing is from one moment: the record kept by a taken-down listing is never told as on sale', async () => {
  await using bench = await openSandbox({ shops: { etsy: { readStaleMs: { min: 5_000, max: 5_000 } } } });
  const { clock, sandbox } = bench;
  const id = addYarn(bench);
  const ask = async () => {
    const { body } = await etsyClient(sandbox)('GET', `${inventoryPath(id)}?includes=Listing`);
    return [at(body, 'listing.state'), at(body, 'products.0.offerings.0.quantity')];
  };
  clock.advance(10_000);
  sandbox.shops.etsy.setListingState(id, 'inactive');
  expect(await ask()).toEqual(['active', 4]);
  clock.advance(10_000);
  sandbox.shops.etsy.write(variantId(sandbox, 'etsy', 'RED'), { quantity: 1 }, null);
  sandbox.shops.etsy.setListingState(id, 'active');
  expect(await ask()).toEqual(['inactive', 4]);
  clock.advance(5_000);
  expect(await ask()).toEqual(['active', 1]);
});
