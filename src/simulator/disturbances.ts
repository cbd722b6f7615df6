/** What happens to the hub itself: it crashes, its wake-ups are wiped, and a second worker believes that it is the only one. */
import type { Policy } from './policy.ts';
import { createRandom, type Random, streams } from './random.ts';
import { windowsOf } from './windows.ts';
import type { World } from './world.ts';

export function startDisturbances(policy: Policy, world: World, seed: number): void {
  const { queue } = world;
  const { faults, duration } = world.parameters;
  const crashes = windowsOf(
    createRandom(seed, streams.crashes),
    faults.crashesPerHour,
    faults.crashTime,
    duration,
  );
  for (const { from, until } of crashes) {
    if (until >= duration) continue;
    queue.at(from, () => {
      world.disturbedAt = until;
      policy.crashed?.(Math.ceil(until));
    });
  }
  for (const at of instants(createRandom(seed, streams.wipes), faults.wipesPerHour, duration))
    queue.at(at, () => {
      world.disturbedAt = Math.max(world.disturbedAt, at);
      policy.wiped?.();
    });
  const doubles = createRandom(seed, streams.doubles);
  for (const at of instants(doubles, faults.doublesPerHour, duration)) {
    const delay = doubles.span(faults.doubleDelay);
    queue.at(at, () => policy.doubled?.(delay));
  }
}

function instants(random: Random, perHour: number, duration: number): readonly number[] {
  return windowsOf(random, perHour, [0, 0], duration).map(({ from }) => from);
}
