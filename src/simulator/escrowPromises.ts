/** E2 and E4 of an item in escrow, checked against the true state of the world that no policy sees. */
import { charge, type Escrow, unitOf } from '../sync/core/escrow.ts';
import type { KeptUnit } from './keeping.ts';
import type { Stage } from './policy.ts';
import type { World } from './world.ts';

/** After every event. `enteredAt` says since when an item is in escrow that was in the shared pool before. */
export function checkEscrow(
  world: World,
  units: readonly KeptUnit[],
  escrow: Escrow,
  enteredAt: number | null,
): void {
  for (const { name, unit } of units) {
    const { paused } = unitOf(escrow, name);
    if (paused !== null && unit.violatedAt === null)
      throw new Error(`E4: ${name} is paused (${paused}) although nothing was violated`);
  }
  const [first] = units;
  if (first === undefined || units.some(({ unit }) => unit.violatedAt !== null)) return;
  const { item } = first.unit;
  const oversold = world.oversold[item] ?? 0;
  if (oversold > 0 && enteredAt === null) throw new Error(`E2: ${oversold} units are oversold`);
  // What the shared pool offered again first has to become known, and what it showed more than once to be drained.
  if (enteredAt !== null && !isKnown(units, enteredAt)) return;
  const shown = units.reduce((sum, { unit }) => sum + unit.shown, 0);
  const physical = world.left[item] ?? 0;
  if (shown > physical + escrow.shortfall)
    throw new Error(`E2: ${shown} units are displayed, ${physical} are left`);
}

function isKnown(units: readonly KeptUnit[], at: number): boolean {
  return units.every(
    ({ shadow: { ordersWatermark, bounds } }) => ordersWatermark - bounds.clockSkewMax >= at,
  );
}

/** After the quiet time: what is broken is paused at zero, or has done no harm. */
export function checkEscrowRest({ world, ledger }: Stage, units: readonly KeptUnit[], escrow: Escrow): void {
  for (const { unit, name } of units) {
    const rights = unitOf(escrow, name);
    if (rights.paused !== null && unit.shown > 0)
      throw new Error(`E4: ${name} is paused (${rights.paused}) and shows ${unit.shown}`);
    if (rights.paused === null && unit.shown > charge(rights))
      throw new Error(`E4: ${name} shows ${unit.shown} with ${charge(rights)} rights, and is not paused`);
  }
  const blamed = units.some(({ name }) => unitOf(escrow, name).paused !== null);
  const oversold = world.oversold[units[0]?.unit.item ?? 0] ?? 0;
  // A3 at its worst: an order that came to be seen too late for any poll and whose event was lost. Nobody has told us of it, so it can be blamed on nobody.
  const untold = units.reduce(
    (sum, { unit }) => sum + unit.ordered - ledger.known(unit.item, unit.channel).ordered,
    0,
  );
  if (oversold > untold && !blamed)
    throw new Error(`E4: ${oversold} units are oversold, and nothing is paused for it`);
}
