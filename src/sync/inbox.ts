/** Webhook deliveries: stored before they are answered, worked off afterwards, each exactly once in effect and none ever dropped unseen. */
import type { Clock } from '../clock.ts';
import { ChannelError, type ChannelMessage, type Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { Log } from '../log.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { applyOrder, type OrderEffect } from './orders.ts';

export type InboxOptions = {
  /** Ends the work after the deliveries under way. */
  readonly signal?: AbortSignal;
  readonly db: Queryable;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly log: Log;
  readonly batchMax: number;
  /** Longer than the longest channel call; after it another worker may take the delivery. */
  readonly leaseMs: number;
  /** After so many attempts a delivery is set aside as failed, for a person to look at and replay. */
  readonly attemptsMax: number;
  readonly backoffMaxMs: number;
  readonly onApplied: (effect: OrderEffect) => void;
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
};

export type NewDelivery = {
  readonly accountId: string;
  readonly connectionId: string;
  readonly deliveryId: string;
  readonly topic: string;
  readonly body: Buffer;
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
  const { connectionId, topic, body } = delivery;
  return { id: row.id, connectionId, topic, body, attempts: 1 };
}

const claimSql = `
WITH picked AS (
  SELECT id FROM webhook_deliveries
   WHERE status = 'pending' AND not_before <= now() AND (leased_until IS NULL OR leased_until < now())
   ORDER BY not_before, id LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries delivery SET leased_until = now() + $2 * interval '1 ms', attempts = attempts + 1
  FROM picked WHERE delivery.id = picked.id
RETURNING delivery.id, delivery.connection_id AS "connectionId", delivery.topic, delivery.body, delivery.attempts`;

/** Works off everything that is due. Safe to run any number of times at once, in any number of processes. */
export async function workOffInbox(options: InboxOptions): Promise<void> {
  const claim = async (limit: number): Promise<readonly Delivery[]> => {
    if (options.signal?.aborted === true) return [];
    const values = [limit, options.leaseMs];
    return (await options.db.query<Delivery>({ name: 'inbox-claim', text: claimSql, values })).rows;
  };
  // Each lane goes on by itself: a channel that does not answer holds up its own deliveries and no others.
  const lane = async (first: Delivery): Promise<void> => {
    for (let next: Delivery | undefined = first; next !== undefined; [next] = await claim(1)) {
      await processDelivery(options, next);
    }
  };
  await Promise.all((await claim(options.batchMax)).map(lane));
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
      const result = await carryOut(options, channel, closes ? delivery.id : null, message);
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
  deliveryId: string | null,
  message: ChannelMessage,
): Promise<Carried> {
  const { connection, connector } = channel;
  const apply = async (order: Order, observedAt: Date): Promise<Carried> => {
    const { accountId, id: connectionId, platform } = connection;
    const effect = await applyOrder(
      options.db,
      { accountId, connectionId, platform, deliveryId, observedAt },
      order,
    );
    if (effect.changed) {
      options.onApplied(effect);
      options.log.info(
        { orderId: effect.orderId, eventId: deliveryId, unmatched: effect.unmatchedLines },
        'order applied',
      );
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
    { eventId: delivery.id, attempts: delivery.attempts, givenUp, error },
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
