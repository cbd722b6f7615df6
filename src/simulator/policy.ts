/** What a policy is: it hears of orders and deliveries, and reads and writes the channels. */
import type { Ledger } from './ledger.ts';
import { type Unit } from './unit.ts';
import { type Snapshot, type World } from './world.ts';

export type Policy = {
  /** Before the first buyer. Numbers are set at once: the shops are open already. */
  start(): void;
  orderEvent(order: Snapshot): void;
  restocked(item: number, quantity: number): void;
  /** Only the floor listens to this. */
  orderVisible?(order: Snapshot): void;
  /** The process died; what was recorded is still there, answers under way are not. */
  crashed?(until: number): void;
  /** Every wake-up is forgotten. */
  wiped?(): void;
  /** A second worker decides now from the same state, and acts `delay` milliseconds later. */
  doubled?(delay: number): void;
  outsideEdit?(unit: Unit, delta: number): void;
  /** Throws when one of its own promises does not hold now. Asked after every event. */
  check?(): void;
  /** Throws when an item that nothing has happened to for long enough has not come to rest. Asked now and then. */
  checkCalm?(): void;
  /** Throws when it has not come to rest; asked after the quiet time. */
  checkRest?(): void;
  readonly results?: () => PolicyResults;
};

export type PolicyResults = {
  readonly readings: number;
  readonly falseConflicts: number;
  /** Null when there was no edit; else whether a conflict named it. */
  readonly caught: { readonly raise: boolean; readonly caught: boolean } | null;
  /** Null when no unit was paused at zero; else whether the first was for the assumption that the world breaks. */
  readonly paused: { readonly rightly: boolean } | null;
  readonly resurrectedUnits: number;
  readonly refusedPlans: number;
};

export type Stage = { readonly world: World; readonly ledger: Ledger; readonly seed: number };

/** One order poll per channel, again and again. */
export function startPolls({ world }: Stage, poll: (channel: number) => void): void {
  const { parameters, queue } = world;
  const { pollEvery, channels } = parameters;
  channels.forEach((_, channel) => {
    const next = () => {
      poll(channel);
      queue.at(queue.now() + pollEvery, next);
    };
    queue.at((pollEvery * (channel + 1)) / channels.length, next);
  });
}
