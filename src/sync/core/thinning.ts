/** Which readings are kept as evidence when there are too many. Pure. */
import { deficitOf, holdOf } from './missing.ts';
import { excessOf } from './range.ts';
import type { Reading, Shadow } from './shadow.ts';

/**
 * At most so many. The oldest are the first whose orders become known, and the newest says how it is now: what is between goes, the explained before
 * the unexplained, and of these one without which as many units as possible are withheld. Were it the oldest that go, a unit read more often than its orders
 * are would never prove anything; and were it always the newest of those between, nothing could be proved for as long again once the orders of the oldest are
 * known: of what may go, it is the one closest to others.
 */
export function thinnedReadings(shadow: Shadow, most: number): readonly Reading[] {
  const { readings } = shadow;
  if (readings.length <= most) return readings;
  const between = readings.slice(0, -1).map((reading, index) => ({ reading, index }));
  const explained = between.filter(
    ({ reading }) => deficitOf(shadow, reading) === 0 && excessOf(shadow, reading) === 0,
  );
  if (explained.length > 0) return withoutClosest(readings, explained);
  const held = between.map(({ index }) => holdOf({ ...shadow, readings: readings.toSpliced(index, 1) }));
  const heldMost = Math.max(...held);
  return withoutClosest(
    readings,
    between.filter((_, index) => held[index] === heldMost),
  );
}

/** Without the one of these that leaves the shortest time unread: the newest where several do, and the very oldest only where there is no other. */
function withoutClosest(
  readings: readonly Reading[],
  some: readonly { readonly index: number }[],
): readonly Reading[] {
  const gap = (index: number): number => {
    const before = readings[index - 1]?.until ?? Number.NEGATIVE_INFINITY;
    return (readings[index + 1]?.until ?? Number.POSITIVE_INFINITY) - before;
  };
  const [closest] = some.toSorted(
    (one, other) => gap(one.index) - gap(other.index) || other.index - one.index,
  );
  return closest === undefined ? readings : readings.toSpliced(closest.index, 1);
}
