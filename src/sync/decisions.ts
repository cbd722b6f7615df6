/** Decides about claimed listings in one transaction: each decision is made on the newest stock under the shadow's lock, and a write is remembered before it leaves. */
import type pg from 'pg';
import type { ConnectorCapabilities, StockQueue } from '../connectors/connector.ts';
import { guardBatch } from './blast.ts';
import { withStanding } from './core/answers.ts';
import { raiseInTime } from './core/exposure.ts';
import { preemptMaxOf, queuedMaxMs } from './core/limits.ts';
import { stopsRaises } from './core/range.ts';
import { newShadow, type Shadow, targetSet, writeSent } from './core/shadow.ts';
import { type Believed } from './core/shown.ts';
import {
  type Direction,
  decideWrite,
  type Want,
  type WriteDecision,
  type WritingLimits,
} from './core/writing.ts';
import { decideEscrow, decideSettling } from './escrowDecisions.ts';
import { grantsOf, unknownOf } from './escrows.ts';
import type { KeptListing } from './keptListing.ts';
import { inCalls, type Packed } from './packing.ts';
import { type Claim, markUnknown, markWanted, recordWrites } from './pushSql.ts';
import { saveWithheld } from './shadowSql.ts';
import type { Kept } from './shadows.ts';
import { type ListingTarget, loadTargets, targetFor } from './targets.ts';

export type PlannedWrite = {
  readonly listing: KeptListing;
  readonly key: string;
  readonly quantity: number;
  readonly expected: number | null;
  readonly believed: Believed | null;
  readonly targetSeq: number;
  readonly direction: Direction;
  /** True when a lost answer has to be asked for again under its key: where keys belong to calls, it leaves in one of its own. */
  readonly repeatable: boolean;
  /** True for a raise that may stand in a queue of the channel, and is in time still when that is worked off. */
  readonly mayQueue: boolean;
  /** In milliseconds: what this was decided from was true then. */
  readonly decidedAt: number;
};

export type Decided = { readonly claim: Claim; readonly listing: KeptListing } & (
  | /** In step, or nothing of ours to show. */ { readonly kind: 'done' }
  /** Something under way decides first; `until` is in milliseconds. */
  | { readonly kind: 'wait'; readonly until: number }
  /** It must be read before anything can be said; `orders`: those of its channel first. */
  | { readonly kind: 'look'; readonly orders: boolean }
  | { readonly kind: 'write'; readonly write: PlannedWrite }
  /** So many numbers would change that a person should look first. */
  | { readonly kind: 'stopped' }
  /** It could not be read, and nothing may be written without. */
  | { readonly kind: 'unreadable'; readonly reason: string }
);

/** By listing id, what was looked at in this very run: null when it was read, else why it could not be. */
export type Looks = ReadonlyMap<string, string | null>;

export type Question = { readonly claims: readonly Claim[]; readonly kept: Kept; readonly looks: Looks };

export type DecisionOptions = {
  readonly capabilities: ConnectorCapabilities;
  readonly connectionId: string;
  readonly newId: () => string;
  /** How old the looks of a fence may be when the raise is sent, in milliseconds. */
  readonly fenceMaxMs: number;
  /** While an older write may still land after a zero, the zero is sent again after so many milliseconds, then ever more seldom. */
  readonly zeroAgainMs: number;
  /** Wait for an answer that is overdue, in milliseconds. */
  readonly answerWaitMs: number;
  /** Raises that may leave as one queue; null when too few wait, or the channel takes none. */
  readonly queue: StockQueue | null;
};

export async function decide(
  client: pg.PoolClient,
  options: DecisionOptions,
  { claims, kept, looks }: Question,
  now: number,
): Promise<readonly Packed[]> {
  const targets = await targetsOf(client, kept);
  const byId = new Map(kept.listings.map((listing) => [listing.listingId, listing]));
  const decided = claims.flatMap((claim): Decided[] => {
    const listing = byId.get(claim.listingId);
    return listing === undefined ? [] : [decideOne(options, claim, listing, { targets, kept, looks }, now)];
  });
  await tellOthers(client, kept, claims, targets, now);
  const { capabilities, connectionId, queue } = options;
  const allowed = inCalls(await guardBatch(client, connectionId, decided), capabilities, queue);
  const writes = allowed.flatMap((one) => (one.kind === 'write' ? [one.write] : []));
  for (const { listing, key, quantity: value, expected, targetSeq, inCompany, queued } of writes) {
    const company = inCompany ? { inCompany } : {};
    const standing = queued ? { queuedUntil: now + queuedMaxMs } : {};
    const write = { key, value, expected, targetSeq, ...company, ...standing };
    if (listing.shadow !== null) listing.shadow = writeSent(listing.shadow, write, now);
  }
  await recordWrites(client, writes, options.answerWaitMs);
  return allowed;
}

type Targets = ReadonlyMap<string, ListingTarget>;

async function targetsOf(client: pg.PoolClient, { listings }: Kept): Promise<Targets> {
  const changed = listings.flatMap(({ listingId, itemId, shadow, stored }) => {
    if (itemId === null || shadow === null) return [];
    const row = { listingId, itemId, hold: shadow.hold, raisesStopped: stopsRaises(shadow) };
    return row.hold === stored.hold && row.raisesStopped === stored.raisesStopped ? [] : [row];
  });
  await saveWithheld(client, changed);
  const most = new Map(listings.map(({ listingId, traits }) => [listingId, traits.quantityMax]));
  return loadTargets(client, [...most.keys()], (listingId) => most.get(listingId) ?? 0);
}

/** The most that its rules allow a listing to show, were all that is available there. */
const ruleMax = (targets: Targets) => (listing: KeptListing) => {
  const target = targets.get(listing.listingId);
  return target === undefined ? 0 : targetFor(target).target;
};

/** What one listing gives back another of the same item may take, once all of them are known: whoever works for those is told. */
async function tellOthers(
  client: pg.PoolClient,
  { escrows }: Kept,
  claims: readonly Claim[],
  targets: Targets,
  now: number,
): Promise<void> {
  const claimed = new Set(claims.map(({ listingId }) => listingId));
  const others = escrows.flatMap((held) => grantsOf(held, ruleMax(targets), now).map(({ name }) => name));
  await markWanted(
    client,
    others.filter((listingId) => !claimed.has(listingId)),
  );
  await markUnknown(
    client,
    escrows.flatMap((held) => unknownOf(held).map(({ listingId }) => listingId)),
  );
}

type Known = { readonly targets: Targets; readonly kept: Kept; readonly looks: Looks };

function decideOne(
  options: DecisionOptions,
  claim: Claim,
  listing: KeptListing,
  { targets, kept, looks }: Known,
  now: number,
): Decided {
  const one = { claim, listing };
  const target = targets.get(claim.listingId);
  const seen = looks.get(claim.listingId);
  const held = kept.escrows.find(({ itemId }) => itemId === listing.itemId);
  const unread = held !== undefined && !(listing.listingId in held.escrow.units);
  if (target === undefined || (!listing.enabled && held === undefined)) return { ...one, kind: 'done' };
  const { target: quantity } = targetFor(target);
  const { targetSeq } = target;
  const first = unread || listing.shadow === null;
  if (seen === undefined && (first || (listing.enabled && claim.reread)))
    return { ...one, kind: 'look', orders: false };
  if (held !== undefined && listing.shadow !== null && !unread) {
    const shadow = { ...listing.shadow, mode: 'escrow' as const };
    const question = {
      held,
      listing,
      shadow,
      seen,
      targetSeq,
      quantityMax: ruleMax(targets),
      newId: options.newId,
    };
    return { ...one, ...(listing.enabled ? decideEscrow : decideSettling)(question, now) };
  }
  // What cannot be read may be too high: a zero goes out unread, everything else waits.
  const reason = seen ?? (unread ? 'nothing is known of what it shows' : null);
  if (reason !== null && (quantity > 0 || !listing.enabled)) return { ...one, kind: 'unreadable', reason };
  const known = listing.shadow ?? unreadShadow(listing, options.capabilities.quantityMax, now);
  const shadow = targetSet({ ...known, mode: 'shared' }, quantity, targetSeq);
  listing.shadow = shadow;
  const decision = decideWrite(shadow, wantOf(listing, target), limitsOf(options, listing), now);
  const meaning = meaningOf(options, listing, decision, now);
  if (meaning.kind !== 'write') return { ...one, ...meaning };
  return {
    ...one,
    kind: 'write',
    write: { ...meaning.write, mayQueue: mayQueue(options, meaning.write, target) },
  };
}

/** Not of an item that may come under escrow at any moment: until the queue is worked off all that stands there would be charged on top. */
function mayQueue(
  { queue }: DecisionOptions,
  { listing, direction, repeatable }: PlannedWrite,
  { input, othersPerMs, quietForMs }: ListingTarget,
): boolean {
  if (queue === null || direction !== 'raise' || repeatable) return false;
  const pace = { othersPerMs, landing: queue.landingMs, quietFor: quietForMs };
  return listing.stored.protection === 'shared' && raiseInTime(input.available, pace);
}

/** A raise that lands when the others have sold out can only be sold twice, or be taken back. */
function wantOf({ traits }: KeptListing, target: ListingTarget): Want {
  const { input, targetSeq, raisesAllowed, othersPerMs, quietForMs } = target;
  const pace = { othersPerMs, landing: traits.landingMs, quietFor: quietForMs };
  return {
    target: targetFor(target).target,
    targetSeq,
    raisesAllowed,
    raiseInTime: raiseInTime(input.available, pace),
  };
}

/** What waits for a queue of the channel looks again now and then: a reading may have answered the question meanwhile. */
const waitMaxMs = 600_000;

export type Meaning =
  | { readonly kind: 'done' }
  | { readonly kind: 'wait'; readonly until: number }
  | { readonly kind: 'look'; readonly orders: boolean }
  | { readonly kind: 'write'; readonly write: PlannedWrite }
  | { readonly kind: 'unreadable'; readonly reason: string };

function meaningOf(
  options: DecisionOptions,
  listing: KeptListing,
  decision: WriteDecision,
  now: number,
): Meaning {
  switch (decision.kind) {
    case 'none':
      if (decision.reason === 'answerAwaited') return { kind: 'wait', until: now + options.answerWaitMs };
      if (decision.reason === 'raiseTooLate') return { kind: 'wait', until: now + listing.traits.landingMs };
      return { kind: 'done' };
    case 'wait':
      return { kind: 'wait', until: Math.min(decision.until, now + waitMaxMs) };
    case 'fence':
      return { kind: 'look', orders: true };
    case 'write': {
      const { value: quantity, expected, believed, targetSeq, direction, repeats } = decision;
      const key = repeats ?? options.newId();
      const write = {
        listing,
        key,
        quantity,
        expected,
        believed,
        targetSeq,
        direction,
        repeatable: repeats !== null,
        mayQueue: false,
        decidedAt: now,
      };
      return { kind: 'write', write };
    }
  }
}

const unread = 'unread';

/** Anything from nothing to the most the channel can show. */
function unreadShadow({ listingId, bounds, stored }: KeptListing, most: number, now: number): Shadow {
  const shadow = newShadow(listingId, bounds, { value: most, at: now, targetSeq: 0 });
  const anything = shadow.candidates.map((start) => ({ ...start, key: unread, spread: most }));
  return withStanding({ ...shadow, candidates: anything }, stored.standing ?? []);
}

export function limitsOf(options: DecisionOptions, { shadow }: KeptListing): WritingLimits {
  const known = shadow?.candidates.every(({ key }) => key !== unread) ?? false;
  return {
    // There is nothing to compare with where nothing was ever read.
    compareAndSet: options.capabilities.compareAndSet && known,
    fenceMax: options.fenceMaxMs,
    preemptMax: preemptMaxOf(options.capabilities),
    zeroAgain: options.zeroAgainMs,
  };
}

/** The listings that should be pushed: asked after readings, in their transaction. */
export async function outOfStep(
  client: pg.PoolClient,
  options: DecisionOptions,
  kept: Kept,
  now: number,
): Promise<readonly KeptListing[]> {
  const targets = await targetsOf(client, kept);
  const granted = new Set(
    kept.escrows.flatMap((held) => grantsOf(held, ruleMax(targets), now).map(({ name }) => name)),
  );
  return kept.listings.filter((listing) => {
    const target = targets.get(listing.listingId);
    if (!listing.enabled || target === undefined || listing.shadow === null) return false;
    if (kept.escrows.some(({ itemId }) => itemId === listing.itemId)) return granted.has(listing.listingId);
    const want = wantOf(listing, target);
    const shadow = targetSet(listing.shadow, want.target, want.targetSeq);
    const { kind } = decideWrite(shadow, want, limitsOf(options, listing), now);
    return kind === 'write' || kind === 'fence';
  });
}
