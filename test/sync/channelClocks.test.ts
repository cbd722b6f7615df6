/** Proves what the `Date` of a channel's answers tells of its clock, and that a proved gap widens the bound of that connection once. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AnsweredAt } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { createClockGauge, gapOf, watchChannelClock } from '../../src/sync/channelClocks.ts';
import * as fixtures from '../support/fixtures.ts';
import { waitFor } from '../support/waiting.ts';

const noon = Date.parse('2026-11-30T12:00:00Z');

/** Made at `at` by our clock (milliseconds after noon), on its way for so long, by a channel whose clock is so far ahead. */
function answer(at: number, aheadMs: number, travelMs = 40): AnsweredAt {
  const date = new Date(noon + at + aheadMs).toUTCString();
  return { date, age: null, from: noon + at - travelMs, until: noon + at + travelMs };
}

describe('an answer', () => {
  test('bounds the gap by the second that it names and by how long it took', () => {
    expect(gapOf(answer(300, 7_000))).toEqual({ least: 6_660, most: 7_740 });
    expect(gapOf(answer(900, 0))).toEqual({ least: -940, most: 140 });
    expect(gapOf(answer(900, 0, 30_000))).toEqual({ least: -30_900, most: 30_100 });
  });

  test('says nothing without a time, with an unreadable one, or when it was kept for others before', () => {
    expect(gapOf({ ...answer(0, 0), date: null })).toBeNull();
    expect(gapOf({ ...answer(0, 0), date: 'yesterday' })).toBeNull();
    expect(gapOf({ ...answer(0, 60_000), age: '60' })).toBeNull();
    expect(gapOf({ ...answer(0, 0), age: '0' })).not.toBeNull();
  });
});

describe('several answers', () => {
  test('that agree narrow the gap, three at least', () => {
    const gauge = createClockGauge();
    expect(gauge(answer(0, 7_000))).toBeNull();
    expect(gauge(answer(1_500, 7_000))).toBeNull();
    // Seven seconds, to the travel of the narrowest: one was made when a second had begun, one when it was nearly over.
    expect(gauge(answer(2_990, 7_000))).toEqual({ least: 6_960, most: 7_050 });
  });

  test('of which one disagrees prove nothing until three agree again', () => {
    const gauge = createClockGauge();
    for (const at of [0, 1_000]) expect(gauge(answer(at, 0))).toBeNull();
    expect(gauge(answer(2_000, 0))).not.toBeNull();
    expect(gauge(answer(3_000, 90_000))).toBeNull();
    for (const at of [4_000, 5_000]) expect(gauge(answer(at, 0))).toBeNull();
    expect(gauge(answer(6_000, 0))).not.toBeNull();
  });

  test('of a clock that drifts slowly follow it', () => {
    const gauge = createClockGauge();
    let gap: ReturnType<typeof gauge> = null;
    for (let count = 0; count < 5_000; count += 1) gap = gauge(answer(count * 1_037, count)) ?? gap;
    expect(gap?.least).toBeGreaterThan(3_000);
    expect(gap?.most).toBeLessThan(6_100);
  });
});

describe('the clock of a connection’s channel', () => {
  let open: fixtures.TestPool;
  let connection: fixtures.TestConnection;

  beforeAll(async () => {
    open = await fixtures.openTestPool(2);
  });
  afterAll(() => open[Symbol.asyncDispose]());
  beforeEach(async () => {
    connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  });

  async function measured(): Promise<number | null | undefined> {
    const { rows } = await open.pool.query<{ ms: number | null }>(
      'SELECT clock_skew_measured_ms AS ms FROM connections WHERE id = $1',
      [connection.id],
    );
    return rows[0]?.ms;
  }

  /** Ours was off by so much when it is looked at. */
  function watch(offMs = 0, db: Queryable = open.pool) {
    const gaps: unknown[] = [];
    const errors: unknown[] = [];
    let looks = 0;
    const take = watchChannelClock({
      db,
      connectionId: connection.id,
      checkOurs: async () => {
        looks += 1;
        return offMs;
      },
      onApart: (gap) => gaps.push(gap),
      onError: (error) => errors.push(error),
    });
    return { gaps, errors, take, looks: () => looks };
  }

  test.each([-7_000, 7_000])(
    'that is %d ms ahead of ours is told once, and reckoned with',
    async (aheadMs) => {
      const { gaps, take } = watch();
      for (let at = 0; at < 60_000; at += 1_130) take(answer(at, aheadMs));
      await waitFor(() => gaps.length > 0, { what: 'the bound to be widened' });
      expect(await measured()).toBeGreaterThanOrEqual(1.25 * 7_000);
      expect(await measured()).toBeLessThanOrEqual(1.25 * 8_100);
      expect(gaps).toHaveLength(1);
    },
  );

  test('is told again within two minutes after the account was connected anew', async () => {
    const { gaps, take } = watch();
    for (let at = 0; at < 5_000; at += 1_130) take(answer(at, 7_000));
    await waitFor(() => gaps.length === 1, { what: 'the bound to be widened' });
    await open.pool.query('UPDATE connections SET clock_skew_measured_ms = NULL WHERE id = $1', [
      connection.id,
    ]);
    for (let at = 5_000; at < 120_000; at += 1_130) take(answer(at, 7_000));
    await waitFor(() => gaps.length === 2, { what: 'the bound to be widened again' });
    expect(await measured()).toBeGreaterThanOrEqual(1.25 * 7_000);
  });

  test('is told again where the database could not be asked', async () => {
    let away = true;
    const query = (text: string, values: unknown[]) => {
      if (!away) return open.pool.query(text, values);
      away = false;
      return Promise.reject(new Error('the database is away'));
    };
    const { gaps, errors, take } = watch(0, { query } as unknown as Queryable);
    for (let at = 0; at < 5_000; at += 1_130) take(answer(at, 7_000));
    await waitFor(() => errors.length === 1, { what: 'the failure to be told' });
    take(answer(6_000, 7_000));
    await waitFor(() => gaps.length === 1, { what: 'the bound to be widened' });
    expect(await measured()).toBeGreaterThanOrEqual(1.25 * 7_000);
  });

  test('is right where ours was not: a machine that has slept proves nothing', async () => {
    const { gaps, take, looks } = watch(300_000);
    for (let at = 0; at < 5_000; at += 1_130) take(answer(at, 300_000));
    await waitFor(() => looks() === 1, { what: 'ours to be looked at' });
    for (let at = 5_000; at < 200_000; at += 1_130) take(answer(at, 0));
    expect(looks()).toBe(1);
    expect(gaps).toEqual([]);
    expect(await measured()).toBeNull();
  });

  test('is not told from slow answers alone, which leave too much open', async () => {
    const { looks, take } = watch();
    for (let at = 0; at < 60_000; at += 1_130) take(answer(at, 7_000, 2_000));
    expect(looks()).toBe(0);
    take(answer(60_000, 7_000));
    take(answer(61_500, 7_000));
    await waitFor(async () => (await measured()) !== null, { what: 'the bound to be widened' });
    expect(await measured()).toBeLessThanOrEqual(1.25 * 8_100);
  });

  test('that may be within the second that is reckoned with anyway is not told, however slow the answers are', async () => {
    const { gaps, take, looks } = watch();
    for (let at = 0; at < 60_000; at += 1_130) take(answer(at, 950, 5_000));
    for (let at = 0; at < 60_000; at += 1_130) take(answer(at, -950));
    expect(looks()).toBe(0);
    expect(gaps).toEqual([]);
  });
});
