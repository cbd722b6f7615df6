/** Compares the list prices that channels show with the one a seller means an item to have, and says where it is to be written: where somebody has asked for it, never by itself. */
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
import { dropWaiting, isOpen, markPrices } from './priceRows.ts';
import type { ItemPriceInput } from './sync.ts';

export type PriceOptions = {
  readonly pool: Pool;
  readonly onEvents: () => void;
  /** These connections have prices to write. */
  readonly onMarked: (connectionIds: readonly string[]) => void;
};

/** From now on the item costs this on every channel with the currency; null: nobody says any more, and nothing is written. */

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
    if (rowCount === 0) return null;
    const marked = await markPrices(client, itemId, null, caller.actor);
    await checkPrices(client, caller.accountId, itemId);
    return connectionsOf(marked);
  });
  if (found === null)
    return refused({ code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', 'itemId'] });
  options.onEvents();
  options.onMarked(found);
  return done({ itemId });
}

function connectionsOf(marked: readonly { readonly connectionId: string }[]): readonly string[] {
  return [...new Set(marked.map(({ connectionId }) => connectionId))];
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

/** After a catalogue or a look told what these items cost on a channel: opens, renews and closes their price conflicts. */
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

/** What a channel shows beside what a write of ours explains: the one or two prices before it and the one sent, until a reading can no longer be from before. */
type Shown = Price & { readonly id: string; readonly explained: readonly number[] };

const shownSql = `
SELECT listing.id, listing.price_minor::float8 AS minor, listing.currency,
       array_remove(ARRAY[price.earlier_minor, price.before_minor, price.sent_minor], NULL)::float8[] AS explained
  FROM listings listing
  LEFT JOIN dirty_prices price ON price.listing_id = listing.id AND price.item_id = listing.item_id
    AND (price.${isOpen} OR price.echo_until > now())
 WHERE listing.item_id = $1 AND listing.price_minor IS NOT NULL ORDER BY listing.id`;

/** Brings the price conflicts of an item in line with what its listings show and what it should cost, under the item's lock. */
export async function checkPrices(client: PoolClient, accountId: string, itemId: string): Promise<void> {
  const intended = await lockIntended(client, accountId, itemId);
  const { rows: shown } = await client.query<Shown>(shownSql, [itemId]);
  const open = await openConflicts(client, itemId, 'price');
  const justified = new Set<string>();
  for (const listing of shown) {
    const conflict = mismatchOf(listing, intended);
    const older = open.find(({ listingId }) => listingId === listing.id);
    if (conflict === null) continue;
    if (older !== undefined) justified.add(older.id);
    if (older === undefined || !saysTheSame(older, conflict)) {
      await storePriceConflict(client, { accountId, itemId, listingId: listing.id, conflict });
      await dropWaiting(client, listing.id);
    }
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

/** The difference that people are told is the one to what is meant, whatever else would have been explained. */
function mismatchOf({ id, minor, currency, explained }: Shown, intended: Intended): Conflict | null {
  if (intended.minor === null || intended.currency !== currency) return null;
  const expected = [intended.minor, ...explained].map((each) => ({ minor: each, currency }));
  const conflict = priceConflict(id, expected, { minor, currency }, intended.tolerance, intended.now);
  return conflict === null ? null : { ...conflict, delta: minor - intended.minor };
}

function saysTheSame(older: StoredConflict, { delta, evidence }: Conflict): boolean {
  const known = readEvidence(older.data);
  if (known?.kind !== 'price' || evidence.kind !== 'price' || older.delta !== delta) return false;
  return known.shown.minor === evidence.shown.minor && known.shown.currency === evidence.shown.currency;
}

/**
 * `keep_ours` writes the intended price where the conflicts are; with the others the lowest or highest of our price and those shown becomes the
 * intended one, and is written wherever another one is shown. What will be written, or shows it already, is resolved; where nothing may be written the
 * conflict stays open, with new evidence. Answers the connections with prices to write.
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
): Promise<readonly string[]> {
  const { accountId, itemId, open, resolution, actor } = decision;
  const intended = await lockIntended(client, accountId, itemId);
  const seen = open.flatMap(({ id, listingId, data }) => {
    const known = readEvidence(data);
    return known?.kind === 'price' && known.shown.currency === intended.currency
      ? [{ id, listingId, minor: known.shown.minor }]
      : [];
  });
  const chosen = chosenPrice(resolution, intended.minor, seen);
  if (chosen === null) return [];
  await client.query('UPDATE inventory_items SET price_minor = $2, updated_at = now() WHERE id = $1', [
    itemId,
    chosen,
  ]);
  const where = resolution === 'keep_ours' ? seen.flatMap(({ listingId }) => listingId ?? []) : null;
  const marked = await markPrices(client, itemId, where, actor);
  const written = new Set<string | null>(marked.map(({ listingId }) => listingId));
  const settled = seen
    .filter(
      ({ listingId, minor }) => written.has(listingId) || Math.abs(minor - chosen) <= intended.tolerance,
    )
    .map(({ id }) => id);
  await closeConflicts(client, settled, { resolution, actor, movementId: null });
  await announceConflicts(client, settled);
  await settleItemStatus(client, [itemId]);
  await checkPrices(client, accountId, itemId);
  return connectionsOf(marked);
}

/** Null when neither we nor a channel says a price. */
function chosenPrice(
  resolution: Exclude<Resolution, 'manual_review'>,
  ours: number | null,
  seen: readonly { readonly minor: number }[],
): number | null {
  if (resolution === 'keep_ours') return ours;
  const prices = [...seen.map(({ minor }) => minor), ...(ours === null ? [] : [ours])];
  if (prices.length === 0) return null;
  return resolution === 'use_lowest' ? Math.min(...prices) : Math.max(...prices);
}
