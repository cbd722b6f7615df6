/** Proves S8 of a channel that compares: no raise ever offers once more what was sold, however late orders are told and whichever way the channel's clock is off. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeAnswered } from '../../../src/sync/core/answers.ts';
import { stopsRaises } from '../../../src/sync/core/range.ts';
import { judge, readingArrived } from '../../../src/sync/core/readings.ts';
import {
  type Bounds,
  newShadow,
  orderCancelled,
  orderSeen,
  readingOf,
  type Shadow,
  settled,
  shadowFromReading,
  watermarkAdvanced,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { rangeNow } from '../../../src/sync/core/shown.ts';
import { decideWrite, type WriteDecision } from '../../../src/sync/core/writing.ts';
import { decided, fresh, limits, read, sale, second, shadowOf, written } from './support.ts';

const skewed = { ...fresh, clockSkewMax: second };
const compared = { compareAndSet: true };

/** Orders that are told ten seconds late were fetched at `at`. */
function fetched(shadow: Shadow, at: number): Shadow {
  return watermarkAdvanced(shadow, at - 10 * second, at, at);
}

/** Showed 6; lowered to 5 by a write whose answer was lost. */
const lost = settled(
  written(fetched(shadowOf(6, skewed), 12 * second), ['five', 5], 13 * second, 'unknown', { expected: 6 }),
  19 * second,
);

describe('a raise is compared', () => {
  test('with the most that may be shown while nobody has seen less: a stale answer changes nothing', () => {
    const looked = fetched({ ...lost, spokenAt: 20 * second }, 20 * second);

    expect(decided(looked, 8, 20 * second, compared)).toMatchObject({ kind: 'write', expected: 6 });
  });

  test('with less that was read only once the orders up to then are known: it may be the number, or one sold unheard of', () => {
    const seen = read(fetched(lost, 20 * second), 5, 20 * second).shadow;

    // First the orders up to the write, then those up to the reading: told ten seconds late.
    expect(decided(seen, 8, 20 * second, compared)).toEqual({ kind: 'wait', until: 25 * second });
    const known = fetched(seen, 25 * second);
    expect(decided(known, 8, 25 * second, compared)).toEqual({ kind: 'wait', until: 30 * second });
    // Due by now and not told: they are fetched again, not waited for.
    expect(decided(known, 8, 30 * second, compared)).toEqual({ kind: 'fence' });
    expect(decided(known, 8, 30 * second + 1, compared)).toEqual({ kind: 'fence' });
    expect(decided(fetched(known, 30 * second), 8, 30 * second, compared)).toMatchObject({
      kind: 'write',
      expected: 5,
    });
  });

  test('with less than was read by nothing: units that are withheld may be missing, and no more', () => {
    const low = read(fetched(shadowOf(4, skewed), 12 * second), 2, 20 * second).shadow;
    const raised = written(low, ['three', 3], 21 * second, 'effective', { expected: 2 });
    // One of the two is known now; whether it came before the raise the clock does not tell, but the numbers do.
    const told = sale(raised, 1, 20.5 * second, 23 * second);

    expect(told.hold).toBe(1);
    const looked = { ...told, ordersFetchedAt: 23 * second, spokenAt: 23 * second };
    expect(decided(looked, 5, 23 * second, compared)).toMatchObject({ kind: 'write', expected: 3 });
  });

  test('with less than its range allows where a compare before it tells what the clock does not: the sale is in the number whenever it was', () => {
    const known = fetched(shadowOf(5, skewed), 12 * second);
    const raised = written(known, ['seven', 7], 13 * second, 'effective', { expected: 5 });
    const sold = sale(raised, 1, 13.5 * second, 15 * second);
    const looked = { ...sold, ordersFetchedAt: 20 * second, spokenAt: 20 * second };

    expect(rangeNow(looked, 20 * second)).toEqual({ low: 6, high: 7 });
    expect(decided(looked, 8, 20 * second, compared)).toMatchObject({ direction: 'raise', expected: 6 });
  });

  test('with what is left after a sale that is heard of in this very millisecond: most raises are decided when something is heard', () => {
    const sold = sale(shadowOf(5), 1, 20 * second);
    const looked = { ...sold, ordersFetchedAt: 20 * second, spokenAt: 20 * second };

    expect(rangeNow(looked, 20 * second)).toEqual({ low: 4, high: 5 });
    expect(decided(looked, 8, 20 * second, compared)).toMatchObject({ direction: 'raise', expected: 4 });
  });

  test('with nothing while fewer units are withheld than are missing: then its orders must tell', () => {
    const low = read(fetched(shadowOf(4, skewed), 12 * second), 2, 20 * second).shadow;
    const raised = written(low, ['three', 3], 21 * second, 'effective', { expected: 2 });
    const forgotten = { ...raised, hold: 1 };

    expect(decided(forgotten, 5, 23 * second, compared)).toEqual({ kind: 'fence' });
    const looked = { ...forgotten, ordersFetchedAt: 23 * second, spokenAt: 23 * second };
    expect(decided(looked, 5, 23 * second, compared).kind).toBe('wait');
  });

  test('with the number of a first look only once the orders up to it are known', () => {
    const first = shadowFromReading('unit', skewed, { value: 4, from: 9 * second, until: 10 * second }, 0);

    expect(decided(first, 5, 11 * second, compared)).toEqual({ kind: 'fence' });
    const fenced = read(fetched(first, 11 * second), 4, 11 * second).shadow;
    expect(decided(fenced, 5, 11 * second, compared)).toEqual({ kind: 'wait', until: 20 * second });
    expect(decided(fetched(fenced, 20 * second), 5, 20 * second, compared)).toMatchObject({ expected: 4 });
  });

  test('with what came back only once the orders tell that it did: one put back and one sold unheard of look like nothing', () => {
    const sold = sale(fetched(shadowOf(4, skewed), 12 * second), 1, 13 * second, 14 * second);
    const change = { orderId: 'order', quantity: 1, from: 20 * second, until: 20 * second };
    const cancelled = { ...change, certain: false, restockedByChannel: true };
    const perhaps = read(orderCancelled(sold, cancelled, 22 * second), 3, 24 * second).shadow;

    expect(decided(perhaps, 4, 24 * second, compared)).toEqual({ kind: 'fence' });
    expect(decided(fetched(perhaps, 24 * second), 4, 24 * second, compared).kind).toBe('wait');
    expect(decided(fetched(perhaps, 35 * second), 4, 35 * second, compared)).toMatchObject({ expected: 3 });
  });
});

const indexLag = 20;
const stock = 6;

type Write = Extract<WriteDecision, { kind: 'write' }>;
/** `clock` is when the channel says it was. */
type Order = {
  readonly at: number;
  readonly clock: number;
  known: boolean;
  cancelledAt: number | null;
  cancelKnown: boolean;
};

function clockedStep(skew: number) {
  return fc.record({
    kind: fc.constantFrom(
      'wait',
      'sell',
      'sell',
      'hear',
      'cancel',
      'deliver',
      'take',
      'poll',
      'read',
      'rest',
    ),
    time: fc.nat(12),
    /** What the channel's clock is off by. */
    off: fc.integer({ min: -skew, max: skew }),
    which: fc.nat(2),
    acts: fc.boolean(),
    restocks: fc.boolean(),
    /** Units sold before a write takes effect or a look is answered, and before the write's answer. */
    before: fc.nat(1),
    after: fc.nat(1),
    answer: fc.constantFrom('told', 'told', 'told', 'lost', 'never'),
    /** A write leaves in one call with others. */
    company: fc.boolean(),
  });
}
type Step = ReturnType<typeof clockedStep> extends fc.Arbitrary<infer Value> ? Value : never;

function unitAt(at: number) {
  return { orderId: 'order', quantity: 1, from: at, until: at };
}

/** A channel as it truly is, and a hub that decides by the core alone. Time is in milliseconds. */
class Shop {
  now = 0;
  shown = stock;
  onHand = stock;
  raises = 0;
  writes = 0;
  readonly breaches: string[] = [];
  shadow: Shadow;
  private seq = 0;
  private readonly orders: Order[] = [];
  private readonly effective = new Set<string>();
  private readonly inCompany = new Set<string>();

  constructor(bounds: Bounds) {
    this.shadow = newShadow('unit', bounds, { value: stock, at: 0, targetSeq: 0 });
  }

  /** By the orders there are, known or not. */
  private get left(): number {
    return this.onHand - this.orders.filter(({ cancelledAt }) => cancelledAt === null).length;
  }

  get available(): number {
    return this.onHand - this.orders.filter(({ known, cancelKnown }) => known && !cancelKnown).length;
  }

  private wait(time: number): void {
    this.now += time;
    this.shadow = settled(this.shadow, this.now);
  }

  private sell(units: number, off: number): void {
    for (let unit = 0; unit < units && this.shown > 0; unit += 1) {
      this.shown -= 1;
      const at = this.now;
      this.orders.push({ at, clock: at + off, known: false, cancelledAt: null, cancelKnown: false });
    }
  }

  private cancel(restocks: boolean): void {
    const order = this.orders.find(({ cancelledAt }) => cancelledAt === null);
    if (order === undefined) return;
    order.cancelledAt = this.now;
    if (restocks) this.shown += 1;
  }

  private hear(order: Order | undefined): void {
    if (order === undefined) return;
    if (!order.known) {
      order.known = true;
      this.seq += 1;
      this.shadow = orderSeen(this.shadow, unitAt(order.clock), this.now);
    }
    if (order.cancelledAt === null || order.cancelKnown) return;
    order.cancelKnown = true;
    this.seq += 1;
    const put = unitAt(order.cancelledAt + order.clock - order.at);
    this.shadow = orderCancelled(this.shadow, { ...put, certain: false, restockedByChannel: true }, this.now);
  }

  private poll(): void {
    const to = this.now - indexLag;
    for (const order of this.orders) if (order.at <= to) this.hear(order);
    this.shadow = watermarkAdvanced(this.shadow, to, this.now, this.now);
  }

  private read({ time, before, off }: Pick<Step, 'time' | 'before' | 'off'>): void {
    const requestedAt = this.now;
    const value = this.shown;
    this.wait(1 + (time % 5));
    this.sell(before, off);
    const reading = readingOf(this.shadow.bounds, { value, requestedAt, respondedAt: this.now });
    this.shadow = readingArrived(this.shadow, { kind: 'quantity', reading }, this.now).shadow;
  }

  private decide(): WriteDecision {
    const target = Math.max(0, this.available - this.shadow.hold);
    const want = { target, targetSeq: this.seq, raisesAllowed: !stopsRaises(this.shadow) };
    return decideWrite(this.shadow, want, { ...limits, ...compared, fenceMax: 10 }, this.now);
  }

  private act(one: Step): void {
    for (let turn = 0; turn < 5; turn += 1) {
      const decision = this.decide();
      if (decision.kind === 'write') this.send(decision, one);
      if (decision.kind !== 'fence') continue;
      this.poll();
      this.read(one);
    }
  }

  private send({ value, expected, targetSeq, repeats }: Write, one: Step): void {
    const { onHand, now } = this;
    this.writes += 1;
    const key = repeats ?? `w${this.writes}`;
    if (this.inCompany.has(key)) this.breaches.push(`${key} repeated, although it had company`);
    const company = one.company && repeats === null ? { inCompany: true as const } : {};
    if ('inCompany' in company) this.inCompany.add(key);
    this.shadow = writeSent(this.shadow, { key, value, targetSeq, expected, ...company }, now);
    this.wait(one.time % 5);
    this.sell(one.before, one.off);
    const done = this.effective.has(key);
    const fits = expected === null || this.shown === expected;
    if (one.answer !== 'never' && fits && !done) {
      const again = value - Math.max(this.shown, this.left - (this.onHand - onHand));
      if (again > 0) this.breaches.push(`${again} of ${value} offered again at ${this.now}`);
      if (value > this.shown) this.raises += 1;
      this.shown = value;
      this.effective.add(key);
    }
    const actual = this.shown;
    this.sell(one.after, one.off);
    this.wait(1 + (one.time % 4));
    const told = fits || done ? ({ kind: 'effective' } as const) : ({ kind: 'stale', actual } as const);
    this.shadow = writeAnswered(
      this.shadow,
      key,
      one.answer === 'told' ? told : { kind: 'unknown' },
      this.now,
    );
    this.wait(1);
  }

  private take(one: Step): void {
    if (one.kind === 'wait') this.wait(one.time);
    if (one.kind === 'rest') this.wait(50);
    if (one.kind === 'sell') this.sell(1, one.off);
    if (one.kind === 'cancel') this.cancel(one.restocks);
    if (one.kind === 'hear') this.hear(this.orders.filter(({ known }) => !known)[one.which]);
    if (one.kind === 'poll') this.poll();
    if (one.kind === 'read') this.read(one);
    if (one.kind !== 'deliver' && one.kind !== 'take') return;
    this.onHand += one.kind === 'deliver' ? 2 : -1;
    this.seq += 1;
  }

  live(all: readonly Step[]): void {
    for (const one of all) {
      this.take(one);
      this.wait(1);
      if (one.acts) this.act(one);
    }
  }

  /** Nothing happens any more but that orders are asked for and the channel is read. */
  rest(rounds: number): void {
    const nothing = { time: 1, off: 0, which: 0, before: 0, after: 0 } as const;
    const quiet = { ...nothing, acts: true, restocks: false, company: false } as const;
    for (let round = 0; round < rounds; round += 1) {
      this.wait(40);
      this.poll();
      this.read(quiet);
      this.act({ ...quiet, kind: 'wait', answer: 'told' });
    }
  }
}

test.each([
  ['exact, and its reads new', 0, 0],
  ['off, and its reads new', 10, 0],
  ['off, and its reads old', 10, 8],
])(
  'S8: where a channel’s clock is %s, a compare-and-set puts back no unit that was sold, and in a quiet the target is shown',
  (_name, clockSkewMax, staleMax) => {
    const bounds = { ...fresh, settleMax: 15, readMax: 10, restocksOnCancel: true, clockSkewMax, staleMax };
    let raises = 0;
    fc.assert(
      fc.property(fc.array(clockedStep(clockSkewMax), { minLength: 5, maxLength: 40 }), (all) => {
        const shop = new Shop(bounds);
        shop.live(all);
        raises += shop.raises;
        shop.rest(4);
        expect(shop.breaches).toEqual([]);
        expect(shop.shown).toBe(Math.max(0, shop.available));
        const { writes } = shop;
        shop.rest(3);
        expect(shop.writes).toBe(writes);
        expect(judge(shop.shadow, shop.now).proof).toBeNull();
      }),
      { numRuns: 1_000 },
    );
    // Nothing would be proved if nothing was raised.
    expect(raises).toBeGreaterThan(50);
  },
);
