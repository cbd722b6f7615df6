/** An item on three channels whose numbers people edit from outside, and the decisions on that. */
import type { Pool } from 'pg';
import { resolveConflicts } from '../../src/sync/conflictResolution.ts';
import type { Resolution } from '../../src/sync/core/conflicts.ts';
import type { StockEffect } from '../../src/sync/ledger.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import type { Caller, Outcome } from '../../src/sync/outcome.ts';
import type { ConflictResolveInput, ConflictsResolved } from '../../src/sync/sync.ts';
import * as fixtures from './fixtures.ts';
import { readStock, type Stock } from './ledgerState.ts';
import { type ConflictRow, conflictsOf, provenEdit, storeEdit } from './provenEdits.ts';

export type EditedItem = {
  readonly item: fixtures.TestItem;
  readonly shopify: fixtures.TestConnection;
  /** On Shopify, Etsy and eBay. */
  readonly listings: readonly string[];
  /** Edits the listings from outside, one after the other; 0 leaves one alone. Answers what is open afterwards. */
  edit(deltas: readonly number[]): Promise<readonly ConflictRow[]>;
  open(): Promise<readonly ConflictRow[]>;
  sell(units: number): Promise<void>;
  stock(): Promise<Stock>;
};

/** 20 units on hand. */
export async function newEditedItem(pool: Pool, accountId: string): Promise<EditedItem> {
  const item = await fixtures.insertItem(pool, accountId, { onHand: 20 });
  const shopify = await fixtures.insertConnection(pool, accountId, 'shopify');
  const others = [
    await fixtures.insertConnection(pool, accountId, 'etsy'),
    await fixtures.insertConnection(pool, accountId, 'ebay'),
  ];
  const listings: string[] = [];
  for (const connection of [shopify, ...others])
    listings.push(await fixtures.insertListing(pool, connection, { itemId: item.id, unitId: 'mug' }));
  const open = async () => (await conflictsOf(pool, item.id)).filter(({ status }) => status === 'open');
  return {
    item,
    shopify,
    listings,
    open,
    async edit(deltas) {
      for (const [index, delta] of deltas.entries()) {
        const listingId = listings[index] ?? '';
        const edited = { accountId, itemId: item.id, listingId };
        if (delta !== 0) await storeEdit(pool, edited, provenEdit(listingId, delta));
      }
      return open();
    },
    async sell(units) {
      const address = { unitId: 'mug', variantId: '' };
      const lines = [fixtures.orderLine({ sku: item.sku, address, reserved: units })];
      await applyOrder(pool, fixtures.source(shopify), fixtures.order({ lines }));
    },
    stock: () => readStock(pool, item.id),
  };
}

export function asSeen(conflicts: readonly ConflictRow[]): ConflictResolveInput['conflicts'] {
  return conflicts.map(({ id, version }) => ({ conflictId: id, expectedVersion: version }));
}

export type Decide = (
  conflicts: ConflictResolveInput['conflicts'],
  resolution: Resolution,
  idempotencyKey?: string,
) => Promise<Outcome<ConflictsResolved>>;

/** The verb, under a key of its own unless one is given. */
export function decider(pool: Pool, caller: Caller, onMoved: (effect: StockEffect) => void): Decide {
  return (conflicts, resolution, idempotencyKey = fixtures.unique('key')) =>
    resolveConflicts({ pool, onMoved }, caller, { conflicts, resolution, idempotencyKey });
}

/** All that a decision could change, as one value. */
export async function everything(pool: Pool): Promise<unknown> {
  const { rows } = await pool.query(
    `SELECT (SELECT jsonb_agg(item ORDER BY id) FROM inventory_items item) AS items, (SELECT count(*) FROM stock_movements) AS movements,
            (SELECT jsonb_agg(dirty ORDER BY listing_id) FROM dirty_listings dirty) AS dirty, (SELECT count(*) FROM events) AS events,
            (SELECT jsonb_agg(conflict ORDER BY id) FROM sync_conflicts conflict) AS conflicts, (SELECT count(*) FROM idempotency_keys) AS keys`,
  );
  return rows[0];
}
