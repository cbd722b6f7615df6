/** Reads the ledger back the way an auditor would: the projection, the movements behind it, and whether both agree. */
import type { Queryable } from '../../src/db.ts';

export type Stock = {
  readonly quantity: number;
  readonly reserved: number;
  readonly available: number;
  readonly seq: number;
};

export async function readStock(db: Queryable, itemId: string): Promise<Stock> {
  const { rows } = await db.query<Stock>(
    'SELECT quantity, reserved, available, seq::int FROM inventory_items WHERE id = $1',
    [itemId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no item ${itemId}`);
  return row;
}

export type Movement = {
  readonly seq: number;
  readonly onHandDelta: number;
  readonly reservedDelta: number;
  readonly onHandAfter: number;
  readonly reservedAfter: number;
  readonly kind: string;
};

export async function readMovements(db: Queryable, itemId: string): Promise<readonly Movement[]> {
  const { rows } = await db.query<Movement>(
    `SELECT seq::int, on_hand_delta AS "onHandDelta", reserved_delta AS "reservedDelta", on_hand_after AS "onHandAfter",
            reserved_after AS "reservedAfter", kind::text
       FROM stock_movements WHERE item_id = $1 ORDER BY seq`,
    [itemId],
  );
  return rows;
}

/** What each order movement did to available, in ledger order. */
export async function availableDeltas(db: Queryable, itemId: string): Promise<readonly number[]> {
  const movements = await readMovements(db, itemId);
  return movements
    .filter(({ kind }) => kind === 'order')
    .map((movement) => movement.onHandDelta - movement.reservedDelta);
}

/**
 * Every breach of the ledger's promises over the whole database, in one snapshot: projection against movements, gapless seq, chained
 * running totals, and what lines hold against what their movements moved.
 */
export async function ledgerBreaches(db: Queryable): Promise<readonly unknown[]> {
  const { rows } = await db.query<{ breach: unknown }>(`
    WITH chained AS (
      SELECT item_id, seq, on_hand_after, reserved_after,
             row_number() OVER so_far AS expected_seq,
             sum(on_hand_delta) OVER so_far AS on_hand_sum, sum(reserved_delta) OVER so_far AS reserved_sum
        FROM stock_movements WINDOW so_far AS (PARTITION BY item_id ORDER BY seq)
    ),
    summed AS (
      SELECT item_id, count(*) AS movements, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
        FROM stock_movements GROUP BY item_id
    ),
    by_line AS (
      SELECT order_line_id, item_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
        FROM stock_movements WHERE order_line_id IS NOT NULL GROUP BY order_line_id, item_id
    ),
    -- What each line should have moved of each item: itself, or the components it was sold with beyond what it had moved before it was a bundle.
    held AS (
      SELECT line.id AS order_line_id, coalesce(part.component_id, line.item_id) AS item_id, line.held_reserved * coalesce(part.quantity, 1) AS reserved,
             -(line.held_shipped + coalesce(plain.on_hand, 0)) * coalesce(part.quantity, 1) AS on_hand
        FROM order_lines line LEFT JOIN order_line_components part ON part.order_line_id = line.id
        LEFT JOIN by_line plain ON plain.order_line_id = line.id AND plain.item_id = line.item_id AND part.component_id IS NOT NULL
       WHERE line.item_id IS NOT NULL
    ),
    reservation AS (
      SELECT held.reservation_id, held.item_id, CASE WHEN made.status = 'active' THEN held.quantity ELSE 0 END AS reserved,
             CASE WHEN made.status = 'committed' THEN -held.quantity ELSE 0 END AS on_hand
        FROM reservation_holdings held JOIN reservations made ON made.id = held.reservation_id
    ),
    by_reservation AS (
      SELECT reservation_id, item_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
        FROM stock_movements WHERE reservation_id IS NOT NULL GROUP BY reservation_id, item_id
    ),
    by_item AS (
      SELECT item_id, sum(reserved) AS reserved
        FROM (SELECT item_id, reserved FROM held UNION ALL SELECT item_id, reserved FROM reservation) every GROUP BY item_id
    )
    SELECT jsonb_build_object('chain', to_jsonb(chained)) AS breach FROM chained
     WHERE seq <> expected_seq OR on_hand_after <> on_hand_sum OR reserved_after <> reserved_sum
    UNION ALL
    SELECT jsonb_build_object('projection', to_jsonb(item), 'sums', to_jsonb(summed))
      FROM inventory_items item LEFT JOIN summed ON summed.item_id = item.id
     WHERE item.quantity <> coalesce(summed.on_hand, 0) OR item.reserved <> coalesce(summed.reserved, 0)
        OR item.seq <> coalesce(summed.movements, 0) OR item.available <> item.quantity - item.reserved
    UNION ALL
    SELECT jsonb_build_object('line', to_jsonb(held), 'moved', to_jsonb(by_line))
      FROM held LEFT JOIN by_line USING (order_line_id, item_id)
     WHERE held.reserved <> coalesce(by_line.reserved, 0) OR held.on_hand <> coalesce(by_line.on_hand, 0)
    UNION ALL
    SELECT jsonb_build_object('strange', to_jsonb(by_line))
      FROM by_line LEFT JOIN held USING (order_line_id, item_id) JOIN order_lines line ON line.id = by_line.order_line_id
     WHERE held.item_id IS NULL AND (by_line.item_id <> line.item_id OR by_line.reserved <> 0)
    UNION ALL
    SELECT jsonb_build_object('reservation', to_jsonb(reservation), 'moved', to_jsonb(by_reservation))
      FROM reservation FULL JOIN by_reservation USING (reservation_id, item_id)
     WHERE coalesce(reservation.reserved, -1) <> coalesce(by_reservation.reserved, -2) OR reservation.on_hand <> by_reservation.on_hand
    UNION ALL
    SELECT jsonb_build_object('reserved', to_jsonb(item), 'held', to_jsonb(by_item))
      FROM inventory_items item LEFT JOIN by_item ON by_item.item_id = item.id
     WHERE item.reserved <> coalesce(by_item.reserved, 0)`);
  return rows.map(({ breach }) => breach);
}
