/** One request to a channel and its answer, and the client that sends it. */

import type { Turn, Urgency } from './turn.ts';

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** True: the answer may be no text, and each character of `text` is one byte of it. */
  readonly binary?: boolean;
  /** A stable name for logs, metrics and the rate budget, e.g. `amazon.searchOrders`. */
  readonly operation: string;
  /** `safe`: may be sent again after any failure. `never`: sent once; a lost answer is a `timeout` or `network` error with `maybeApplied`. */
  readonly retry: 'safe' | 'never';
  /** The budget this call draws from. Absent: unlimited. */
  readonly budget?: RateLimit;
  /** Absent: as urgent as a reading. */
  readonly turn?: Turn;
  /** Whole time allowed, retries and waiting included. Default from configuration. */
  readonly deadlineMs?: number;
};

/** A token bucket: `burst` tokens at most, refilled at `perSecond`; one call takes `cost` (default 1). */
export type RateLimit = {
  readonly key: string;
  readonly perSecond: number;
  readonly burst: number;
  readonly cost?: number;
  /** The most urgent that ever draws from it: nothing is kept back for what never comes. Default `lower`. */
  readonly mostUrgent?: Urgency;
};

export type HttpResponse = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

/** When an answer was made, by the channel's clock and by ours. */
export type AnsweredAt = {
  /** The header `Date`; null without one. */
  readonly date: string | null;
  /** The header `Age`, in seconds: above 0 where the answer was kept for others before; null without one. */
  readonly age: string | null;
  /** Milliseconds since the epoch by our clock, between which it was made. */
  readonly from: number;
  readonly until: number;
};

/** Sends with deadline, retry with full jitter, `Retry-After`, rate budget and redacted logs. Any status below 500 but 429 is an answer. */
export interface HttpClient {
  send(request: HttpRequest): Promise<HttpResponse>;
}
