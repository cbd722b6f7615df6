/** Login with Amazon, the access token of every call, and the usage plans. */

import { describe, expect, it } from 'vitest';
import { demoAmazonOptions } from '../../src/sandbox/amazon.ts';
import { amazonUsagePlans } from '../../src/sandbox/amazonAccess.ts';
import { type AmazonBench, itemPath, marketplaceId, withAmazon } from './amazonBench.ts';

const participations = '/sellers/v1/marketplaceParticipations';
const client = { client_id: demoAmazonOptions.clientId, client_secret: demoAmazonOptions.clientSecret };

async function tokenRequest({ call }: AmazonBench, form: Record<string, string>) {
  return call('POST', '/auth/o2/token', {
    token: null,
    body: new URLSearchParams({ ...client, ...form }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
}

describe('Login with Amazon', () => {
  it('changes a refresh token for an access token, again and again, and sends no new refresh token', () =>
    withAmazon(async (bench) => {
      for (const _ of [1, 2]) {
        const { status, body } = await tokenRequest(bench, {
          grant_type: 'refresh_token',
          refresh_token: bench.refreshToken,
        });
        expect(status).toBe(200);
        const access_token: unknown = expect.stringMatching(/^Atza\|/);
        expect(body).toEqual({ access_token, token_type: 'bearer', expires_in: 3600 });
      }
    }));

  it('accepts a JSON body as well as a form', () =>
    withAmazon(async ({ call, refreshToken }) => {
      const body = { ...client, grant_type: 'refresh_token', refresh_token: refreshToken };
      expect((await call('POST', '/auth/o2/token', { token: null, body })).status).toBe(200);
    }));

  it('takes an authorisation code once', () =>
    withAmazon(async (bench) => {
      const form = { grant_type: 'authorization_code', code: demoAmazonOptions.authorizationCode };
      const first = await tokenRequest(bench, form);
      expect(first.body).toMatchObject({ refresh_token: expect.stringMatching(/^Atzr\|/) });
      const second = await tokenRequest(bench, form);
      expect(second).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    }));

  it('refuses an unknown refresh token with invalid_grant and a wrong secret with invalid_client', () =>
    withAmazon(async (bench) => {
      const unknown = await tokenRequest(bench, { grant_type: 'refresh_token', refresh_token: 'Atzr|other' });
      expect(unknown).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
      const stranger = await tokenRequest(bench, { grant_type: 'refresh_token', client_secret: 'x' });
      expect(stranger).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    }));

  it('gives a grantless token that opens no seller operation', () =>
    withAmazon(async (bench) => {
      const scope = 'sellingpartnerapi::notifications';
      const { body } = await tokenRequest(bench, { grant_type: 'client_credentials', scope });
      const { access_token: token } = body as { access_token: string };
      expect((await bench.call('GET', participations, { token })).status).toBe(403);
    }));
});

describe('the access token', () => {
  it('opens the marketplace participations of the seller', () =>
    withAmazon(async ({ call }) => {
      const { status, body } = await call('GET', participations);
      expect(status).toBe(200);
      expect(body).toMatchObject({ payload: [{ marketplace: { id: marketplaceId } }] });
    }));

  it('is refused with 403 Unauthorized when it is missing, unknown or past its life', () =>
    withAmazon(
      async ({ call, clock }) => {
        const unauthorized = { status: 403, body: { errors: [{ code: 'Unauthorized' }] } };
        expect(await call('GET', participations, { token: null })).toMatchObject(unauthorized);
        expect(await call('GET', participations, { token: 'Atza|other' })).toMatchObject(unauthorized);
        clock.advance(9_999);
        expect((await call('GET', participations)).status).toBe(200);
        clock.advance(1);
        expect(await call('GET', participations)).toMatchObject(unauthorized);
      },
      { accessTokenLifeMs: 10_000 },
    ));

  it('dies early when the fault says so, while the refresh token stays good', () =>
    withAmazon(async (bench) => {
      bench.faults.add({ kind: 'expiredToken', platform: 'amazon', count: 1 });
      expect((await bench.call('GET', participations)).status).toBe(403);
      const renewed = await tokenRequest(bench, {
        grant_type: 'refresh_token',
        refresh_token: bench.refreshToken,
      });
      const { access_token: token } = renewed.body as { access_token: string };
      expect((await bench.call('GET', participations, { token })).status).toBe(200);
    }));
});

describe('the usage plans', () => {
  it('let a burst through, answer 429 QuotaExceeded, and refill at the documented rate', () =>
    withAmazon(
      async ({ call, clock }) => {
        const query = { lastUpdatedAfter: '2026-11-22T07:00:00Z' };
        const search = () => call('GET', '/orders/2026-01-01/orders', { query });
        for (let sent = 0; sent < amazonUsagePlans.searchOrders.burst; sent++) {
          const { status, headers } = await search();
          expect(status).toBe(200);
          expect(headers.get('x-amzn-ratelimit-limit')).toBe('0.0056');
        }
        const refused = await search();
        expect(refused).toMatchObject({ status: 429, body: { errors: [{ code: 'QuotaExceeded' }] } });
        expect(refused.headers.get('retry-after')).toBeNull();
        expect(refused.headers.get('x-amzn-requestid')).not.toBeNull();
        clock.advance(178_000);
        expect((await search()).status).toBe(429);
        clock.advance(1_000);
        expect((await search()).status).toBe(200);
        expect((await search()).status).toBe(429);
      },
      { rateScale: 1 },
    ));

  it('count each operation for itself', () =>
    withAmazon(
      async ({ call }) => {
        const query = { marketplaceIds: marketplaceId };
        const search = () => call('GET', itemPath('').slice(0, -1), { query });
        for (let sent = 0; sent < amazonUsagePlans.searchListingsItems.burst; sent++) await search();
        expect((await search()).status).toBe(429);
        expect((await call('GET', itemPath('MUG-BLUE'), { query })).status).toBe(200);
      },
      { rateScale: 1 },
    ));

  it('are multiplied by the rate scale', () =>
    withAmazon(
      async ({ call }) => {
        const query = { lastUpdatedAfter: '2026-11-22T07:00:00Z' };
        const search = () => call('GET', '/orders/2026-01-01/orders', { query });
        expect((await search()).headers.get('x-amzn-ratelimit-limit')).toBe('0.0112');
        for (let sent = 1; sent < 40; sent++) expect((await search()).status).toBe(200);
        expect((await search()).status).toBe(429);
      },
      { rateScale: 2 },
    ));
});

describe('trouble at Amazon', () => {
  it('is said in the error body of the Selling Partner API', () =>
    withAmazon(async ({ call, faults }) => {
      faults.add({ kind: 'serverError', platform: 'amazon', status: 503, count: 1 });
      expect(await call('GET', participations)).toMatchObject({
        status: 503,
        body: { errors: [{ code: 'ServiceUnavailable' }] },
      });
      faults.add({ kind: 'rateLimit', platform: 'amazon', count: 1 });
      expect(await call('GET', participations)).toMatchObject({
        status: 429,
        body: { errors: [{ code: 'QuotaExceeded' }] },
      });
    }));
});
