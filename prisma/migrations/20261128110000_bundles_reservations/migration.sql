-- Bundles made of components, reservations for partners, and goods that come back after they were shipped.

-- ------------------------------------------------------------------------------------------------------------------ bundles

CREATE TYPE item_role AS ENUM ('plain', 'component', 'bundle');

ALTER TABLE inventory_items
  -- Kept by the triggers of bundle_components. One value: an item that is a component cannot be a bundle, so bundles never nest.
  ADD COLUMN role item_role NOT NULL DEFAULT 'plain',
  -- Units of it in the bundle that takes most of it; 0 for what is in none. Kept by the same triggers.
  ADD COLUMN part_max integer NOT NULL DEFAULT 0,
  -- Added to seq by item_sellable, so that its number also grows when an item becomes a bundle, changes its recipe or stops being one.
  ADD COLUMN seq_base bigint NOT NULL DEFAULT 0,
  -- A bundle is its components: it has no stock of its own, and no movement can give it any. One check instead of two: PostgreSQL makes each ready anew
  -- for every statement.
  DROP CONSTRAINT inventory_items_reserved_check,
  ADD CONSTRAINT inventory_items_reserved_check CHECK (reserved >= 0 AND (role <> 'bundle' OR (quantity = 0 AND reserved = 0)));

CREATE TABLE bundle_components (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  bundle_id uuid NOT NULL,
  component_id uuid NOT NULL,
  -- In the order in which they were named.
  position integer NOT NULL DEFAULT 0,
  -- Units of the component in one bundle.
  quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (bundle_id <> component_id),
  FOREIGN KEY (bundle_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (component_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE NO ACTION ON UPDATE CASCADE
);
CREATE UNIQUE INDEX bundle_components_bundle_id_component_id_key ON bundle_components (bundle_id, component_id);
CREATE INDEX bundle_components_component_id_idx ON bundle_components (component_id);

-- Whoever changes a recipe locks the bundle and all its components first, in the order of id (sync/bundles.ts): then no other recipe is changed under
-- this trigger, and every order of a component comes wholly before the change or sees it.
CREATE FUNCTION keep_item_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    UPDATE inventory_items SET role = 'plain', updated_at = now()
     WHERE id = OLD.bundle_id AND role = 'bundle' AND NOT EXISTS (SELECT FROM bundle_components WHERE bundle_id = OLD.bundle_id);
    UPDATE inventory_items SET role = 'plain', updated_at = now()
     WHERE id = OLD.component_id AND role = 'component' AND NOT EXISTS (SELECT FROM bundle_components WHERE component_id = OLD.component_id);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    UPDATE inventory_items SET role = 'bundle', updated_at = now() WHERE id = NEW.bundle_id AND role = 'plain';
    UPDATE inventory_items SET role = 'component', updated_at = now() WHERE id = NEW.component_id AND role = 'plain';
    IF NOT EXISTS (SELECT FROM inventory_items WHERE id = NEW.bundle_id AND role = 'bundle')
       OR NOT EXISTS (SELECT FROM inventory_items WHERE id = NEW.component_id AND role = 'component') THEN
      RAISE EXCEPTION 'a bundle cannot be part of another bundle'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'bundle_components_nesting', TABLE = 'bundle_components';
    END IF;
  END IF;
  UPDATE inventory_items item SET part_max = taken.units
    FROM (SELECT changed.id, coalesce((SELECT max(quantity) FROM bundle_components WHERE component_id = changed.id), 0) AS units
            FROM (VALUES (OLD.component_id), (NEW.component_id)) changed (id)) taken
   WHERE item.id = taken.id AND item.part_max <> taken.units;
  RETURN NULL;
END
$$;
CREATE TRIGGER bundle_components_roles AFTER INSERT OR DELETE OR UPDATE OF bundle_id, component_id, quantity ON bundle_components
  FOR EACH ROW EXECUTE FUNCTION keep_item_roles();

-- Tells those who follow the bundles that an item is part of, once each in a transaction, and answers these bundles. A volatile function reads with a
-- fresh snapshot: called under the lock on the item, it misses no recipe that was changed while the caller waited for that lock. Components are not
-- locked together: what a bundle can sell is only known once all is committed, so whoever tells a number reads it then.
CREATE FUNCTION tell_bundles(for_item uuid, for_kind movement_kind, for_reason stock_reason, for_order uuid) RETURNS SETOF uuid
LANGUAGE sql VOLATILE ROWS 2 AS $$
  INSERT INTO events (account_id, topic, subject_id, payload)
  SELECT bundle.account_id, 'stock', bundle.id, jsonb_build_object(
           'itemId', bundle.id, 'sku', bundle.sku, 'bundle', true, 'quantity', 0, 'reserved', 0, 'onHandDelta', 0, 'reservedDelta', 0,
           'kind', for_kind, 'orderId', for_order, 'reason', for_reason)
    FROM bundle_components part JOIN inventory_items bundle ON bundle.id = part.bundle_id
   WHERE part.component_id = for_item
     AND NOT EXISTS (SELECT FROM events told WHERE told.xid = (SELECT pg_current_xact_id()) AND told.topic = 'stock' AND told.subject_id = bundle.id);
  SELECT bundle_id FROM bundle_components WHERE component_id = for_item
$$;

-- What a line of a bundle was made of when it first moved stock, per unit of the line. Lines of plain items have no rows.
CREATE TABLE order_line_components (
  order_line_id uuid NOT NULL REFERENCES order_lines (id) ON DELETE CASCADE ON UPDATE CASCADE,
  component_id uuid NOT NULL,
  account_id uuid NOT NULL,
  quantity integer NOT NULL CHECK (quantity >= 1),
  PRIMARY KEY (order_line_id, component_id),
  FOREIGN KEY (component_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE NO ACTION ON UPDATE CASCADE
);
CREATE INDEX order_line_components_component_id_order_line_id_idx ON order_line_components (component_id, order_line_id);

-- Called where a line first moves stock, before it does: an alert about that stock then names the line's order. A function, because PostgreSQL would make
-- a part of the statement ready for every order, and few are for bundles.
CREATE FUNCTION keep_line_component(line uuid, component uuid, account uuid, units integer) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO order_line_components (order_line_id, component_id, account_id, quantity) VALUES (line, component, account, units)
$$;

-- A bundle sells as many as its scarcest component allows, units withheld for sales of the component that a reading suggests not counted. The sum of
-- the components' numbers grows with each of them.
CREATE OR REPLACE FUNCTION item_sellable(for_item uuid) RETURNS TABLE (available integer, seq bigint) LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN item.role = 'bundle' THEN coalesce(made.available, 0) ELSE item.available END, item.seq + item.seq_base + coalesce(made.seq, 0)::bigint
    FROM inventory_items item
    LEFT JOIN LATERAL (
      SELECT min(floor((component.available
               - coalesce((SELECT sum(hold) FROM shadows WHERE item_id = component.id), 0)
               + coalesce((SELECT least(0, min(delta)) FROM sync_conflicts
                            WHERE item_id = component.id AND status = 'open' AND conflict_type <> 'price_mismatch'), 0)
             )::double precision / part.quantity))::integer AS available,
             sum(component.seq + component.seq_base) AS seq
        FROM bundle_components part JOIN inventory_items component ON component.id = part.component_id
       WHERE part.bundle_id = item.id AND item.role = 'bundle'
    ) made ON true
   WHERE item.id = for_item
$$;

-- As before, and the orders that hold the item as part of a bundle.
CREATE OR REPLACE FUNCTION settle_oversell_alert(for_account uuid, for_item uuid, oversold integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
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
    -- The newest hundred at a time: the way out is among them, and an item with thousands of open orders stays cheap. Of the lines that sold it in a
    -- bundle the newest thousand are looked at.
    INSERT INTO alert_orders (alert_id, order_id, account_id)
    SELECT DISTINCT alert.id, line.order_id, for_account
      FROM (
        (SELECT id, order_id FROM order_lines
          WHERE item_id = for_item AND held_reserved > 0 AND NOT EXISTS (SELECT FROM order_line_components WHERE order_line_id = order_lines.id)
          ORDER BY id DESC LIMIT 100)
        UNION ALL
        (SELECT holding.id, holding.order_id
           FROM (SELECT order_line_id FROM order_line_components WHERE component_id = for_item ORDER BY order_line_id DESC LIMIT 1000) part
           JOIN order_lines holding ON holding.id = part.order_line_id
          WHERE holding.held_reserved > 0 ORDER BY holding.id DESC LIMIT 100)
        ORDER BY id DESC LIMIT 100
      ) line
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

-- Aborts a statement whose snapshot was overtaken while it waited for a lock, with the code that makes the caller run it again.
CREATE OR REPLACE FUNCTION retry_on_overtaken_snapshot() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE EXCEPTION 'what this statement began with was changed before it had its locks' USING ERRCODE = 'serialization_failure';
END
$$;

-- ------------------------------------------------------------------------------------------------------------- reservations

ALTER TYPE movement_kind ADD VALUE 'reservation';
CREATE TYPE reservation_status AS ENUM ('active', 'committed', 'released', 'expired');

CREATE TABLE reservations (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE ON UPDATE CASCADE,
  status reservation_status NOT NULL DEFAULT 'active',
  reference text,
  -- From then on it can only end: whoever sees it first gives its units back.
  expires_at timestamptz(3) NOT NULL,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  ended_at timestamptz(3),
  CHECK ((status = 'active') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX reservations_id_account_id_key ON reservations (id, account_id);
CREATE INDEX reservations_account_id_id_idx ON reservations (account_id, id);
CREATE INDEX reservations_account_id_updated_at_id_idx ON reservations (account_id, updated_at, id);
CREATE INDEX reservations_account_id_status_id_idx ON reservations (account_id, status, id);
CREATE INDEX reservations_expiring_idx ON reservations (expires_at) WHERE status = 'active';

-- What was asked for: items and bundles.
CREATE TABLE reservation_lines (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  reservation_id uuid NOT NULL,
  account_id uuid NOT NULL,
  item_id uuid NOT NULL,
  position integer NOT NULL DEFAULT 0,
  quantity integer NOT NULL CHECK (quantity > 0),
  FOREIGN KEY (reservation_id, account_id) REFERENCES reservations (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE NO ACTION ON UPDATE CASCADE
);
CREATE UNIQUE INDEX reservation_lines_reservation_id_item_id_key ON reservation_lines (reservation_id, item_id);
CREATE INDEX reservation_lines_item_id_idx ON reservation_lines (item_id);

-- What it holds, bundles taken apart: exactly this is given back or leaves. Never changed.
CREATE TABLE reservation_holdings (
  reservation_id uuid NOT NULL,
  item_id uuid NOT NULL,
  account_id uuid NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (reservation_id, item_id),
  FOREIGN KEY (reservation_id, account_id) REFERENCES reservations (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE NO ACTION ON UPDATE CASCADE
);
CREATE INDEX reservation_holdings_item_id_idx ON reservation_holdings (item_id);

-- The lines of a wish as rows, a handful of them: see incoming_lines.
CREATE FUNCTION wished_lines(lines jsonb) RETURNS TABLE (item_id uuid, quantity bigint, "position" integer) LANGUAGE sql VOLATILE STRICT ROWS 2 AS $$
  SELECT line."itemId", line.quantity, line."position"
    FROM jsonb_to_recordset(lines) AS line ("itemId" uuid, quantity bigint, "position" integer)
$$;

-- ------------------------------------------------------------------------------------------------------------------ returns

ALTER TABLE order_lines
  -- The most units that any snapshot, whenever it arrived, showed as having left.
  ADD COLUMN shipped_max integer NOT NULL DEFAULT 0,
  -- Units that the seller says came back, and how many of those went on the shelf again. What the channel takes back by itself is a count of its own:
  -- the larger of both counts, never their sum.
  ADD COLUMN returned integer NOT NULL DEFAULT 0,
  ADD COLUMN restocked integer NOT NULL DEFAULT 0;
UPDATE order_lines SET shipped_max = greatest(shipped, held_shipped) WHERE shipped > 0 OR held_shipped > 0;
ALTER TABLE order_lines
  ADD CONSTRAINT order_lines_returned_check CHECK (0 <= restocked AND restocked <= returned AND returned <= shipped_max);

CREATE TABLE order_returns (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  order_id uuid NOT NULL,
  order_line_id uuid NOT NULL REFERENCES order_lines (id) ON DELETE CASCADE ON UPDATE CASCADE,
  quantity integer NOT NULL CHECK (quantity > 0),
  restock boolean NOT NULL,
  reason stock_reason NOT NULL,
  reference text,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  FOREIGN KEY (order_id, account_id) REFERENCES orders (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX order_returns_order_id_id_idx ON order_returns (order_id, id);
CREATE INDEX order_returns_order_line_id_idx ON order_returns (order_line_id);

-- A reservation is a cause like an order line. Compared as text: a member cannot be used in the transaction that adds it.
ALTER TABLE stock_movements
  ADD COLUMN reservation_id uuid,
  DROP CONSTRAINT stock_movements_check1,
  DROP CONSTRAINT stock_movements_check2,
  -- An order says why only where the seller took goods back.
  ADD CONSTRAINT stock_movements_cause_check CHECK (CASE kind::text
    WHEN 'order' THEN order_line_id IS NOT NULL AND reservation_id IS NULL AND (reason IS NULL OR reason = 'returned')
    WHEN 'reservation' THEN order_line_id IS NULL AND reservation_id IS NOT NULL AND reason IS NULL
    ELSE order_line_id IS NULL AND reservation_id IS NULL AND reason IS NOT NULL END);
CREATE INDEX stock_movements_reservation_id_idx ON stock_movements (reservation_id) WHERE reservation_id IS NOT NULL;
