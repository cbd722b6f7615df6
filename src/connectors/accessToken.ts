/** Sends requests with a valid access token: renews it shortly before it expires, and once more when the channel refuses it. */

import {
  ChannelError,
  type CredentialStore,
  type Credentials,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
} from './connector.ts';
import { statusError } from './wire.ts';

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
  const {
    http,
    credentials,
    now,
    renew,
    verdict,
    renewBeforeMs = 120_000,
    perhapsIntervalMs = 600_000,
  } = options;
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

/** The credentials after a successful token call. Keeps the refresh token when the channel sends no new one. */
export function renewedCredentials(
  current: Credentials,
  answer: {
    readonly accessToken: string;
    readonly expiresInSeconds: number | undefined;
    readonly refreshToken: string | undefined;
  },
  now: number,
): Credentials {
  const { accessTokenExpiresAt: _old, ...kept } = current;
  return {
    ...kept,
    accessToken: answer.accessToken,
    ...(answer.expiresInSeconds === undefined
      ? {}
      : { accessTokenExpiresAt: new Date(now + answer.expiresInSeconds * 1000).toISOString() }),
    ...(answer.refreshToken === undefined ? {} : { refreshToken: answer.refreshToken }),
  };
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
