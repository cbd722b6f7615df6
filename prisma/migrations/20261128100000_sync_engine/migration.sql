-- What the sync engine believes, decides and must not forget: shadows, channel sales, target rules, escrow, conflicts' deltas and the blast guard.

ALTER TYPE movement_kind ADD VALUE 'resolution';
ALTER TYPE alert_kind ADD VALUE 'oversell_risk';
ALTER TYPE alert_kind ADD VALUE 'low_stock';
ALTER TYPE alert_kind ADD VALUE 'still_on_sale';
ALTER TYPE alert_kind ADD VALUE 'broken_connection';
ALTER TYPE alert_kind ADD VALUE 'blast_stopped';

CREATE TYPE protection AS ENUM ('shared', 'escrow', 'automatic');

-- One level of target rules. What a level leaves out, the level above it decides.
CREATE FUNCTION is_target_rule(rule jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jsonb_typeof(rule) = 'object'
     AND NOT EXISTS (
       SELECT FROM jsonb_each(rule) AS member (name, value)
        WHERE NOT coalesce(CASE
          WHEN name IN ('buffer', 'cutOff', 'quantityMax', 'quantityMin', 'fixed')
            THEN jsonb_typeof(value) = 'number' AND value::numeric = trunc(value::numeric) AND value::numeric BETWEEN 0 AND 1000000000
          WHEN name = 'share' THEN jsonb_typeof(value) = 'number' AND value::numeric BETWEEN 0 AND 1
          -- Accepted probability that the other channels sell more than the automatic buffer before a lowered number is in force.
          WHEN name = 'automaticBuffer' THEN jsonb_typeof(value) = 'number' AND value::numeric > 0 AND value::numeric < 1
          WHEN name = 'paused' THEN jsonb_typeof(value) = 'boolean'
        END, false))
$$;

ALTER TABLE accounts
  ADD COLUMN rule jsonb NOT NULL DEFAULT '{}' CHECK (is_target_rule(rule)),
  -- How a proven conflict is resolved without asking, and up to how many units; manual_review never is.
  ADD COLUMN auto_resolution conflict_resolution NOT NULL DEFAULT 'use_lowest',
  ADD COLUMN auto_resolution_units_max integer NOT NULL DEFAULT 10 CHECK (auto_resolution_units_max >= 0),
  -- At or below this many available units an item is low on stock; null for no such alert.
  ADD COLUMN low_stock_units integer CHECK (low_stock_units >= 0);

ALTER TABLE connections
  ADD COLUMN rule jsonb NOT NULL DEFAULT '{}' CHECK (is_target_rule(rule)),
  -- Bounds of this channel in milliseconds, where the seller has set them; null means the marketplace's default.
  ADD COLUMN stale_max_ms integer CHECK (stale_max_ms >= 0),
  ADD COLUMN settle_max_ms integer CHECK (settle_max_ms >= 0),
  ADD COLUMN index_lag_ms integer CHECK (index_lag_ms >= 0),
  ADD COLUMN clock_skew_max_ms integer CHECK (clock_skew_max_ms >= 0),
  -- What was measured, with a margin. Widens a bound, never narrows it.
  ADD COLUMN stale_measured_ms integer CHECK (stale_measured_ms >= 0),
  ADD COLUMN settle_measured_ms integer CHECK (settle_measured_ms >= 0),
  ADD COLUMN index_lag_measured_ms integer CHECK (index_lag_measured_ms >= 0),
  -- The marketplace's defaults, so that they can be counted with and shown where no connector is at hand.
  ADD COLUMN default_bounds jsonb NOT NULL DEFAULT '{}',
  -- Units that a write of ours may have offered a second time, ever: it outlives the shadows that found them.
  ADD COLUMN resurrected_units bigint NOT NULL DEFAULT 0 CHECK (resurrected_units >= 0),
  -- Recent samples of sale-to-known, write-to-effective and sale-to-everywhere, in milliseconds, by name.
  ADD COLUMN measures jsonb NOT NULL DEFAULT '{}',
  -- Until then orders are asked for sooner than as a rule, because one that was lost could cost an oversell.
  ADD COLUMN watched_until timestamptz(3),
  ADD COLUMN zero_share_max real NOT NULL DEFAULT 0.2 CHECK (zero_share_max BETWEEN 0 AND 1),
  ADD COLUMN change_share_max real NOT NULL DEFAULT 0.5 CHECK (change_share_max BETWEEN 0 AND 1);
UPDATE connections SET rule = jsonb_build_object('buffer', buffer) WHERE buffer > 0;
ALTER TABLE connections DROP COLUMN buffer;

ALTER TABLE listings ADD COLUMN rule jsonb NOT NULL DEFAULT '{}' CHECK (is_target_rule(rule));
UPDATE listings SET rule = jsonb_strip_nulls(jsonb_build_object('buffer', buffer, 'quantityMax', quantity_max))
 WHERE buffer IS NOT NULL OR quantity_max IS NOT NULL;
ALTER TABLE listings DROP COLUMN buffer, DROP COLUMN quantity_max;

ALTER TABLE inventory_items ADD COLUMN protection protection NOT NULL DEFAULT 'shared';

-- What may be sold of an item, and a number that grows with every change of it: one place that knows what an item is made of.
CREATE FUNCTION item_sellable(for_item uuid) RETURNS TABLE (available integer, seq bigint) LANGUAGE sql STABLE AS $$
  SELECT available, seq FROM inventory_items WHERE id = for_item
$$;

-- Where a line was bought, for the shadow of that listing; null when the channel does not say and no listing of it is known.
ALTER TABLE order_lines ADD COLUMN listing_id uuid;

-- True when the change came from people or files and counts towards the blast guard; sales never do.
ALTER TABLE dirty_listings ADD COLUMN guarded boolean NOT NULL DEFAULT true;
-- True while whoever holds the lease is to read it first; `reread` then tells whether somebody has asked for that again.
ALTER TABLE dirty_listings ADD COLUMN leased_reread boolean NOT NULL DEFAULT false;

-- What we believe one listing shows: the shadow of sync-model.md section 3, and what others must know of it without reading it.
CREATE TABLE shadows (
  listing_id uuid PRIMARY KEY REFERENCES listings (id) ON DELETE CASCADE ON UPDATE CASCADE,
  account_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  item_id uuid NOT NULL,
  state jsonb NOT NULL,
  -- Units withheld everywhere because a reading suggests sales that are not known.
  hold integer NOT NULL DEFAULT 0 CHECK (hold >= 0),
  -- True while a reading is above everything that can be: then nothing is raised anywhere.
  raises_stopped boolean NOT NULL DEFAULT false,
  -- What it shows now, at least and at most.
  shown_min integer NOT NULL CHECK (shown_min >= 0),
  shown_max integer NOT NULL CHECK (shown_max >= shown_min),
  resurrected_units integer NOT NULL DEFAULT 0 CHECK (resurrected_units >= 0),
  -- Units it sells per hour while it shows some, recent sales weighing more.
  sold_per_hour real NOT NULL DEFAULT 0 CHECK (sold_per_hour >= 0),
  -- When it should be read next.
  read_due_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX shadows_item_id_idx ON shadows (item_id);
CREATE INDEX shadows_connection_id_read_due_at_idx ON shadows (connection_id, read_due_at);
CREATE INDEX shadows_account_id_idx ON shadows (account_id);

-- Units sold on a channel, or come back there, that the listing's shadow has not taken in yet; taken in and removed in one transaction.
CREATE TABLE channel_sales (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id uuid NOT NULL,
  listing_id uuid NOT NULL REFERENCES listings (id) ON DELETE CASCADE ON UPDATE CASCADE,
  order_id uuid NOT NULL,
  -- Above 0 sold, below 0 come back by a cancellation or an edit.
  units integer NOT NULL CHECK (units <> 0),
  -- The channel's clock: somewhere in between it happened.
  sold_from timestamptz(3) NOT NULL,
  sold_until timestamptz(3) NOT NULL,
  known_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (sold_from <= sold_until)
);
CREATE INDEX channel_sales_listing_id_id_idx ON channel_sales (listing_id, id);

-- An item under escrow: available = free + the rights of its listings. `seq` is the ledger's up to which it is booked.
CREATE TABLE escrows (
  item_id uuid PRIMARY KEY,
  account_id uuid NOT NULL,
  state jsonb NOT NULL,
  seq bigint NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX escrows_account_id_idx ON escrows (account_id);
CREATE UNIQUE INDEX escrows_item_id_account_id_key ON escrows (item_id, account_id);

ALTER TABLE sync_conflicts
  ADD COLUMN delta bigint NOT NULL DEFAULT 0,
  -- The person or key that decided; null for the account's own policy.
  ADD COLUMN resolved_by text,
  -- The movement that the resolution made; null when it made none.
  ADD COLUMN movement_id uuid;

-- An alert is about an item, or about a connection.
ALTER TABLE alerts
  ALTER COLUMN item_id DROP NOT NULL,
  ADD COLUMN connection_id uuid,
  ADD COLUMN message text,
  ADD CHECK (num_nonnulls(item_id, connection_id) = 1),
  ADD FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE;
CREATE UNIQUE INDEX alerts_current_connection_key ON alerts (connection_id, kind) WHERE status <> 'resolved' AND connection_id IS NOT NULL;

-- What has been written to a connection's listings on the seller's behalf since `since`, so that the blast guard holds across retries and restarts.
CREATE TABLE blast_counts (
  connection_id uuid PRIMARY KEY,
  account_id uuid NOT NULL,
  since timestamptz(3) NOT NULL DEFAULT now(),
  zeroed uuid[] NOT NULL DEFAULT '{}',
  changed uuid[] NOT NULL DEFAULT '{}',
  stopped_at timestamptz(3),
  -- A person has looked at it: until then everything may go.
  approved_until timestamptz(3),
  approved_by text,
  FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX blast_counts_connection_id_account_id_key ON blast_counts (connection_id, account_id);
