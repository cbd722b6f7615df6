/** Shopify's token endpoint: authorisation code, client credentials, refresh and token exchange, with tokens that expire. */
import { createHmac } from 'node:crypto';
import type { Call, Route } from './channel.ts';
import type { Clock } from './clock.ts';
import { parameters, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { shopDomain } from './shopifyGoods.ts';
import { createTokenBook, type TokenPair } from './tokens.ts';

export const shopifyClient = { id: 'demo-shopify-client', secret: 'shpss_demo_client_secret_000000000001' };

const scope =
  'read_inventory,write_inventory,read_products,write_products,read_orders,read_locations,read_fulfillments,' +
  'read_merchant_managed_fulfillment_orders,write_merchant_managed_fulfillment_orders';

const hour = 3_600_000;
const clientCredentialsLifeMs = 24 * hour;

const codesMax = 100;
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

export type ShopifyTokens = {
  readonly routes: readonly Route[];
  /** True for a token that is valid now. Counts as a use, after which the refresh token it replaced is dead. */
  accepts(accessToken: string): boolean;
  issue(): TokenPair;
  readonly expireAll: () => void;
};

const refusal = (error: string, description: string): Reply => ({
  status: 400,
  body: { error, error_description: description },
});

export function createShopifyTokens(clock: Clock, random: Random): ShopifyTokens {
  const book = createTokenBook(
    {
      accessLifeMs: hour,
      refreshLifeMs: 90 * 24 * hour,
      rotation: 'onFirstUse',
      accessPrefix: 'shpua_',
      refreshPrefix: 'shprt_',
    },
    clock,
    random,
  );
  const codes = new Set<string>();

  const pairReply = (pair: TokenPair): Reply => ({
    status: 200,
    body: {
      access_token: pair.accessToken,
      scope,
      expires_in: Math.round((pair.accessTokenExpiresAt - clock.now()) / 1000),
      refresh_token: pair.refreshToken,
      refresh_token_expires_in: Math.round((pair.refreshTokenExpiresAt - clock.now()) / 1000),
    },
  });

  const accessOnly = (lifeMs: number | null, prefix: string): Reply => {
    const { accessToken } = book.issueAccessOnly(lifeMs, prefix);
    const life = lifeMs === null ? {} : { expires_in: lifeMs / 1000 };
    return { status: 200, body: { access_token: accessToken, scope, ...life } };
  };

  function token(call: Call): Reply {
    const form = parameters(call);
    if (form.get('client_id') !== shopifyClient.id || form.get('client_secret') !== shopifyClient.secret)
      return refusal('invalid_client', 'The client id or client secret is wrong.');
    const grant = form.get('grant_type');
    const expiring = form.get('expiring') === '1' || form.get('expiring') === 'true';
    if (grant === 'client_credentials') return accessOnly(clientCredentialsLifeMs, 'shpca_');
    if (grant === 'refresh_token') {
      const pair = book.refresh(form.get('refresh_token') ?? '');
      return pair === null
        ? refusal('invalid_grant', 'The refresh token is not valid any more.')
        : pairReply(pair);
    }
    if (grant === tokenExchange) {
      if (book.check(form.get('subject_token') ?? '') !== 'valid')
        return refusal('invalid_subject_token', 'The subject token is not valid.');
      return expiring ? pairReply(book.issue()) : accessOnly(null, 'shpat_');
    }
    if (grant !== null && grant !== 'authorization_code')
      return refusal('invalid_request', `Unknown grant type ${grant}.`);
    if (!codes.delete(form.get('code') ?? ''))
      return refusal('invalid_request', 'The authorization code was not found or was already used.');
    return expiring ? pairReply(book.issue()) : accessOnly(null, 'shpat_');
  }

  /** The seller says yes at once; the callback is signed over its other parameters in alphabetical order. */
  function authorize(call: Call): Reply {
    const redirectUri = call.query.get('redirect_uri');
    if (call.query.get('client_id') !== shopifyClient.id || redirectUri === null)
      return refusal('invalid_request', 'client_id or redirect_uri is missing or wrong.');
    const code = random.text(32);
    codes.add(code);
    for (const oldest of codes) {
      if (codes.size <= codesMax) break;
      codes.delete(oldest);
    }
    const timestamp = String(Math.floor(clock.now() / 1000));
    const signed = new URLSearchParams({
      code,
      shop: shopDomain,
      state: call.query.get('state') ?? '',
      timestamp,
    });
    const hmac = createHmac('sha256', shopifyClient.secret).update(signed.toString()).digest('hex');
    const target = new URL(redirectUri);
    for (const [name, value] of [...signed, ['hmac', hmac] as const]) target.searchParams.set(name, value);
    return { status: 302, headers: { location: target.href } };
  }

  return {
    routes: [
      { method: 'POST', path: '/admin/oauth/access_token', operation: 'accessToken', handle: token },
      { method: 'GET', path: '/admin/oauth/authorize', operation: 'authorize', handle: authorize },
    ],
    accepts: (accessToken) => book.check(accessToken) === 'valid',
    issue: () => book.issue(),
    expireAll: () => book.expireAccess(),
  };
}
