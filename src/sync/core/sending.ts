/** In which order and in which calls writes go out, and when so many of them are no longer believable. Pure. */
import type { Direction } from './writing.ts';

export type SendingClass = Direction | 'price' | 'content';

export type Sendable = {
  readonly unit: string;
  readonly class: SendingClass;
  /** Expected units oversold while this is not sent. */
  readonly exposure: number;
  /** True when it has to be a call of its own: the channel's idempotency key belongs to a call. False when left out. */
  readonly alone?: boolean;
};

const classes: readonly SendingClass[] = ['zero', 'lower', 'raise', 'price', 'content'];

/** To zero, lower, raise, price, content; within a class by exposure, not by age. */
export function sendingOrder<Write extends Sendable>(writes: readonly Write[]): readonly Write[] {
  return writes.toSorted(
    (one, other) =>
      classes.indexOf(one.class) - classes.indexOf(other.class) || other.exposure - one.exposure,
  );
}

export type Calls<Write> = {
  /** To be answered before the first of the others leaves. */
  readonly lowering: readonly (readonly Write[])[];
  readonly others: readonly (readonly Write[])[];
};

/**
 * Bulk calls of at most `writesPerCall` in the order of sending, never parting what one write replaces together. A raise never travels with a lowering
 * write: it would make the call wait.
 */
export function calls<Write extends Sendable>(writes: readonly Write[], writesPerCall: number): Calls<Write> {
  if (!(writesPerCall >= 1)) throw new RangeError(`${writesPerCall} writes per call`);
  const lowers = (write: Write) => write.class === 'zero' || write.class === 'lower';
  const ordered = sendingOrder(writes);
  return {
    lowering: packed(ordered.filter(lowers), writesPerCall),
    others: packed(
      ordered.filter((write) => !lowers(write)),
      writesPerCall,
    ),
  };
}

function packed<Write extends Sendable>(
  ordered: readonly Write[],
  writesPerCall: number,
): readonly (readonly Write[])[] {
  const packs: Write[][] = [];
  let open: Write[] | undefined;
  for (const together of Map.groupBy(ordered, ({ unit }) => unit).values()) {
    const alone = together.some((write) => write.alone === true);
    if (!alone && open !== undefined && open.length + together.length <= writesPerCall) {
      open.push(...together);
      continue;
    }
    const pack = [...together];
    packs.push(pack);
    if (!alone) open = pack;
  }
  return packs;
}

/** A connection where so few listings change is never stopped. */
export const blastAlwaysAllowed = 10;

/** So few listings at 0 that no known sale explains are always believed: shops do sell out before their orders are heard of. */
export const zeroesAlwaysBelieved = 5;

/** True when so many listings can be empty for true although no known sale says why: few, or a share of the connection's listings. */
export function mayBeSoldOut(emptied: number, listings: number, zeroShareMax: number): boolean {
  return emptied <= zeroesAlwaysBelieved || emptied <= zeroShareMax * listings;
}

/** So many listings of a connection make so many empty ones believable, whatever more there are; 0 where they are on a connection of any size. */
export function listingsToBelieve(emptied: number, zeroShareMax: number): number {
  if (emptied <= zeroesAlwaysBelieved) return 0;
  return Math.min(listingsFor(emptied, zeroShareMax) + 1, Number.MAX_SAFE_INTEGER);
}

export type BlastLimits = {
  /** Share of a connection's listings that one run may zero, from 0 to 1. */
  readonly zeroShareMax: number;
  /** Share that one run may change at all, from 0 to 1. */
  readonly changeShareMax: number;
  /** A connection this small is never stopped, in listings changed. */
  readonly alwaysAllowed: number;
};

/** What one run has done so far, kept with the run so that retries and restarts count on. Each unit counts once. */
export type BlastCount = {
  readonly zeroed: ReadonlySet<string>;
  readonly changed: ReadonlySet<string>;
  readonly approved: boolean;
};

export const emptyBlast: BlastCount = { zeroed: new Set(), changed: new Set(), approved: false };

export type BlastVerdict =
  | { readonly kind: 'allowed'; readonly count: BlastCount }
  /** Nothing of this batch may be sent before somebody approves it. The count is unchanged. */
  | {
      readonly kind: 'stopped';
      readonly zeroing: number;
      readonly changing: number;
      readonly listings: number;
    };

function withBatch(count: BlastCount, batch: readonly Sendable[]): BlastCount {
  const changing = batch.filter(({ class: kind }) => kind !== 'content');
  const changed = new Set([...count.changed, ...changing.map(({ unit }) => unit)]);
  const zeroed = new Set([
    ...count.zeroed,
    ...changing.filter(({ class: kind }) => kind === 'zero').map(({ unit }) => unit),
  ]);
  return { ...count, zeroed, changed };
}

function listingsFor(units: number, share: number): number {
  return units === 0 ? 0 : Math.ceil(units / share);
}

/**
 * So many listings of a connection allow the batch, whatever more there are: whoever counts them for `guardBlast` may stop there. 0 where the batch is
 * allowed on a connection of any size.
 */
export function listingsEnough(count: BlastCount, batch: readonly Sendable[], limits: BlastLimits): number {
  const { zeroed, changed, approved } = withBatch(count, batch);
  if (approved || changed.size <= limits.alwaysAllowed) return 0;
  const enough = Math.max(
    listingsFor(zeroed.size, limits.zeroShareMax),
    listingsFor(changed.size, limits.changeShareMax),
  );
  // One more, for what the division may round away.
  return Math.min(enough + 1, Number.MAX_SAFE_INTEGER);
}

/**
 * Asked before each batch. Zeroing what was sold is not a run's doing: the caller leaves such units out. `listings` is how many the connection has, or
 * `listingsEnough` where it has more.
 */
export function guardBlast(
  count: BlastCount,
  batch: readonly Sendable[],
  listings: number,
  limits: BlastLimits,
): BlastVerdict {
  const next = withBatch(count, batch);
  const { zeroed, changed } = next;
  const within =
    (zeroed.size <= limits.zeroShareMax * listings && changed.size <= limits.changeShareMax * listings) ||
    changed.size <= limits.alwaysAllowed;
  return count.approved || within
    ? { kind: 'allowed', count: next }
    : { kind: 'stopped', zeroing: zeroed.size, changing: changed.size, listings };
}
