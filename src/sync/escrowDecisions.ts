/** What to do about a listing under escrow: only rights that were granted once are ever shown, so nothing is fenced and nothing is in a hurry. */
import { grant, unitOf } from './core/escrow.ts';
import { chaseOf } from './core/escrowUnit.ts';
import { rangeNow } from './core/range.ts';
import { type Shadow, targetSet } from './core/shadow.ts';
import type { Direction } from './core/writing.ts';
import type { Meaning, PlannedWrite } from './decisions.ts';
import { grantsOf, type KeptEscrow } from './escrows.ts';
import type { KeptListing } from './keptListing.ts';

export type EscrowQuestion = {
  readonly held: KeptEscrow;
  readonly listing: KeptListing;
  readonly shadow: Shadow;
  /** The ledger's seq that the grants are from. */
  readonly targetSeq: number;
  /** The most that a listing's rules allow it to show. */
  readonly quantityMax: (listing: KeptListing) => number;
  readonly newId: () => string;
};

/** Takes the rights of what it decides to write. */
export function decideEscrow(question: EscrowQuestion, now: number): Meaning {
  const { held, listing, shadow } = question;
  const chase = chaseOf(held.escrow, shadow, now);
  if (chase?.kind === 'wait') return chase;
  if (chase?.kind === 'read') return { kind: 'look', orders: false };
  if (chase?.kind === 'repeat') return { kind: 'write', write: planned(question, chase, chase.key, now) };
  const wanted = grantsOf(held, question.quantityMax, now).find(({ name }) => name === shadow.unit);
  if (wanted !== undefined) {
    const key = question.newId();
    held.escrow = grant(held.escrow, shadow.unit, { ...wanted, key, sentAt: now });
    return { kind: 'write', write: planned(question, wanted, key, now) };
  }
  listing.shadow = targetSet(shadow, unitOf(held.escrow, shadow.unit).cur, question.targetSeq);
  const settling = settlesAt(held, listing, shadow);
  return settling === null ? { kind: 'done' } : { kind: 'wait', until: Math.max(settling, now + 1_000) };
}

/** When an order fetch that starts then covers what was replaced, so that the unused part of it is free again; null when nothing was. */
function settlesAt(held: KeptEscrow, listing: KeptListing, shadow: Shadow): number | null {
  const { replacedAt } = unitOf(held.escrow, shadow.unit);
  if (replacedAt === null) return null;
  return replacedAt + listing.traits.indexLagMs + shadow.bounds.clockSkewMax + 1;
}

function planned(
  { listing, shadow, targetSeq }: EscrowQuestion,
  { value, expected }: { readonly value: number; readonly expected: number | null },
  key: string,
  now: number,
): PlannedWrite {
  const seq = Math.max(targetSeq, shadow.sentSeq);
  listing.shadow = targetSet(shadow, value, seq);
  return {
    listing,
    key,
    quantity: value,
    expected,
    targetSeq: seq,
    direction: directionOf(shadow, value, now),
    decidedAt: now,
  };
}

function directionOf(shadow: Shadow, value: number, now: number): Direction {
  if (value === 0) return 'zero';
  return value < rangeNow(shadow, now).high ? 'lower' : 'raise';
}
