/** OAuth tokens that really expire, and refresh tokens that rotate the way the marketplace rotates them. */
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

export type TokenPolicy = {
  readonly accessLifeMs: number;
  readonly refreshLifeMs: number;
  /**
   * `never`: the same refresh token for life (Amazon, eBay). `atOnce`: the old one is dead with the answer (Etsy). `onFirstUse`: the old
   * one still works until the new access token is used for the first time (Shopify).
   */
  readonly rotation: 'never' | 'atOnce' | 'onFirstUse';
  /** Written before every token, for instance `Atza|` or `shpua_`. */
  readonly accessPrefix: string;
  readonly refreshPrefix: string;
};

export type TokenPair = {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: number;
  readonly refreshToken: string;
  readonly refreshTokenExpiresAt: number;
};

export type TokenBook = {
  /** A new grant. */
  issue(): TokenPair;
  /** An access token without a refresh token; `lifeMs` null never expires. */
  issueAccessOnly(
    lifeMs: number | null,
    prefix?: string,
  ): { readonly accessToken: string; readonly accessTokenExpiresAt: number };
  /** Null when the refresh token is unknown, used up or expired: `invalid_grant`. */
  refresh(refreshToken: string): TokenPair | null;
  /** Counts as a use of the token. */
  check(accessToken: string): 'valid' | 'expired' | 'unknown';
  /** Makes every access token given out so far expired. */
  expireAccess(): void;
  /** Takes the app's permission away: every token is dead. */
  revokeAll(): void;
};

type Access = { expiresAt: number; replaces: string | null };

const accessTokensMax = 2_000;

export function createTokenBook(policy: TokenPolicy, clock: Clock, random: Random): TokenBook {
  const access = new Map<string, Access>();
  const refreshTokens = new Map<string, number>();

  function give(refreshToken: string, refreshTokenExpiresAt: number, replaces: string | null): TokenPair {
    const accessToken = policy.accessPrefix + random.text(40);
    const accessTokenExpiresAt = clock.now() + policy.accessLifeMs;
    remember(accessToken, { expiresAt: accessTokenExpiresAt, replaces });
    return { accessToken, accessTokenExpiresAt, refreshToken, refreshTokenExpiresAt };
  }

  function remember(token: string, entry: Access): void {
    access.set(token, entry);
    for (const oldest of access.keys()) {
      if (access.size <= accessTokensMax) break;
      access.delete(oldest);
    }
  }

  function newRefreshToken(): { readonly token: string; readonly expiresAt: number } {
    const token = policy.refreshPrefix + random.text(48);
    const expiresAt = clock.now() + policy.refreshLifeMs;
    refreshTokens.set(token, expiresAt);
    for (const oldest of refreshTokens.keys()) {
      if (refreshTokens.size <= accessTokensMax) break;
      refreshTokens.delete(oldest);
    }
    return { token, expiresAt };
  }

  return {
    issue() {
      const { token, expiresAt } = newRefreshToken();
      return give(token, expiresAt, null);
    },
    issueAccessOnly(lifeMs, prefix = policy.accessPrefix) {
      const accessToken = prefix + random.text(40);
      const expiresAt = lifeMs === null ? Number.POSITIVE_INFINITY : clock.now() + lifeMs;
      remember(accessToken, { expiresAt, replaces: null });
      return { accessToken, accessTokenExpiresAt: expiresAt };
    },
    refresh(refreshToken) {
      const expiresAt = refreshTokens.get(refreshToken);
      if (expiresAt === undefined || expiresAt <= clock.now()) return null;
      if (policy.rotation === 'never') return give(refreshToken, expiresAt, null);
      const next = newRefreshToken();
      if (policy.rotation === 'atOnce') refreshTokens.delete(refreshToken);
      return give(next.token, next.expiresAt, policy.rotation === 'onFirstUse' ? refreshToken : null);
    },
    check(accessToken) {
      const entry = access.get(accessToken);
      if (entry === undefined) return 'unknown';
      if (entry.expiresAt <= clock.now()) return 'expired';
      if (entry.replaces !== null) refreshTokens.delete(entry.replaces);
      entry.replaces = null;
      return 'valid';
    },
    expireAccess() {
      for (const entry of access.values()) entry.expiresAt = Math.min(entry.expiresAt, clock.now());
    },
    revokeAll() {
      access.clear();
      refreshTokens.clear();
    },
  };
}
