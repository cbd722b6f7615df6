/** What a reading proves of a price that was sent: the price itself at any time, everything else only when the write can no longer land. */
import { describe, expect, test } from 'vitest';
import { judgePrice } from '../../src/sync/priceVerdict.ts';
import { euros } from '../support/fixtures.ts';

const times = { landingMs: 60_000, staleMs: 5_000, echoMs: 35_000, waitMs: 1_000 };
const claim = {
  state: 'unknown',
  sent: 1_100,
  sentForMs: 65_000,
  lost: 0,
  before: 1_000,
  intended: 1_100,
  currency: 'EUR',
} as const;
const reads = (minor: number) => ({ kind: 'price', price: euros(minor) }) as const;

describe('a reading', () => {
  test('of the price that was sent proves it, however soon it comes', () => {
    const shown = { kind: 'shown', echoMs: 35_000 };
    expect(judgePrice(claim, reads(1_100), times)).toEqual(shown);
    expect(judgePrice({ ...claim, sentForMs: 0 }, reads(1_100), times)).toEqual(shown);
  });

  test('of another price says nothing while the write may still land, or the reading be from before', () => {
    const young = { ...claim, sentForMs: 64_999 };
    const open = { kind: 'unknown', waitMs: 1_000, error: null };
    expect(judgePrice(young, reads(1_000), times)).toEqual(open);
    expect(judgePrice(young, reads(1_500), times)).toEqual(open);
    expect(judgePrice({ ...young, state: 'accepted' }, reads(1_000), times)).toMatchObject({
      kind: 'accepted',
    });
    expect(judgePrice({ ...young, state: 'sent' }, reads(1_000), times)).toMatchObject({ kind: 'unknown' });
  });

  test('of the price from before, or of what is wanted by now, says after that time that the write was lost', () => {
    const again = { kind: 'again', waitMs: 0, error: null };
    expect(judgePrice(claim, reads(1_000), times)).toEqual({ ...again, found: 1_000 });
    expect(judgePrice({ ...claim, intended: 1_200 }, reads(1_200), times)).toEqual({
      ...again,
      found: 1_200,
    });
  });

  test('of a third price says after that time that somebody else has changed it', () => {
    expect(judgePrice(claim, reads(1_500), times)).toEqual({ kind: 'edited', found: 1_500 });
  });

  test('of the price from before, after the third write in a row, ends it: the channel takes it in and never shows it', () => {
    const refused = { kind: 'refused', refusal: 'other' };
    expect(judgePrice({ ...claim, lost: 1 }, reads(1_000), times)).toMatchObject({ kind: 'again' });
    expect(judgePrice({ ...claim, lost: 2 }, reads(1_000), times)).toMatchObject(refused);
    const wanted = { ...claim, lost: 2, intended: 1_000 };
    expect(judgePrice(wanted, reads(1_000), times)).toMatchObject({ kind: 'again', found: 1_000 });
  });

  test('that has failed for a day after it could land ends it, with the reason', () => {
    const gone = { kind: 'unknown', reason: 'gone' } as const;
    const young = { ...claim, sentForMs: 65_000 + 86_399_999 };
    expect(judgePrice(young, gone, times)).toEqual({ kind: 'unknown', waitMs: 1_000, error: 'gone' });
    const old = { ...young, sentForMs: 65_000 + 86_400_000 };
    expect(judgePrice(old, gone, times)).toEqual({ kind: 'refused', refusal: 'other', error: 'gone' });
  });

  test('that failed leaves it as it is, with the reason', () => {
    const failed = { kind: 'unknown', reason: 'gone' } as const;
    expect(judgePrice({ ...claim, state: 'accepted' }, failed, times)).toEqual({
      kind: 'accepted',
      waitMs: 1_000,
      error: 'gone',
    });
  });

  test('in another currency ends it: nothing of ours is compared or written there', () => {
    const dollars = { kind: 'price', price: { minor: 1_100, currency: 'USD' } } as const;
    expect(judgePrice(claim, dollars, times)).toMatchObject({ kind: 'refused', refusal: 'wrong_currency' });
  });
});
