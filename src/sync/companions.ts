/** Variants that another one's write sets too (Etsy): it is told the most each may show, and each shadow learns what was put there. */
import type {
  Companion,
  ConnectorCapabilities,
  ListingAddress,
  PriceWriteResult,
  StockWrite,
  StockWriteResult,
} from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { writtenAlong } from './core/along.ts';
import type { CandidateState } from './core/shadow.ts';
import { type Believed, rangeNow } from './core/shown.ts';
import type { KeptListing } from './keptListing.ts';
import { isFollowed } from './shadowSql.ts';
import { type ShadowContext, withShadows } from './shadows.ts';

export type CompanionWrite = Companion & {
  readonly listingId: string;
  readonly state: Extract<CandidateState, 'EFFECTIVE' | 'ACCEPTED' | 'UNKNOWN'>;
  /** When the call began, in milliseconds. */
  readonly calledAt: number;
};

type Answer = { readonly result: StockWriteResult | PriceWriteResult; readonly sentAt: number };

const states = { effective: 'EFFECTIVE', accepted: 'ACCEPTED', unknown: 'UNKNOWN' } as const;

const listingsSql = `
SELECT listing.id, listing.unit_id AS "unitId", listing.variant_id AS "variantId"
  FROM jsonb_to_recordset($2::jsonb) AS wanted ("unitId" text, "variantId" text)
  JOIN listings listing ON listing.connection_id = $1 AND listing.unit_id = wanted."unitId" AND listing.variant_id = wanted."variantId"
  JOIN shadows ON shadows.listing_id = listing.id
  JOIN connections connection ON connection.id = listing.connection_id
 WHERE ${isFollowed}`;

const othersSql = `
SELECT other.id FROM listings other JOIN shadows ON shadows.listing_id = other.id
 WHERE other.connection_id = $1 AND other.unit_id = ANY($2) AND other.id <> ALL($3) AND other.sync_enabled AND other.writable`;

type Others = {
  readonly others: (address: ListingAddress) => Pick<StockWrite, 'others'>;
  readonly wake: readonly string[];
};

/**
 * By address of a write, the most that the other variants of its unit may show, from all that is known by now; every variant, where the write names no
 * listing's number. What is left alone is not spoken of: its number is the seller's.
 */
export async function othersOf(
  context: ShadowContext,
  writing: readonly (ListingAddress & { readonly listingId?: string })[],
): Promise<Others> {
  const units = writing.flatMap(({ unitId, variantId }) => (variantId === '' ? [] : [unitId]));
  if (units.length === 0) return { others: () => ({}), wake: [] };
  const { rows } = await context.db.query<{ id: string }>({
    name: 'companions-others',
    text: othersSql,
    values: [context.connectionId, units, writing.flatMap(({ listingId }) => listingId ?? [])],
  });
  if (rows.length === 0) return { others: () => ({}), wake: [] };
  const ids = rows.map(({ id }) => id);
  const { result, wake } = await withShadows(context, ids, async (_client, { listings }, now) =>
    listings.flatMap(({ unitId, variantId, shadow, listingId }) =>
      shadow === null || !ids.includes(listingId)
        ? []
        : [{ address: { unitId, variantId }, quantity: rangeNow(shadow, now).high }],
    ),
  );
  const byUnit = Map.groupBy(result, ({ address }) => address.unitId);
  return { others: ({ unitId }) => ({ others: byUnit.get(unitId) ?? [] }), wake };
}

/** What a write may find where it writes: one number where the channel compares, else what a reading before the write may show. */
export function writtenOver(
  { compareAndSet }: Pick<ConnectorCapabilities, 'compareAndSet'>,
  { expected, believed }: { readonly expected: number | null; readonly believed: Believed | null },
): Pick<StockWrite, 'expected' | 'believed'> {
  if (compareAndSet) return { expected };
  return believed === null ? { expected: null } : { expected: null, believed };
}

const keyOf = ({ unitId, variantId }: Companion['address']): string => JSON.stringify([unitId, variantId]);

/** Of the listings that have a shadow; those in `written` were written for themselves. */
export async function companionsOf(
  db: Queryable,
  connectionId: string,
  answers: readonly Answer[],
  written: ReadonlySet<string>,
): Promise<readonly CompanionWrite[]> {
  const byAddress = new Map<string, Omit<CompanionWrite, 'listingId'>>();
  for (const { result, sentAt } of answers) {
    if (result.kind !== 'effective' && result.kind !== 'accepted' && result.kind !== 'unknown') continue;
    if (!('companions' in result)) continue;
    for (const companion of result.companions ?? [])
      byAddress.set(keyOf(companion.address), { ...companion, state: states[result.kind], calledAt: sentAt });
  }
  if (byAddress.size === 0) return [];
  const { rows } = await db.query<{ id: string; unitId: string; variantId: string }>({
    name: 'companions-find',
    text: listingsSql,
    values: [connectionId, JSON.stringify([...byAddress.values()].map(({ address }) => address))],
  });
  return rows.flatMap(({ id: listingId, ...address }) => {
    const write = byAddress.get(keyOf(address));
    return write === undefined || written.has(listingId) ? [] : [{ ...write, listingId }];
  });
}

/** True when the number that was overwritten is not explained: the channel's orders should be asked for now. */
export function takeCompanion(
  listing: KeptListing,
  write: CompanionWrite,
  key: string,
  now: number,
): boolean {
  if (listing.shadow === null) return false;
  const { quantity: value, shown, calledAt, readAt, state } = write;
  const readFrom = calledAt - listing.bounds.staleMax;
  const along = { key, value, shown, readFrom, readAt: Math.min(readAt, now), state };
  const { shadow, verdict } = writtenAlong(listing.shadow, along, now);
  listing.shadow = shadow;
  return verdict?.kind === 'belowLow' || verdict?.kind === 'aboveHigh';
}
