/** Sends authorised calls to Etsy: a token is renewed before it ends or once after a 401, and every refusal becomes a `ChannelError`. */

import { z } from 'zod';
import { createAuthorizedSend, renewedCredentials } from '../accessToken.ts';
import {
  ChannelError,
  type ConnectorContext,
  type Credentials,
  type HttpRequest,
  type HttpResponse,
  type RateLimit,
  type Turn,
} from '../connector.ts';
import { redactText } from '../redaction.ts';
import { parseBody, parseSettings, statusError } from '../wire.ts';

const baseUrl = z.url({ protocol: /^https?$/ });
const settingsSchema = z.object({
  apiBaseUrl: baseUrl.default('https://openapi.etsy.com').transform((url) => url.replace(/\/+$/, '')),
  tokenUrl: baseUrl.default('https://api.etsy.com/v3/public/oauth/token'),
  shopId: z.union([z.string().regex(/^\d{1,19}$/), z.int().positive().transform(String)]),
  /** Multiplies the rate budget: 1 is Etsy's, more suits a local simulator. */
  rateScale: z.number().positive().default(1),
});
export type EtsySettings = z.output<typeof settingsSchema>;

const credentialsSchema = z.object({
  keystring: z.string().min(1),
  sharedSecret: z.string().min(1),
});
const refreshSchema = credentialsSchema.extend({ refreshToken: z.string().min(1) });

/** `form` and `json` are alternatives. A 4xx that the caller wants to see instead of an error is named in `answers`. */
export type EtsyRequest = Pick<HttpRequest, 'method' | 'operation' | 'retry'> & {
  /** Below `apiBaseUrl`, with the query. */
  readonly path: string;
  readonly form?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly answers?: readonly number[];
};

export type EtsyApi = {
  readonly settings: EtsySettings;
  readonly now: () => number;
  readonly credentials: () => Promise<Credentials>;
  /** Throws `ChannelError`; `unauthorized` when a renewed token is refused too. */
  readonly call: (request: EtsyRequest) => Promise<HttpResponse>;
  readonly turn: Turn;
  /** The same, taking another turn. */
  readonly inTurn: (turn: Turn) => EtsyApi;
  /** What Etsy last said of the calls allowed in 24 hours; null before it has said so. */
  readonly callsToday: () => { readonly left: number; readonly limit: number } | null;
};

/** The last part of the day's calls is kept for orders and quantities: a shop that cannot be written oversells. */
const keptShare = 0.1;
const spentDayRetryMs = 3_600_000;

/** Before a call of a catalogue, or of a look that nothing waits for. Throws `ChannelError` (`rate_limited`). */
export function assertDayLeft({ callsToday }: EtsyApi): void {
  const today = callsToday();
  if (today === null || today.left >= today.limit * keptShare) return;
  const message = 'etsy: the rest of the calls of this day is kept for orders and stock';
  throw new ChannelError('rate_limited', message, { retryAfterMs: spentDayRetryMs });
}

/** The classic allowance of an application, used until an answer tells the real one. */
const callsPerSecondDefault = 10;

/** Throws `ChannelError` (`misconfigured`) naming every wrong setting. */
export function createEtsyApi(context: ConnectorContext): EtsyApi {
  const settings = parseSettings(settingsSchema, context.settings, 'etsy settings');
  let callsPerSecond = callsPerSecondDefault;
  let today: { readonly left: number; readonly limit: number } | null = null;

  const send = createAuthorizedSend({
    http: context.http,
    credentials: context.credentials,
    now: context.now,
    renew: (current) => requestToken(context, settings, current),
    verdict: (response) => (response.status === 401 ? 'refused' : 'accepted'),
  });

  const noteLimits = (headers: Headers): void => {
    callsPerSecond = positiveHeader(headers, 'x-limit-per-second') ?? callsPerSecond;
    const limit = positiveHeader(headers, 'x-limit-per-day');
    const left = Number(headers.get('x-remaining-today') ?? Number.NaN);
    if (limit !== null && Number.isFinite(left)) today = { left, limit };
  };

  const call = async (request: EtsyRequest, turn: Turn): Promise<HttpResponse> => {
    const application = parseSettings(
      credentialsSchema,
      await context.credentials.read(),
      'etsy credentials',
    );
    const perSecond = callsPerSecond * settings.rateScale;
    const budget: RateLimit = { key: `etsy.${settings.shopId}`, perSecond, burst: Math.max(1, perSecond) };
    const response = await send((accessToken) => ({
      method: request.method,
      url: settings.apiBaseUrl + request.path,
      operation: request.operation,
      retry: request.retry,
      budget,
      turn,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${accessToken}`,
        // Since February 2026 the keystring alone is refused with 403.
        'x-api-key': `${application.keystring}:${application.sharedSecret}`,
        ...contentType(request),
      },
      ...content(request),
    }));
    noteLimits(response.headers);
    if (response.status < 300 || request.answers?.includes(response.status)) return response;
    throw refusal(request.operation, response);
  };

  const inTurn = (turn: Turn): EtsyApi => ({
    settings,
    now: context.now,
    credentials: () => context.credentials.read(),
    call: (request) => call(request, turn),
    turn,
    inTurn,
    callsToday: () => today,
  });
  return inTurn({ urgency: 'read' });
}

function contentType({ json, form }: EtsyRequest): Readonly<Record<string, string>> {
  if (json !== undefined) return { 'content-type': 'application/json' };
  return form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
}

function content({ json, form }: EtsyRequest): { readonly body?: string } {
  if (json !== undefined) return { body: JSON.stringify(json) };
  return form === undefined ? {} : { body: new URLSearchParams(form).toString() };
}

const tokenSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  expires_in: z.number().positive(),
});

async function requestToken(
  context: ConnectorContext,
  settings: EtsySettings,
  current: Credentials,
): Promise<Credentials> {
  const operation = 'etsy.refreshToken';
  const { keystring, refreshToken } = parseSettings(refreshSchema, current, 'etsy credentials');
  // Here Etsy wants the keystring alone, without the shared secret.
  const form = { grant_type: 'refresh_token', client_id: keystring, refresh_token: refreshToken };
  const response = await context.http.send({
    method: 'POST',
    url: settings.tokenUrl,
    headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    operation,
    retry: 'safe',
  });
  if (response.status >= 300) throw tokenRefusal(operation, response);
  const token = parseBody(tokenSchema, response, operation);
  return renewedCredentials(current, token, context.now());
}

function tokenRefusal(operation: string, response: HttpResponse): ChannelError {
  const details = { status: response.status, raw: redactText(response.text) };
  const reason = reasonOf(response);
  if (reason === 'invalid_grant' || response.status === 401) {
    return new ChannelError('unauthorized', `${operation}: the seller must authorise again`, details);
  }
  const code = reason === 'invalid_client' ? 'misconfigured' : statusError(response, operation).code;
  return new ChannelError(code, `${operation}: ${reason ?? `HTTP ${response.status}`}`, details);
}

function refusal(operation: string, response: HttpResponse): ChannelError {
  const { code, message, status, raw } = statusError(response, operation);
  const reason = reasonOf(response);
  return new ChannelError(code, reason === null ? message : `${operation}: ${reason}`, { status, raw });
}

const errorSchema = z.object({ error: z.string() });

/** Etsy's own words: `{"error": "..."}` everywhere. */
function reasonOf(response: HttpResponse): string | null {
  try {
    return redactText(parseBody(errorSchema, response, '').error, 300);
  } catch {
    return null;
  }
}

function positiveHeader(headers: Headers, name: string): number | null {
  const value = Number(headers.get(name) ?? Number.NaN);
  return Number.isFinite(value) && value > 0 ? value : null;
}
