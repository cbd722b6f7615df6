-- Who changed which rule, alerts of every kind, and how long things take.

CREATE TYPE setting_kind AS ENUM ('rule', 'sync_enabled', 'low_stock_units', 'still_on_sale_after_s');

ALTER TABLE accounts
  -- How long a sold-out item may go on being shown before `still_on_sale` is raised.
  ADD COLUMN still_on_sale_after_s integer NOT NULL DEFAULT 300 CHECK (still_on_sale_after_s BETWEEN 0 AND 86400);

ALTER TABLE connections
  -- When the first of the errors in a row came; null while the channel answers. `last_error_at` moves with every other error.
  ADD COLUMN failing_since timestamptz(3);
UPDATE connections SET failing_since = last_error_at WHERE last_error IS NOT NULL;

-- What two levels of rules say together. `buffer` and `automaticBuffer` are one setting: whichever the nearer level names replaces both.
CREATE FUNCTION merged_rule(far jsonb, near jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN near ?| ARRAY['buffer', 'automaticBuffer'] THEN far - 'buffer' - 'automaticBuffer' ELSE far END || near
$$;

-- The smallest buffer b with P[Poisson(mean) > b] <= epsilon, as the code that decides about a listing has it.
CREATE FUNCTION automatic_buffer(mean float8, epsilon float8) RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  term float8;
  within float8;
  buffer integer := 0;
BEGIN
  IF mean > 500 THEN RETURN ceil(mean + 6 * sqrt(mean)); END IF;
  term := exp(-mean);
  within := term;
  WHILE 1 - within > epsilon AND term > 1e-300 LOOP
    buffer := buffer + 1;
    term := term * mean / buffer;
    within := within + term;
  END LOOP;
  RETURN buffer;
END $$;

-- What a listing shows of so many units that may be sold, by what all its levels say together, as the code that decides about it has it. Work is sorted by
-- it; no number that is written comes from here. `mean` is what its other listings are expected to sell before a lowered number is in force.
CREATE FUNCTION rule_target(sellable integer, mean float8, rule jsonb) RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  rest integer := greatest(0, sellable);
  target integer;
BEGIN
  IF rule = '{}' THEN RETURN rest; END IF;
  IF rule ? 'buffer' THEN rest := greatest(0, sellable - (rule->>'buffer')::integer);
  ELSIF rule ? 'automaticBuffer' THEN rest := greatest(0, sellable - automatic_buffer(mean, (rule->>'automaticBuffer')::float8));
  END IF;
  IF (rule->>'paused')::boolean OR rest < (rule->>'cutOff')::integer THEN RETURN 0; END IF;
  target := CASE WHEN rule ? 'fixed' THEN least(rest, (rule->>'fixed')::integer)
                 WHEN rule ? 'share' THEN floor(rest * (rule->>'share')::float8)
                 ELSE rest END;
  -- `least` and `greatest` leave out what no level says.
  RETURN least(greatest(target, least(rest, coalesce((rule->>'quantityMin')::integer, 0))), (rule->>'quantityMax')::integer);
END $$;

-- Every change of a setting that decides what channels show, or when people are alerted.
CREATE TABLE setting_changes (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  -- Of the connection, or of the listing; of the account where both are null.
  connection_id uuid,
  listing_id uuid,
  setting setting_kind NOT NULL,
  before jsonb NOT NULL,
  after jsonb NOT NULL,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (num_nonnulls(connection_id, listing_id) <= 1),
  FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX setting_changes_id_account_id_key ON setting_changes (id, account_id);
CREATE INDEX setting_changes_account_id_id_idx ON setting_changes (account_id, id);
CREATE INDEX setting_changes_listing_id_idx ON setting_changes (listing_id, id) WHERE listing_id IS NOT NULL;
CREATE INDEX setting_changes_connection_id_idx ON setting_changes (connection_id, id) WHERE connection_id IS NOT NULL;

-- ------------------------------------------------------------------------------------------------------------- alerts

-- What is sold out, for the sweep: it looks at these and at nothing else. A bundle's own number is always 0; it is found by how many of the bundle that
-- takes most of a component could be made of it. With statistics of their own: PostgreSQL takes role and available for independent, and where a tenth of
-- all items are bundles it would expect a tenth of all others to be sold out.
CREATE INDEX inventory_items_sold_out_idx ON inventory_items (id) WHERE (CASE WHEN role <> 'bundle' THEN available END) <= 0;
CREATE STATISTICS inventory_items_own_stock ON (CASE WHEN role <> 'bundle' THEN available END) FROM inventory_items;
CREATE INDEX inventory_items_bundles_left_idx ON inventory_items ((available / nullif(part_max, 0))) WHERE (available / nullif(part_max, 0)) IS NOT NULL;
CREATE STATISTICS inventory_items_bundles_left ON (available / nullif(part_max, 0)) FROM inventory_items;
CREATE INDEX shadows_held_idx ON shadows (item_id) WHERE hold > 0;
CREATE INDEX alerts_unresolved_idx ON alerts (kind, item_id) WHERE status <> 'resolved';

-- One row. Items changed before `items_until` have been looked at.
CREATE TABLE alert_sweeps (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  items_until timestamptz(3) NOT NULL DEFAULT now(),
  -- When everything that is sold out was last looked at, changed or not.
  everything_at timestamptz(3) NOT NULL DEFAULT now()
);
INSERT INTO alert_sweeps DEFAULT VALUES;

-- Tells subscribers how an alert stands, in the caller's transaction.
CREATE FUNCTION tell_alert(told alerts) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO events (account_id, topic, subject_id, payload)
  VALUES (told.account_id, 'alert', told.id, jsonb_build_object(
    'alertId', told.id, 'kind', told.kind, 'status', told.status, 'itemId', told.item_id, 'connectionId', told.connection_id,
    'units', told.units, 'message', told.message,
    'orderIds', (SELECT coalesce(jsonb_agg(order_id ORDER BY order_id), '[]')
                   FROM (SELECT order_id FROM alert_orders WHERE alert_id = told.id ORDER BY order_id DESC LIMIT 100) newest)))
$$;

-- The one alert of a kind about an item or a connection that is not resolved; null when there is none. Each way is one index, also while a table that
-- is growing by thousands of rows is still thought to be empty.
CREATE FUNCTION current_alert(of_kind alert_kind, of_item uuid, of_connection uuid) RETURNS uuid LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  IF of_item IS NOT NULL THEN
    RETURN (SELECT id FROM alerts WHERE item_id = of_item AND kind = of_kind AND status <> 'resolved');
  END IF;
  RETURN (SELECT id FROM alerts WHERE connection_id = of_connection AND kind = of_kind AND status <> 'resolved');
END
$$;

-- Raises the one alert of a kind about an item or a connection, or brings it up to date. True when that changed anything: any number of workers may
-- find the same cause at the same moment, and subscribers hear of it once.
CREATE FUNCTION raise_alert(for_account uuid, for_kind alert_kind, for_item uuid, for_connection uuid, new_units integer, new_message text)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  raised alerts;
BEGIN
  UPDATE alerts SET units = new_units, message = new_message, updated_at = now(),
         -- More units on sale, or more listings to change, concern people again although they had seen the fewer.
         status = CASE WHEN new_units > units AND for_kind IN ('oversell_risk', 'still_on_sale', 'blast_stopped') THEN 'open' ELSE status END
   WHERE id = current_alert(for_kind, for_item, for_connection) AND status <> 'resolved'
     AND (units, message) IS DISTINCT FROM (new_units, new_message)
  RETURNING * INTO raised;
  IF NOT FOUND THEN
    INSERT INTO alerts (account_id, kind, item_id, connection_id, units, message)
    VALUES (for_account, for_kind, for_item, for_connection, new_units, new_message)
    ON CONFLICT DO NOTHING RETURNING * INTO raised;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  PERFORM tell_alert(raised);
  RETURN true;
END
$$;

-- Closes what `raise_alert` raised. True when there was something to close.
CREATE FUNCTION resolve_alert(for_kind alert_kind, for_item uuid, for_connection uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  closed alerts;
BEGIN
  UPDATE alerts SET status = 'resolved', units = 0, resolved_at = now(), updated_at = now()
   WHERE id = current_alert(for_kind, for_item, for_connection) AND status <> 'resolved'
  RETURNING * INTO closed;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM tell_alert(closed);
  RETURN true;
END
$$;

-- How people write a marketplace's name.
CREATE FUNCTION platform_name(platform platform) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE platform WHEN 'ebay' THEN 'eBay' ELSE initcap(platform::text) END
$$;

-- ----------------------------------------------------------------------------------------------------------- measures

-- The newest 200 samples (milliseconds) and what they say. `count` is how many there ever were.
CREATE FUNCTION measured(known jsonb, fresh integer[]) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  WITH kept AS (
    SELECT ms, place FROM (
      SELECT ms::integer, place FROM jsonb_array_elements_text(coalesce(known->'samples', '[]')) WITH ORDINALITY earlier (ms, place)
      UNION ALL
      SELECT ms, 1000000 + place FROM unnest(fresh) WITH ORDINALITY newer (ms, place)
    ) sample ORDER BY place DESC LIMIT 200
  )
  SELECT jsonb_build_object(
    'samples', coalesce(jsonb_agg(ms ORDER BY place), '[]'), 'count', coalesce((known->>'count')::bigint, 0) + cardinality(fresh),
    'p50', percentile_disc(0.5) WITHIN GROUP (ORDER BY ms), 'p90', percentile_disc(0.9) WITHIN GROUP (ORDER BY ms),
    'p95', percentile_disc(0.95) WITHIN GROUP (ORDER BY ms), 'max', max(ms))
    FROM kept
$$;

-- Up to which movement an item's sales have been measured: each counts once, whoever brings the last channel in step.
CREATE TABLE measured_sales (
  item_id uuid PRIMARY KEY,
  account_id uuid NOT NULL,
  seq bigint NOT NULL,
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX measured_sales_item_id_account_id_key ON measured_sales (item_id, account_id);

CREATE INDEX listing_writes_open_listing_idx ON listing_writes (listing_id) WHERE state IN ('sent', 'accepted', 'unknown');
CREATE INDEX listing_writes_error_idx ON listing_writes (connection_id, sent_at) WHERE error IS NOT NULL;
CREATE INDEX shadows_resurrected_idx ON shadows (connection_id) INCLUDE (resurrected_units) WHERE resurrected_units > 0;
CREATE INDEX webhook_deliveries_failed_idx ON webhook_deliveries (connection_id) WHERE status = 'failed';

-- ---------------------------------------------------------------------------------------------- catching up by the last change

CREATE INDEX jobs_account_id_updated_at_id_idx ON jobs (account_id, updated_at, id);
CREATE INDEX sync_operations_account_id_updated_at_id_idx ON sync_operations (account_id, updated_at, id);
CREATE INDEX sync_conflicts_account_id_updated_at_id_idx ON sync_conflicts (account_id, updated_at, id);
