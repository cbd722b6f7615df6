/** Etsy: settings, tokens, the catalogue and parcels. */
import { expect, test } from 'vitest';
import type { Shipment } from '../../src/connectors/connector.ts';
import { createEtsyConnector } from '../../src/connectors/etsy/etsy.ts';
import { assertEtsyRequest } from '../support/etsySpecification.ts';
import { connectEtsy, etsyCredentials, shopId } from './etsyShop.ts';
import {
  type Answer,
  collect,
  createTestContext,
  type Handler,
  type ReceivedRequest,
  unclearAnswers,
} from './localChannel.ts';
import { recording } from './recordings.ts';

const me: Answer = { json: { user_id: 82000001, shop_id: 41000001 } };
const newTokens: Answer = {
  json: {
    access_token: '82000001.new',
    token_type: 'Bearer',
    expires_in: 3600,
    refresh_token: '82000001.refresh2',
  },
};
const refused: Answer = {
  status: 401,
  json: { error: 'invalid_token', error_description: 'access token is expired' },
};

test('settings that are wrong are all named at once', () => {
  const context = createTestContext({ shopId: 'my shop', apiBaseUrl: 'ftp://x', rateScale: 0 }, {});
  expect(() => createEtsyConnector(context)).toThrow(
    expect.objectContaining({
      code: 'misconfigured',
      message: expect.stringMatching(/apiBaseUrl.*shopId.*rateScale/),
    }),
  );
});

test('a missing credential is named, and its value never appears', async () => {
  const { connector } = await connectEtsy(() => me, { ...etsyCredentials, sharedSecret: '' });
  await expect(connector.check()).rejects.toThrow(/sharedSecret/);
});

test('every call carries the keystring with the shared secret, and the access token', async () => {
  const { connector, channel } = await connectEtsy(() => me);
  expect(await connector.check()).toEqual({ externalAccountId: '41000001' });
  expect(channel.requests[0]?.headers).toMatchObject({
    'x-api-key': 'key1:secret1',
    authorization: 'Bearer 82000001.old',
  });
});

test('a token of another shop is misconfigured', async () => {
  const { connector } = await connectEtsy(() => ({ json: { user_id: 1, shop_id: 7 } }));
  await expect(connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
});

test('a refused token is renewed once, both new tokens are stored, and the call is sent again', async () => {
  const { connector, channel, context } = await connectEtsy((call) => {
    if (call.path === '/token') return newTokens;
    return call.headers.authorization === 'Bearer 82000001.new' ? me : refused;
  });
  await connector.check();
  expect(channel.requests.map((call) => call.path)).toEqual([
    '/v3/application/users/me',
    '/token',
    '/v3/application/users/me',
  ]);
  expect(Object.fromEntries(new URLSearchParams(channel.requests[1]?.body))).toEqual({
    grant_type: 'refresh_token',
    client_id: 'key1',
    refresh_token: '82000001.refresh1',
  });
  expect(await context.credentials.read()).toMatchObject({
    accessToken: '82000001.new',
    refreshToken: '82000001.refresh2',
  });
});

test('a token about to end is renewed before the call', async () => {
  const { connector, channel } = await connectEtsy((call) => (call.path === '/token' ? newTokens : me), {
    ...etsyCredentials,
    accessTokenExpiresAt: '2026-11-22T08:06:00Z',
  });
  await connector.check();
  expect(channel.requests.map((call) => call.path)).toEqual(['/token', '/v3/application/users/me']);
});

test('a token that is refused after its renewal is unauthorized', async () => {
  const { connector, channel } = await connectEtsy((call) => (call.path === '/token' ? newTokens : refused));
  await expect(connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
  expect(channel.requests).toHaveLength(3);
});

test('a refresh token that Etsy no longer takes is unauthorized', async () => {
  const invalid: Answer = {
    status: 400,
    json: { error: 'invalid_grant', error_description: 'token is revoked' },
  };
  const { connector } = await connectEtsy((call) => (call.path === '/token' ? invalid : refused));
  await expect(connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
});

test.each(unclearAnswers)(
  'a token answered with %s leaves a write unsent: deferred, not unknown',
  async (_case, answer) => {
    const { connector } = await connectEtsy((call) => (call.path === '/token' ? answer : refused));
    const address = { unitId: '11', variantId: 'X' };
    const results = await connector.setStock([{ address, quantity: 1, expected: null, key: 'k' }]);
    expect(results).toMatchObject([{ kind: 'deferred' }]);
  },
);

test('the words of a refusal reach the error', async () => {
  const body = { error: 'Shared secret is required in x-api-key header' };
  const { connector } = await connectEtsy(() => ({ status: 403, json: body }));
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
  (call: ReceivedRequest): Answer => {
    const rows = listings[call.query.get('state') ?? ''] ?? [];
    const offset = Number(call.query.get('offset'));
    return {
      json: { count: rows.length, results: rows.slice(offset, offset + Number(call.query.get('limit'))) },
    };
  };

test('the catalogue holds every variant of active, sold-out and inactive listings', async () => {
  const { connector, channel } = await connectEtsy(
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
    sellsBeyond: false,
  });
  expect(entries.map((entry) => entry.stock)).toMatchObject([
    { quantity: 5 },
    { quantity: 0 },
    { quantity: 0 },
  ]);
  expect(channel.requests.every((call) => call.query.get('includes') === 'Inventory')).toBe(true);
});

test('a listing that disappears between two pages makes no other listing be jumped over', async () => {
  const active = Array.from({ length: 250 }, (_unused, index) => listing(index + 1));
  let pages = 0;
  const { connector } = await connectEtsy((call) => {
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
  const { connector } = await connectEtsy(() => ({ json: { count: 3, results: [] } }));
  await expect(collect(connector.catalogue())).rejects.toMatchObject({ code: 'invalid_response' });
});

test('a scan and looks that nothing waits for stop when the calls of the day run out, so that orders and stock keep theirs', async () => {
  const headers = { 'x-limit-per-day': '10000', 'x-remaining-today': '900' };
  const { connector, channel } = await connectEtsy((call) => ({
    ...(listingsOf({})(call) as object),
    headers,
  }));
  await expect(collect(connector.catalogue())).rejects.toMatchObject({ code: 'rate_limited' });
  const address = { unitId: '1', variantId: '' };
  for (const look of ['readPrices', 'readStock'] as const)
    await expect(connector[look]([address], { urgency: 'import' })).rejects.toMatchObject({
      code: 'rate_limited',
    });
  expect(channel.requests).toHaveLength(1);
});

// --------------------------------------------------------------------------------------------------------------- shipping

const shipment: Shipment = { carrier: 'usps', trackingNumber: '9400', shippedAt: new Date(), lines: [] };
const receipts = recording('etsy/receipts') as { readonly results: readonly [Record<string, unknown>] };

function receiptWith(
  changes: Readonly<Record<string, unknown>>,
  trackingAnswer: Answer = { json: {} },
): Handler {
  return (call) => {
    if (call.method === 'GET') return { json: { ...receipts.results[0], ...changes } };
    const body =
      call.method === 'POST' ? JSON.parse(call.body) : Object.fromEntries(new URLSearchParams(call.body));
    const path = call.path.replace(shopId, '{shop_id}').replace('3300000001', '{receipt_id}');
    // A form carries words where the schema says boolean.
    const typed = call.method === 'PUT' ? { was_shipped: body.was_shipped === 'true' } : body;
    assertEtsyRequest(call.method, path, call.headers['content-type'], typed);
    return call.method === 'POST' ? trackingAnswer : { json: {} };
  };
}

test('a parcel is reported with carrier and number', async () => {
  const { connector, channel } = await connectEtsy(receiptWith({}));
  await connector.ship('3300000001', shipment);
  expect(channel.requests.map((call) => call.method)).toEqual(['GET', 'POST']);
  expect(JSON.parse(channel.requests[1]?.body ?? '')).toEqual({
    tracking_code: '9400',
    carrier_name: 'usps',
  });
});

test('a parcel that Etsy knows is not reported again, because each report e-mails the buyer', async () => {
  const { connector, channel } = await connectEtsy(receiptWith({ shipments: [{ tracking_code: '9400' }] }));
  await connector.ship('3300000001', shipment);
  expect(channel.requests.map((call) => call.method)).toEqual(['GET']);
});

test('a receipt is marked as shipped where Etsy takes no tracking from the application', async () => {
  const { connector, channel } = await connectEtsy(
    receiptWith({}, { status: 403, json: { error: 'not a partner' } }),
  );
  await connector.ship('3300000001', shipment);
  expect(channel.requests.map((call) => `${call.method} ${call.body}`).at(-1)).toBe('PUT was_shipped=true');
});

test('a lost answer to a parcel is an error that says it may have been applied, after one attempt', async () => {
  const { connector, channel } = await connectEtsy(receiptWith({}, 'lost'));
  await expect(connector.ship('3300000001', shipment)).rejects.toMatchObject({ maybeApplied: true });
  expect(channel.requests.filter((call) => call.method === 'POST')).toHaveLength(1);
});

test('a part of a receipt cannot be shipped on Etsy', async () => {
  const { connector } = await connectEtsy(receiptWith({}));
  const part = { ...shipment, lines: [{ lineId: '4400000001', quantity: 1 }] };
  await expect(connector.ship('3300000001', part)).rejects.toMatchObject({ code: 'rejected' });
});
