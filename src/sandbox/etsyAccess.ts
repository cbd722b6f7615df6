/** What stands before every Etsy call: the two-part API key, the token, the two rate limits with their headers on every reply. */
import type { Call } from './channel.ts';
import type { Clock } from './clock.ts';
import { type EtsyTokens, etsyApp } from './etsyTokens.ts';
import { Refusal, type Reply } from './http.ts';
import { createTokenBucket } from './tokenBucket.ts';

const perSecond = 10;
const perDay = 10_000;
const daySeconds = 86_400;

export type EtsyAccess = {
  /** Wraps a handler. `user` also asks for a seller's token. */
  readonly guarded: (who: 'app' | 'user', handle: (call: Call) => Reply) => (call: Call) => Reply;
  /** The headers that every reply carries. */
  readonly limitHeaders: () => Record<string, string>;
};

export const etsyError = (status: number, error: string): Reply => ({ status, body: { error } });

export function etsyRefusal(status: number, error: string): Refusal {
  return new Refusal(etsyError(status, error));
}

/** Both limits are multiplied by `rateScale`; the day slides, as Etsy's does. */
export function createEtsyAccess(tokens: EtsyTokens, clock: Clock, rateScale: number): EtsyAccess {
  const second = createTokenBucket(perSecond * rateScale, perSecond * rateScale, clock);
  const day = createTokenBucket((perDay * rateScale) / daySeconds, perDay * rateScale, clock);

  const limitHeaders = () => ({
    'x-limit-per-second': String(perSecond * rateScale),
    'x-remaining-this-second': String(Math.floor(second.available())),
    'x-limit-per-day': String(perDay * rateScale),
    'x-remaining-today': String(Math.floor(day.available())),
  });

  const withHeaders = (reply: Reply): Reply => ({
    ...reply,
    headers: { ...limitHeaders(), ...reply.headers },
  });

  function limited(): Reply | null {
    const waitDayMs = day.take(1);
    if (waitDayMs > 0) return tooMany('Exceeded daily rate limit', waitDayMs);
    const waitSecondMs = second.take(1);
    return waitSecondMs > 0 ? tooMany('Exceeded per second rate limit', waitSecondMs) : null;
  }

  function check(call: Call, who: 'app' | 'user'): Reply | null {
    const key = String(call.headers['x-api-key'] ?? '');
    if (key === etsyApp.keystring) return etsyError(403, 'Shared secret is required in x-api-key header.');
    if (key !== `${etsyApp.keystring}:${etsyApp.sharedSecret}`)
      return etsyError(403, 'API key not found or not active, or incorrect shared secret for API key.');
    const rate = limited();
    if (rate !== null || who === 'app') return rate;
    const token = /^Bearer (?<token>.+)$/u.exec(call.headers.authorization ?? '')?.groups?.['token'] ?? '';
    const state = tokens.check(token);
    if (state === 'valid') return null;
    const description = state === 'expired' ? 'access token is expired' : 'invalid access token';
    return { status: 401, body: { error: 'invalid_token', error_description: description } };
  }

  return {
    limitHeaders,
    guarded: (who, handle) => (call) => {
      const refused = check(call, who);
      if (refused !== null) return withHeaders(refused);
      try {
        return withHeaders(handle(call));
      } catch (error) {
        if (error instanceof Refusal) return withHeaders(error.reply);
        throw error;
      }
    },
  };
}

export function tooMany(error: string, waitMs: number): Reply {
  return {
    status: 429,
    headers: { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) },
    body: { error },
  };
}
