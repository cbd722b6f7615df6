-- An order is applied by one large statement, whose plan each connection makes once. Whatever VACUUM and ANALYZE write down about a table makes every
-- connection plan it again, in a rush for each table after the other: orders then wait for plans. All rows are found by keys, and no statistics of a
-- table that is not small any more change that.

-- Grow: looked at again when they have doubled.
ALTER TABLE webhook_deliveries SET (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);
ALTER TABLE orders SET (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);
ALTER TABLE order_lines SET (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);
ALTER TABLE stock_movements SET (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);
ALTER TABLE events SET (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);
ALTER TABLE listing_writes SET (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);

-- Change in place: the first rows are looked at soon, then every tenth round of changes. What is dead is as much as what lives, at most.
ALTER TABLE inventory_items SET (autovacuum_analyze_scale_factor = 10, autovacuum_vacuum_scale_factor = 1);
ALTER TABLE listings SET (autovacuum_analyze_scale_factor = 10, autovacuum_vacuum_scale_factor = 1);
ALTER TABLE shadows SET (autovacuum_analyze_scale_factor = 10, autovacuum_vacuum_scale_factor = 1);

-- Come and go: few rows at any time, and each has one index that finds it.
ALTER TABLE dirty_listings SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_threshold = 10000);
ALTER TABLE channel_sales SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_threshold = 10000);

-- Where the planner knows nothing of a table it takes the newest of the indexes that seem equally good. The one that finds a single order must be that:
-- the other reads every order of the connection.
CREATE UNIQUE INDEX orders_connection_id_platform_order_id_newest ON orders (connection_id, platform_order_id);
DROP INDEX orders_connection_id_platform_order_id_key;
ALTER INDEX orders_connection_id_platform_order_id_newest RENAME TO orders_connection_id_platform_order_id_key;
