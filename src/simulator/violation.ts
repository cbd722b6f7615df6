/** One broken assumption per run: where and when the world does what escrow assumes never to happen. */
import { hour, type Parameters, type ViolationFault } from './parameters.ts';
import { createRandom, streams } from './random.ts';
import type { Unit } from './unit.ts';
import type { World } from './world.ts';

export type Violation = {
  readonly kind: ViolationFault;
  readonly item: number;
  readonly channel: number;
  readonly from: number;
  readonly until: number;
};

/** Long enough to be outside every bound, and over before the run is. */
export function violationOf(
  { faults, channels, items, duration }: Parameters,
  seed: number,
): Violation | null {
  if (faults.violation === null) return null;
  const random = createRandom(seed, streams.violation);
  // A compare-and-set takes effect with its answer or not at all: it cannot be late.
  const possible = [...channels.keys()].filter(
    (channel) => faults.violation !== 'A2' || channels[channel]?.compareAndSet === false,
  );
  const channel = possible[random.integer([0, possible.length - 1])];
  if (channel === undefined) return null;
  const from = duration * random.span([0.05, 0.4]);
  return {
    kind: faults.violation,
    item: random.integer([0, items - 1]),
    channel,
    from,
    until: Math.min(duration, from + hour * random.span([0.4, 0.6])),
  };
}

export function isViolated(world: World, kind: ViolationFault, channel: number): boolean {
  const { violation, queue } = world;
  return (
    violation?.kind === kind &&
    violation.channel === channel &&
    queue.now() >= violation.from &&
    queue.now() < violation.until
  );
}

export function markViolated(world: World, unit: Unit): void {
  unit.violatedAt ??= world.queue.now();
}
