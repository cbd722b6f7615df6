/** Proves that what the simulator does not ask again would be answered the same: of a steady shadow, time alone changes nothing. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { second } from '../../src/simulator/parameters.ts';
import { steadyUntil } from '../../src/simulator/steadiness.ts';
import { type WriteAnswer, writeAnswered } from '../../src/sync/core/answers.ts';
import { readDueAt } from '../../src/sync/core/readings.ts';
import {
  type Bounds,
  newShadow,
  orderCancelled,
  orderSeen,
  readingOf,
  readingTaken,
  type Shadow,
  settled,
  watermarkAdvanced,
  writeSent,
} from '../../src/sync/core/shadow.ts';
import { provenLeast, provenMax, rangeNow } from '../../src/sync/core/shown.ts';

const bounds: Bounds = {
  staleMax: 60 * second,
  settleMax: 30 * second,
  clockSkewMax: 5 * second,
  readMax: 10 * second,
  restocksOnCancel: true,
};

type Step = { readonly kind: string; readonly number: number; readonly pause: number };

const kinds = [
  'sale',
  'rush',
  'cancel',
  'read',
  'orders',
  'write',
  'compare',
  'accepted',
  'effective',
  'unknown',
];
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    number: fc.nat(6),
    pause: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 90 * second })),
  }),
  { maxLength: 30 },
);

/** What the step makes known at `now`; `number` is the units shown or sold, or how old the news is. */
function taught(shadow: Shadow, { kind, number }: Step, now: number): Shadow {
  const at = now - number * second;
  const change = { orderId: `order ${now}`, quantity: 1, from: at, until: at };
  const key = `write ${now} ${shadow.candidates.length}`;
  const newest = shadow.candidates.at(-1);
  switch (kind) {
    case 'sale':
      return orderSeen(shadow, change, now);
    case 'rush':
      return Array.from({ length: 13 }).reduce<Shadow>((sold) => orderSeen(sold, change, now), shadow);
    case 'cancel':
      return orderCancelled(shadow, { ...change, restockedByChannel: true, certain: number > 3 }, now);
    case 'read': {
      const read = { value: number, requestedAt: now - second, respondedAt: now };
      return readingTaken(shadow, readingOf(bounds, read), now);
    }
    case 'orders':
      return watermarkAdvanced(shadow, at, at, now);
    case 'write':
    case 'compare': {
      const expected = kind === 'write' ? null : (newest?.value ?? 0);
      return writeSent(shadow, { key, value: number, targetSeq: shadow.sentSeq, expected }, now);
    }
    default:
      return newest === undefined
        ? shadow
        : writeAnswered(shadow, newest.key, { kind: kind as 'unknown' } satisfies WriteAnswer, now);
  }
}

function said(shadow: Shadow, now: number) {
  return [rangeNow(shadow, now), provenMax(shadow, now), provenLeast(shadow, now)];
}

/** Every shadow on the way through these steps, and when it was that. */
function lived(taken: readonly Step[], look: (shadow: Shadow, now: number) => void): void {
  let now = 0;
  let shadow = newShadow('unit', bounds, { value: 6, at: 0, targetSeq: 0 });
  for (const step of taken) {
    now += step.pause;
    shadow = settled(taught(shadow, step, now), now);
    look(shadow, now);
  }
}

const parts = fc.double({ min: 0, max: 1, noNaN: true });

test('of a steady shadow, time alone changes nothing until then', () => {
  let looked = 0;
  const holds = (taken: readonly Step[], part: number) =>
    lived(taken, (shadow, now) => {
      if (settled(shadow, now) !== shadow) return;
      const length = Math.min(steadyUntil(shadow, now) - now, 600 * second);
      if (length < 2) return;
      looked += 1;
      for (const later of [now + Math.floor(part * (length - 1)), now + length - 1]) {
        expect(settled(shadow, later)).toBe(shadow);
        expect(said(shadow, later)).toEqual(said(shadow, now));
      }
    });
  fc.assert(fc.property(steps, parts, holds), { numRuns: 300 });
  expect(looked).toBeGreaterThan(500);
});

test('a unit of which nothing else becomes known is never to be read sooner than was found before', () => {
  const pace = { verifyIntervalMs: 20 * second, reconcileIntervalMs: 300 * second };
  let looked = 0;
  const holds = (taken: readonly Step[], part: number) =>
    lived(taken, (shadow, now) => {
      const due = readDueAt(shadow, pace, now);
      // What is due is read now.
      if (due <= now) return;
      looked += 1;
      expect(readDueAt(shadow, pace, now + part * 600 * second)).toBeGreaterThanOrEqual(due);
    });
  fc.assert(fc.property(steps, parts, holds), { numRuns: 300 });
  expect(looked).toBeGreaterThan(500);
});
