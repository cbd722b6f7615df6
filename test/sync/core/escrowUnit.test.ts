/** Proves what a unit's shadow says about its rights: what is booked, what is confirmed or free again, and how a grant without an answer is chased. */
import { describe, expect, test } from 'vitest';
import {
  canGrant,
  confirmed,
  type Escrow,
  type EscrowUnit,
  grant,
  newEscrow,
  unitOf,
  violated,
} from '../../../src/sync/core/escrow.ts';
import {
  type Chase,
  chaseOf,
  learnedRights,
  type RightsUse,
  rebalanceUnit,
  used,
} from '../../../src/sync/core/escrowUnit.ts';
import { judge } from '../../../src/sync/core/readings.ts';
import { type Bounds, type Shadow, settled, shadowFromReading } from '../../../src/sync/core/shadow.ts';
import { fresh, ordersKnown, quick, read, sale, second, shadowOf, slow, written } from './support.ts';

const skewed: Bounds = { ...fresh, clockSkewMax: 5 * second };

function sold(units: number, soldAt: number, more: Partial<RightsUse> = {}): RightsUse {
  return { units, from: soldAt, until: soldAt, late: false, ...more };
}

/** The unit is granted `value` at `sentAt`, of ten in stock of which it had `had`. */
function granted(
  value: number,
  sentAt: number,
  more: { readonly had?: number; readonly expected?: number } = {},
): Escrow {
  const { had = 3, expected = null } = more;
  return grant(newEscrow(10, { unit: had }), 'unit', { key: 'grant', value, expected, sentAt });
}

function rights(escrow: Escrow): Pick<EscrowUnit, 'cur' | 'old' | 'new'> & Pick<Escrow, 'free'> {
  const { cur, old, new: pending } = unitOf(escrow, 'unit');
  return { cur, old, new: pending, free: escrow.free };
}

describe('a sale', () => {
  test('takes a right and a unit of stock, and pauses nothing while it was in time', () => {
    const left = used(newEscrow(10, { unit: 3 }), shadowOf(3), sold(2, 60 * second), 60 * second);

    expect(left.available).toBe(8);
    expect(rights(left)).toEqual({ cur: 1, old: 0, new: 0, free: 7 });
    expect(unitOf(left, 'unit').paused).toBeNull();
  });

  test('that should have been known already is booked all the same, and pauses the unit for A3', () => {
    const left = used(
      newEscrow(10, { unit: 3 }),
      shadowOf(3),
      sold(2, 60 * second, { late: true }),
      60 * second,
    );

    expect(left.available).toBe(8);
    expect(unitOf(left, 'unit')).toMatchObject({ cur: 1, paused: 'A3' });
  });

  test('may have used replaced rights for as long as the channel’s clock may be ahead of the confirmation', () => {
    const replaced = confirmed(granted(4, 10 * second), 'unit', 20 * second);
    const after = (soldAt: number) =>
      rights(used(replaced, shadowOf(3, skewed), sold(1, soldAt, { until: 90 * second }), 90 * second));

    expect(after(25 * second)).toMatchObject({ cur: 4, old: 2 });
    expect(after(25 * second + 1)).toMatchObject({ cur: 3, old: 3 });
  });

  test('beyond every right is blamed on a late write as soon as the write can have left before it by either clock', () => {
    const zeroed = written(shadowOf(3, skewed), ['zero', 0], 60 * second, 'effective');
    const because = (soldAt: number) =>
      unitOf(used(newEscrow(5, { unit: 0 }), zeroed, sold(1, soldAt), 90 * second), 'unit').paused;

    expect(because(55 * second)).toBe('A1');
    expect(because(55 * second + 1)).toBe('A2');
  });

  test('beyond every right is owed where cancelled units are put back, until every order of then is known by either clock', () => {
    const shadow = shadowOf(0, { ...skewed, restocksOnCancel: true });
    const owing = used(
      newEscrow(5, { unit: 0 }),
      shadow,
      sold(1, 20 * second, { until: 60 * second }),
      90 * second,
    );
    const pausedAt = (watermark: number) =>
      unitOf(learnedRights(owing, ordersKnown(shadow, watermark), watermark), 'unit').paused;

    expect(unitOf(owing, 'unit')).toMatchObject({ owed: 1, paused: null });
    expect(pausedAt(70 * second - 1)).toBeNull();
    expect(pausedAt(70 * second)).toBe('A1');
  });

  test('beyond every right was sold by the time that it became known, however far ahead the channel’s clock may be', () => {
    const shadow = shadowOf(0, { ...skewed, restocksOnCancel: true });
    const owing = used(newEscrow(5, { unit: 0 }), shadow, sold(1, 60 * second), 61 * second);
    const pausedAt = (watermark: number) =>
      unitOf(learnedRights(owing, ordersKnown(shadow, watermark), watermark), 'unit').paused;

    expect(pausedAt(66 * second - 1)).toBeNull();
    expect(pausedAt(66 * second)).toBe('A1');
  });
});

describe('units that come back', () => {
  test('are stock again, and rights of the unit that may show them', () => {
    const back = used(newEscrow(10, { unit: 3 }), shadowOf(3), sold(-2, 60 * second), 60 * second);

    expect(back.available).toBe(12);
    expect(rights(back)).toEqual({ cur: 5, old: 0, new: 0, free: 7 });
  });

  test('are charged with the write under way, which they outlast', () => {
    const back = used(granted(4, 10 * second), shadowOf(3), sold(-1, 60 * second), 60 * second);

    expect(rights(back)).toEqual({ cur: 3, old: 0, new: 5, free: 3 });
  });

  test('make up first for what was sold beyond every right', () => {
    const shadow = shadowOf(0, { ...fresh, restocksOnCancel: true });
    const owing = used(newEscrow(5, { unit: 0 }), shadow, sold(1, 60 * second), 60 * second);
    const back = used(owing, shadow, sold(-2, 70 * second), 70 * second);

    expect(back.available).toBe(6);
    expect(unitOf(back, 'unit')).toMatchObject({ cur: 1, owed: 0, paused: null });
  });
});

describe('a grant', () => {
  const escrow = granted(4, 10 * second);
  const unconfirmed = { cur: 3, old: 0, new: 4, free: 3 };
  const isConfirmed = (shadow: Shadow, now: number) =>
    unitOf(learnedRights(escrow, shadow, now), 'unit').write === null;

  test('that is in force is confirmed as of when it was, however much later that is learned', () => {
    const inForce = written(shadowOf(3), ['grant', 4], 10 * second, 'effective');
    const learned = learnedRights(escrow, inForce, 50 * second);

    expect(rights(learned)).toEqual({ cur: 4, old: 3, new: 0, free: 3 });
    expect(unitOf(learned, 'unit')).toMatchObject({ write: null, replacedAt: 11 * second });
  });

  test.each([null, 'accepted', 'unknown'] as const)(
    'whose answer so far is %s is not confirmed, and keeps all that it charges',
    (answer) => {
      const shadow = written(shadowOf(3, slow), ['grant', 4], 10 * second, answer);

      expect(rights(learnedRights(escrow, shadow, 50 * second))).toEqual(unconfirmed);
    },
  );

  test('is not confirmed by another write that is in force', () => {
    const other = written(shadowOf(3), ['other', 2], 1 * second, 'effective');

    expect(rights(learnedRights(escrow, other, 50 * second))).toEqual(unconfirmed);
    expect(isConfirmed(written(other, ['grant', 4], 10 * second, 'accepted'), 50 * second)).toBe(false);
  });

  test('is confirmed only once no write before it may still land and put other rights in force', () => {
    const older = written(shadowOf(3, slow), ['older', 2], 1 * second, 'accepted');
    const both = written(older, ['grant', 4], 10 * second, 'effective');
    const seen = read(both, 4, 500 * second).shadow;

    expect(isConfirmed(both, 50 * second)).toBe(false);
    expect(isConfirmed(seen, 500 * second)).toBe(true);
  });

  test('is not confirmed though it alone is left, while one of its attempts may land by itself yet', () => {
    const lost = written(shadowOf(3, slow), ['grant', 4], 10 * second, 'unknown');
    const again = read(written(lost, ['grant', 4], 20 * second, null), 4, 30 * second).shadow;
    const due = 20 * second + slow.settleMax;

    expect(isConfirmed(again, 50 * second)).toBe(false);
    expect(isConfirmed(settled(again, due - 1), due - 1)).toBe(false);
    expect(isConfirmed(settled(again, due), due)).toBe(true);
  });

  test('without an answer is given up where the unit is paused, as soon as it cannot land any more: all of it stays charged, and zero can be written', () => {
    const paused = violated(escrow, 'unit', 'A4');
    const lost = written(shadowOf(3), ['grant', 4], 10 * second, 'unknown');
    const due = 10 * second + lost.bounds.settleMax;
    const at = (start: Escrow, now: number) => learnedRights(start, settled(lost, now), now);

    expect(rights(at(paused, due - 1))).toEqual(unconfirmed);
    expect(rights(at(paused, due))).toEqual({ cur: 7, old: 0, new: 0, free: 3 });
    expect(canGrant(at(paused, due), 'unit', 0, null)).toBe(true);
    expect(rights(at(escrow, due))).toEqual(unconfirmed);
  });

  test('that its shadow has forgotten, because a reading proved an edit, is given up as soon as it cannot land any more', () => {
    const lost = written(shadowOf(3), ['grant', 4], 10 * second, 'unknown');
    const { shadow, proof } = judge(read(lost, 9, 60 * second).shadow, 60 * second);
    expect([proof?.delta, shadow.candidates.map(({ key }) => key)]).toEqual([5, ['reading']]);

    for (const start of [escrow, violated(escrow, 'unit', 'A4')]) {
      const known = learnedRights(start, shadow, 60 * second);
      expect(rights(known)).toEqual({ cur: 7, old: 0, new: 0, free: 3 });
      expect(canGrant(known, 'unit', 0, null)).toBe(true);
    }
    const anew = shadowFromReading('unit', fresh, { value: 3, from: 11 * second, until: 11 * second }, 0);
    const due = 10 * second + fresh.settleMax;
    expect(rights(learnedRights(escrow, anew, due - 1))).toEqual(unconfirmed);
    expect(rights(learnedRights(escrow, anew, due)).cur).toBe(7);
    // Where nothing was begun anew, its candidate is only not there yet, or was refused.
    expect(rights(learnedRights(escrow, shadowOf(3), 60 * second))).toEqual(unconfirmed);
  });

  test('that was compared is never given up: asked again under its key, the channel tells what became of it', () => {
    const compared = violated(granted(4, 10 * second, { expected: 3 }), 'unit', 'A4');
    const lost = written(shadowOf(3), ['grant', 4], 10 * second, 'unknown', { expected: 3 });

    expect(
      unitOf(learnedRights(compared, settled(lost, 50 * second), 50 * second), 'unit').write,
    ).not.toBeNull();
  });
});

describe('rights are free again', () => {
  test('that a grant replaced, once every order up to its confirmation is known by either clock', () => {
    const inForce = written(shadowOf(3, skewed), ['grant', 4], 10 * second, 'effective');
    const freeAt = (watermark: number) =>
      rights(learnedRights(granted(4, 10 * second), ordersKnown(inForce, watermark), watermark)).free;

    expect(freeAt(16 * second - 1)).toBe(3);
    expect(freeAt(16 * second)).toBe(6);
  });

  test('that a reading proves the unit cannot sell, and not before every order up to the reading is known', () => {
    const low = read(shadowOf(3), 1, 60 * second).shadow;
    const escrow = newEscrow(10, { unit: 3 });
    const learned = (shadow: Shadow) => rights(learnedRights(escrow, shadow, 60 * second));

    expect(learned(shadowOf(3))).toEqual({ cur: 3, old: 0, new: 0, free: 7 });
    expect(learned(ordersKnown(low, 60 * second - 1))).toEqual({ cur: 3, old: 0, new: 0, free: 7 });
    expect(learned(ordersKnown(low, 60 * second))).toEqual({ cur: 1, old: 0, new: 0, free: 9 });
  });

  test('that a grant without an answer carried, where a reading after all of its time shows that it never landed', () => {
    const lost = written(shadowOf(3), ['grant', 4], 10 * second, 'unknown');
    const learned = (readAt: number) => {
      const shadow = ordersKnown(read(lost, 3, readAt, readAt).shadow, readAt);
      return rights(learnedRights(granted(4, 10 * second), shadow, readAt));
    };

    expect(learned(12 * second - 1)).toEqual({ cur: 3, old: 0, new: 4, free: 3 });
    expect(learned(12 * second)).toEqual({ cur: 3, old: 0, new: 0, free: 7 });
  });
});

function wait(until: number): Chase {
  return { kind: 'wait', until };
}

describe('a grant that is not confirmed', () => {
  const sentAt = 10 * second;
  /** The first instant at which it has landed or never will. */
  const landed = sentAt + quick.settleMax + 1;
  /** The first at which a read that was asked for then shows it. */
  const shown = landed + quick.staleMax;
  const pause = 5 * second;
  const lost = written(shadowOf(3, quick), ['grant', 4], sentAt, 'unknown');
  const chase = (now: number, shadow = lost) => chaseOf(granted(4, sentAt), shadow, now);

  test('is chased, and where none is under way nothing is', () => {
    expect(chaseOf(newEscrow(10, { unit: 3 }), lost, 20 * second)).toBeNull();
    expect(chase(20 * second)).not.toBeNull();
  });

  test('and got no answer is asked again under its key where that offers nothing twice: compared with what it replaces, or taking all back', () => {
    const compared = granted(4, sentAt, { expected: 3 });
    const sentCompared = written(shadowOf(3, quick), ['grant', 4], sentAt, 'unknown', { expected: 3 });
    const sentZero = written(shadowOf(3, quick), ['grant', 0], sentAt, 'unknown');

    expect(chaseOf(compared, sentCompared, 11 * second)).toEqual({
      kind: 'repeat',
      key: 'grant',
      value: 4,
      expected: 3,
    });
    expect(chaseOf(granted(0, sentAt), sentZero, 11 * second)).toEqual({
      kind: 'repeat',
      key: 'grant',
      value: 0,
      expected: null,
    });
  });

  test('and got no answer is looked for where it might offer units twice, as soon as a read must show it', () => {
    expect(chase(20 * second)).toEqual(wait(shown));
    expect(chase(shown - pause)).toEqual(wait(shown));
    expect(chase(shown - 1)).toEqual(wait(shown - 1 + pause));
    expect(chase(shown)).toEqual({ kind: 'read' });
  });

  test('is looked for again after a pause where the last look came too early to tell', () => {
    const looked = read(lost, 3, shown - second).shadow;

    expect(chase(shown, looked)).toEqual(wait(shown + pause));
    expect(chase(shown - second + pause - 1, looked)).toEqual(wait(shown - second + 2 * pause - 1));
    expect(chase(shown - second + pause, looked)).toEqual({ kind: 'read' });
  });

  test.each([null, 'accepted'] as const)(
    'and whose answer so far is %s is waited for until it must have landed, and then now and again',
    (answer) => {
      const open = written(shadowOf(3, quick), ['grant', 4], sentAt, answer);

      expect(chase(11 * second, open)).toEqual(wait(landed));
      expect(chase(landed - 1, open)).toEqual(wait(landed));
      expect(chase(landed, open)).toEqual(wait(landed + pause));
      expect(chase(landed + second, open)).toEqual(wait(landed + second + pause));
    },
  );

  test('is waited for from its newest attempt on', () => {
    const again = written(lost, ['grant', 4], 30 * second, null);
    const lostAgain = written(lost, ['grant', 4], 30 * second, 'unknown');

    expect(chase(31 * second, again)).toEqual(wait(30 * second + quick.settleMax + 1));
    expect(chase(32 * second, lostAgain)).toEqual(wait(shown + 20 * second));
  });

  test('is waited for from when it was granted where the unit’s shadow knows nothing of it', () => {
    const zeroed = granted(0, sentAt);

    expect(chaseOf(zeroed, shadowOf(3, quick), 11 * second)).toEqual(wait(landed));
    expect(chaseOf(zeroed, shadowOf(3, quick), landed)).toEqual(wait(landed + pause));
  });
});

describe('what the rebalancing is told of a unit', () => {
  const pace = {
    ratePerMs: 0.25,
    sight: 7 * second,
    landing: 2 * second,
    drain: 11 * second,
    compareAndSet: true,
    quantityMax: 99,
  };
  const told = (shadow: Shadow, now: number) => rebalanceUnit(shadow, pace, now);

  test('is its pace as the channel has it, and a refill that takes a sale’s news, a write’s way and half a minute', () => {
    expect(told(shadowOf(3), 60 * second)).toEqual({
      name: 'unit',
      ratePerMs: 0.25,
      refill: 39 * second,
      drain: 11 * second,
      compareAndSet: true,
      exact: 3,
      quantityMax: 99,
      still: 60 * second,
      busy: false,
    });
  });

  test('is the number that it shows where there is but one, and none where two are possible', () => {
    const raised = written(shadowOf(3), ['raise', 4], 10 * second, 'effective');

    expect(told(sale(raised, 1, 20 * second), 60 * second).exact).toBe(3);
    expect(told(sale(raised, 1, 10 * second + 500), 60 * second).exact).toBeNull();
    expect(told(written(shadowOf(3), ['raise', 4], 10 * second, 'unknown'), 60 * second).exact).toBeNull();
  });

  test('is that it lies still from its newest write or sale on, whichever is later', () => {
    const writtenLast = written(sale(shadowOf(3), 1, 20 * second), ['raise', 4], 50 * second, 'effective');

    expect(told(sale(writtenLast, 1, 55 * second), 60 * second).still).toBe(5 * second);
    expect(told(writtenLast, 60 * second).still).toBe(10 * second);
  });

  test.each([null, 'accepted', 'unknown'] as const)(
    'is that it is busy while a write whose answer so far is %s may still land',
    (answer) => {
      const open = written(shadowOf(3), ['raise', 4], 10 * second, answer);

      expect([12 * second - 1, 12 * second].map((now) => told(open, now).busy)).toEqual([true, false]);
    },
  );

  test('is that it is not busy with a write whose answer says that it is in force', () => {
    expect(told(written(shadowOf(3), ['raise', 4], 10 * second, 'effective'), 11 * second).busy).toBe(false);
  });
});
