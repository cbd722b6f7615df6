CREATE INDEX listings_price_looked_at_idx ON listings (connection_id, price_looked_at) WHERE sync_enabled AND item_id IS NOT NULL;

-- What names one listing or one order leads its index, and the connection follows. So it finds them also where the connection is not named, whatever the
-- version of PostgreSQL; and a planner that knows nothing of the tables yet, which takes the newest of the indexes that begin with what it is given,
-- takes these instead of reading everything of a connection.
CREATE UNIQUE INDEX listings_unit_id_variant_id_connection_id_key ON listings (unit_id, variant_id, connection_id);
DROP INDEX listings_connection_id_unit_id_variant_id_key;
CREATE INDEX listings_sku_connection_id_idx ON listings (sku, connection_id);
DROP INDEX listings_connection_id_sku_idx;
CREATE UNIQUE INDEX orders_platform_order_id_connection_id_key ON orders (platform_order_id, connection_id);
DROP INDEX orders_connection_id_platform_order_id_key;
