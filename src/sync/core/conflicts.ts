/** Conflicts that are proven, not guessed: evidence as values, and a resolution that is a movement on the present, never an old number. */
import type { Proof } from './readings.ts';
import type { Candidate, Shadow } from './shadow.ts';

export type ConflictType = 'quantity_mismatch' | 'sold_out' | 'price_mismatch';
export type Resolution = 'use_lowest' | 'use_highest' | 'manual_review' | 'keep_ours';
export type ConflictStatus = 'open' | 'resolved' | 'superseded';

/** An amount in minor units (cents; whole yen). */
export type Price = { readonly minor: number; readonly currency: string };

export type Conflict = {
  readonly unit: string;
  readonly type: ConflictType;
  /** Units (or minor units of money) by which the channel was changed from outside; below 0 for a cut. */
  readonly delta: number;
  readonly status: ConflictStatus;
  readonly version: number;
  readonly provenAt: number;
  readonly evidence: Evidence;
  readonly suggestedResolution: Resolution;
  /** A cut may be accepted without asking: it can only sell less. */
  readonly autoResolvable: boolean;
};

/** As much of a conflict as a decision looks at: evidence is for people. */
export type Decidable = Pick<Conflict, 'type' | 'delta' | 'status' | 'version'>;

/** What was seen, what could have been, and how far orders were known: enough to check the proof again. */
export type Evidence =
  | {
      readonly kind: 'quantity';
      readonly proof: Proof;
      readonly target: number;
      readonly targetSeq: number;
      /** What may have been in force, before the reading replaced it. */
      readonly candidates: readonly Candidate[];
    }
  | { readonly kind: 'price'; readonly expected: readonly Price[]; readonly shown: Price };

/** `before` is the shadow that the proof was drawn from. */
export function quantityConflict(before: Shadow, proof: Proof, now: number): Conflict {
  const { target, targetSeq, candidates } = before;
  const soldOut = proof.delta < 0 && proof.reading.value === 0 && target > 0;
  return {
    unit: proof.unit,
    type: soldOut ? 'sold_out' : 'quantity_mismatch',
    delta: proof.delta,
    status: 'open',
    version: 1,
    provenAt: now,
    evidence: { kind: 'quantity', proof, target, targetSeq, candidates },
    suggestedResolution: 'use_lowest',
    autoResolvable: true,
  };
}

/**
 * Compares a list price with every price that may be in force: the rule's, and those of writes that may not have landed. Within
 * `toleranceMinor` of one of them there is no conflict, and in another currency there is nothing to compare.
 */
export function priceConflict(
  unit: string,
  expected: readonly Price[],
  shown: Price,
  toleranceMinor: number,
  now: number,
): Conflict | null {
  const comparable = expected.filter(({ currency }) => currency === shown.currency);
  const deltas = comparable.map(({ minor }) => shown.minor - minor);
  const [nearest] = deltas.toSorted((one, other) => Math.abs(one) - Math.abs(other));
  if (nearest === undefined || Math.abs(nearest) <= toleranceMinor) return null;
  return {
    unit,
    type: 'price_mismatch',
    delta: nearest,
    status: 'open',
    version: 1,
    provenAt: now,
    evidence: { kind: 'price', expected: comparable, shown },
    suggestedResolution: 'keep_ours',
    autoResolvable: false,
  };
}

/** A newer proof for the same unit: the older evidence is overtaken, and what was changed in all is one conflict. Null when the edits cancel out. */
export function succeeded<Older extends Decidable>(
  older: Older,
  newer: Conflict,
): { readonly older: Older; readonly newer: Conflict | null } {
  const delta = older.delta + newer.delta;
  const superseded = supersede(older);
  return { older: superseded, newer: delta === 0 ? null : { ...newer, delta } };
}

/** The evidence was overtaken: such a conflict cannot be resolved any more. */
export function supersede<Any extends Decidable>(conflict: Any): Any {
  return conflict.status === 'open'
    ? { ...conflict, status: 'superseded', version: conflict.version + 1 }
    : conflict;
}

/** What open conflicts of one item withhold on every channel until they are decided: 0 or less. */
export function undecidedDelta(conflicts: readonly Decidable[]): number {
  return Math.min(0, ...quantityDeltas(conflicts));
}

function quantityDeltas(conflicts: readonly Decidable[]): readonly number[] {
  return conflicts
    .filter(({ status, type }) => status === 'open' && type !== 'price_mismatch')
    .map(({ delta }) => delta);
}

export type Resolved<Any extends Decidable = Conflict> =
  | {
      readonly kind: 'resolved';
      /** Change of what is on hand now, in units: to be applied as a movement, whatever happened since the proof. */
      readonly movement: number;
      readonly conflicts: readonly Any[];
    }
  | { readonly kind: 'refused'; readonly code: 'SUPERSEDED' | 'ALREADY_RESOLVED' | 'VERSION_CONFLICT' };

/**
 * Resolves the conflicts of one item together, because the deltas of several channels are most likely one delivery and never added up. Each
 * conflict comes with the version that was looked at; the targets are asserted again afterwards in every case.
 */
export function resolve<Any extends Decidable>(
  chosen: readonly { readonly conflict: Any; readonly expectedVersion: number }[],
  resolution: Resolution,
): Resolved<Any> {
  for (const { conflict, expectedVersion } of chosen) {
    if (conflict.status === 'superseded') return { kind: 'refused', code: 'SUPERSEDED' };
    if (conflict.status === 'resolved') return { kind: 'refused', code: 'ALREADY_RESOLVED' };
    if (conflict.version !== expectedVersion) return { kind: 'refused', code: 'VERSION_CONFLICT' };
  }
  const conflicts = chosen.map(({ conflict }) => conflict);
  const deltas = quantityDeltas(conflicts);
  if (resolution === 'manual_review') return { kind: 'resolved', movement: 0, conflicts };
  return {
    kind: 'resolved',
    movement: movementOf(resolution, deltas),
    conflicts: conflicts.map(closed),
  };
}

function closed<Any extends Decidable>(conflict: Any): Any {
  return { ...conflict, status: 'resolved', version: conflict.version + 1 };
}

function movementOf(resolution: Exclude<Resolution, 'manual_review'>, deltas: readonly number[]): number {
  switch (resolution) {
    case 'use_lowest':
      return Math.min(0, ...deltas);
    case 'use_highest':
      return Math.max(0, ...deltas);
    case 'keep_ours':
      return 0;
  }
}
