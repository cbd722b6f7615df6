/** The HTTP client under a clock that stands still, for the tests of what it does. */
import { ChannelError, type HttpRequest } from '../../src/connectors/connector.ts';
import { createHttpClient, type HttpClientOptions } from '../../src/connectors/httpClient.ts';
import { createMemoryRateBudget } from '../../src/connectors/rateBudget.ts';
import type { Handler } from './localChannel.ts';

type Log = { readonly fields: Readonly<Record<string, unknown>>; readonly message: string };

/** A client whose time passes only while it waits, and what it said. */
export function createClient(options: Partial<HttpClientOptions> = {}) {
  let at = Date.parse('2026-11-22T08:00:00Z');
  const slept: number[] = [];
  const logs: Log[] = [];
  const record = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    logs.push({ fields, message });
  };
  const now = (): number => at;
  const client = createHttpClient({
    budget: createMemoryRateBudget({ now }),
    now,
    random: () => 0.5,
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
      at += milliseconds;
    },
    log: { debug: record, warn: record },
    attemptTimeoutMs: 2_000,
    ...options,
  });
  return { client, slept, logs };
}

export function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', url, operation: 'test.get', retry: 'safe', ...more };
}

/** Answers each request with the next reply; the last one stays. */
export function inTurn(...replies: ReturnType<Handler>[]): Handler {
  let turn = 0;
  return () => {
    const reply = replies[Math.min(turn, replies.length - 1)] ?? {};
    turn += 1;
    return reply;
  };
}

/** The error that it ends with. */
export async function failureOf(promise: Promise<unknown>): Promise<ChannelError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ChannelError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
