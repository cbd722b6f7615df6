/** The statements of reservations: each changes the reservation and moves its stock at once, or does nothing. */
import { ledgerSql } from './ledger.ts';

/**
 * Grants all lines or none. Bundles are taken apart and the demand is summed per item first; then the items are locked in the order of id, and only what
 * the locked rows say counts. Bundles keep the recipe that they had when the statement began. Of an item under escrow only what is free can be held: the
 * rest is on sale. What an order has taken since the escrow was booked last counts as taken from there. An escrow row is locked to read what it says
 * now; it is only changed under the item's lock. Nothing is free before it was opened and while a listing is unknown.
 */
export const createSql = `
WITH asked AS MATERIALIZED (
  SELECT line.position, item.id AS item_id, line.quantity
    FROM wished_lines($2::jsonb) line JOIN inventory_items item ON item.id = line.item_id AND item.account_id = $1
),
part AS MATERIALIZED (
  SELECT asked.position, coalesce(component.component_id, asked.item_id) AS item_id, coalesce(component.quantity, 1) AS per_unit,
         asked.quantity * coalesce(component.quantity, 1) AS units
    FROM asked LEFT JOIN bundle_components component ON component.bundle_id = asked.item_id
),
demand AS MATERIALIZED (
  SELECT item_id, sum(units) AS units FROM part GROUP BY item_id
),
shelf AS MATERIALIZED (
  SELECT id, available, protection, CASE WHEN role = 'bundle' THEN retry_on_overtaken_snapshot() END AS held
    FROM inventory_items WHERE id IN (SELECT item_id FROM demand) ORDER BY id FOR NO KEY UPDATE
),
escrow AS MATERIALIZED (
  SELECT item_id, state FROM escrows WHERE item_id IN (SELECT id FROM shelf WHERE protection <> 'shared') FOR SHARE
),
unknown AS MATERIALIZED (
  SELECT DISTINCT listing.item_id FROM listings listing JOIN shelf ON shelf.id = listing.item_id AND shelf.protection <> 'shared'
    LEFT JOIN escrow ON escrow.item_id = shelf.id
   WHERE CASE WHEN escrow.item_id IS NULL THEN shelf.protection = 'escrow'
              ELSE coalesce(escrow.state->'units'->listing.id::text ? 'joinedAt', true)
                OR NOT EXISTS (SELECT FROM shadows WHERE listing_id = listing.id AND item_id = listing.item_id) END
),
holdable AS MATERIALIZED (
  SELECT shelf.id, least(shelf.available, CASE
           WHEN shelf.id IN (SELECT item_id FROM unknown) THEN 0
           ELSE shelf.available - coalesce((escrow.state->>'available')::int - (escrow.state->>'free')::int + (escrow.state->>'shortfall')::int, 0)
         END) AS units, escrow.item_id IS NOT NULL OR shelf.protection = 'escrow' AS protected
    FROM shelf LEFT JOIN escrow ON escrow.item_id = shelf.id
),
short AS MATERIALIZED (
  SELECT demand.item_id FROM demand JOIN holdable ON holdable.id = demand.item_id WHERE holdable.units < demand.units
),
reservation AS (
  INSERT INTO reservations (account_id, reference, expires_at, actor_kind, actor_id)
  SELECT $1, $3, clock_timestamp() + $4 * interval '1 second', $5::actor_kind, $6
   WHERE NOT EXISTS (SELECT FROM short) AND (SELECT count(*) FROM asked) = jsonb_array_length($2::jsonb)
  RETURNING id, account_id
),
line AS (
  INSERT INTO reservation_lines (reservation_id, account_id, item_id, position, quantity)
  SELECT reservation.id, reservation.account_id, asked.item_id, asked.position, asked.quantity FROM reservation CROSS JOIN asked
),
holding AS (
  INSERT INTO reservation_holdings (reservation_id, account_id, item_id, quantity)
  SELECT reservation.id, reservation.account_id, demand.item_id, demand.units FROM reservation CROSS JOIN demand
),
change AS (
  SELECT reservation.account_id, demand.item_id, demand.item_id AS sold_item_id, NULL::uuid AS connection_id, NULL::uuid AS listing_id,
         NULL::uuid AS order_id, NULL::uuid AS order_line_id, reservation.id AS reservation_id, 0 AS on_hand_delta, demand.units::int AS reserved_delta,
         1 AS rank, concat_ws(':', 'reservation', reservation.id, demand.item_id, 'active') AS idempotency_key, 'reservation'::movement_kind AS kind,
         NULL::stock_reason AS reason, $3::text AS reference, $5::actor_kind AS actor_kind, $6::text AS actor_id
    FROM reservation CROSS JOIN demand
),${ledgerSql}
SELECT (SELECT id FROM reservation) AS reservation_id, (SELECT array_agg(position) FROM asked) AS known,
       (SELECT jsonb_agg(jsonb_build_object('position', position, 'itemId', item_id, 'available', available, 'protected', protected) ORDER BY position) FROM (
          -- Of each line that needs a scarce item, by itself.
          SELECT asked.position, asked.item_id, min(floor(holdable.units::double precision / part.per_unit)) AS available, bool_or(protected) AS protected
            FROM asked JOIN part USING (position) JOIN holdable ON holdable.id = part.item_id
           WHERE EXISTS (SELECT FROM part needs JOIN short USING (item_id) WHERE needs.position = asked.position)
           GROUP BY asked.position, asked.item_id
        ) lacking) AS shortages,
       effect.*
  FROM effect`;

/** What an ended reservation held goes back, or leaves the shelf when it was committed. */
const endedSql = `
change AS (
  SELECT ended.account_id, held.item_id, held.item_id AS sold_item_id, NULL::uuid AS connection_id, NULL::uuid AS listing_id, NULL::uuid AS order_id,
         NULL::uuid AS order_line_id, ended.id AS reservation_id, CASE WHEN ended.status = 'committed' THEN -held.quantity ELSE 0 END AS on_hand_delta,
         -held.quantity AS reserved_delta, row_number() OVER (ORDER BY ended.id) AS rank,
         concat_ws(':', 'reservation', ended.id, held.item_id, ended.status) AS idempotency_key, 'reservation'::movement_kind AS kind,
         NULL::stock_reason AS reason, ended.reference, ended.by_kind AS actor_kind, ended.by_id AS actor_id
    FROM ended JOIN reservation_holdings held ON held.reservation_id = ended.id
),${ledgerSql}
SELECT (SELECT count(*)::int FROM ended) AS ended, effect.* FROM effect`;

/** Expired units may be given back early by a release, but can no longer leave. */
export const endSql = `
WITH ended AS (
  UPDATE reservations SET status = $3::reservation_status, ended_at = now(), updated_at = now()
   WHERE id = $2 AND account_id = $1 AND status = 'active' AND ($3::text = 'released' OR expires_at > clock_timestamp())
  RETURNING id, account_id, status, reference, $4::actor_kind AS by_kind, $5::text AS by_id
),${endedSql}`;

export const expireSql = `
WITH due AS (
  SELECT id FROM reservations WHERE status = 'active' AND expires_at <= statement_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
),
ended AS (
  UPDATE reservations SET status = 'expired', ended_at = now(), updated_at = now() FROM due WHERE reservations.id = due.id
  RETURNING reservations.id, account_id, status, reference, 'system'::actor_kind AS by_kind, NULL::text AS by_id
),${endedSql}`;

export const extendSql = `
UPDATE reservations SET expires_at = clock_timestamp() + $3 * interval '1 second', updated_at = now()
 WHERE id = $2 AND account_id = $1 AND status = 'active' AND expires_at > clock_timestamp()`;
