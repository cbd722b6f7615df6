/** The numbers that decisions are made with, in one place for the server and the simulator. Times are in milliseconds. */
import type { DemandLimits } from './demand.ts';

/**
 * How pace is measured: half-lives of an hour, one sale a day until something was seen. What is expected weighs three minutes only, or a rush would be
 * over before it is believed.
 */
export const demandLimits: DemandLimits = {
  halfLife: 3_600_000,
  priorPerMs: 1 / 86_400_000,
  priorUnits: 0.002,
  shareUnits: 10,
};

/** How old the looks of a fence may be when the raise is sent. */
export const fenceMaxMs = 15_000;

/** While an older write may still land after a zero, the zero is sent again after so long, then ever more seldom. */
export const zeroAgainMs = 30_000;

/** How long a write may stand in a queue of its channel before it counts as worked off. */
export const queuedMaxMs = 86_400_000;

/** Pause between two looks at a write that is not yet proved. */
export const verifyIntervalMs = 15_000;

/** How long a channel's orders are asked for sooner after an item there was last found at risk. */
export const watchMs = 15 * 60_000;

/** Of two lowering writes that overlap the older may land last where the channel keeps no order: then only a zero is worth it. In units. */
export function preemptMaxOf({ ordersWrites }: { readonly ordersWrites: boolean }): number {
  return ordersWrites ? Number.MAX_SAFE_INTEGER : 0;
}

/** See `rebalance`. */
export const rebalanceLimits = {
  dryChance: 0.1,
  stuckMax: 1,
  patience: 0.4,
  fasterBy: 2,
  stillMax: 4 * 3_600_000,
};

/** Automatic and suggested protection: see `protectionOf`. */
export const protectionLimits = { epsilon: 0.001, surge: 8 };
