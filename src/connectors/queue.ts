/** What a channel takes into a queue together with others, prices and quantities alike, and what it tells of its end. */

import type { ChannelErrorCode } from './channelError.ts';
import type { ListingAddress } from './connector.ts';
import type { PriceRefused } from './price.ts';

/** Taken in, but only a later reading proves it (Amazon). */
export type Accepted =
  | { readonly kind: 'accepted'; readonly reference: string | null; readonly queued?: false }
  /** Together with others into a queue that can stand for hours; `submitted` tells when it was worked off (Amazon's feeds). */
  | { readonly kind: 'accepted'; readonly reference: string; readonly queued: true };

/** No answer: the write may or may not have happened. Both values stay possible until read back. */
export type Unanswered = {
  readonly kind: 'unknown';
  readonly reason: string;
  readonly error?: ChannelErrorCode;
  /** It may have been taken into a queue: ask under this reference. */
  readonly reference?: string;
};

type OtherResult = {
  readonly kind: 'effective' | 'stale' | 'rejected' | 'refused' | 'deferred' | 'late';
};

/** What to ask under for what became of a write that stands, or may stand, in a queue; null of any other. */
export function queueOf(result: Accepted | Unanswered | OtherResult): string | null {
  if (result.kind === 'accepted') return result.queued === true ? result.reference : null;
  return result.kind === 'unknown' ? (result.reference ?? null) : null;
}

/** A write that was, or may have been, taken into a queue. */
export type QueuedWrite = {
  readonly address: ListingAddress;
  /** What it was given; null where its answer was lost with whoever waited for it. */
  readonly reference: string | null;
  /** When it was noted as sent, by our clock. */
  readonly sentAt: Date;
};

export type Submission =
  /** Not worked off yet. */
  | { readonly kind: 'open' }
  /** It cannot be said now; ask again. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly error?: ChannelErrorCode }
  /**
   * Worked off at `at`, by the channel's clock: whatever was taken in shows within the usual time from then on, and only a reading proves it. `refused`: this
   * write certainly was not.
   */
  | { readonly kind: 'ended'; readonly at: Date; readonly refused: PriceRefused | null };

/** How many listings must wait for their raises to leave as a queue, and how many writes one call takes then. */
export type StockQueue = {
  readonly waitingMin: number;
  readonly callMin: number;
  readonly callMax: number;
  /** From sending them until they are in force, as a rule, in milliseconds. */
  readonly landingMs: number;
};
