/** Measures how late a channel shows its orders: one that a finished fetch should have shown, and did not, proves its bound too short. */
import type { Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { boundColumns, channelBounds, type StoredBounds, widenBound } from './bounds.ts';
import type { ConnectedChannel } from './connections.ts';
import type { OrderEffect } from './orders.ts';

type Heard = Pick<OrderEffect, 'created' | 'movementIds'>;

/** The order came by a fetch; `fetchedAt` is when the newest finished one before it was started. So late the channel is at least. */
export async function measureLag(
  db: Queryable,
  channel: ConnectedChannel,
  { createdAt }: Pick<Order, 'createdAt'>,
  { created, movementIds }: Heard,
  fetchedAt: Date | 'newest',
): Promise<void> {
  if (!created || movementIds.length === 0) return;
  if (fetchedAt !== 'newest' && fetchedAt <= createdAt) return;
  const { connection, connector } = channel;
  const { rows } = await db.query<StoredBounds & { fetchedAt: Date | null }>(
    `SELECT connection.orders_watermark AS "fetchedAt", ${boundColumns} FROM connections connection WHERE id = $1`,
    [connection.id],
  );
  const [row] = rows;
  const fetched = fetchedAt === 'newest' ? row?.fetchedAt : fetchedAt;
  if (row === undefined || fetched === null || fetched === undefined) return;
  const { indexLagMs, clockSkewMaxMs } = channelBounds(row, connector.capabilities);
  const lateMs = fetched.getTime() - createdAt.getTime() - clockSkewMaxMs;
  if (lateMs > indexLagMs) await widenBound(db, connection.id, 'indexLagMs', lateMs);
}

/** The order was delivered: whatever finished fetch was started after it was placed has not shown it. One that comes soon tells nothing, and costs nothing. */
export async function measureDeliveredLag(
  db: Queryable,
  channel: ConnectedChannel,
  order: Pick<Order, 'createdAt'>,
  effect: Heard,
  now: number,
): Promise<void> {
  if (now - order.createdAt.getTime() > channel.connector.capabilities.indexLagMs)
    await measureLag(db, channel, order, effect, 'newest');
}
