/** Compares the list prices that channels show with the one a seller means an item to have. No price is written to a channel in this version. */
import type { Pool, PoolClient } from 'pg';
import { inTransaction } from '../db.ts';
import { readEvidence } from './conflictEvidence.ts';
import {
  announceConflicts,
  closeConflicts,
  openConflicts,
  type StoredConflict,
  settleItemStatus,
  supersedeConflicts,
} from './conflictRows.ts';
import { storeConflict } from './conflicts.ts';
import { type Conflict, type Price, priceConflict, type Resolution } from './core/conflicts.ts';
import { type Actor, type Caller, done, type Outcome, refused } from './outcome.ts';
import type { ItemPriceInput } from './sync.ts';

export type PriceOptions = { readonly pool: Pool; readonly onEvents: () => void };

export async function setItemPrice(
  options: PriceOptions,
  caller: Caller,
  { itemId, price }: ItemPriceInput,
): Promise<Outcome<{ itemId: string }>> {
  if (price !== null && !(isAmount(price.minor) && /^[A-Z]{3}$/.test(price.currency))) {
    const message = 'A price is an amount of 0 or more in an ISO 4217 currency.';
    return refused({ code: 'INVALID_INPUT', message, field: ['input', 'price'] });
  }
  const found = await inTransaction(options.pool, async (client) => {
    const { rowCount } = await client.query(
      'UPDATE inventory_items SET price_minor = $3, currency = $4, updated_at = now() WHERE id = $2 AND account_id = $1',
      [caller.accountId, itemId, price?.minor ?? null, price?.currency ?? null],
    );
    if (rowCount === 0) return false;
    await checkPrices(client, caller.accountId, itemId);
    return true;
  });
  if (!found)
    return refused({ code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', 'itemId'] });
  options.onEvents();
  return done({ itemId });
}

function isAmount(minor: number): boolean {
  return Number.isSafeInteger(minor) && minor >= 0;
}

/** Items whose listings show another price than intended, or did when it was last looked. */
const suspectsSql = `
SELECT item.id FROM inventory_items item JOIN accounts account ON account.id = item.account_id
 WHERE item.id = ANY($1)
   AND (EXISTS (SELECT FROM sync_conflicts WHERE item_id = item.id AND status = 'open' AND conflict_type = 'price_mismatch')
     OR EXISTS (SELECT FROM listings WHERE item_id = item.id AND currency = item.currency
                   AND abs(price_minor - item.price_minor) > account.price_tolerance_minor))
 ORDER BY item.id`;

/** After a catalogue told what these items cost on a channel: opens, renews and closes their price conflicts. */
export async function checkShownPrices(
  pool: Pool,
  accountId: string,
  itemIds: readonly string[],
): Promise<void> {
  if (itemIds.length === 0) return;
  const { rows } = await pool.query<{ id: string }>(suspectsSql, [itemIds]);
  for (const { id } of rows) await inTransaction(pool, (client) => checkPrices(client, accountId, id));
}

type Intended = {
  readonly minor: number | null;
  readonly currency: string | null;
  readonly tolerance: number;
  readonly now: number;
};

/** Brings the price conflicts of an item in line with what its listings show and what it should cost, under the item's lock. */
export async function checkPrices(client: PoolClient, accountId: string, itemId: string): Promise<void> {
  const intended = await lockIntended(client, accountId, itemId);
  const { rows: shown } = await client.query<Price & { id: string }>(
    'SELECT id, price_minor::float8 AS minor, currency FROM listings WHERE item_id = $1 AND price_minor IS NOT NULL ORDER BY id',
    [itemId],
  );
  const open = await openConflicts(client, itemId, 'price');
  const justified = new Set<string>();
  for (const listing of shown) {
    const conflict = mismatchOf(listing, intended);
    const older = open.find(({ listingId }) => listingId === listing.id);
    if (conflict === null) continue;
    if (older !== undefined) justified.add(older.id);
    if (older === undefined || !saysTheSame(older, conflict))
      await storePriceConflict(client, { accountId, itemId, listingId: listing.id, conflict });
  }
  const over = open.map(({ id }) => id).filter((id) => !justified.has(id));
  if (over.length === 0) return;
  await supersedeConflicts(client, over);
  await announceConflicts(client, over);
  await settleItemStatus(client, [itemId]);
}

/** In the caller's transaction; an open price conflict of the listing is superseded. Never decided automatically. */
export async function storePriceConflict(
  client: PoolClient,
  found: {
    readonly accountId: string;
    readonly itemId: string;
    readonly listingId: string;
    readonly conflict: Conflict;
  },
): Promise<void> {
  await storeConflict(client, { ...found, ordersConsidered: [] });
}

async function lockIntended(client: PoolClient, accountId: string, itemId: string): Promise<Intended> {
  const { rows } = await client.query<Intended>(
    `SELECT item.price_minor::float8 AS minor, item.currency, account.price_tolerance_minor AS tolerance,
            floor(extract(epoch FROM now()) * 1000)::float8 AS now
       FROM inventory_items item JOIN accounts account ON account.id = item.account_id
      WHERE item.id = $2 AND item.account_id = $1 FOR NO KEY UPDATE OF item`,
    [accountId, itemId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no item ${itemId}`);
  return row;
}

function mismatchOf({ id, minor, currency }: Price & { id: string }, intended: Intended): Conflict | null {
  const expected =
    intended.minor === null || intended.currency === null
      ? []
      : [{ minor: intended.minor, currency: intended.currency }];
  return priceConflict(id, expected, { minor, currency }, intended.tolerance, intended.now);
}

function saysTheSame(older: StoredConflict, { delta, evidence }: Conflict): boolean {
  const known = readEvidence(older.data);
  if (known?.kind !== 'price' || evidence.kind !== 'price' || older.delta !== delta) return false;
  return known.shown.minor === evidence.shown.minor && known.shown.currency === evidence.shown.currency;
}

/**
 * The lowest or highest of our price and those shown becomes the intended one. Conflicts of channels that show it are resolved; the others stay
 * open, with new evidence, until their channel shows it. So do all of them with `keep_ours`.
 */
export async function decidePrice(
  client: PoolClient,
  decision: {
    readonly accountId: string;
    readonly itemId: string;
    readonly open: readonly StoredConflict[];
    readonly resolution: Exclude<Resolution, 'manual_review'>;
    readonly actor: Actor;
  },
): Promise<void> {
  const { accountId, itemId, open, resolution, actor } = decision;
  if (resolution === 'keep_ours') return;
  const { minor: ours, currency, tolerance } = await lockIntended(client, accountId, itemId);
  const seen = open.flatMap(({ id, data }) => {
    const known = readEvidence(data);
    return known?.kind === 'price' && known.shown.currency === currency
      ? [{ id, minor: known.shown.minor }]
      : [];
  });
  const prices = [...seen.map(({ minor }) => minor), ...(ours === null ? [] : [ours])];
  if (prices.length === 0) return;
  const chosen = resolution === 'use_lowest' ? Math.min(...prices) : Math.max(...prices);
  await client.query('UPDATE inventory_items SET price_minor = $2, updated_at = now() WHERE id = $1', [
    itemId,
    chosen,
  ]);
  const settled = seen.filter(({ minor }) => Math.abs(minor - chosen) <= tolerance).map(({ id }) => id);
  await closeConflicts(client, settled, { resolution, actor, movementId: null });
  await announceConflicts(client, settled);
  await settleItemStatus(client, [itemId]);
  await checkPrices(client, accountId, itemId);
}
