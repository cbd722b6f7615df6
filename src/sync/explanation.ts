/** Why a listing shows the number it shows: every row that decides it, every step of the rule, what is unconfirmed, and the same in plain words. Pure. */
import type { Platform } from '../connectors/connector.ts';
import type { Escrow } from './core/escrow.ts';
import { deficitOf } from './core/missing.ts';
import { inForce, type Range } from './core/range.ts';
import type { Candidate, CandidateState, Shadow } from './core/shadow.ts';
import { rangeNow } from './core/shown.ts';
import { type RuleLevel, type Target, type TargetStep, targetOf } from './core/targets.ts';
import { platformNames, stepWords, summaryOf } from './explanationWords.ts';
import type { ListingTarget, StoredRule } from './targets.ts';

export type Mode = 'shared' | 'escrow' | 'paused' | 'observe_only';
export type ConnectionStatus = 'active' | 'paused' | 'needs_authorization' | 'disconnected';

/** What was loaded, in one snapshot. */
export type ExplanationRows = {
  readonly listing: {
    readonly id: string;
    readonly platform: Platform;
    readonly syncEnabled: boolean;
    readonly writable: boolean;
    /** Whether the channel goes on selling it where its number is used up. */
    readonly sellsBeyond: boolean;
    /** What we believe is shown, where there is no shadow yet, or nothing is written and the number is observed; null when unknown. */
    readonly quantity: number | null;
    /** When that was read or proven. */
    readonly quantityAt: Date | null;
    /** Whether its number is read although nothing is written to it. */
    readonly observed: boolean;
    readonly waitingSince: Date | null;
  };
  readonly connection: {
    readonly name: string;
    readonly status: ConnectionStatus;
    readonly syncEnabled: boolean;
    readonly awaitingPlan: boolean;
  };
  readonly item: { readonly id: string; readonly onHand: number; readonly reserved: number } | null;
  /** Null when the listing sells no known item. */
  readonly target: ListingTarget | null;
  readonly rules: Readonly<Record<RuleLevel, StoredRule>>;
  readonly shadow: Shadow | null;
  /** The listings that withhold units of the item, also those of its bundles and of its components. */
  readonly holding: readonly {
    readonly listingId: string;
    readonly platform: Platform;
    readonly connectionName: string;
    readonly units: number;
    readonly shadow: Shadow | null;
  }[];
  readonly conflicts: readonly OpenConflict[];
  readonly push: Push | null;
  readonly ordersSince: { readonly orders: number; readonly units: number } | null;
  readonly escrow: Escrow | null;
  /** The other listings of the item. */
  readonly others: readonly {
    readonly listingId: string;
    readonly platform: Platform;
    readonly connectionName: string;
  }[];
  /** What the item is made of, where it is a bundle. */
  readonly parts: readonly {
    readonly itemId: string;
    readonly sku: string;
    readonly quantity: number;
    readonly available: number;
  }[];
};

export type OpenConflict = {
  readonly conflictId: string;
  readonly listingId: string | null;
  readonly platform: Platform | null;
  readonly type: 'quantity_mismatch' | 'price_mismatch' | 'sold_out';
  readonly delta: number;
  readonly since: Date;
};

export type WriteState = 'sent' | 'accepted' | 'effective' | 'unknown' | 'rejected' | 'stale' | 'superseded';
export type Push = {
  readonly key: string;
  readonly quantity: number;
  readonly state: WriteState;
  readonly targetSeq: number;
  readonly error: string | null;
  readonly sentAt: Date;
  readonly settledAt: Date | null;
};

export type Hold = {
  readonly listingId: string;
  readonly platform: Platform;
  readonly connectionName: string;
  readonly units: number;
  /** When the first reading came that is too low; null when the shadow does not say. */
  readonly since: Date | null;
};

export type ExplainedStep = TargetStep & { readonly text: string };

export type ExplainedCandidate = {
  readonly key: string;
  readonly value: number;
  readonly state: CandidateState;
  readonly sentAt: Date;
  readonly settledAt: Date | null;
  /** True while it may stand in a queue of the channel, together with others. */
  readonly queued: boolean;
};

export type Rights = {
  readonly cur: number;
  readonly old: number;
  readonly new: number;
  readonly free: number;
  /** What the other listings of the item hold of it, all kinds of rights together. */
  readonly elsewhere: readonly RightsElsewhere[];
};

export type RightsElsewhere = ExplanationRows['others'][number] & { readonly units: number };

/** A part of a bundle: `available` units of it are enough for `makes` bundles. Those that are enough for the fewest limit it. */
export type ExplainedPart = ExplanationRows['parts'][number] & {
  readonly makes: number;
  readonly limits: boolean;
};

export type Explanation = {
  readonly listingId: string;
  readonly mode: Mode;
  /** Why nothing is written, or why it is kept at zero; null in the modes that write. */
  readonly modeReason: string | null;
  readonly ledger: {
    readonly onHand: number;
    readonly reserved: number;
    readonly available: number;
    readonly seq: number;
  } | null;
  /** None where the item is no bundle. */
  readonly parts: readonly ExplainedPart[];
  readonly holds: readonly Hold[];
  readonly conflicts: readonly OpenConflict[];
  readonly conflictDelta: number;
  readonly raisesStopped: boolean;
  readonly steps: readonly ExplainedStep[];
  readonly target: number | null;
  readonly shown: Range | null;
  /** When an observed number was read; null where it never was, or nothing is observed. */
  readonly observedAt: Date | null;
  readonly candidates: readonly ExplainedCandidate[];
  readonly push: Push | null;
  readonly ordersSince: { readonly orders: number; readonly units: number } | null;
  readonly rights: Rights | null;
  readonly waitingSince: Date | null;
  readonly summary: string;
};

/** `now` in milliseconds. */
export function explanationOf(rows: ExplanationRows, now: number): Explanation {
  const { listing, item, shadow, target } = rows;
  const computed: Target | null = target === null ? null : targetOf(target.input);
  const { mode, reason } = modeOf(rows);
  const holds = rows.holding.map(holdOf);
  const explained = {
    listingId: listing.id,
    mode,
    modeReason: reason,
    ledger:
      item === null || target === null
        ? null
        : {
            onHand: item.onHand,
            reserved: item.reserved,
            available: target.input.available,
            seq: target.targetSeq,
          },
    parts: partsOf(rows),
    holds,
    conflicts: rows.conflicts,
    conflictDelta: target?.input.conflictDelta ?? 0,
    raisesStopped: target?.raisesAllowed === false,
    steps: (computed?.steps ?? []).map((step) => explainedStep(step, rows, holds)),
    target: computed?.target ?? null,
    shown: shownOf(rows, now),
    observedAt: listing.observed ? listing.quantityAt : null,
    candidates: (shadow?.candidates ?? [])
      .filter((candidate) => inForce(candidate, { from: now, until: now }))
      .map((candidate) => candidateOf(candidate, now)),
    push: rows.push,
    ordersSince: rows.ordersSince,
    rights: rightsOf(rows),
    waitingSince: listing.waitingSince,
  };
  return { ...explained, summary: summaryOf(explained, listing) };
}

function partsOf({ parts }: ExplanationRows): readonly ExplainedPart[] {
  const makesOf = ({ available, quantity }: (typeof parts)[number]) => Math.floor(available / quantity);
  const fewest = Math.min(...parts.map(makesOf));
  return parts.map((part) => {
    const makes = makesOf(part);
    return Object.assign({}, part, { makes, limits: makes === fewest });
  });
}

function rightsOf({ escrow, listing, others }: ExplanationRows): Rights | null {
  const unit = escrow?.units[listing.id];
  if (escrow === null || unit === undefined) return null;
  const elsewhere = others.flatMap((other) => {
    const its = escrow.units[other.listingId];
    return its === undefined ? [] : [{ ...other, units: its.cur + its.old + its.new }];
  });
  return { cur: unit.cur, old: unit.old, new: unit.new, free: escrow.free, elsewhere };
}

function explainedStep(
  step: TargetStep,
  { rules, conflicts }: ExplanationRows,
  holds: readonly Hold[],
): ExplainedStep {
  const explained = { ...step, level: levelOf(step, rules) };
  return { ...explained, text: stepWords(explained, holds, conflicts) };
}

/** The automatic buffer is a rule too, at the level that asks for it. */
function levelOf(step: TargetStep, rules: ExplanationRows['rules']): RuleLevel | null {
  if (step.step !== 'automaticBuffer') return step.level;
  const levels = ['listing', 'connection', 'account'] as const;
  return levels.find((level) => rules[level].automaticBuffer !== undefined) ?? null;
}

function holdOf({ shadow, ...holding }: ExplanationRows['holding'][number]): Hold {
  const first = shadow?.readings.find((reading) => deficitOf(shadow, reading) > 0);
  return { ...holding, since: first === undefined ? null : new Date(first.until) };
}

function shownOf({ shadow, listing }: ExplanationRows, now: number): Range | null {
  // A shadow is from before it was switched off; nobody has told it anything since.
  if (shadow !== null && !listing.observed) return rangeNow(shadow, now);
  return listing.quantity === null ? null : { low: listing.quantity, high: listing.quantity };
}

function candidateOf(candidate: Candidate, now: number): ExplainedCandidate {
  const { key, value, state, sentAt, settledAt, queuedUntil } = candidate;
  return {
    key,
    value,
    state,
    sentAt: new Date(sentAt),
    settledAt: settledAt === null ? null : new Date(settledAt),
    queued: settledAt === null && queuedUntil !== undefined && queuedUntil > now,
  };
}

type ReasonedMode = { readonly mode: Mode; readonly reason: string | null };

function observe(reason: string): ReasonedMode {
  return { mode: 'observe_only', reason };
}

function modeOf(rows: ExplanationRows): ReasonedMode {
  const { listing, connection, shadow, escrow, item } = rows;
  const name = platformNames[listing.platform];
  if (item === null) return observe('It is not known which item it sells.');
  if (!listing.writable) return observe(`${name} owns this number.`);
  if (!listing.syncEnabled && connection.awaitingPlan)
    return observe(`The first plan of ${connection.name} is not applied yet.`);
  if (!listing.syncEnabled) return observe('Sync is switched off for this listing.');
  if (!connection.syncEnabled) return observe(`Sync is switched off for ${connection.name}.`);
  if (connection.status !== 'active') return observe(`${connection.name} ${statusWords[connection.status]}.`);
  if (shadow?.mode === 'observe') return observe('Numbers are computed and not written.');
  const broken = escrow?.units[listing.id]?.paused ?? null;
  if (broken !== null || shadow?.mode === 'paused') {
    const reason = broken === null ? 'It is kept at zero.' : `It is kept at zero: ${assumptions[broken]}.`;
    return { mode: 'paused', reason };
  }
  return { mode: escrow === null ? 'shared' : 'escrow', reason: null };
}

const statusWords: Readonly<Record<Exclude<ConnectionStatus, 'active'>, string>> = {
  paused: 'is paused',
  needs_authorization: 'must be authorised again',
  disconnected: 'is disconnected',
};

const assumptions = {
  A1: 'the channel has sold, or would sell, beyond its number (A1)',
  A2: 'a write took effect later than the channel promises (A2)',
  A3: 'an order became visible later than the channel promises (A3)',
  A4: 'somebody else has raised the number (A4)',
} as const;
