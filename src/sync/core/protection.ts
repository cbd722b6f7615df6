/** Which protection an item's pace and stock call for: the one rule of automatic protection, of what is suggested, and of the simulator. Pure. */
import { type Demand, ratesOf } from './demand.ts';
import { demandLimits, protectionLimits } from './limits.ts';
import { automaticBuffer } from './targets.ts';

export type Protection = 'shared' | 'escrow';

export type ProtectionLimits = {
  /** Accepted probability that more is sold before every channel is under escrow than there is, in (0, 1). */
  readonly epsilon: number;
  /** How many times its usual pace the item may suddenly sell at. */
  readonly surge: number;
};

export type ChannelPace = {
  /** Units per millisecond that the channel sells. */
  readonly ratePerMs: number;
  /** Milliseconds from a sale anywhere until this channel's number can be in force. */
  readonly reaction: number;
};

export type ProtectionChoice = {
  readonly protection: Protection;
  /** Units per millisecond that all channels sell at their usual pace. */
  readonly ratePerMs: number;
  /** Milliseconds until the slowest channel can be under escrow. */
  readonly reaction: number;
  /** Units that a surge may sell meanwhile, but for `epsilon`: escrow for stock that is no more than that, 0 or more. */
  readonly needed: number;
};

/**
 * Escrow when so little is left that what sells before every channel could be brought under escrow might be more. Back to the shared pool only at
 * twice that stock, so that the mode does not flicker.
 */
export function protectionOf(
  available: number,
  channels: readonly ChannelPace[],
  current: Protection,
  { epsilon, surge }: ProtectionLimits,
): ProtectionChoice {
  const reaction = channels.reduce((longest, channel) => Math.max(longest, channel.reaction), 0);
  const ratePerMs = channels.reduce((sum, channel) => sum + channel.ratePerMs, 0);
  const needed = automaticBuffer(ratePerMs * surge, reaction, epsilon);
  const protection = available <= (current === 'shared' ? needed : 2 * needed) ? 'escrow' : 'shared';
  return { protection, ratePerMs, reaction, needed };
}

/** From what each channel has sold lately, with the limits of the product. */
export function automaticProtection(
  available: number,
  channels: readonly { readonly demand: Demand; readonly reaction: number }[],
  current: Protection,
): ProtectionChoice {
  const rates = ratesOf(
    channels.map(({ demand }) => demand),
    demandLimits,
  );
  const paces = channels.map(({ reaction }, index) => ({ ratePerMs: rates[index] ?? 0, reaction }));
  return protectionOf(available, paces, current, protectionLimits);
}
