/** Etsy in the sandbox, over HTTP: key and token, receipts by change time, tracking, limits. Answers conform to Etsy's specification. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { demoCatalogue } from '../../src/sandbox/demoShop.ts';
import { startAt } from './channelBench.ts';
import { at, buy, etsyClient, openSandbox, type SandboxBench, variantId } from './sandboxBench.ts';

const shopPath = '/v3/application/shops/41000001';
const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000);

const refresh = (bench: SandboxBench, refreshToken: string) =>
  etsyClient(bench.sandbox)('POST', '/v3/public/oauth/token', {
    form: { grant_type: 'refresh_token', client_id: 'demoetsykeystring0000001', refresh_token: refreshToken },
  });

test('Every call needs both parts of the API key', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  const ping = (key: string) =>
    etsy('GET', '/v3/application/openapi-ping', { headers: { 'x-api-key': key } });
  const half = await ping('demoetsykeystring0000001');
  expect([half.status, at(half.body, 'error')]).toEqual([
    403,
    'Shared secret is required in x-api-key header.',
  ]);
  expect((await ping('demoetsykeystring0000001:wrong')).status).toBe(403);
  expect((await ping('demoetsykeystring0000001:demosecret')).status).toBe(200);
});

test('The account call names user and shop, and needs a token', async () => {
  await using bench = await openSandbox();
  const etsy = etsyClient(bench.sandbox);
  expect((await etsy('GET', '/v3/application/users/me')).body).toEqual({
    user_id: 82000001,
    shop_id: 41000001,
  });
  const refused = await etsy('GET', '/v3/application/users/me', {
    headers: { authorization: 'Bearer 82000001.wrong' },
  });
  expect([refused.status, at(refused.body, 'error')]).toEqual([401, 'invalid_token']);
});

test('A token lives an hour, and a refresh token works once', async () => {
  await using bench = await openSandbox();
  const { refreshToken = '' } = bench.sandbox.connection('etsy').credentials;
  const etsy = etsyClient(bench.sandbox);
  bench.clock.advance(3_600_000);
  expect((await etsy('GET', '/v3/application/users/me')).status).toBe(401);
  const first = await refresh(bench, refreshToken);
  expect(first.body).toMatchObject({ token_type: 'Bearer', expires_in: 3600 });
  expect(String(at(first.body, 'access_token'))).toMatch(/^82000001\./);
  expect((await refresh(bench, refreshToken)).body).toMatchObject({ error: 'invalid_grant' });
  expect((await refresh(bench, String(at(first.body, 'refresh_token')))).status).toBe(200);
});

test('An authorisation code needs the verifier of its challenge, and works once', async () => {
  await using bench = await openSandbox();
  const verifier = 'a-verifier-of-at-least-forty-three-characters-000';
  const grant = async () => {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'demoetsykeystring0000001',
      redirect_uri: 'http://127.0.0.1:1/back',
      state: 's',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    const answer = await fetch(`${bench.sandbox.url('etsy')}/oauth/connect?${query}`, { redirect: 'manual' });
    return new URL(answer.headers.get('location') ?? '').searchParams.get('code') ?? '';
  };
  const exchange = (code: string, codeVerifier: string) =>
    etsyClient(bench.sandbox)('POST', '/v3/public/oauth/token', {
      form: {
        grant_type: 'authorization_code',
        client_id: 'demoetsykeystring0000001',
        redirect_uri: 'http://127.0.0.1:1/back',
        code,
        code_verifier: codeVerifier,
      },
    });
  expect((await exchange(await grant(), 'another')).body).toMatchObject({ error: 'invalid_grant' });
  const code = await grant();
  expect((await exchange(code, verifier)).status).toBe(200);
  expect((await exchange(code, verifier)).status).toBe(400);
});

test('Every reply says what is left of both limits, and beyond the second’s limit there is a 429', async () => {
  await using bench = await openSandbox({ rateScale: 1 });
  const etsy = etsyClient(bench.sandbox);
  const first = await etsy('GET', '/v3/application/openapi-ping');
  const header = (name: string) => first.headers.get(name);
  expect([header('x-limit-per-second'), header('x-remaining-this-second')]).toEqual(['10', '9']);
  expect([header('x-limit-per-day'), header('x-remaining-today')]).toEqual(['10000', '9999']);
  const statuses: number[] = [];
  for (let call = 0; call < 10; call++)
    statuses.push((await etsy('GET', '/v3/application/openapi-ping')).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 200, 429]);
  bench.clock.advance(1000);
  expect((await etsy('GET', '/v3/application/openapi-ping')).status).toBe(200);
});

test('Receipts are found by change time, in order, page by page', async () => {
  await using bench = await openSandbox();
  const ids: string[] = [];
  for (let order = 0; order < 3; order++) {
    ids.push(buy(bench.sandbox, 'etsy', 'A', 1));
    bench.clock.advance(10_000);
  }
  bench.sandbox.shops.etsy.orders.ship(ids[0] ?? '');
  const etsy = etsyClient(bench.sandbox);
  const list = async (query: string) => {
    const { body } = await etsy('GET', `${shopPath}/receipts?sort_on=updated&sort_order=asc&${query}`);
    const results = at(body, 'results') as unknown[];
    return { count: at(body, 'count'), ids: results.map((each) => String(at(each, 'receipt_id'))) };
  };
  const since = seconds(startAt) + 10;
  expect(await list(`min_last_modified=${since}`)).toEqual({ count: 3, ids: [ids[1], ids[2], ids[0]] });
  expect(await list(`min_last_modified=${since}&limit=1&offset=2`)).toEqual({ count: 3, ids: [ids[0]] });
  expect(await list(`max_last_modified=${since}`)).toEqual({ count: 1, ids: [ids[1]] });
  expect(await list('was_shipped=true')).toEqual({ count: 1, ids: [ids[0]] });
  const bad = await etsy('GET', `${shopPath}/receipts?limit=101`);
  expect(bad.status).toBe(400);
});

test('A receipt says what was bought, for how much, and how far it is', async () => {
  await using bench = await openSandbox();
  const { orders } = bench.sandbox.shops.etsy;
  const id = buy(bench.sandbox, 'etsy', 'A', 2, false);
  const etsy = etsyClient(bench.sandbox);
  const read = async () => (await etsy('GET', `${shopPath}/receipts/${id}`)).body;
  expect(await read()).toMatchObject({
    status: 'payment processing',
    is_paid: false,
    grandtotal: { amount: 4900, divisor: 100, currency_code: 'USD' },
    transactions: [
      {
        sku: 'A',
        quantity: 2,
        product_id: Number(variantId(bench.sandbox, 'etsy', 'A')),
        price: { amount: 2450 },
      },
    ],
  });
  orders.pay(id);
  expect(await read()).toMatchObject({ status: 'paid', is_paid: true, is_shipped: false });
  const lineId = orders.require(id).lines[0]?.id ?? '';
  orders.refund(id, [{ lineId, quantity: 1 }], false);
  expect(await read()).toMatchObject({
    status: 'partially refunded',
    refunds: [{ amount: { amount: 2450 } }],
  });
  orders.cancel(id);
  expect(await read()).toMatchObject({ status: 'canceled' });
  expect((await etsy('GET', `${shopPath}/receipts/1`)).status).toBe(404);
  expect((await etsy('GET', `/v3/application/shops/1/receipts/${id}`)).status).toBe(404);
});

test('Tracking ships the receipt, and a second call is a second shipment', async () => {
  await using bench = await openSandbox();
  const id = buy(bench.sandbox, 'etsy', 'A', 1);
  const etsy = etsyClient(bench.sandbox);
  const track = (code: string) =>
    etsy('POST', `${shopPath}/receipts/${id}/tracking`, {
      form: { tracking_code: code, carrier_name: 'usps' },
    });
  expect((await track('T1')).body).toMatchObject({
    is_shipped: true,
    status: 'completed',
    shipments: [{ carrier_name: 'usps', tracking_code: 'T1' }],
  });
  expect(at((await track('T2')).body, 'shipments.1.tracking_code')).toBe('T2');
});

test('A receipt can be marked as shipped without tracking, a cancelled one cannot', async () => {
  await using bench = await openSandbox();
  const [sent, cancelled] = [buy(bench.sandbox, 'etsy', 'A', 1), buy(bench.sandbox, 'etsy', 'A', 1)];
  bench.sandbox.shops.etsy.orders.cancel(cancelled);
  const etsy = etsyClient(bench.sandbox);
  const mark = (id: string) => etsy('PUT', `${shopPath}/receipts/${id}`, { form: { was_shipped: 'true' } });
  expect((await mark(sent)).body).toMatchObject({ is_shipped: true, shipments: [{ tracking_code: '' }] });
  const tracking = await etsy('POST', `${shopPath}/receipts/${cancelled}/tracking`, {
    form: { tracking_code: 'T' },
  });
  expect(tracking.status).toBe(409);
});

test('The demo lists several products in one Etsy listing, each with its own quantity', async () => {
  await using bench = await openSandbox({ catalogue: demoCatalogue });
  const { body } = await etsyClient(bench.sandbox)(
    'GET',
    `${shopPath}/listings?limit=100&includes=Inventory`,
  );
  const shared = (at(body, 'results') as unknown[]).filter(
    (listing) => at(listing, 'has_variations') === true,
  );
  const summary = shared.map((listing) => ({
    title: at(listing, 'title'),
    skus: at(listing, 'skus'),
    quantity: at(listing, 'quantity'),
    on: at(listing, 'inventory.quantity_on_property'),
  }));
  expect(summary).toEqual([
    {
      title: 'Hand-dyed merino yarn, 100 g',
      skus: ['YARN-INDIGO', 'YARN-MADDER', 'YARN-WELD', 'YARN-NATURAL'],
      quantity: 42,
      on: [200],
    },
    {
      title: 'Linen kitchen apron',
      skus: ['APRON-S', 'APRON-M', 'APRON-L'],
      quantity: 24,
      on: [62809790395],
    },
  ]);
});
