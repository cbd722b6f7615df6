/** Recognises that a channel did not serve a request, however it spells that: by HTTP status, or inside a GraphQL answer with status 200. */

import { jsonOrNull } from './wire.ts';

export type Refusal = {
  readonly code: 'rate_limited' | 'unavailable';
  /** When the channel says how long to wait. */
  readonly retryAfterMs: number | null;
};

export function refusalOf(status: number, headers: Headers, text: string, now: number): Refusal | null {
  const graphql = graphqlRefusal(text);
  const retryAfter = retryAfterMs(headers, now) ?? graphql?.retryAfterMs ?? null;
  if (status === 429) return { code: 'rate_limited', retryAfterMs: retryAfter };
  if (status >= 500) return { code: 'unavailable', retryAfterMs: retryAfter };
  return graphql;
}

/** `Retry-After` (RFC 9110, 10.2.3) as milliseconds: seconds, also with a fraction as Shopify sends them, or an HTTP date. Null when absent. */
export function retryAfterMs(headers: Headers, now: number): number | null {
  const value = headers.get('retry-after')?.trim();
  if (value === undefined || value === '') return null;
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000);
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** Shopify answers 200 with `THROTTLED` when the query cost bucket is empty, and with `INTERNAL_SERVER_ERROR` when it failed. */
function graphqlRefusal(text: string): Refusal | null {
  // The cheap look first: nearly every answer ends here, and answers can be megabytes.
  if (!text.includes('"THROTTLED"') && !text.includes('"INTERNAL_SERVER_ERROR"')) return null;
  const body = jsonOrNull(text);
  const errors = member(body, 'errors');
  if (!Array.isArray(errors)) return null;
  const codes = new Set(errors.map((error) => member(member(error, 'extensions'), 'code')));
  if (codes.has('THROTTLED')) return { code: 'rate_limited', retryAfterMs: costWaitMs(body) };
  return codes.has('INTERNAL_SERVER_ERROR') ? { code: 'unavailable', retryAfterMs: null } : null;
}

/** The time until the bucket holds the cost of the query again: (cost - available) / restore rate. */
function costWaitMs(body: unknown): number | null {
  const cost = member(member(body, 'extensions'), 'cost');
  const status = member(cost, 'throttleStatus');
  const requested = member(cost, 'requestedQueryCost');
  const available = member(status, 'currentlyAvailable');
  const restoreRate = member(status, 'restoreRate');
  if (typeof requested !== 'number' || typeof available !== 'number') return null;
  if (typeof restoreRate !== 'number' || restoreRate <= 0) return null;
  return Math.max(0, Math.ceil(((requested - available) / restoreRate) * 1000));
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
