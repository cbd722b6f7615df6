/** A marketplace in memory that shows, answers and forgets exactly what a test tells it to, and remembers every call in order. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { type Clock, systemClock } from '../../src/clock.ts';
import type {
  CatalogueEntry,
  ChannelMessage,
  Connector,
  ConnectorCapabilities,
  ConnectorContext,
  ListingAddress,
  Order,
  Platform,
  Shipment,
  StockReading,
  StockWrite,
  StockWriteResult,
} from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { silentLog } from '../../src/log.ts';
import { createSecretBox } from '../../src/secrets.ts';
import { type Connections, createConnections } from '../../src/sync/connections.ts';
import { adjust } from '../../src/sync/ledger.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import type { PushOptions } from '../../src/sync/push.ts';
import type { VerifyOptions } from '../../src/sync/verify.ts';
import { insertItem, insertListing, type TestConnection, type TestItem, unique } from './fixtures.ts';

type Answer<Value> = Value | Promise<Value>;

/** Fields that are functions may be replaced at any time; the first ones answer as a quick and honest channel would. */
export type ScriptedChannel = {
  readonly connector: Connector;
  readonly capabilities: { -readonly [Name in keyof ConnectorCapabilities]: ConnectorCapabilities[Name] };
  /** What buyers see. An address that is missing here reads as unknown. */
  readonly shelf: Map<string, number>;
  /** Every write in the order in which it was sent. */
  readonly writes: StockWrite[];
  /** The same, one entry per call. */
  readonly writeCalls: (readonly StockWrite[])[];
  readonly readCalls: (readonly ListingAddress[])[];
  readonly orders: Map<string, Order>;
  readonly shipments: { readonly orderId: string; readonly shipment: Shipment }[];
  /** What each factory call was given: one per connector that was built. */
  readonly contexts: ConnectorContext[];
  readonly polledSince: Date[];
  onRead: (address: ListingAddress) => Answer<StockReading>;
  onWrite: (write: StockWrite) => Answer<StockWriteResult>;
  onShip: (orderId: string, shipment: Shipment) => Answer<void>;
  onParse: (topic: string, body: Buffer) => readonly ChannelMessage[];
  onOrder: (orderId: string) => Answer<Order | null>;
  orderPages: (since: Date) => AsyncIterable<readonly Order[]>;
  cataloguePages: () => AsyncIterable<readonly CatalogueEntry[]>;
};

const addressKey = ({ unitId, variantId }: ListingAddress): string => `${unitId} ${variantId}`;

export function createChannel(platform: Platform = 'shopify'): ScriptedChannel {
  const channel: ScriptedChannel = {
    capabilities: {
      compareAndSet: false,
      writesPerCall: 100,
      quantityMax: 1_000_000,
      pollIntervalMs: 60_000,
      pollOverlapMs: 120_000,
      settleMaxMs: 300_000,
    },
    shelf: new Map(),
    writes: [],
    writeCalls: [],
    readCalls: [],
    orders: new Map(),
    shipments: [],
    contexts: [],
    polledSince: [],
    onRead(address) {
      const quantity = shownOn(channel, address);
      return quantity === null ? { kind: 'unknown', reason: 'missing' } : { kind: 'quantity', quantity };
    },
    onWrite: (write) => takeEffect(channel, write),
    onShip: () => undefined,
    onParse: (_topic, body) => JSON.parse(body.toString(), revive) as ChannelMessage[],
    onOrder: (orderId) => channel.orders.get(orderId) ?? null,
    orderPages: () => pages([]),
    cataloguePages: () => pages([]),
    connector: connectorOf(platform, () => channel),
  };
  return channel;
}

function connectorOf(platform: Platform, channelOf: () => ScriptedChannel): Connector {
  return {
    platform,
    get capabilities() {
      return channelOf().capabilities;
    },
    check: async () => ({ externalAccountId: 'shop' }),
    ordersModifiedSince(since) {
      channelOf().polledSince.push(since);
      return channelOf().orderPages(since);
    },
    order: async (orderId) => channelOf().onOrder(orderId),
    async readStock(addresses) {
      const channel = channelOf();
      channel.readCalls.push(addresses);
      return Promise.all(addresses.map(async (address) => channel.onRead(address)));
    },
    async setStock(writes) {
      const channel = channelOf();
      channel.writeCalls.push(writes);
      channel.writes.push(...writes);
      return Promise.all(writes.map(async (write) => channel.onWrite(write)));
    },
    catalogue: () => channelOf().cataloguePages(),
    async ship(orderId, shipment) {
      channelOf().shipments.push({ orderId, shipment });
      await channelOf().onShip(orderId, shipment);
    },
    receiveWebhook: async () => ({ kind: 'refused', status: 400, reason: 'a test stores deliveries itself' }),
    parseWebhook: (topic, body) => channelOf().onParse(topic, body),
  };
}

/** What buyers see at an address; null when there is no such listing. */
export function shownOn(channel: ScriptedChannel, address: ListingAddress): number | null {
  return channel.shelf.get(addressKey(address)) ?? null;
}

export function show(channel: ScriptedChannel, address: ListingAddress, quantity: number): void {
  channel.shelf.set(addressKey(address), quantity);
}

/** Does what a write asks for, and says so. */
export function takeEffect(channel: ScriptedChannel, write: StockWrite): StockWriteResult {
  show(channel, write.address, write.quantity);
  return { kind: 'effective', quantity: write.quantity };
}

export async function* pages<Row>(...all: readonly (readonly Row[])[]): AsyncIterable<readonly Row[]> {
  for (const page of all) yield page;
}

/** A delivery's body that `onParse` turns back into the messages. */
export function deliveryBody(...messages: readonly ChannelMessage[]): Buffer {
  return Buffer.from(JSON.stringify(messages));
}

function revive(name: string, value: unknown): unknown {
  return /^(?:at|createdAt|updatedAt)$/.test(name) ? new Date(String(value)) : value;
}

// ----------------------------------------------------------------------------------------------------------------- wiring

const absent = (): never => {
  throw new Error('no channel of this platform is part of the test');
};

/** The product's own connections over scripted channels, one per platform. */
export function connectTo(
  db: Queryable,
  channels: Partial<Record<Platform, ScriptedChannel>>,
  options: { readonly clock?: Clock; readonly refreshLeaseMs?: number; readonly key?: Buffer } = {},
): Connections {
  const factory = (platform: Platform) => (context: ConnectorContext) => {
    const channel = channels[platform] ?? absent();
    channel.contexts.push(context);
    return channel.connector;
  };
  return createConnections({
    db,
    secretBox: createSecretBox(options.key ?? Buffer.alloc(32, 7)),
    clock: options.clock ?? systemClock,
    factories: {
      etsy: factory('etsy'),
      amazon: factory('amazon'),
      ebay: factory('ebay'),
      shopify: factory('shopify'),
    },
    httpClient: () => ({ send: async () => absent() }),
    refreshLeaseMs: options.refreshLeaseMs ?? 60_000,
  });
}

export function pushOptions(
  pool: pg.Pool,
  connections: Connections,
  more: Partial<PushOptions> = {},
): PushOptions {
  return {
    db: pool,
    connections,
    clock: systemClock,
    newId: randomUUID,
    log: silentLog(),
    batchMax: 50,
    leaseMs: 60_000,
    backoffMaxMs: 60_000,
    onSettled: async () => undefined,
    ...more,
  };
}

export function verifyOptions(
  db: Queryable,
  connections: Connections,
  more: Partial<VerifyOptions> = {},
): VerifyOptions {
  return { db, connections, clock: systemClock, intervalMs: 10_000, batchMax: 50, ...more };
}

// ------------------------------------------------------------------------------------------------------------- the tables

export type ListingState = {
  readonly quantity: number | null;
  readonly target: number | null;
  readonly target_seq: number;
  readonly last_error: string | null;
};

export async function readListing(db: Queryable, listingId: string): Promise<ListingState> {
  const { rows } = await db.query<ListingState>(
    'SELECT quantity, target, target_seq::int, last_error FROM listings WHERE id = $1',
    [listingId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no listing ${listingId}`);
  return row;
}

export type WriteState = {
  readonly id: string;
  readonly quantity: number;
  readonly target_seq: number;
  readonly state: string;
  readonly settled: boolean;
};

/** The writes of a listing, oldest first. */
export async function readWrites(db: Queryable, listingId: string): Promise<readonly WriteState[]> {
  const { rows } = await db.query<WriteState>(
    `SELECT id, quantity, target_seq::int, state::text, settled_at IS NOT NULL AS settled
       FROM listing_writes WHERE listing_id = $1 ORDER BY target_seq, sent_at, id`,
    [listingId],
  );
  return rows;
}

/** A dirty listing of an item with so many units; `shows` is what the channel shows and what we believe, null when nobody knows. */
export type Listed = ListingAddress & { readonly item: TestItem; readonly listingId: string };

export async function insertListed(
  db: Queryable,
  shop: { readonly connection: TestConnection; readonly channel: ScriptedChannel },
  onHand: number,
  shows: number | null,
  address: Partial<ListingAddress> = {},
): Promise<Listed> {
  const { unitId = unique('unit'), variantId = '' } = address;
  const item = await insertItem(db, shop.connection.accountId, { onHand });
  const listingId = await insertListing(db, shop.connection, { itemId: item.id, unitId, variantId });
  await db.query('UPDATE listings SET quantity = $2 WHERE id = $1', [listingId, shows]);
  if (shows !== null) show(shop.channel, { unitId, variantId }, shows);
  await markDirty(db, listingId);
  return { item, listingId, unitId, variantId };
}

/** Moves units on hand, as a person would. */
export async function moveStock(db: Queryable, item: TestItem, onHandDelta: number): Promise<void> {
  await adjust(db, {
    accountId: item.accountId,
    itemId: item.id,
    onHandDelta,
    idempotencyKey: unique('move'),
    kind: 'adjustment',
    reason: 'correction',
    reference: null,
    actor: systemActor,
  });
}

export type DirtyState = {
  readonly version: number;
  readonly reread: boolean;
  readonly attempts: number;
  readonly leased: boolean;
  /** Milliseconds until it may be claimed; 0 when it may be now. */
  readonly waitMs: number;
};

/** Null when the listing is in step. */
export async function readDirty(db: Queryable, listingId: string): Promise<DirtyState | null> {
  const { rows } = await db.query<DirtyState>(
    `SELECT version::int, reread, attempts, coalesce(leased_until >= now(), false) AS leased,
            greatest(0, extract(epoch FROM not_before - now()) * 1000)::int AS "waitMs"
       FROM dirty_listings WHERE listing_id = $1`,
    [listingId],
  );
  return rows[0] ?? null;
}

export async function markDirty(db: Queryable, listingId: string, reread = false): Promise<void> {
  await db.query(
    `INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread)
     SELECT id, account_id, connection_id, $2 FROM listings WHERE id = $1
     ON CONFLICT (listing_id) DO UPDATE
        SET version = current.version + 1, reread = current.reread OR excluded.reread, not_before = now()`,
    [listingId, reread],
  );
}

const earlier = (column: string): string => `${column} = ${column} - $2 * interval '1 ms'`;

/** Lets so much time pass for everything of a connection that waits, is leased or was sent. */
export async function letTimePass(db: Queryable, connectionId: string, ms: number): Promise<void> {
  const tables = [
    ['dirty_listings', 'connection_id', ['not_before', 'leased_until']],
    ['listing_writes', 'connection_id', ['sent_at', 'checked_at']],
    ['webhook_deliveries', 'connection_id', ['not_before', 'leased_until']],
    ['connections', 'id', ['next_poll_at', 'poll_lease_until', 'refresh_lease_until']],
  ] as const;
  for (const [table, column, times] of tables) {
    await db.query(`UPDATE ${table} SET ${times.map(earlier).join(', ')} WHERE ${column} = $1`, [
      connectionId,
      ms,
    ]);
  }
}
