/** What can happen in a random schedule on three marketplaces, and how they may answer a write. */
import * as fc from 'fast-check';

/** Where the item of a schedule is shown. */
export const platforms = ['shopify', 'etsy', 'amazon'] as const;
export const place = fc.constantFrom(...platforms);

/** Where the channel answers at once, `late` ones count as accepted and landed. */
export const answers = [
  'lands',
  'lands',
  'lands',
  'lands late',
  'lost',
  'lost but lands',
  'deferred',
] as const;
export type Answer = (typeof answers)[number];

export const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('buy' as const), on: place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('hear' as const), which: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cancel' as const),
      which: fc.nat(9),
      restocked: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('move' as const), delta: fc.integer({ min: -2, max: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      on: place,
      answer: fc.constantFrom(...answers),
      reread: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      on: place,
      age: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tell' as const), on: place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('poll' as const), on: place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('land' as const), which: fc.nat(9) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(500, 11_000, 25_000, 61_000),
    }),
  },
);
export type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;
