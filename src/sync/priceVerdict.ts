/** What a look at a price that was sent proves. Pure. */
import type { PriceReading } from '../connectors/connector.ts';
import type { PriceClaim } from './priceClaims.ts';
import type { PriceOutcome } from './priceSettling.ts';

export type PriceTimes = {
  /** From sending until a price is in force at the latest, in milliseconds. */
  readonly landingMs: number;
  /** How old what a reading shows may be, in milliseconds. */
  readonly staleMs: number;
  /** How long a reading may still be from before a price that is proved, in milliseconds. */
  readonly echoMs: number;
  /** Until the next look, in milliseconds. */
  readonly waitMs: number;
};

/** A channel that takes the same price in so often and never shows it rejects it without saying so. */
const lostMax = 3;
/** Past the time in which a price lands: a listing that says no price for so long is gone, or has none any more. */
export const unreadableMaxMs = 86_400_000;

/**
 * The price that was sent proves itself, at any time. Any other one says nothing until the write can no longer land and no reading can be from before:
 * then the old price, or what is wanted by now, says that the write was lost, and a third one that somebody else has changed it. What is lost again and
 * again, or cannot be read for a day, ends as refused.
 */
export function judgePrice(
  claim: Pick<PriceClaim, 'state' | 'sent' | 'sentForMs' | 'lost' | 'before' | 'intended' | 'currency'>,
  reading: PriceReading,
  { landingMs, staleMs, echoMs, waitMs }: PriceTimes,
): PriceOutcome {
  const kind = claim.state === 'accepted' ? 'accepted' : 'unknown';
  const openFor = (claim.sentForMs ?? 0) - landingMs - staleMs;
  if (reading.kind === 'unknown')
    return openFor < unreadableMaxMs
      ? { kind, waitMs, error: reading.reason }
      : { kind: 'refused', refusal: 'other', error: reading.reason };
  const { minor, currency } = reading.price;
  if (currency !== claim.currency) {
    const error = `The listing is sold in ${currency} by now, the price was in ${claim.currency}`;
    return { kind: 'refused', refusal: 'wrong_currency', error };
  }
  if (minor === claim.sent) return { kind: 'shown', echoMs };
  if (openFor < 0) return { kind, waitMs, error: null };
  if (minor === claim.before && minor !== claim.intended && claim.lost + 1 >= lostMax) {
    const error = `The price was sent ${lostMax} times, and the channel never showed it`;
    return { kind: 'refused', refusal: 'other', error };
  }
  return minor === claim.before || minor === claim.intended
    ? { kind: 'again', waitMs: 0, error: null, found: minor }
    : { kind: 'edited', found: minor };
}
