/** Chance as a value: the same seed gives the same sandbox. */

/** Milliseconds drawn evenly from `min` to `max`, both 0 or more. */
export type Span = { readonly min: number; readonly max: number };

export const instantly: Span = { min: 0, max: 0 };

export type Random = {
  /** From 0 (included) to 1 (excluded). */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  /** True with the given probability (0 to 1). */
  chance(probability: number): boolean;
  /** Waiting time of a Poisson process with the given mean. */
  exponential(mean: number): number;
  span(span: Span): number;
  /** One element, in proportion to its weight; undefined when no weight is above 0. */
  weighted<T>(choices: readonly T[], weight: (choice: T) => number): T | undefined;
  /** `length` characters from A-Z, a-z and 0-9. */
  text(length: number): string;
  /** Another stream, independent of how much is drawn from this one. */
  fork(label: string): Random;
};

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** FNV-1a, 32 bit. */
function hash(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return value;
}

/** Mulberry32: small, fast, and even enough for simulated buyers and faults. Not for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    integer: (min, max) => min + Math.floor(next() * (max - min + 1)),
    chance: (probability) => next() < probability,
    exponential: (mean) => -Math.log(1 - next()) * mean,
    span: ({ min, max }) => min + next() * (max - min),
    weighted(choices, weight) {
      const total = choices.reduce((sum, choice) => sum + weight(choice), 0);
      let left = next() * total;
      return choices.find((choice) => (left -= weight(choice)) < 0);
    },
    text: (length) =>
      Array.from({ length }, () => alphabet.charAt(Math.floor(next() * alphabet.length))).join(''),
    fork: (label) => createRandom(hash(label, seed)),
  };
}
