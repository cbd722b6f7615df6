/** The hub's process: while it is away nothing is heard or sent, and what was under way when it died is never answered. */
import type { EventQueue } from './eventQueue.ts';

export type Lifetime = {
  isAway(): boolean;
  /** Runs now, or as soon as the process is back: whoever tells us something tells it again. */
  whenBack(event: () => void): void;
  /** An answer for this life of the process only. */
  alive<Value, Result>(answered: (value: Value) => Result): (value: Value) => Result | undefined;
  die(until: number): void;
};

export function createLifetime(queue: EventQueue): Lifetime {
  let life = 0;
  let awayUntil = 0;
  const isAway = () => queue.now() < awayUntil;
  const whenBack = (event: () => void) => {
    if (isAway()) queue.at(awayUntil, () => whenBack(event));
    else event();
  };
  return {
    isAway,
    whenBack,
    alive(answered) {
      const born = life;
      return (value) => (born === life ? answered(value) : undefined);
    },
    die(until) {
      life += 1;
      awayUntil = until;
    },
  };
}
