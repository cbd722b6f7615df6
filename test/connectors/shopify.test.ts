/** Shopify: settings, tokens, answers with errors, and stock writes that are compared. */
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../../src/connectors/connector.ts';
import { createShopifyConnector } from '../../src/connectors/shopify/shopify.ts';
import { derivedKey } from '../../src/connectors/shopify/stockWrites.ts';
import { createTestContext, unclearAnswers } from './localChannel.ts';
import { recording } from './recordings.ts';
import {
  connectShop,
  graphqlRequestOf,
  locationId,
  shopDomain,
  startShop,
  stockWrite,
} from './shopifyShop.ts';

const shop = {
  data: { shop: { id: 'gid://shopify/Shop/42', myshopifyDomain: shopDomain, currencyCode: 'USD' } },
};
const key = '7b0c5a1e-0000-4000-8000-000000000001';

function userError(code: string) {
  const userErrors = [{ code, field: ['input'], message: code }];
  return { json: { data: { inventorySetQuantities: { inventoryAdjustmentGroup: null, userErrors } } } };
}

describe('settings', () => {
  test.each([
    [{ shopDomain: 'evil.example.com' }, /shopDomain/],
    [{ shopDomain: 'a.myshopify.com.evil.com' }, /shopDomain/],
    [{ locationId: 'main' }, /locationId/],
    [{ authMode: 'magic' }, /authMode/],
    [{ apiBaseUrl: 'ftp://x' }, /apiBaseUrl/],
  ])('%o is named as misconfigured', (wrong, place) => {
    const settings = { shopDomain, locationId, authMode: 'static', ...wrong };
    const create = () => createShopifyConnector(createTestContext(settings, {}));
    expect(create).toThrow(place);
    expect(create).toThrow(ChannelError);
  });
});

describe('authorisation', () => {
  test('the account id is the shop’s own number', async () => {
    await using channel = await startShop(() => ({ json: shop }));
    expect(await connectShop(channel).connector.check()).toEqual({ externalAccountId: '42' });
  });

  test('a token of another shop is a wrong setting', async () => {
    await using channel = await startShop(() => ({ json: shop }));
    const { connector } = connectShop(channel, { shopDomain: 'other.myshopify.com' });
    await expect(connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
  });

  test('a refused static token is final', async () => {
    await using channel = await startShop(() => ({ status: 401, json: { errors: '[API] Invalid API key' } }));
    await expect(connectShop(channel).connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
    expect(channel.requests).toHaveLength(1);
  });

  test('a refused token is refreshed once, both new tokens are kept, and the call is repeated', async () => {
    await using channel = await startShop(
      ({ token }) => (token === 'new' ? { json: shop } : { status: 401, json: { errors: 'refused' } }),
      (body) => {
        expect(body).toEqual({
          client_id: 'client',
          client_secret: 'shpss_demo_secret',
          grant_type: 'refresh_token',
          refresh_token: 'shprt_1',
        });
        return { json: { access_token: 'new', expires_in: 3600, refresh_token: 'shprt_2' } };
      },
    );
    const { connector, context } = connectShop(
      channel,
      { authMode: 'expiring_offline' },
      { refreshToken: 'shprt_1' },
    );
    await Promise.all([connector.check(), connector.check(), connector.check()]);
    expect(context.credentials.refreshes()).toBe(1);
    expect(await context.credentials.read()).toMatchObject({
      accessToken: 'new',
      refreshToken: 'shprt_2',
      accessTokenExpiresAt: '2026-11-22T09:05:00.000Z',
    });
  });

  test('a token that is refused again after the refresh needs the seller', async () => {
    await using channel = await startShop(
      () => ({ status: 401 }),
      () => ({ json: { access_token: 'new', expires_in: 3600 } }),
    );
    const { connector } = connectShop(channel, { authMode: 'client_credentials' });
    await expect(connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
    expect(channel.requests).toHaveLength(3);
  });

  test('client credentials are asked for when there is no token yet', async () => {
    await using channel = await startShop(
      ({ token }) => (token === 'fresh' ? { json: shop } : { status: 401 }),
      (body) =>
        body['grant_type'] === 'client_credentials'
          ? { json: { access_token: 'fresh', expires_in: 86399 } }
          : { status: 400 },
    );
    const { connector } = connectShop(channel, { authMode: 'client_credentials' }, { accessToken: '' });
    expect(await connector.check()).toEqual({ externalAccountId: '42' });
  });

  test('a token near its end is renewed first; while it still lives a failing token endpoint stops nothing', async () => {
    await using channel = await startShop(
      ({ token }) => (token === 'shpat_demo' ? { json: shop } : { status: 401 }),
      () => ({ status: 400, json: { error: 'invalid_request' } }),
    );
    const almost = { accessTokenExpiresAt: '2026-11-22T08:06:00Z' };
    const { connector } = connectShop(channel, { authMode: 'client_credentials' }, almost);
    expect(await connector.check()).toEqual({ externalAccountId: '42' });
    expect(channel.requests.map((request) => request.path)).toEqual([
      '/admin/oauth/access_token',
      '/admin/api/2026-10/graphql.json',
    ]);
  });

  test('invalid_grant means that the seller must authorise again', async () => {
    await using channel = await startShop(
      () => ({ status: 401 }),
      () => ({ status: 400, json: { error: 'invalid_grant' } }),
    );
    const { connector } = connectShop(channel, { authMode: 'expiring_offline' }, { refreshToken: 'dead' });
    await expect(connector.check()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('invalid_grant'),
    });
  });
});

describe('answers with errors', () => {
  test.each([
    ['ACCESS_DENIED', 'forbidden'],
    ['SHOP_INACTIVE', 'forbidden'],
    ['undefinedField', 'rejected'],
  ])('a 200 with %s is never success', async (code, expected) => {
    const errors = [{ message: 'no', extensions: { code } }];
    await using channel = await startShop(() => ({ json: { ...shop, errors } }));
    await expect(connectShop(channel).connector.check()).rejects.toMatchObject({ code: expected });
  });

  test.each([
    [402, 'rejected'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [302, 'invalid_response'],
  ])('HTTP %i is %s', async (status, code) => {
    await using channel = await startShop(() => ({ status }));
    await expect(connectShop(channel).connector.check()).rejects.toMatchObject({ code, status });
  });

  test('INTERNAL_SERVER_ERROR in a 200 is tried again', async () => {
    const errors = [{ message: 'oops', extensions: { code: 'INTERNAL_SERVER_ERROR' } }];
    let turn = 0;
    await using channel = await startShop(() => {
      turn += 1;
      return { json: turn === 1 ? { errors } : shop };
    });
    expect(await connectShop(channel).connector.check()).toEqual({ externalAccountId: '42' });
  });

  test('a throttled query waits until its cost is there again', async () => {
    let turn = 0;
    await using channel = await startShop(() => {
      turn += 1;
      return { json: turn === 1 ? recording('shopify/throttled') : shop };
    });
    const { connector, context } = connectShop(channel);
    await connector.check();
    expect(context.slept).toEqual([5_000]);
  });

  test('an answer of another shape names the place', async () => {
    await using channel = await startShop(() => ({ json: { data: { shop: { id: 7 } } } }));
    await expect(connectShop(channel).connector.check()).rejects.toMatchObject({
      code: 'invalid_response',
      message: expect.stringContaining('shop.id'),
    });
  });
});

describe('setting stock', () => {
  const write = stockWrite(45000001, 4, 5, key);

  test('a write is compared, carries its key and is proven by the answer', async () => {
    await using channel = await startShop(() => ({ json: recording('shopify/setAvailable') }));
    expect(await connectShop(channel).connector.setStock([write])).toEqual([
      { kind: 'effective', quantity: 4 },
    ]);
    const [request] = channel.requests.map((entry) => graphqlRequestOf(entry));
    expect(request?.query).toContain('@idempotent(key: $key)');
    expect(request?.variables).toMatchObject({
      key,
      input: {
        name: 'available',
        reason: 'correction',
        quantities: [
          {
            inventoryItemId: 'gid://shopify/InventoryItem/45000001',
            locationId: 'gid://shopify/Location/65000001',
            quantity: 4,
            changeFromQuantity: 5,
          },
        ],
      },
    });
  });

  test('without an expectation the comparison is skipped by a null that is present', async () => {
    await using channel = await startShop(() => ({ json: recording('shopify/setAvailable') }));
    await connectShop(channel).connector.setStock([{ ...write, expected: null }]);
    expect(channel.requests[0]?.body).toContain('"changeFromQuantity":null');
  });

  test.each([
    ['CHANGE_FROM_QUANTITY_STALE', { kind: 'stale', actual: null }],
    // What an attempt under the same key is still at work on nobody has told.
    ['IDEMPOTENCY_CONCURRENT_REQUEST', { kind: 'unknown' }],
    ['IDEMPOTENCY_KEY_PARAMETER_MISMATCH', { kind: 'rejected', code: 'IDEMPOTENCY_KEY_PARAMETER_MISMATCH' }],
    ['NON_MUTABLE_INVENTORY_ITEM', { kind: 'rejected', code: 'NON_MUTABLE_INVENTORY_ITEM' }],
  ])('%s becomes %o', async (code, expected) => {
    await using channel = await startShop(() => userError(code));
    expect(await connectShop(channel).connector.setStock([write])).toMatchObject([expected]);
  });

  test('after a failed attempt under the key a second key is tried, the same one every time', async () => {
    await using channel = await startShop(({ variables }) =>
      variables['key'] === key
        ? userError('IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED')
        : { json: recording('shopify/setAvailable') },
    );
    const { connector } = connectShop(channel);
    expect(await connector.setStock([write])).toEqual([{ kind: 'effective', quantity: 4 }]);
    await connector.setStock([{ ...write, quantity: 9 }]);
    const keys = channel.requests.map((entry) => graphqlRequestOf(entry).variables['key']);
    const second = derivedKey(key, 'second');
    expect(keys).toEqual([key, second, key, second]);
    expect(second).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('a lost answer is repeated under the same key, which Shopify answers again', async () => {
    let turn = 0;
    await using channel = await startShop(() => {
      turn += 1;
      return turn === 1 ? 'lost' : { json: recording('shopify/setAvailable') };
    });
    expect(await connectShop(channel).connector.setStock([write])).toEqual([
      { kind: 'effective', quantity: 4 },
    ]);
    expect(channel.requests.map((entry) => graphqlRequestOf(entry).variables['key'])).toEqual([key, key]);
  });

  test('when every answer is lost the outcome is unknown', async () => {
    await using channel = await startShop(() => 'silent');
    expect(await connectShop(channel).connector.setStock([write])).toMatchObject([{ kind: 'unknown' }]);
  });

  test.each(unclearAnswers)(
    'when the token is answered with %s nothing was sent, so the write is deferred',
    async (_case, answer) => {
      await using channel = await startShop(
        () => ({ status: 401 }),
        () => answer,
      );
      const { connector } = connectShop(channel, { authMode: 'client_credentials' });
      expect(await connector.setStock([write])).toMatchObject([{ kind: 'deferred' }]);
    },
  );

  test('a limit that lasts is deferred, not unknown', async () => {
    await using channel = await startShop(() => ({ status: 429, headers: { 'retry-after': '120' } }));
    expect(await connectShop(channel).connector.setStock([write])).toMatchObject([
      { kind: 'deferred', retryAfterMs: 120_000 },
    ]);
  });

  test('an address of another channel is rejected without a call', async () => {
    await using channel = await startShop(() => ({ status: 500 }));
    const odd = { ...write, address: { unitId: 'MUG-BLUE', variantId: '' } };
    expect(await connectShop(channel).connector.setStock([odd])).toMatchObject([{ kind: 'rejected' }]);
    expect(channel.requests).toHaveLength(0);
  });
});
