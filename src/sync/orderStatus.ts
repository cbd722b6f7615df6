/** The seller's own word on an order: it moves stock here at once and, for a shipment, tells the channel first. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { ChannelError, type OrderStatus } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { Connections } from './connections.ts';
import { firstResult, internalKey, once, onceOutside } from './idempotency.ts';
import { type OrderEffect, reapplyOrder } from './orders.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { OrderStatusInput } from './sync.ts';

export type OrderStatusOptions = {
  readonly pool: pg.Pool;
  readonly connections: Connections;
  readonly clock: Clock;
  /** Longer than the longest channel call; after it another request may tell the channel. */
  readonly leaseMs: number;
  readonly onApplied: (effect: OrderEffect) => void;
};

type Settable = 'shipped' | 'delivered' | 'cancelled';
const reachable: Readonly<Record<OrderStatus, readonly Settable[]>> = {
  pending: ['shipped', 'delivered', 'cancelled'],
  processing: ['shipped', 'delivered', 'cancelled'],
  shipped: ['delivered'],
  delivered: [],
  cancelled: [],
};

type OrderRow = {
  status: OrderStatus;
  channel_status: OrderStatus;
  connection_id: string;
  platform_order_id: string;
  lines: { lineId: string; quantity: number }[];
};

export async function updateOrderStatus(
  options: OrderStatusOptions,
  caller: Caller,
  input: OrderStatusInput,
): Promise<Outcome<{ orderId: string }>> {
  const { orderId } = input;
  const request = { operation: 'orderStatusUpdate', key: input.idempotencyKey, input };
  // The key decides before anything else does: a repeat is answered whatever became of the order, and a key of another request ships nothing.
  const answeredBefore = async () =>
    (await firstResult(options.pool, caller, request)) as Outcome<{ orderId: string }> | null;
  const first = await answeredBefore();
  if (first !== null) return first;
  const before = await readOrder(options.pool, caller, orderId, false);
  const settable = before === null ? notFound() : checkTransition(before, input.status);
  if (!settable.ok) return (await answeredBefore()) ?? settable;
  const leaves = settable.value !== 'cancelled' && before?.status !== 'shipped';
  const tells =
    before !== null && leaves && before.channel_status !== 'shipped' && before.channel_status !== 'delivered';
  if (tells) {
    const shipment = { operation: 'channelShipment', key: `${internalKey}shipment of order ${orderId}` };
    const problem = await onceOutside(options.pool, caller, shipment, options.leaseMs, () =>
      tellChannel(options, before, input),
    );
    if (problem !== null) return refused(problem);
  }
  let effect: OrderEffect | undefined;
  const outcome = await once(options.pool, caller, request, async (client) => {
    const order = await readOrder(client, caller, orderId, true);
    // The channel's own word on the parcel may arrive before ours is written down: it says the same.
    if (tells && order?.status === input.status) return done({ orderId });
    const status = order === null ? notFound() : checkTransition(order, input.status);
    if (!status.ok) return status;
    effect = await reapplyOrder(client, {
      accountId: caller.accountId,
      orderId,
      localStatus: status.value,
      actor: caller.actor,
    });
    return done({ orderId });
  });
  if (effect !== undefined && outcome.ok) options.onApplied(effect);
  return outcome;
}

function checkTransition(order: OrderRow, status: OrderStatus): Outcome<Settable> {
  const settable = reachable[order.status].find((candidate) => candidate === status);
  if (settable !== undefined) return done(settable);
  return refused({
    code: 'INVALID_TRANSITION',
    message: `An order that is ${order.status} cannot become ${status}.`,
    field: ['input', 'status'],
    current: order.status,
  });
}

function notFound(): Outcome<never> {
  return refused({ code: 'NOT_FOUND', message: 'There is no such order.', field: ['input', 'orderId'] });
}

async function readOrder(
  db: Queryable,
  caller: Caller,
  orderId: string,
  lock: boolean,
): Promise<OrderRow | null> {
  const { rows } = await db.query<OrderRow>(
    `SELECT status, channel_status, connection_id, platform_order_id,
            (SELECT coalesce(json_agg(json_build_object('lineId', platform_line_id, 'quantity', reserved) ORDER BY position), '[]')
               FROM order_lines WHERE order_id = orders.id AND reserved > 0) AS lines
       FROM orders WHERE id = $1 AND account_id = $2 ${lock ? 'FOR UPDATE' : ''}`,
    [orderId, caller.accountId],
  );
  return rows[0] ?? null;
}

/** The channel hears of the parcel before the ledger does: should it refuse, nothing has changed here. */
async function tellChannel(
  options: OrderStatusOptions,
  order: OrderRow,
  input: OrderStatusInput,
): Promise<Problem | null> {
  const channel = await options.connections.open(order.connection_id);
  const refusal = { code: 'CHANNEL_REJECTED', field: ['input', 'status'] } as const;
  if (channel === null) return { ...refusal, message: 'The connection is paused or disconnected.' };
  try {
    await channel.connector.ship(order.platform_order_id, {
      carrier: input.carrier,
      trackingNumber: input.trackingNumber,
      shippedAt: new Date(options.clock.now()),
      lines: order.lines,
    });
    return null;
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    // The seller is to see it where the connection is shown, too.
    if (error.code === 'unauthorized') await options.connections.report(order.connection_id, error);
    return {
      ...refusal,
      message: `The channel did not take the shipment: ${error.message}`,
      raw: JSON.stringify(error.raw ?? null),
    };
  }
}
