/** A shop with one scripted channel that waits for its plan and another that is in step, and a worker for plans that can be killed at any statement. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { systemClock } from '../../src/clock.ts';
import type { CatalogueEntry, Order, StockReading } from '../../src/connectors/connector.ts';
import { silentLog } from '../../src/log.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import type { PlanAction, PlanWinner } from '../../src/sync/planDecision.ts';
import type { PlanOptions } from '../../src/sync/planSql.ts';
import { applyPlan, createPlan, type PlanCreateInput, undoPlan } from '../../src/sync/plans.ts';
import { workOnPlan } from '../../src/sync/planWork.ts';
import { pollConnection } from '../../src/sync/poll.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import * as support from './channel.ts';
import * as fixtures from './fixtures.ts';
import { noWakeUps } from './wakeUps.ts';

export type Offer = {
  readonly sku: string | null;
  readonly unitId: string;
  readonly stock?: StockReading;
  readonly writable?: boolean;
  readonly sellsBeyond?: boolean;
};

export type PlanShop = {
  readonly caller: Caller;
  /** Waits for its plan. */
  readonly connection: fixtures.TestConnection;
  readonly channel: support.ScriptedChannel;
  /** In step already. */
  readonly other: fixtures.TestConnection;
  readonly otherChannel: support.ScriptedChannel;
  /** Milliseconds by which the product's clock has been put forward. */
  later(ms: number): void;
  options(more?: Partial<PlanOptions>): PlanOptions;
  item(sku: string, onHand: number): Promise<fixtures.TestItem>;
  /** Something the waiting channel sells, showing so many. Answers its unit. */
  offer(sku: string | null, shows: number, more?: Partial<Offer>): string;
  /** The same item on the other channel, in step. */
  elsewhere(item: fixtures.TestItem, shows: number): Promise<string>;
  /** A buyer takes units: the channel's number falls, and the order is known at the next poll. */
  sell(unitId: string, sku: string, units: number): void;
  create(more?: Partial<PlanCreateInput>): Promise<string>;
  apply(planId: string, acknowledgeLarge?: boolean): Promise<void>;
  undo(planId: string): Promise<void>;
  /** Works until the plan is in none of the statuses that workers work on. */
  finish(planId: string): Promise<string>;
  /** Creates a plan and has it made. */
  planned(more?: Partial<PlanCreateInput>): Promise<string>;
  /** One run of a worker. */
  work(planId: string, more?: Partial<PlanOptions>): Promise<void>;
  /** What a worker that died has left behind is free again. */
  leasesEnd(): Promise<void>;
  poll(): Promise<void>;
  /** Brings both channels in step. */
  push(): Promise<void>;
  shows(unitId: string): number | null;
};

const nothing = (): undefined => undefined;

export async function openPlanShop(pool: pg.Pool): Promise<PlanShop> {
  const accountId = await fixtures.insertAccount(pool);
  const connection = await fixtures.insertConnection(pool, accountId, 'shopify');
  await pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [connection.id]);
  const other = await fixtures.insertConnection(pool, accountId, 'etsy');
  const channel = support.createChannel('shopify');
  const otherChannel = support.createChannel('etsy');
  const caller: Caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  const offers: Offer[] = [];
  let ahead = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const connections = support.connectTo(pool, { shopify: channel, etsy: otherChannel }, { clock });
  channel.cataloguePages = () => support.pages(offers.map((offer) => catalogueEntry(channel, offer)));
  channel.orderPages = () => support.pages<Order>([...channel.orders.values()]);
  const options = (more: Partial<PlanOptions> = {}): PlanOptions => ({
    pool,
    connections,
    clock,
    newId: randomUUID,
    log: silentLog(),
    wakeUps: noWakeUps,
    onEvents: nothing,
    batchMax: 3,
    leaseMs: 60_000,
    readings: (opened) => {
      const readings = support.readingOptions(pool, opened);
      return { ...readings, context: { ...readings.context, now: clock.now } };
    },
    backoffMaxMs: 60_000,
    attemptsMax: 3,
    ...more,
  });
  const poll = async (): Promise<void> => {
    await pool.query(
      `UPDATE connections SET next_poll_at = now() - interval '1 s', poll_lease_until = NULL WHERE id = $1`,
      [connection.id],
    );
    const how = { intervalMs: 3_600_000, overlapMs: 3_600_000, leaseMs: 60_000, onApplied: nothing };
    await pollConnection({ db: pool, connections, clock, log: silentLog(), ...how }, connection.id);
  };
  const work = async (planId: string, more?: Partial<PlanOptions>): Promise<void> => {
    // Times are kept to the millisecond: rounded up, this one could be in the future.
    await pool.query(`UPDATE sync_plans SET not_before = now() - interval '1 s' WHERE id = $1`, [planId]);
    await workOnPlan(options(more), planId);
  };
  const finish = async (planId: string): Promise<string> => {
    for (let round = 0; round < 20; round += 1) {
      await work(planId);
      const { status } = await readPlan(pool, planId);
      if (!['planning', 'applying', 'undoing'].includes(status)) return status;
      await poll();
    }
    throw new Error(`the plan does not end: ${JSON.stringify(await readPlan(pool, planId))}`);
  };
  const shop: PlanShop = {
    caller,
    connection,
    channel,
    other,
    otherChannel,
    options,
    work,
    finish,
    poll,
    later(ms) {
      ahead += ms;
    },
    item: (sku, onHand) => fixtures.insertItem(pool, accountId, { sku, onHand }),
    offer(sku, shows, more = {}) {
      const offer = { sku, unitId: fixtures.unique('unit'), ...more };
      offers.push(offer);
      support.show(channel, { unitId: offer.unitId, variantId: '' }, shows);
      return offer.unitId;
    },
    async elsewhere(item, shows) {
      const unitId = fixtures.unique('unit');
      await fixtures.insertListing(pool, other, { itemId: item.id, unitId });
      await pool.query('UPDATE listings SET quantity = $2, target = $2 WHERE unit_id = $1', [unitId, shows]);
      support.show(otherChannel, { unitId, variantId: '' }, shows);
      return unitId;
    },
    sell(unitId, sku, units) {
      const address = { unitId, variantId: '' };
      support.show(channel, address, (support.shownOn(channel, address) ?? 0) - units);
      const placed = new Date(clock.now());
      const line = fixtures.orderLine({ address, sku, reserved: units });
      const order = fixtures.order({ lines: [line], createdAt: placed, updatedAt: placed });
      channel.orders.set(order.orderId, order);
    },
    async create(more = {}) {
      const input = { connectionId: connection.id, winner: 'ledger', replace: false, idempotencyKey: null };
      const outcome = await createPlan(options(), caller, { ...input, ...more } as PlanCreateInput);
      if (!outcome.ok) throw new Error(JSON.stringify(outcome));
      return outcome.value.planId;
    },
    async apply(planId, acknowledgeLarge = true) {
      const input = { planId, acknowledgeLarge, idempotencyKey: fixtures.unique('apply') };
      const outcome = await applyPlan(options(), caller, input);
      if (!outcome.ok) throw new Error(JSON.stringify(outcome));
    },
    async undo(planId) {
      const outcome = await undoPlan(options(), caller, planId);
      if (!outcome.ok) throw new Error(JSON.stringify(outcome));
    },
    async planned(more) {
      const planId = await shop.create(more);
      await finish(planId);
      return planId;
    },
    async leasesEnd() {
      await pool.query('UPDATE sync_plans SET leased_until = NULL');
      await pool.query(
        `UPDATE dirty_listings SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL`,
      );
    },
    async push() {
      for (const { id } of [connection, other]) {
        await pool.query(
          `UPDATE dirty_listings SET not_before = now() - interval '1 s' WHERE connection_id = $1`,
          [id],
        );
        // One clock for all: a sale on a clock that runs ahead would lie in the push's future.
        const readings: PushOptions['readings'] = (opened) => {
          const reading = support.readingOptions(pool, opened);
          return { ...reading, context: { ...reading.context, now: clock.now } };
        };
        const push = support.pushOptions(pool, connections, { clock, readings });
        await pushConnection({ ...push, fetching: { ...push.fetching, clock } }, id);
      }
    },
    shows(unitId) {
      const address = { unitId, variantId: '' };
      return support.shownOn(channel, address) ?? support.shownOn(otherChannel, address);
    },
  };
  return shop;
}

function catalogueEntry(channel: support.ScriptedChannel, offer: Offer): CatalogueEntry {
  const address = { unitId: offer.unitId, variantId: '' };
  const quantity = support.shownOn(channel, address) ?? 0;
  return {
    address,
    sku: offer.sku,
    title: `Listing ${offer.unitId}`,
    url: null,
    price: null,
    stock: offer.stock ?? { kind: 'quantity', quantity },
    writable: offer.writable ?? true,
    sellsBeyond: offer.sellsBeyond ?? false,
  };
}

// ---------------------------------------------------------------------------------------------------------------- looking

export type PlanRow = {
  readonly status: string;
  readonly listings: number;
  readonly raising: number;
  readonly lowering: number;
  readonly zeroing: number;
  readonly unchanged: number;
  readonly left_out: number;
  readonly channel_wins: number;
  readonly skipped: number;
  readonly units_added: number;
  readonly units_removed: number;
  readonly large: boolean;
  readonly applied: number;
  readonly changed: number;
  readonly undone: number;
  readonly failed: number;
  readonly error: string | null;
};

export async function readPlan(pool: pg.Pool, planId: string): Promise<PlanRow> {
  const { rows } = await pool.query<PlanRow>('SELECT * FROM sync_plans WHERE id = $1', [planId]);
  const [row] = rows;
  if (row === undefined) throw new Error('there is no such plan');
  return row;
}

export type EntryRow = {
  readonly listing_id: string;
  readonly unit: string;
  readonly action: PlanAction;
  readonly reason: string;
  readonly why: string;
  readonly shown: number | null;
  readonly target: number | null;
  readonly winner: PlanWinner;
  readonly ledger_delta: number | null;
  readonly booked_delta: number | null;
  readonly state: string;
  readonly error: string | null;
  readonly enabled: boolean;
};

/** The entries by unit. */
export async function readEntries(
  pool: pg.Pool,
  planId: string,
): Promise<Readonly<Record<string, EntryRow>>> {
  const { rows } = await pool.query<EntryRow>(
    `SELECT entry.*, listing.unit_id AS unit, listing.sync_enabled AS enabled
       FROM sync_plan_entries entry JOIN listings listing ON listing.id = entry.listing_id WHERE plan_id = $1`,
    [planId],
  );
  return Object.fromEntries(rows.map((row) => [row.unit, row]));
}

/** Entry of one unit; it must be there. */
export async function entryOf(pool: pg.Pool, planId: string, unit: string): Promise<EntryRow> {
  const entry = (await readEntries(pool, planId))[unit];
  if (entry === undefined) throw new Error(`the plan says nothing about ${unit}`);
  return entry;
}
