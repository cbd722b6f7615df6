/** Who comes to buy, when and what: drawn from the seed as the pure simulator draws it, so that both meet the same buyers. */
import type { Platform } from '../connectors/connector.ts';
import { platforms } from '../connectors/connector.ts';
import { hour, type Parameters } from './parameters.ts';
import { createRandom, streams } from './random.ts';
import { isWithin, windowsOf } from './windows.ts';

export type Wish = { readonly item: number; readonly units: number };

export type LiveBuyer = {
  /** From 1, in the order of coming. */
  readonly number: number;
  /** Simulated milliseconds since the start. */
  readonly at: number;
  readonly platform: Platform;
  readonly wishes: readonly Wish[];
  /** What becomes of the order, if there is one; null when it stays as it is. */
  readonly later: { readonly at: number; readonly kind: 'cancel' | 'reduce' } | null;
};

export function buyersOf(world: Parameters, seed: number): readonly LiveBuyer[] {
  const { faults, duration, channels, buyersPerHour, skippedBuyers } = world;
  const bursts = windowsOf(
    createRandom(seed, streams.bursts),
    faults.burstsPerHour,
    faults.burstTime,
    duration,
  );
  const random = createRandom(seed, streams.buyers);
  const shares = channels.map(({ share }) => share);
  const buyers: LiveBuyer[] = [];
  for (let now = 0, number = 1; ; number += 1) {
    const factor = isWithin(bursts, now) ? faults.burstFactor : 1;
    const at = now + random.exponential(hour / (buyersPerHour * factor));
    const platform = platformAt(world, random.weighted(shares));
    const units = random.chance(faults.twoUnits) ? 2 : 1;
    const item = random.integer([0, world.items - 1]);
    const second = random.chance(faults.twoItems) ? [{ item: (item + 1) % world.items, units: 1 }] : [];
    if (at >= duration) return buyers;
    const wishes = [{ item, units }, ...second];
    if (!skippedBuyers.includes(number))
      buyers.push({
        number,
        at,
        platform,
        wishes,
        later: fateOf(world, seed, { number, at, units, platform }),
      });
    now = at;
  }
}

function fateOf(
  { faults, duration }: Parameters,
  seed: number,
  order: Pick<LiveBuyer, 'number' | 'at' | 'platform'> & { readonly units: number },
): LiveBuyer['later'] {
  const random = createRandom(seed, streams.orders + order.number);
  const cancelled = random.chance(faults.cancel);
  // An eBay order cannot be changed.
  const reduced = order.units > 1 && random.chance(faults.edit) && order.platform !== 'ebay';
  const at = order.at + random.span(faults.cancelAfter);
  if ((!cancelled && !reduced) || at >= duration) return null;
  return { at, kind: cancelled ? 'cancel' : 'reduce' };
}

function platformAt({ channels }: Parameters, index: number): Platform {
  const platform = platforms.find((name) => name === channels[index]?.name);
  if (platform === undefined) throw new Error(`channel ${index} is no marketplace`);
  return platform;
}

/** A number changed behind our back: when (simulated milliseconds), where, and by how many units. */
export type OutsideEdit = {
  readonly at: number;
  readonly item: number;
  readonly platform: Platform;
  readonly delta: number;
};

export type Supply = {
  /** When the delivery of each item arrives, in simulated milliseconds; null when there is none. */
  readonly deliveries: readonly (number | null)[];
  readonly edits: readonly OutsideEdit[];
};

export function supplyOf(world: Parameters, seed: number): Supply {
  const random = createRandom(seed, streams.supply);
  const deliveries = Array.from({ length: world.items }, () => {
    const at = random.span(world.restockAt);
    return world.restock === 0 || at >= world.duration ? null : at;
  });
  if (!world.faults.outsideEdit) return { deliveries, edits: [] };
  const item = random.integer([0, world.items - 1]);
  const platform = platformAt(world, random.integer([0, world.channels.length - 1]));
  const size = random.integer([1, 5]);
  const delta = random.chance(0.5) ? size : -size;
  const at = world.duration * random.span([0.05, 0.9]);
  return { deliveries, edits: [{ at, item, platform, delta }] };
}
