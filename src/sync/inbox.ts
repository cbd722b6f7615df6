/** Webhook deliveries: stored before they are answered, worked off afterwards, each exactly once in effect and none ever dropped unseen. */
import type { Clock } from '../clock.ts';
import { ChannelError, type ChannelMessage, type Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { Correlation, Log } from '../log.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { type MeasureBuffer, measureOrder } from './measureBuffer.ts';
import { measureDeliveredLag } from './orderLag.ts';
import { applyOrder, type OrderEffect } from './orders.ts';

export type InboxOptions = {
  /** Ends the work after the deliveries under way. */
  readonly signal?: AbortSignal;
  readonly db: Queryable;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly log: Log;
  /** Deliveries carried out at once by one process. */
  readonly batchMax: number;
  /** Of those, deliveries of one connection: a channel that does not answer holds up no more. */
  readonly connectionMax: number;
  /** Longer than the longest channel call; after it another worker may take the delivery. */
  readonly leaseMs: number;
  /** After so many attempts a delivery is set aside as failed, for a person to look at and replay. */
  readonly attemptsMax: number;
  readonly backoffMaxMs: number;
  readonly onApplied: (effect: OrderEffect) => void;
  readonly measures?: MeasureBuffer;
  /** A channel says what it shows: knowledge of the channel, never a movement of stock. */
  readonly onShown: (channel: ConnectedChannel, shown: ShownStock) => Promise<void>;
};

export type ShownStock = Extract<ChannelMessage, { kind: 'stockChanged' }>;

export type Delivery = {
  readonly id: string;
  readonly connectionId: string;
  readonly topic: string;
  readonly body: Buffer;
  readonly attempts: number;
  /** Of the request that brought it, where this process has taken it in. */
  readonly requestId?: string | undefined;
};

export type NewDelivery = {
  readonly accountId: string;
  readonly connectionId: string;
  readonly deliveryId: string;
  readonly topic: string;
  readonly body: Buffer;
  /** For the log lines of what follows from it. */
  readonly requestId?: string | undefined;
};

/**
 * Stores a verified delivery; null when the channel has delivered it before. With `leaseMs` the storing process keeps it to work it off itself,
 * which spares a claim; should that process die, the lease ends and any worker takes it.
 */
export async function storeDelivery(
  db: Queryable,
  delivery: NewDelivery,
  leaseMs: number | null,
): Promise<Delivery | null> {
  const { rows } = await db.query<{ id: string }>({
    name: 'inbox-store',
    text: `INSERT INTO webhook_deliveries (account_id, connection_id, delivery_id, topic, body, leased_until, attempts)
           VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 ms', CASE WHEN $6::int IS NULL THEN 0 ELSE 1 END)
           ON CONFLICT (connection_id, delivery_id) DO NOTHING RETURNING id`,
    values: [
      delivery.accountId,
      delivery.connectionId,
      delivery.deliveryId,
      delivery.topic,
      delivery.body,
      leaseMs,
    ],
  });
  const [row] = rows;
  if (row === undefined) return null;
  const { connectionId, topic, body, requestId } = delivery;
  return { id: row.id, connectionId, topic, body, attempts: 1, requestId };
}

/**
 * Each connection's oldest, never more of one than leaves it within its share; where there is no room for all, those go first whose connection has
 * least under way.
 */
const claimSql = `
WITH RECURSIVE shop AS (
  (SELECT connection_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY connection_id LIMIT 1)
  UNION ALL
  SELECT (SELECT connection_id FROM webhook_deliveries WHERE status = 'pending' AND connection_id > shop.connection_id ORDER BY connection_id LIMIT 1)
    FROM shop WHERE shop.connection_id IS NOT NULL
),
picked AS (
  SELECT waiting.id
    FROM shop
    LEFT JOIN unnest($3::uuid[], $4::int[]) AS held (connection_id, deliveries) ON held.connection_id = shop.connection_id
   CROSS JOIN LATERAL (
     SELECT id, not_before FROM webhook_deliveries
      WHERE connection_id = shop.connection_id AND status = 'pending' AND not_before <= now() AND (leased_until IS NULL OR leased_until < now())
      ORDER BY not_before, id LIMIT greatest(least($5 - coalesce(held.deliveries, 0), $1), 0) FOR UPDATE SKIP LOCKED
   ) waiting
   ORDER BY coalesce(held.deliveries, 0) + row_number() OVER (PARTITION BY shop.connection_id ORDER BY waiting.not_before, waiting.id),
            waiting.not_before, waiting.id
   LIMIT $1
)
UPDATE webhook_deliveries delivery SET leased_until = now() + $2 * interval '1 ms', attempts = attempts + 1
  FROM picked WHERE delivery.id = picked.id
RETURNING delivery.id, delivery.connection_id AS "connectionId", delivery.topic, delivery.body, delivery.attempts`;

/** The inbox of one process. Any number of processes may work on one inbox at once. */
export function openInbox(options: InboxOptions): Lanes {
  return createLanes<Delivery>({
    signal: options.signal,
    max: options.batchMax,
    async claim(limit, underWay) {
      const held = [[...underWay.keys()], [...underWay.values()]];
      const values = [limit, options.leaseMs, ...held, options.connectionMax];
      return (await options.db.query<Delivery>({ name: 'inbox-claim', text: claimSql, values })).rows;
    },
    subjectOf: ({ connectionId }) => connectionId,
    carryOut: (delivery) => processDelivery(options, delivery),
    onError: (error) => options.log.error({ error }, 'the inbox could not be worked off'),
  });
}

/** Works off everything that is due and waits for the end of it. */
export async function workOffInbox(options: InboxOptions): Promise<void> {
  const inbox = openInbox(options);
  await inbox.look();
  await inbox.idle();
}

/**
 * Carries out one claimed delivery; `opened` spares looking its connection up a second time. Never throws for what a channel or a delivery does: it is
 * tried again later or set aside.
 */
export async function processDelivery(
  options: InboxOptions,
  delivery: Delivery,
  opened?: ConnectedChannel,
): Promise<void> {
  try {
    const channel = opened ?? (await options.connections.open(delivery.connectionId));
    if (channel === null) return await closeDelivery(options, delivery, 'the connection is paused or gone');
    const messages = channel.connector.parseWebhook(delivery.topic, delivery.body);
    const notes: string[] = [];
    for (const [index, message] of messages.entries()) {
      // The statement that applies the last order also closes the delivery: both happen or neither.
      const closes = index === messages.length - 1;
      const result = await carryOut(options, channel, delivery, closes, message);
      if (result.closed) return;
      if (result.note !== null) notes.push(result.note);
    }
    await closeDelivery(options, delivery, notes.length === 0 ? null : notes.join('; '));
  } catch (error) {
    await postpone(options, delivery, error);
  }
}

type Carried = { readonly closed: boolean; readonly note: string | null };

async function carryOut(
  options: InboxOptions,
  channel: ConnectedChannel,
  delivery: Delivery,
  closes: boolean,
  message: ChannelMessage,
): Promise<Carried> {
  const { connection, connector } = channel;
  const deliveryId = closes ? delivery.id : null;
  const apply = async (order: Order, observedAt: Date): Promise<Carried> => {
    const { accountId, id: connectionId, platform } = connection;
    const effect = await applyOrder(
      options.db,
      { accountId, connectionId, platform, deliveryId, observedAt },
      order,
    );
    if (effect.changed) {
      measureOrder(options.measures, connectionId, order, effect, options.clock.now());
      options.onApplied(effect);
      await measureDeliveredLag(options.db, channel, order, effect, options.clock.now());
      logApplied(options.log, effect, { connectionId, eventId: delivery.id, requestId: delivery.requestId });
    }
    return { closed: deliveryId !== null, note: null };
  };
  switch (message.kind) {
    case 'order':
      // A delivered snapshot may have been under way for long: among equals it counts as older than one we fetched.
      return apply(message.order, message.order.updatedAt);
    case 'orderChanged': {
      const observedAt = new Date(options.clock.now());
      const order = await connector.order(message.orderId);
      if (order === null)
        return { closed: false, note: `the channel does not know order ${message.orderId}` };
      return apply(order, observedAt);
    }
    case 'stockChanged':
      await options.onShown(channel, message);
      return { closed: false, note: null };
    case 'authorizationRevoked':
      await options.connections.report(
        connection.id,
        new ChannelError('unauthorized', 'the seller has revoked the access'),
      );
      return { closed: false, note: null };
    case 'ignored':
      return { closed: false, note: message.reason };
  }
}

export function logApplied(
  log: Log,
  { orderId, itemIds, unmatchedLines }: OrderEffect,
  from: Pick<Correlation, 'requestId' | 'connectionId' | 'eventId'>,
): void {
  log.info({ ...from, orderId, itemIds, unmatched: unmatchedLines }, 'order applied');
}

async function closeDelivery(options: InboxOptions, delivery: Delivery, note: string | null): Promise<void> {
  await options.db.query({
    name: 'inbox-close',
    text: `UPDATE webhook_deliveries SET status = 'processed', processed_at = now(), leased_until = NULL, error = $2
            WHERE id = $1 AND status = 'pending'`,
    values: [delivery.id, note],
  });
}

async function postpone(options: InboxOptions, delivery: Delivery, error: unknown): Promise<void> {
  const delayMs = Math.min(1_000 * 2 ** Math.min(delivery.attempts - 1, 20), options.backoffMaxMs);
  const givenUp = delivery.attempts >= options.attemptsMax;
  const text = error instanceof ChannelError ? `${error.code}: ${error.message}` : String(error);
  options.log.warn(
    { requestId: delivery.requestId, eventId: delivery.id, attempts: delivery.attempts, givenUp, error },
    'delivery not processed',
  );
  if (error instanceof ChannelError) await options.connections.report(delivery.connectionId, error);
  await options.db.query(
    `UPDATE webhook_deliveries
        SET leased_until = NULL, error = $2, not_before = now() + $3 * interval '1 ms',
            status = CASE WHEN $4 THEN 'failed'::delivery_status ELSE status END
      WHERE id = $1 AND status = 'pending'`,
    [delivery.id, text, delayMs, givenUp],
  );
}
