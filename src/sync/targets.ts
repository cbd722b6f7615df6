/** What each listing should show, from the rows that decide it: stock, holds, open conflicts and three levels of rules, in one snapshot. */
import { z } from 'zod';
import type { Queryable } from '../db.ts';
import { reactionColumn } from './bounds.ts';
import { automaticBuffer, type RuleLevels, type Target, type TargetInput, targetOf } from './core/targets.ts';

const units = z.int().min(0).max(1_000_000_000);

/** One level of rules as it is stored and as clients give it. What is left out is decided by the level above. */
export const storedRule = z.strictObject({
  buffer: units.optional(),
  cutOff: units.optional(),
  quantityMax: units.optional(),
  quantityMin: units.optional(),
  share: z.number().min(0).max(1).optional(),
  fixed: units.optional(),
  paused: z.boolean().optional(),
  /** Accepted probability, in (0, 1), that the other channels sell more than the buffer before a lowered number is in force here. */
  automaticBuffer: z.number().gt(0).lt(1).optional(),
});
export type StoredRule = z.infer<typeof storedRule>;

export type ListingTarget = {
  readonly listingId: string;
  readonly itemId: string;
  readonly input: TargetInput;
  /** The ledger's seq that the numbers are from; grows with every change of what may be sold. */
  readonly targetSeq: number;
  /** False while a listing of the item, or of what shares units with it, shows more than anything explains: then nothing is raised anywhere. */
  readonly raisesAllowed: boolean;
  /** Units per millisecond that the item's other listings sell. */
  readonly othersPerMs: number;
  /** Milliseconds since the item's stock last moved. */
  readonly quietForMs: number;
};

type TargetRow = {
  listing_id: string;
  item_id: string;
  available: number;
  seq: string;
  account_rule: unknown;
  connection_rule: unknown;
  listing_rule: unknown;
  holds: number;
  conflict_delta: number;
  raises_stopped: boolean;
  others_per_hour: number;
  reaction_ms: number;
  quiet_ms: number;
};

const targetsSql = `
SELECT listing.id AS listing_id, listing.item_id, offer.available, offer.holds, offer.conflict_delta, offer.seq, account.rule AS account_rule, connection.rule AS connection_rule,
       listing.rule AS listing_rule,
       -- Units that are there twice would be offered twice: by the item, the bundles made of it, and what it is made of.
       EXISTS (SELECT FROM item_kin(listing.item_id) kin (id) JOIN shadows ON shadows.item_id = kin.id WHERE shadows.raises_stopped) AS raises_stopped,
       coalesce(shown.others_per_hour, 0) AS others_per_hour,
       -- A bundle moves when one of its components does.
       coalesce((SELECT min(extract(epoch FROM now() - newest.created_at)) * 1000
          FROM (SELECT listing.item_id AS id UNION ALL SELECT component_id FROM bundle_components WHERE bundle_id = listing.item_id) part
          CROSS JOIN LATERAL (SELECT created_at FROM stock_movements WHERE item_id = part.id ORDER BY seq DESC LIMIT 1) newest), 0)::float8 AS quiet_ms,
       ${reactionColumn} AS reaction_ms
  FROM listings listing
  JOIN connections connection ON connection.id = listing.connection_id
  JOIN accounts account ON account.id = listing.account_id
  CROSS JOIN LATERAL item_offer(listing.item_id) offer
  LEFT JOIN LATERAL (
    SELECT sum(sold_per_hour) AS others_per_hour FROM shadows WHERE item_id = listing.item_id AND listing_id <> listing.id
  ) shown ON true
 WHERE listing.id = ANY($1) AND listing.item_id IS NOT NULL`;

const hourMs = 3_600_000;

/** The largest number that a connection's channel shows; null when that cannot be said now. */
export type ChannelMaxOf = (connectionId: string) => Promise<number | null>;

/** More than any channel shows. */
const unlimited = 1_000_000_000;

/** The largest number that the channel of each of these listings shows, asked once per connection. */
export async function channelMaxima(
  listings: readonly { readonly id: string; readonly connectionId: string }[],
  channelMaxOf: ChannelMaxOf,
): Promise<(listingId: string) => number> {
  const byConnection = Map.groupBy(listings, ({ connectionId }) => connectionId);
  const maxima = new Map<string, number | null>();
  for (const [connectionId, its] of byConnection) {
    const most = await channelMaxOf(connectionId);
    for (const { id } of its) maxima.set(id, most);
  }
  return (id) => maxima.get(id) ?? unlimited;
}

/** By listing id; listings without an item have no target. `channelMax` is the largest number the channel shows, of all listings or of each. */
export async function loadTargets(
  db: Queryable,
  listingIds: readonly string[],
  channelMax: number | ((listingId: string) => number),
): Promise<ReadonlyMap<string, ListingTarget>> {
  const { rows } = await db.query<TargetRow>({
    name: 'targets-load',
    text: targetsSql,
    values: [listingIds],
  });
  const mostOf = typeof channelMax === 'number' ? () => channelMax : channelMax;
  return new Map(rows.map((row) => [row.listing_id, toTarget(row, mostOf(row.listing_id))]));
}

export function targetFor({ input }: ListingTarget): Target {
  return targetOf(input);
}

function toTarget(row: TargetRow, channelMax: number): ListingTarget {
  const levels = [row.listing_rule, row.connection_rule, row.account_rule].map((rule) =>
    storedRule.parse(rule),
  );
  // `buffer` and `automaticBuffer` are one setting: the nearest level that names either decides.
  const deciding = levels.find((rule) => rule.buffer !== undefined || rule.automaticBuffer !== undefined);
  const epsilon = deciding?.buffer === undefined ? deciding?.automaticBuffer : undefined;
  const [listing, connection, account] =
    epsilon === undefined ? levels : levels.map(({ buffer: _replaced, ...rule }) => rule);
  const rules = { listing, connection, account } as RuleLevels;
  const input: TargetInput = {
    available: row.available,
    holds: row.holds,
    conflictDelta: row.conflict_delta,
    rules,
    channelMax,
    ...(epsilon === undefined
      ? {}
      : { automaticBuffer: automaticBuffer(row.others_per_hour / hourMs, row.reaction_ms, epsilon) }),
  };
  return {
    listingId: row.listing_id,
    itemId: row.item_id,
    input,
    targetSeq: Number(row.seq),
    raisesAllowed: !row.raises_stopped,
    othersPerMs: row.others_per_hour / hourMs,
    quietForMs: row.quiet_ms,
  };
}
