/** A delivery and the order it carries are there together or not at all: one statement stores the one and applies the other. */
import type { Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { answerSql, isOvertakenBy, knownSql, snapshotSql } from './orderSql.ts';
import { type AnswerRow, type OrderEffect, type OrderSource, orderEffect, orderValues } from './orders.ts';

/** A snapshot that is older than what is known may still have something to tell: its delivery waits for the inbox, which has time. */
const storesDelivery = `
delivery AS (
  INSERT INTO webhook_deliveries (account_id, connection_id, delivery_id, topic, body, status, processed_at, attempts)
  SELECT $1, $2, $15, $16, $17, CASE WHEN late THEN 'pending'::delivery_status ELSE 'processed' END, CASE WHEN NOT late THEN now() END, 1
    FROM (SELECT EXISTS (SELECT FROM orders current WHERE connection_id = $2 AND platform_order_id = $4 AND content_hash <> $14
                            AND NOT ${isOvertakenBy('$12::timestamptz', '$13::timestamptz', '$5::order_status')}) AS late) snapshot
  ON CONFLICT (connection_id, delivery_id) DO NOTHING
  RETURNING id
),`;

const deliverSql = `${snapshotSql({ before: storesDelivery, applies: 'EXISTS (SELECT FROM delivery)' })}
SELECT answer.*, (SELECT id FROM delivery) AS delivery_id FROM (${answerSql(knownSql)}) answer`;

export type OrderDelivery = Omit<OrderSource, 'deliveryId'> & {
  /** The channel's own id for it. */
  readonly deliveryId: string;
  readonly topic: string;
  readonly body: Buffer;
};

export type DeliveredEffect = OrderEffect & {
  /** The stored delivery; null when the channel had delivered it before, and then nothing was done. */
  readonly storedId: string | null;
  /** True when it was only stored, because the order is newer by now. */
  readonly waits: boolean;
};

/** Whatever it throws, nothing has happened: it does not run again by itself. */
export async function deliverOrder(
  db: Queryable,
  delivery: OrderDelivery,
  order: Order,
): Promise<DeliveredEffect> {
  const { rows } = await db.query<AnswerRow & { delivery_id: string | null }>({
    name: 'order-deliver',
    text: deliverSql,
    values: [...orderValues(delivery, order), delivery.topic, delivery.body],
  });
  const [row] = rows;
  const effect = orderEffect(row);
  const storedId = row?.delivery_id ?? null;
  return { ...effect, storedId, waits: storedId !== null && !effect.changed && row?.known !== true };
}
