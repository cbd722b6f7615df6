/** Carries a decision out: a movement on the present, the conflicts closed, every channel asserted again. One transaction, under the item's lock. */
import type { PoolClient } from 'pg';
import { mayChange } from './blast.ts';
import { readEvidence } from './conflictEvidence.ts';
import {
  announceConflicts,
  closeConflicts,
  markListings,
  type StoredConflict,
  settleItemStatus,
} from './conflictRows.ts';
import { type Resolution, resolve } from './core/conflicts.ts';
import { adjust, noEffect, type StockEffect, togetherWith } from './ledger.ts';
import type { Actor } from './outcome.ts';
import { quantityLimit } from './stock.ts';

export type Decided = Exclude<Resolution, 'manual_review'>;

/** What a decision comes to now. */
export type Plan = {
  /** Units that it adds to what is on hand. */
  readonly units: number;
  /** The conflict whose edit that is; null when nothing moves. */
  readonly cause: StoredConflict | null;
  /** On hand afterwards. */
  readonly left: number;
  /** Why it cannot be booked, for people: no column could hold the stock afterwards, or the item has none of its own (a bundle). Null when it can. */
  readonly obstacle: string | null;
};

export type Decision = {
  readonly accountId: string;
  readonly itemId: string;
  /** All open conflicts about the item's number, looked at under its lock. */
  readonly open: readonly StoredConflict[];
  readonly resolution: Decided;
  readonly plan: Plan;
  readonly actor: Actor;
};

/**
 * What the account's policy decides by itself; null when a person has to: the policy says so, an edit is larger than its limit or may have been made
 * while its listing was switched off, a person already said that they will decide, the stock would leave its range, or so much was changed on the channel
 * at once that the blast guard stops it. All conflicts of the item are decided together or none.
 */
export async function autoDecision(
  client: PoolClient,
  itemId: string,
  open: readonly StoredConflict[],
): Promise<Pick<Decision, 'resolution' | 'plan'> | null> {
  const { rows } = await client.query<{ resolution: Resolution; unitsMax: number }>(
    `SELECT account.auto_resolution AS resolution, account.auto_resolution_units_max AS "unitsMax"
       FROM inventory_items item JOIN accounts account ON account.id = item.account_id WHERE item.id = $1`,
    [itemId],
  );
  const [policy] = rows;
  if (policy === undefined || policy.resolution === 'manual_review') return null;
  const { resolution, unitsMax } = policy;
  const within = open.every(
    ({ autoResolvable, awaitsReview, delta }) =>
      autoResolvable && !awaitsReview && Math.abs(delta) <= unitsMax,
  );
  if (!within) return null;
  const plan = await planOf(client, itemId, open, resolution);
  return plan.obstacle === null && (await mayBook(client, open, plan)) ? { resolution, plan } : null;
}

/** What the policy books of many listings of a connection at once is as much of a change as what a file does. */
async function mayBook(
  client: PoolClient,
  open: readonly StoredConflict[],
  { units, left }: Plan,
): Promise<boolean> {
  if (units === 0) return true;
  const kind = units > 0 ? 'raise' : left > 0 ? 'lower' : 'zero';
  const { rows } = await client.query<{ connectionId: string; listingIds: string[] }>(
    `SELECT connection_id AS "connectionId", array_agg(id) AS "listingIds" FROM listings WHERE id = ANY($1) GROUP BY connection_id ORDER BY connection_id`,
    [open.map(({ listingId }) => listingId)],
  );
  for (const { connectionId, listingIds } of rows) {
    const changes = listingIds.map((unit) => ({ unit, class: kind, exposure: 0 }) as const);
    if (!(await mayChange(client, connectionId, changes))) return false;
  }
  return true;
}

/** A movement on the present, whatever happened since the proofs. */
export async function planOf(
  client: PoolClient,
  itemId: string,
  open: readonly StoredConflict[],
  resolution: Decided,
): Promise<Plan> {
  const unbooked = await withoutBooked(client, itemId, open, resolution);
  const chosen = unbooked.map((conflict) => ({ conflict, expectedVersion: conflict.version }));
  const resolved = resolve(chosen, resolution);
  if (resolved.kind === 'refused') throw new Error(`a conflict to decide is ${resolved.code}`);
  const units = resolved.movement;
  const cause = units === 0 ? null : unbooked.find(({ delta }) => delta === units);
  if (cause === undefined) throw new Error(`no conflict explains a movement of ${units}`);
  const { rows } = await client.query<{ quantity: number; bundle: boolean }>(
    `SELECT quantity, role = 'bundle' AS bundle FROM inventory_items WHERE id = $1`,
    [itemId],
  );
  const { quantity = 0, bundle = false } = rows[0] ?? {};
  return { units, cause, left: quantity + units, obstacle: obstacleTo(quantity, units, bundle) };
}

function obstacleTo(quantity: number, units: number, bundle: boolean): string | null {
  if (units !== 0 && bundle)
    return 'A bundle has no stock of its own: correct the stock of its components, and resolve this with KEEP_OURS.';
  return Math.abs(quantity + units) <= quantityLimit ? null : 'The stock would leave its range.';
}

type Booked = { readonly seq: number; readonly units: number; readonly listings: readonly string[] };

/**
 * The conflicts with what is left of their deltas. Edits on several channels are most likely one delivery, also when they are proven and decided
 * one after the other: what a decision on another listing has booked counts for an edit that was made before the decision reached its channel,
 * that is, whose target was computed from an older `seq`. So it does not matter in how many goes such conflicts are decided.
 */
async function withoutBooked(
  client: PoolClient,
  itemId: string,
  open: readonly StoredConflict[],
  resolution: Decided,
): Promise<readonly StoredConflict[]> {
  const { rows: booked } = await client.query<Booked>(
    `SELECT movement.seq::float8 AS seq, movement.on_hand_delta AS units, array_agg(conflict.listing_id) AS listings
       FROM stock_movements movement JOIN sync_conflicts conflict ON conflict.movement_id = movement.id
      WHERE movement.item_id = $1 AND movement.seq > $2 AND movement.kind = 'resolution' GROUP BY movement.id`,
    [itemId, Math.min(...open.map(targetSeqOf))],
  );
  const sign = resolution === 'use_lowest' ? -1 : 1;
  return open.map((conflict) => {
    const before = booked
      .filter(
        ({ seq, listings }) => seq > targetSeqOf(conflict) && !listings.includes(conflict.listingId ?? ''),
      )
      .reduce((sum, { units }) => sum + Math.max(0, sign * units), 0);
    const left = Math.max(0, sign * conflict.delta - before);
    return before === 0 || sign * conflict.delta <= 0
      ? conflict
      : { ...conflict, delta: left === 0 ? 0 : sign * left };
  });
}

/** The ledger that the channel was last to be brought in step with before the edit was proven. */
function targetSeqOf({ data }: StoredConflict): number {
  const evidence = readEvidence(data);
  return evidence?.kind === 'quantity' ? evidence.targetSeq : Number.MAX_SAFE_INTEGER;
}

/** A decision that moves nothing asserts the targets all the same: what was changed from outside is written over. */
export async function decide(client: PoolClient, decision: Decision): Promise<StockEffect> {
  const { itemId, open, resolution, actor } = decision;
  const moved = await move(client, decision);
  const ids = open.map(({ id }) => id);
  await closeConflicts(client, ids, { resolution, actor, movementId: moved.movementIds[0] ?? null });
  await announceConflicts(client, ids);
  await settleItemStatus(client, [itemId]);
  const connectionIds = await markListings(client, [itemId], 'all');
  return togetherWith(moved, { ...noEffect, connectionIds });
}

async function move(client: PoolClient, { accountId, itemId, plan, actor }: Decision): Promise<StockEffect> {
  const { cause, units } = plan;
  if (cause === null) return noEffect;
  return adjust(client, {
    accountId,
    itemId,
    onHandDelta: units,
    // The version is closed with the movement: it can never move stock again.
    idempotencyKey: `resolution:${cause.id}:${cause.version}`,
    kind: 'resolution',
    reason: 'correction',
    reference: cause.id,
    actor,
  });
}
