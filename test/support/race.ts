/** One item on several scripted marketplaces that sell by themselves, tell late and are read late: what a race between them and the product needs. */
import type pg from 'pg';
import type { ListingAddress, Order, OrderLine, Platform } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { askForOrders, pollConnection } from '../../src/sync/poll.ts';
import { pushConnection } from '../../src/sync/push.ts';
import type { ReadingOptions } from '../../src/sync/readings.ts';
import { readConnection, takeShown } from '../../src/sync/reads.ts';
import type { ProvenEdit } from '../../src/sync/shadows.ts';
import * as support from './channel.ts';
import * as fixtures from './fixtures.ts';
import { within } from './waiting.ts';

/** A marketplace with the item's listing on it. */
export type Place = {
  readonly connection: fixtures.TestConnection;
  readonly channel: support.ScriptedChannel;
  readonly listingId: string;
  readonly address: ListingAddress;
};

/** An order as it stands at the marketplace; `visibleAt` is when its own interface begins to tell of it. */
export type Placed = { readonly place: Place; order: Order; visibleAt: number };

export type ShadowRow = {
  readonly hold: number;
  readonly shown_min: number;
  readonly shown_max: number;
  readonly raises_stopped: boolean;
  readonly resurrected_units: number;
};

let orderNumber = 0;

export class Race {
  readonly places = new Map<Platform, Place>();
  readonly placed: Placed[] = [];
  /** The platforms whose orders were asked for because of a reading. */
  readonly asked: Platform[] = [];
  readonly proven: ProvenEdit[] = [];
  private channels: Parameters<typeof support.connectTo>[1] | undefined;

  readonly item: fixtures.TestItem;
  private readonly pool: pg.Pool;

  private constructor(pool: pg.Pool, item: fixtures.TestItem) {
    this.pool = pool;
    this.item = item;
  }

  /** So many units on the shelf, and all of them shown on every platform. */
  static async open(pool: pg.Pool, onHand: number, platforms: readonly Platform[]): Promise<Race> {
    const accountId = await fixtures.insertAccount(pool);
    const race = new Race(pool, await fixtures.insertItem(pool, accountId, { onHand }));
    for (const platform of platforms) await race.list(platform, race.item.id, onHand);
    return race;
  }

  /** One more platform, on which an item of the same account is shown: this one, or a bundle that it is part of. */
  async list(platform: Platform, itemId: string, shows: number): Promise<void> {
    const connection = await fixtures.insertConnection(this.pool, this.item.accountId, platform);
    const channel = support.createChannel(platform);
    const address = { unitId: fixtures.unique('unit'), variantId: '' };
    const listingId = await fixtures.insertListing(this.pool, connection, { itemId, ...address });
    const place = { connection, channel, listingId, address };
    this.places.set(platform, place);
    channel.orderPages = (since) => support.pages(this.visible(place, since));
    support.show(channel, address, shows);
  }

  /** Called once the channels are what they shall be: from now on it is known what they show. */
  async know(): Promise<void> {
    for (const { channel, listingId, address } of this.places.values())
      await support.insertShadow(this.pool, channel, listingId, support.shownOn(channel, address) ?? 0);
    const channels = [...this.places].map(([platform, { channel }]) => [platform, channel] as const);
    this.channels = Object.fromEntries(channels);
  }

  at(platform: Platform): Place {
    const place = this.places.get(platform);
    if (place === undefined) throw new Error(`the item is not on ${platform}`);
    return place;
  }

  shows(platform: Platform): number {
    const { channel, address } = this.at(platform);
    return support.shownOn(channel, address) ?? 0;
  }

  /** Somebody other than the product sets the number. */
  edit(platform: Platform, quantity: number): void {
    const { channel, address } = this.at(platform);
    support.show(channel, address, quantity);
  }

  /** The numbers written there so far. */
  written(platform: Platform): readonly number[] {
    return this.at(platform).channel.writes.map(({ quantity }) => quantity);
  }

  private visible(place: Place, since: Date): readonly Order[] {
    const now = support.clock.now();
    return this.placed
      .filter((one) => one.place === place && one.visibleAt <= now && one.order.updatedAt >= since)
      .map(({ order }) => order);
  }

  /** A buyer takes units: the marketplace counts them off at once and tells of it later. */
  buy(platform: Platform, units = 1, visibleInMs = 0): Placed {
    const place = this.at(platform);
    const shown = this.shows(platform);
    if (shown < units) throw new Error(`${platform} sells nothing that it does not show`);
    this.edit(platform, shown - units);
    const at = new Date(support.clock.now());
    orderNumber += 1;
    const lines = [fixtures.orderLine({ address: place.address, reserved: units })];
    const order = fixtures.order({ orderId: `race-${orderNumber}`, createdAt: at, updatedAt: at, lines });
    const placed = { place, order, visibleAt: at.getTime() + visibleInMs };
    this.placed.push(placed);
    return placed;
  }

  /** The buyer steps back; `restocked` when the marketplace puts the units back on sale itself. */
  cancel(placed: Placed, restocked: boolean): void {
    const { place, order } = placed;
    if (order.status === 'cancelled') return;
    const units = order.lines.reduce((sum, { reserved }) => sum + reserved, 0);
    const updatedAt = new Date(Math.max(support.clock.now(), order.updatedAt.getTime() + 1));
    const lines = order.lines.map((line): OrderLine => ({ ...line, reserved: 0 }));
    placed.order = { ...order, status: 'cancelled', updatedAt, lines };
    const { platform } = place.connection;
    if (restocked) this.edit(platform, this.shows(platform) + units);
  }

  /** The order's webhook arrives. */
  async hear({ place, order }: Placed): Promise<void> {
    const observedAt = new Date(support.clock.now());
    await applyOrder(this.pool, fixtures.source(place.connection, { observedAt }), order);
  }

  private open(db: pg.Pool = this.pool): Connections {
    if (this.channels === undefined) throw new Error('nothing is known yet');
    return support.connectTo(db, this.channels);
  }

  private readings(platform: Platform, db: pg.Pool = this.pool) {
    return (opened: Parameters<typeof support.readingOptions>[1]): ReadingOptions => {
      const onUnexplained = async (): Promise<void> => {
        this.asked.push(platform);
        await askForOrders(db, opened.connection.id);
      };
      const options = support.readingOptions(db, opened, { onUnexplained });
      const onProven: ReadingOptions['context']['onProven'] = async (_client, edit) => {
        this.proven.push(edit);
        return [];
      };
      return { ...options, context: { ...options.context, onProven } };
    };
  }

  /** `db`: of a process that may die on the way. */
  async push(
    platform: Platform,
    more: Parameters<typeof support.pushOptions>[2] = {},
    db: pg.Pool = this.pool,
  ): Promise<void> {
    const options = support.pushOptions(db, this.open(db), {
      readings: this.readings(platform, db),
      ...more,
    });
    await within(pushConnection(options, this.at(platform).connection.id), 20_000, 'the push to end');
  }

  /** Until nothing more is written because of what was written. */
  async pushAll(rounds = 2): Promise<void> {
    for (let round = 0; round < rounds; round += 1)
      for (const platform of this.places.keys()) await this.push(platform);
  }

  /** Reads what is due; answers how many listings are out of step. */
  async read(platform: Platform, db: pg.Pool = this.pool): Promise<number> {
    const options = support.readOptions(db, this.open(db), { readings: this.readings(platform, db) });
    return readConnection(options, this.at(platform).connection.id);
  }

  /** The marketplace's webhook: it shows so much now. */
  async tell(platform: Platform, quantity: number): Promise<number> {
    const { connection, address } = this.at(platform);
    const opened = await this.open().open(connection.id);
    if (opened === null) throw new Error('the connection is closed');
    const options = support.readOptions(this.pool, this.open(), { readings: this.readings(platform) });
    const at = new Date(support.clock.now());
    return takeShown(options, opened, { kind: 'stockChanged', address, quantity, at });
  }

  async poll(platform: Platform): Promise<number> {
    const { id } = this.at(platform).connection;
    await askForOrders(this.pool, id);
    const { fetching } = support.pushOptions(this.pool, this.open());
    return pollConnection({ ...fetching, connections: this.open(), intervalMs: null }, id);
  }

  async pass(ms: number): Promise<void> {
    const ids = [...this.places.values()].map(({ connection }) => connection.id);
    await support.letTimePass(this.pool, ids, ms);
  }

  async shadow(platform: Platform): Promise<ShadowRow> {
    const { rows } = await this.pool.query<ShadowRow>(
      'SELECT hold, shown_min, shown_max, raises_stopped, resurrected_units FROM shadows WHERE listing_id = $1',
      [this.at(platform).listingId],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('there is no shadow');
    return row;
  }
}
