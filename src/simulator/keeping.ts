/** What it means to keep an item: the state of its units, what a way of protecting it decides, and what it may ask for. */
import type { Conflict } from '../sync/core/conflicts.ts';
import type { Demand } from '../sync/core/demand.ts';
import type { Shadow, WriteAnswer } from '../sync/core/shadow.ts';
import type { LineChange } from './ledger.ts';
import { type ChannelParameters, hour } from './parameters.ts';
import type { Stage } from './policy.ts';
import type { Unit } from './world.ts';

export type KeptUnit = {
  readonly unit: Unit;
  readonly name: string;
  readonly channel: ChannelParameters;
  shadow: Shadow;
  demand: Demand;
  reading: boolean;
  fencing: boolean;
  /** When the unit asks to be looked at next; null when it does not. */
  wakeAt: number | null;
  /** No write before: the channel has asked for a pause. */
  notBefore: number;
  lastSentAt: number;
};

/** What the two ways of protecting an item add to keeping its shadows. */
export type Keeping = {
  /** Numbers to open the shops with, per channel. */
  opening(item: number): readonly number[];
  changed(kept: KeptUnit, change: LineChange): void;
  restocked(item: number, quantity: number): void;
  answered(kept: KeptUnit, key: string, answer: WriteAnswer): void;
  conflict(kept: KeptUnit, conflict: Conflict): void;
  /** Milliseconds until orders should be fetched again. */
  pollPause(): number;
  /** True when every channel is to show its target in the end. */
  readonly target: boolean;
  /** Throws when a promise of this way of keeping does not hold now. */
  check(item: number): void;
  /** Something about the item may be different: decide and act. */
  reconcile(item: number): void;
};

export type Keeper = {
  readonly stage: Stage;
  readonly items: readonly (readonly KeptUnit[])[];
  readonly findings: Findings;
  now(): number;
  /** Units per millisecond that each channel is thought to sell. */
  rates(item: number): readonly number[];
  send(
    kept: KeptUnit,
    write: { key: string | null; value: number; expected: number | null; raise: boolean },
  ): string;
  fence(kept: KeptUnit): void;
  read(kept: KeptUnit): void;
  fetchOrders(channel: number, done: () => void): void;
  wake(kept: KeptUnit, at: number): void;
  adjust(item: number, quantity: number, cause: 'delivery' | 'resolution'): void;
};

export type Findings = {
  readings: number;
  falseConflicts: number;
  edited: { readonly unit: Unit; readonly delta: number } | null;
  caught: boolean;
};

export const demandLimits = { halfLife: hour / 4, priorPerMs: 30 / hour, priorUnits: 1, shareUnits: 10 };
