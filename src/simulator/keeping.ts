/** What it means to keep an item: the state of its units, what a way of protecting it decides, and what it may ask for. */

import type { WriteAnswer } from '../sync/core/answers.ts';
import type { Demand } from '../sync/core/demand.ts';
import type { EscrowUnit, Violation } from '../sync/core/escrow.ts';
import type { Range } from '../sync/core/range.ts';
import type { Shadow } from '../sync/core/shadow.ts';
import type { Believed } from '../sync/core/shown.ts';
import type { LineChange } from './ledger.ts';
import type { Owing, Wanted } from './lowering.ts';
import { type ChannelParameters } from './parameters.ts';
import type { Stage } from './policy.ts';
import { type Unit } from './unit.ts';

export type KeptUnit = {
  readonly unit: Unit;
  readonly name: string;
  readonly channel: ChannelParameters;
  shadow: Shadow;
  demand: Demand;
  reading: boolean;
  /** When the unit is read next; null when that has to be set. */
  readDue: number | null;
  /** What that was found by. */
  dueBy: Shadow | null;
  /** No reading before: the last one was asked for a moment ago. */
  readNotBefore: number;
  fencing: boolean;
  /** When the unit asks to be looked at next; null when it does not. */
  wakeAt: number | null;
  /** No write before: the channel has asked for a pause. */
  notBefore: number;
  lastSentAt: number;
  /** When the channel last did not say what it shows, or sold, although it was asked. */
  blindAt: number;
  /** When the stock of the item last moved because of this unit, as far as we know. */
  movedAt: number;
  /** A shadow that time alone changes nothing in, and until when; null when it may at any moment. */
  steady: { readonly shadow: Shadow; readonly until: number } | null;
  /** What the unit was last found to show, and until when time changes nothing in that. */
  shown: { readonly shadow: Shadow; readonly until: number; readonly range: Range } | null;
  /** The rights that a steady shadow has nothing new to say about. */
  learned: { readonly shadow: Shadow; readonly rights: EscrowUnit } | null;
  /** What was last found to keep the promises, and the most that it may show; null when nothing was looked at yet. */
  checked: { readonly shadow: Shadow; readonly shown: number; readonly high: number } | null;
  /** What was last found to be owed so that it shows no more than `wanted`, and until when time changes nothing in that; null when nothing was looked at yet. */
  lowered:
    | (Wanted & { readonly shadow: Shadow; readonly until: number; readonly owing: readonly Owing[] })
    | null;
};

/** What the two ways of protecting an item add to keeping its shadows. */
export type Keeping = {
  /** Numbers to open the shops with, per channel. */
  opening(item: number): readonly number[];
  changed(kept: KeptUnit, change: LineChange): void;
  restocked(item: number, quantity: number): void;
  answered(kept: KeptUnit, key: string, answer: WriteAnswer): void;
  /** `because` is which assumption a number above everything that can be speaks against; null when it is not above. */
  conflict(kept: KeptUnit, because: Violation | null): void;
  /** What must be lowered by what is known now and has not been sent. */
  owing(item: number): readonly Owing[];
  /** True while an order event of the item that was lost could cost an oversell. */
  atRisk(item: number): boolean;
  /** Throws when a promise of this way of keeping does not hold now. */
  check(item: number): void;
  /** Throws when the item has not come to rest as promised; asked after the quiet time. */
  checkRest(item: number): void;
  /** Decides from the state as it is; what is answered acts on it, or refuses (false) because the state has changed since. */
  plan(item: number): () => boolean;
};

export type Keeper = {
  readonly stage: Stage;
  readonly items: readonly (readonly KeptUnit[])[];
  readonly findings: Findings;
  /** Since when each of what `Keeping.owing` names has been owed, by name. */
  readonly owedSince: Map<string, number>;
  now(): number;
  /** What each channel of the item is known to have sold, up to now. */
  demands(item: number): readonly Demand[];
  send(
    kept: KeptUnit,
    write: {
      key: string | null;
      value: number;
      expected: number | null;
      /** Left out: whatever is there is written over. */
      believed?: Believed | null;
      raise: boolean;
      /** True when it may leave in one call with others of the channel: then its key is theirs, too. */
      packable?: boolean;
    },
  ): string;
  fence(kept: KeptUnit): void;
  read(kept: KeptUnit): void;
  /** `done` is told whether the channel gave its orders. */
  fetchOrders(channel: number, done: (told: boolean) => void): void;
  wake(kept: KeptUnit, at: number): void;
  /** Something about the item may be different: decide and act. */
  reconcile(item: number): void;
  adjust(item: number, quantity: number, cause: 'delivery' | 'resolution'): void;
};

/** What was changed behind our back, and when a write of ours or an order first may have covered it up. */
export type Edited = {
  readonly unit: Unit;
  readonly delta: number;
  readonly at: number;
  coveredAt: number | null;
};

export type Findings = {
  readings: number;
  falseConflicts: number;
  edited: Edited | null;
  caught: boolean;
  /** Until then no write can be expected of the hub: its process was away, or nobody has woken it. */
  excusedUntil: number;
  /** How much of the ledger was known when it was last asked what must be lowered, and until when time alone changes nothing in the answer. */
  lowered: { readonly movements: number; readonly until: number };
  /** Why a unit was first paused at zero; null when none was. */
  pausedFor: Violation | null;
  /** Plans of a second worker that were refused because the state had changed. */
  refusedPlans: number;
};

/** An immutable state is its own version. */
export function unchangedSince(units: readonly KeptUnit[]): () => boolean {
  const shadows = units.map(({ shadow }) => shadow);
  return () => units.every(({ shadow }, index) => shadow === shadows[index]);
}
