-- The oldest waiting delivery of each connection, found without reading another connection's backlog.
CREATE INDEX webhook_deliveries_waiting_idx ON webhook_deliveries (connection_id, not_before, id) WHERE status = 'pending';
