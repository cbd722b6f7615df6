/** Applies orders exactly once in effect: a snapshot, its lines, the stock they hold and everything that follows are one statement. */
import { createHash } from 'node:crypto';
import type { Money, Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import { type EffectRow, ledgerSql, type StockEffect, stockEffect } from './ledger.ts';
import type { Actor } from './outcome.ts';

/**
 * Lines are level-triggered: from `wanted` (what each line should hold now) to `change` (what it should hold minus what it holds).
 * What the lines hold is read from the statement's snapshot; should the order have changed between that snapshot and the lock on
 * its row, `guard` aborts the statement and it runs again, so the difference is never taken from a stale number.
 */
const linesSql = `
guard AS (
  SELECT CASE WHEN placed.revision <> coalesce(seen.revision, 0) + 1 THEN retry_on_overtaken_snapshot() END AS held,
         -- The channel's number was net of its open orders when the shop was connected, and so is the stock that was taken over from it. Channels
         -- round their times down to the second.
         placed.channel_created_at < date_trunc('second', connection.connected_at) AS counted_before
    FROM placed JOIN connections connection ON connection.id = placed.connection_id LEFT JOIN seen ON true
),
level AS MATERIALIZED (
  SELECT wanted.*, coalesce(wanted.known_item_id, found.item_id) AS item_id, offer.listing_id,
         guard.counted_before
    FROM wanted CROSS JOIN guard CROSS JOIN LATERAL (
      SELECT coalesce(wanted.known_listing_id,
        (SELECT id FROM listings WHERE connection_id = wanted.connection_id AND unit_id = wanted.unit_id AND variant_id = wanted.variant_id),
        (SELECT id FROM listings WHERE connection_id = wanted.connection_id AND sku = wanted.sku ORDER BY item_id IS NULL, id LIMIT 1)) AS listing_id
    ) offer CROSS JOIN LATERAL (
      SELECT CASE WHEN wanted.known_item_id IS NULL THEN coalesce(
        (SELECT item_id FROM listings WHERE id = offer.listing_id),
        (SELECT item_id FROM listings WHERE connection_id = wanted.connection_id AND sku = wanted.sku AND item_id IS NOT NULL ORDER BY id LIMIT 1),
        (SELECT id FROM inventory_items WHERE account_id = wanted.account_id AND sku = wanted.sku),
        (SELECT item_id FROM sku_aliases WHERE account_id = wanted.account_id AND sku = wanted.sku)) END AS item_id
    ) found
    -- Before any stock is touched: a difference from a stale number could fail a check, and a failed check is not run again.
   WHERE guard.held IS NULL
),
target AS MATERIALIZED (
  SELECT level.*,
         CASE WHEN item_id IS NULL OR counted_before OR local_status IS NOT NULL THEN 0 ELSE reserved END AS target_reserved,
         CASE WHEN item_id IS NULL OR counted_before THEN 0 WHEN local_status IN ('shipped', 'delivered') THEN shipped + reserved ELSE shipped END AS target_shipped
    FROM level
),
line AS (
  INSERT INTO order_lines AS current (account_id, order_id, platform_line_id, position, item_id, unit_id, variant_id, sku, title, ordered,
                                      unit_price_minor, currency, reserved, shipped, held_reserved, held_shipped, listing_id)
  SELECT account_id, order_id, platform_line_id, position, item_id, unit_id, variant_id, sku, title, ordered,
         unit_price_minor, currency, reserved, shipped, target_reserved, target_shipped, listing_id
    FROM target
  ON CONFLICT (order_id, platform_line_id) DO UPDATE
     SET position = excluded.position, item_id = excluded.item_id, unit_id = excluded.unit_id, variant_id = excluded.variant_id,
         sku = excluded.sku, title = excluded.title, ordered = excluded.ordered, unit_price_minor = excluded.unit_price_minor,
         currency = excluded.currency, reserved = excluded.reserved, shipped = excluded.shipped,
         held_reserved = excluded.held_reserved, held_shipped = excluded.held_shipped, listing_id = excluded.listing_id, updated_at = now()
  RETURNING id, platform_line_id
),
change AS (
  SELECT target.account_id, target.item_id, target.connection_id, target.order_id, line.id AS order_line_id,
         target.held_shipped - target.target_shipped AS on_hand_delta, target.target_reserved - target.held_reserved AS reserved_delta,
         target.position AS rank, line.id || ':' || target.revision AS idempotency_key, 'order'::movement_kind AS kind,
         NULL::stock_reason AS reason, NULL::text AS reference, target.actor_kind, target.actor_id
    FROM target JOIN line USING (platform_line_id)
   WHERE target.target_reserved <> target.held_reserved OR target.target_shipped <> target.held_shipped
),
sale AS (
  -- What the channel has taken off its own count, or may have put back: the listing's shadow explains its readings by it.
  INSERT INTO channel_sales (account_id, listing_id, order_id, units, sold_from, sold_until)
  SELECT account_id, listing_id, order_id, sold.units, channel_created_at, sold.until
    FROM target CROSS JOIN LATERAL (
      SELECT target_reserved + target_shipped - held_reserved - held_shipped AS net,
             -- Sold and given up again before we ever heard of it: the channel has taken these off as well, and may have put them back.
             CASE WHEN revision = 1 AND item_id IS NOT NULL AND NOT counted_before THEN greatest(0, ordered - target_reserved - target_shipped) ELSE 0 END AS unheard
    ) known CROSS JOIN LATERAL (
      VALUES (net + unheard, CASE WHEN revision = 1 THEN channel_created_at ELSE greatest(channel_created_at, channel_updated_at) END),
             (-unheard, greatest(channel_created_at, channel_updated_at))
    ) sold (units, until)
   WHERE listing_id IS NOT NULL AND sold.units <> 0
),
order_event AS (
  INSERT INTO events (account_id, topic, subject_id, payload)
  SELECT account_id, 'order', id, jsonb_build_object(
           'orderId', id, 'platform', platform, 'platformOrderId', platform_order_id, 'status', status,
           'revision', revision, 'created', revision = 1)
    FROM placed
  RETURNING 1
),`;

export const answerSql = `
SELECT placed.id AS order_id, placed.revision, (SELECT count(*)::int FROM target WHERE item_id IS NULL) AS unmatched, effect.*,
       (SELECT count(*) FROM guard)
  FROM effect LEFT JOIN placed ON true`;

/** Of a snapshot that a stored delivery brought, or none: the delivery is closed with it. */
const closesDelivery = `
  UPDATE webhook_deliveries SET status = 'processed', processed_at = now(), leased_until = NULL, error = NULL
   WHERE id = $15 AND connection_id = $2`;

/** The statement up to its answer. `delivery` changes one row of the inbox or none; `applies` says whether the snapshot is to be applied at all. */
export const snapshotSql = (delivery: string, applies: string): string => `
WITH seen AS (
  SELECT id, revision, content_hash FROM orders WHERE connection_id = $2 AND platform_order_id = $4
),
delivery AS (${delivery}
  RETURNING id
),
placed AS (
  INSERT INTO orders AS current (account_id, connection_id, platform, platform_order_id, status, channel_status, customer_name, total_minor,
                                 currency, item_count, order_data, channel_created_at, channel_updated_at, observed_at, content_hash)
  SELECT $1, $2, $3::platform, $4, $5::order_status, $5::order_status, $6, $7::bigint, $8,
         (SELECT coalesce(sum(ordered), 0)::int FROM incoming_lines($9::jsonb)),
         $10::jsonb, $11::timestamptz, $12::timestamptz, $13::timestamptz, $14
   WHERE NOT EXISTS (SELECT FROM seen WHERE content_hash = $14) AND ${applies}
  ON CONFLICT (connection_id, platform_order_id) DO UPDATE
     SET channel_status = excluded.channel_status, status = greatest(excluded.channel_status, current.local_status),
         customer_name = coalesce(excluded.customer_name, current.customer_name), total_minor = excluded.total_minor,
         currency = excluded.currency, item_count = excluded.item_count, order_data = excluded.order_data,
         channel_updated_at = excluded.channel_updated_at, observed_at = excluded.observed_at, content_hash = excluded.content_hash,
         revision = current.revision + 1, updated_at = now()
   WHERE current.account_id = excluded.account_id
     AND (current.channel_updated_at < excluded.channel_updated_at
          OR (current.channel_updated_at = excluded.channel_updated_at AND current.observed_at <= excluded.observed_at
              AND current.content_hash <> excluded.content_hash))
  RETURNING id, account_id, connection_id, platform, platform_order_id, channel_created_at, channel_updated_at, status, local_status, revision
),
wanted AS (
  SELECT placed.account_id, placed.connection_id, placed.id AS order_id, placed.revision, placed.local_status,
         placed.channel_created_at, placed.channel_updated_at,
         'system'::actor_kind AS actor_kind, NULL::text AS actor_id,
         coalesce(line.id, held.platform_line_id) AS platform_line_id, coalesce(line.position, held.position) AS position,
         held.item_id AS known_item_id, held.listing_id AS known_listing_id, coalesce(line.unit_id, held.unit_id) AS unit_id, coalesce(line.variant_id, held.variant_id) AS variant_id,
         coalesce(line.sku, held.sku) AS sku, coalesce(line.title, held.title) AS title, coalesce(line.ordered, held.ordered) AS ordered,
         coalesce(line.unit_price_minor, held.unit_price_minor) AS unit_price_minor, coalesce(line.currency, held.currency) AS currency,
         -- A line that an edit took out of the order holds nothing any more.
         coalesce(line.reserved, 0) AS reserved, coalesce(line.shipped, 0) AS shipped,
         coalesce(held.held_reserved, 0) AS held_reserved, coalesce(held.held_shipped, 0) AS held_shipped
    FROM placed CROSS JOIN (
           incoming_lines($9::jsonb) line FULL JOIN (SELECT * FROM order_lines WHERE order_id = (SELECT id FROM seen)) held ON held.platform_line_id = line.id)
),${linesSql}${ledgerSql}
`;

const applySql = snapshotSql(closesDelivery, 'true') + answerSql;

/** Applies what is stored once more: after the seller's own word on the status, or when an unmatched SKU became known. */
const reapplySql = `
WITH seen AS (
  SELECT id, revision FROM orders WHERE id = $2 AND account_id = $1
),
placed AS (
  UPDATE orders SET local_status = coalesce($3::order_status, local_status),
         status = greatest(channel_status, coalesce($3::order_status, local_status)), revision = revision + 1, updated_at = now()
   WHERE id = $2 AND account_id = $1
  RETURNING id, account_id, connection_id, platform, platform_order_id, channel_created_at, channel_updated_at, status, local_status, revision
),
wanted AS (
  SELECT placed.account_id, placed.connection_id, placed.id AS order_id, placed.revision, placed.local_status,
         placed.channel_created_at, placed.channel_updated_at,
         $4::actor_kind AS actor_kind, $5::text AS actor_id, held.platform_line_id, held.position, held.item_id AS known_item_id, held.listing_id AS known_listing_id,
         held.unit_id, held.variant_id, held.sku, held.title, held.ordered, held.unit_price_minor, held.currency,
         held.reserved, held.shipped, held.held_reserved, held.held_shipped
    FROM placed JOIN order_lines held ON held.order_id = placed.id
),${linesSql}${ledgerSql}
${answerSql}`;

export type AnswerRow = EffectRow & { order_id: string | null; revision: string | null; unmatched: number };

/** `changed` is false when the snapshot was already known or is older than the one stored. */
export type OrderEffect = StockEffect & {
  readonly changed: boolean;
  /** True for the first snapshot of an order. */
  readonly created: boolean;
  /** Null only when nothing changed. */
  readonly orderId: string | null;
  /** Lines whose SKU no item is known for; they are kept and hold nothing yet. */
  readonly unmatchedLines: number;
};

export type OrderSource = {
  readonly accountId: string;
  readonly connectionId: string;
  readonly platform: string;
  /** When the snapshot was taken at the latest: decides between two snapshots with the same channel time. */
  readonly observedAt: Date;
  /** The webhook delivery that this snapshot answers; marked as processed by the same statement. */
  readonly deliveryId: string | null;
};

/** Applies one snapshot of an order. Duplicates, late and reordered snapshots cost one read and change nothing. */
export async function applyOrder(db: Queryable, source: OrderSource, order: Order): Promise<OrderEffect> {
  const values = orderValues(source, order);
  const { rows } = await withRetry(() =>
    db.query<AnswerRow>({ name: 'order-apply', text: applySql, values }),
  );
  return orderEffect(rows[0]);
}

/** The statement and its values, so that a benchmark can send the very same one without the product around it. */
export function orderStatement(
  source: OrderSource,
  order: Order,
): { name: string; text: string; values: unknown[] } {
  return { name: 'order-apply', text: applySql, values: orderValues(source, order) };
}

export type Reapplication = {
  readonly accountId: string;
  readonly orderId: string;
  /** The seller's own word; null keeps what there is. */
  readonly localStatus: 'shipped' | 'delivered' | 'cancelled' | null;
  readonly actor: Actor;
};

export async function reapplyOrder(db: Queryable, reapplication: Reapplication): Promise<OrderEffect> {
  const { accountId, orderId, localStatus, actor } = reapplication;
  const values = [accountId, orderId, localStatus, actor.kind, actor.id];
  const { rows } = await db.query<AnswerRow>({ name: 'order-reapply', text: reapplySql, values });
  return orderEffect(rows[0]);
}

export function orderEffect(row: AnswerRow | undefined): OrderEffect {
  return {
    ...stockEffect(row),
    changed: typeof row?.order_id === 'string',
    created: row?.revision === '1',
    orderId: row?.order_id ?? null,
    unmatchedLines: row?.unmatched ?? 0,
  };
}

export function orderValues(source: OrderSource, order: Order): unknown[] {
  const customerName = order.customerName === null ? null : storableText(order.customerName);
  const lines = JSON.stringify(
    order.lines.map((line, position) => ({
      id: line.lineId,
      position,
      unit_id: line.address?.unitId ?? null,
      variant_id: line.address?.variantId ?? null,
      sku: line.sku === '' ? null : line.sku,
      title: line.title,
      ordered: line.ordered,
      reserved: line.reserved,
      shipped: line.shipped,
      ...money('unit_price_minor', line.unitPrice),
    })),
    storable,
  );
  const content = JSON.stringify([order.status, customerName, order.total, order.updatedAt, lines]);
  return [
    source.accountId,
    source.connectionId,
    source.platform,
    storableText(order.orderId),
    order.status,
    customerName,
    order.total?.minor ?? null,
    order.total?.currency ?? null,
    lines,
    JSON.stringify(order.raw ?? null, storable),
    order.createdAt,
    order.updatedAt,
    source.observedAt,
    createHash('sha256').update(content).digest('base64'),
    source.deliveryId,
  ];
}

function money(field: string, amount: Money | null): Record<string, unknown> {
  return { [field]: amount?.minor ?? null, currency: amount?.currency ?? null };
}

/** PostgreSQL stores neither NUL nor half a surrogate pair, and no stray byte in a buyer's name may cost an order. */
function storableText(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}

/** For `JSON.stringify`: every text in the value, the names of fields included. */
function storable(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  if (Object.keys(value).every((name) => storableText(name) === name)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [storableText(name), field]));
}
