/** Time as a value: nothing in the sandbox reads the machine's clock or sets a timer except through a `Clock`. */

export type Cancel = () => void;

export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs once after `delayMs` (0 or more). The answer cancels it. */
  after(delayMs: number, run: () => void): Cancel;
};

export type SystemClock = Clock & {
  /** Cancels everything that has not run yet. */
  cancelAll(): void;
};

/** The machine's clock. Its timers do not keep the process alive. */
export function createSystemClock(): SystemClock {
  const timers = new Set<NodeJS.Timeout>();
  return {
    now: () => Date.now(),
    after(delayMs, run) {
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          run();
        },
        Math.max(0, delayMs),
      );
      timer.unref();
      timers.add(timer);
      return () => {
        clearTimeout(timer);
        timers.delete(timer);
      };
    },
    cancelAll() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}

export type ManualClock = Clock & {
  /** Moves time forward, running what falls due in order of its time. */
  advance(milliseconds: number): void;
  /** How many timers wait. */
  pending(): number;
};

/** A clock that stands still until it is told to move: for tests. */
export function createManualClock(startMs: number): ManualClock {
  let now = startMs;
  let sequence = 0;
  const timers = new Map<number, { readonly at: number; readonly run: () => void }>();

  const nextDue = (limit: number) =>
    [...timers]
      .filter(([, timer]) => timer.at <= limit)
      .toSorted(([a, first], [b, second]) => first.at - second.at || a - b)[0];

  return {
    now: () => now,
    pending: () => timers.size,
    after(delayMs, run) {
      const key = sequence++;
      timers.set(key, { at: now + Math.max(0, delayMs), run });
      return () => timers.delete(key);
    },
    advance(milliseconds) {
      const limit = now + milliseconds;
      for (let due = nextDue(limit); due !== undefined; due = nextDue(limit)) {
        const [key, timer] = due;
        timers.delete(key);
        now = Math.max(now, timer.at);
        timer.run();
      }
      now = limit;
    },
  };
}
