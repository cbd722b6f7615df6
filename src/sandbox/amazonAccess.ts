/** Who may call Amazon, and how often: Login with Amazon, the access token of every call, and one token bucket per operation. */
import type { Call, Route } from './channel.ts';
import type { Clock } from './clock.ts';
import { type HttpCall, parameters, Refusal, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { createTokenBucket, type TokenBucket } from './tokenBucket.ts';
import { createTokenBook, type TokenBook } from './tokens.ts';

/** Requests per second and burst: the "Usage Plan" of each operation in Amazon's models. */
export const amazonUsagePlans = {
  getMarketplaceParticipations: { perSecond: 0.016, burst: 15 },
  searchOrders: { perSecond: 0.0056, burst: 20 },
  getOrder: { perSecond: 0.5, burst: 30 },
  confirmShipment: { perSecond: 2, burst: 10 },
  getListingsItem: { perSecond: 5, burst: 10 },
  searchListingsItems: { perSecond: 5, burst: 5 },
  patchListingsItem: { perSecond: 5, burst: 5 },
  putListingsItem: { perSecond: 5, burst: 10 },
  deleteListingsItem: { perSecond: 5, burst: 5 },
  createFeed: { perSecond: 0.0083, burst: 15 },
  getFeed: { perSecond: 2, burst: 15 },
  getFeeds: { perSecond: 0.0222, burst: 10 },
  createFeedDocument: { perSecond: 0.5, burst: 15 },
  getFeedDocument: { perSecond: 0.0222, burst: 10 },
} as const;

export type AmazonOperation = keyof typeof amazonUsagePlans;

/** The application registered with Amazon. */
export type AmazonApplication = {
  readonly clientId: string;
  readonly clientSecret: string;
  /** What the consent page hands back; good once. */
  readonly authorizationCode: string;
  /** Amazon: one hour. */
  readonly accessTokenLifeMs: number;
};

export function amazonError(status: number, code: string, message: string, details = ''): Reply {
  return { status, body: { errors: [{ code, message, details }] } };
}

export const amazonErrors = {
  invalidInput: (message: string) => amazonError(400, 'InvalidInput', message),
  notFound: (message: string) => amazonError(404, 'NotFound', message),
  unauthorized: (details: string) =>
    amazonError(403, 'Unauthorized', 'Access to requested resource is denied.', details),
  quotaExceeded: () =>
    amazonError(429, 'QuotaExceeded', 'You exceeded your quota for the requested resource.'),
  serverError: (status: number) =>
    status === 503
      ? amazonError(503, 'ServiceUnavailable', 'Service is temporarily unavailable. Please try again.')
      : amazonError(status, 'InternalFailure', 'We encountered an internal error. Please try again.'),
};

export type AmazonAccess = {
  readonly tokens: TokenBook;
  /** `POST /auth/o2/token`. */
  readonly tokenRoute: Route;
  /** A route behind the access token and the operation's bucket; adds the headers that every answer has. */
  route(
    method: Route['method'],
    path: string,
    operation: AmazonOperation,
    handle: (call: Call) => Reply | Promise<Reply>,
  ): Route;
  /** Headers of an answer made outside a handler. */
  requestId(): Readonly<Record<string, string>>;
};

const yearMs = 365 * 86_400_000;
const notificationScope = 'sellingpartnerapi::notifications';
/** Grantless tokens open no seller's operation, so they carry another prefix and are told apart by it. */
const grantlessPrefix = 'Atza|grantless-';

export function createAmazonAccess(
  application: AmazonApplication,
  parts: { readonly clock: Clock; readonly random: Random; readonly rateScale: number },
): AmazonAccess {
  const { clock, random, rateScale } = parts;
  const tokens = createTokenBook(
    {
      accessLifeMs: application.accessTokenLifeMs,
      refreshLifeMs: yearMs,
      rotation: 'never',
      accessPrefix: 'Atza|',
      refreshPrefix: 'Atzr|',
    },
    clock,
    random,
  );
  const buckets = new Map<AmazonOperation, TokenBucket>();
  const bucketOf = (operation: AmazonOperation): TokenBucket => {
    const { perSecond, burst } = amazonUsagePlans[operation];
    const bucket =
      buckets.get(operation) ??
      createTokenBucket(perSecond * rateScale, Math.max(1, burst * rateScale), clock);
    buckets.set(operation, bucket);
    return bucket;
  };
  const requestId = () => ({ 'x-amzn-requestid': random.text(26) });

  function refusal(call: Call, operation: AmazonOperation): Reply | null {
    const token = call.headers['x-amz-access-token'];
    if (typeof token !== 'string')
      return amazonErrors.unauthorized('Access token is missing in the request header.');
    const state = token.startsWith(grantlessPrefix) ? 'unknown' : tokens.check(token);
    if (state === 'expired') return amazonErrors.unauthorized('The access token you provided has expired.');
    if (state === 'unknown')
      return amazonErrors.unauthorized('The access token you provided is revoked, malformed or invalid.');
    return bucketOf(operation).take(1) === 0 ? null : amazonErrors.quotaExceeded();
  }

  return {
    tokens,
    requestId,
    tokenRoute: {
      method: 'POST',
      path: '/auth/o2/token',
      operation: 'token',
      handle: tokenHandler(application, tokens),
    },
    route: (method, path, operation, handle) => ({
      method,
      path,
      operation,
      async handle(call) {
        const refused = refusal(call, operation);
        const reply = refused ?? (await answered(handle, call));
        // The models list no rate on 403 and 429 answers.
        const rate =
          refused === null
            ? { 'x-amzn-ratelimit-limit': String(amazonUsagePlans[operation].perSecond * rateScale) }
            : {};
        return { ...reply, headers: { ...requestId(), ...rate, ...reply.headers } };
      },
    }),
  };
}

/** A refusal thrown deep inside is an answer like any other, and gets the same headers. */
async function answered(handle: (call: Call) => Reply | Promise<Reply>, call: Call): Promise<Reply> {
  try {
    return await handle(call);
  } catch (error) {
    if (error instanceof Refusal) return error.reply;
    throw error;
  }
}

const refuse = (status: number, error: string, description: string): Reply => ({
  status,
  body: { error, error_description: description },
});
const granted = (accessToken: string, refreshToken: string | null, expiresIn: number): Reply => ({
  status: 200,
  body: {
    access_token: accessToken,
    token_type: 'bearer',
    expires_in: expiresIn,
    ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
  },
});

function tokenHandler(application: AmazonApplication, tokens: TokenBook) {
  let unusedCode: string | null = application.authorizationCode;
  const lifeSeconds = Math.floor(application.accessTokenLifeMs / 1000);

  return (call: HttpCall): Reply => {
    const form = parameters(call);
    if (
      form.get('client_id') !== application.clientId ||
      form.get('client_secret') !== application.clientSecret
    )
      return refuse(401, 'invalid_client', 'Client authentication failed');
    switch (form.get('grant_type') ?? '') {
      case 'authorization_code': {
        if (unusedCode === null || form.get('code') !== unusedCode)
          return refuse(400, 'invalid_grant', 'The request has an invalid grant parameter : code');
        unusedCode = null;
        const pair = tokens.issue();
        return granted(pair.accessToken, pair.refreshToken, lifeSeconds);
      }
      case 'refresh_token': {
        const pair = tokens.refresh(form.get('refresh_token') ?? '');
        if (pair === null)
          return refuse(400, 'invalid_grant', 'The request has an invalid grant parameter : refresh_token');
        // Amazon sends no new refresh token here: the client keeps the one it has.
        return granted(pair.accessToken, null, lifeSeconds);
      }
      case 'client_credentials':
        if (form.get('scope') !== notificationScope)
          return refuse(400, 'invalid_scope', 'The requested scope is invalid, unknown, or malformed');
        return granted(
          tokens.issueAccessOnly(application.accessTokenLifeMs, grantlessPrefix).accessToken,
          null,
          lifeSeconds,
        );
      default:
        return refuse(400, 'unsupported_grant_type', 'The authorization grant type is not supported');
    }
  };
}
