/** Fills a database with the years of a busy shop: history that grows, and a backlog of work that does not. */
import type { Queryable } from '../../src/db.ts';
import { newDemand } from '../../src/sync/core/demand.ts';
import { newShadow } from '../../src/sync/core/shadow.ts';
import type { StoredState } from '../../src/sync/shadowSql.ts';

/** Whose rows they are; the id of the n-th row of a kind is `test_id(kind, n)`. */
export type LargeShop = { readonly accountId: string; readonly connectionId: string };

/** Rows that wait for work, however large the shop is. */
export const backlog = 300;

/** The one plan of the shop: some of its entries wait to be applied, the others are. */
export const planId = '0000000a-0000-7000-8000-000000000001';

const kinds = {
  item: 1,
  listing: 2,
  write: 3,
  order: 4,
  line: 5,
  alert: 6,
  conflict: 7,
  operation: 8,
  delivery: 9,
  reservation: 0,
} as const;

/** The id of the n-th row of a kind, as `fillShop` made it. */
export function rowId(kind: keyof typeof kinds, n: number): string {
  return `0000000${kinds[kind]}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** What is known of every listing: it was read an hour ago. */
function shadowState(unit: string): StoredState {
  const at = Date.now() - 3_600_000;
  const bounds = {
    staleMax: 5_000,
    settleMax: 5_000,
    clockSkewMax: 1_000,
    readMax: 60_000,
    restocksOnCancel: false,
  };
  return {
    shadow: newShadow(unit, bounds, { value: 10, at, targetSeq: 3 }),
    demand: newDemand(at),
    traits: { compareAndSet: true, quantityMax: 1_000_000, indexLagMs: 1_000, landingMs: 500 },
  };
}

/**
 * Adds items `from` to `to`, each with two listings, a settled write and an old price per listing, three movements, an order of one line, an operation, a delivery and
 * two events, shadows, a reservation and changed settings; a tenth has had an alert, a conflict and a return, and a tenth is a bundle of the item after it. The backlog is made of the first rows. Statistics are brought up to date.
 */
export async function fillShop(db: Queryable, shop: LargeShop, from: number, to: number): Promise<void> {
  await db.query(`CREATE OR REPLACE FUNCTION test_id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT ('0000000' || kind || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$`);
  // Rows of one account only: references need no checking, which is most of the time.
  await db.query('SET session_replication_role = replica');
  for (const statement of statements) {
    const text = statement
      .replaceAll('$account', `'${shop.accountId}'::uuid`)
      .replaceAll('$connection', `'${shop.connectionId}'::uuid`)
      .replaceAll('$backlog', String(backlog))
      .replaceAll('$shadow', `'${JSON.stringify(shadowState('unit'))}'::jsonb`)
      .replaceAll('$rows', `generate_series(${from}::bigint, ${to}) n`)
      .replaceAll('$pairs', `generate_series(${2 * from}::bigint, ${2 * to + 1}) n`)
      .replaceAll('$thirds', `generate_series(${3 * from}::bigint, ${3 * to + 2}) n`);
    await db.query(text);
  }
  await db.query('RESET session_replication_role');
  // Positions in the log are transactions: one for every few events.
  await db.query(`DO $do$ BEGIN
    FOR step IN 0..99 LOOP
      INSERT INTO events (account_id, topic, subject_id, payload, created_at)
      SELECT '${shop.accountId}', (ARRAY['stock', 'order'])[1 + n % 2]::event_topic, test_id(1, n / 2), '{"quantity": 1}', now() - interval '1 hour'
        FROM generate_series(${2 * from} + step::bigint, ${2 * to + 1}, 100) n;
      COMMIT;
    END LOOP;
  END $do$`);
  await db.query('ANALYZE');
}

const ago = (unit: string): string => `now() - n * interval '1 ${unit}'`;

const statements: readonly string[] = [
  `INSERT INTO inventory_items (id, account_id, sku, title, quantity, reserved, seq, sync_status, updated_at, role, part_max)
   SELECT test_id(1, n), $account, 'SKU-' || lpad(n::text, 9, '0'), 'Title ' || n % 5000, CASE WHEN role = 'bundle' THEN 0 ELSE 10 + n % 90 END,
          CASE WHEN n <= $backlog THEN 1 ELSE 0 END, 3, (CASE WHEN n <= $backlog THEN 'error' ELSE 'synced' END)::sync_status, ${ago('second')}, role,
          CASE WHEN role = 'component' THEN 2 ELSE 0 END
     FROM $rows, LATERAL (SELECT (CASE WHEN n <= $backlog THEN 'plain' WHEN n % 10 = 7 THEN 'bundle' WHEN n % 10 = 8 THEN 'component' ELSE 'plain' END)::item_role AS role) r`,
  `INSERT INTO bundle_components (account_id, bundle_id, component_id, quantity)
   SELECT $account, test_id(1, n), test_id(1, n + 1), 2 FROM $rows WHERE n > $backlog AND n % 10 = 7`,
  `INSERT INTO listings (id, account_id, connection_id, item_id, platform, unit_id, sku, title, quantity, target, target_seq, price_minor, currency, updated_at)
   SELECT test_id(2, n), $account, $connection, CASE WHEN n > $backlog THEN test_id(1, n / 2) END, 'shopify', 'unit ' || n,
          'SKU-' || lpad((n / 2)::text, 9, '0'), 'Title ' || n, 10, 10, 3, 1000, 'EUR', ${ago('second')} FROM $pairs`,
  // What is sold out does not grow with the shop.
  `UPDATE inventory_items SET quantity = 0 FROM (SELECT test_id(1, n) AS sold_out FROM $rows WHERE n BETWEEN 1000 AND 1100) item WHERE id = sold_out`,
  // The readers keep up: due are the writes that nothing has proved yet, and the rest of the half hour is spread over all others.
  `INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, shown_min, shown_max, read_due_at)
   SELECT test_id(2, n), $account, $connection, test_id(1, n / 2), jsonb_set($shadow, '{shadow,unit}', to_jsonb(test_id(2, n))), 10, 10,
          now() + CASE WHEN n BETWEEN 4 * $backlog AND 5 * $backlog THEN interval '0' ELSE interval '5 minutes' + n % 1500 * interval '1 second' END
     FROM $pairs WHERE n > $backlog`,
  `INSERT INTO setting_changes (account_id, listing_id, setting, before, after, actor_kind) SELECT $account, test_id(2, n), 'rule', '{}', '{}', 'system' FROM $rows`,
  `INSERT INTO measured_sales (item_id, account_id, seq) SELECT test_id(1, n), $account, 2 FROM $rows`,
  `INSERT INTO dirty_listings (listing_id, account_id, connection_id)
   SELECT test_id(2, n), $account, $connection FROM $pairs WHERE n BETWEEN 2 * $backlog AND 3 * $backlog`,
  // Prices that wait do not grow with the shop either; those of the others were shown long ago.
  `UPDATE inventory_items SET price_minor = 1100, currency = 'EUR' FROM (SELECT test_id(1, n) AS priced FROM $rows WHERE n BETWEEN 3 * $backlog AND 3 * $backlog + 9) item WHERE id = priced`,
  `INSERT INTO dirty_prices (listing_id, account_id, connection_id, item_id, state, before_minor, sent_minor, sent_version, sent_at, echo_until, actor_kind)
   SELECT test_id(2, n), $account, $connection, test_id(1, n / 2), (CASE WHEN waits THEN 'waiting' ELSE 'shown' END)::price_state, 1000,
          CASE WHEN NOT waits THEN 1000 END, CASE WHEN NOT waits THEN 1 END, CASE WHEN NOT waits THEN now() - interval '1 day' END,
          CASE WHEN NOT waits THEN now() - interval '1 day' END, 'system'
     FROM $pairs, LATERAL (SELECT n BETWEEN 6 * $backlog AND 6 * $backlog + 19 AS waits) state WHERE n > 5 * $backlog`,
  `INSERT INTO listing_writes (id, account_id, connection_id, listing_id, quantity, target_seq, state, sent_at, settled_at)
   SELECT test_id(3, n), $account, $connection, test_id(2, n), 10, 3, (CASE WHEN open THEN 'accepted' ELSE 'effective' END)::write_state,
          now() - interval '1 hour' - n * interval '1 second', CASE WHEN NOT open THEN now() - interval '1 hour' END
     FROM $pairs, LATERAL (SELECT n BETWEEN 4 * $backlog AND 5 * $backlog AS open) state`,
  `INSERT INTO orders (id, account_id, connection_id, platform, platform_order_id, status, channel_status, customer_name, item_count, order_data,
                       channel_created_at, channel_updated_at, observed_at, content_hash, created_at, updated_at)
   SELECT test_id(4, n), $account, $connection, 'shopify', 'order ' || n, status, status, 'Customer ' || n % 1000, 1, '{}', at, at, at, 'hash', at, at
     FROM $rows, LATERAL (SELECT ${ago('second')} AS at,
            (CASE WHEN n <= $backlog THEN 'pending' ELSE (ARRAY['shipped', 'delivered', 'cancelled'])[1 + n % 3] END)::order_status AS status) o`,
  `INSERT INTO order_lines (id, account_id, order_id, platform_line_id, position, item_id, sku, title, ordered, reserved, shipped, held_reserved, held_shipped, shipped_max)
   SELECT test_id(5, n), $account, test_id(4, n), '1', 0, CASE WHEN n > 20 THEN test_id(1, n) END,
          CASE WHEN n > 20 THEN 'SKU-' || lpad(n::text, 9, '0') ELSE 'odd ' || n END, 'Title', 1,
          CASE WHEN n <= $backlog THEN 1 ELSE 0 END, CASE WHEN n <= $backlog THEN 0 ELSE 1 END, 0, CASE WHEN n <= $backlog THEN 0 ELSE 1 END, 1 FROM $rows`,
  `INSERT INTO order_line_components (order_line_id, component_id, account_id, quantity)
   SELECT test_id(5, n), test_id(1, n + 1), $account, 2 FROM $rows WHERE n > $backlog AND n % 10 = 7`,
  `INSERT INTO order_returns (account_id, order_id, order_line_id, quantity, restock, reason, actor_kind)
   SELECT $account, test_id(4, n), test_id(5, n), 1, false, 'returned', 'system' FROM $rows WHERE n % 10 = 3`,
  `INSERT INTO reservations (id, account_id, status, expires_at, actor_kind, ended_at, updated_at)
   SELECT test_id(0, n), $account, (CASE WHEN n <= $backlog THEN 'active' ELSE 'committed' END)::reservation_status, now() + interval '1 hour', 'system',
          CASE WHEN n > $backlog THEN now() END, ${ago('second')} FROM $rows`,
  `INSERT INTO reservation_lines (reservation_id, account_id, item_id, quantity) SELECT test_id(0, n), $account, test_id(1, n), 1 FROM $rows`,
  `INSERT INTO reservation_holdings (reservation_id, account_id, item_id, quantity) SELECT test_id(0, n), $account, test_id(1, n), 1 FROM $rows`,
  `INSERT INTO stock_movements (account_id, item_id, seq, on_hand_delta, reserved_delta, on_hand_after, reserved_after, kind, reason, idempotency_key,
                                actor_kind)
   SELECT $account, test_id(1, n / 3), 1 + n % 3, 5, 0, 5 + 5 * (n % 3), 0, 'adjustment', 'received', 'movement ' || n, 'system' FROM $thirds`,
  `INSERT INTO alerts (id, account_id, kind, item_id, status, units, resolved_at, updated_at)
   SELECT test_id(6, n), $account, 'oversell', test_id(1, n), (CASE WHEN n <= $backlog THEN 'open' ELSE 'resolved' END)::alert_status, 1,
          CASE WHEN n > $backlog THEN now() END, ${ago('second')} FROM $rows WHERE n % 10 = 0 OR n <= $backlog`,
  `INSERT INTO sync_conflicts (id, account_id, item_id, listing_id, conflict_type, conflict_data, suggested_resolution, status, resolution, resolved_at)
   SELECT test_id(7, n), $account, test_id(1, n), test_id(2, 2 * n), 'quantity_mismatch', '{}', 'use_lowest',
          (CASE WHEN n <= $backlog THEN 'open' ELSE 'resolved' END)::conflict_status,
          CASE WHEN n > $backlog THEN 'use_lowest'::conflict_resolution END, CASE WHEN n > $backlog THEN now() END
     FROM $rows WHERE n % 10 = 0 OR n <= $backlog`,
  `INSERT INTO sync_operations (id, account_id, item_id, action, target_platforms, status, actor_kind, completed_at, updated_at)
   SELECT test_id(8, n), $account, test_id(1, n), 'update_quantity', '{shopify}',
          (CASE WHEN n <= $backlog THEN 'processing' ELSE 'completed' END)::operation_status, 'system', CASE WHEN n > $backlog THEN now() END, ${ago('second')}
     FROM $rows`,
  `INSERT INTO webhook_deliveries (id, account_id, connection_id, delivery_id, topic, body, status, received_at, processed_at)
   SELECT test_id(9, n), $account, $connection, 'delivery ' || n, 'orders', '[]', (CASE WHEN n <= $backlog THEN 'pending' ELSE 'processed' END)::delivery_status,
          now() - interval '1 hour', CASE WHEN n > $backlog THEN now() END FROM $rows`,
  `INSERT INTO idempotency_keys (account_id, key, operation, input_hash, result) SELECT $account, 'key ' || n, 'stockAdjust', 'hash', '{}' FROM $rows`,
  `INSERT INTO sync_plans (id, account_id, connection_id, status, imported_at, actor_kind)
   VALUES ('${planId}', $account, $connection, 'applied', now(), 'system') ON CONFLICT DO NOTHING`,
  `INSERT INTO sync_plan_entries (account_id, plan_id, listing_id, item_id, action, reason, why, shown, shown_from, shown_until, available, target, winner,
                                  state, was_enabled, checked_shown, checked_from, checked_until, withdrawn_at)
   SELECT $account, '${planId}', test_id(2, n), test_id(1, n / 2), 'raise', 'ledger_differs', '', 3, now(), now(), 10, 10, 'ledger', state::plan_entry_state, false,
          CASE WHEN state = 'applied' THEN 3 END, CASE WHEN state = 'applied' THEN now() END, CASE WHEN state = 'applied' THEN now() END,
          CASE WHEN state = 'applied' AND n < 6 * $backlog THEN now() - interval '1 hour' END
     FROM $pairs, LATERAL (SELECT CASE WHEN n < 5 * $backlog THEN 'pending' ELSE 'applied' END AS state) entry WHERE n > $backlog`,
  `INSERT INTO sku_aliases (account_id, sku, item_id) SELECT $account, 'alias ' || n, test_id(1, n) FROM $rows WHERE n % 10 = 0`,
];
