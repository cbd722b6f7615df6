/** What is said to a channel about list prices, and what it answers: money in minor units, one currency per listing. */

import type { Again, Along, ListingAddress, Money, StockWrite } from './connector.ts';
import type { Accepted, Unanswered } from './queue.ts';

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
  | Accepted
  /** Refused for a reason that a retry cannot mend. Nothing was changed. */
  | ({ readonly kind: 'refused' } & PriceRefused)
  | (Unanswered & Along)
  /** Certainly not sent or not applied; try again after `retryAfterMs`. */
  | ({ readonly kind: 'deferred'; readonly reason: string } & Again);
