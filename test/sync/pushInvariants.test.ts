/** Proves the shadow's invariants S4 to S7 and S10 over random schedules: marketplaces that sell, cancel, read stale and lose answers, and real code between them. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ChannelError, type Order, type Platform, type StockWrite } from '../../src/connectors/connector.ts';
import { eventualRange } from '../../src/sync/core/range.ts';
import type { Shadow } from '../../src/sync/core/shadow.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';
import { Race } from '../support/race.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

const platforms = ['shopify', 'etsy', 'amazon'] as const;
const place = fc.constantFrom(...platforms);

/** Where the channel answers at once, `late` ones count as accepted and landed. */
const answers = ['lands', 'lands', 'lands', 'lands late', 'lost', 'lost but lands', 'deferred'] as const;
type Answer = (typeof answers)[number];

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('buy' as const), on: place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('hear' as const), which: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cancel' as const),
      which: fc.nat(9),
      restocked: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('move' as const), delta: fc.integer({ min: -2, max: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      on: place,
      answer: fc.constantFrom(...answers),
      reread: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      on: place,
      age: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tell' as const), on: place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('poll' as const), on: place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('land' as const), which: fc.nat(9) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(500, 11_000, 25_000, 61_000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const staleMaxMs = 20_000;
const lagMs: Readonly<Record<Platform, number>> = { shopify: 0, etsy: 10_000, amazon: 60_000, ebay: 0 };

type Landing = { readonly on: Platform; readonly write: StockWrite; readonly until: number };

/** Shopify compares and sets; Etsy may read 20 s late; Amazon accepts, lands late and in any order, and tells of its orders a minute late. */
class Schedule {
  readonly race: Race;
  readonly landing: Landing[] = [];
  readonly breaches: string[] = [];
  /** True once a channel has put units back by itself. */
  restocked = false;
  private answer: Answer = 'lands';
  private age = 0;
  private readonly shownOnEtsy: { readonly at: number; readonly quantity: number }[] = [];
  private readonly sent = new Map<string, number>();
  private readonly answered = new Set<string>();

  private constructor(race: Race) {
    this.race = race;
  }

  static async open(): Promise<Schedule> {
    const schedule = new Schedule(await Race.open(open.pool, 4, platforms));
    for (const platform of platforms) schedule.prepare(platform);
    await schedule.race.know();
    schedule.noteEtsy();
    return schedule;
  }

  private prepare(platform: Platform): void {
    const { channel } = this.race.at(platform);
    const { capabilities } = channel;
    capabilities.compareAndSet = platform === 'shopify';
    capabilities.ordersWrites = platform !== 'amazon';
    capabilities.settleMaxMs = platform === 'amazon' ? 120_000 : 2_000;
    capabilities.staleMaxMs = platform === 'etsy' ? staleMaxMs : 0;
    capabilities.indexLagMs = lagMs[platform];
    capabilities.restocksOnCancel = platform !== 'amazon';
    channel.onWrite = async (write) => {
      await this.check(platform, write);
      return this.carryOut(platform, write);
    };
    channel.onRead = () => ({ kind: 'quantity', quantity: this.readOf(platform) });
  }

  private readOf(platform: Platform): number {
    if (platform !== 'etsy') return this.race.shows(platform);
    const at = support.clock.now() - this.age * (staleMaxMs - 1_000);
    const seen = this.shownOnEtsy.findLast((each) => each.at <= at) ?? this.shownOnEtsy[0];
    return seen?.quantity ?? 0;
  }

  private noteEtsy(): void {
    this.shownOnEtsy.push({ at: support.clock.now(), quantity: this.race.shows('etsy') });
  }

  private takeEffect(platform: Platform, write: StockWrite): void {
    this.race.edit(platform, write.quantity);
    this.noteEtsy();
  }

  private carryOut(
    platform: Platform,
    write: StockWrite,
  ): Awaited<ReturnType<support.ScriptedChannel['onWrite']>> {
    const { answer } = this;
    this.answer = 'lands';
    const done = { kind: 'effective', quantity: write.quantity } as const;
    const silence = { kind: 'unknown', reason: 'no answer in time' } as const;
    if (answer === 'deferred') return { kind: 'deferred', reason: 'quota', retryAfterMs: 1_000 };
    if (platform === 'amazon') {
      if (answer === 'lost') return silence;
      this.landing.push({ on: platform, write, until: support.clock.now() + 119_000 });
      return answer === 'lost but lands' ? silence : { kind: 'accepted', reference: null };
    }
    if (platform === 'shopify') {
      if (this.answered.has(write.key)) return done;
      const actual = this.race.shows(platform);
      if (write.expected !== null && write.expected !== actual) return { kind: 'stale', actual };
    }
    if (answer === 'lost') return silence;
    this.answered.add(write.key);
    this.takeEffect(platform, write);
    return answer === 'lost but lands' ? silence : done;
  }

  /** S4 and S6, by what is stored at the moment at which a write leaves. */
  private async check(platform: Platform, write: StockWrite): Promise<void> {
    const { listingId } = this.race.at(platform);
    const { rows } = await open.pool.query<{ shadow: Shadow; target_seq: number }>(
      `SELECT shadow.state->'shadow' AS shadow, write.target_seq::int FROM shadows shadow JOIN listing_writes write ON write.listing_id = shadow.listing_id
        WHERE shadow.listing_id = $1 AND write.id = $2`,
      [listingId, write.key],
    );
    const [row] = rows;
    if (row === undefined) return void this.breaches.push('a write that was not recorded before it left');
    const newest = this.sent.get(platform) ?? 0;
    if (row.target_seq < newest) this.breaches.push(`S6: ${row.target_seq} after ${newest} on ${platform}`);
    this.sent.set(platform, Math.max(newest, row.target_seq));
    const others = row.shadow.candidates.filter(({ key }) => key !== write.key);
    const before = { ...row.shadow, candidates: others };
    const raises = others.length > 0 && eventualRange(before, support.clock.now()).high <= write.quantity;
    const unsettled = others.some(({ settledAt, state }) => settledAt === null && state !== 'REJECTED');
    if (raises && unsettled && !this.answered.has(write.key))
      this.breaches.push(`S4: raised to ${write.quantity} on ${platform} over an unsettled write`);
  }

  async take(each: Step): Promise<void> {
    const { race } = this;
    if (each.kind === 'buy' && race.shows(each.on) > 0) {
      race.buy(each.on, 1, lagMs[each.on]);
      this.noteEtsy();
    }
    if (each.kind === 'hear' || each.kind === 'cancel') await this.ofOrder(each);
    if (each.kind === 'move' && each.delta !== 0) await support.moveStock(open.pool, race.item, each.delta);
    if (each.kind === 'push') {
      this.answer = each.answer;
      if (each.reread) await support.markDirty(open.pool, race.at(each.on).listingId, true);
      await race.push(each.on);
      this.answer = 'lands';
    }
    if (each.kind === 'read') {
      this.age = each.age;
      await this.readNow(each.on);
      this.age = 0;
    }
    if (each.kind === 'tell') await race.tell(each.on, race.shows(each.on));
    if (each.kind === 'poll') await race.poll(each.on);
    if (each.kind === 'land') this.land(each.which);
    if (each.kind === 'time') await this.pass(each.ms);
    await this.checkShown();
  }

  private async ofOrder(each: Extract<Step, { kind: 'hear' | 'cancel' }>): Promise<void> {
    const placed = this.race.placed[each.which % Math.max(this.race.placed.length, 1)];
    if (placed === undefined) return;
    if (each.kind === 'hear') return this.race.hear(placed);
    const restocked = each.restocked && placed.place.connection.platform !== 'amazon';
    this.restocked ||= restocked && placed.order.status !== 'cancelled';
    this.race.cancel(placed, restocked);
    this.noteEtsy();
  }

  /** Whether it is due or not. */
  async readNow(platform: Platform): Promise<void> {
    await open.pool.query(`UPDATE shadows SET read_due_at = '2000-01-01' WHERE connection_id = $1`, [
      this.race.at(platform).connection.id,
    ]);
    await this.race.read(platform);
  }

  land(which: number): void {
    const [one] = this.landing.splice(which % Math.max(this.landing.length, 1), 1);
    if (one !== undefined) this.takeEffect(one.on, one.write);
  }

  /** What was accepted lands within the channel's settling time. */
  private async pass(ms: number): Promise<void> {
    const end = support.clock.now() + ms;
    for (let index = this.landing.length - 1; index >= 0; index -= 1)
      if ((this.landing[index]?.until ?? 0) < end) this.land(index);
    await this.race.pass(ms);
  }

  /** S1 from above: no channel shows more than we believe it may, but for what it has put back itself. */
  private async checkShown(): Promise<void> {
    if (this.restocked) return;
    for (const platform of platforms) {
      const { shown_max: most } = await this.race.shadow(platform);
      if (this.race.shows(platform) > most)
        this.breaches.push(`S1: ${platform} shows ${this.race.shows(platform)}, believed at most ${most}`);
    }
  }

  /** Nothing happens any more; then only what the product does by itself. */
  async quiet(): Promise<void> {
    for (let round = 0; round < 6; round += 1) {
      while (this.landing.length > 0) this.land(0);
      await this.race.pass(200_000);
      for (const platform of platforms) {
        await this.race.poll(platform);
        await this.readNow(platform);
        await this.race.push(platform);
      }
    }
    while (this.landing.length > 0) this.land(0);
  }

  writes(): number {
    return platforms.reduce((sum, platform) => sum + this.race.written(platform).length, 0);
  }
}

test('S2, S4, S5 and S6: channels that disagree are no conflict, no raise goes over anything unsettled, no older number after a newer one, and quiet ends at the target', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 30 }), async (steps: readonly Step[]) => {
      const schedule = await Schedule.open();
      const { race } = schedule;
      for (const each of steps) await schedule.take(each);
      await schedule.quiet();
      const counted = schedule.writes();
      await race.pass(2_000_000);
      for (const platform of platforms) {
        await race.poll(platform);
        await race.read(platform);
      }
      await race.pushAll();
      expect(schedule.breaches).toEqual([]);
      // S2: nobody has edited anything.
      expect(race.proven.map(({ listing, proof }) => [listing.platform, proof.delta])).toEqual([]);
      const { available } = await readStock(open.pool, race.item.id);
      expect(platforms.map((platform) => race.shows(platform))).toEqual(
        platforms.map(() => Math.max(0, available)),
      );
      expect(schedule.writes()).toBe(counted);
      for (const platform of platforms)
        expect(await race.shadow(platform)).toMatchObject({ hold: 0, raises_stopped: false });
      // I3: what moved the stock was people and orders.
      const kinds = (await readMovements(open.pool, race.item.id)).map(({ kind }) => kind);
      expect(kinds.filter((kind) => !['opening', 'adjustment', 'order'].includes(kind))).toEqual([]);
    }),
    { numRuns: 30, endOnFailure: true },
  );
  expect(await ledgerBreaches(open.pool)).toEqual([]);
}, 180_000);

const quietStep = fc.oneof(
  fc.record({ kind: fc.constant('move' as const), delta: fc.integer({ min: -2, max: 4 }) }),
  fc.record({ kind: fc.constant('buy' as const), on: place }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 4_000, 61_000) }),
);

test('S7: the echo of what we wrote, told once or again and at any time, causes no write, no movement and no hold', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(quietStep, { minLength: 2, maxLength: 12 }), async (steps) => {
      const race = await Race.open(open.pool, 4, platforms);
      race.at('shopify').channel.capabilities.compareAndSet = true;
      await race.know();
      const writes = (): number => platforms.reduce((sum, on) => sum + race.written(on).length, 0);
      for (const each of steps) {
        if (each.kind === 'move' && each.delta !== 0)
          await support.moveStock(open.pool, race.item, each.delta);
        if (each.kind === 'buy' && race.shows(each.on) > 0) await race.hear(race.buy(each.on));
        if (each.kind === 'time') await race.pass(each.ms);
        await race.pushAll(1);
        const before = [writes(), (await readMovements(open.pool, race.item.id)).length];
        await race.pass(1);
        for (const on of [...platforms, ...platforms]) expect(await race.tell(on, race.shows(on))).toBe(0);
        await race.pushAll(1);
        expect([writes(), (await readMovements(open.pool, race.item.id)).length]).toEqual(before);
        for (const on of platforms) expect(await race.shadow(on)).toMatchObject({ hold: 0 });
      }
      expect([race.asked, race.proven]).toEqual([[], []]);
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);

const badAnswer = fc.constantFrom('not tracked', 'unknown', 'missing', 'error', 'broken orders');

test('S10: “not tracked”, errors, missing rows and truncated pages change nothing, whatever was under way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 2, maxLength: 15 }),
      fc.array(badAnswer, { minLength: 1, maxLength: 4 }),
      async (steps, bad) => {
        const schedule = await Schedule.open();
        const { race } = schedule;
        for (const each of steps) await schedule.take(each);
        // What time and earlier knowledge change by themselves has happened then.
        for (const on of platforms) await answered(schedule, on, 'unknown');
        const before = await stateOf(race);
        for (const each of bad) for (const on of platforms) await answered(schedule, on, each);
        expect(await stateOf(race)).toEqual(before);
        expect(schedule.breaches).toEqual([]);
      },
    ),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);

async function* truncated(): AsyncIterable<readonly Order[]> {
  yield [];
  throw new ChannelError('invalid_response', 'the second page is missing');
}

async function answered(schedule: Schedule, on: Platform, how: string): Promise<void> {
  const { channel } = schedule.race.at(on);
  const honest = { read: channel.onRead, pages: channel.orderPages };
  if (how === 'not tracked') channel.onRead = () => ({ kind: 'notTracked' });
  if (how === 'unknown') channel.onRead = () => ({ kind: 'unknown', reason: 'an empty page' });
  if (how === 'missing') channel.onRead = () => undefined as never;
  if (how === 'error' || how === 'broken orders')
    channel.onRead = () => {
      throw new ChannelError('unavailable', 'out for lunch');
    };
  if (how === 'broken orders') {
    channel.orderPages = truncated;
    await schedule.race.poll(on);
  }
  await schedule.readNow(on);
  Object.assign(channel, { onRead: honest.read, orderPages: honest.pages });
}

/** Everything that may have consequences. */
async function stateOf(race: Race): Promise<unknown> {
  const { id } = race.item;
  const all = async (text: string): Promise<readonly unknown[]> =>
    (await open.pool.query<Record<string, unknown>>(text, [id])).rows;
  return {
    stock: await readStock(open.pool, id),
    shadows: await all(
      'SELECT listing_id, hold, raises_stopped, shown_min, shown_max, resurrected_units FROM shadows WHERE item_id = $1 ORDER BY listing_id',
    ),
    dirty: await all(
      'SELECT listing_id, reread FROM dirty_listings JOIN listings ON listings.id = listing_id WHERE item_id = $1 ORDER BY listing_id',
    ),
    writes: await all(
      'SELECT write.id, write.state FROM listing_writes write JOIN listings ON listings.id = write.listing_id WHERE item_id = $1 ORDER BY write.id',
    ),
    proven: race.proven.length,
  };
}
