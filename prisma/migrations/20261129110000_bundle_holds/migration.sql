-- What is withheld of an item counts for everything that shares units with it: of a component for its bundles, of a bundle for its components, and
-- through them for other bundles.

-- The item and every other one of which a listing's withheld units lower what may be shown of it. The same seen from either side.
CREATE FUNCTION item_kin(for_item uuid) RETURNS SETOF uuid LANGUAGE sql STABLE ROWS 4 AS $$
  SELECT for_item
  UNION SELECT component_id FROM bundle_components WHERE bundle_id = for_item
  UNION SELECT bundle_id FROM bundle_components WHERE component_id = for_item
  UNION SELECT other.bundle_id FROM bundle_components own JOIN bundle_components other ON other.component_id = own.component_id WHERE own.bundle_id = for_item
$$;

-- Units of an item, itself no bundle, that are withheld because readings suggest sales of it or of bundles with it, and what their undecided cuts withhold
-- (0 or less): the deepest and not the sum, because cuts in several places are usually one.
CREATE FUNCTION item_withheld(for_item uuid) RETURNS TABLE (holds integer, conflict_delta integer) LANGUAGE sql STABLE ROWS 1 AS $$
  SELECT least(1000000000, coalesce(sum(source.units * (SELECT sum(hold) FROM shadows WHERE item_id = source.id)), 0))::integer,
         greatest(-1000000000, least(0, min(source.units * (
           SELECT min(delta) FROM sync_conflicts
            WHERE item_id = source.id AND status = 'open' AND conflict_type <> 'price_mismatch'))))::integer
    FROM (SELECT for_item AS id, 1 AS units UNION ALL SELECT bundle_id, quantity FROM bundle_components WHERE component_id = for_item) source
$$;

-- What decides what may be shown of an item: what the ledger leaves, what is withheld of that, and the number of both. A bundle is the least over its
-- components at every step, rounded down, and what its own listings withhold is withheld of its components.
CREATE FUNCTION item_offer(for_item uuid) RETURNS TABLE (available integer, holds integer, conflict_delta integer, seq bigint) LANGUAGE sql STABLE ROWS 1 AS $$
  SELECT coalesce(made.available, 0)::integer, coalesce(made.available - made.unheld, 0)::integer, coalesce(made.agreed - made.unheld, 0)::integer,
         item.seq + item.seq_base + coalesce(made.seq, 0)::bigint
    FROM inventory_items item
    LEFT JOIN LATERAL (
      SELECT min(floor(part.available::double precision / part.units)) AS available,
             min(floor((part.available::double precision - withheld.holds) / part.units)) AS unheld,
             min(floor((part.available::double precision - withheld.holds + withheld.conflict_delta) / part.units)) AS agreed,
             sum(part.seq) AS seq
        FROM (
               SELECT item.id, 1 AS units, item.available, 0::bigint AS seq WHERE item.role <> 'bundle'
               UNION ALL
               SELECT component.id, recipe.quantity, component.available, component.seq + component.seq_base
                 FROM bundle_components recipe JOIN inventory_items component ON component.id = recipe.component_id
                WHERE recipe.bundle_id = item.id AND item.role = 'bundle'
             ) part CROSS JOIN LATERAL item_withheld(part.id) withheld
    ) made ON true
   WHERE item.id = for_item
$$;

-- As before, and less what is withheld of a bundle or of others with the same components.
CREATE OR REPLACE FUNCTION item_sellable(for_item uuid) RETURNS TABLE (available integer, seq bigint) LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN item.role = 'bundle' THEN coalesce(made.available, 0) ELSE item.available END,
         CASE WHEN item.role = 'bundle' THEN made.seq ELSE item.seq + item.seq_base END
    FROM inventory_items item
    LEFT JOIN LATERAL (
      SELECT offer.available - offer.holds + offer.conflict_delta AS available, offer.seq FROM item_offer(item.id) offer WHERE item.role = 'bundle'
    ) made ON true
   WHERE item.id = for_item
$$;
