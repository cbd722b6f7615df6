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

/**
 * The price that was sent proves itself, at any time. Any other one says nothing until the write can no longer land and no reading can be from before:
 * then the old price, or what is wanted by now, says that the write was lost, and a third one that somebody else has changed it.
 */
export function judgePrice(
  claim: Pick<PriceClaim, 'state' | 'sent' | 'sentForMs' | 'before' | 'intended' | 'currency'>,
  reading: PriceReading,
  { landingMs, staleMs, echoMs, waitMs }: PriceTimes,
): PriceOutcome {
  const kind = claim.state === 'accepted' ? 'accepted' : 'unknown';
  if (reading.kind === 'unknown') return { kind, waitMs, error: reading.reason };
  const { minor, currency } = reading.price;
  if (currency !== claim.currency) {
    const error = `The listing is sold in ${currency} by now, the price was in ${claim.currency}`;
    return { kind: 'refused', refusal: 'wrong_currency', error };
  }
  if (minor === claim.sent) return { kind: 'shown', echoMs };
  if ((claim.sentForMs ?? 0) < landingMs + staleMs) return { kind, waitMs, error: null };
  return minor === claim.before || minor === claim.intended
    ? { kind: 'again', waitMs: 0, error: null, found: minor }
    : { kind: 'edited', found: minor };
}
