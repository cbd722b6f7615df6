import { expect, test } from 'vitest';
import type { Shipment } from '../../src/connectors/connector.ts';
import { createEtsyConnector } from '../../src/connectors/etsy/etsy.ts';
import {
  type Answer,
  type Call,
  collect,
  createContext,
  createTestStore,
  type Handler,
  recording,
  startServer,
} from './etsyEbayServer.ts';
import { etsyCredentials, shopId } from './etsyShop.ts';
import { assertEtsyRequest } from './etsySpecification.ts';

async function connect(handler: Handler, credentials: Readonly<Record<string, string>> = etsyCredentials) {
  const server = await startServer(handler);
  const settings = { apiBaseUrl: `${server.url}/`, tokenUrl: `${server.url}/token`, shopId, rateScale: 1000 };
  const store = createTestStore(credentials);
  return { connector: createEtsyConnector(createContext(settings, store)), server, store };
}

const me: Answer = { body: { user_id: 82000001, shop_id: 41000001 } };
const newTokens: Answer = {
  body: {
    access_token: '82000001.new',
    token_type: 'Bearer',
    expires_in: 3600,
    refresh_token: '82000001.refresh2',
  },
};
const refused: Answer = {
  status: 401,
  body: { error: 'invalid_token', error_description: 'access token is expired' },
};

test('settings that are wrong are all named at once', () => {
  const context = createContext(
    { shopId: 'my shop', apiBaseUrl: 'ftp://x', rateScale: 0 },
    createTestStore({}),
  );
  expect(() => createEtsyConnector(context)).toThrow(
    expect.objectContaining({
      code: 'misconfigured',
      message: expect.stringMatching(/apiBaseUrl.*shopId.*rateScale/),
    }),
  );
});

test('a missing credential is named, and its value never appears', async () => {
  const { connector } = await connect(() => me, { ...etsyCredentials, sharedSecret: '' });
  await expect(connector.check()).rejects.toThrow(/sharedSecret/);
});

test('every call carries the keystring with the shared secret, and the access token', async () => {
  const { connector, server } = await connect(() => me);
  expect(await connector.check()).toEqual({ externalAccountId: '41000001' });
  expect(server.calls[0]?.headers).toMatchObject({
    'x-api-key': 'key1:secret1',
    authorization: 'Bearer 82000001.old',
  });
});

test('a token of another shop is misconfigured', async () => {
  const { connector } = await connect(() => ({ body: { user_id: 1, shop_id: 7 } }));
  await expect(connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
});

test('a refused token is renewed once, both new tokens are stored, and the call is sent again', async () => {
  const { connector, server, store } = await connect((call) => {
    if (call.path === '/token') return newTokens;
    return call.headers.authorization === 'Bearer 82000001.new' ? me : refused;
  });
  await connector.check();
  expect(server.calls.map((call) => call.path)).toEqual([
    '/v3/application/users/me',
    '/token',
    '/v3/application/users/me',
  ]);
  expect(Object.fromEntries(new URLSearchParams(server.calls[1]?.text))).toEqual({
    grant_type: 'refresh_token',
    client_id: 'key1',
    refresh_token: '82000001.refresh1',
  });
  expect(store.stored()).toMatchObject({ accessToken: '82000001.new', refreshToken: '82000001.refresh2' });
});

test('a token about to end is renewed before the call', async () => {
  const accessTokenExpiresAt = new Date(Date.now() + 60_000).toISOString();
  const { connector, server } = await connect((call) => (call.path === '/token' ? newTokens : me), {
    ...etsyCredentials,
    accessTokenExpiresAt,
  });
  await connector.check();
  expect(server.calls.map((call) => call.path)).toEqual(['/token', '/v3/application/users/me']);
});

test('a token that is refused after its renewal is unauthorized', async () => {
  const { connector, server } = await connect((call) => (call.path === '/token' ? newTokens : refused));
  await expect(connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
  expect(server.calls).toHaveLength(3);
});

test('a refresh token that Etsy no longer takes is unauthorized', async () => {
  const invalid: Answer = {
    status: 400,
    body: { error: 'invalid_grant', error_description: 'token is revoked' },
  };
  const { connector } = await connect((call) => (call.path === '/token' ? invalid : refused));
  await expect(connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
});

test('a lost token answer leaves a write unsent: deferred, not unknown', async () => {
  const { connector } = await connect((call) => (call.path === '/token' ? 'lost' : refused));
  const address = { unitId: '11', variantId: 'X' };
  const results = await connector.setStock([{ address, quantity: 1, expected: null, key: 'k' }]);
  expect(results).toMatchObject([{ kind: 'deferred' }]);
});

test('the words of a refusal reach the error', async () => {
  const body = { error: 'Shared secret is required in x-api-key header' };
  const { connector } = await connect(() => ({ status: 403, body }));
  await expect(connector.check()).rejects.toMatchObject({
    code: 'forbidden',
    message: expect.stringContaining(body.error),
  });
});

// -------------------------------------------------------------------------------------------------------------- catalogue

const listing = (id: number, state = 'active') => ({
  listing_id: id,
  title: 'Mug',
  state,
  url: `https://www.etsy.com/listing/${id}`,
  inventory: recording('etsy/inventory'),
});

/** `listings` by state, paged by offset. */
const listingsOf =
  (listings: Readonly<Record<string, readonly { readonly listing_id: number }[]>>) =>
  (call: Call): Answer => {
    const rows = listings[call.query.get('state') ?? ''] ?? [];
    const offset = Number(call.query.get('offset'));
    return {
      body: { count: rows.length, results: rows.slice(offset, offset + Number(call.query.get('limit'))) },
    };
  };

test('the catalogue holds every variant of active, sold-out and inactive listings', async () => {
  const { connector, server } = await connect(
    listingsOf({
      active: [listing(1)],
      sold_out: [listing(2, 'sold_out')],
      inactive: [listing(3, 'inactive')],
    }),
  );
  const entries = await collect(connector.catalogue());
  expect(entries[0]).toEqual({
    address: { unitId: '1', variantId: 'MUG-BLUE' },
    sku: 'MUG-BLUE',
    title: 'Mug (Blue)',
    url: 'https://www.etsy.com/listing/1',
    price: { minor: 2450, currency: 'USD' },
    stock: { kind: 'quantity', quantity: 5 },
    writable: true,
  });
  expect(entries.map((entry) => entry.stock)).toMatchObject([
    { quantity: 5 },
    { quantity: 0 },
    { quantity: 0 },
  ]);
  expect(server.calls.every((call) => call.query.get('includes') === 'Inventory')).toBe(true);
});

test('a listing that disappears between two pages makes no other listing be jumped over', async () => {
  const active = Array.from({ length: 250 }, (_unused, index) => listing(index + 1));
  let pages = 0;
  const { connector } = await connect((call) => {
    const answer = listingsOf({ active })(call);
    pages += 1;
    if (pages === 1) active.splice(0, 2);
    return answer;
  });
  const entries = await collect(connector.catalogue());
  expect(entries).toHaveLength(250);
  expect(new Set(entries.map((entry) => entry.address.unitId)).size).toBe(250);
});

test('a page of listings that ends before the promised count is an error', async () => {
  const { connector } = await connect(() => ({ body: { count: 3, results: [] } }));
  await expect(collect(connector.catalogue())).rejects.toMatchObject({ code: 'invalid_response' });
});

test('a scan stops when the calls of the day run out, so that orders and stock keep theirs', async () => {
  const headers = { 'x-limit-per-day': '10000', 'x-remaining-today': '900' };
  const { connector, server } = await connect((call) => ({ ...(listingsOf({})(call) as object), headers }));
  await expect(collect(connector.catalogue())).rejects.toMatchObject({ code: 'rate_limited' });
  expect(server.calls).toHaveLength(1);
});

// --------------------------------------------------------------------------------------------------------------- shipping

const shipment: Shipment = { carrier: 'usps', trackingNumber: '9400', shippedAt: new Date(), lines: [] };
const receipts = recording('etsy/receipts') as { readonly results: readonly [Record<string, unknown>] };

function receiptWith(
  changes: Readonly<Record<string, unknown>>,
  trackingAnswer: Answer = { body: {} },
): Handler {
  return (call) => {
    if (call.method === 'GET') return { body: { ...receipts.results[0], ...changes } };
    const body =
      call.method === 'POST' ? JSON.parse(call.text) : Object.fromEntries(new URLSearchParams(call.text));
    const path = call.path.replace(shopId, '{shop_id}').replace('3300000001', '{receipt_id}');
    // A form carries words where the schema says boolean.
    const typed = call.method === 'PUT' ? { was_shipped: body.was_shipped === 'true' } : body;
    assertEtsyRequest(call.method, path, call.headers['content-type'], typed);
    return call.method === 'POST' ? trackingAnswer : { body: {} };
  };
}

test('a parcel is reported with carrier and number', async () => {
  const { connector, server } = await connect(receiptWith({}));
  await connector.ship('3300000001', shipment);
  expect(server.calls.map((call) => call.method)).toEqual(['GET', 'POST']);
  expect(JSON.parse(server.calls[1]?.text ?? '')).toEqual({ tracking_code: '9400', carrier_name: 'usps' });
});

test('a parcel that Etsy knows is not reported again, because each report e-mails the buyer', async () => {
  const { connector, server } = await connect(receiptWith({ shipments: [{ tracking_code: '9400' }] }));
  await connector.ship('3300000001', shipment);
  expect(server.calls.map((call) => call.method)).toEqual(['GET']);
});

test('a receipt is marked as shipped where Etsy takes no tracking from the application', async () => {
  const { connector, server } = await connect(
    receiptWith({}, { status: 403, body: { error: 'not a partner' } }),
  );
  await connector.ship('3300000001', shipment);
  expect(server.calls.map((call) => `${call.method} ${call.text}`).at(-1)).toBe('PUT was_shipped=true');
});

test('a lost answer to a parcel is an error that says it may have been applied, after one attempt', async () => {
  const { connector, server } = await connect(receiptWith({}, 'lost'));
  await expect(connector.ship('3300000001', shipment)).rejects.toMatchObject({ maybeApplied: true });
  expect(server.calls.filter((call) => call.method === 'POST')).toHaveLength(1);
});

test('a part of a receipt cannot be shipped on Etsy', async () => {
  const { connector } = await connect(receiptWith({}));
  const part = { ...shipment, lines: [{ lineId: '4400000001', quantity: 1 }] };
  await expect(connector.ship('3300000001', part)).rejects.toMatchObject({ code: 'rejected' });
});
