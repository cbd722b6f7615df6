/** Loads what explains the numbers of listings, for many at once and in one snapshot, and has it explained. */
import type pg from 'pg';
import type { Platform } from '../connectors/connector.ts';
import { inTransaction } from '../db.ts';
import type { Escrow } from './core/escrow.ts';
import type { Shadow } from './core/shadow.ts';
import {
  type ConnectionStatus,
  type Explanation,
  explanationOf,
  type OpenConflict,
  type WriteState,
} from './explanation.ts';
import { isObserved } from './observations.ts';
import { revived } from './shadowSql.ts';
import { type ChannelMaxOf, channelMaxima, type ListingTarget, loadTargets, storedRule } from './targets.ts';

export type ExplanationOptions = {
  readonly pool: pg.Pool;
  readonly channelMaxOf: ChannelMaxOf;
  /** Milliseconds. */
  readonly now: () => number;
};

type Row = {
  id: string;
  platform: Platform;
  connection_id: string;
  connection_name: string;
  connection_status: ConnectionStatus;
  connection_sync: boolean;
  awaiting_plan: boolean;
  sync_enabled: boolean;
  writable: boolean;
  sells_beyond: boolean;
  quantity: number | null;
  quantity_at: Date | null;
  observed: boolean;
  waiting_since: Date | null;
  item_id: string | null;
  on_hand: number | null;
  reserved: number | null;
  account_rule: unknown;
  connection_rule: unknown;
  listing_rule: unknown;
  shadow: unknown;
  escrow: Escrow | null;
  holding: {
    listingId: string;
    platform: Platform;
    connectionName: string;
    units: number;
    shadow: unknown;
  }[];
  conflicts: (Omit<OpenConflict, 'since'> & { since: string })[];
  others: { listingId: string; platform: Platform; connectionName: string }[];
  parts: { itemId: string; sku: string; quantity: number; available: number }[];
  write_key: string | null;
  write_quantity: number;
  write_state: WriteState;
  write_seq: string;
  write_error: string | null;
  sent_at: Date;
  settled_at: Date | null;
  orders_since: number;
  units_since: number;
};

const connectionsSql = `SELECT id, connection_id AS "connectionId" FROM listings WHERE id = ANY($2) AND account_id = $1`;

/** Lines that became known since the push are found by their time-ordered ids; of these the ones that the channel sold since then count. */
const rowsSql = `
SELECT listing.id, listing.platform, listing.connection_id, connection.name AS connection_name, connection.status AS connection_status,
       connection.sync_enabled AS connection_sync, connection.awaiting_plan, listing.sync_enabled, listing.writable, listing.sells_beyond, listing.quantity,
       listing.quantity_at, ${isObserved} AS observed, dirty.since AS waiting_since,
       item.id AS item_id, item.quantity AS on_hand, item.reserved,
       account.rule AS account_rule, connection.rule AS connection_rule, listing.rule AS listing_rule,
       shadow.state->'shadow' AS shadow, escrow.state AS escrow,
       (SELECT coalesce(json_agg(json_build_object('listingId', other.id, 'platform', other.platform, 'connectionName', place.name,
                                                   'units', holding.hold * coalesce(part.quantity, 1), 'shadow', holding.state->'shadow') ORDER BY other.platform, other.id), '[]')
          FROM shadows holding JOIN listings other ON other.id = holding.listing_id JOIN connections place ON place.id = other.connection_id
          LEFT JOIN bundle_components part ON part.bundle_id = holding.item_id AND part.component_id = listing.item_id
         WHERE holding.item_id IN (SELECT item_kin(listing.item_id)) AND holding.hold > 0) AS holding,
       (SELECT coalesce(json_agg(json_build_object('conflictId', conflict.id, 'listingId', conflict.listing_id, 'platform', other.platform,
                                                   'type', conflict.conflict_type, 'delta', conflict.delta, 'since', conflict.created_at) ORDER BY conflict.id), '[]')
          FROM sync_conflicts conflict LEFT JOIN listings other ON other.id = conflict.listing_id
         WHERE conflict.item_id IN (SELECT item_kin(listing.item_id)) AND conflict.status = 'open' AND conflict.conflict_type <> 'price_mismatch') AS conflicts,
       (SELECT coalesce(json_agg(json_build_object('listingId', other.id, 'platform', other.platform, 'connectionName', place.name) ORDER BY other.platform, other.id), '[]')
          FROM listings other JOIN connections place ON place.id = other.connection_id
         WHERE other.item_id = listing.item_id AND other.id <> listing.id AND escrow.item_id IS NOT NULL) AS others,
       (SELECT coalesce(json_agg(json_build_object('itemId', part.id, 'sku', part.sku, 'quantity', recipe.quantity, 'available', part.available) ORDER BY part.sku), '[]')
          FROM bundle_components recipe JOIN inventory_items part ON part.id = recipe.component_id
         WHERE recipe.bundle_id = listing.item_id AND item.role = 'bundle') AS parts,
       write.id AS write_key, write.quantity AS write_quantity, write.state AS write_state, write.target_seq AS write_seq, write.error AS write_error,
       write.sent_at, write.settled_at, sold.orders AS orders_since, sold.units AS units_since
  FROM listings listing
  JOIN connections connection ON connection.id = listing.connection_id
  JOIN accounts account ON account.id = listing.account_id
  LEFT JOIN inventory_items item ON item.id = listing.item_id
  LEFT JOIN dirty_listings dirty ON dirty.listing_id = listing.id
  LEFT JOIN shadows shadow ON shadow.listing_id = listing.id
  LEFT JOIN escrows escrow ON escrow.item_id = listing.item_id
  LEFT JOIN LATERAL (SELECT * FROM listing_writes WHERE listing_id = listing.id ORDER BY id DESC LIMIT 1) write ON true
  LEFT JOIN LATERAL (
    SELECT count(DISTINCT line.order_id)::int AS orders, coalesce(sum(line.held_reserved + line.held_shipped), 0)::int AS units
      FROM order_lines line JOIN orders ON orders.id = line.order_id AND orders.channel_created_at > write.sent_at
     WHERE line.item_id = listing.item_id AND line.held_reserved + line.held_shipped > 0 AND orders.connection_id = listing.connection_id
       AND coalesce(line.listing_id, listing.id) = listing.id
       AND line.id >= (lpad(to_hex((extract(epoch FROM write.sent_at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
  ) sold ON true
 WHERE listing.id = ANY($2) AND listing.account_id = $1`;

/** By listing id; listings of other accounts are left out. */
export async function explainListings(
  options: ExplanationOptions,
  accountId: string,
  listingIds: readonly string[],
): Promise<ReadonlyMap<string, Explanation>> {
  const places = await options.pool.query<{ id: string; connectionId: string }>(connectionsSql, [
    accountId,
    listingIds,
  ]);
  const maxOf = await channelMaxima(places.rows, options.channelMaxOf);
  const { rows, targets } = await inTransaction(options.pool, async (client) => {
    await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const loaded = await client.query<Row>(rowsSql, [accountId, listingIds]);
    const ids = places.rows.map(({ id }) => id);
    return { rows: loaded.rows, targets: await loadTargets(client, ids, maxOf) };
  });
  const now = options.now();
  return new Map(rows.map((row) => [row.id, explain(row, targets.get(row.id) ?? null, now)]));
}

function explain(row: Row, target: ListingTarget | null, now: number): Explanation {
  const pushed = row.write_key !== null;
  return explanationOf(
    {
      listing: {
        id: row.id,
        platform: row.platform,
        syncEnabled: row.sync_enabled,
        writable: row.writable,
        sellsBeyond: row.sells_beyond,
        quantity: row.quantity,
        quantityAt: row.quantity_at,
        observed: row.observed,
        waitingSince: row.waiting_since,
      },
      connection: {
        name: row.connection_name,
        status: row.connection_status,
        syncEnabled: row.connection_sync,
        awaitingPlan: row.awaiting_plan,
      },
      item:
        row.item_id === null
          ? null
          : { id: row.item_id, onHand: row.on_hand ?? 0, reserved: row.reserved ?? 0 },
      target,
      rules: {
        account: storedRule.parse(row.account_rule),
        connection: storedRule.parse(row.connection_rule),
        listing: storedRule.parse(row.listing_rule),
      },
      shadow: storedShadow(row.shadow),
      holding: row.holding.map((holding) => ({ ...holding, shadow: storedShadow(holding.shadow) })),
      conflicts: row.conflicts.map((conflict) => ({ ...conflict, since: new Date(conflict.since) })),
      push: pushed
        ? {
            key: row.write_key ?? '',
            quantity: row.write_quantity,
            state: row.write_state,
            targetSeq: Number(row.write_seq),
            error: row.write_error,
            sentAt: row.sent_at,
            settledAt: row.settled_at,
          }
        : null,
      ordersSince: pushed ? { orders: row.orders_since, units: row.units_since } : null,
      escrow: row.escrow,
      others: row.others,
      parts: row.parts,
    },
    now,
  );
}

function storedShadow(state: unknown): Shadow | null {
  const shadow = state as Shadow | null;
  return Array.isArray(shadow?.candidates) ? revived(shadow) : null;
}
