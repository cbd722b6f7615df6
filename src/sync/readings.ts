/** What a channel says it shows becomes knowledge: it confirms, it holds units back, or it proves an outside edit. It never moves stock. */
import type pg from 'pg';
import { ChannelError, type ListingAddress, type StockReading } from '../connectors/connector.ts';
import { landingMaxMs, widenBound } from './bounds.ts';
import type { ConnectedChannel } from './connections.ts';
import { withStanding } from './core/answers.ts';
import { type Lateness, latenessOf } from './core/lateness.ts';
import { isEmptied, readingArrived, type Verdict } from './core/readings.ts';
import { type Bounds, type Reading, readingOf, shadowFromReading } from './core/shadow.ts';
import { believesZeroes, showUnits } from './doubts.ts';
import { type KeptListing } from './keptListing.ts';
import { type Kept, learned, type ShadowContext, weighAll, withShadows } from './shadows.ts';

/** A reading with the time in which it was true: given, or between the request (less what the channel may be behind) and the answer. */
export type TakenReading = {
  readonly listingId: string;
  readonly result: StockReading;
  readonly window: { readonly requestedAt: number; readonly respondedAt: number } | Omit<Reading, 'value'>;
};

export type ReadingOptions = {
  readonly context: ShadowContext;
  /** Something was sold there that we do not know of, or put back: its orders should be asked for now. */
  readonly onUnexplained: () => Promise<void>;
  readonly onConcerned: (connectionIds: readonly string[]) => void;
};

/** Runs in the transaction of the readings, after they were taken. */
export type AfterReadings = (client: pg.PoolClient, kept: Kept, now: number) => Promise<void>;

export const untracked = 'the channel does not track stock of this listing';
export const leftOut = { kind: 'unknown', reason: 'the channel left the listing out of its answer' } as const;

export async function takeReadings(
  options: ReadingOptions,
  taken: readonly TakenReading[],
  after: AfterReadings = () => Promise.resolve(),
): Promise<void> {
  if (taken.length === 0) return;
  const byListing = new Map(taken.map((reading) => [reading.listingId, reading]));
  const late: Lateness[] = [];
  const { result, wake } = await withShadows(
    options.context,
    [...byListing.keys()],
    async (client, kept, now) => {
      const verdicts: Verdict[] = [];
      const doubted = await doubtedZeroes(options.context, client, kept, byListing);
      for (const listing of kept.listings) {
        const given = byListing.get(listing.listingId);
        if (given === undefined) continue;
        const reading = doubted.has(listing.listingId) ? { ...given, result: doubtful } : given;
        late.push(...lateBy(listing, reading));
        const verdict = take(options.context, listing, reading, now);
        if (verdict !== null) verdicts.push(verdict);
      }
      await note(client, [...doubted], doubtful.reason);
      await note(client, idsOf(taken, 'notTracked'), untracked);
      const proven = await weighAll(options.context, client, kept, now);
      await after(client, kept, now);
      return {
        proven,
        unexplained: verdicts.some(({ kind }) => kind === 'belowLow' || kind === 'aboveHigh'),
      };
    },
  );
  for (const { of, ms } of late) await widen(options.context, of, ms);
  options.onConcerned([...new Set([...wake, ...result.proven])]);
  if (result.unexplained) await options.onUnexplained();
}

const doubtful = { kind: 'unknown', reason: 'too many listings show 0 at once to be believed' } as const;

/** Of more listings at 0 than can have sold out unheard of none is believed. */
async function doubtedZeroes(
  { connectionId }: ShadowContext,
  client: pg.PoolClient,
  { listings }: Kept,
  taken: ReadonlyMap<string, TakenReading>,
): Promise<ReadonlySet<string>> {
  const emptied: string[] = [];
  const shown: string[] = [];
  for (const { listingId, bounds, shadow } of listings) {
    const { result, window } = taken.get(listingId) ?? {};
    if (result?.kind !== 'quantity' || window === undefined) continue;
    if (result.quantity > 0) shown.push(listingId);
    else if (shadow !== null && isEmptied(shadow, readAs(bounds, result.quantity, window)))
      emptied.push(listingId);
  }
  await showUnits(client, connectionId, shown);
  return new Set((await believesZeroes(client, connectionId, emptied)) ? [] : emptied);
}

function readAs(bounds: Bounds, value: number, window: TakenReading['window']): Reading {
  return 'from' in window ? { ...window, value } : readingOf(bounds, { ...window, value });
}

/** Only what was asked for now tells how late the channel is. */
function lateBy({ bounds, shadow }: KeptListing, { result, window }: TakenReading): readonly Lateness[] {
  if (shadow === null || result.kind !== 'quantity' || 'from' in window) return [];
  const late = latenessOf(shadow, readingOf(bounds, { ...window, value: result.quantity }));
  return late === null ? [] : [late];
}

async function widen(context: ShadowContext, of: Lateness['of'], ms: number): Promise<void> {
  const { db, connectionId } = context;
  if (of === 'staleMax') await widenBound(db, connectionId, 'staleMaxMs', ms);
  // The bound of a write holds our own part of it, too.
  else await widenBound(db, connectionId, 'settleMaxMs', ms - landingMaxMs(0, context));
}

/** Null when there was no shadow to compare with. */
function take(
  { pace }: ShadowContext,
  listing: KeptListing,
  { result, window }: TakenReading,
  now: number,
): Verdict | null {
  const { bounds, shadow } = listing;
  if (result.kind === 'notTracked') return shadow && readingArrived(shadow, result, now).verdict;
  if (result.kind === 'unknown') return shadow && readingArrived(shadow, result, now).verdict;
  const reading = readAs(bounds, result.quantity, window);
  if (shadow === null) {
    const read = shadowFromReading(listing.listingId, bounds, reading, 0);
    const first = withStanding(read, listing.stored.standing ?? []);
    listing.shadow = listing.sales.reduce((known, sale) => learned(known, sale, now), first);
    return null;
  }
  const arrived = readingArrived(shadow, { kind: 'quantity', reading }, now);
  listing.shadow = arrived.shadow;
  const { verdict } = arrived;
  // A webhook may tell of a time before it was switched on.
  if (verdict.kind === 'inRange' && 'requestedAt' in window) listing.resumed = false;
  if (verdict.kind === 'notComparable')
    listing.readDueAt = Math.min(
      listing.readDueAt,
      Math.max(verdict.readAgainAt, now + pace.verifyIntervalMs),
    );
  // A unit that shows nothing although it should goes before everything else, the first time that it is found.
  if (verdict.kind === 'belowLow' && verdict.urgent && shadow.hold === 0) listing.readDueAt = now;
  return verdict;
}

const idsOf = (taken: readonly TakenReading[], kind: StockReading['kind']): readonly string[] =>
  taken.filter(({ result }) => result.kind === kind).map(({ listingId }) => listingId);

/** All of them are locked by then. */
async function note(client: pg.PoolClient, listingIds: readonly string[], problem: string): Promise<void> {
  if (listingIds.length === 0) return;
  await client.query(
    'UPDATE listings SET last_error = $2, updated_at = now() WHERE id = ANY($1) AND last_error IS DISTINCT FROM $2',
    [listingIds, problem],
  );
}

export type Looked = {
  /** By listing id; a listing that is missing could not be read. */
  readonly results: ReadonlyMap<string, StockReading>;
  readonly error: ChannelError | null;
};

/** Reads listings and takes what the channel says. A call that fails changes nothing. */
export async function look(
  options: ReadingOptions,
  { connector }: ConnectedChannel,
  listings: readonly (ListingAddress & { readonly listingId: string })[],
  after?: AfterReadings,
): Promise<Looked> {
  if (listings.length === 0) return { results: new Map(), error: null };
  const requestedAt = options.context.now();
  let readings: readonly StockReading[];
  try {
    readings = await connector.readStock(listings.map(({ unitId, variantId }) => ({ unitId, variantId })));
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    return { results: new Map(), error };
  }
  const window = { requestedAt, respondedAt: options.context.now() };
  const taken = listings.map(({ listingId }, index) => ({
    listingId,
    result: readings[index] ?? leftOut,
    window,
  }));
  await takeReadings(options, taken, after);
  return { results: new Map(taken.map(({ listingId, result }) => [listingId, result])), error: null };
}
