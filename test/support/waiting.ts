/** Waits on conditions and events with a deadline, so that no test sleeps and none hangs. */
import { setTimeout as delay } from 'node:timers/promises';

export type WaitOptions = {
  /** Default: 5 s. */
  readonly timeoutMs?: number;
  /** Pause between two looks. Default: 10 ms. */
  readonly intervalMs?: number;
  /** What is waited for, in the words of the failure. */
  readonly what?: string;
};

type Truthy<Value> = Exclude<Value, false | null | undefined | 0 | ''>;

/**
 * Looks until `check` gives something truthy and returns that. An assertion that throws counts as not yet; past the deadline its error
 * is the cause of ours.
 */
export async function waitFor<Value>(
  check: () => Value | Promise<Value>,
  options: WaitOptions = {},
): Promise<Truthy<Value>> {
  const timeoutMs = options.timeoutMs ?? 12_000;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value) return value as Truthy<Value>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`waited ${timeoutMs} ms in vain for ${options.what ?? check.toString()}${why}`, {
        cause,
      });
    }
    await delay(options.intervalMs ?? 10);
  }
}

/** The promise's outcome, or a failure that says what was waited for. */
export async function within<Value>(
  promise: Promise<Value>,
  timeoutMs: number,
  what: string,
): Promise<Value> {
  const stopwatch = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: stopwatch.signal }).then(
    () => {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    },
    () => promise,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    stopwatch.abort();
  }
}

/** A promise with its handles, for tests that decide the order of events themselves. */
export type Gate<Value = void> = {
  readonly opened: Promise<Value>;
  open(value: Value): void;
};

export function createGate<Value = void>(): Gate<Value> {
  const { promise, resolve } = Promise.withResolvers<Value>();
  return { opened: promise, open: resolve };
}
