/** Etsy's authorisation: code with PKCE (S256), tokens of one hour, refresh tokens that are dead once used. */
import { createHash } from 'node:crypto';
import type { Call, Route } from './channel.ts';
import type { Clock } from './clock.ts';
import { parameters, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { createTokenBook, type TokenPair } from './tokens.ts';

export const etsyApp = {
  keystring: 'demoetsykeystring0000001',
  sharedSecret: 'demosecret',
  webhookSecret: `whsec_${Buffer.from('demo-etsy-signing-key-0001').toString('base64')}`,
};
export const etsyUserId = 82_000_001;
export const etsyShopId = 41_000_001;

const hour = 3_600_000;
const codesMax = 100;

type Grant = { readonly challenge: string; readonly redirectUri: string };

export type EtsyTokens = {
  readonly routes: readonly Route[];
  readonly check: (accessToken: string) => 'valid' | 'expired' | 'unknown';
  readonly issue: () => TokenPair;
  readonly expireAll: () => void;
};

const refusal = (error: string, description: string): Reply => ({
  status: 400,
  body: { error, error_description: description },
});

export function createEtsyTokens(clock: Clock, random: Random): EtsyTokens {
  const prefix = `${etsyUserId}.`;
  const book = createTokenBook(
    {
      accessLifeMs: hour,
      refreshLifeMs: 90 * 24 * hour,
      rotation: 'atOnce',
      accessPrefix: prefix,
      refreshPrefix: prefix,
    },
    clock,
    random,
  );
  const codes = new Map<string, Grant>();

  const reply = (pair: TokenPair): Reply => ({
    status: 200,
    body: {
      access_token: pair.accessToken,
      token_type: 'Bearer',
      expires_in: Math.round((pair.accessTokenExpiresAt - clock.now()) / 1000),
      refresh_token: pair.refreshToken,
    },
  });

  /** The seller says yes at once. */
  function connect({ query }: Call): Reply {
    const redirectUri = query.get('redirect_uri');
    const challenge = query.get('code_challenge');
    if (query.get('client_id') !== etsyApp.keystring || redirectUri === null)
      return refusal('invalid_request', 'client_id or redirect_uri is missing or wrong');
    if (
      query.get('response_type') !== 'code' ||
      challenge === null ||
      query.get('code_challenge_method') !== 'S256'
    )
      return refusal('invalid_request', 'response_type code with a code_challenge (S256) is required');
    const code = random.text(40);
    codes.set(code, { challenge, redirectUri });
    for (const oldest of codes.keys()) {
      if (codes.size <= codesMax) break;
      codes.delete(oldest);
    }
    const target = new URL(redirectUri);
    target.searchParams.set('code', code);
    target.searchParams.set('state', query.get('state') ?? '');
    return { status: 302, headers: { location: target.href } };
  }

  function token(call: Call): Reply {
    const form = parameters(call);
    if (form.get('client_id') !== etsyApp.keystring)
      return refusal('invalid_client', 'client_id is not a known keystring');
    if (form.get('grant_type') === 'refresh_token') {
      const pair = book.refresh(form.get('refresh_token') ?? '');
      return pair === null ? refusal('invalid_grant', 'refresh_token is invalid') : reply(pair);
    }
    if (form.get('grant_type') !== 'authorization_code')
      return refusal('unsupported_grant_type', 'grant_type must be authorization_code or refresh_token');
    const code = form.get('code') ?? '';
    const grant = codes.get(code);
    codes.delete(code);
    if (grant === undefined || grant.redirectUri !== form.get('redirect_uri'))
      return refusal('invalid_grant', 'code is invalid or was issued for another redirect_uri');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (challenge !== grant.challenge) return refusal('invalid_grant', 'code_verifier is invalid');
    return reply(book.issue());
  }

  return {
    routes: [
      { method: 'GET', path: '/oauth/connect', operation: 'connect', handle: connect },
      { method: 'POST', path: '/v3/public/oauth/token', operation: 'token', handle: token },
    ],
    check: (accessToken) => book.check(accessToken),
    issue: () => book.issue(),
    expireAll: () => book.expireAccess(),
  };
}
