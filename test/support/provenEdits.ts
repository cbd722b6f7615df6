/** Proves outside edits with the real core and stores them as the product's own transaction does. */
import type { Pool } from 'pg';
import { inTransaction } from '../../src/db.ts';
import { ordersConsidered } from '../../src/sync/conflictEvidence.ts';
import { type ConflictStored, storeConflict } from '../../src/sync/conflicts.ts';
import { type Conflict, quantityConflict } from '../../src/sync/core/conflicts.ts';
import { judge, readingArrived } from '../../src/sync/core/readings.ts';
import {
  type Change,
  newShadow,
  orderSeen,
  readingOf,
  type Shadow,
  watermarkAdvanced,
} from '../../src/sync/core/shadow.ts';
import { noon } from './fixtures.ts';

const second = 1_000;

/** Reads that are true when answered; writes that land within 2 s. */
const bounds = {
  staleMax: 0,
  settleMax: 2 * second,
  clockSkewMax: 0,
  readMax: 10 * second,
  restocksOnCancel: false,
};

export type ProvenEdit = { readonly before: Shadow; readonly conflict: Conflict };

/** A channel that should show `shown` and was changed from outside by `delta`, read twice after every order was known. */
export function provenEdit(
  listingId: string,
  delta: number,
  more: {
    readonly shown?: number;
    readonly at?: Date;
    readonly sales?: readonly Change[];
    readonly targetSeq?: number;
  } = {},
): ProvenEdit {
  const { shown = 20, at = noon, sales = [], targetSeq = 1 } = more;
  const start = at.getTime();
  let shadow = newShadow(listingId, bounds, { value: shown, at: start - 60 * second, targetSeq });
  for (const sale of sales) shadow = orderSeen(shadow, sale, start - 30 * second);
  const sold = sales.reduce((sum, { quantity }) => sum + quantity, 0);
  for (const respondedAt of [start, start + 5 * second]) {
    const read = { value: shown - sold + delta, requestedAt: respondedAt - 100, respondedAt };
    const reading = readingOf(bounds, read);
    shadow = readingArrived(shadow, { kind: 'quantity', reading }, respondedAt).shadow;
  }
  const now = start + 10 * second;
  const before = watermarkAdvanced(shadow, now, now, now);
  const { proof } = judge(before, now);
  if (proof === null) throw new Error(`an edit by ${delta} is not proven`);
  return { before, conflict: quantityConflict(before, proof, now) };
}

export type Edited = { readonly accountId: string; readonly itemId: string; readonly listingId: string };

export async function storeEdit(
  pool: Pool,
  edited: Edited,
  { before, conflict }: ProvenEdit,
  whileOff = false,
): Promise<ConflictStored> {
  return inTransaction(pool, (client) =>
    storeConflict(client, { ...edited, conflict, ordersConsidered: ordersConsidered(before), whileOff }),
  );
}

export type ConflictRow = {
  readonly id: string;
  readonly listingId: string;
  readonly type: string;
  readonly status: string;
  readonly version: number;
  readonly delta: number;
  readonly resolution: string | null;
  readonly resolvedBy: string | null;
  readonly movementId: string | null;
  readonly supersededBy: string | null;
  readonly awaitsReview: boolean;
  readonly data: unknown;
};

export async function conflictsOf(pool: Pool, itemId: string): Promise<readonly ConflictRow[]> {
  const { rows } = await pool.query<ConflictRow>(
    `SELECT id, listing_id AS "listingId", conflict_type::text AS type, status::text, version, delta::int, resolution::text, resolved_by AS "resolvedBy",
            movement_id AS "movementId", superseded_by AS "supersededBy", awaits_review AS "awaitsReview", conflict_data AS data
       FROM sync_conflicts WHERE item_id = $1 ORDER BY id`,
    [itemId],
  );
  return rows;
}

/** Status and version of each conflict event of an item, in the order in which they were written. */
export async function conflictEventsOf(pool: Pool, itemId: string): Promise<readonly unknown[]> {
  const { rows } = await pool.query<{ payload: unknown }>(
    `SELECT payload FROM events WHERE topic = 'conflict' AND payload->>'itemId' = $1 ORDER BY id`,
    [itemId],
  );
  return rows.map(({ payload }) => payload);
}

export async function statusOf(pool: Pool, itemId: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ status: string }>(
    'SELECT sync_status::text AS status FROM inventory_items WHERE id = $1',
    [itemId],
  );
  return rows[0]?.status;
}

export async function setPolicy(
  pool: Pool,
  accountId: string,
  resolution: string,
  unitsMax = 10,
): Promise<void> {
  await pool.query('UPDATE accounts SET auto_resolution = $2, auto_resolution_units_max = $3 WHERE id = $1', [
    accountId,
    resolution,
    unitsMax,
  ]);
}
