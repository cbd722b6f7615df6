/** Shopify in the sandbox, over HTTP: tokens, stock with compare-and-set and idempotency, orders, fulfilment, paging, cost. */
import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { soldBeyond, tinyCatalogue } from '../../src/sandbox/demoShop.ts';
import { answerOf } from './channelBench.ts';
import { at, buy, openSandbox, type SandboxBench, shopifyClient, variantId } from './sandboxBench.ts';

const location = 'gid://shopify/Location/65000001';
const setQuantities = `mutation SetAvailable($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id reason changes { name delta quantityAfterChange item { id sku } location { id } } }
    userErrors { code field message } } }`;

type Entry = {
  readonly sku?: string;
  readonly quantity: number;
  readonly changeFromQuantity?: number | null;
  readonly item?: string;
};

function stockInput({ sandbox }: SandboxBench, entries: readonly Entry[], reason = 'correction') {
  const quantities = entries.map(({ sku = 'A', item, ...rest }) => ({
    inventoryItemId: item ?? `gid://shopify/InventoryItem/${variantId(sandbox, 'shopify', sku)}`,
    locationId: location,
    ...rest,
  }));
  return { name: 'available', reason, quantities };
}

async function token(bench: SandboxBench, form: Readonly<Record<string, string>>) {
  const { clientId = '', clientSecret = '' } = bench.sandbox.connection('shopify').credentials;
  const response = await fetch(`${bench.sandbox.url('shopify')}/admin/oauth/access_token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id: clientId, client_secret: clientSecret, ...form }),
  });
  return answerOf(response);
}

test('A call without a good token is refused with Shopify’s string error', async () => {
  await using bench = await openSandbox();
  const { status, body } = await shopifyClient(bench.sandbox)('{ shop { id } }', {}, 'shpat_wrong');
  expect([status, body]).toEqual([
    401,
    { errors: '[API] Invalid API key or access token (unrecognized login or wrong password)' },
  ]);
});

test('An expiring token is refused after an hour, and the refresh gives a new pair', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const { refreshToken = '' } = bench.sandbox.connection('shopify').credentials;
  bench.clock.advance(3_600_000);
  expect((await shopify('{ shop { id } }')).status).toBe(401);
  const { body } = await token(bench, { grant_type: 'refresh_token', refresh_token: refreshToken });
  expect(body).toMatchObject({ expires_in: 3600, refresh_token_expires_in: 7_776_000 });
  expect((await shopify('{ shop { id } }', {}, String(at(body, 'access_token')))).status).toBe(200);
});

test('The old refresh token works until the new access token is used, and not after', async () => {
  await using bench = await openSandbox();
  const { refreshToken = '' } = bench.sandbox.connection('shopify').credentials;
  const refresh = () => token(bench, { grant_type: 'refresh_token', refresh_token: refreshToken });
  const first = await refresh();
  const second = await refresh();
  expect([first.status, second.status]).toEqual([200, 200]);
  await shopifyClient(bench.sandbox)('{ shop { id } }', {}, String(at(second.body, 'access_token')));
  expect(await refresh()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
});

test('Client credentials give a token of 24 hours without a refresh token', async () => {
  await using bench = await openSandbox();
  const { body } = await token(bench, { grant_type: 'client_credentials' });
  expect(body).toMatchObject({ expires_in: 86_400 });
  expect(at(body, 'refresh_token')).toBeUndefined();
  expect(await token(bench, { grant_type: 'client_credentials', client_secret: 'no' })).toMatchObject({
    status: 400,
  });
});

test('The authorisation comes back signed, and its code works once', async () => {
  await using bench = await openSandbox();
  const { clientId = '', clientSecret = '' } = bench.sandbox.connection('shopify').credentials;
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: 'http://127.0.0.1:1/callback',
    state: 's1',
    scope: 'read_orders',
  });
  const answer = await fetch(`${bench.sandbox.url('shopify')}/admin/oauth/authorize?${query}`, {
    redirect: 'manual',
  });
  const callback = new URL(answer.headers.get('location') ?? '').searchParams;
  const hmac = callback.get('hmac');
  callback.delete('hmac');
  callback.sort();
  expect(hmac).toBe(createHmac('sha256', clientSecret).update(callback.toString()).digest('hex'));
  const code = callback.get('code') ?? '';
  expect((await token(bench, { code, expiring: '1' })).body).toMatchObject({ expires_in: 3600 });
  expect((await token(bench, { code, expiring: '1' })).status).toBe(400);
});

test('A stock write compares with the persisted number, and a stale one changes nothing', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const stale = await shopify(setQuantities, {
    key: 'k1',
    input: stockInput(bench, [{ quantity: 9, changeFromQuantity: 4 }]),
  });
  expect(at(stale.body, 'data.inventorySetQuantities')).toEqual({
    inventoryAdjustmentGroup: null,
    userErrors: [
      {
        code: 'CHANGE_FROM_QUANTITY_STALE',
        field: ['input', 'quantities', '0', 'changeFromQuantity'],
        message: 'The changeFromQuantity value does not match persisted value.',
      },
    ],
  });
  expect(bench.sandbox.displayed('shopify')['A']).toBe(5);
  const good = await shopify(setQuantities, {
    key: 'k2',
    input: stockInput(bench, [{ quantity: 9, changeFromQuantity: 5 }]),
  });
  expect(at(good.body, 'data.inventorySetQuantities.userErrors')).toEqual([]);
  expect(at(good.body, 'data.inventorySetQuantities.inventoryAdjustmentGroup.changes.0')).toMatchObject({
    name: 'available',
    delta: 4,
    quantityAfterChange: 9,
    item: { sku: 'A' },
    location: { id: location },
  });
  expect(bench.sandbox.shops.shopify.journal.values().at(-1)).toMatchObject({
    cause: 'write',
    reference: 'k2',
    to: 9,
  });
});

test('A null compare writes whatever is there, a missing compare is refused before anything runs', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const blind = await shopify(setQuantities, {
    key: 'k1',
    input: stockInput(bench, [{ quantity: 1, changeFromQuantity: null }]),
  });
  expect([
    at(blind.body, 'data.inventorySetQuantities.userErrors'),
    bench.sandbox.displayed('shopify')['A'],
  ]).toEqual([[], 1]);
  const missing = await shopify(setQuantities, { key: 'k2', input: stockInput(bench, [{ quantity: 7 }]) });
  expect(at(missing.body, 'errors.0.extensions.code')).toBe('INVALID_FIELD_ARGUMENTS');
  expect(bench.sandbox.displayed('shopify')['A']).toBe(1);
});

test('A stock write without @idempotent is refused', async () => {
  await using bench = await openSandbox();
  const bare = setQuantities.replace(' @idempotent(key: $key)', '').replace(', $key: String!', '');
  const input = stockInput(bench, [{ quantity: 1, changeFromQuantity: null }]);
  const { body } = await shopifyClient(bench.sandbox)(bare, { input });
  expect(at(body, 'errors.0')).toMatchObject({
    message: 'The @idempotent directive is required for this mutation but was not provided.',
    extensions: { code: 'BAD_REQUEST' },
  });
  expect(bench.sandbox.displayed('shopify')['A']).toBe(5);
});

test('The same key with the same input replays the answer and writes once', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const request = { key: 'k1', input: stockInput(bench, [{ quantity: 4, changeFromQuantity: 5 }]) };
  const first = await shopify(setQuantities, request);
  buy(bench.sandbox, 'shopify', 'A', 1);
  const second = await shopify(setQuantities, request);
  expect(at(second.body, 'data')).toEqual(at(first.body, 'data'));
  expect(bench.sandbox.displayed('shopify')['A']).toBe(3);
});

test('A key cannot be used for other input, nor again after its attempt failed', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const send = async (key: string, entry: Entry) => {
    const { body } = await shopify(setQuantities, { key, input: stockInput(bench, [entry]) });
    return at(body, 'data.inventorySetQuantities.userErrors.0.code');
  };
  expect(await send('k1', { quantity: 4, changeFromQuantity: 5 })).toBeUndefined();
  expect(await send('k1', { quantity: 3, changeFromQuantity: 5 })).toBe('IDEMPOTENCY_KEY_PARAMETER_MISMATCH');
  expect(await send('k2', { quantity: 1, changeFromQuantity: 99 })).toBe('CHANGE_FROM_QUANTITY_STALE');
  expect(await send('k2', { quantity: 1, changeFromQuantity: 99 })).toBe(
    'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED',
  );
  expect(bench.sandbox.displayed('shopify')['A']).toBe(4);
});

test('One bad entry fails the whole write, each with its official code', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const cases: readonly (readonly [Entry, string])[] = [
    [{ quantity: -1, changeFromQuantity: null }, 'INVALID_QUANTITY_NEGATIVE'],
    [{ quantity: 1_000_000_001, changeFromQuantity: null }, 'INVALID_QUANTITY_TOO_HIGH'],
    [
      { quantity: 1, changeFromQuantity: null, item: 'gid://shopify/InventoryItem/1' },
      'INVALID_INVENTORY_ITEM',
    ],
    [{ quantity: 2, changeFromQuantity: null, sku: 'B' }, 'NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR'],
  ];
  for (const [index, [entry, code]] of cases.entries()) {
    const input = stockInput(bench, [{ sku: 'B', quantity: 1, changeFromQuantity: null }, entry]);
    const { body } = await shopify(setQuantities, { key: `k${index}`, input });
    expect(at(body, 'data.inventorySetQuantities.userErrors.0.code')).toBe(code);
  }
  const reason = stockInput(bench, [{ quantity: 1, changeFromQuantity: null }], 'because');
  const { body } = await shopify(setQuantities, { key: 'r', input: reason });
  expect(at(body, 'data.inventorySetQuantities.userErrors.0.code')).toBe('INVALID_REASON');
  expect(bench.sandbox.displayed('shopify')).toEqual({ A: 5, B: 3 });
});

test('A stock write takes 250 entries at most', async () => {
  await using bench = await openSandbox();
  const entries = Array.from({ length: 251 }, () => ({ quantity: 1, changeFromQuantity: null }));
  const variables = { key: 'k', input: stockInput(bench, entries) };
  const { body } = await shopifyClient(bench.sandbox)(setQuantities, variables);
  expect(at(body, 'errors.0.extensions.code')).toBe('MAX_INPUT_SIZE_EXCEEDED');
});

test('An adjustment is a delta on the present number', async () => {
  await using bench = await openSandbox();
  const mutation = `mutation ($input: InventoryAdjustQuantitiesInput!) {
    inventoryAdjustQuantities(input: $input) @idempotent(key: "d1") { inventoryAdjustmentGroup { id } userErrors { code } } }`;
  const change = {
    inventoryItemId: `gid://shopify/InventoryItem/${variantId(bench.sandbox, 'shopify', 'A')}`,
    locationId: location,
    delta: 6,
    changeFromQuantity: null,
  };
  const input = { name: 'available', reason: 'received', changes: [change] };
  const { body } = await shopifyClient(bench.sandbox)(mutation, { input });
  expect([
    at(body, 'data.inventoryAdjustQuantities.userErrors'),
    bench.sandbox.displayed('shopify')['A'],
  ]).toEqual([[], 11]);
});

test('A sale moves units from available to committed, and on hand stays', async () => {
  await using bench = await openSandbox();
  buy(bench.sandbox, 'shopify', 'A', 2);
  const query = `query ($id: ID!) { inventoryItem(id: $id) { sku tracked variant { product { title } }
    inventoryLevel(locationId: "${location}") { id quantities(names: ["available", "committed", "on_hand", "nonsense"]) { name quantity } } } }`;
  const id = variantId(bench.sandbox, 'shopify', 'A');
  const { body } = await shopifyClient(bench.sandbox)(query, { id: `gid://shopify/InventoryItem/${id}` });
  expect(at(body, 'data.inventoryItem.inventoryLevel')).toEqual({
    id: `gid://shopify/InventoryLevel/65000001?inventory_item_id=${id}`,
    quantities: [
      { name: 'available', quantity: 3 },
      { name: 'committed', quantity: 2 },
      { name: 'on_hand', quantity: 5 },
    ],
  });
});

test('A variant that continues selling when out of stock says so, and is sold below 0; any other denies', async () => {
  const catalogue = [...tinyCatalogue({ A: 1 }).map(soldBeyond), ...tinyCatalogue({ B: 1 })];
  await using bench = await openSandbox({ catalogue });
  buy(bench.sandbox, 'shopify', 'A', 3);
  expect(() => buy(bench.sandbox, 'shopify', 'B', 2)).toThrow('shows only 1');
  const query = '{ productVariants(first: 2) { nodes { sku inventoryPolicy inventoryQuantity } } }';
  const { body } = await shopifyClient(bench.sandbox)(query);
  expect(at(body, 'data.productVariants.nodes')).toEqual([
    { sku: 'A', inventoryPolicy: 'CONTINUE', inventoryQuantity: -2 },
    { sku: 'B', inventoryPolicy: 'DENY', inventoryQuantity: 1 },
  ]);
});

test('nodes answers null for an unknown id, keeps the order, and takes 250 ids at most', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on InventoryItem { sku } } }';
  const b = `gid://shopify/InventoryItem/${variantId(bench.sandbox, 'shopify', 'B')}`;
  const { body } = await shopify(query, { ids: ['gid://shopify/InventoryItem/1', b] });
  expect(at(body, 'data.nodes')).toEqual([null, { id: b, sku: 'B' }]);
  const tooMany = await shopify(query, { ids: Array.from({ length: 251 }, () => b) });
  expect(at(tooMany.body, 'errors.0.extensions.code')).toBe('MAX_INPUT_SIZE_EXCEEDED');
});

test('Pages follow the cursor without a gap or a double, and must say how long they are', async () => {
  const skus = Object.fromEntries(Array.from({ length: 23 }, (_, index) => [`SKU-${index}`, 1]));
  await using bench = await openSandbox({ catalogue: tinyCatalogue(skus) });
  const shopify = shopifyClient(bench.sandbox);
  const query =
    'query ($after: String) { inventoryItems(first: 10, after: $after) { nodes { sku } pageInfo { hasNextPage endCursor } } }';
  const pages: unknown[][] = [];
  let after: unknown = null;
  do {
    const { body } = await shopify(query, { after });
    pages.push((at(body, 'data.inventoryItems.nodes') as unknown[]).map((node) => at(node, 'sku')));
    after =
      at(body, 'data.inventoryItems.pageInfo.hasNextPage') === true
        ? at(body, 'data.inventoryItems.pageInfo.endCursor')
        : null;
  } while (after !== null);
  expect(pages.map(({ length }) => length)).toEqual([10, 10, 3]);
  expect(pages.flat()).toEqual(Object.keys(skus));
  const unbounded = await shopify('{ inventoryItems { nodes { sku } } }');
  expect(at(unbounded.body, 'errors.0.message')).toBe('you must provide one of first or last');
});

test('A search by SKU finds it, and an unknown field is ignored with a warning', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const query =
    'query ($q: String) { productVariants(first: 5, query: $q) { nodes { sku inventoryItem { id } } } }';
  const found = async (q: string) =>
    at((await shopify(query, { q })).body, 'data.productVariants.nodes.length');
  expect([await found("sku:'B'"), await found("sku:'B' OR sku:A"), await found('sku:none')]).toEqual([
    1, 2, 0,
  ]);
  const odd = await shopify(query, { q: 'colour:red' });
  expect([
    at(odd.body, 'data.productVariants.nodes.length'),
    at(odd.body, 'extensions.search.0.warnings.0.field'),
  ]).toEqual([2, 'colour']);
});

test('A query that is not in the schema is refused and costs nothing', async () => {
  await using bench = await openSandbox({ rateScale: 1 });
  const shopify = shopifyClient(bench.sandbox);
  const wrong = await shopify('{ shop { nonsense } }');
  expect([wrong.status, String(at(wrong.body, 'errors.0.message'))]).toEqual([
    200,
    'Cannot query field "nonsense" on type "Shop".',
  ]);
  const { body } = await shopify('{ shop { id } }');
  expect(at(body, 'extensions.cost.throttleStatus')).toEqual({
    maximumAvailable: 2000,
    currentlyAvailable: 1999,
    restoreRate: 100,
  });
});

test('An empty bucket throttles, and time fills it again', async () => {
  await using bench = await openSandbox({ rateScale: 0.01 });
  const shopify = shopifyClient(bench.sandbox);
  const codes: unknown[] = [];
  for (let call = 0; call < 21; call++)
    codes.push(at((await shopify('{ shop { id } }')).body, 'errors.0.extensions.code'));
  expect([codes.slice(0, 20).every((code) => code === undefined), codes[20]]).toEqual([true, 'THROTTLED']);
  bench.clock.advance(1000);
  expect(at((await shopify('{ shop { id } }')).body, 'data.shop.id')).toBe('gid://shopify/Shop/61000001');
});
