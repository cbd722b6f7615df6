/** Connects the product to scripted channels, and reads and sets the tables that its pushes, polls and looks work on. */
import { randomUUIDv7 } from 'node:crypto';
import type pg from 'pg';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { ConnectorContext, ListingAddress, Platform } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { silentLog } from '../../src/log.ts';
import { createSecretBox } from '../../src/secrets.ts';
import type { ConnectedChannel } from '../../src/sync/connections.ts';
import { type Connections, createConnections } from '../../src/sync/connections.ts';
import { newDemand } from '../../src/sync/core/demand.ts';
import { type Bounds, newShadow } from '../../src/sync/core/shadow.ts';
import { adjust } from '../../src/sync/ledger.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import type { PushOptions } from '../../src/sync/push.ts';
import { decisionOptions } from '../../src/sync/pushRun.ts';
import type { ReadingOptions } from '../../src/sync/readings.ts';
import type { ReadOptions } from '../../src/sync/reads.ts';
import { insertItem, insertListing, type TestConnection, type TestItem, unique } from './fixtures.ts';
import { type ScriptedChannel, show } from './scriptedChannel.ts';

export * from './scriptedChannel.ts';

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

let passedMs = 0;

/** The system's clock, ahead by all the time that `letTimePass` has let pass. */
export const clock: Clock = { ...systemClock, now: () => Date.now() + passedMs };

/** Longest channel call, in milliseconds. */
export const callMaxMs = 30_000;
/** How long after its decision a write may leave, in milliseconds. */
export const sendWithinMs = 5_000;
const pace = { verifyIntervalMs: 10_000, reconcileIntervalMs: 1_800_000 };

export function readingOptions(
  pool: pg.Pool,
  { connection, connector }: ConnectedChannel,
  more: Partial<ReadingOptions> = {},
): ReadingOptions {
  const { capabilities } = connector;
  return {
    context: {
      db: pool,
      now: clock.now,
      connectionId: connection.id,
      capabilities,
      callMaxMs,
      sendWithinMs,
      pace,
      onProven: async () => [],
    },
    onUnexplained: async () => undefined,
    onConcerned: () => undefined,
    ...more,
  };
}

export function pushOptions(
  pool: pg.Pool,
  connections: Connections,
  more: Partial<PushOptions> = {},
): PushOptions {
  const log = silentLog();
  return {
    db: pool,
    connections,
    clock,
    newId: randomUUIDv7,
    log,
    batchMax: 50,
    leaseMs: 60_000,
    callMaxMs,
    sendWithinMs,
    fenceMaxMs: 15_000,
    zeroAgainMs: 30_000,
    verifyIntervalMs: pace.verifyIntervalMs,
    backoffMaxMs: 60_000,
    readings: (channel) => readingOptions(pool, channel),
    fetching: { db: pool, clock, log, overlapMs: null, leaseMs: 60_000, onApplied: () => undefined },
    onEvents: () => undefined,
    onSettled: async () => undefined,
    ...more,
  };
}

export function readOptions(
  pool: pg.Pool,
  connections: Connections,
  more: Partial<ReadOptions> = {},
): ReadOptions {
  return {
    db: pool,
    connections,
    intervalMs: pace.verifyIntervalMs,
    batchMax: 50,
    readings: (channel) => readingOptions(pool, channel),
    decisions: (channel) => decisionOptions(pushOptions(pool, connections), channel),
    ...more,
  };
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
  if (shows !== null) {
    await insertShadow(db, shop.channel, listingId, shows);
    show(shop.channel, { unitId, variantId }, shows);
  }
  await markDirty(db, listingId);
  return { item, listingId, unitId, variantId };
}

/** What we know for certain of what a listing shows. */
export async function insertShadow(
  db: Queryable,
  { capabilities }: ScriptedChannel,
  listingId: string,
  shows: number,
): Promise<void> {
  const bounds: Bounds = {
    staleMax: capabilities.staleMaxMs,
    settleMax: sendWithinMs + capabilities.settleMaxMs + callMaxMs,
    clockSkewMax: capabilities.clockSkewMaxMs,
    readMax: callMaxMs,
    restocksOnCancel: capabilities.restocksOnCancel,
  };
  const at = clock.now() - 1;
  const shadow = newShadow(listingId, bounds, { value: shows, at, targetSeq: 0 });
  const traits = { compareAndSet: capabilities.compareAndSet, quantityMax: capabilities.quantityMax };
  await db.query(
    `WITH listing AS (
       UPDATE listings SET quantity = $2, quantity_at = now() WHERE id = $1 RETURNING id, account_id, connection_id, item_id
     )
     INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, shown_min, shown_max, read_due_at)
     SELECT id, account_id, connection_id, item_id, $3, $2, $2, now() + interval '30 minutes' FROM listing`,
    [listingId, shows, JSON.stringify({ shadow, demand: newDemand(at), traits })],
  );
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

/** Lets so much time pass for everything of one connection, or of several, that waits, is leased or was sent. */
export async function letTimePass(
  db: Queryable,
  connectionIds: string | readonly string[],
  ms: number,
): Promise<void> {
  const tables = [
    ['dirty_listings', 'connection_id', ['not_before', 'leased_until']],
    ['listing_writes', 'connection_id', ['sent_at', 'checked_at', 'queue_due_at']],
    [
      'dirty_prices',
      'connection_id',
      ['since', 'not_before', 'leased_until', 'sent_at', 'worked_off_at', 'echo_until'],
    ],
    ['webhook_deliveries', 'connection_id', ['not_before', 'leased_until']],
    ['listings', 'connection_id', ['price_looked_at', 'observed_at']],
    [
      'connections',
      'id',
      [
        'next_poll_at',
        'poll_lease_until',
        'refresh_lease_until',
        'next_price_look_at',
        'next_observation_at',
      ],
    ],
  ] as const;
  passedMs += ms;
  for (const [table, column, times] of tables) {
    await db.query(`UPDATE ${table} SET ${times.map(earlier).join(', ')} WHERE ${column} = ANY($1)`, [
      [connectionIds].flat(),
      ms,
    ]);
  }
}
