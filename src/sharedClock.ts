/** One clock for every process of an installation, the database's: those of the machines differ, and are set while something runs. */
import { performance } from 'node:perf_hooks';
import { type Clock, systemClock } from './clock.ts';
import type { Queryable } from './db.ts';

export type SharedClock = Clock & {
  /** Looks at the database's clock once more; answers by how many milliseconds it was off. Rejects when that cannot be asked. */
  check(): Promise<number>;
  close(): void;
};

export type SharedClockOptions = {
  readonly db: Queryable;
  /** Told when the database cannot be asked, and of how many milliseconds a look could not explain. */
  readonly log: {
    error(fields: { readonly error: unknown }, message: string): void;
    warn(fields: { readonly ms: number }, message: string): void;
  };
  /** Between two looks at the database's clock, in milliseconds. Default 5 000. */
  readonly intervalMs?: number;
  /** Milliseconds that pass evenly, whatever is done to the machine's clock, but not while it sleeps. Default Node's. */
  readonly elapsed?: () => number;
  /** The machine's own clock: it tells no time, but when it jumps the machine has slept. Default `Date.now`. */
  readonly machine?: () => number;
};

/** Looks of the beginning, of which the narrowest counts. */
const firstLooks = 5;
/** The clock stands still rather than going back by less, in milliseconds. */
const standsForMax = 1_000;

/** Rejects when the database cannot be asked. */
export async function openSharedClock(options: SharedClockOptions): Promise<SharedClock> {
  const { db, log, intervalMs = 5_000, machine = Date.now } = options;
  const elapsed = options.elapsed ?? (() => performance.now());

  /** What is to be added to `elapsed` lies between the two. */
  const look = async (): Promise<{ readonly least: number; readonly most: number }> => {
    const before = elapsed();
    const { rows } = await db.query<{ at: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at',
    );
    const at = rows[0]?.at ?? Number.NaN;
    return { least: at - elapsed(), most: at - before };
  };

  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  for (let count = 0; count < firstLooks; count += 1) {
    const seen = await look();
    least = Math.max(least, seen.least);
    most = Math.min(most, seen.most);
  }
  let offset = (least + most) / 2;
  let told = Number.NEGATIVE_INFINITY;
  let apart = machine() - elapsed();

  /** A look is as exact as it was quick: what it can explain stays. */
  const check = async (): Promise<number> => {
    const seen = await look();
    const wasOff = Math.min(Math.max(offset, seen.least), seen.most) - offset;
    offset += wasOff;
    if (Math.abs(wasOff) >= standsForMax)
      log.warn({ ms: Math.round(wasOff) }, 'the clock of the database was set, or this machine has slept');
    return wasOff;
  };
  const checkAlone = () =>
    void check().catch((error: unknown) =>
      log.error({ error }, 'the clock of the database could not be read'),
    );
  const timer = setInterval(checkAlone, intervalMs);
  timer.unref();

  return {
    ...systemClock,
    now() {
      const jumped = Math.abs(machine() - elapsed() - apart) >= standsForMax;
      if (jumped) {
        apart = machine() - elapsed();
        checkAlone();
      }
      const at = Math.floor(elapsed() + offset);
      told = at < told && told - at < standsForMax ? told : at;
      return told;
    },
    check,
    close: () => clearInterval(timer),
  };
}
