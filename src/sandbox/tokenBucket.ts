/** A leaky bucket: the form in which Shopify, Amazon and Etsy limit calls. */
import type { Clock } from './clock.ts';

export type TokenBucket = {
  /** Takes `cost` and answers 0, or takes nothing and answers the milliseconds until it could be taken. */
  take(cost: number): number;
  /** What could be taken now. */
  available(): number;
  /** Gives back what was taken too much. */
  giveBack(cost: number): void;
};

/** Starts full with `burst`; `perSecond` is above 0. */
export function createTokenBucket(perSecond: number, burst: number, clock: Clock): TokenBucket {
  let level = burst;
  let levelAt = clock.now();
  const refill = () => {
    const now = clock.now();
    level = Math.min(burst, level + ((now - levelAt) / 1000) * perSecond);
    levelAt = now;
    return level;
  };
  return {
    available: refill,
    take(cost) {
      if (refill() < cost) return Math.ceil(((cost - level) / perSecond) * 1000);
      level -= cost;
      return 0;
    },
    giveBack(cost) {
      level = Math.min(burst, refill() + cost);
    },
  };
}
