/** Time and chance as values, so that the same code runs under a test's or a simulator's clock. */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms`; the answered function prevents that. */
  timer(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  timer(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  sleep(ms, signal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (signal?.aborted === true) resolve();
    const timer = setTimeout(resolve, ms);
    const stop = () => resolve();
    signal?.addEventListener('abort', stop, { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    });
  },
};
