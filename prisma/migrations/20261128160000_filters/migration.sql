-- What people filter lists by is found without walking through the account.

-- No statement looks a movement up by its line; the API does by its order.
DROP INDEX stock_movements_order_line_id_idx;
CREATE INDEX stock_movements_order_id_id_idx ON stock_movements (order_id, id) WHERE order_id IS NOT NULL;

-- Bundles and components are few.
CREATE INDEX inventory_items_account_id_role_id_idx ON inventory_items (account_id, role, id);

CREATE INDEX listings_connection_id_updated_at_id_idx ON listings (connection_id, updated_at, id);
CREATE INDEX listings_account_id_platform_updated_at_id_idx ON listings (account_id, platform, updated_at, id);
CREATE INDEX listings_paused_idx ON listings (account_id, id) WHERE NOT sync_enabled;

CREATE INDEX orders_connection_id_channel_created_at_id_idx ON orders (connection_id, channel_created_at, id);

CREATE INDEX sync_operations_account_id_status_id_idx ON sync_operations (account_id, status, id);

CREATE INDEX alerts_account_id_kind_id_idx ON alerts (account_id, kind, id);
CREATE INDEX alerts_item_id_id_idx ON alerts (item_id, id) WHERE item_id IS NOT NULL;
CREATE INDEX alerts_connection_id_id_idx ON alerts (connection_id, id) WHERE connection_id IS NOT NULL;

CREATE INDEX sync_conflicts_account_id_conflict_type_id_idx ON sync_conflicts (account_id, conflict_type, id);
CREATE INDEX sync_conflicts_listing_id_id_idx ON sync_conflicts (listing_id, id);

CREATE INDEX setting_changes_account_id_setting_id_idx ON setting_changes (account_id, setting, id);
