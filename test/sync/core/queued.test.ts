/** Proves what is known of a write that stands in a queue of its channel: when it can land, what it holds up, and how it comes to an end. */
import { describe, expect, test } from 'vitest';
import { withStanding, writeAnswered, writeWorkedOff } from '../../../src/sync/core/answers.ts';
import { latenessOf } from '../../../src/sync/core/lateness.ts';
import { readDueAt } from '../../../src/sync/core/readings.ts';
import { readingOf, rebased, type Shadow, settled, writeSent } from '../../../src/sync/core/shadow.ts';
import { eventualRange, rangeNow, sellableMax } from '../../../src/sync/core/shown.ts';
import { decided, fresh, ordersKnown, read, sale, second, shadowOf, slow, written } from './support.ts';

const hour = 3_600 * second;
const day = 24 * hour;

/** 3 is shown; a raise to 9 stands in a queue since `at`, for a day at most. */
function standing(at = 10 * second, bounds = fresh): Shadow {
  const write = { key: 'raise', value: 9, targetSeq: 0, expected: null, queuedUntil: at + day };
  return writeAnswered(writeSent(shadowOf(3, bounds), write, at), 'raise', { kind: 'accepted' }, at + second);
}

const candidate = ({ candidates }: Shadow) => candidates.find(({ key }) => key === 'raise');

describe('a write in a queue', () => {
  test('may be in force or not until its queue has been worked off, and for as long as a write takes to land', () => {
    const workedOff = writeWorkedOff(standing(), 'raise', hour, hour);

    expect(rangeNow(settled(standing(), 20 * hour), 20 * hour)).toEqual({ low: 3, high: 9 });
    expect(candidate(settled(workedOff, hour + fresh.settleMax - 1))?.state).toBe('ACCEPTED');
    expect(candidate(settled(workedOff, hour + fresh.settleMax))).toMatchObject({
      state: 'UNKNOWN',
      settledAt: hour + fresh.settleMax,
    });
  });

  test('may have been left out: only a reading proves which', () => {
    const workedOff = writeWorkedOff(standing(), 'raise', hour, hour);
    const landed = ordersKnown(read(workedOff, 9, hour + 5 * second).shadow, hour + 6 * second);
    const leftOut = ordersKnown(read(workedOff, 3, hour + 5 * second).shadow, hour + 6 * second);

    expect(rangeNow(settled(workedOff, hour + 5 * second), hour + 5 * second)).toEqual({ low: 3, high: 9 });
    expect(rangeNow(landed, hour + 6 * second)).toEqual({ low: 9, high: 9 });
    expect(rangeNow(leftOut, hour + 6 * second)).toEqual({ low: 3, high: 3 });
    expect(decided(leftOut, 9, hour + 6 * second)).toMatchObject({ kind: 'write', value: 9, repeats: null });
  });

  test('counts as worked off once it has stood for as long as any may', () => {
    const due = 10 * second + day + fresh.settleMax;

    expect(candidate(settled(standing(), due - 1))?.settledAt).toBeNull();
    expect(candidate(settled(standing(), due))).toMatchObject({ state: 'UNKNOWN', settledAt: due });
  });

  test('ends neither before it was sent nor after the end became known, and a channel’s clock may be behind', () => {
    const skewed = { ...fresh, clockSkewMax: 7 };
    const end = (at: number) =>
      candidate(writeWorkedOff(standing(10_000, skewed), 'raise', at, 50_000))?.queuedUntil;

    expect([1, 9_994, 20_000, 49_994, 60_000].map(end)).toEqual([10_000, 10_001, 20_007, 50_000, 50_000]);
  });

  test('may land once more when a reading has shown its number before its queue was worked off: somebody else may have set it', () => {
    const seen = read(standing(), 9, hour).shadow;
    const lost = writeAnswered(standing(), 'raise', { kind: 'unknown' }, hour);

    expect(candidate(seen)).toMatchObject({ state: 'ACCEPTED', settledAt: null });
    expect(candidate(read(lost, 9, 2 * hour).shadow)).toMatchObject({ state: 'ACCEPTED', settledAt: null });
    expect(rangeNow(seen, hour)).toEqual({ low: 9, high: 9 });
    expect(decided(seen, 9, hour)).toEqual({ kind: 'none', reason: 'inStep' });
    expect(rangeNow(sale(written(seen, ['zero', 0], hour, 'effective'), 9, hour), 2 * hour).high).toBe(9);
  });

  test('is in force when nothing else explains a reading after the end of its queue', () => {
    const workedOff = writeWorkedOff(standing(), 'raise', hour, hour);
    const at = hour + second;

    expect(candidate(read(workedOff, 9, at, at).shadow)).toMatchObject({ state: 'EFFECTIVE', settledAt: at });
  });

  test('is merged with no other, for it is asked for under its key', () => {
    let shadow = standing();
    for (let n = 0; n < 40; n += 1)
      shadow = written(shadow, [`w${n}`, 40 - n], hour + n, 'unknown', { targetSeq: n });

    expect(shadow.candidates.length).toBeLessThanOrEqual(24);
    expect(candidate(shadow)).toMatchObject({ state: 'ACCEPTED', settledAt: null });
  });

  test('that was sent before anything was known of the unit is one that may land on top of it', () => {
    const known = withStanding(shadowOf(1), [{ key: 'raise', value: 9, sentAt: -hour }]);

    expect(withStanding(shadowOf(1), [])).toEqual(shadowOf(1));
    expect(rangeNow(known, second)).toEqual({ low: 1, high: 9 });
    expect(decided(known, 1, second)).toMatchObject({ kind: 'write', direction: 'lower', value: 1 });
    expect(candidate(settled(known, day - hour + fresh.settleMax))).toMatchObject({ state: 'UNKNOWN' });
    expect(candidate(settled(known, day - hour + fresh.settleMax - 1))).toMatchObject({ state: 'ACCEPTED' });
  });

  test('lands like any other when it went by itself after all', () => {
    const write = { key: 'raise', value: 9, targetSeq: 0, expected: null, queuedUntil: day };
    const sent = writeSent(shadowOf(3), write, 10 * second);
    const accepted = writeAnswered(sent, 'raise', { kind: 'accepted', queued: false }, 11 * second);
    const unanswered = writeAnswered(sent, 'raise', { kind: 'unknown', queued: false }, 11 * second);

    expect(candidate(settled(accepted, 12 * second))).toMatchObject({
      state: 'EFFECTIVE',
      settledAt: 12 * second,
    });
    expect(candidate(settled(unanswered, 12 * second))).toMatchObject({
      state: 'UNKNOWN',
      settledAt: 12 * second,
    });
    expect(writeWorkedOff(accepted, 'raise', hour, hour)).toBe(accepted);
    expect(writeWorkedOff(accepted, 'another', hour, hour)).toBe(accepted);
  });

  test('that its report refuses never was in force', () => {
    const refused = writeAnswered(standing(), 'raise', { kind: 'rejected' }, hour);

    expect(rangeNow(refused, hour)).toEqual({ low: 3, high: 3 });
  });

  test('is never repeated under its key, whether its answer was lost or not', () => {
    const write = { key: 'raise', value: 9, targetSeq: 0, expected: null, queuedUntil: day };
    const lost = writeAnswered(
      writeSent(shadowOf(12), write, 10 * second),
      'raise',
      { kind: 'unknown' },
      hour,
    );

    expect(decided(lost, 9, hour)).toMatchObject({ kind: 'write', value: 9, repeats: null });
  });

  test('counts with all that it offers in what the unit can still sell', () => {
    expect(sellableMax(standing(), hour)).toBe(9 + 9);
  });
});

describe('beside a write in a queue', () => {
  test('a raise waits for its end, and for as long as it can land then', () => {
    const workedOff = writeWorkedOff(standing(), 'raise', hour, hour);

    expect(decided(standing(), 12, hour)).toEqual({
      kind: 'wait',
      until: 10 * second + day + fresh.settleMax,
    });
    expect(decided(workedOff, 12, hour)).toEqual({ kind: 'wait', until: hour + fresh.settleMax });
  });

  test('a lowering leaves at once, though it leaves more to sell and the queue lowers the number, too', () => {
    const sold = sale(shadowOf(15), 12, second);
    const write = { key: 'raise', value: 9, targetSeq: 0, expected: null, queuedUntil: day };
    const queued = writeAnswered(
      writeSent(sold, write, 10 * second),
      'raise',
      { kind: 'accepted' },
      11 * second,
    );

    expect(decided(queued, 4, hour)).toMatchObject({ kind: 'write', direction: 'lower', value: 4 });
  });

  test('a number that somebody else has set is lowered at once, though the queue would lower it, too', () => {
    const edited = rebased(standing(), { value: 12, from: hour, until: hour }, hour);

    expect(decided(edited, 9, hour + second)).toMatchObject({ kind: 'write', direction: 'lower', value: 9 });
    expect(decided(edited, 10, hour + second)).toMatchObject({
      kind: 'write',
      direction: 'lower',
      value: 10,
    });
  });

  test('a second lowering waits for the first alone, not for the queue', () => {
    const lowered = written(standing(), ['lower', 4], hour, 'accepted');

    expect(decided(lowered, 2, hour + second)).toEqual({ kind: 'wait', until: hour + fresh.settleMax });
    expect(decided(settled(lowered, hour + 3 * second), 2, hour + 3 * second)).toMatchObject({
      kind: 'write',
      value: 2,
    });
  });

  test('a lowering leaves once more when the queue that it found standing is worked off', () => {
    const lowered = settled(written(standing(), ['lower', 4], hour, 'accepted'), 2 * hour);
    const workedOff = writeWorkedOff(lowered, 'raise', 2 * hour, 2 * hour);
    const again = written(workedOff, ['again', 4], 2 * hour, 'accepted');
    const after = settled(written(workedOff, ['again', 4], 2 * hour + 1, 'accepted'), 2 * hour + second);

    expect(decided(lowered, 4, 2 * hour).kind).toBe('wait');
    expect(decided(workedOff, 4, 2 * hour)).toMatchObject({ kind: 'write', direction: 'lower', value: 4 });
    expect(decided(again, 4, 2 * hour + second)).toEqual({ kind: 'wait', until: 2 * hour + fresh.settleMax });
    expect(decided(after, 4, 2 * hour + second).kind).toBe('wait');
  });

  test('a lowering that was answered and may still land leaves once more under a new key: its own would tell that answer again', () => {
    const lowered = written(standing(10 * second, slow), ['lower', 4], 2 * hour - 10 * second, 'accepted');
    const workedOff = writeWorkedOff(lowered, 'raise', 2 * hour, 2 * hour);

    expect(decided(lowered, 4, 2 * hour).kind).toBe('wait');
    expect(decided(workedOff, 4, 2 * hour)).toMatchObject({
      kind: 'write',
      direction: 'lower',
      value: 4,
      repeats: null,
    });
  });

  test('a zero is sent again and again until the queue can no longer land on top of it', () => {
    const zeroed = written(standing(), ['zero', 0], hour, 'accepted');
    const landed = settled(zeroed, hour + 3 * second);
    const later = settled(zeroed, 3 * hour);

    expect(decided(zeroed, 0, hour + second)).toEqual({ kind: 'wait', until: hour + 30 * second });
    // As long after it as the queue had stood before it: ever more seldom.
    expect(decided(landed, 0, hour + 3 * second)).toEqual({
      kind: 'wait',
      until: hour + (hour - 10 * second),
    });
    expect(decided(later, 0, 3 * hour)).toMatchObject({ kind: 'write', direction: 'zero', value: 0 });
    expect(eventualRange(later, 3 * hour)).toEqual({ low: 0, high: 9 });
  });
});

describe('a unit with a write in a queue is read', () => {
  const pace = { verifyIntervalMs: 15 * second, reconcileIntervalMs: 1_800 * second };

  test('after an eighth of the time that it has stood, neither so soon as another nor later than one in step', () => {
    const seen = read(standing(), 3, hour).shadow;
    const stoodFor = hour - 10 * second;

    expect(readDueAt(standing(), pace, 20 * second)).toBe(80 * second);
    expect(readDueAt(seen, pace, hour)).toBe(hour + stoodFor / 8);
    expect(readDueAt(read(standing(), 3, 20 * hour).shadow, pace, 20 * hour)).toBe(
      20 * hour + pace.reconcileIntervalMs,
    );
    expect(readDueAt(seen, { ...pace, reconcileIntervalMs: second }, hour)).toBe(hour + 15 * second);
  });

  test('as soon as any other while something newer may be overwritten, its end is known, or a reading is unexplained', () => {
    const lowered = read(written(standing(), ['lower', 2], hour, 'accepted'), 2, hour + 5 * second).shadow;
    const workedOff = read(writeWorkedOff(standing(), 'raise', hour, hour), 3, hour + second).shadow;
    const short = read(standing(), 1, hour).shadow;

    expect(readDueAt(lowered, pace, hour + 5 * second)).toBe(hour + 20 * second);
    expect(readDueAt(workedOff, pace, hour + second)).toBe(hour + 16 * second);
    expect(short.hold).toBeGreaterThan(0);
    expect(readDueAt(short, pace, hour)).toBe(hour + 15 * second);
  });

  test('now and then once it is in step', () => {
    const workedOff = writeWorkedOff(ordersKnown(standing(), 2 * hour), 'raise', hour, hour);
    const seen = read(workedOff, 9, hour + second).shadow;
    const later = 2 * hour;

    expect(readDueAt(settled(seen, later), pace, later)).toBe(hour + second + pace.reconcileIntervalMs);
  });
});

const late = (at: number) => readingOf(fresh, { value: 9, requestedAt: at, respondedAt: at });

describe('how late a channel is', () => {
  test('is not measured by a queue that lands on top of what was written after it, before its end is known or after', () => {
    const lowered = written(standing(), ['lower', 4], hour, 'accepted');
    const proved = read(lowered, 4, hour + second).shadow;
    const workedOff = writeWorkedOff(settled(lowered, 2 * hour), 'raise', 2 * hour, 2 * hour);

    expect(latenessOf(settled(lowered, 2 * hour), late(2 * hour))).toBeNull();
    expect(latenessOf(proved, late(2 * hour))).toBeNull();
    expect(latenessOf(workedOff, late(2 * hour + second))).toBeNull();
  });

  test('is not measured by a number that a queue may have landed with, though the same was replaced before, too', () => {
    const write = { key: 'raise', value: 9, targetSeq: 0, expected: null, queuedUntil: day };
    const lowered = (before: Shadow) => written(before, ['lower', 4], hour, 'effective');

    expect(latenessOf(lowered(writeSent(shadowOf(9), write, second)), late(hour + 5 * second))).toBeNull();
    expect(latenessOf(lowered(shadowOf(9)), late(hour + 5 * second))).toEqual({
      of: 'staleMax',
      ms: 4 * second,
    });
  });

  test('is measured from the end of a queue where that was written over by nothing', () => {
    const write = { key: 'raise', value: 2, targetSeq: 0, expected: null, queuedUntil: day };
    const queued = writeAnswered(
      writeSent(shadowOf(9), write, 10 * second),
      'raise',
      { kind: 'accepted' },
      hour,
    );
    const workedOff = writeWorkedOff(queued, 'raise', hour, hour);
    const shown = read(ordersKnown(workedOff, hour + 2 * second), 2, hour + second).shadow;

    expect(latenessOf(shown, late(hour + 9 * second))).toEqual({ of: 'staleMax', ms: 8 * second });
  });
});
