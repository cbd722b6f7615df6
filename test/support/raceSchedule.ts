/** A random schedule on three marketplaces that sell, cancel, read stale, lose answers and land writes late, with the real code between them. */
import type { Pool } from 'pg';
import type { Platform, StockWrite } from '../../src/connectors/connector.ts';
import type { Shadow } from '../../src/sync/core/shadow.ts';
import { eventualRange } from '../../src/sync/core/shown.ts';
import * as support from './channel.ts';
import { Race } from './race.ts';
import { type Answer, platforms, type Step } from './raceSteps.ts';

/** Of Etsy, the only one whose readings are old. */
export const staleMaxMs = 20_000;
const lagMs: Readonly<Record<Platform, number>> = { shopify: 0, etsy: 10_000, amazon: 60_000, ebay: 0 };

type Answered = Awaited<ReturnType<support.ScriptedChannel['onWrite']>>;
type Seen = { readonly at: number; readonly quantity: number; readonly sold: number };
type Landing = { readonly on: Platform; readonly write: StockWrite; readonly until: number };

/** Shopify compares and sets; Etsy may read 20 s late; Amazon accepts, lands late and in any order, and tells of its orders a minute late. */
export class Schedule {
  readonly race: Race;
  readonly landing: Landing[] = [];
  readonly breaches: string[] = [];
  /** Runs in the place of what a channel does with a write. */
  around: (carryOut: () => Answered, write: StockWrite) => Answered = (carryOut) => carryOut();
  /** Told of every reading, with the units that the channel had certainly sold by the moment that it is from. */
  onLook: (sold: number) => void = () => undefined;
  /** Told before a write comes into force. */
  onEffect: (write: StockWrite, shows: number) => void = () => undefined;
  /** True once a channel has put units back by itself. */
  restocked = false;
  /** To the next write. */
  answer: Answer = 'lands';
  /** Of the next readings of Etsy: 1 is as old as they can be. */
  age = 0;
  private readonly shownOnEtsy: Seen[] = [];
  private readonly sent = new Map<string, number>();
  private readonly answered = new Set<string>();
  private readonly pool: Pool;
  private readonly on: readonly Platform[];

  private constructor(pool: Pool, race: Race) {
    this.pool = pool;
    this.race = race;
    this.on = [...race.places.keys()];
  }

  static async open(pool: Pool, on: readonly Platform[] = platforms): Promise<Schedule> {
    const schedule = new Schedule(pool, await Race.open(pool, 4, on));
    for (const platform of on) schedule.prepare(platform);
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
    this.lag(platform, lagMs[platform]);
    capabilities.restocksOnCancel = platform !== 'amazon';
    channel.onWrite = async (write) => {
      await this.check(platform, write);
      return this.around(() => this.carryOut(platform, write), write);
    };
    channel.onRead = () => ({ kind: 'quantity', quantity: this.readOf(platform) });
  }

  /** How late it tells of its orders. */
  lag(platform: Platform, ms: number): void {
    this.race.at(platform).channel.capabilities.indexLagMs = ms;
  }

  /** Units sold there so far, heard of or not. */
  sold(platform: Platform): number {
    const { placed } = this.race;
    return placed.filter(({ place: { connection } }) => connection.platform === platform).length;
  }

  private readOf(platform: Platform): number {
    if (platform !== 'etsy') {
      this.onLook(this.sold(platform));
      return this.race.shows(platform);
    }
    // All that is certain of a reading is that it is not older than that.
    this.onLook(this.etsyAt(staleMaxMs).sold);
    return this.etsyAt(this.age * (staleMaxMs - 1_000)).quantity;
  }

  private etsyAt(msAgo: number): Seen {
    const at = support.clock.now() - msAgo;
    const seen = this.shownOnEtsy.findLast((each) => each.at <= at) ?? this.shownOnEtsy[0];
    if (seen === undefined) throw new Error('nothing was ever shown on Etsy');
    return seen;
  }

  private noteEtsy(): void {
    if (!this.on.includes('etsy')) return;
    this.shownOnEtsy.push({
      at: support.clock.now(),
      quantity: this.race.shows('etsy'),
      sold: this.sold('etsy'),
    });
  }

  private takeEffect(platform: Platform, write: StockWrite): void {
    this.onEffect(write, this.race.shows(platform));
    this.race.edit(platform, write.quantity);
    this.noteEtsy();
  }

  private carryOut(platform: Platform, write: StockWrite): Answered {
    const { answer } = this;
    this.answer = 'lands';
    const done = { kind: 'effective', quantity: write.quantity } as const;
    const silence = { kind: 'unknown', reason: 'no answer in time' } as const;
    if (answer === 'deferred') return { kind: 'deferred', reason: 'quota', retryAfterMs: 10_000 };
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
    const { rows } = await this.pool.query<{ shadow: Shadow; target_seq: number }>(
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

  /** One unit, where one is shown. */
  buy(platform: Platform): void {
    if (this.race.shows(platform) === 0) return;
    this.race.buy(platform, 1, this.race.at(platform).channel.capabilities.indexLagMs);
    this.noteEtsy();
  }

  /** Somebody other than the product sets the number. */
  edit(platform: Platform, quantity: number): void {
    this.race.edit(platform, quantity);
    this.noteEtsy();
  }

  async take(each: Step): Promise<void> {
    const { race } = this;
    if (each.kind === 'buy') this.buy(each.on);
    if (each.kind === 'hear' || each.kind === 'cancel') await this.ofOrder(each);
    if (each.kind === 'move' && each.delta !== 0) await support.moveStock(this.pool, race.item, each.delta);
    if (each.kind === 'push') {
      this.answer = each.answer;
      if (each.reread) await support.markDirty(this.pool, race.at(each.on).listingId, true);
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
  async readNow(platform: Platform, db: Pool = this.pool): Promise<void> {
    await this.pool.query(`UPDATE shadows SET read_due_at = '2000-01-01' WHERE connection_id = $1`, [
      this.race.at(platform).connection.id,
    ]);
    await this.race.read(platform, db);
  }

  land(which: number): void {
    const [one] = this.landing.splice(which % Math.max(this.landing.length, 1), 1);
    if (one !== undefined) this.takeEffect(one.on, one.write);
  }

  /** What was accepted lands within the channel's settling time. */
  async pass(ms: number): Promise<void> {
    const end = support.clock.now() + ms;
    for (let index = this.landing.length - 1; index >= 0; index -= 1)
      if ((this.landing[index]?.until ?? 0) < end) this.land(index);
    await this.race.pass(ms);
  }

  /** S1 from above: no channel shows more than we believe it may, but for what it has put back itself. */
  private async checkShown(): Promise<void> {
    if (this.restocked) return;
    for (const platform of this.on) {
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
      for (const platform of this.on) {
        await this.race.poll(platform);
        await this.readNow(platform);
        await this.race.push(platform);
      }
    }
    while (this.landing.length > 0) this.land(0);
  }

  writes(): number {
    return this.on.reduce((sum, platform) => sum + this.race.written(platform).length, 0);
  }
}
