/** The one way stock changes: movements, their projection, dirty listings, events and alerts, committed by a single statement. */
import type { Queryable } from '../db.ts';
import type { Actor } from './outcome.ts';
import type { StockReason } from './sync.ts';

/**
 * The tail of every statement that moves stock. The statement's head provides
 * `change(account_id, item_id, sold_item_id, connection_id, listing_id, order_id, order_line_id, reservation_id, on_hand_delta, reserved_delta, rank,
 * idempotency_key, kind, reason, reference, actor_kind, actor_id)`: one row per movement, none of them zero. `sold_item_id` is the item itself, or the
 * bundle that it was moved for; `connection_id` is the channel that sold and `listing_id` the listing there, both null where there is none or it is not
 * known. Items are locked in id order, so that orders sharing items cannot deadlock, and every number is taken from the locked row, so that concurrent
 * statements add up. A bundle has no stock: one that an item became while the statement waited makes it start again.
 */
export const ledgerSql = `
locked AS MATERIALIZED (
  SELECT id, CASE WHEN role = 'bundle' THEN retry_on_overtaken_snapshot() END AS held
    FROM inventory_items WHERE id IN (SELECT item_id FROM change) ORDER BY id FOR NO KEY UPDATE
),
total AS (
  SELECT change.item_id, sum(change.on_hand_delta)::int AS on_hand_delta, sum(change.reserved_delta)::int AS reserved_delta,
         count(*) AS movements, min(change.kind) AS kind, min(change.reason) AS reason, (array_agg(change.order_id))[1] AS order_id
    FROM change JOIN locked ON locked.id = change.item_id
   GROUP BY change.item_id
),
stock AS (
  UPDATE inventory_items item
     SET quantity = item.quantity + total.on_hand_delta, reserved = item.reserved + total.reserved_delta,
         seq = item.seq + total.movements, updated_at = now()
    FROM total WHERE item.id = total.item_id
  RETURNING item.id, item.account_id, item.sku, item.quantity, item.reserved, item.available, item.seq, item.seq_base, item.role,
            total.on_hand_delta, total.reserved_delta, total.movements, total.kind, total.reason, total.order_id
),
movement AS (
  INSERT INTO stock_movements (account_id, item_id, seq, on_hand_delta, reserved_delta, on_hand_after, reserved_after,
                               kind, reason, reference, order_id, order_line_id, reservation_id, idempotency_key, actor_kind, actor_id)
  SELECT stock.account_id, stock.id, stock.seq - stock.movements + row_number() OVER so_far,
         change.on_hand_delta, change.reserved_delta,
         stock.quantity - stock.on_hand_delta + sum(change.on_hand_delta) OVER so_far,
         stock.reserved - stock.reserved_delta + sum(change.reserved_delta) OVER so_far,
         change.kind, change.reason, change.reference, change.order_id, change.order_line_id, change.reservation_id, change.idempotency_key,
         change.actor_kind, change.actor_id
    FROM stock JOIN change ON change.item_id = stock.id
  WINDOW so_far AS (PARTITION BY stock.id ORDER BY change.rank ROWS UNBOUNDED PRECEDING)
  RETURNING id
),
bundle AS (
  -- Found and told under the lock on the component: a recipe changed meanwhile counts.
  SELECT told.id FROM stock CROSS JOIN LATERAL tell_bundles(stock.id, stock.kind, stock.reason, stock.order_id) told (id)
   WHERE stock.role = 'component' AND stock.on_hand_delta <> stock.reserved_delta
),
dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, guarded)
  SELECT listing.id, listing.account_id, listing.connection_id,
         EXISTS (SELECT FROM change WHERE change.connection_id = listing.connection_id AND change.sold_item_id = listing.item_id
                    AND coalesce(change.listing_id, listing.id) = listing.id),
         NOT EXISTS (SELECT FROM change WHERE kind::text IN ('order', 'reservation'))
    FROM (
           SELECT id AS item_id FROM stock WHERE on_hand_delta <> reserved_delta
           UNION SELECT id FROM bundle
           -- Also when its recipe names other components by now: the channel has moved its own number.
           UNION SELECT sold_item_id FROM change WHERE sold_item_id <> item_id AND on_hand_delta <> reserved_delta
         ) moved CROSS JOIN LATERAL (
           -- By index, item by item: a handful of items is taken for so many that reading every listing seems cheaper.
           SELECT id, account_id, connection_id, item_id FROM listings WHERE item_id = moved.item_id AND sync_enabled AND writable OFFSET 0
         ) listing
   ORDER BY listing.id
  ON CONFLICT (listing_id) DO UPDATE
     SET version = current.version + 1, not_before = now(), reread = current.reread OR excluded.reread,
         -- What was sold is written, whatever people have changed before.
         guarded = excluded.guarded
  RETURNING connection_id
),
stock_event AS (
  INSERT INTO events (account_id, topic, subject_id, item_seq, payload)
  SELECT account_id, 'stock'::event_topic, id, seq + seq_base, jsonb_build_object(
           'itemId', id, 'sku', sku, 'quantity', quantity, 'reserved', reserved, 'available', available,
           'onHandDelta', on_hand_delta, 'reservedDelta', reserved_delta, 'seq', seq + seq_base, 'kind', kind, 'orderId', order_id, 'reason', reason)
    FROM stock
  RETURNING 1
),
alert AS (
  SELECT settle_oversell_alert(account_id, id, reserved - quantity) AS changed
    FROM stock WHERE least(available, available - on_hand_delta + reserved_delta) < 0
),
effect AS (
  SELECT (SELECT array_agg(id) FROM movement) AS movement_ids, (SELECT array_agg(id) FROM stock) AS item_ids,
         (SELECT array_agg(DISTINCT connection_id) FROM dirty) AS connection_ids,
         (SELECT coalesce(bool_or(changed), false) FROM alert) AS alert_changed
)`;

/** What a stock statement answers. `connectionIds` have listings to bring in step. */
export type StockEffect = {
  readonly movementIds: readonly string[];
  /** Whose stock has moved. */
  readonly itemIds: readonly string[];
  readonly connectionIds: readonly string[];
  readonly alertChanged: boolean;
};

export const noEffect: StockEffect = { movementIds: [], itemIds: [], connectionIds: [], alertChanged: false };

/** Of two statements of one transaction. */
export function togetherWith(one: StockEffect, other: StockEffect): StockEffect {
  return {
    movementIds: [...one.movementIds, ...other.movementIds],
    itemIds: [...new Set([...one.itemIds, ...other.itemIds])],
    connectionIds: [...new Set([...one.connectionIds, ...other.connectionIds])],
    alertChanged: one.alertChanged || other.alertChanged,
  };
}

export type EffectRow = {
  movement_ids: string[] | null;
  item_ids: string[] | null;
  connection_ids: string[] | null;
  alert_changed: boolean | null;
};

export function stockEffect(row: EffectRow | undefined): StockEffect {
  return {
    movementIds: row?.movement_ids ?? [],
    itemIds: row?.item_ids ?? [],
    connectionIds: row?.connection_ids ?? [],
    alertChanged: row?.alert_changed ?? false,
  };
}

const adjustSql = `
WITH change AS (
  SELECT account_id, id AS item_id, id AS sold_item_id, NULL::uuid AS connection_id, NULL::uuid AS listing_id, NULL::uuid AS order_id, NULL::uuid AS order_line_id,
         NULL::uuid AS reservation_id, $3::int AS on_hand_delta, 0 AS reserved_delta, 1 AS rank, $4::text AS idempotency_key, $5::movement_kind AS kind, $6::stock_reason AS reason, $7::text AS reference,
         $8::actor_kind AS actor_kind, $9::text AS actor_id
    FROM inventory_items WHERE id = $2 AND account_id = $1 AND $3::int <> 0
),${ledgerSql}
SELECT * FROM effect`;

export type Adjustment = {
  readonly accountId: string;
  readonly itemId: string;
  /** Units; 0 moves nothing. */
  readonly onHandDelta: number;
  /** Unique per account: the same key cannot move stock twice. */
  readonly idempotencyKey: string;
  /** `count` when a person stated the number on the shelf, `opening` for the first stock of an item, `resolution` for a decided conflict. */
  readonly kind: 'adjustment' | 'count' | 'opening' | 'resolution';
  readonly reason: StockReason;
  readonly reference: string | null;
  readonly actor: Actor;
};

/** Moves units on hand for a cause that is no order. Never refuses for lack of stock: what was counted or lost is a fact. */
export async function adjust(db: Queryable, adjustment: Adjustment): Promise<StockEffect> {
  const { rows } = await db.query<EffectRow>({
    name: 'ledger-adjust',
    text: adjustSql,
    values: [
      adjustment.accountId,
      adjustment.itemId,
      adjustment.onHandDelta,
      adjustment.idempotencyKey,
      adjustment.kind,
      adjustment.reason,
      adjustment.reference,
      adjustment.actor.kind,
      adjustment.actor.id,
    ],
  });
  return stockEffect(rows[0]);
}
