/** What to do about a listing under escrow: only rights that were granted once are ever shown, so nothing is fenced and nothing is in a hurry. */
import { grant, unitOf } from './core/escrow.ts';
import { chaseOf, learnedRights } from './core/escrowUnit.ts';
import { type Shadow, targetSet } from './core/shadow.ts';
import { rangeNow } from './core/shown.ts';
import type { Direction } from './core/writing.ts';
import type { Meaning, PlannedWrite } from './decisions.ts';
import { grantsOf, type KeptEscrow } from './escrows.ts';
import type { KeptListing } from './keptListing.ts';

export type EscrowQuestion = {
  readonly held: KeptEscrow;
  readonly listing: KeptListing;
  readonly shadow: Shadow;
  /** What became of the look at it in this very run; undefined when there was none. */
  readonly seen: string | null | undefined;
  /** The ledger's seq that the grants are from. */
  readonly targetSeq: number;
  /** The most that a listing's rules allow it to show. */
  readonly quantityMax: (listing: KeptListing) => number;
  readonly newId: () => string;
};

/** Pause between two decisions while orders that should be known are not, in milliseconds. */
const settlePause = 5_000;

/** Takes the rights of what it decides to write. */
export function decideEscrow(question: EscrowQuestion, now: number): Meaning {
  const { held, listing, shadow } = question;
  // An answer of this very moment may have confirmed what would else be waited for.
  held.escrow = learnedRights(held.escrow, shadow, now);
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
  return decideSettling(question, now);
}

/** Waits until the orders can tell what has become of rights, and then asks for them. Writes nothing. */
export function decideSettling({ held, listing, shadow, seen }: EscrowQuestion, now: number): Meaning {
  const at = settlesAt(held, listing, shadow);
  if (at === null) return { kind: 'done' };
  if (at > now) return { kind: 'wait', until: at };
  if (typeof seen === 'string') return { kind: 'unreadable', reason: seen };
  return shadow.ordersFetchedAt < at
    ? { kind: 'look', orders: true }
    : { kind: 'wait', until: now + settlePause };
}

/** When an order fetch that starts then covers what was replaced, or sold before it joined; null when nothing was. */
function settlesAt(held: KeptEscrow, listing: KeptListing, shadow: Shadow): number | null {
  const { replacedAt, joinedAt } = unitOf(held.escrow, shadow.unit);
  const open = joinedAt ?? replacedAt;
  if (open === null) return null;
  return open + listing.traits.indexLagMs + shadow.bounds.clockSkewMax + 1;
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
    // Whatever is sold meanwhile is paid by the rights that it replaces: they stay charged until every order is known.
    believed: null,
    targetSeq: seq,
    direction: directionOf(shadow, value, now),
    // Its rights stay charged until its answer is known.
    repeatable: true,
    mayQueue: false,
    decidedAt: now,
  };
}

function directionOf(shadow: Shadow, value: number, now: number): Direction {
  if (value === 0) return 'zero';
  return value < rangeNow(shadow, now).high ? 'lower' : 'raise';
}
