/** Asks a channel for every order changed since the watermark, so that each lost webhook is repaired. The watermark moves only after the last page. */
import type { Clock } from '../clock.ts';
import { ChannelError, type ConnectorCapabilities, type Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { Log } from '../log.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { type MeasureBuffer, measureOrder } from './measureBuffer.ts';
import { measureLag } from './orderLag.ts';
import { applyOrder, type OrderEffect } from './orders.ts';

export type FetchOptions = {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly log: Log;
  /** Null leaves it to the channel's own default. */
  readonly overlapMs: number | null;
  /** Longest time between two pages; after it another worker may poll. */
  readonly leaseMs: number;
  readonly onApplied: (effect: OrderEffect) => void;
  readonly measures?: MeasureBuffer;
};

export type PollOptions = FetchOptions & {
  readonly connections: Connections;
  /** Null leaves it to the channel's own default. */
  readonly intervalMs: number | null;
  /** Now and then a poll looks further back: for an order that the channel indexed later than the overlap, and whose webhook was lost too. */
  readonly deep?: { readonly intervalMs: number; readonly overlapMs: number };
};

/** From one order poll to the next, as a rule and while the connection is watched. */
export function pollPace(
  options: Pick<PollOptions, 'intervalMs'>,
  { pollIntervalMs, pollWatchfulMs }: ConnectorCapabilities,
): { readonly intervalMs: number; readonly watchfulMs: number } {
  const intervalMs = options.intervalMs ?? pollIntervalMs;
  return { intervalMs, watchfulMs: Math.min(intervalMs, pollWatchfulMs) };
}

const leaseSql = `
UPDATE connections SET poll_lease_until = now() + $2 * interval '1 ms'
 WHERE id = $1 AND sync_enabled AND next_poll_at <= now() AND (poll_lease_until IS NULL OR poll_lease_until < now())
RETURNING coalesce(orders_watermark, connected_at) AS watermark, connected_at AS "connectedAt", coalesce(deep_polled_at, connected_at) AS "deepAt",
          coalesce(clock_skew_measured_ms, 0) AS "apartMs"`;

type Lease = {
  readonly watermark: Date;
  readonly connectedAt: Date;
  readonly deepAt: Date;
  /** So far the channel's clock may be behind ours beyond what the overlap is for, in milliseconds: it goes by its own. */
  readonly apartMs: number;
};

const renewSql = `UPDATE connections SET poll_lease_until = now() + $2 * interval '1 ms' WHERE id = $1`;

const finishSql = `
UPDATE connections
   SET poll_lease_until = NULL, last_polled_at = now(),
       next_poll_at = now() + CASE WHEN watched_until > now() THEN $4::float8 ELSE $2 END * interval '1 ms',
       orders_watermark = greatest(orders_watermark, $3::timestamptz),
       deep_polled_at = CASE WHEN $6 THEN coalesce($3, deep_polled_at) ELSE deep_polled_at END,
       -- Other processes and other channels' work count with them.
       default_bounds = $5
 WHERE id = $1`;

/** Polls once if the connection is due and nobody else is polling it. Answers how many orders were new or changed. */
export async function pollConnection(options: PollOptions, connectionId: string): Promise<number> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return 0;
  const { rows } = await options.db.query<Lease>(leaseSql, [connectionId, options.leaseMs]);
  const [lease] = rows;
  if (lease === undefined) return 0;
  const { capabilities } = channel.connector;
  const { intervalMs, watchfulMs } = pollPace(options, capabilities);
  const { staleMaxMs, settleMaxMs, indexLagMs, clockSkewMaxMs } = capabilities;
  const defaults = JSON.stringify({ staleMaxMs, settleMaxMs, indexLagMs, clockSkewMaxMs });
  // Taken before the first page: a change made while we read belongs to the next poll.
  const startedAt = new Date(options.clock.now());
  const { deep, since } = begin(options, lease, options.overlapMs ?? capabilities.pollOverlapMs, startedAt);
  try {
    const renew = () => options.db.query(renewSql, [connectionId, options.leaseMs]);
    const changed = await readPages(options, channel, { since, fetchedAt: lease.watermark, deep }, renew);
    await options.db.query(finishSql, [connectionId, intervalMs, startedAt, watchfulMs, defaults, deep]);
    await options.connections.report(connectionId, null);
    return changed;
  } catch (error) {
    const retryInMs =
      error instanceof ChannelError ? Math.max(error.retryAfterMs ?? 0, intervalMs) : intervalMs;
    await options.db.query(finishSql, [connectionId, retryInMs, null, retryInMs, defaults, deep]);
    if (!(error instanceof ChannelError)) throw error;
    options.log.warn({ connectionId, error }, 'order poll failed');
    await options.connections.report(connectionId, error);
    return 0;
  }
}

function begin(
  { deep: rule }: PollOptions,
  { watermark, connectedAt, deepAt, apartMs }: Lease,
  overlapMs: number,
  startedAt: Date,
): { readonly deep: boolean; readonly since: Date } {
  const since = watermark.getTime() - overlapMs - apartMs;
  const now = startedAt.getTime();
  if (rule === undefined || now - deepAt.getTime() < rule.intervalMs)
    return { deep: false, since: new Date(since) };
  // What is older than the connection was counted when it was connected.
  const deepest = Math.max(now - rule.overlapMs, connectedAt.getTime() - overlapMs - apartMs);
  return { deep: true, since: new Date(Math.min(since, deepest)) };
}

const sinceSql = `
SELECT coalesce(orders_watermark, connected_at) AS watermark, coalesce(clock_skew_measured_ms, 0) AS "apartMs" FROM connections WHERE id = $1`;
const advanceSql = `UPDATE connections SET orders_watermark = greatest(orders_watermark, $2::timestamptz), last_polled_at = now() WHERE id = $1`;

/** Asks for the orders now, whoever else is polling: what comes twice costs nothing. Null when every order up to the start of this call is known. */
export async function fetchOrders(
  options: FetchOptions,
  channel: ConnectedChannel,
): Promise<ChannelError | null> {
  const { id } = channel.connection;
  const { rows } = await options.db.query<Pick<Lease, 'watermark' | 'apartMs'>>(sinceSql, [id]);
  const [row] = rows;
  if (row === undefined) return new ChannelError('misconfigured', 'the connection was removed');
  const overlapMs = options.overlapMs ?? channel.connector.capabilities.pollOverlapMs;
  const startedAt = new Date(options.clock.now());
  try {
    const since = new Date(row.watermark.getTime() - overlapMs - row.apartMs);
    await readPages(options, channel, { since, fetchedAt: row.watermark, deep: false });
    await options.db.query(advanceSql, [id, startedAt]);
    return null;
  } catch (error) {
    if (error instanceof ChannelError) return error;
    throw error;
  }
}

/** Has the orders asked for as soon as a worker is free. */
export async function askForOrders(db: Queryable, connectionId: string): Promise<void> {
  await db.query('UPDATE connections SET next_poll_at = least(next_poll_at, now()) WHERE id = $1', [
    connectionId,
  ]);
}

/** What is asked for, and when the newest finished fetch before this one was started. A deep one asks for what the others did not. */
type Asked = { readonly since: Date; readonly fetchedAt: Date; readonly deep: boolean };

/** `renew` is called after each page by whoever holds the poll's lease; a fetch without one must not keep the next poll out. */
async function readPages(
  options: FetchOptions,
  channel: ConnectedChannel,
  { since, fetchedAt, deep }: Asked,
  renew: () => Promise<unknown> = () => Promise.resolve(),
): Promise<number> {
  const { connection, connector } = channel;
  let changed = 0;
  const failed: string[] = [];
  let observedAt = new Date(options.clock.now());
  for await (const page of connector.ordersModifiedSince(since)) {
    for (const order of page) {
      try {
        const effect = await applyPolled(options, channel, order, observedAt);
        if (!effect.changed) continue;
        changed += 1;
        // What the fetches before have not asked for, they do not prove to be late.
        if (!deep) await measureLag(options.db, channel, order, effect, fetchedAt);
      } catch (error) {
        // One order that cannot be stored must not keep the others out; the watermark stays, so that it is tried again and told each time.
        options.log.error(
          { error, platformOrderId: order.orderId, connectionId: connection.id },
          'a polled order was not applied',
        );
        failed.push(order.orderId);
      }
    }
    await renew();
    observedAt = new Date(options.clock.now());
  }
  if (failed.length > 0) {
    throw new ChannelError(
      'invalid_response',
      `orders that could not be applied: ${failed.slice(0, 10).join(', ')}`,
    );
  }
  return changed;
}

async function applyPolled(
  options: FetchOptions,
  { connection }: ConnectedChannel,
  order: Order,
  observedAt: Date,
): Promise<OrderEffect> {
  const effect = await applyOrder(
    options.db,
    {
      accountId: connection.accountId,
      connectionId: connection.id,
      platform: connection.platform,
      observedAt,
      deliveryId: null,
    },
    order,
  );
  if (effect.changed) {
    options.log.info(
      { orderId: effect.orderId, platformOrderId: order.orderId, connectionId: connection.id },
      'order applied from poll',
    );
    measureOrder(options.measures, connection.id, order, effect, options.clock.now());
    options.onApplied(effect);
  }
  return effect;
}
