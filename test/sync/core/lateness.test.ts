/** Proves what a reading tells of a channel's lateness: a number that a lowering write of ours had replaced widens a bound, and nothing else does. */
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { type Lateness, latenessOf } from '../../../src/sync/core/lateness.ts';
import { asCandidate } from '../../../src/sync/core/range.ts';
import { type Candidate, readingOf, type Shadow, settled } from '../../../src/sync/core/shadow.ts';
import { quick, sale, second, shadowOf, slow, written } from './support.ts';

/** Of a read that shows `value` and was asked for at `requestedAt`. */
function late(shadow: Shadow, value: number, requestedAt: number): Lateness | null {
  return latenessOf(shadow, readingOf(shadow.bounds, { value, requestedAt, respondedAt: requestedAt + 100 }));
}

/** The numbers which, read at 200 s, tell that something was late. */
function telling(shadow: Shadow): readonly number[] {
  return [10, 9, 8, 7].filter((value) => late(shadow, value, 200 * second) !== null);
}

/** A unit that showed 9 is lowered to 5 at 100 s, and the channel says a second later that it has done so. */
const lowered = written(shadowOf(9, quick), ['lower', 5], 100 * second, 'effective');
const answeredAt = 101 * second;
/** The first instant at which no read may show the 9 any more. */
const staleUntil = answeredAt + quick.staleMax;

describe('a read that shows what a lowering write had replaced', () => {
  test('was at least as old as that write’s answer, and widens the bound of reads if that is more than they may be', () => {
    expect(late(lowered, 9, staleUntil - 1)).toBeNull();
    expect(late(lowered, 9, staleUntil)).toBeNull();
    expect(late(lowered, 9, staleUntil + 1)).toEqual({ of: 'staleMax', ms: quick.staleMax + 1 });
    expect(late(lowered, 9, staleUntil + 30 * second)).toEqual({ of: 'staleMax', ms: 90 * second });
  });

  test('widens it also when it shows a number from before the one that was replaced last', () => {
    const twice = written(lowered, ['again', 2], 130 * second, 'effective');

    expect(late(twice, 9, 200 * second)).toEqual({ of: 'staleMax', ms: 69 * second });
    expect(late(twice, 5, 200 * second)).toEqual({ of: 'staleMax', ms: 69 * second });
  });

  test('widens it also while one more write is under way', () => {
    const underWay = written(lowered, ['again', 2], 150 * second, null);

    expect(late(underWay, 9, 170 * second)).toEqual({ of: 'staleMax', ms: 69 * second });
  });

  test('is told by what that number is after the sales since, and by each that it can be where a sale may be in it or not', () => {
    const soldSince = sale(lowered, 1, 120 * second);
    const raised = written(shadowOf(3, quick), ['raise', 9], 10 * second, 'effective');
    const soldMeanwhile = sale(raised, 1, 10 * second + 500);
    const unsure = written(soldMeanwhile, ['lower', 5], 100 * second, 'effective');

    expect(telling(lowered)).toEqual([9]);
    expect(telling(soldSince)).toEqual([8]);
    expect(telling(unsure)).toEqual([9, 8]);
  });
});

describe('where only time has settled the write', () => {
  const due = 100 * second + slow.settleMax;
  const accepted = written(shadowOf(9, slow), ['lower', 5], 100 * second, 'accepted');

  test('it was later than writes may be, counted from when it was sent, and the bound of writes widens', () => {
    const inForce = settled(accepted, due);

    expect(late(inForce, 9, due)).toBeNull();
    expect(late(inForce, 9, due + 1)).toEqual({ of: 'settleMax', ms: slow.settleMax + 1 });
  });

  test('the same goes for an answer that came only then', () => {
    const sent = written(shadowOf(9, quick), ['lower', 5], 100 * second, null);
    const answered = writeAnswered(sent, 'lower', { kind: 'effective' }, 103 * second);

    expect(late(answered, 9, 162 * second)).toBeNull();
    expect(late(answered, 9, 162 * second + 1)).toEqual({ of: 'settleMax', ms: 2 * second + 1 });
  });

  test('it is counted from the newest attempt under the same key', () => {
    const lost = written(shadowOf(9, slow), ['lower', 5], 100 * second, 'unknown');
    const again = written(lost, ['lower', 5], 200 * second, 'accepted');
    const inForce = settled(again, due + 100 * second);

    expect(late(inForce, 9, due + 100 * second)).toBeNull();
    expect(late(inForce, 9, due + 110 * second)).toEqual({
      of: 'settleMax',
      ms: slow.settleMax + 10 * second,
    });
  });

  test('nothing is late before that: the old number may be in force', () => {
    expect(late(accepted, 9, due - 1)).toBeNull();
  });

  test('an old read and a late write look alike, and a read that may be as old as that proves neither', () => {
    const bounds = { ...slow, staleMax: 60 * second };
    const inForce = settled(written(shadowOf(9, bounds), ['lower', 5], 100 * second, 'accepted'), due);

    expect(late(inForce, 9, due + bounds.staleMax)).toBeNull();
    expect(late(inForce, 9, due + bounds.staleMax + 1)).toEqual({
      of: 'settleMax',
      ms: slow.settleMax + 1,
    });
  });
});

/** A 5 that is in force by 101 s, and before it a 9 in that state. */
function replacing(state: Candidate['state']): Shadow {
  const older = { ...asCandidate({ value: 9, from: 50 * second, until: 51 * second }), state };
  const inForce = asCandidate({ value: 5, from: 100 * second, until: answeredAt });
  return { ...shadowOf(3, quick), candidates: [older, inForce] };
}

describe('nothing is late', () => {
  const at = 200 * second;

  test('where the read shows the number in force, or less: that may be sales', () => {
    const same = written(shadowOf(5, quick), ['same', 5], 100 * second, 'effective');
    const raised = written(shadowOf(3, quick), ['raise', 5], 100 * second, 'effective');

    expect(late(lowered, 5, at)).toBeNull();
    expect(late(same, 5, at)).toBeNull();
    expect(late(raised, 3, at)).toBeNull();
    expect(late(raised, 4, at)).toBeNull();
  });

  test('where the number was never ours: that is somebody else’s edit', () => {
    expect([6, 7, 8, 10].map((value) => late(lowered, value, at))).toEqual([null, null, null, null]);
    expect(late(shadowOf(5, quick), 9, at)).toBeNull();
  });

  test('where a newer write that is under way brings that number', () => {
    const raising = written(shadowOf(3, quick), ['five', 5], 100 * second, 'effective');

    expect(late(written(raising, ['raise', 9], 199 * second, null), 9, at)).toBeNull();
    expect(late(written(raising, ['raise', 9], 199 * second, 'accepted'), 9, at)).toBeNull();
  });

  test('where a newer write that may be in force brings that number back, or more: that may be less sales', () => {
    const readAt = 166 * second;
    const again = (value: number, answer: 'accepted' | 'unknown' | null) =>
      late(written(lowered, ['raise', value], 165 * second, answer), 9, readAt);

    expect([again(9, 'accepted'), again(9, 'unknown'), again(9, null), again(10, 'accepted')]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect(again(8, 'accepted')).toEqual({ of: 'staleMax', ms: 65 * second });
    expect(late(written(lowered, ['raise', 9], readAt + 101, null), 9, readAt)).not.toBeNull();
  });

  test('where only a write that was refused brought that number', () => {
    expect(late(replacing('REJECTED'), 9, at)).toBeNull();
    expect(late(replacing('UNKNOWN'), 9, at)).toEqual({ of: 'staleMax', ms: 99 * second });
  });

  test('where nobody knows of any write that it is in force', () => {
    const unsure = { ...asCandidate({ value: 5, from: 0, until: second }), state: 'UNKNOWN' as const };

    expect(late({ ...shadowOf(5, quick), candidates: [unsure] }, 9, at)).toBeNull();
  });
});
