/** Sends calls to eBay as the seller or as the application, with valid tokens; every refusal becomes a `ChannelError` with eBay's words. */

import { z } from 'zod';
import { createAuthorizedSend, renewedCredentials } from '../accessToken.ts';
import {
  ChannelError,
  type ConnectorContext,
  type CredentialStore,
  type Credentials,
  type HttpRequest,
  type HttpResponse,
  type RateLimit,
  type Turn,
} from '../connector.ts';
import { redactText } from '../redaction.ts';
import { jsonOrNull, parseBody, parseSettings, statusError } from '../wire.ts';
import { errorsIn } from './errors.ts';

const baseUrl = z.url({ protocol: /^https?$/ });
const withoutSlash = (url: string): string => url.replace(/\/+$/, '');
const settingsSchema = z.object({
  apiBaseUrl: baseUrl.default('https://api.ebay.com').transform(withoutSlash),
  identityBaseUrl: baseUrl.default('https://apiz.ebay.com').transform(withoutSlash),
  tokenUrl: baseUrl.default('https://api.ebay.com/identity/v1/oauth2/token'),
  marketplaceId: z
    .string()
    .regex(/^EBAY_[A-Z_]{2,20}$/)
    .default('EBAY_US'),
  /** The location that takes the whole quantity of an item kept in several warehouses. */
  merchantLocationKey: z.string().min(1).max(36).optional(),
  /** eBay's text names both 25 and 1. */
  skusPerUpdate: z.int().min(1).max(25).default(25),
  /** The URL exactly as registered at eBay; default the URL that was called. */
  webhookUrl: baseUrl.optional(),
  /** Multiplies the rate budgets: 1 is eBay's, more suits a local simulator. */
  rateScale: z.number().positive().default(1),
});
export type EbaySettings = z.output<typeof settingsSchema>;

const applicationSchema = z.object({ appId: z.string().min(1), certId: z.string().min(1) });
const refreshSchema = applicationSchema.extend({ refreshToken: z.string().min(1) });

/** Calls allowed per application and day, by API (eBay, "API call limits"), and how many of them may come at once. */
const allowances = {
  inventory: { perDay: 2_000_000, burst: 100, mostUrgent: 'lower' },
  fulfillment: { perDay: 100_000, burst: 60, mostUrgent: 'orders' },
  notification: { perDay: 10_000, burst: 20, mostUrgent: 'read' },
  identity: { perDay: 5_000, burst: 10, mostUrgent: 'read' },
} as const;
const secondsPerDay = 86_400;

export type EbayRequest = Pick<HttpRequest, 'method' | 'operation' | 'retry'> & {
  readonly api: keyof typeof allowances;
  /** Below the base URL of the API, with the query. */
  readonly path: string;
  readonly json?: unknown;
  /** Statuses of 300 and above that the caller wants to see instead of an error. */
  readonly answers?: readonly number[];
  /** Whose token is sent. Default the seller's. */
  readonly as?: 'seller' | 'application';
};

export type EbayApi = {
  readonly settings: EbaySettings;
  readonly now: () => number;
  readonly credentials: () => Promise<Credentials>;
  /** Throws `ChannelError`; `unauthorized` when a renewed token is refused too. */
  readonly call: (request: EbayRequest) => Promise<HttpResponse>;
  readonly turn: Turn;
  /** The same, taking another turn. */
  readonly inTurn: (turn: Turn) => EbayApi;
};

/** Throws `ChannelError` (`misconfigured`) naming every wrong setting. */
export function createEbayApi(context: ConnectorContext): EbayApi {
  const settings = parseSettings(settingsSchema, context.settings, 'ebay settings');
  const sendAs = {
    seller: createAuthorizedSend({
      http: context.http,
      credentials: context.credentials,
      now: context.now,
      renew: (current) => sellerToken(context, settings, current),
      verdict,
    }),
    application: createAuthorizedSend({
      http: context.http,
      credentials: applicationTokens(context.credentials),
      now: context.now,
      renew: (current) => applicationToken(context, settings, current),
      verdict,
    }),
  };

  const call = async (request: EbayRequest, turn: Turn): Promise<HttpResponse> => {
    const { appId } = parseSettings(applicationSchema, await context.credentials.read(), 'ebay credentials');
    const response = await sendAs[request.as ?? 'seller']((accessToken) => ({
      method: request.method,
      url: (request.api === 'identity' ? settings.identityBaseUrl : settings.apiBaseUrl) + request.path,
      operation: request.operation,
      retry: request.retry,
      budget: budgetOf(settings, appId, request.api),
      turn,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${accessToken}`,
        'x-ebay-c-marketplace-id': settings.marketplaceId,
        ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
    }));
    if (response.status < 300 || request.answers?.includes(response.status)) return response;
    throw refusal(request.operation, response);
  };

  const inTurn = (turn: Turn): EbayApi => ({
    settings,
    now: context.now,
    credentials: () => context.credentials.read(),
    call: (request) => call(request, turn),
    turn,
    inTurn,
  });
  return inTurn({ urgency: 'read' });
}

function budgetOf(settings: EbaySettings, appId: string, api: keyof typeof allowances): RateLimit {
  const { perDay, burst, mostUrgent } = allowances[api];
  const scale = settings.rateScale;
  return {
    key: `ebay.${appId}.${api}`,
    perSecond: (perDay / secondsPerDay) * scale,
    burst: Math.max(1, burst * scale),
    mostUrgent,
  };
}

const verdict = (response: HttpResponse): 'refused' | 'accepted' =>
  response.status === 401 ? 'refused' : 'accepted';

// ---------------------------------------------------------------------------------------------------------------- tokens

const tokenSchema = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() });

/** The refresh token stays the same for about 18 months. */
async function sellerToken(
  context: ConnectorContext,
  settings: EbaySettings,
  current: Credentials,
): Promise<Credentials> {
  const { refreshToken } = parseSettings(refreshSchema, current, 'ebay credentials');
  return requestToken(context, settings, current, {
    operation: 'ebay.refreshToken',
    form: { grant_type: 'refresh_token', refresh_token: refreshToken },
  });
}

function applicationToken(
  context: ConnectorContext,
  settings: EbaySettings,
  current: Credentials,
): Promise<Credentials> {
  return requestToken(context, settings, current, {
    operation: 'ebay.applicationToken',
    form: { grant_type: 'client_credentials', scope: 'https://api.ebay.com/oauth/api_scope' },
  });
}

/** The application's own token lives in memory only: eBay grants 1 000 of them a day, and one lasts two hours. */
function applicationTokens(seller: CredentialStore): CredentialStore {
  let stored: Credentials = {};
  let renewal: Promise<Credentials> | null = null;
  const renew = async (refresh: (current: Credentials) => Promise<Credentials>): Promise<Credentials> => {
    try {
      stored = await refresh(parseSettings(applicationSchema, await seller.read(), 'ebay credentials'));
      return stored;
    } finally {
      renewal = null;
    }
  };
  return {
    read: async () => stored,
    refresh: async (staleAccessToken, refresh) => {
      if ((stored['accessToken'] ?? '') !== staleAccessToken) return stored;
      renewal ??= renew(refresh);
      return renewal;
    },
  };
}

async function requestToken(
  context: ConnectorContext,
  settings: EbaySettings,
  current: Credentials,
  grant: { readonly operation: string; readonly form: Readonly<Record<string, string>> },
): Promise<Credentials> {
  const { appId, certId } = parseSettings(applicationSchema, current, 'ebay credentials');
  const response = await context.http.send({
    method: 'POST',
    url: settings.tokenUrl,
    headers: {
      accept: 'application/json',
      authorization: `Basic ${Buffer.from(`${appId}:${certId}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(grant.form).toString(),
    operation: grant.operation,
    retry: 'safe',
  });
  if (response.status >= 300) throw tokenRefusal(grant.operation, response);
  const token = parseBody(tokenSchema, response, grant.operation);
  return renewedCredentials(current, token, context.now());
}

const tokenErrorSchema = z.object({ error: z.string() });

function tokenRefusal(operation: string, response: HttpResponse): ChannelError {
  const details = { status: response.status, raw: redactText(response.text) };
  const reason =
    tokenErrorSchema.safeParse(jsonOrNull(response.text)).data?.error ?? `HTTP ${response.status}`;
  if (reason === 'invalid_grant') {
    return new ChannelError('unauthorized', `${operation}: the seller must authorise again`, details);
  }
  const code = reason === 'invalid_client' ? 'misconfigured' : statusError(response, operation).code;
  return new ChannelError(code, `${operation}: ${redactText(reason, 300)}`, details);
}

function refusal(operation: string, response: HttpResponse): ChannelError {
  const { code, message, status, raw } = statusError(response, operation);
  const [first] = errorsIn(jsonOrNull(response.text));
  return new ChannelError(code, first === undefined ? message : `${operation}: ${first.text}`, {
    status,
    raw,
  });
}
