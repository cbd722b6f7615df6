/** A clock that stands still until a test moves it, so that no test waits for time to pass. */
import type { Clock } from '../../src/clock.ts';
import { noon } from './fixtures.ts';

export type ManualClock = Clock & {
  /** Moves on by `ms` and calls every timer that has become due, in the order of their times. */
  advance(ms: number): void;
  /** Timers that are set and not yet due. */
  waiting(): number;
};

export function createManualClock(start = noon.getTime()): ManualClock {
  let now = start;
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  const timer = (ms: number, callback: () => void): (() => void) => {
    const entry = { at: now + ms, callback };
    timers.add(entry);
    return () => void timers.delete(entry);
  };
  return {
    now: () => now,
    timer,
    async sleep(ms, signal) {
      if (signal?.aborted === true) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = timer(ms, resolve);
      const stop = (): void => resolve();
      signal?.addEventListener('abort', stop, { once: true });
      await promise;
      cancel();
      signal?.removeEventListener('abort', stop);
    },
    advance(ms) {
      now += ms;
      for (const entry of [...timers].toSorted((a, b) => a.at - b.at)) {
        if (entry.at > now || !timers.delete(entry)) continue;
        entry.callback();
      }
    },
    waiting: () => timers.size,
  };
}
