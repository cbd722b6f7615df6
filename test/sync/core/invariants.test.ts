/** Proves S3 to S8 of decisions and shadows together, and E3 of rights, under any schedule of a channel that sells, lands late and loses answers. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeAnswered, writeWorkedOff } from '../../../src/sync/core/answers.ts';
import {
  booked,
  confirmed,
  type Escrow,
  grant,
  newEscrow,
  settledRights,
} from '../../../src/sync/core/escrow.ts';
import { rebalanceLimits } from '../../../src/sync/core/limits.ts';
import { excessOf, reachableRange, stopsRaises } from '../../../src/sync/core/range.ts';
import { judge, readingArrived } from '../../../src/sync/core/readings.ts';
import { rebalance } from '../../../src/sync/core/rebalance.ts';
import {
  newShadow,
  orderSeen,
  readingOf,
  type Shadow,
  settled,
  watermarkAdvanced,
  writeSent,
} from '../../../src/sync/core/shadow.ts';
import { eventualRange, rangeNow } from '../../../src/sync/core/shown.ts';
import { decideWrite, type WriteDecision } from '../../../src/sync/core/writing.ts';
import { fresh, limits } from './support.ts';

const bounds = { ...fresh, staleMax: 20, settleMax: 15, readMax: 10 };
const stock = 8;
/** Longest time that a write may stand in a queue: longer than any does here. */
const queuedMax = 400;

type Answer = 'effective' | 'accepted' | 'lost' | 'never';
/** How the channel writes: over whatever is there, over what it has read just before, or only where it still shows what was expected. */
type Way = 'over anything' | 'after a look' | 'compared' | 'raised by a queue';
type Write = Extract<WriteDecision, { kind: 'write' }>;
const step = fc.record({
  kind: fc.constantFrom('wait', 'wait', 'sell', 'beyond', 'elsewhere', 'deliver', 'learn', 'poll', 'read'),
  time: fc.integer({ min: 1, max: 30 }),
  lands: fc.nat(15),
  answer: fc.constantFrom<Answer>('effective', 'accepted', 'lost', 'never'),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;
const steps = fc.array(step, { maxLength: 40 });

/** A channel as it truly is, and a hub that decides by the core alone. Time is in milliseconds. */
class Hub {
  now = 0;
  shown = stock;
  shadow: Shadow = newShadow('unit', bounds, { value: stock, at: 0, targetSeq: 0 });
  available = stock;
  seq = 0;
  readonly way: Way;
  readonly sent: Write[] = [];
  readonly broken: string[] = [];
  readonly news: { readonly at: number; known: boolean }[] = [];
  readonly history = [{ at: 0, shown: stock }];
  readonly due: { readonly at: number; readonly run: () => void }[] = [];

  constructor(way: Way) {
    this.way = way;
  }

  /** By buyers: the channel sells beyond its stock, too, and counts below 0 then. */
  get seen(): number {
    return Math.max(0, this.shown);
  }

  change(shown: number): void {
    this.shown = shown;
    this.history.push({ at: this.now, shown });
  }

  sell(): void {
    this.change(this.shown - 1);
    this.news.push({ at: this.now, known: false });
  }

  move(quantity: number): void {
    this.available += quantity;
    this.seq += 1;
  }

  wait(time: number): void {
    const until = this.now + time;
    for (;;) {
      const next = this.due.toSorted((one, other) => one.at - other.at)[0];
      if (next === undefined || next.at > until) break;
      this.due.splice(this.due.indexOf(next), 1);
      this.now = next.at;
      next.run();
    }
    this.now = until;
    this.shadow = settled(this.shadow, this.now);
  }

  learn(news: Hub['news'][number]): void {
    if (news.known) return;
    news.known = true;
    const change = { orderId: 'order', quantity: 1, from: news.at, until: news.at };
    this.shadow = orderSeen(this.shadow, change, this.now);
    this.move(-1);
  }

  poll(): void {
    for (const news of this.news) this.learn(news);
    this.shadow = watermarkAdvanced(this.shadow, this.now, this.now, this.now);
  }

  shownBefore(age: number): number {
    return this.history.findLast(({ at }) => at <= Math.max(0, this.now - age))?.shown ?? 0;
  }

  read(age = 0): void {
    const value = this.shownBefore(age);
    const reading = readingOf(bounds, { value, requestedAt: this.now, respondedAt: this.now });
    this.shadow = readingArrived(this.shadow, { kind: 'quantity', reading }, this.now).shadow;
  }

  decide(): WriteDecision {
    const raisesAllowed = this.shadow.readings.every((reading) => excessOf(this.shadow, reading) === 0);
    // Sales that a reading suggests are withheld from every channel.
    const target = Math.max(0, this.available - this.shadow.hold);
    const chosen = { ...limits, compareAndSet: this.way === 'compared', fenceMax: 10 };
    return decideWrite(this.shadow, { target, targetSeq: this.seq, raisesAllowed }, chosen, this.now);
  }

  /** Until the core wants nothing or wants to wait. */
  act({ lands, answer }: Pick<Step, 'lands' | 'answer'>): WriteDecision {
    for (let turn = 0; turn < 6; turn += 1) {
      const decision = this.decide();
      if (decision.kind === 'fence') {
        this.poll();
        this.read();
        // A read that may be older than what was forgotten is asked again.
        if (this.shadow.spokenAt < this.now) return decision;
      } else if (decision.kind === 'write') this.send(decision, lands, answer);
      else return decision;
    }
    return this.decide();
  }

  send(write: Write, lands: number, answer: Answer): void {
    const { value, expected, direction, targetSeq } = write;
    const isOpen = this.shadow.candidates.some((one) => one.settledAt === null && one.state !== 'REJECTED');
    if (direction === 'raise' && write.repeats === null && isOpen)
      this.broken.push('S4: a raise while a write is open');
    if (targetSeq < (this.sent.at(-1)?.targetSeq ?? 0)) this.broken.push('S6: an older target');
    this.sent.push(write);
    const key = write.repeats ?? `w${this.sent.length}`;
    const queued = this.way === 'raised by a queue' && direction === 'raise';
    const standing = queued ? { queuedUntil: this.now + queuedMax } : {};
    this.shadow = writeSent(this.shadow, { key, value, targetSeq, expected, ...standing }, this.now);
    if (queued) return this.queue(key, value, lands, answer);
    if (expected !== null) {
      const fits = expected === this.seen;
      const told = fits ? ({ kind: 'effective' } as const) : ({ kind: 'stale', actual: this.shown } as const);
      if (fits) this.change(value);
      this.shadow = writeAnswered(this.shadow, key, told, this.now);
      return;
    }
    if (this.way === 'after a look') {
      // Somebody may buy between the decision and the look.
      if (lands > 9 && this.seen > 0) this.sell();
      if (this.isRefused(write, key, Math.max(0, this.shownBefore((lands * 7) % 21)))) return;
    }
    if (answer !== 'never') this.due.push({ at: this.now + lands, run: () => this.change(value) });
    const tell = (kind: 'effective' | 'accepted' | 'unknown', at: number) =>
      this.due.push({
        at,
        run: () => {
          this.shadow = writeAnswered(this.shadow, key, { kind }, this.now);
        },
      });
    if (answer === 'effective') tell('effective', this.now + lands);
    else if (answer === 'accepted') tell('accepted', this.now + 1);
    else tell('unknown', this.now + 10);
  }

  /** The channel works its queue off when it pleases: what was taken in lands after that; of what does not, its report names some. */
  queue(key: string, value: number, lands: number, answer: Answer): void {
    const later = (ms: number, run: () => void) => this.due.push({ at: this.now + ms, run });
    const stands = lands * 10;
    const workedOffAt = this.now + stands;
    if (answer !== 'never') later(stands + lands, () => this.change(value));
    const told = answer === 'lost' ? 'unknown' : 'accepted';
    later(1, () => {
      this.shadow = writeAnswered(this.shadow, key, { kind: told }, this.now);
    });
    later(stands + 5, () => {
      this.shadow =
        answer === 'never' && lands % 2 === 0
          ? writeAnswered(this.shadow, key, { kind: 'rejected' }, this.now)
          : writeWorkedOff(this.shadow, key, workedOffAt, this.now);
    });
  }

  /** A look that refuses a raise must have told something, or the same raise would be refused for ever. */
  isRefused({ value, believed }: Write, key: string, actual: number): boolean {
    if (believed === null || actual >= value) return false;
    if (actual >= believed.least && actual <= believed.most) return false;
    const { hold } = this.shadow;
    this.shadow = writeAnswered(this.shadow, key, { kind: 'stale', actual, read: true }, this.now);
    if (this.shadow.hold <= hold && !stopsRaises(this.shadow))
      this.broken.push('a raise was refused by a look that told nothing');
    return true;
  }

  take(one: Step): void {
    switch (one.kind) {
      case 'wait':
        return this.wait(one.time);
      case 'sell':
        if (this.seen > 0) this.sell();
        return;
      case 'beyond':
        // All of the last few, and one more.
        if (this.shown <= 4) for (let left = this.seen + 1; left > 0; left -= 1) this.sell();
        return;
      case 'elsewhere':
        return this.move(-1);
      case 'deliver':
        return this.move(2);
      case 'learn': {
        const news = this.news.find(({ known }) => !known);
        if (news) this.learn(news);
        return;
      }
      case 'poll':
        return this.poll();
      case 'read':
        return this.read(one.time % 21);
    }
  }

  live(all: readonly Step[]): void {
    for (const one of all) {
      this.take(one);
      this.wait(1);
      this.act(one);
      if (rangeNow(this.shadow, this.now).high < this.seen) this.broken.push('S1: more is shown than can be');
    }
  }

  /** Nothing happens any more but that orders are asked for and the channel is read. */
  rest(rounds: number): void {
    for (let round = 0; round < rounds; round += 1) {
      this.wait(40);
      this.poll();
      this.read();
      this.act({ lands: 1, answer: 'effective' });
    }
    this.wait(40);
  }
}

describe.each([
  ['absolute writes', 'over anything'],
  ['absolute writes after a look', 'after a look'],
  ['a compare-and-set', 'compared'],
  ['raises that stand in a queue', 'raised by a queue'],
] as const)('with %s', (_name, way) => {
  test('S4 to S7: a raise leaves alone and no older target after a newer one; after a quiet the target is shown, and its echoes cause no write', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const hub = new Hub(way);
        hub.live(all);
        hub.rest(12);
        expect(hub.broken).toEqual([]);
        expect(hub.seen).toBe(Math.max(0, hub.available));
        const before = { sent: hub.sent.length, available: hub.available };
        hub.rest(6);
        expect({ sent: hub.sent.length, available: hub.available }).toEqual(before);
        expect(judge(hub.shadow, hub.now).proof).toBeNull();
      }),
      { numRuns: 1_000 },
    );
  });

  test('S4: a zero leaves at once, whatever is in flight', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const hub = new Hub(way);
        hub.live(all);
        hub.move(-hub.available);
        hub.wait(1);
        hub.act({ lands: 15, answer: 'accepted' });
        const { high } = eventualRange(hub.shadow, hub.now);
        const newest = hub.shadow.candidates.at(-1);
        expect(high === 0 || newest?.value === 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('S3: an edit in a quiet is reported with its size once two readings can speak of it, whatever was before', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: -5, max: 5 }), (all, wish) => {
        const hub = new Hub(way);
        hub.live(all);
        hub.rest(12);
        const edit = Math.max(-hub.seen, wish);
        // A sale in the moment of a write may be in its number or not: an edit of as many units looks like it.
        const { low, high } = reachableRange(hub.shadow, { from: hub.now, until: hub.now });
        fc.pre(edit !== 0 && low === high);
        hub.change(hub.seen + edit);
        for (let look = 0; look < 2; look += 1) {
          hub.wait(bounds.staleMax + 1);
          hub.read();
        }
        hub.wait(1);
        hub.poll();
        const { proof } = judge(hub.shadow, hub.now);
        expect(proof?.delta).toBe(edit);
        const value = proof?.reading.value ?? 0;
        // The evidence shows it: so many units outside the range.
        expect(edit < 0 ? value - (proof?.range.low ?? 0) : value - (proof?.range.high ?? 0)).toBe(edit);
      }),
      { numRuns: 500 },
    );
  });

  test('S8: no more counts as offered again than was sold unseen, and nothing where writes compare', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const hub = new Hub(way);
        hub.live(all);
        hub.rest(12);
        expect(hub.shadow.resurrectedUnits).toBeLessThanOrEqual(way === 'compared' ? 0 : hub.news.length);
      }),
      { numRuns: 500 },
    );
  });
});

test('E3: with demand on one channel only, every unit is sold there in the end', () => {
  const names = ['a', 'b', 'c'] as const;
  const shown = fc.record({ a: fc.nat(4), b: fc.nat(4), c: fc.nat(4) });
  fc.assert(
    fc.property(shown, fc.nat(6), fc.boolean(), (opening, spare, compareAndSet) => {
      const total = opening.a + opening.b + opening.c + spare;
      const shows: Record<(typeof names)[number], number> = { ...opening };
      let escrow: Escrow = newEscrow(total, opening);
      let sold = 0;
      for (let now = 1; now < 200 && sold < total; now += 1) {
        const units = names.map((name) => ({
          name,
          ratePerMs: name === 'a' ? 1 / 60_000 : 1 / 86_400_000,
          refill: 30_000,
          drain: 3_000,
          compareAndSet,
          exact: shows[name],
          quantityMax: 999,
          still: 0,
        }));
        for (const { name, value, expected } of rebalance(escrow, units, rebalanceLimits)) {
          escrow = confirmed(grant(escrow, name, { key: 'key', value, expected, sentAt: now }), name, now);
          shows[name as 'a'] = value;
          escrow = settledRights(escrow, name, now);
        }
        if (shows.a === 0) continue;
        shows.a -= 1;
        sold += 1;
        escrow = booked(escrow, 'a', { quantity: 1, from: now + 0.5, until: now + 0.5, mayBePutBack: false });
      }
      expect(sold).toBe(total);
    }),
  );
});
