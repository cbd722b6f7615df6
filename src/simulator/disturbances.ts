/** What happens to the hub itself: it crashes, its wake-ups are wiped, and a second worker believes that it is the only one. */
import type { EventQueue } from './eventQueue.ts';
import type { Parameters } from './parameters.ts';
import type { Policy } from './policy.ts';
import { createRandom, type Random, streams } from './random.ts';
import { windowsOf } from './windows.ts';

export function startDisturbances(
  policy: Policy,
  { faults, duration }: Parameters,
  seed: number,
  queue: EventQueue,
): void {
  const crashes = windowsOf(
    createRandom(seed, streams.crashes),
    faults.crashesPerHour,
    faults.crashTime,
    duration,
  );
  for (const { from, until } of crashes) {
    if (until < duration) queue.at(from, () => policy.crashed?.(Math.ceil(until)));
  }
  for (const at of instants(createRandom(seed, streams.wipes), faults.wipesPerHour, duration))
    queue.at(at, () => policy.wiped?.());
  const doubles = createRandom(seed, streams.doubles);
  for (const at of instants(doubles, faults.doublesPerHour, duration)) {
    const delay = doubles.span(faults.doubleDelay);
    queue.at(at, () => policy.doubled?.(delay));
  }
}

function instants(random: Random, perHour: number, duration: number): readonly number[] {
  return windowsOf(random, perHour, [0, 0], duration).map(({ from }) => from);
}
