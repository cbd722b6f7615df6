/** How far a channel's clock is from ours, told by the `Date` of its answers: where it is proved to be further than is reckoned with, the bound widens. */
import type { AnsweredAt } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { widenBound } from './bounds.ts';

/** The channel's clock less ours lies between the two, in milliseconds. */
export type ClockGap = { readonly least: number; readonly most: number };

/** A `Date` names a second (RFC 9110, 5.6.7), which may have just begun or be nearly over. */
const secondMs = 1_000;

/** Null where the answer does not say, or was not made for us (RFC 9111, 5.1). */
export function gapOf({ date, age, from, until }: AnsweredAt): ClockGap | null {
  const at = Date.parse(date ?? '');
  if (Number.isNaN(at) || Number(age ?? 0) > 0) return null;
  return { least: at - until, most: at + secondMs - from };
}

/** One server of many may have a wrong clock. */
const agreeingMin = 3;
/** Clocks drift: what was told longer ago is forgotten. */
const agreeingMax = 200;

/** What the newest answers prove together; null while too few of them agree. */
export function createClockGauge(): (answer: AnsweredAt) => ClockGap | null {
  let agreed: ClockGap | null = null;
  let agreeing = 0;
  return (answer) => {
    const gap = gapOf(answer);
    if (gap === null) return null;
    const least = Math.max(gap.least, agreed?.least ?? gap.least);
    const most = Math.min(gap.most, agreed?.most ?? gap.most);
    const agrees = least <= most && agreeing < agreeingMax;
    agreed = agrees ? { least, most } : gap;
    agreeing = agrees ? agreeing + 1 : 1;
    return agreeing < agreeingMin ? null : agreed;
  };
}

/** What every channel's default reckons with, and hardly more than a `Date` can tell. */
const reckonedMs = 1_000;
/** What slow answers leave more open than this is not told: too much would be reckoned with for good. */
const vagueMs = 2_000;
/** For so long what was found is not told again; whoever connects the account anew forgets it. */
const toldMs = 60_000;

export type ClockWatch = {
  readonly db: Queryable;
  readonly connectionId: string;
  /** Answers by how many milliseconds ours was off until now. */
  readonly checkOurs: () => Promise<number>;
  /** The clocks are further apart than was known. */
  readonly onApart: (gap: ClockGap) => void;
  readonly onError: (error: unknown) => void;
};

/** To be told of every answer of one connection's channel. */
export function watchChannelClock({ db, connectionId, checkOurs, onApart, onError }: ClockWatch) {
  let gauge = createClockGauge();
  let quietUntil = Number.NEGATIVE_INFINITY;

  const tell = async (gap: ClockGap): Promise<void> => {
    // A machine that has slept is behind everybody until it looks.
    if (Math.abs(await checkOurs()) >= reckonedMs) gauge = createClockGauge();
    else if (await widenBound(db, connectionId, 'clockSkewMaxMs', Math.max(-gap.least, gap.most)))
      onApart(gap);
  };

  return (answer: AnsweredAt): void => {
    const gap = gauge(answer);
    if (gap === null || gap.most - gap.least > vagueMs || answer.until < quietUntil) return;
    if (Math.max(gap.least, -gap.most) <= reckonedMs) return;
    quietUntil = answer.until + toldMs;
    tell(gap).catch((error: unknown) => {
      quietUntil = Number.NEGATIVE_INFINITY;
      onError(error);
    });
  };
}
