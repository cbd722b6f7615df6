/** Everything the final invariants are checked against, as plain data: what the product says of itself, what its tables hold, and what truly is. */

import { platforms } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { Platform } from '../sandbox/goods.ts';
import { currentQuantity } from '../sandbox/orderBook.ts';
import type { Protection } from '../sync/protection.ts';
import type { ConflictSeen, ItemSeen, LiveApi } from './liveApi.ts';
import { type EditFact, editFacts } from './liveEdits.ts';
import type { LiveWorld } from './liveWorld.ts';

export type Movement = {
  readonly sku: string;
  readonly seq: number;
  readonly onHandDelta: number;
  readonly reservedDelta: number;
  readonly kind: string;
  readonly ofOrder: boolean;
  readonly at: Date;
};

/** One line of an order, as either side knows it: units that the buyer still gets. */
export type LineFact = {
  readonly platform: Platform;
  readonly orderId: string;
  readonly sku: string;
  readonly units: number;
};

export type WriteFact = {
  readonly platform: Platform;
  readonly sku: string;
  readonly quantity: number;
  readonly expected: number | null;
  readonly targetSeq: number;
  readonly state: string;
  readonly error: string | null;
  readonly sentAt: Date;
  readonly answeredAt: Date | null;
};

export type LiveFacts = {
  readonly protection: Protection;
  readonly items: readonly ItemSeen[];
  readonly movements: readonly Movement[];
  /** Units that were put on the shelf, by SKU. */
  readonly delivered: Readonly<Record<string, number>>;
  /** What the ledger holds for each order line. */
  readonly held: readonly LineFact[];
  /** What was truly ordered. */
  readonly ordered: readonly LineFact[];
  /** What each channel shows, by SKU. */
  readonly shown: readonly { readonly platform: Platform; readonly sku: string; readonly units: number }[];
  /** Units truly there, by SKU. */
  readonly left: Readonly<Record<string, number>>;
  readonly oversold: number;
  /** In the order of sending. */
  readonly writes: readonly WriteFact[];
  /** Listings that wait to be written, in words. */
  readonly waiting: readonly string[];
  readonly conflicts: readonly ConflictSeen[];
  readonly edits: readonly EditFact[];
  /** True when writes went on until the end of the quiet. */
  readonly restless: boolean;
};

const movementsSql = `
SELECT item.sku, movement.seq::int, movement.on_hand_delta AS "onHandDelta", movement.reserved_delta AS "reservedDelta",
       movement.kind::text, movement.order_line_id IS NOT NULL AS "ofOrder", movement.created_at AS at
  FROM stock_movements movement JOIN inventory_items item ON item.id = movement.item_id ORDER BY item.sku, movement.seq`;

const heldSql = `
SELECT orders.platform::text, orders.platform_order_id AS "orderId", coalesce(item.sku, line.sku, '') AS sku,
       line.held_reserved + line.held_shipped AS units
  FROM order_lines line JOIN orders ON orders.id = line.order_id LEFT JOIN inventory_items item ON item.id = line.item_id`;

const writesSql = `
SELECT listing.platform::text, item.sku, write.quantity, write.expected, write.target_seq::int AS "targetSeq", write.state::text,
       write.error, write.sent_at AS "sentAt", write.answered_at AS "answeredAt"
  FROM listing_writes write JOIN listings listing ON listing.id = write.listing_id JOIN inventory_items item ON item.id = listing.item_id
 ORDER BY write.sent_at, write.id`;

const waitingSql = `
SELECT format('%s %s (version %s, attempt %s, due in %s ms, leased for %s ms)', listing.platform, item.sku, dirty.version, dirty.attempts,
              round(extract(epoch FROM dirty.not_before - now()) * 1000), round(extract(epoch FROM dirty.leased_until - now()) * 1000)) AS words
  FROM dirty_listings dirty JOIN listings listing ON listing.id = dirty.listing_id JOIN inventory_items item ON item.id = listing.item_id`;

export type FactSources = {
  readonly db: Queryable;
  readonly api: LiveApi;
  readonly world: LiveWorld;
  readonly delivered: ReadonlyMap<string, number>;
  readonly protection: Protection;
};

export async function factsOf({ db, api, world, delivered, protection }: FactSources): Promise<LiveFacts> {
  const rowsOf = async <Row extends object>(sql: string) => (await db.query<Row>(sql)).rows;
  const items: ItemSeen[] = [];
  for (const sku of world.skus) items.push(await api.item(sku));
  return {
    protection,
    items,
    movements: await rowsOf<Movement>(movementsSql),
    delivered: Object.fromEntries(delivered),
    held: await rowsOf<LineFact>(heldSql),
    ordered: platforms.flatMap((platform) =>
      world.sandbox.shops[platform].orders.all().flatMap((order) =>
        order.lines.map((line) => ({
          platform,
          orderId: order.id,
          sku: line.sku,
          units: currentQuantity(line),
        })),
      ),
    ),
    shown: platforms.flatMap((platform) =>
      Object.entries(world.sandbox.displayed(platform)).map(([sku, units]) => ({ platform, sku, units })),
    ),
    left: Object.fromEntries(world.left),
    oversold: world.totals.oversold,
    writes: await rowsOf<WriteFact>(writesSql),
    waiting: (await rowsOf<{ words: string }>(waitingSql)).map(({ words }) => words),
    conflicts: await api.conflicts(),
    edits: editFacts(world),
    restless: false,
  };
}
