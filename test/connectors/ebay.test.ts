import { expect, test } from 'vitest';
import { createEbayConnector } from '../../src/connectors/ebay/ebay.ts';
import { ebayCredentials } from './ebaySeller.ts';
import { type Answer, createContext, createTestStore, type Handler, startServer } from './etsyEbayServer.ts';

async function connect(handler: Handler, credentials: Readonly<Record<string, string>> = ebayCredentials) {
  const server = await startServer(handler);
  const settings = {
    apiBaseUrl: `${server.url}/api/`,
    identityBaseUrl: `${server.url}/identity`,
    tokenUrl: `${server.url}/token`,
    rateScale: 1000,
  };
  const store = createTestStore(credentials);
  return { connector: createEbayConnector(createContext(settings, store)), server, store };
}

const user: Answer = { body: { userId: 'TFHdemo0001', username: 'seller1' } };
const newToken: Answer = {
  body: { access_token: 'v^1.1#new', expires_in: 7200, token_type: 'User Access Token' },
};
const invalidToken: Answer = {
  status: 401,
  body: {
    errors: [{ errorId: 1001, domain: 'OAuth', category: 'REQUEST', message: 'Invalid access token' }],
  },
};

test('settings that are wrong are all named at once', () => {
  const context = createContext(
    { marketplaceId: 'us', skusPerUpdate: 26, webhookUrl: 'nowhere' },
    createTestStore({}),
  );
  expect(() => createEbayConnector(context)).toThrow(
    expect.objectContaining({
      code: 'misconfigured',
      message: expect.stringMatching(/marketplaceId.*skusPerUpdate.*webhookUrl/),
    }),
  );
});

test('the account is known by the id that a change of name does not touch, on the identity host', async () => {
  const { connector, server } = await connect(() => user);
  expect(await connector.check()).toEqual({ externalAccountId: 'TFHdemo0001' });
  expect(server.calls[0]).toMatchObject({
    path: '/identity/commerce/identity/v1/user/',
    headers: { authorization: 'Bearer v^1.1#old', 'x-ebay-c-marketplace-id': 'EBAY_US' },
  });
});

test('a refused token is renewed once with the lasting refresh token, and the call is sent again', async () => {
  const { connector, server, store } = await connect((call) => {
    if (call.path === '/token') return newToken;
    return call.headers.authorization === 'Bearer v^1.1#new' ? user : invalidToken;
  });
  await connector.check();
  const [, renewal] = server.calls;
  expect(renewal?.headers.authorization).toBe(`Basic ${Buffer.from('App-1:Cert-1').toString('base64')}`);
  expect(Object.fromEntries(new URLSearchParams(renewal?.text))).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'v^1.1#refresh',
  });
  expect(store.stored()).toMatchObject({ accessToken: 'v^1.1#new', refreshToken: 'v^1.1#refresh' });
});

test('a token that is refused after its renewal is unauthorized, and so is a refresh token that eBay no longer takes', async () => {
  const stubborn = await connect((call) => (call.path === '/token' ? newToken : invalidToken));
  await expect(stubborn.connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
  expect(stubborn.server.calls).toHaveLength(3);
  const revoked = await connect((call) =>
    call.path === '/token' ? { status: 400, body: { error: 'invalid_grant' } } : invalidToken,
  );
  await expect(revoked.connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
});

test('a wrong key set is misconfigured, not the seller’s fault', async () => {
  const { connector } = await connect((call) =>
    call.path === '/token' ? { status: 401, body: { error: 'invalid_client' } } : invalidToken,
  );
  await expect(connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
});

test('a missing credential is named', async () => {
  const { connector } = await connect(() => user, { accessToken: 'v^1.1#old' });
  await expect(connector.check()).rejects.toThrow(/appId/);
});

test('the words and number of a refusal reach the error', async () => {
  const errors = [
    {
      errorId: 1100,
      domain: 'ACCESS',
      category: 'REQUEST',
      message: 'Access denied',
      longMessage: 'Insufficient permissions',
    },
  ];
  const { connector } = await connect(() => ({ status: 403, body: { errors } }));
  await expect(connector.check()).rejects.toMatchObject({
    code: 'forbidden',
    message: expect.stringContaining('1100 Insufficient permissions'),
  });
});

test('a write whose token cannot be renewed now is deferred, not unknown', async () => {
  const { connector } = await connect((call) => (call.path === '/token' ? 'lost' : invalidToken));
  const address = { unitId: 'A', variantId: '' };
  expect(await connector.setStock([{ address, quantity: 1, expected: null, key: 'k' }])).toMatchObject([
    { kind: 'deferred' },
  ]);
});
