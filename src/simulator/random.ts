/** Chance as a value: the same seed gives the same run. */

export type Span = readonly [min: number, max: number];

export type Random = {
  /** From 0 (included) to 1 (excluded). */
  next(): number;
  chance(probability: number): boolean;
  /** Evenly from the span. */
  span(span: Span): number;
  /** A whole number from the span, both ends included. */
  integer(span: Span): number;
  /** Waiting time of a Poisson process with this mean. */
  exponential(mean: number): number;
  /** An index in proportion to its weight. */
  weighted(weights: readonly number[]): number;
};

/** Mulberry32 over the seed and the stream's number, so that what one stream draws never moves another. */
export function createRandom(seed: number, stream: number): Random {
  let state = Math.imul(seed ^ Math.imul(stream + 1, 0x9e3779b1), 0x85ebca6b) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    chance: (probability) => next() < probability,
    span: ([min, max]) => min + next() * (max - min),
    integer: ([min, max]) => min + Math.floor(next() * (max - min + 1)),
    exponential: (mean) => -Math.log(1 - next()) * mean,
    weighted(weights) {
      let left = next() * weights.reduce((sum, weight) => sum + weight, 0);
      const index = weights.findIndex((weight) => (left -= weight) < 0);
      return index < 0 ? weights.length - 1 : index;
    },
  };
}

/** Streams of chance, so that buyers are the same whatever a policy does. An order's own fate is stream `orders` plus its number. */
export const streams = {
  buyers: 1,
  channel: 2,
  supply: 3,
  storms: 4,
  crashes: 5,
  tokens: 7,
  bursts: 8,
  violation: 9,
  wipes: 10,
  doubles: 11,
  world: 12,
  stuck: 13,
  queues: 14,
  orders: 100,
};
