/** The statements that move stock for orders: a snapshot from the channel, and what is stored applied once more with the seller's own word. */
import { ledgerSql } from './ledger.ts';

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
  SELECT wanted.*, coalesce(wanted.known_item_id, found.item_id) AS item_id, coalesce(wanted.known_listing_id, offer.listing_id) AS listing_id,
         guard.counted_before
    FROM wanted CROSS JOIN guard CROSS JOIN LATERAL (
      SELECT CASE WHEN wanted.known_listing_id IS NULL THEN coalesce(
        (SELECT id FROM listings WHERE connection_id = wanted.connection_id AND unit_id = wanted.unit_id AND variant_id = wanted.variant_id),
        (SELECT id FROM listings WHERE connection_id = wanted.connection_id AND sku = wanted.sku ORDER BY item_id IS NULL, id LIMIT 1)) END AS listing_id
    ) offer CROSS JOIN LATERAL (
      SELECT CASE WHEN wanted.known_item_id IS NULL THEN coalesce(
        (SELECT item_id FROM listings WHERE id = coalesce(wanted.known_listing_id, offer.listing_id)),
        (SELECT item_id FROM listings WHERE connection_id = wanted.connection_id AND sku = wanted.sku AND item_id IS NOT NULL ORDER BY id LIMIT 1),
        (SELECT id FROM inventory_items WHERE account_id = wanted.account_id AND sku = wanted.sku),
        (SELECT item_id FROM sku_aliases WHERE account_id = wanted.account_id AND sku = wanted.sku)) END AS item_id
    ) found
    -- Before any stock is touched: a difference from a stale number could fail a check, and a failed check is not run again.
   WHERE guard.held IS NULL
),
target AS MATERIALIZED (
  SELECT level.*, gone_max,
         CASE WHEN item_id IS NULL OR counted_before OR local_status IS NOT NULL THEN 0 ELSE reserved END AS target_reserved,
         CASE WHEN item_id IS NULL OR counted_before THEN 0 ELSE least(gone, gone_max - returned) + returned - restocked END AS target_shipped
    FROM level CROSS JOIN LATERAL (
      SELECT CASE WHEN local_status IN ('shipped', 'delivered') THEN shipped + reserved ELSE shipped END AS gone
    ) word CROSS JOIN LATERAL (
      -- Units came back: by the channel's word what is gone now less than at most, by the seller's own what was returned here. Both may tell of the same
      -- parcel, so the larger counts; what the seller keeps off the shelf stays off.
      SELECT greatest(gone, shipped_max) AS gone_max
    ) history
),
part AS MATERIALIZED (
  -- What a unit of a line is made of: as it was first moved, else as its bundle is made now. Lines of plain items have none.
  SELECT target.platform_line_id, made.account_id, made.component_id, made.quantity, made.fresh
    FROM target CROSS JOIN LATERAL (
      SELECT account_id, component_id, quantity, false AS fresh FROM order_line_components WHERE order_line_id = target.known_line_id
      UNION ALL
      SELECT account_id, component_id, quantity, true FROM bundle_components
       WHERE bundle_id = target.item_id AND NOT EXISTS (SELECT FROM order_line_components WHERE order_line_id = target.known_line_id)
    ) made
   WHERE target.target_reserved <> target.held_reserved OR target.target_shipped <> target.held_shipped
),
line AS (
  INSERT INTO order_lines AS current (account_id, order_id, platform_line_id, position, item_id, unit_id, variant_id, sku, title, ordered,
                                      unit_price_minor, currency, reserved, shipped, held_reserved, held_shipped, listing_id,
                                      shipped_max, returned, restocked)
  SELECT account_id, order_id, platform_line_id, position, item_id, unit_id, variant_id, sku, title, ordered,
         unit_price_minor, currency, reserved, shipped, target_reserved, target_shipped, listing_id, gone_max, returned, restocked
    FROM target
  ON CONFLICT (order_id, platform_line_id) DO UPDATE
     SET position = excluded.position, item_id = excluded.item_id, unit_id = excluded.unit_id, variant_id = excluded.variant_id,
         sku = excluded.sku, title = excluded.title, ordered = excluded.ordered, unit_price_minor = excluded.unit_price_minor,
         currency = excluded.currency, reserved = excluded.reserved, shipped = excluded.shipped,
         held_reserved = excluded.held_reserved, held_shipped = excluded.held_shipped, listing_id = excluded.listing_id,
         shipped_max = excluded.shipped_max, returned = excluded.returned, restocked = excluded.restocked, updated_at = now()
  RETURNING id, platform_line_id
),
change AS (
  SELECT target.account_id, coalesce(part.component_id, target.item_id) AS item_id, target.item_id AS sold_item_id, target.connection_id,
         target.listing_id, target.order_id, line.id AS order_line_id, NULL::uuid AS reservation_id,
         (target.held_shipped - target.target_shipped) * coalesce(part.quantity, 1) AS on_hand_delta,
         (target.target_reserved - target.held_reserved) * coalesce(part.quantity, 1) AS reserved_delta,
         target.position AS rank, concat_ws(':', line.id, target.revision, part.component_id) AS idempotency_key, 'order'::movement_kind AS kind,
         target.reason, target.reference, target.actor_kind, target.actor_id,
         CASE WHEN part.fresh THEN keep_line_component(line.id, part.component_id, part.account_id, part.quantity) END AS kept
    FROM target JOIN line USING (platform_line_id) LEFT JOIN part USING (platform_line_id)
   WHERE target.target_reserved <> target.held_reserved OR target.target_shipped <> target.held_shipped
),
sale AS (
  -- What the channel has taken off its own count, or may have put back: the listing's shadow explains its readings by it. The seller's own word on an
  -- order moves nothing there.
  INSERT INTO channel_sales (account_id, listing_id, order_id, units, sold_from, sold_until)
  SELECT account_id, listing_id, order_id, units, channel_created_at,
         CASE WHEN revision = 1 AND units > 0 THEN channel_created_at ELSE greatest(channel_created_at, channel_updated_at) END
    FROM target CROSS JOIN LATERAL (
      SELECT reserved + shipped - told_units AS units WHERE known_item_id IS NOT NULL AND known_listing_id IS NOT NULL
      UNION ALL
      -- Seen first when some of it was cancelled already, it was sold all the same, and given back.
      SELECT greatest(ordered, reserved + shipped) WHERE known_item_id IS NULL OR known_listing_id IS NULL
      UNION ALL
      SELECT least(reserved + shipped - ordered, 0) WHERE known_item_id IS NULL OR known_listing_id IS NULL
    ) sold
   WHERE listing_id IS NOT NULL AND item_id IS NOT NULL AND NOT counted_before AND units <> 0
),
order_event AS (
  INSERT INTO events (account_id, topic, subject_id, payload)
  SELECT account_id, 'order', id, jsonb_build_object(
           'orderId', id, 'platform', platform, 'platformOrderId', platform_order_id, 'status', status,
           'revision', revision, 'created', revision = 1)
    FROM placed
  RETURNING 1
),`;

export const answerSql = (known: string): string => `
SELECT ${known} AS known, placed.id AS order_id, placed.revision, (SELECT count(*)::int FROM target WHERE item_id IS NULL) AS unmatched, effect.*,
       (SELECT count(*) FROM guard)
  FROM effect LEFT JOIN placed ON true`;

/**
 * True of the order stored as `current` when the snapshot is newer. Channels give times to the second: of two deliveries of one moment the one that is
 * further along is the newer, whichever comes last.
 */
export const isOvertakenBy = (updatedAt: string, observedAt: string, status: string): string =>
  `(current.channel_updated_at, current.observed_at, current.channel_status) <= (${updatedAt}, ${observedAt}, ${status})`;

/**
 * Applies one snapshot, up to the statement's answer. `delivery` changes one row of the inbox, before the order is placed or after it; `applies` says
 * whether the snapshot is to be applied at all.
 */
export const snapshotSql = ({
  before = '',
  after = '',
  applies = 'true',
}: {
  readonly before?: string;
  readonly after?: string;
  readonly applies?: string;
}): string => `
WITH seen AS (
  SELECT id, revision, content_hash FROM orders WHERE connection_id = $2 AND platform_order_id = $4
),${before}
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
   WHERE current.account_id = excluded.account_id AND current.content_hash <> excluded.content_hash
     AND ${isOvertakenBy('excluded.channel_updated_at', 'excluded.observed_at', 'excluded.channel_status')}
  RETURNING id, account_id, connection_id, platform, platform_order_id, channel_created_at, channel_updated_at, status, local_status, revision
),${after}
wanted AS (
  SELECT placed.account_id, placed.connection_id, placed.id AS order_id, placed.revision, placed.local_status,
         placed.channel_created_at, placed.channel_updated_at,
         'system'::actor_kind AS actor_kind, NULL::text AS actor_id, NULL::stock_reason AS reason, NULL::text AS reference,
         held.id AS known_line_id, coalesce(line.id, held.platform_line_id) AS platform_line_id, coalesce(line.position, held.position) AS position,
         held.item_id AS known_item_id, held.listing_id AS known_listing_id, coalesce(line.unit_id, held.unit_id) AS unit_id, coalesce(line.variant_id, held.variant_id) AS variant_id,
         coalesce(line.sku, held.sku) AS sku, coalesce(line.title, held.title) AS title, coalesce(line.ordered, held.ordered) AS ordered,
         coalesce(line.unit_price_minor, held.unit_price_minor) AS unit_price_minor, coalesce(line.currency, held.currency) AS currency,
         -- A line that an edit took out of the order holds nothing any more.
         coalesce(line.reserved, 0) AS reserved, coalesce(line.shipped, 0) AS shipped, greatest(held.shipped_max, line.shipped) AS shipped_max,
         coalesce(held.returned, 0) AS returned, coalesce(held.restocked, 0) AS restocked,
         coalesce(held.reserved + held.shipped, 0) AS told_units,
         coalesce(held.held_reserved, 0) AS held_reserved, coalesce(held.held_shipped, 0) AS held_shipped
    FROM placed CROSS JOIN (
           incoming_lines($9::jsonb) line FULL JOIN (SELECT * FROM order_lines WHERE order_id = (SELECT id FROM seen)) held ON held.platform_line_id = line.id)
),${linesSql}${ledgerSql}
`;

/** Of an order that is newer than the snapshot: whether this very snapshot was applied before. */
export const knownSql = 'EXISTS (SELECT FROM seen WHERE content_hash = $14)';

const closesDelivery = `
delivery AS (
  -- An older snapshot may still have something to tell: then the delivery is closed with that.
  UPDATE webhook_deliveries SET status = 'processed', processed_at = now(), leased_until = NULL, error = NULL
   WHERE id = $15 AND connection_id = $2 AND (EXISTS (SELECT FROM placed) OR EXISTS (SELECT FROM seen WHERE content_hash = $14))
  RETURNING id
),`;

/** Applies one snapshot, and closes the stored delivery that brought it, if one did. */
export const applySql = snapshotSql({ after: closesDelivery }) + answerSql(knownSql);

/**
 * An older snapshot is history but for one thing: units that it shows as gone had left, and what came back is counted from the most that had left.
 * So the order in which snapshots arrive does not matter to returns either.
 */
export const lateSql = `
WITH seen AS (
  SELECT id, revision FROM orders WHERE connection_id = $2 AND platform_order_id = $3 AND account_id = $1
),
placed AS (
  UPDATE orders SET revision = orders.revision + 1, updated_at = now()
    FROM seen
   WHERE orders.id = seen.id
     AND EXISTS (SELECT FROM incoming_lines($4::jsonb) told LEFT JOIN order_lines line ON line.order_id = seen.id AND line.platform_line_id = told.id
                  WHERE told.shipped > coalesce(line.shipped_max, 0))
  RETURNING orders.id, account_id, connection_id, platform, platform_order_id, channel_created_at, channel_updated_at, status, local_status,
            orders.revision
),
delivery AS (
  UPDATE webhook_deliveries SET status = 'processed', processed_at = now(), leased_until = NULL, error = NULL
   WHERE id = $5 AND connection_id = $2
  RETURNING id
),
wanted AS (
  SELECT placed.account_id, placed.connection_id, placed.id AS order_id, placed.revision, placed.local_status,
         placed.channel_created_at, placed.channel_updated_at,
         'system'::actor_kind AS actor_kind, NULL::text AS actor_id, NULL::stock_reason AS reason, NULL::text AS reference,
         held.id AS known_line_id, coalesce(held.platform_line_id, told.id) AS platform_line_id, coalesce(held.position, told.position) AS position,
         held.item_id AS known_item_id, held.listing_id AS known_listing_id, coalesce(held.unit_id, told.unit_id) AS unit_id,
         coalesce(held.variant_id, told.variant_id) AS variant_id, coalesce(held.sku, told.sku) AS sku, coalesce(held.title, told.title) AS title,
         coalesce(held.ordered, told.ordered) AS ordered, coalesce(held.unit_price_minor, told.unit_price_minor) AS unit_price_minor,
         coalesce(held.currency, told.currency) AS currency,
         -- A line that an edit took out before it was seen here holds nothing.
         coalesce(held.reserved, 0) AS reserved, coalesce(held.shipped, 0) AS shipped, greatest(held.shipped_max, told.shipped) AS shipped_max,
         coalesce(held.returned, 0) AS returned, coalesce(held.restocked, 0) AS restocked, coalesce(held.reserved + held.shipped, 0) AS told_units,
         coalesce(held.held_reserved, 0) AS held_reserved, coalesce(held.held_shipped, 0) AS held_shipped
    FROM placed CROSS JOIN (
           (SELECT * FROM incoming_lines($4::jsonb) WHERE shipped > 0) told
           FULL JOIN (SELECT * FROM order_lines WHERE order_id = (SELECT id FROM seen)) held ON held.platform_line_id = told.id)
),${linesSql}${ledgerSql}
${answerSql('true')}`;

/** Applies what is stored once more: after the seller's own word on the status, or when an unmatched SKU became known. */
export const reapplySql = `
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
         $4::actor_kind AS actor_kind, $5::text AS actor_id,
         CASE WHEN back.quantity IS NOT NULL THEN 'returned'::stock_reason END AS reason, $7::text AS reference,
         held.id AS known_line_id, held.platform_line_id, held.position, held.item_id AS known_item_id, held.listing_id AS known_listing_id,
         held.unit_id, held.variant_id, held.sku, held.title, held.ordered, held.unit_price_minor, held.currency, held.reserved, held.shipped,
         held.reserved + held.shipped AS told_units, held.held_reserved, held.held_shipped, held.shipped_max, held.returned + coalesce(back.quantity, 0) AS returned,
         held.restocked + coalesce(back.restocked, 0) AS restocked
    FROM placed JOIN order_lines held ON held.order_id = placed.id
    LEFT JOIN jsonb_to_recordset($6::jsonb) AS back ("lineId" uuid, quantity integer, restocked integer) ON back."lineId" = held.id
),${linesSql}${ledgerSql}
${answerSql('true')}`;
