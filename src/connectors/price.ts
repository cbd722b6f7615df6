/** What is said to a channel about list prices, and what it answers: money in minor units, one currency per listing. */

import type { ChannelErrorCode } from './channelError.ts';
import type { Again, Along, ListingAddress, Money, StockWrite } from './connector.ts';

/** The list price that buyers see, or why it cannot be said. */
export type PriceReading =
  | { readonly kind: 'price'; readonly price: Money }
  | { readonly kind: 'unknown'; readonly reason: string };

/** One wanted list price. Absolute: writing it twice is writing it once. */
export type PriceWrite = {
  readonly address: ListingAddress;
  readonly price: Money;
  /**
   * The most, in units, that the variants of the unit may show, this one included. Where a price is written together with the quantities of the whole
   * unit (Etsy), none is put back higher than that, and no higher than what is read just before.
   */
  readonly others?: StockWrite['others'];
};

/**
 * Why a price was refused for good: the listing is sold in another currency, the channel does not allow the amount (below its minimum, not above 0), it
 * shows one price for several variants of which not all are to have it, or something else about the listing.
 */
export type PriceRefusal = 'wrong_currency' | 'price_not_allowed' | 'shared_price' | 'other';

export type PriceRefused = {
  readonly refusal: PriceRefusal;
  readonly code: string;
  readonly message: string;
};

export type PriceWriteResult =
  /** The channel's answer proves that it shows this price now. */
  | ({ readonly kind: 'effective' } & Along)
  /** Taken in, but only a later reading proves it (Amazon). */
  | { readonly kind: 'accepted'; readonly reference: string | null; readonly queued?: false }
  /** Taken in together with others into a queue that can stand for hours; `pricesSubmitted` tells when it was worked off (Amazon's feeds). */
  | { readonly kind: 'accepted'; readonly reference: string; readonly queued: true }
  /** Refused for a reason that a retry cannot mend. Nothing was changed. */
  | ({ readonly kind: 'refused' } & PriceRefused)
  /** No answer: the write may or may not have happened. Both prices stay possible until read back. */
  | ({ readonly kind: 'unknown'; readonly reason: string; readonly error?: ChannelErrorCode } & Along)
  /** Certainly not sent or not applied; try again after `retryAfterMs`. */
  | ({ readonly kind: 'deferred'; readonly reason: string } & Again);

/** A price that was accepted into a queue, with the reference that it was given. */
export type QueuedPrice = { readonly address: ListingAddress; readonly reference: string };

export type PriceSubmission =
  /** Not worked off yet. */
  | { readonly kind: 'open' }
  /** It cannot be said now; ask again. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly error?: ChannelErrorCode }
  /**
   * Worked off at `at`, by the channel's clock: whatever was taken in shows within the usual time from then on, and only a reading proves it. `refused`: this
   * price certainly was not.
   */
  | { readonly kind: 'ended'; readonly at: Date; readonly refused: PriceRefused | null };
