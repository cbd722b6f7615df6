/** Items under escrow: loaded under the item's lock, booked up to the ledger's newest movement, and saved with their shadows in one transaction. */
import type { PoolClient } from 'pg';
import { ratesOf } from './core/demand.ts';
import {
  chargedAtLeast,
  charges,
  costOf,
  type Escrow,
  joined,
  newEscrow,
  restocked,
  unitOf,
  type Violation,
  violated,
  withdrawnGrant,
} from './core/escrow.ts';
import { beyondRights, learnedRights, rebalanceUnit, used } from './core/escrowUnit.ts';
import { demandLimits, rebalanceLimits } from './core/limits.ts';
import { automaticProtection } from './core/protection.ts';
import { type Grant, type RebalanceUnit, rebalance } from './core/rebalance.ts';
import { sellableMax } from './core/shown.ts';
import { type KeptListing } from './keptListing.ts';

export type KeptEscrow = {
  readonly itemId: string;
  /** All the item's listings, under lock. Also those that nothing is written to: they sell. */
  readonly listings: readonly KeptListing[];
  escrow: Escrow;
  readonly seq: number;
};

type ItemRow = {
  item_id: string;
  account_id: string;
  protection: 'escrow' | 'automatic';
  available: number;
  seq: string;
  state: Escrow | null;
};

const loadSql = `
SELECT item.id AS item_id, item.account_id, item.protection, item.available, item.seq, escrow.state
  FROM inventory_items item LEFT JOIN escrows escrow ON escrow.item_id = item.id
 WHERE item.id = ANY($1) AND item.protection <> 'shared' ORDER BY item.id`;

/** The escrows of these listings' items. What a listing may sell is charged from its first reading on; see `unknownOf`. */
export async function openEscrows(
  client: PoolClient,
  kept: readonly KeptListing[],
  now: number,
): Promise<readonly KeptEscrow[]> {
  const guarded = kept.filter(({ stored, itemId }) => stored.protection !== 'shared' && itemId !== null);
  if (guarded.length === 0) return [];
  const itemIds = [...new Set(guarded.flatMap(({ itemId }) => itemId ?? []))];
  const { rows } = await client.query<ItemRow>({ name: 'escrows-load', text: loadSql, values: [itemIds] });
  const opened: KeptEscrow[] = [];
  for (const row of rows) {
    const listings = guarded.filter(({ itemId }) => itemId === row.item_id);
    const escrow = escrowOf(row, listings, now);
    if (escrow !== null)
      opened.push({
        itemId: row.item_id,
        listings,
        escrow: pausedBeyond(escrow, listings),
        seq: Number(row.seq),
      });
    else if (row.state !== null) await client.query('DELETE FROM escrows WHERE item_id = $1', [row.item_id]);
  }
  return opened;
}

function escrowOf(row: ItemRow, listings: readonly KeptListing[], now: number): Escrow | null {
  const shadows = listings.flatMap(({ shadow }) => shadow ?? []);
  if (row.protection === 'automatic' && wantsShared(row, listings)) return null;
  const shown = Object.fromEntries(shadows.map((shadow) => [shadow.unit, sellableMax(shadow, now)]));
  if (row.state === null) return newEscrow(row.available, shown, now);
  const booked = listings.reduce(
    (escrow, { shadow, sales }) => {
      if (shadow === null) return escrow;
      // What its shadow has taken in is no longer among what it shows.
      if (!(shadow.unit in escrow.units)) return joined(escrow, shadow.unit, shown[shadow.unit] ?? 0, now);
      return sales.reduce((known, sale) => used(known, shadow, sale, now), escrow);
    },
    withoutLeavers(
      row.state,
      shadows.map(({ unit }) => unit),
    ),
  );
  // Whatever else has moved the stock since: deliveries, people, orders that name no listing of ours.
  const current = restocked(booked, row.available - booked.available);
  return shadows.reduce((escrow, shadow) => learnedRights(escrow, shadow, now), current);
}

/** A number limits nothing where the channel sells beyond it: nothing is granted there until that is over and a person has looked. */
function pausedBeyond(escrow: Escrow, listings: readonly KeptListing[]): Escrow {
  const beyond = listings.filter(({ stored, listingId }) => stored.sellsBeyond && listingId in escrow.units);
  return beyond.reduce((known, { listingId }) => violated(known, listingId, 'A1'), escrow);
}

/** A listing that sells nothing of ours any more gives its rights back. */
function withoutLeavers(escrow: Escrow, staying: readonly string[]): Escrow {
  const leaving = Object.keys(escrow.units).filter((unit) => !staying.includes(unit));
  if (leaving.length === 0) return escrow;
  const units = Object.fromEntries(Object.entries(escrow.units).filter(([unit]) => staying.includes(unit)));
  const returned = charges(escrow) - charges({ ...escrow, units });
  return restocked({ ...escrow, units, available: escrow.available - returned }, returned);
}

function wantsShared(row: ItemRow, listings: readonly KeptListing[]): boolean {
  // Escrow could not keep its promise.
  if (listings.some(({ stored }) => stored.sellsBeyond)) return true;
  const channels = listings.map(({ demand, stored }) => ({ demand, reaction: stored.reactionMs }));
  const current = row.state === null ? 'shared' : 'escrow';
  return automaticProtection(row.available, channels, current).protection === 'shared';
}

/** Listings that sell the item and were never read, or were, but not all that they had sold before is known. */
export function unknownOf({ escrow, listings }: KeptEscrow): readonly KeptListing[] {
  return listings.filter(({ listingId }) => {
    const unit = escrow.units[listingId];
    return unit === undefined || unit.joinedAt !== undefined;
  });
}

/**
 * What should be granted and taken back now, most wanted first; while a listing is unknown only what costs nothing. `quantityMax` is the most that a
 * listing's rules allow it to show.
 */
export function grantsOf(
  held: KeptEscrow,
  quantityMax: (listing: KeptListing) => number,
  now: number,
): readonly Grant[] {
  const { escrow, listings } = held;
  const rates = ratesOf(
    listings.map(({ demand }) => demand),
    demandLimits,
  );
  const units = listings.flatMap((listing, index): RebalanceUnit[] => {
    const { enabled, shadow, traits } = listing;
    if (shadow === null || !enabled || !(shadow.unit in escrow.units)) return [];
    const { compareAndSet, indexLagMs, landingMs } = traits;
    const pace = {
      ratePerMs: rates[index] ?? 0,
      sight: indexLagMs,
      landing: landingMs,
      drain: compareAndSet ? landingMs : landingMs + indexLagMs,
      compareAndSet,
      quantityMax: quantityMax(listing),
    };
    return [rebalanceUnit(shadow, pace, now)];
  });
  const grants = rebalance(escrow, units, rebalanceLimits);
  return unknownOf(held).length === 0
    ? grants
    : grants.filter(({ value, expected }) => costOf(value, expected) === 0);
}

/** The write certainly did not happen and will not: its rights are free again. */
export function grantRefused(
  kept: readonly KeptEscrow[],
  { itemId, shadow }: KeptListing,
  key: string,
): void {
  const held = kept.find((one) => one.itemId === itemId);
  if (held === undefined || shadow === null || !(shadow.unit in held.escrow.units)) return;
  if (unitOf(held.escrow, shadow.unit).write?.key !== key) return;
  // An attempt before this one may have happened all the same.
  if (shadow.candidates.some((candidate) => candidate.key === key)) return;
  held.escrow = withdrawnGrant(held.escrow, shadow.unit);
}

/** The number is higher than it can be: nothing is granted there until a person has looked. Where we do not write, people may raise it: it is charged. */
export function raisedOutside(
  kept: readonly KeptEscrow[],
  { itemId, shadow, enabled }: KeptListing,
  because: Violation,
  now: number,
): void {
  const held = kept.find((one) => one.itemId === itemId);
  if (held === undefined || shadow === null || !(shadow.unit in held.escrow.units)) return;
  held.escrow = enabled
    ? violated(held.escrow, shadow.unit, because)
    : chargedAtLeast(held.escrow, shadow.unit, sellableMax(shadow, now));
}

/** What a reading shows beyond all of a listing's rights is as good a proof that its number was raised, though each number alone may be explained. */
export function weighRights(kept: readonly KeptEscrow[], listing: KeptListing, now: number): void {
  const { itemId, shadow } = listing;
  const held = kept.find((one) => one.itemId === itemId);
  if (held === undefined || shadow === null || !(shadow.unit in held.escrow.units)) return;
  held.escrow = learnedRights(held.escrow, shadow, now);
  const because = beyondRights(held.escrow, shadow, now);
  if (because !== null) raisedOutside(kept, listing, because, now);
}

const saveSql = `
INSERT INTO escrows AS current (item_id, account_id, state, seq)
SELECT item.id, item.account_id, kept.state, kept.seq
  FROM jsonb_to_recordset($1::jsonb) AS kept (item_id uuid, state jsonb, seq bigint) JOIN inventory_items item ON item.id = kept.item_id
ON CONFLICT (item_id) DO UPDATE SET state = excluded.state, seq = excluded.seq, updated_at = now()`;

export async function saveEscrows(
  client: PoolClient,
  kept: readonly KeptEscrow[],
  now: number,
): Promise<void> {
  if (kept.length === 0) return;
  const rows = kept.map(({ itemId, escrow, listings, seq }) => ({
    item_id: itemId,
    state: listings.reduce(
      (known, { shadow }) =>
        shadow !== null && shadow.unit in known.units ? learnedRights(known, shadow, now) : known,
      escrow,
    ),
    seq,
  }));
  await client.query({ name: 'escrows-save', text: saveSql, values: [JSON.stringify(rows)] });
}
