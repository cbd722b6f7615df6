/** eBay: settings, tokens and refusals. */
import { expect, test } from 'vitest';
import { createEbayConnector } from '../../src/connectors/ebay/ebay.ts';
import { connectEbay } from './ebaySeller.ts';
import { type Answer, createTestContext, unclearAnswers } from './localChannel.ts';

const user: Answer = { json: { userId: 'TFHdemo0001', username: 'seller1' } };
const newToken: Answer = {
  json: { access_token: 'v^1.1#new', expires_in: 7200, token_type: 'User Access Token' },
};
const invalidToken: Answer = {
  status: 401,
  json: {
    errors: [{ errorId: 1001, domain: 'OAuth', category: 'REQUEST', message: 'Invalid access token' }],
  },
};

test('settings that are wrong are all named at once', () => {
  const context = createTestContext({ marketplaceId: 'us', skusPerUpdate: 26, webhookUrl: 'nowhere' }, {});
  expect(() => createEbayConnector(context)).toThrow(
    expect.objectContaining({
      code: 'misconfigured',
      message: expect.stringMatching(/marketplaceId.*skusPerUpdate.*webhookUrl/),
    }),
  );
});

test('the account is known by the id that a change of name does not touch, on the identity host', async () => {
  const { connector, channel } = await connectEbay(() => user);
  expect(await connector.check()).toEqual({ externalAccountId: 'TFHdemo0001' });
  expect(channel.requests[0]).toMatchObject({
    path: '/identity/commerce/identity/v1/user/',
    headers: { authorization: 'Bearer v^1.1#old', 'x-ebay-c-marketplace-id': 'EBAY_US' },
  });
});

test('a refused token is renewed once with the lasting refresh token, and the call is sent again', async () => {
  const { connector, channel, context } = await connectEbay((call) => {
    if (call.path === '/token') return newToken;
    return call.headers.authorization === 'Bearer v^1.1#new' ? user : invalidToken;
  });
  await connector.check();
  const [, renewal] = channel.requests;
  expect(renewal?.headers.authorization).toBe(`Basic ${Buffer.from('App-1:Cert-1').toString('base64')}`);
  expect(Object.fromEntries(new URLSearchParams(renewal?.body))).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'v^1.1#refresh',
  });
  expect(await context.credentials.read()).toMatchObject({
    accessToken: 'v^1.1#new',
    refreshToken: 'v^1.1#refresh',
  });
});

test('a token that is refused after its renewal is unauthorized, and so is a refresh token that eBay no longer takes', async () => {
  const stubborn = await connectEbay((call) => (call.path === '/token' ? newToken : invalidToken));
  await expect(stubborn.connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
  expect(stubborn.channel.requests).toHaveLength(3);
  const revoked = await connectEbay((call) =>
    call.path === '/token' ? { status: 400, json: { error: 'invalid_grant' } } : invalidToken,
  );
  await expect(revoked.connector.check()).rejects.toMatchObject({ code: 'unauthorized' });
});

test('a wrong key set is misconfigured, not the seller’s fault', async () => {
  const { connector } = await connectEbay((call) =>
    call.path === '/token' ? { status: 401, json: { error: 'invalid_client' } } : invalidToken,
  );
  await expect(connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
});

test('a missing credential is named', async () => {
  const { connector } = await connectEbay(() => user, { credentials: { accessToken: 'v^1.1#old' } });
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
  const { connector } = await connectEbay(() => ({ status: 403, json: { errors } }));
  await expect(connector.check()).rejects.toMatchObject({
    code: 'forbidden',
    message: expect.stringContaining('1100 Insufficient permissions'),
  });
});

test.each(unclearAnswers)(
  'a token answered with %s leaves a write unsent: deferred, not unknown',
  async (_case, answer) => {
    const { connector } = await connectEbay((call) => (call.path === '/token' ? answer : invalidToken));
    const address = { unitId: 'A', variantId: '' };
    expect(await connector.setStock([{ address, quantity: 1, expected: null, key: 'k' }])).toMatchObject([
      { kind: 'deferred' },
    ]);
  },
);
