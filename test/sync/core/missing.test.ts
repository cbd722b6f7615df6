/** Proves what counts as missing at its edges: what a compared write replaced, which sales may be on either side of a write, and what adds up over writes. */
import { describe, expect, test } from 'vitest';
import { hasUncertainOrder, replacedBy } from '../../../src/sync/core/missing.ts';
import { asCandidate } from '../../../src/sync/core/range.ts';
import { readingArrived } from '../../../src/sync/core/readings.ts';
import { type Candidate, orderSeen, type Shadow } from '../../../src/sync/core/shadow.ts';
import { fresh, read, sale, second, shadowOf, written } from './support.ts';

/** In force within 20 ms of being sent, and not replaced yet. */
function sentAt(instant: number, more: Partial<Candidate> = {}): Candidate {
  return { ...asCandidate({ value: 5, from: instant, until: instant + 20 }), ...more };
}

const older = sentAt(0);
/** Sent at 100 ms, in force by 120 ms. */
const compared = sentAt(100, { expected: 5 });

function among(...candidates: readonly Candidate[]): Shadow {
  return { ...shadowOf(5), candidates };
}

/** A unit that showed 5 is raised to 9 at 60 s. */
function raised(shadow: Shadow): Shadow {
  return written(shadow, ['raise', 9], 60 * second, 'effective', { targetSeq: 2 });
}

describe('a compared write has replaced', () => {
  test('any write sent before it that was accepted or may have been', () => {
    const lost = sentAt(50, { state: 'UNKNOWN', settledAt: null });

    expect(replacedBy(among(older, lost, compared), compared)).toEqual([older, lost]);
    expect(replacedBy(among(sentAt(0, { state: 'REJECTED' }), lost, compared), compared)).toEqual([lost]);
    expect(replacedBy(among(compared), compared)).toEqual([]);
  });

  test('none that had ended by the millisecond before it was sent', () => {
    const ended = [99, 100, 101].map((endedAt) => sentAt(0, { endedAt }));

    expect(replacedBy(among(...ended, compared), compared)?.map(({ endedAt }) => endedAt)).toEqual([
      100, 101,
    ]);
  });

  test('nobody knows what, where a write sent later may have come into force first: up to the last instant of its own effect', () => {
    const replaced = (...later: readonly Candidate[]) =>
      replacedBy(among(older, compared, ...later), compared);

    expect(replaced(sentAt(100))).toBeNull();
    expect(replaced(sentAt(120))).toBeNull();
    expect(replaced(sentAt(121))).toEqual([older]);
    expect(replaced(sentAt(121), sentAt(120, { state: 'UNKNOWN' }))).toBeNull();
    expect(replaced(sentAt(120, { state: 'REJECTED' }))).toEqual([older]);
  });

  test('nobody knows what for as long as it may land, where it was sent again and has not settled', () => {
    const again = { ...compared, lastSentAt: 3 * second, settledAt: null };
    const replaced = (later: number) => replacedBy(among(older, again, sentAt(later)), again);

    expect(replaced(3 * second + fresh.settleMax)).toBeNull();
    expect(replaced(3 * second + fresh.settleMax + 1)).toEqual([older]);
  });
});

/** Of a sale somewhere in [from, until], heard of at `knownAt`. */
function isUncertain(from: number, until = from, knownAt = 999, bounds = fresh): boolean {
  const sold = orderSeen(shadowOf(5, bounds), { orderId: 'order', quantity: 1, from, until }, knownAt);
  return hasUncertainOrder(sold, compared);
}

describe('whether a sale came before a write or after it, nobody can tell', () => {
  test('from when the write was sent to when it is in force for certain, both included', () => {
    expect([99, 100, 120, 121].map((soldAt) => isUncertain(soldAt))).toEqual([false, true, true, false]);
  });

  test('when any part of the time it may be of touches that', () => {
    expect([isUncertain(80, 99), isUncertain(121, 140)]).toEqual([false, false]);
    expect([isUncertain(80, 100), isUncertain(80, 140), isUncertain(120, 140)]).toEqual([true, true, true]);
  });

  test('when the channel’s clock may be that far away, unless we had heard of it before the write left', () => {
    const skewed = { ...fresh, clockSkewMax: 10 };

    expect([89, 90, 130, 131].map((soldAt) => isUncertain(soldAt, soldAt, 999, skewed))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect([99, 100].map((knownAt) => isUncertain(95, 95, knownAt, skewed))).toEqual([false, true]);
  });

  test('as soon as that is so of one among many', () => {
    const certain = sale(sale(shadowOf(5), 1, 50, 999), 1, 150, 999);

    expect(hasUncertainOrder(shadowOf(5), compared)).toBe(false);
    expect(hasUncertainOrder(certain, compared)).toBe(false);
    expect(hasUncertainOrder(sale(certain, 1, 110, 999), compared)).toBe(true);
  });
});

describe('units missing', () => {
  test('of a raise come on top of those missing before it', () => {
    const low = read(shadowOf(5), 4, 50 * second).shadow;

    expect(read(raised(low), 7, 70 * second).shadow.hold).toBe(3);
  });

  test('before a raise are as many as the worst reading found, first or last, and not the sum of what each found', () => {
    const rising = read(read(shadowOf(5), 2, 40 * second).shadow, 4, 50 * second).shadow;
    const falling = read(read(shadowOf(5), 4, 40 * second).shadow, 2, 50 * second).shadow;

    expect(read(raised(rising), 7, 70 * second).shadow.hold).toBe(5);
    expect(read(raised(falling), 7, 70 * second).shadow.hold).toBe(5);
  });

  test('were missing before a raise that left in the millisecond of the reading, and of one that left before it perhaps not', () => {
    const before = raised(read(shadowOf(5), 4, 60 * second).shadow);
    const after = read(raised(shadowOf(5)), 4, 60 * second + 1).shadow;

    expect(read(before, 7, 70 * second).shadow.hold).toBe(3);
    expect(read(after, 7, 70 * second).shadow.hold).toBe(2);
  });

  test('add up in the order of their times, also where the earlier reading is told last', () => {
    const late = read(raised(shadowOf(5)), 7, 65 * second).shadow;
    const early = { value: 4, from: 50 * second, until: 50 * second };

    expect(late.hold).toBe(2);
    const both = readingArrived(late, { kind: 'quantity', reading: early }, 66 * second).shadow;
    expect(both.hold).toBe(3);
  });
});
