/** What becomes of one listing after a push: from the channel's answer to the rows that remember it. Pure but for the log line. */
import type { StockWriteResult } from '../connectors/connector.ts';
import type { Log } from '../log.ts';
import type { PushDecision } from './pushDecision.ts';
import type { PushListing, PushOutcome } from './pushSql.ts';

/** Longest pause between two attempts at the same listing, in milliseconds. */
export type PushPace = { readonly backoffMaxMs: number };

export type Planned = {
  readonly listing: PushListing;
  readonly decision: Extract<PushDecision, { kind: 'write' }>;
  readonly key: string;
};

/** What the channel's answer means for the listing. */
export function outcomeOf(
  pace: PushPace,
  { listing, decision, key }: Planned,
  result: StockWriteResult,
): PushOutcome {
  const { quantity, targetSeq } = decision;
  const write = (state: string) => ({ id: key, state, quantity, targetSeq });
  const soon = listing.attempts < 3 ? 0 : backoff(pace, listing);
  switch (result.kind) {
    case 'effective':
      return {
        ...settled(listing, { shown: result.quantity }),
        write: write('effective'),
        done: result.quantity === quantity,
        retryInMs: soon,
      };
    case 'accepted':
      return { ...settled(listing, { shown: null }), write: write('accepted') };
    case 'stale':
      return {
        ...postponed(pace, listing, null),
        write: write('stale'),
        shown: result.actual,
        retryInMs: soon,
      };
    case 'rejected':
      return {
        ...settled(listing, {}),
        write: write('rejected'),
        error: `${result.code}: ${result.message}`,
      };
    case 'unknown':
      return { ...postponed(pace, listing, result.reason), write: write('unknown'), shown: null };
    case 'deferred':
      return {
        ...postponed(pace, listing, result.reason),
        // That this attempt did nothing says nothing about the one before it that was never answered.
        write: write(decision.repeats === null ? 'superseded' : 'unknown'),
        retryInMs: Math.max(result.retryAfterMs, backoff(pace, listing)),
      };
  }
}

/** Nothing is left to do, unless something changed meanwhile. */
export function settled(listing: PushListing, belief: { readonly shown?: number | null }): PushOutcome {
  const { listingId, version } = listing;
  return { listingId, version, write: null, error: null, done: true, retryInMs: 0, ...belief };
}

/** Another attempt later. `reason` is what people are told; null when there is nothing to tell. */
export function postponed(pace: PushPace, listing: PushListing, reason: string | null): PushOutcome {
  const { listingId, version } = listing;
  return {
    listingId,
    version,
    write: null,
    error: reason,
    done: false,
    retryInMs: backoff(pace, listing),
  };
}

function backoff(pace: PushPace, listing: PushListing): number {
  return Math.min(1_000 * 2 ** Math.min(listing.attempts, 20), pace.backoffMaxMs);
}

export function logResult(log: Log, { listing, decision, key }: Planned, result: StockWriteResult): void {
  const { quantity, targetSeq } = decision;
  const fields = { writeId: key, listingId: listing.listingId, quantity, targetSeq };
  if (result.kind === 'effective' || result.kind === 'accepted')
    log.info({ ...fields, result: result.kind }, 'stock written');
  else log.warn({ ...fields, result }, 'stock not written');
}
