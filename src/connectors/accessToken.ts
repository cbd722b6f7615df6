/** Sends requests with a valid access token: renews it shortly before it expires, and once more when the channel refuses it. */

import { z } from 'zod';
import {
  ChannelError,
  type CredentialStore,
  type Credentials,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  type Platform,
} from './connector.ts';
import { redactText } from './redaction.ts';
import { jsonOrNull, precedingCall, statusError } from './wire.ts';

export type AuthorizedSend = (build: (accessToken: string) => HttpRequest) => Promise<HttpResponse>;

/** Whether an answer means "this access token is not accepted". `perhaps`: the channel uses the same answer for other refusals too. */
export type TokenVerdict = 'accepted' | 'refused' | 'perhaps';

export type AuthorizedSendOptions = {
  readonly http: HttpClient;
  readonly credentials: CredentialStore;
  readonly now: () => number;
  /** Fetches new tokens; answers the complete credentials. Null when the token never expires and cannot be renewed. */
  readonly renew: ((current: Credentials) => Promise<Credentials>) | null;
  readonly verdict: (response: HttpResponse) => TokenVerdict;
  /** How long before its expiry a token is replaced. Default 120 000. */
  readonly renewBeforeMs?: number;
  /** Shortest time between two renewals for a `perhaps`. Default 600 000. */
  readonly perhapsIntervalMs?: number;
};

export function createAuthorizedSend(options: AuthorizedSendOptions): AuthorizedSend {
  const { http, credentials, now, verdict, renewBeforeMs = 120_000, perhapsIntervalMs = 600_000 } = options;
  const renewal = options.renew;
  const renew = renewal && ((current: Credentials) => precedingCall(renewal(current)));
  let perhapsRenewedAt = Number.NEGATIVE_INFINITY;

  const usableToken = async (): Promise<string> => {
    const current = await credentials.read();
    const remainingMs = expiryOf(current) - now();
    const token = current['accessToken'] ?? '';
    if (token !== '' && (renew === null || remainingMs > renewBeforeMs)) return token;
    if (renew === null) throw new ChannelError('misconfigured', 'the connection has no access token');
    try {
      return tokenOf(await credentials.refresh(token, renew));
    } catch (error) {
      // Early renewal is a convenience: while the old token lives, a failing token endpoint must not stop the shop.
      if (token !== '' && remainingMs > 0 && error instanceof ChannelError) return token;
      throw error;
    }
  };

  const worthRenewing = (answer: HttpResponse): boolean => {
    const said = verdict(answer);
    if (said !== 'perhaps') return said === 'refused';
    if (now() - perhapsRenewedAt < perhapsIntervalMs) return false;
    perhapsRenewedAt = now();
    return true;
  };

  return async (build) => {
    const token = await usableToken();
    const answer = await http.send(build(token));
    if (!worthRenewing(answer)) return answer;
    const operation = build('').operation;
    if (renew === null) throw unauthorized(answer, operation);
    const second = await http.send(build(tokenOf(await credentials.refresh(token, renew))));
    if (verdict(second) === 'refused') throw unauthorized(second, operation);
    return second;
  };
}

/** A successful answer of a token endpoint (RFC 6749, 5.1). */
export const tokenSchema = z.looseObject({
  access_token: z.string().min(1),
  expires_in: z.number().positive().optional(),
  refresh_token: z.string().min(1).optional(),
});

/** The credentials after a successful token call. Keeps the refresh token when the channel sends no new one. */
export function renewedCredentials(
  current: Credentials,
  token: z.output<typeof tokenSchema>,
  now: number,
): Credentials {
  const { accessTokenExpiresAt: _old, ...kept } = current;
  return {
    ...kept,
    accessToken: token.access_token,
    ...(token.expires_in === undefined
      ? {}
      : { accessTokenExpiresAt: new Date(now + token.expires_in * 1000).toISOString() }),
    ...(token.refresh_token === undefined ? {} : { refreshToken: token.refresh_token }),
  };
}

const tokenErrorSchema = z.looseObject({ error: z.string() });

/** The error of a token endpoint that refused: `misconfigured` for a wrong application, else the seller must authorise again. */
export function tokenError(response: HttpResponse, operation: string): ChannelError {
  const code = tokenErrorSchema.safeParse(jsonOrNull(response.text)).data?.error ?? `HTTP ${response.status}`;
  const details = { status: response.status, raw: redactText(response.text) };
  const message = `${operation}: ${code}`;
  if (code === 'invalid_client') return new ChannelError('misconfigured', message, details);
  return new ChannelError(response.status >= 400 ? 'unauthorized' : 'invalid_response', message, details);
}

/** A secret of the connection. Throws `ChannelError` (`misconfigured`) when it is missing. */
export function requiredCredential(credentials: Credentials, platform: Platform, name: string): string {
  const value = credentials[name] ?? '';
  if (value === '') throw new ChannelError('misconfigured', `${platform} credentials: ${name} is missing`);
  return value;
}

function expiryOf(credentials: Credentials): number {
  const at = Date.parse(credentials['accessTokenExpiresAt'] ?? '');
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : at;
}

function tokenOf(credentials: Credentials): string {
  const token = credentials['accessToken'] ?? '';
  if (token === '') throw new ChannelError('misconfigured', 'the renewed credentials hold no access token');
  return token;
}

function unauthorized(answer: HttpResponse, operation: string): ChannelError {
  const error = statusError(answer, operation);
  return new ChannelError('unauthorized', `${operation}: the access token is refused; authorise again`, {
    status: error.status,
    raw: error.raw,
  });
}
