/**
 * Proves S8 over random schedules: what a write offers once more was sold between the last look and its effect, but for sales so near a write that the
 * channel's clock does not tell which was first; and a compare-and-set offers nothing once more, whatever that clock tells.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StockWrite } from '../../src/connectors/connector.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import type { Placed } from '../support/race.ts';
import { Schedule, staleMaxMs } from '../support/raceSchedule.ts';
import { type Answer, platforms, type Step, step } from '../support/raceSteps.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

/** A push in whose middle buyers come: behind a look, and when a write has left but is not in force yet. */
const busyPush = fc.record({
  kind: fc.constant('busy push' as const),
  answer: fc.constantFrom<Answer>('lands', 'lands', 'lands late', 'deferred'),
  age: fc.double({ min: 0, max: 1, noNaN: true }),
  afterLook: fc.nat(2),
  beforeEffect: fc.nat(2),
  reread: fc.boolean(),
});
type BusyPush = typeof busyPush extends fc.Arbitrary<infer Value> ? Value : never;
type On = (typeof platforms)[number];

/** Sales at once that nobody has heard of. */
const unheardMax = 4;

type Sent = { readonly onHand: number; readonly look: number; readonly at: number };

/** The one channel that sells the item, and what is true of every write to it: so nothing but a sale there can be offered twice. */
class Sold {
  readonly breaches: string[] = [];
  resurrected = 0;
  raises = 0;
  private readonly schedule: Schedule;
  private readonly on: On;
  private readonly skewMs: number;
  private onHand = 4;
  private heard = 0;
  /** Units sold by the newest moment that a reading has told of. */
  private look = 0;
  /** Sold between the last look before a write and its effect: whether the write has put them back, nobody can tell for certain. */
  private readonly between = new Set<Placed>();
  /** By the channel's clock perhaps sold after a write was sent, and perhaps before. */
  private readonly near = new Set<Placed>();
  private readonly sent = new Map<string, Sent>();

  constructor(schedule: Schedule, on: On, skewMs: number) {
    this.schedule = schedule;
    this.on = on;
    this.skewMs = skewMs;
    schedule.onLook = (sold) => {
      this.look = Math.max(this.look, sold);
    };
    schedule.onEffect = (write, shows) => this.effect(write, shows);
  }

  private effect({ key, quantity }: StockWrite, shows: number): void {
    const decided = this.sent.get(key);
    if (decided === undefined) throw new Error('a write came into force that was never sent');
    const { placed } = this.schedule.race;
    const again = Math.max(0, quantity - Math.max(shows, decided.onHand - placed.length));
    this.raises += quantity > shows ? 1 : 0;
    this.resurrected += again;
    for (const one of placed.slice(decided.look)) this.between.add(one);
    for (const one of placed)
      if (this.skewMs > 0 && one.order.createdAt.getTime() >= decided.at - this.skewMs) this.near.add(one);
    const most = this.on === 'shopify' ? 0 : new Set([...this.between, ...this.near]).size;
    if (again > most) this.breaches.push(`${again} of ${quantity} offered again, ${most} sold in between`);
  }

  private buy(units: number): void {
    const { schedule, on, heard } = this;
    for (let unit = 0; unit < units; unit += 1) if (schedule.sold(on) - heard < unheardMax) schedule.buy(on);
  }

  async take(each: Step | BusyPush): Promise<void> {
    const { race } = this.schedule;
    const asked = race.asked.length;
    this.heard = (await readStock(open.pool, race.item.id)).reserved;
    if (each.kind === 'buy') return this.buy(1);
    if (each.kind === 'move') this.onHand += each.delta;
    if (each.kind === 'busy push') await this.push(each);
    else await this.schedule.take('on' in each ? { ...each, on: this.on } : each);
    if (race.asked.length > asked) await race.poll(this.on);
  }

  private async push({ answer, age, afterLook, beforeEffect, reread }: BusyPush): Promise<void> {
    const { schedule, on } = this;
    const look = schedule.onLook;
    let looked = false;
    schedule.onLook = (sold) => {
      look(sold);
      if (!looked) this.buy(afterLook);
      looked = true;
    };
    schedule.age = age;
    schedule.around = (carryOut, { key }) => {
      // A write that is repeated under its key was decided when it was sent first.
      if (!this.sent.has(key))
        this.sent.set(key, { onHand: this.onHand, look: this.look, at: support.clock.now() });
      this.buy(beforeEffect);
      return carryOut();
    };
    await schedule.take({ kind: 'push', on, answer, reread });
    schedule.onLook = look;
    schedule.age = 0;
  }
}

const delivered = fc.record({ kind: fc.constant('move' as const), delta: fc.integer({ min: 1, max: 4 }) });
const later = fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(11_000, 61_000) });
/** A seller who gets more, so that there is much to raise; buyers do not step back, so that what is sold stays sold. */
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: step.filter(({ kind }) => kind !== 'cancel' && kind !== 'push') },
    { weight: 1, arbitrary: delivered },
    { weight: 2, arbitrary: later },
    { weight: 3, arbitrary: busyPush },
  ),
  { minLength: 8, maxLength: 30 },
);

test.each(platforms)(
  'S8: what a write on %s offers once more was sold after the last look at it, and with compare-and-set it is nothing',
  async (on) => {
    let raises = 0;
    let resurrected = 0;
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (drawn: readonly (Step | BusyPush)[], skewed) => {
        const schedule = await Schedule.open(open.pool, [on]);
        if (on === 'shopify') schedule.lag(on, 10_000);
        // Which sales came before a write, the times alone do not tell then.
        const skewMs = skewed ? 1_000 : 0;
        schedule.race.at(on).channel.capabilities.clockSkewMaxMs = skewMs;
        // A reading that may be from before anything was known says nothing.
        await schedule.pass(staleMaxMs);
        const sold = new Sold(schedule, on, skewMs);
        for (const each of drawn) await sold.take(each);
        expect(sold.breaches).toEqual([]);
        expect(schedule.breaches).toEqual([]);
        expect(schedule.race.proven).toEqual([]);
        raises += sold.raises;
        resurrected += sold.resurrected;
      }),
      { numRuns: 40, endOnFailure: true },
    );
    // The schedules would prove nothing if they raised nothing, or if no sale ever came in between.
    expect(raises).toBeGreaterThan(5);
    expect(resurrected > 0 || on === 'shopify').toBe(true);
  },
  120_000,
);
