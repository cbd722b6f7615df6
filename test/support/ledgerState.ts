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
      SELECT order_line_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
        FROM stock_movements WHERE order_line_id IS NOT NULL GROUP BY order_line_id
    ),
    by_item AS (
      SELECT item_id, sum(held_reserved) AS reserved FROM order_lines WHERE item_id IS NOT NULL GROUP BY item_id
    )
    SELECT jsonb_build_object('chain', to_jsonb(chained)) AS breach FROM chained
     WHERE seq <> expected_seq OR on_hand_after <> on_hand_sum OR reserved_after <> reserved_sum
    UNION ALL
    SELECT jsonb_build_object('projection', to_jsonb(item), 'sums', to_jsonb(summed))
      FROM inventory_items item LEFT JOIN summed ON summed.item_id = item.id
     WHERE item.quantity <> coalesce(summed.on_hand, 0) OR item.reserved <> coalesce(summed.reserved, 0)
        OR item.seq <> coalesce(summed.movements, 0) OR item.available <> item.quantity - item.reserved
    UNION ALL
    SELECT jsonb_build_object('line', to_jsonb(line), 'moved', to_jsonb(by_line))
      FROM order_lines line LEFT JOIN by_line ON by_line.order_line_id = line.id
     WHERE line.held_reserved <> coalesce(by_line.reserved, 0) OR -line.held_shipped <> coalesce(by_line.on_hand, 0)
    UNION ALL
    SELECT jsonb_build_object('reserved', to_jsonb(item), 'held', to_jsonb(by_item))
      FROM inventory_items item LEFT JOIN by_item ON by_item.item_id = item.id
     WHERE item.reserved <> coalesce(by_item.reserved, 0)`);
  return rows.map(({ breach }) => breach);
}
