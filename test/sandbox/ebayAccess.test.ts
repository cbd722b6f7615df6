/** eBay's tokens, quotas, identity and error bodies. */

import { describe, expect, it } from 'vitest';
import { demoEbayOptions } from '../../src/sandbox/ebay.ts';
import {
  basic,
  type EbayBench,
  ebayError,
  fulfillment,
  inventory,
  notification,
  withEbay,
} from './ebayBench.ts';

const user = '/commerce/identity/v1/user/';

const accessToken = ({ body }: { body: unknown }) => (body as { access_token: string }).access_token;

const codeForm = {
  grant_type: 'authorization_code',
  code: demoEbayOptions.authorizationCode,
  redirect_uri: demoEbayOptions.ruName,
};

describe('eBay’s token endpoint', () => {
  it('changes a code once, with the redirect name, for a user token and a refresh token of 18 months', () =>
    withEbay(async ({ tokens, call }) => {
      expect(await tokens({ ...codeForm, redirect_uri: 'https://x' })).toMatchObject({ status: 400 });
      const granted = await tokens(codeForm);
      expect(granted.body).toMatchObject({
        expires_in: 7200,
        refresh_token_expires_in: 47_304_000,
        token_type: 'User Access Token',
      });
      expect((await call('GET', user, { token: accessToken(granted) })).status).toBe(200);
      expect(await tokens(codeForm)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    }));

  it('refreshes again and again with the same refresh token and sends no new one', () =>
    withEbay(async ({ tokens, call, refreshToken }) => {
      for (const _ of [1, 2]) {
        const granted = await tokens({ grant_type: 'refresh_token', refresh_token: refreshToken });
        expect(granted.body).not.toHaveProperty('refresh_token');
        expect((await call('GET', user, { token: accessToken(granted) })).status).toBe(200);
      }
    }));

  it('refuses a wrong secret, an unknown refresh token, and an application token without a scope', () =>
    withEbay(async ({ tokens }) => {
      const refresh = { grant_type: 'refresh_token', refresh_token: 'other' };
      expect(await tokens(refresh, basic('x'))).toMatchObject({
        status: 401,
        body: { error: 'invalid_client' },
      });
      expect(await tokens(refresh)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
      expect(await tokens({ grant_type: 'client_credentials' })).toMatchObject({
        status: 400,
        body: { error: 'invalid_scope' },
      });
    }));
});

describe('an access token', () => {
  it('is refused with 401 and error 1001 when it is missing, unknown or past its life', () =>
    withEbay(
      async ({ call, clock }) => {
        expect(await call('GET', user, { token: null })).toMatchObject(ebayError(401, 1001));
        expect(await call('GET', user, { token: 'other' })).toMatchObject(ebayError(401, 1001));
        expect((await call('GET', user)).status).toBe(200);
        clock.advance(5_000);
        expect(await call('GET', user)).toMatchObject(ebayError(401, 1001));
      },
      { accessTokenLifeMs: 5_000 },
    ));

  it('of the application opens no seller operation, and the seller’s opens none of the application', () =>
    withEbay(async ({ call, applicationToken }) => {
      const token = await applicationToken();
      expect(await call('GET', `${inventory}/inventory_item`, { token })).toMatchObject(ebayError(403, 1100));
      expect(await call('GET', `${notification}/config`)).toMatchObject(ebayError(403, 1100));
    }));

  it('tells the immutable id of its user', () =>
    withEbay(async ({ call }) => {
      const { body } = await call('GET', user);
      expect(body).toMatchObject({ userId: demoEbayOptions.userId, username: demoEbayOptions.username });
    }));
});

describe('the daily quotas', () => {
  it('are counted per API, end in 429 with error 2001, and begin again the next day', () =>
    withEbay(
      async (bench: EbayBench) => {
        const { call, clock, applicationToken } = bench;
        for (let sent = 0; sent < 5; sent++) expect((await call('GET', user)).status).toBe(200);
        expect(await call('GET', user)).toMatchObject(ebayError(429, 2001));
        expect((await call('GET', `${fulfillment}/order`)).status).toBe(200);
        const query = { api_context: 'commerce', api_name: 'identity' };
        const token = await applicationToken();
        const { body } = await call('GET', '/developer/analytics/v1_beta/rate_limit/', { token, query });
        expect(body).toMatchObject({
          rateLimits: [
            {
              apiName: 'identity',
              resources: [
                { rates: [{ count: 5, limit: 5, remaining: 0, reset: '2026-11-23T00:00:00.000Z' }] },
              ],
            },
          ],
        });
        clock.advance(16 * 3_600_000);
        const renewed = await bench.tokens({
          grant_type: 'refresh_token',
          refresh_token: bench.refreshToken,
        });
        expect((await call('GET', user, { token: accessToken(renewed) })).status).toBe(200);
      },
      { rateScale: 0.001 },
    ));

  it('are shown for every API, and 204 says that there is none of that name', () =>
    withEbay(async ({ call }) => {
      const path = '/developer/analytics/v1_beta/user_rate_limit/';
      const { body } = await call('GET', path);
      expect(
        (body as { rateLimits: { apiName: string }[] }).rateLimits.map(({ apiName }) => apiName),
      ).toContain('inventory');
      expect((await call('GET', path, { query: { api_name: 'none' } })).status).toBe(204);
    }));
});

describe('trouble at eBay', () => {
  it('is said in eBay’s error body with the category that allows another try', () =>
    withEbay(async ({ call, faults }) => {
      faults.add({ kind: 'serverError', platform: 'ebay', status: 500, count: 2 });
      const body = { requests: [{ sku: 'MUG-BLUE', shipToLocationAvailability: { quantity: 1 } }] };
      expect(await call('POST', `${inventory}/bulk_update_price_quantity`, { body })).toMatchObject({
        status: 500,
        body: { errors: [{ errorId: 25025, category: 'APPLICATION' }] },
      });
      expect(await call('GET', `${fulfillment}/order`)).toMatchObject({
        status: 500,
        body: { errors: [{ errorId: 30500, category: 'APPLICATION' }] },
      });
      faults.add({ kind: 'rateLimit', platform: 'ebay', retryAfterSeconds: 2, count: 1 });
      const limited = await call('GET', `${fulfillment}/order`);
      expect(limited).toMatchObject(ebayError(429, 2001));
      expect(limited.headers.get('retry-after')).toBe('2');
    }));
});
