/** A delivery and the order it carries are there together or not at all: one statement stores the one and applies the other. */
import type { Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import {
  type AnswerRow,
  answerSql,
  type OrderEffect,
  type OrderSource,
  orderEffect,
  orderValues,
  snapshotSql,
} from './orders.ts';

const storesDelivery = `
  INSERT INTO webhook_deliveries (account_id, connection_id, delivery_id, topic, body, status, processed_at, attempts)
  VALUES ($1, $2, $15, $16, $17, 'processed', now(), 1)
  ON CONFLICT (connection_id, delivery_id) DO NOTHING`;

const deliverSql = `${snapshotSql(storesDelivery, 'EXISTS (SELECT FROM delivery)')}
SELECT answer.*, (SELECT id FROM delivery) AS delivery_id FROM (${answerSql}) answer`;

export type OrderDelivery = Omit<OrderSource, 'deliveryId'> & {
  /** The channel's own id for it. */
  readonly deliveryId: string;
  readonly topic: string;
  readonly body: Buffer;
};

export type DeliveredEffect = OrderEffect & {
  /** The stored delivery; null when the channel had delivered it before, and then nothing was done. */
  readonly storedId: string | null;
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
  return { ...orderEffect(row), storedId: row?.delivery_id ?? null };
}
