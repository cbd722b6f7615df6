/** Etsy: a write changes only the variants it names, and buyers see what it says. */
import { expect, test } from 'vitest';
import type { StockWriteResult } from '../../src/connectors/connector.ts';
import { inventorySchema, inventoryUpdate } from '../../src/connectors/etsy/inventory.ts';
import { assertEtsyBody, assertEtsyRequest } from '../support/etsySpecification.ts';
import { createGate } from '../support/waiting.ts';
import { createShop } from './etsyShop.ts';
import { connect, quantitiesOf, twoVariants, write } from './etsyWrites.ts';
import { type Handler, unclearAnswers } from './localChannel.ts';
import { recording } from './recordings.ts';

test('the documented record becomes the documented update, and both are what the specification describes', () => {
  const record = recording('etsy/inventory');
  assertEtsyBody('ListingInventory', record);
  const update = inventoryUpdate(inventorySchema.parse(record), new Map([[9001, 4]]));
  expect(update).toEqual(recording('etsy/inventoryUpdate'));
  assertEtsyRequest('PUT', '/v3/application/listings/{listing_id}/inventory', 'application/json', update);
});

test('a price keeps its value for currencies with another divisor than 100', () => {
  const record = inventorySchema.parse({
    products: [
      {
        product_id: 1,
        sku: 'A',
        offerings: [
          { quantity: 1, price: { amount: 1999, divisor: 1, currency_code: 'JPY' } },
          { quantity: 9, is_deleted: true, price: { amount: 1, divisor: 1, currency_code: 'JPY' } },
        ],
      },
      { product_id: 2, sku: 'B', is_deleted: true, offerings: [] },
    ],
  });
  expect(inventoryUpdate(record, new Map())['products']).toEqual([
    {
      sku: 'A',
      property_values: [],
      offerings: [{ price: 1999, quantity: 1, is_enabled: true, readiness_state_id: null }],
    },
  ]);
});

test('a write changes its own variant and leaves the others as they are', async () => {
  const shop = createShop({ 11: twoVariants() });
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'effective', quantity: 4 }]);
  expect(quantitiesOf(shop, 11)).toEqual([4, 7]);
});

test('writes for several variants of one listing travel in one update', async () => {
  const shop = createShop({ 11: twoVariants(), 12: twoVariants() });
  const { connector, sent } = await connect(shop);
  const results = await connector.setStock([write(11, 'X', 3), write(12, 'Y', 2), write(11, 'Y', 0)]);
  expect(results.map((result) => result.kind === 'effective' && result.quantity)).toEqual([3, 2, 0]);
  expect(sent().filter((call) => call === 'PUT 11/inventory')).toHaveLength(1);
  expect(quantitiesOf(shop, 11)).toEqual([3, 0]);
  expect(quantitiesOf(shop, 12)).toEqual([5, 2]);
});

/** Of each result, what else the write set: variant, number put there, number read just before. */
const alongOf = (results: readonly StockWriteResult[]) =>
  results.map((result) =>
    'companions' in result
      ? result.companions?.map(({ address, quantity, shown }) => [address.variantId, quantity, shown])
      : undefined,
  );

test('a write tells what it put at the variants it does not name, with what was read there just before', async () => {
  const shop = createShop({ 11: twoVariants(), 12: twoVariants('inactive'), 13: twoVariants() }, (call) =>
    call.method === 'PUT' && call.path.includes('/13/') ? 'lost' : null,
  );
  const { connector, context } = await connect(shop);
  const results = await connector.setStock([write(11, 'X', 4), write(12, 'Y', 3), write(13, 'X', 4)]);
  // What is down shows nothing, and nothing of it is put up again; after a lost answer the numbers may be there.
  expect(alongOf(results)).toEqual([[['Y', 7, 7]], [['X', 0, 0]], [['Y', 7, 7]]]);
  expect(results).toMatchObject([{ companions: [{ readAt: context.now() }] }, {}, { kind: 'unknown' }]);
});

test('a write that names every variant, that sends nothing or that takes the listing down sets nothing else', async () => {
  const shop = createShop({ 11: twoVariants(), 12: twoVariants(), 13: twoVariants() });
  const { connector } = await connect(shop);
  const both = [write(11, 'X', 4), write(11, 'Y', 3)];
  const down = [write(13, 'X', 0), write(13, 'Y', 0)];
  const results = await connector.setStock([...both, write(12, 'X', 5), ...down]);
  expect(alongOf(results)).toEqual(results.map(() => undefined));
});

test('one quantity for all variants: what was put at the others is not what was read there', async () => {
  const shop = createShop({ 11: { ...twoVariants(), shared: true } });
  const { connector } = await connect(shop);
  expect(alongOf(await connector.setStock([write(11, 'X', 2)]))).toEqual([[['Y', 2, 7]]]);
});

test('T10: a write for one variant never puts back a copy of the other that it read before', async () => {
  const copyTaken = createGate();
  const mayAnswer = createGate();
  const shop = createShop({ 11: twoVariants() });
  const handle: Handler = async (call) => {
    const answer = await shop.handle(call);
    if (call.headers['user-agent'] !== 'bystander' && call.method === 'GET') {
      copyTaken.open();
      await mayAnswer.opened;
    }
    return answer;
  };
  const { connector, channel } = await connect({ ...shop, handle });
  const first = connector.setStock([write(11, 'Y', 6)]);
  await copyTaken.opened;
  const second = connector.setStock([write(11, 'X', 4)]);
  // Time enough for the second write to read its own copy, if it did not wait for the first.
  const bystander = { headers: { 'user-agent': 'bystander' } };
  for (let turn = 0; turn < 10; turn += 1)
    await fetch(`${channel.url}/v3/application/listings/11/inventory`, bystander);
  mayAnswer.open();
  expect(await first).toMatchObject([{ kind: 'effective', quantity: 6 }]);
  expect(await second).toMatchObject([{ kind: 'effective', quantity: 4 }]);
  expect(quantitiesOf(shop, 11)).toEqual([4, 6]);
});

test('T10: two connectors of one shop in one process take turns on a listing too', async () => {
  const shop = createShop({ 11: twoVariants() });
  const [one, two] = [await connect(shop), await connect(shop)];
  await Promise.all([
    one.connector.setStock([write(11, 'X', 1)]),
    two.connector.setStock([write(11, 'Y', 2)]),
  ]);
  expect(quantitiesOf(shop, 11)).toEqual([1, 2]);
});

test('a listing whose every quantity becomes 0 is taken down, because Etsy refuses all zeros', async () => {
  const shop = createShop({ 11: twoVariants() });
  const { connector, sent } = await connect(shop);
  const results = await connector.setStock([write(11, 'X', 0), write(11, 'Y', 0)]);
  expect(results).toEqual([
    { kind: 'effective', quantity: 0 },
    { kind: 'effective', quantity: 0 },
  ]);
  expect(shop.listings.get(11)?.state).toBe('inactive');
  expect(sent()).toEqual(['GET 11/inventory', 'PATCH listings/11']);
});

test('a taken-down listing reads 0 for every variant, whatever numbers its record keeps', async () => {
  const shop = createShop({ 11: twoVariants('inactive'), 12: twoVariants('sold_out') });
  const { connector } = await connect(shop);
  const addresses = [11, 12].map((id) => ({ unitId: String(id), variantId: 'X' }));
  expect(await connector.readStock(addresses)).toEqual([
    { kind: 'quantity', quantity: 0 },
    { kind: 'quantity', quantity: 0 },
  ]);
});

test('raising one variant of a taken-down listing stores the numbers first and does not offer the others again', async () => {
  const shop = createShop({ 11: twoVariants('inactive') });
  const { connector, sent } = await connect(shop);
  expect(await connector.setStock([write(11, 'Y', 3)])).toMatchObject([{ kind: 'effective', quantity: 3 }]);
  expect(sent()).toEqual(['GET 11/inventory', 'PUT 11/inventory', 'PATCH listings/11']);
  expect(shop.listings.get(11)).toMatchObject({
    state: 'active',
    products: [{ quantity: 0 }, { quantity: 3 }],
  });
});

test('lowering to 0 on a listing that is down already sends nothing, and proves no more than a reading', async () => {
  const shop = createShop({ 11: twoVariants('inactive') });
  const { connector, sent } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 0)])).toEqual([{ kind: 'stale', actual: 0, read: true }]);
  expect(sent()).toEqual(['GET 11/inventory']);
});

test('a number that is shown already is not written again, and proves no more than a reading', async () => {
  const shop = createShop({ 11: twoVariants() });
  const { connector, sent } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 5)])).toEqual([{ kind: 'stale', actual: 5, read: true }]);
  expect(sent()).toEqual(['GET 11/inventory']);
});

test('a lost answer to an update is unknown and is never sent a second time', async () => {
  const shop = createShop({ 11: twoVariants(), 12: twoVariants() }, (call) =>
    call.method === 'PUT' && call.path.includes('/11/') ? 'lost' : null,
  );
  const { connector, sent } = await connect(shop);
  const results = await connector.setStock([write(11, 'X', 4), write(12, 'X', 4)]);
  expect(results).toMatchObject([{ kind: 'unknown' }, { kind: 'effective', quantity: 4 }]);
  expect(sent().filter((call) => call === 'PUT 11/inventory')).toHaveLength(1);
});

test('an update answered with something unreadable is unknown', async () => {
  const shop = createShop({ 11: twoVariants() }, (call) =>
    call.method === 'PUT' ? { json: { products: 3 } } : null,
  );
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'unknown' }]);
});

test.each(unclearAnswers)(
  'a read answered with %s before the write is deferred, because nothing was sent',
  async (_case, answer) => {
    const shop = createShop({ 11: twoVariants() }, () => answer);
    const { connector, sent } = await connect(shop);
    expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'deferred' }]);
    expect(sent().some((call) => call.startsWith('PUT'))).toBe(false);
  },
);

test('a conflict with another change is deferred, and a refusal in words is rejected', async () => {
  const answers = [
    { status: 409, json: { error: 'conflict' } },
    { status: 400, json: { error: 'Parentheses are not allowed' } },
  ];
  const shop = createShop({ 11: twoVariants() }, (call) =>
    call.method === 'PUT' ? (answers.shift() ?? null) : null,
  );
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'deferred' }]);
  const [refused] = await connector.setStock([write(11, 'X', 4)]);
  expect(refused).toMatchObject({ kind: 'rejected', code: 'rejected' });
  expect(refused).toHaveProperty('message', expect.stringContaining('Parentheses are not allowed'));
});

test('what a retry cannot mend is rejected without an update, beside writes that go through', async () => {
  const shop = createShop({
    11: twoVariants(),
    12: twoVariants('draft'),
    13: {
      state: 'active',
      products: [
        { id: 1, sku: 'A', quantity: 1 },
        { id: 2, sku: 'B', quantity: 1, enabled: false },
      ],
    },
    14: {
      state: 'active',
      products: [
        { id: 1, sku: 'A', quantity: 1 },
        { id: 2, sku: 'A', quantity: 2 },
      ],
    },
  });
  const { connector } = await connect(shop);
  const results = await connector.setStock([
    write(11, 'X', 1000),
    write(11, 'Z', 1),
    write(11, 'Y', 6),
    write(12, 'X', 1),
    write(13, 'B', 1),
    write(14, 'A', 3),
    write(99, 'X', 1),
  ]);
  expect(results.map((result) => (result.kind === 'rejected' ? result.code : result.kind))).toEqual([
    'quantity_too_high',
    'unknown_variant',
    'effective',
    'listing_not_published',
    'variant_disabled',
    'duplicate_sku',
    'not_found',
  ]);
  expect(quantitiesOf(shop, 11)).toEqual([5, 6]);
  expect(shop.listings.get(12)?.state).toBe('draft');
});

test('a listing with one quantity for all variants shows the smallest wish, and no raise that a variant did not ask for', async () => {
  const shop = createShop({ 11: { ...twoVariants(), shared: true } });
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 6), write(11, 'Y', 4)])).toEqual([
    { kind: 'effective', quantity: 4 },
    { kind: 'effective', quantity: 4 },
  ]);
  expect(await connector.setStock([write(11, 'X', 9)])).toMatchObject([
    { kind: 'rejected', code: 'shared_quantity' },
  ]);
  expect(quantitiesOf(shop, 11)).toEqual([4, 4]);
});

test('one listing that Etsy does not know makes only its own reading unknown', async () => {
  const ids = Array.from({ length: 150 }, (_unused, index) => index + 1);
  const known = ids.filter((id) => id !== 42);
  const shop = createShop(
    Object.fromEntries(
      known.map((id) => [id, { state: 'active', products: [{ id, sku: `S${id}`, quantity: id }] }]),
    ),
  );
  const { connector, channel } = await connect(shop);
  const readings = await connector.readStock(ids.map((id) => ({ unitId: String(id), variantId: `S${id}` })));
  expect(readings.filter((reading) => reading.kind === 'unknown')).toHaveLength(1);
  expect(readings[41]).toMatchObject({ kind: 'unknown' });
  expect(readings[149]).toEqual({ kind: 'quantity', quantity: 150 });
  expect(channel.requests.length).toBeLessThan(20);
});

test('a variant without SKU is found by its product number, and a switched-off or missing one is not taken for stock', async () => {
  const shop = createShop({
    11: {
      state: 'active',
      products: [
        { id: 31, sku: '', quantity: 8 },
        { id: 32, sku: 'OFF', quantity: 3, enabled: false },
      ],
    },
  });
  const { connector } = await connect(shop);
  const variants = ['#31', 'OFF', 'GONE'].map((variantId) => ({ unitId: '11', variantId }));
  expect(await connector.readStock(variants)).toMatchObject([
    { kind: 'quantity', quantity: 8 },
    { kind: 'quantity', quantity: 0 },
    { kind: 'unknown' },
  ]);
});

test('where the record comes without its listing, the state is asked for', async () => {
  const shop = createShop({ 11: twoVariants() }, (call) => {
    if (call.path === '/v3/application/listings/11') return { json: { listing_id: 11, state: 'inactive' } };
    return call.method === 'GET' ? { json: recording('etsy/inventory') } : null;
  });
  const { connector } = await connect(shop);
  expect(await connector.readStock([{ unitId: '11', variantId: 'MUG-BLUE' }])).toEqual([
    { kind: 'quantity', quantity: 0 },
  ]);
});
