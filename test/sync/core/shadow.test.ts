/** Proves S1, S2 and the bounds of memory: under any schedule of sales, writes, losses and stale reads of a channel that nobody edits. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { candidatesMax } from '../../../src/sync/core/collapse.ts';
import { judge, readingArrived } from '../../../src/sync/core/readings.ts';
import {
  orderCancelled,
  orderSeen,
  type Shadow,
  settled,
  shadowFromReading,
  watermarkAdvanced,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { delta, fresh, ordersKnown, read, sale, second, shadowOf, slow, written } from './support.ts';

const bounds = {
  ...fresh,
  staleMax: 20,
  settleMax: 15,
  clockSkewMax: 6,
  readMax: 10,
  restocksOnCancel: true,
};

type Step =
  | { readonly kind: 'wait'; readonly time: number }
  | { readonly kind: 'sell'; readonly quantity: number; readonly skew: number }
  | {
      readonly kind: 'cancel';
      readonly which: number;
      readonly putsBack: boolean;
      readonly saysSo: boolean;
    }
  | { readonly kind: 'learn'; readonly which: number }
  | { readonly kind: 'poll' }
  | { readonly kind: 'read'; readonly age: number }
  /** The channel's own word on what it showed, as late as webhooks come. */
  | { readonly kind: 'told'; readonly age: number; readonly skew: number }
  | {
      readonly kind: 'write';
      readonly value: number;
      readonly lands: number;
      readonly answer: 'effective' | 'accepted' | 'lost' | 'never' | 'silent';
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait'), time: fc.integer({ min: 1, max: 30 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('sell'),
      quantity: fc.integer({ min: 1, max: 2 }),
      skew: fc.integer({ min: -6, max: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('cancel'),
      which: fc.nat(9),
      putsBack: fc.boolean(),
      saysSo: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('learn'), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('poll') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read'), age: fc.integer({ min: 0, max: 20 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('told'),
      age: fc.integer({ min: 0, max: 120 }),
      skew: fc.integer({ min: -6, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('write'),
      value: fc.nat(8),
      lands: fc.nat(15),
      answer: fc.constantFrom('effective', 'accepted', 'lost', 'never', 'silent'),
    }),
  },
);

type News = {
  readonly quantity: number;
  readonly at: number;
  /** Null for a sale; else whether the channel put the units back, and whether the order says so. */
  readonly back: { readonly order: News; readonly happened: boolean; readonly certain: boolean } | null;
  known: boolean;
};

/** A channel as it truly is, and the shadow that is told of it in part. */
class Unit {
  now = 0;
  shown = 6;
  shadow: Shadow = shadowOf(6, bounds);
  keys = 0;
  readonly history: { at: number; shown: number }[] = [{ at: 0, shown: 6 }];
  readonly news: News[] = [];
  readonly due: { at: number; run: () => void }[] = [];

  change(shown: number): void {
    this.shown = shown;
    this.history.push({ at: this.now, shown });
  }

  wait(time: number): void {
    const until = this.now + time;
    for (;;) {
      this.due.sort((one, other) => one.at - other.at);
      const next = this.due[0];
      if (next === undefined || next.at > until) break;
      this.due.shift();
      this.now = next.at;
      next.run();
    }
    this.now = until;
    this.shadow = settled(this.shadow, this.now);
  }

  learn(news: News): void {
    if (news.known) return;
    news.known = true;
    const change = { orderId: 'order', quantity: news.quantity, from: news.at, until: news.at };
    if (news.back === null) {
      this.shadow = orderSeen(this.shadow, change, this.now);
      return;
    }
    this.learn(news.back.order);
    const { certain, happened } = news.back;
    const restockedByChannel = happened || !certain;
    this.shadow = orderCancelled(this.shadow, { ...change, restockedByChannel, certain }, this.now);
  }

  /** Everything is forgotten but one reading. */
  beginAgain(age: number): void {
    const from = this.now - bounds.staleMax;
    const reading = { value: this.shownAt(this.now - age), from, until: this.now };
    this.shadow = shadowFromReading('unit', bounds, reading, 0);
    for (const news of this.news) news.known = news.at + bounds.clockSkewMax < from;
  }

  shownAt(at: number): number {
    return this.history.findLast((entry) => entry.at <= Math.max(0, at))?.shown ?? 0;
  }

  write(value: number, lands: number, answer: (Step & { kind: 'write' })['answer']): void {
    const key = `w${this.keys++}`;
    this.shadow = writeSent(this.shadow, { key, value, targetSeq: this.keys, expected: null }, this.now);
    const sentAt = this.now;
    if (answer !== 'never') this.due.push({ at: sentAt + lands, run: () => this.change(value) });
    const tell = (kind: 'effective' | 'accepted' | 'unknown', at: number) =>
      this.due.push({
        at,
        run: () => {
          this.shadow = writeAnswered(this.shadow, key, { kind }, this.now);
        },
      });
    if (answer === 'effective') tell('effective', sentAt + lands + 1);
    if (answer === 'accepted') tell('accepted', sentAt + 1);
    if (answer === 'lost' || answer === 'never') tell('unknown', sentAt + 10);
  }

  take(one: Step): void {
    switch (one.kind) {
      case 'wait':
        return this.wait(one.time);
      case 'sell':
        if (this.shown < one.quantity) return;
        this.change(this.shown - one.quantity);
        this.news.push({ quantity: one.quantity, at: this.now + one.skew, back: null, known: false });
        return;
      case 'cancel': {
        const order = this.news.filter(({ back }) => back === null)[one.which];
        if (order === undefined || this.news.some(({ back }) => back?.order === order)) return;
        if (one.putsBack) this.change(this.shown + order.quantity);
        const back = { order, happened: one.putsBack, certain: one.saysSo };
        this.news.push({ quantity: order.quantity, at: this.now, back, known: false });
        return;
      }
      case 'learn': {
        const news = this.news[one.which];
        if (news) this.learn(news);
        return;
      }
      case 'poll':
        for (const news of this.news) this.learn(news);
        this.shadow = watermarkAdvanced(this.shadow, this.now, this.now, this.now);
        return;
      case 'read': {
        const value = this.shownAt(this.now - one.age);
        const reading = { value, from: this.now - bounds.staleMax, until: this.now };
        this.shadow = readingArrived(this.shadow, { kind: 'quantity', reading }, this.now).shadow;
        return;
      }
      case 'told': {
        const at = Math.max(0, this.now - one.age);
        const said = at + one.skew;
        const { clockSkewMax } = bounds;
        const window = { from: said - clockSkewMax, until: Math.min(said + clockSkewMax, this.now) };
        const reading = { value: this.shownAt(at), ...window };
        this.shadow = readingArrived(this.shadow, { kind: 'quantity', reading }, this.now).shadow;
        return;
      }
      case 'write':
        return this.write(one.value, one.lands, one.answer);
    }
  }

  unseenSales(): number {
    return this.unseen(({ back }) => back === null);
  }

  unseenRestocks(): number {
    return this.unseen(({ back }) => back?.happened === true);
  }

  unseen(kind: (news: News) => boolean): number {
    return this.news
      .filter((news) => kind(news) && !news.known)
      .reduce((sum, { quantity }) => sum + quantity, 0);
  }
}

/** What does not hold now: the number is in the range but for what nobody could know, and nothing looks like an outside edit. */
function untruths(unit: Unit): readonly string[] {
  const { shadow, now, shown } = unit;
  const { low, high } = rangeNow(shadow, now);
  return [
    ...(shown > high + unit.unseenRestocks() ? [`${shown} above ${high}`] : []),
    ...(shown < low - unit.unseenSales() ? [`${shown} below ${low}`] : []),
    ...(judge(shadow, now).proof === null ? [] : ['an outside edit']),
  ];
}

test('S1 and S2: the true number stays in the reachable range, and nothing is taken for an outside edit', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const unit = new Unit();
      for (const one of steps) {
        unit.take(one);
        expect(untruths(unit)).toEqual([]);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('S1 and S2: also of a unit that begins with a reading, whose window may or may not include a sale', () => {
  const earlier = step.filter(({ kind }) => kind === 'wait' || kind === 'sell');
  fc.assert(
    fc.property(
      fc.array(earlier, { maxLength: 10 }),
      fc.nat(20),
      fc.array(step, { maxLength: 40 }),
      (before, age, steps) => {
        const unit = new Unit();
        for (const one of before) unit.take(one);
        unit.beginAgain(age);
        expect(untruths(unit)).toEqual([]);
        for (const one of steps) {
          unit.take(one);
          expect(untruths(unit)).toEqual([]);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test('a cancellation that may have been put back raises what is possible, and a later reading says which it was', () => {
  const restocking = { ...fresh, restocksOnCancel: true };
  const sold = sale(shadowOf(3, restocking), 1, 20 * second);
  const news = { orderId: 'order', quantity: 1, from: 50 * second, until: 50 * second };
  const cancelled = orderCancelled(sold, { ...news, restockedByChannel: true, certain: false }, 60 * second);
  const known = ordersKnown(cancelled, 70 * second);

  expect(rangeNow(known, 70 * second)).toEqual({ low: 2, high: 3 });
  for (const shown of [2, 3]) {
    const seen = read(known, shown, 80 * second).shadow;
    expect(rangeNow(seen, 90 * second)).toEqual({ low: shown, high: shown });
  }
});

test('S1: memory is bounded although every answer is lost and no reading ever comes', () => {
  let shadow = shadowOf(500, slow);
  for (let index = 1; index <= 200; index++) {
    shadow = written(shadow, [`w${index}`, 500 - index], index * second, 'unknown', { targetSeq: index });
    shadow = sale(shadow, 1, index * second);
  }

  expect(shadow.candidates.length).toBeLessThanOrEqual(candidatesMax);
  const { low, high } = rangeNow(shadow, 201 * second);
  expect(low).toBeLessThanOrEqual(300);
  expect(high).toBeGreaterThanOrEqual(300);
});

test('S1: a thousand known sales are taken off the number instead of being kept', () => {
  let shadow = shadowOf(1_200);
  for (let index = 1; index <= 1_000; index++) {
    shadow = ordersKnown(sale(shadow, 1, index * 60 * second), index * 60 * second + second);
  }

  expect(shadow.sales.length).toBeLessThan(20);
  expect(rangeNow(shadow, 60_001 * second)).toEqual({ low: 200, high: 200 });
});

test('S1: memory is bounded although the orders are never all known, and although the unit is read again and again', () => {
  for (const [writes, covered] of [
    [true, false],
    [false, false],
    [false, true],
  ]) {
    let shadow = shadowOf(2_000);
    for (let index = 1; index <= 600; index++) {
      const at = index * 120 * second;
      shadow = sale(shadow, 1, at, at + second);
      if (covered) shadow = ordersKnown(shadow, at + 2 * second);
      if (writes)
        shadow = written(shadow, [`w${index}`, 2_000 - index], at + 5 * second, 'effective', {
          targetSeq: index,
        });
      shadow = read(shadow, 2_000 - index, at + 60 * second).shadow;
    }
    const now = 72_100 * second;
    expect(rangeNow(shadow, now)).toEqual({ low: 1_400, high: 1_400 });
    expect([shadow.hold, delta(shadow, now)]).toEqual([0, null]);
    expect(shadow.sales.length).toBeLessThan(60);
    expect(shadow.candidates.length).toBeLessThanOrEqual(candidatesMax);
  }
});

test('S3: a conflict is reported when no write, no known sale and no sale that we could still hear of explains a reading: a cut by the second once the orders are known, an increase at once', () => {
  const once = ordersKnown(read(shadowOf(5), 3, 50 * second).shadow, 60 * second);
  const twice = ordersKnown(read(once, 3, 70 * second).shadow, 80 * second);

  expect(delta(once, 60 * second)).toBeNull();
  expect(delta(twice, 80 * second)).toBe(-2);
  expect(judge(twice, 80 * second).shadow.hold).toBe(0);
  expect(delta(read(shadowOf(5), 7, 50 * second).shadow, 50 * second)).toBe(2);
});

test('S3: one reading is proof enough when our own write has replaced what a second would show', () => {
  const seen = read(shadowOf(5), 3, 50 * second).shadow;
  const overwritten = written(seen, ['four', 4], 50 * second, 'effective');

  expect(overwritten.hold).toBe(2);
  expect(delta(ordersKnown(overwritten, 60 * second), 60 * second)).toBe(-2);
});

test('S6: a write with an older targetSeq is refused as a defect of the program', () => {
  const shadow = written(shadowOf(5), ['new', 4], second, 'effective', { targetSeq: 8 });

  expect(() => written(shadow, ['old', 5], 2 * second, null, { targetSeq: 7 })).toThrow('older');
});

test('S8: a sale that becomes known after an absolute write which did not know of it counts as resurrected', () => {
  const absolute = written(shadowOf(5), ['four', 4], 10 * second, 'effective');
  const compared = written(shadowOf(5), ['four', 4], 10 * second, 'effective', { expected: 5 });

  expect(sale(absolute, 1, 9 * second, 30 * second).resurrectedUnits).toBe(1);
  expect(sale(absolute, 1, 20 * second, 30 * second).resurrectedUnits).toBe(0);
  expect(sale(compared, 1, 9 * second, 30 * second).resurrectedUnits).toBe(0);
  // It offers no more than its number.
  const few = [2, 0].map((value) => written(shadowOf(5), ['few', value], 10 * second, 'effective'));
  expect(few.map((one) => sale(one, 3, 9 * second, 30 * second).resurrectedUnits)).toEqual([2, 0]);
});

test('S2: what a repeated key answers may be as old as its first attempt', () => {
  const lost = written(shadowOf(2), ['key', 0], 10 * second, 'unknown', { expected: 2 });
  const again = writeSent(lost, { key: 'key', value: 0, targetSeq: 0, expected: 2 }, 20 * second);
  const sold = sale(sale(again, 1, 9 * second), 1, 15 * second);

  const replayed = writeAnswered(sold, 'key', { kind: 'stale', actual: 1 }, 21 * second);

  expect(delta(replayed, 21 * second)).toBeNull();
});

test('S2: units put back unknown to us are not taken for the landing of a write that was lost', () => {
  const restocking = { ...fresh, restocksOnCancel: true };
  const sold = ordersKnown(sale(shadowOf(2, restocking), 1, 5 * second), 10 * second);
  const lost = written(sold, ['lost', 2], 20 * second, 'unknown');
  const seen = read(lost, 2, 40 * second).shadow;

  const known = orderCancelled(
    seen,
    { orderId: 'order 5000', quantity: 1, from: 30 * second, until: 30 * second, restockedByChannel: true },
    50 * second,
  );

  expect(seen.candidates.find(({ key }) => key === 'lost')?.state).toBe('UNKNOWN');
  const again = read(known, 2, 60 * second).shadow;
  expect(delta(ordersKnown(again, 70 * second), 70 * second)).toBeNull();
});
