/** Who may call eBay, and how often a day: OAuth tokens of the seller and of the application, and the quota of each API. */
import type { Call, Route } from './channel.ts';
import type { Clock } from './clock.ts';
import { type EbayErrorId, ebayErrorEntry, ebayErrorStatus } from './ebayErrors.ts';
import { type HttpCall, parameters, Refusal, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { createTokenBook, type TokenBook } from './tokens.ts';

/** The application registered with eBay. */
export type EbayApplication = {
  readonly appId: string;
  readonly certId: string;
  /** The redirect name of the application: not a URL. */
  readonly ruName: string;
  /** What the consent page hands back; good once. */
  readonly authorizationCode: string;
  /** eBay: two hours. */
  readonly accessTokenLifeMs: number;
};

/** One API with the paths it owns and its calls per application and day, as eBay's "API call limits" page has them. */
export const ebayApis = {
  inventory: { context: 'sell', path: '/sell/inventory/v1', callsPerDay: 2_000_000 },
  fulfillment: { context: 'sell', path: '/sell/fulfillment/v1', callsPerDay: 100_000 },
  notification: { context: 'commerce', path: '/commerce/notification/v1', callsPerDay: 10_000 },
  identity: { context: 'commerce', path: '/commerce/identity/v1', callsPerDay: 5_000 },
  analytics: { context: 'developer', path: '/developer/analytics/v1_beta', callsPerDay: 5_000 },
} as const;
export type EbayApi = keyof typeof ebayApis;

/** Whose token opens an operation. */
export type EbayHolder = 'seller' | 'application' | 'either';

export type EbayAccess = {
  readonly tokens: TokenBook;
  readonly tokenRoute: Route;
  /** A route behind a token and the API's quota. `endpoint` is for instance `GET /order`; its path follows the API's own. */
  route(
    api: EbayApi,
    endpoint: `${Route['method']} ${string}`,
    operation: string,
    handle: (call: Call) => Reply | Promise<Reply>,
    holder?: EbayHolder,
  ): Route;
  holderOf(call: HttpCall): 'seller' | 'application' | null;
  /** Calls of today, the limit, and when the day ends. */
  quota(api: EbayApi): { readonly count: number; readonly limit: number; readonly resetAt: number };
};

const dayMs = 86_400_000;
const refreshLifeMs = 47_304_000_000;
const applicationPrefix = 'v^1.1#i^1#app#';

/** An error reply with one entry; `status` replaces the usual one where an operation documents another. */
export function ebayRefusal(
  errorId: EbayErrorId,
  details = '',
  named: Readonly<Record<string, string>> = {},
  status: number = ebayErrorStatus(errorId),
): Reply {
  return { status, body: { errors: [ebayErrorEntry(errorId, details, named)] } };
}

/** Throws the refusal: for checks deep inside a handler. */
export function refuse(...refusal: Parameters<typeof ebayRefusal>): never {
  throw new Refusal(ebayRefusal(...refusal));
}

export function createEbayAccess(
  application: EbayApplication,
  parts: { readonly clock: Clock; readonly random: Random; readonly rateScale: number },
): EbayAccess {
  const { clock, random, rateScale } = parts;
  const tokens = createTokenBook(
    {
      accessLifeMs: application.accessTokenLifeMs,
      refreshLifeMs,
      rotation: 'never',
      accessPrefix: 'v^1.1#i^1#',
      refreshPrefix: 'v^1.1#i^1#r^1#',
    },
    clock,
    random,
  );
  const calls = new Map<EbayApi, { day: number; count: number }>();

  function today(api: EbayApi): { day: number; count: number } {
    const day = Math.floor(clock.now() / dayMs);
    const known = calls.get(api);
    const current = known?.day === day ? known : { day, count: 0 };
    calls.set(api, current);
    return current;
  }

  const limitOf = (api: EbayApi) => Math.max(1, Math.floor(ebayApis[api].callsPerDay * rateScale));

  function holderOf(call: HttpCall): 'seller' | 'application' | null {
    const header = call.headers.authorization ?? '';
    const token = header.startsWith('Bearer ') ? header.slice('Bearer '.length) : '';
    if (tokens.check(token) !== 'valid') return null;
    return token.startsWith(applicationPrefix) ? 'application' : 'seller';
  }

  function check(call: Call, api: EbayApi, holder: EbayHolder): Reply | null {
    const actual = holderOf(call);
    if (actual === null)
      return ebayRefusal(1001, 'Check the value of the Authorization HTTP request header.');
    if (holder !== 'either' && actual !== holder)
      return ebayRefusal(1100, 'Insufficient permissions to fulfill the request.');
    const count = today(api);
    if (count.count >= limitOf(api))
      return ebayRefusal(2001, 'The request limit has been reached for the resource.');
    count.count++;
    return null;
  }

  return {
    tokens,
    holderOf,
    quota: (api) => {
      const { day, count } = today(api);
      return { count, limit: limitOf(api), resetAt: (day + 1) * dayMs };
    },
    tokenRoute: {
      method: 'POST',
      path: '/identity/v1/oauth2/token',
      operation: 'token',
      handle: tokenHandler(application, tokens),
    },
    route(api, endpoint, operation, handle, holder = 'seller') {
      const [method, path] = endpoint.split(' ', 2) as [Route['method'], string];
      return {
        method,
        path: ebayApis[api].path + path,
        operation,
        handle: (call) => check(call, api, holder) ?? handle(call),
      };
    },
  };
}

const tokenRefusal = (status: number, error: string, description: string): Reply => ({
  status,
  body: { error, error_description: description },
});

function tokenHandler(application: EbayApplication, tokens: TokenBook) {
  let unusedCode: string | null = application.authorizationCode;
  const basic = `Basic ${Buffer.from(`${application.appId}:${application.certId}`).toString('base64')}`;
  const lifeSeconds = Math.floor(application.accessTokenLifeMs / 1000);
  const yes = (accessToken: string, kind: string, more: Record<string, unknown> = {}): Reply => ({
    status: 200,
    body: { access_token: accessToken, expires_in: lifeSeconds, ...more, token_type: `${kind} Access Token` },
  });

  return (call: HttpCall): Reply => {
    if (call.headers.authorization !== basic)
      return tokenRefusal(401, 'invalid_client', 'client authentication failed');
    const form = parameters(call);
    switch (form.get('grant_type') ?? '') {
      case 'authorization_code': {
        if (
          unusedCode === null ||
          form.get('code') !== unusedCode ||
          form.get('redirect_uri') !== application.ruName
        )
          return tokenRefusal(400, 'invalid_grant', 'the provided authorization grant code is invalid');
        unusedCode = null;
        const { accessToken, refreshToken } = tokens.issue();
        const more = { refresh_token: refreshToken, refresh_token_expires_in: refreshLifeMs / 1000 };
        return yes(accessToken, 'User', more);
      }
      case 'refresh_token': {
        const pair = tokens.refresh(form.get('refresh_token') ?? '');
        if (pair === null)
          return tokenRefusal(400, 'invalid_grant', 'the provided authorization refresh token is invalid');
        return yes(pair.accessToken, 'User');
      }
      case 'client_credentials':
        if ((form.get('scope') ?? '') === '')
          return tokenRefusal(400, 'invalid_scope', 'The requested scope is invalid');
        return yes(
          tokens.issueAccessOnly(application.accessTokenLifeMs, applicationPrefix).accessToken,
          'Application',
        );
      default:
        return tokenRefusal(400, 'unsupported_grant_type', 'grant type in request is not supported');
    }
  };
}
