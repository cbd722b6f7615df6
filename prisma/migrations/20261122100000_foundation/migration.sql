-- Every row carries its account, and composite foreign keys keep a row from pointing into another account.
-- Money is in minor units with its ISO 4217 currency. Times are UTC with time zone. Ids sort by time.

-- RFC 9562 version 7: 48 bits of milliseconds, then random. PostgreSQL has its own only from version 18 on.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6),
      52, 1), 53, 1),
    'hex')::uuid
$$;

CREATE TYPE platform AS ENUM ('etsy', 'amazon', 'ebay', 'shopify');
CREATE TYPE sync_status AS ENUM ('synced', 'syncing', 'conflict', 'error');
CREATE TYPE connection_status AS ENUM ('active', 'paused', 'needs_authorization', 'disconnected');
CREATE TYPE order_status AS ENUM ('pending', 'processing', 'shipped', 'delivered', 'cancelled');
CREATE TYPE movement_kind AS ENUM ('order', 'adjustment', 'count', 'opening');
CREATE TYPE stock_reason AS ENUM ('received', 'correction', 'damaged', 'lost', 'returned', 'promotion', 'opening', 'other');
CREATE TYPE actor_kind AS ENUM ('system', 'user', 'api_key');
CREATE TYPE sync_action AS ENUM ('update_quantity', 'update_price', 'create_listing', 'delete_listing');
CREATE TYPE operation_status AS ENUM ('pending', 'processing', 'completed', 'failed');
CREATE TYPE job_kind AS ENUM ('sync_all');
CREATE TYPE conflict_type AS ENUM ('quantity_mismatch', 'price_mismatch', 'sold_out');
CREATE TYPE conflict_status AS ENUM ('open', 'resolved', 'superseded');
CREATE TYPE conflict_resolution AS ENUM ('use_lowest', 'use_highest', 'manual_review', 'keep_ours');
CREATE TYPE alert_kind AS ENUM ('oversell');
CREATE TYPE alert_status AS ENUM ('open', 'acknowledged', 'resolved');
CREATE TYPE write_state AS ENUM ('sent', 'accepted', 'effective', 'unknown', 'rejected', 'stale', 'superseded');
CREATE TYPE delivery_status AS ENUM ('pending', 'processed', 'failed');
CREATE TYPE event_topic AS ENUM ('stock', 'order', 'alert', 'conflict', 'job');

CREATE TABLE accounts (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  name text NOT NULL CHECK (name <> ''),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  name text NOT NULL,
  -- The visible start of the key, so that a person can tell keys apart. The key itself is never stored.
  prefix text NOT NULL,
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  scopes text[] NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  expires_at timestamptz(3),
  revoked_at timestamptz(3),
  last_used_at timestamptz(3)
);
CREATE UNIQUE INDEX api_keys_hash_key ON api_keys (hash);
CREATE INDEX api_keys_account_id_idx ON api_keys (account_id);

CREATE TABLE connections (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  platform platform NOT NULL,
  name text NOT NULL CHECK (name <> ''),
  -- The channel's immutable id of the seller's account.
  external_account_id text NOT NULL CHECK (external_account_id <> ''),
  status connection_status NOT NULL DEFAULT 'active',
  sync_enabled boolean NOT NULL DEFAULT true,
  settings jsonb NOT NULL DEFAULT '{}',
  -- Tokens and app secrets, sealed with the server's key.
  secrets bytea NOT NULL,
  secrets_version integer NOT NULL DEFAULT 1,
  -- Held by the one process that is refreshing the token.
  refresh_lease_until timestamptz(3),
  -- Units withheld from every listing of this connection.
  buffer integer NOT NULL DEFAULT 0 CHECK (buffer >= 0),
  -- Channel time up to which every order has been asked for.
  orders_watermark timestamptz(3),
  last_polled_at timestamptz(3),
  next_poll_at timestamptz(3) NOT NULL DEFAULT now(),
  -- Held by the one worker that is polling.
  poll_lease_until timestamptz(3),
  last_synced_at timestamptz(3),
  last_error text,
  last_error_at timestamptz(3),
  connected_at timestamptz(3) NOT NULL DEFAULT now(),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX connections_account_id_platform_external_account_id_key ON connections (account_id, platform, external_account_id);
CREATE UNIQUE INDEX connections_id_account_id_key ON connections (id, account_id);

CREATE TABLE inventory_items (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  sku text NOT NULL CHECK (sku <> ''),
  title text NOT NULL,
  -- On hand. A projection of stock_movements, written only together with one. Never clamped: below zero is a fact to alert on.
  quantity integer NOT NULL DEFAULT 0,
  reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  available integer GENERATED ALWAYS AS (quantity - reserved) STORED,
  -- The seq of the newest movement.
  seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
  sync_status sync_status NOT NULL DEFAULT 'synced',
  last_synced_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX inventory_items_account_id_sku_key ON inventory_items (account_id, sku);
CREATE UNIQUE INDEX inventory_items_id_account_id_key ON inventory_items (id, account_id);
CREATE INDEX inventory_items_account_id_updated_at_id_idx ON inventory_items (account_id, updated_at, id);
CREATE INDEX inventory_items_account_id_title_id_idx ON inventory_items (account_id, title, id);
CREATE INDEX inventory_items_account_id_available_id_idx ON inventory_items (account_id, available, id);
CREATE INDEX inventory_items_account_id_sync_status_updated_at_id_idx ON inventory_items (account_id, sync_status, updated_at, id);

CREATE TABLE listings (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  connection_id uuid NOT NULL,
  -- Null while nobody has said which item it sells.
  item_id uuid,
  platform platform NOT NULL,
  unit_id text NOT NULL CHECK (unit_id <> ''),
  variant_id text NOT NULL DEFAULT '',
  sku text,
  title text NOT NULL DEFAULT '',
  listing_url text,
  -- What the channel shows as far as we know; null when unknown or not tracked.
  quantity integer,
  quantity_at timestamptz(3),
  price_minor bigint CHECK (price_minor >= 0),
  currency char(3),
  sync_enabled boolean NOT NULL DEFAULT true,
  -- False when the channel owns the number (Amazon FBA).
  writable boolean NOT NULL DEFAULT true,
  buffer integer CHECK (buffer >= 0),
  quantity_max integer CHECK (quantity_max >= 0),
  -- The newest number sent, and the item's seq it was computed from: no write with an older one may follow.
  target integer CHECK (target >= 0),
  target_seq bigint NOT NULL DEFAULT 0,
  last_error text,
  last_pushed_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((price_minor IS NULL) = (currency IS NULL)),
  FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE NO ACTION ON UPDATE CASCADE
);
CREATE UNIQUE INDEX listings_connection_id_unit_id_variant_id_key ON listings (connection_id, unit_id, variant_id);
CREATE UNIQUE INDEX listings_id_account_id_key ON listings (id, account_id);
CREATE INDEX listings_item_id_idx ON listings (item_id);
CREATE INDEX listings_connection_id_sku_idx ON listings (connection_id, sku);
CREATE INDEX listings_account_id_updated_at_id_idx ON listings (account_id, updated_at, id);
CREATE INDEX listings_unmatched_idx ON listings (account_id, id) WHERE item_id IS NULL;

-- A row here means: what this listing should show may have changed since it was last brought in step. Level-triggered: the row holds no number.
CREATE TABLE dirty_listings (
  listing_id uuid PRIMARY KEY REFERENCES listings (id) ON DELETE CASCADE ON UPDATE CASCADE,
  account_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  -- Grows with every reason. A push removes the row only if it is still the version it took.
  version bigint NOT NULL DEFAULT 1,
  -- True when the channel may have moved its own number (a sale there): what we believe it shows must be read again.
  reread boolean NOT NULL DEFAULT false,
  since timestamptz(3) NOT NULL DEFAULT now(),
  not_before timestamptz(3) NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 0,
  leased_until timestamptz(3),
  lease_owner uuid,
  -- The version the lease was taken for: a newer one that lowers the number need not wait for it.
  leased_version bigint
) WITH (fillfactor = 70);
CREATE INDEX dirty_listings_connection_id_not_before_idx ON dirty_listings (connection_id, not_before);

-- Every number ever sent to a channel and what became of it: the candidates for what the channel shows.
CREATE TABLE listing_writes (
  -- Sent to the channel as the idempotency key.
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  listing_id uuid NOT NULL,
  quantity integer NOT NULL CHECK (quantity >= 0),
  expected integer,
  target_seq bigint NOT NULL,
  state write_state NOT NULL DEFAULT 'sent',
  error text,
  sent_at timestamptz(3) NOT NULL DEFAULT now(),
  answered_at timestamptz(3),
  -- When the channel was last asked whether it took effect.
  checked_at timestamptz(3),
  settled_at timestamptz(3),
  FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX listing_writes_listing_id_id_idx ON listing_writes (listing_id, id);
CREATE INDEX listing_writes_settled_at_idx ON listing_writes USING brin (settled_at);
CREATE INDEX listing_writes_open_idx ON listing_writes (connection_id, sent_at) WHERE state IN ('sent', 'accepted', 'unknown');

CREATE TABLE orders (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  connection_id uuid NOT NULL,
  platform platform NOT NULL,
  platform_order_id text NOT NULL CHECK (platform_order_id <> ''),
  -- The status people see: the seller's own word where there is one, else the channel's.
  status order_status NOT NULL,
  channel_status order_status NOT NULL,
  -- What the seller said here and the channel may not know yet.
  local_status order_status CHECK (local_status IN ('shipped', 'delivered', 'cancelled')),
  customer_name text,
  total_minor bigint,
  currency char(3),
  item_count integer NOT NULL DEFAULT 0 CHECK (item_count >= 0),
  order_data jsonb NOT NULL,
  -- The channel's clock: an older snapshot after a newer one is ignored.
  channel_created_at timestamptz(3) NOT NULL,
  channel_updated_at timestamptz(3) NOT NULL,
  -- When the snapshot was taken; decides between snapshots with the same channel time.
  observed_at timestamptz(3) NOT NULL,
  content_hash text NOT NULL,
  -- Grows by one with every change to the order or its lines.
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((total_minor IS NULL) = (currency IS NULL)),
  FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX orders_connection_id_platform_order_id_key ON orders (connection_id, platform_order_id);
CREATE UNIQUE INDEX orders_id_account_id_key ON orders (id, account_id);
CREATE INDEX orders_account_id_channel_created_at_id_idx ON orders (account_id, channel_created_at, id);
CREATE INDEX orders_account_id_updated_at_id_idx ON orders (account_id, updated_at, id);
CREATE INDEX orders_account_id_status_channel_created_at_id_idx ON orders (account_id, status, channel_created_at, id);
CREATE INDEX orders_account_id_platform_channel_created_at_id_idx ON orders (account_id, platform, channel_created_at, id);

CREATE TABLE order_lines (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  order_id uuid NOT NULL,
  platform_line_id text NOT NULL CHECK (platform_line_id <> ''),
  position integer NOT NULL,
  -- Null until the SKU is matched to an item; the line then holds nothing and waits in the inbox of unmatched SKUs.
  item_id uuid,
  unit_id text,
  variant_id text,
  sku text,
  title text NOT NULL,
  ordered integer NOT NULL CHECK (ordered >= 0),
  unit_price_minor bigint,
  currency char(3),
  -- The levels the channel's newest snapshot asks for.
  reserved integer NOT NULL CHECK (reserved >= 0),
  shipped integer NOT NULL CHECK (shipped >= 0),
  -- The levels this line holds in the ledger. A movement is always target minus held.
  held_reserved integer NOT NULL DEFAULT 0 CHECK (held_reserved >= 0),
  held_shipped integer NOT NULL DEFAULT 0 CHECK (held_shipped >= 0),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (item_id IS NOT NULL OR (held_reserved = 0 AND held_shipped = 0)),
  CHECK ((unit_price_minor IS NULL) = (currency IS NULL)),
  FOREIGN KEY (order_id, account_id) REFERENCES orders (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE NO ACTION ON UPDATE CASCADE
);
CREATE UNIQUE INDEX order_lines_order_id_platform_line_id_key ON order_lines (order_id, platform_line_id);
CREATE INDEX order_lines_item_id_id_idx ON order_lines (item_id, id) WHERE item_id IS NOT NULL;
CREATE INDEX order_lines_holding_idx ON order_lines (item_id, id) WHERE held_reserved > 0;
CREATE INDEX order_lines_unmatched_idx ON order_lines (account_id, sku) WHERE item_id IS NULL;

-- Other spellings of an item's SKU, as people mapped them from the inbox of unmatched SKUs.
CREATE TABLE sku_aliases (
  account_id uuid NOT NULL,
  sku text NOT NULL CHECK (sku <> ''),
  item_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, sku),
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX sku_aliases_item_id_idx ON sku_aliases (item_id);

CREATE TABLE stock_movements (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  item_id uuid NOT NULL,
  -- Gapless per item, taken under that item's row lock.
  seq bigint NOT NULL CHECK (seq > 0),
  on_hand_delta integer NOT NULL,
  reserved_delta integer NOT NULL,
  on_hand_after integer NOT NULL,
  reserved_after integer NOT NULL,
  kind movement_kind NOT NULL,
  reason stock_reason,
  reference text,
  order_id uuid,
  order_line_id uuid,
  idempotency_key text NOT NULL,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (on_hand_delta <> 0 OR reserved_delta <> 0),
  -- Every movement has a cause, and a reading is none.
  CHECK ((kind = 'order') = (order_line_id IS NOT NULL)),
  CHECK ((kind = 'order') = (reason IS NULL)),
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX stock_movements_item_id_seq_key ON stock_movements (item_id, seq);
CREATE UNIQUE INDEX stock_movements_account_id_idempotency_key_key ON stock_movements (account_id, idempotency_key);
CREATE INDEX stock_movements_account_id_id_idx ON stock_movements (account_id, id);
CREATE INDEX stock_movements_order_line_id_idx ON stock_movements (order_line_id) WHERE order_line_id IS NOT NULL;

CREATE TABLE jobs (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  kind job_kind NOT NULL,
  status operation_status NOT NULL DEFAULT 'pending',
  total integer NOT NULL DEFAULT 0,
  completed integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  -- The last item queued, so that a restarted worker goes on where the killed one stopped.
  queued_through uuid,
  fully_queued boolean NOT NULL DEFAULT false,
  error text,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  completed_at timestamptz(3),
  CHECK (completed + failed <= total)
);
CREATE UNIQUE INDEX jobs_id_account_id_key ON jobs (id, account_id);
CREATE INDEX jobs_account_id_id_idx ON jobs (account_id, id);
CREATE INDEX jobs_open_idx ON jobs (id) WHERE status IN ('pending', 'processing');

CREATE TABLE sync_operations (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  item_id uuid NOT NULL,
  job_id uuid,
  action sync_action NOT NULL,
  target_platforms platform[] NOT NULL,
  status operation_status NOT NULL DEFAULT 'pending',
  error text,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  completed_at timestamptz(3),
  CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed'))),
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (job_id, account_id) REFERENCES jobs (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX sync_operations_account_id_id_idx ON sync_operations (account_id, id);
CREATE INDEX sync_operations_item_id_id_idx ON sync_operations (item_id, id);
CREATE INDEX sync_operations_job_id_status_idx ON sync_operations (job_id, status) WHERE job_id IS NOT NULL;
CREATE INDEX sync_operations_open_idx ON sync_operations (item_id) WHERE status IN ('pending', 'processing');

CREATE TABLE sync_conflicts (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  item_id uuid NOT NULL,
  listing_id uuid,
  conflict_type conflict_type NOT NULL,
  conflict_data jsonb NOT NULL,
  suggested_resolution conflict_resolution NOT NULL,
  auto_resolvable boolean NOT NULL DEFAULT false,
  status conflict_status NOT NULL DEFAULT 'open',
  resolution conflict_resolution,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  resolved_at timestamptz(3),
  CHECK ((status = 'resolved') = (resolution IS NOT NULL)),
  CHECK ((status = 'open') = (resolved_at IS NULL)),
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX sync_conflicts_account_id_id_idx ON sync_conflicts (account_id, id);
CREATE INDEX sync_conflicts_item_id_idx ON sync_conflicts (item_id);
CREATE INDEX sync_conflicts_account_id_status_id_idx ON sync_conflicts (account_id, status, id);
CREATE UNIQUE INDEX sync_conflicts_open_listing_key ON sync_conflicts (listing_id, conflict_type) WHERE status = 'open';

CREATE TABLE alerts (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  kind alert_kind NOT NULL,
  item_id uuid NOT NULL,
  status alert_status NOT NULL DEFAULT 'open',
  -- Units promised beyond what is on hand when the alert last changed.
  units integer NOT NULL CHECK (units >= 0),
  acknowledged_by text,
  acknowledged_at timestamptz(3),
  resolved_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((status = 'resolved') = (resolved_at IS NOT NULL)),
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX alerts_id_account_id_key ON alerts (id, account_id);
CREATE UNIQUE INDEX alerts_current_key ON alerts (item_id, kind) WHERE status <> 'resolved';
CREATE INDEX alerts_account_id_id_idx ON alerts (account_id, id);
CREATE INDEX alerts_account_id_updated_at_id_idx ON alerts (account_id, updated_at, id);
CREATE INDEX alerts_account_id_status_id_idx ON alerts (account_id, status, id);

-- The orders that together promise more than there is.
CREATE TABLE alert_orders (
  alert_id uuid NOT NULL,
  order_id uuid NOT NULL,
  account_id uuid NOT NULL,
  PRIMARY KEY (alert_id, order_id),
  FOREIGN KEY (alert_id, account_id) REFERENCES alerts (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (order_id, account_id) REFERENCES orders (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX alert_orders_order_id_idx ON alert_orders (order_id);

-- What subscribers are told. A number from a sequence is no log position: one taken earlier can be committed later, and a reader that has passed it
-- would never see it. Readers therefore ask for "what is visible now and was not visible in my last snapshot" (xid), in the order of id, which
-- within one item is the order of its ledger because the id is taken under the item's lock.
CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  account_id uuid NOT NULL,
  topic event_topic NOT NULL,
  -- The item, order, alert, conflict or job it is about.
  subject_id uuid NOT NULL,
  item_seq bigint,
  payload jsonb NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX events_xid_idx ON events (xid);
CREATE INDEX events_account_id_topic_id_idx ON events (account_id, topic, id);
CREATE INDEX events_created_at_idx ON events USING brin (created_at);

-- One row. Snapshots are only comparable within one cluster, so cursors carry the epoch, which grows when the log was restored elsewhere.
CREATE TABLE event_log (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch integer NOT NULL DEFAULT 1,
  -- Everything visible in this snapshot may have been removed by retention.
  pruned text
);
INSERT INTO event_log DEFAULT VALUES;

CREATE TABLE webhook_deliveries (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  -- The channel's own id of this delivery: a repeat is stored once.
  delivery_id text NOT NULL CHECK (delivery_id <> ''),
  topic text NOT NULL,
  body bytea NOT NULL,
  status delivery_status NOT NULL DEFAULT 'pending',
  attempts integer NOT NULL DEFAULT 0,
  not_before timestamptz(3) NOT NULL DEFAULT now(),
  leased_until timestamptz(3),
  error text,
  received_at timestamptz(3) NOT NULL DEFAULT now(),
  processed_at timestamptz(3),
  FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX webhook_deliveries_connection_id_delivery_id_key ON webhook_deliveries (connection_id, delivery_id);
CREATE INDEX webhook_deliveries_pending_idx ON webhook_deliveries (not_before) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_received_at_idx ON webhook_deliveries USING brin (received_at);

-- The first result of every keyed mutation, so that a retry gets the same answer instead of a second effect.
CREATE TABLE idempotency_keys (
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  key text NOT NULL CHECK (key <> '' AND length(key) <= 255),
  operation text NOT NULL,
  input_hash text NOT NULL,
  result jsonb,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys USING brin (created_at);

-- The lines of an incoming order as rows. PostgreSQL guesses 100 rows for any JSON record set and would rather read whole tables than look up
-- 100 items; a volatile function is not inlined, so its own guess of 2 counts.
CREATE FUNCTION incoming_lines(lines jsonb) RETURNS TABLE (
  id text, "position" integer, unit_id text, variant_id text, sku text, title text, ordered integer,
  unit_price_minor bigint, currency text, reserved integer, shipped integer
) LANGUAGE sql VOLATILE STRICT ROWS 2 AS $$
  SELECT * FROM jsonb_to_recordset(lines) AS line (
    id text, "position" integer, unit_id text, variant_id text, sku text, title text, ordered integer,
    unit_price_minor bigint, currency text, reserved integer, shipped integer)
$$;

-- Aborts a statement whose snapshot was overtaken while it waited for a lock, with the code that makes the caller run it again.
CREATE FUNCTION retry_on_overtaken_snapshot() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE EXCEPTION 'the order changed while this snapshot of it was being applied' USING ERRCODE = 'serialization_failure';
END
$$;

-- Brings the oversell alert of one item in line with its stock, in the caller's transaction and under the caller's lock on the item.
-- A volatile function reads with a fresh snapshot, so it also names orders that were committed while the caller waited for that lock.
CREATE FUNCTION settle_oversell_alert(for_account uuid, for_item uuid, oversold integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  alert alerts;
  named uuid[];
BEGIN
  IF oversold <= 0 THEN
    UPDATE alerts SET status = 'resolved', units = 0, resolved_at = now(), updated_at = now()
     WHERE item_id = for_item AND kind = 'oversell' AND status <> 'resolved'
    RETURNING * INTO alert;
    IF NOT FOUND THEN RETURN false; END IF;
  ELSE
    INSERT INTO alerts (account_id, kind, item_id, units) VALUES (for_account, 'oversell', for_item, oversold)
    ON CONFLICT (item_id, kind) WHERE status <> 'resolved'
    DO UPDATE SET units = excluded.units, updated_at = now(),
      -- A growing oversell concerns people again although they had seen the smaller one.
      status = CASE WHEN excluded.units > alerts.units THEN 'open' ELSE alerts.status END
    RETURNING * INTO alert;
    -- The newest hundred at a time: the way out is among them, and an item with thousands of open orders stays cheap.
    INSERT INTO alert_orders (alert_id, order_id, account_id)
    SELECT DISTINCT alert.id, line.order_id, for_account
      FROM (SELECT order_id FROM order_lines WHERE item_id = for_item AND held_reserved > 0 ORDER BY id DESC LIMIT 100) line
    ON CONFLICT DO NOTHING;
  END IF;
  SELECT coalesce(array_agg(order_id ORDER BY order_id), '{}') INTO named
    FROM (SELECT order_id FROM alert_orders WHERE alert_id = alert.id ORDER BY order_id DESC LIMIT 100) newest;
  INSERT INTO events (account_id, topic, subject_id, payload)
  VALUES (for_account, 'alert', alert.id, jsonb_build_object(
    'alertId', alert.id, 'kind', alert.kind, 'status', alert.status, 'itemId', alert.item_id, 'units', alert.units, 'orderIds', named));
  RETURN true;
END
$$;
