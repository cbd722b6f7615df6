/** One unit as the tests drive it: a shadow with round bounds, and the decisions asked of it. */

import { type WriteAnswer, writeAnswered } from '../../../src/sync/core/answers.ts';
import { judge, readingArrived, type Verdict } from '../../../src/sync/core/readings.ts';
import {
  type Bounds,
  newShadow,
  orderSeen,
  readingOf,
  type Shadow,
  watermarkAdvanced,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import {
  decideWrite,
  type Want,
  type WriteDecision,
  type WritingLimits,
} from '../../../src/sync/core/writing.ts';

export const second = 1_000;

/** Reads up to 60 s old; writes that land within 2 s. */
export const quick: Bounds = {
  staleMax: 60 * second,
  settleMax: 2 * second,
  clockSkewMax: 0,
  readMax: 10 * second,
  restocksOnCancel: false,
};
/** Reads that are true when answered. */
export const fresh: Bounds = { ...quick, staleMax: 0 };
/** Writes that land within seven minutes. */
export const slow: Bounds = { ...fresh, settleMax: 420 * second };

export const limits: WritingLimits = {
  compareAndSet: false,
  fenceMax: 10 * second,
  preemptMax: 0,
  zeroAgain: 30 * second,
};

export function shadowOf(value: number, bounds: Bounds = fresh): Shadow {
  return newShadow('unit', bounds, { value, at: 0, targetSeq: 0 });
}

/** A write that leaves at `at`; answered a second later when there is an answer. */
export function written(
  shadow: Shadow,
  write: readonly [key: string, value: number],
  at: number,
  answer: WriteAnswer['kind'] | null,
  more: { readonly expected?: number; readonly targetSeq?: number; readonly inCompany?: true } = {},
): Shadow {
  const { expected = null, targetSeq = shadow.sentSeq, ...rest } = more;
  const [key, value] = write;
  const sent = writeSent(shadow, { key, value, targetSeq, expected, ...rest }, at);
  if (answer === null) return sent;
  const told: WriteAnswer = answer === 'stale' ? { kind: answer, actual: null } : { kind: answer };
  return writeAnswered(sent, key, told, at + second);
}

export function sale(shadow: Shadow, quantity: number, soldAt: number, knownAt = soldAt): Shadow {
  return orderSeen(shadow, { orderId: `order ${soldAt}`, quantity, from: soldAt, until: soldAt }, knownAt);
}

export function read(
  shadow: Shadow,
  value: number,
  respondedAt: number,
  requestedAt = respondedAt - 100,
): { readonly shadow: Shadow; readonly verdict: Verdict } {
  const reading = readingOf(shadow.bounds, { value, requestedAt, respondedAt });
  return readingArrived(shadow, { kind: 'quantity', reading }, respondedAt);
}

/** Every order up to `at` is known. */
export function ordersKnown(shadow: Shadow, at: number): Shadow {
  return watermarkAdvanced(shadow, at, at, at);
}

export function delta(shadow: Shadow, now: number): number | null {
  return judge(shadow, now).proof?.delta ?? null;
}

export function decided(
  shadow: Shadow,
  target: number,
  now: number,
  more: Partial<WritingLimits & Omit<Want, 'target'>> = {},
): WriteDecision {
  const { targetSeq = shadow.sentSeq, raisesAllowed = true, raiseInTime = true, ...rest } = more;
  const want = { target, targetSeq, raisesAllowed, raiseInTime };
  return decideWrite(shadow, want, { ...limits, ...rest }, now);
}
