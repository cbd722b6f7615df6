/** Proves that neither contradictory evidence nor any order of events within one millisecond leaves a unit without a number that may be in force. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { writtenAlong } from '../../../src/sync/core/along.ts';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { judge, readingArrived } from '../../../src/sync/core/readings.ts';
import {
  type Candidate,
  orderSeen,
  readingOf,
  type Shadow,
  settled,
  watermarkAdvanced,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { eventualRange, rangeNow, sellableMax } from '../../../src/sync/core/shown.ts';
import { decided, quick, shadowOf } from './support.ts';

const state = fc.constantFrom('EFFECTIVE', 'ACCEPTED', 'UNKNOWN');
const step = fc.record({
  kind: fc.constantFrom('write', 'answer', 'along', 'read', 'sale', 'orders', 'judge'),
  wait: fc.constantFrom(0, 0, 0, 1, 2, 1_000, 70_000),
  ago: fc.constantFrom(0, 0, 1, 500),
  value: fc.nat(4),
  state,
  compared: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** What is answered is still open, or was given up. */
const isAwaited = ({ key, state: known }: Candidate): boolean =>
  key.startsWith('w') && (known === 'SENT' || known === 'UNKNOWN');

function after(
  shadow: Shadow,
  { kind, ago, value, state: became, compared }: Step,
  now: number,
  index: number,
): Shadow {
  const newest = shadow.candidates.findLast(isAwaited)?.key ?? 'none';
  switch (kind) {
    case 'write':
      return writeSent(
        shadow,
        { key: `w${index}`, value, targetSeq: shadow.sentSeq, expected: compared ? value : null },
        now,
      );
    case 'answer':
      return writeAnswered(
        shadow,
        newest,
        became === 'EFFECTIVE'
          ? { kind: 'effective' }
          : became === 'UNKNOWN'
            ? { kind: 'unknown' }
            : { kind: 'stale', actual: value, read: compared },
        now,
      );
    case 'along':
      return writtenAlong(
        shadow,
        {
          key: `a${index}`,
          value,
          shown: compared ? value : null,
          readFrom: now - ago,
          readAt: now - ago,
          state: became,
        },
        now,
      ).shadow;
    case 'read':
      return readingArrived(
        shadow,
        {
          kind: 'quantity',
          reading: readingOf(shadow.bounds, { value, requestedAt: now - ago, respondedAt: now }),
        },
        now,
      ).shadow;
    case 'sale':
      return orderSeen(shadow, { orderId: `o${index}`, quantity: 1, from: now - ago, until: now - ago }, now);
    case 'orders':
      return watermarkAdvanced(shadow, now - ago, now - ago, now);
    case 'judge':
      return judge(settled(shadow, now), now).shadow;
  }
}

const instant = { ...quick, staleMax: 0, settleMax: 0, readMax: 0 };
const plain = { wait: 0, ago: 0, value: 0, state: 'EFFECTIVE', compared: false } as const;
/** Readings have ended everything but one write, and that is refused. */
const refusedAlone: Step[] = [
  { ...plain, kind: 'write' },
  { ...plain, kind: 'read', wait: 1_000, value: 1 },
  { ...plain, kind: 'along', ago: 500, state: 'UNKNOWN', compared: true },
  { ...plain, kind: 'orders', wait: 70_000 },
  { ...plain, kind: 'write' },
  { ...plain, kind: 'answer', state: 'ACCEPTED' },
];

test('whatever is told and whatever shares a millisecond, some number may be in force, now and in the end', () => {
  const bounds = fc.constantFrom({ ...quick, staleMax: 0, readMax: 0 }, instant, quick);
  fc.assert(
    fc.property(bounds, fc.array(step, { maxLength: 14 }), (chosen, steps) => {
      let now = 10_000;
      let shadow = shadowOf(3, chosen);
      steps.forEach((one, index) => {
        now += one.wait;
        shadow = after(shadow, one, now, index);
        const { low, high } = rangeNow(shadow, now);
        expect(low).toBeLessThanOrEqual(high);
        expect(eventualRange(shadow, now).high).toBeGreaterThanOrEqual(0);
        expect(sellableMax(shadow, now)).toBeGreaterThanOrEqual(high);
        decided(shadow, one.value, now);
      });
    }),
    { numRuns: 5_000, examples: [[instant, refusedAlone]] },
  );
});
