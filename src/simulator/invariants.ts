/** The promises of section 9 of the model, checked against the true state of the world that no policy sees. */
import { latestEffect } from '../sync/core/range.ts';
import { rangeNow } from '../sync/core/shown.ts';
import type { Keeper, Keeping, KeptUnit } from './keeping.ts';
import { checkLowering } from './lowering.ts';
import { indexLagOf } from './parameters.ts';

/** After every event. Throws an Error whose message begins with the promise's name. */
export function checkKeeper(keeper: Keeper, keeping: Keeping): void {
  let changed = false;
  for (const units of keeper.items) {
    for (const kept of units) {
      const { shadow, unit, checked } = kept;
      // Neither the truth nor what is believed has changed by this event.
      if (checked?.shadow === shadow && checked.shown === unit.shown) continue;
      changed = true;
      kept.checked = { shadow, shown: unit.shown, high: checkUnit(keeper, kept) };
    }
  }
  keeper.items.forEach((_, item) => keeping.check(item));
  checkLowering(keeper, keeping, changed);
}

/** Answers the most that the unit may show. */
function checkUnit({ stage, findings, now }: Keeper, kept: KeptUnit): number {
  const { unit, shadow, name } = kept;
  if (findings.falseConflicts > 0)
    throw new Error(`S2: a conflict was raised for ${name} without an outside edit`);
  const { low, high } = rangeNow(shadow, now());
  if (unit.violatedAt === null) {
    const known = stage.ledger.known(unit.item, unit.channel);
    const unseenSales = unit.ordered - known.ordered;
    const unseenRestocks = unit.putBack - known.putBack;
    if (unit.shown > high + unseenRestocks)
      throw new Error(`S1: ${name} shows ${unit.shown}, at most ${high} is thought possible`);
    if (unit.shown < low - unseenSales)
      throw new Error(
        `S1: ${name} shows ${unit.shown}, at least ${low} is thought possible and ${unseenSales} sales are unseen`,
      );
  }
  return high;
}

/** When a raise is sent: nothing else may still land, so that there is never a second one in flight. */
export function checkRaise({ shadow, name }: KeptUnit, key: string, now: number): void {
  const open = shadow.candidates.find(
    (one) => one.key !== key && one.endedAt === null && latestEffect(one, shadow.bounds) > now,
  );
  if (open) throw new Error(`S4: ${name} is raised while write ${open.key} has not settled`);
}

/** After the quiet time. */
export function checkRest(keeper: Keeper, keeping: Keeping): void {
  keeper.items.forEach((_, item) => keeping.checkRest(item));
  checkDetection(keeper);
}

/** S5 in the middle of a run: what has been left alone for as long as the quiet at its end is at rest. */
export function checkCalm(keeper: Keeper, keeping: Keeping): void {
  const { touchedAt, disturbedAt, parameters, queue } = keeper.stage.world;
  const since = queue.now() - parameters.quiet;
  if (disturbedAt > since) return;
  keeper.items.forEach((units, item) => {
    // What breaks an assumption may be to be seen only when the run is over.
    const broken = units.some(({ unit }) => unit.violatedAt !== null);
    if (!broken && (touchedAt[item] ?? 0) <= since) keeping.checkRest(item);
  });
}

/** Every channel shows what it should, and nothing is being written. */
export function checkAtTarget({ stage }: Keeper, { unit, name, shadow, lastSentAt }: KeptUnit): void {
  const { queue, parameters } = stage.world;
  if (shadow.hold > 0 || unit.violatedAt !== null) return;
  if (unit.shown !== shadow.target)
    throw new Error(`S5: ${name} shows ${unit.shown} after the quiet, its target is ${shadow.target}`);
  if (lastSentAt > queue.now() - parameters.quiet / 4)
    throw new Error(`S5: ${name} is still written in the quiet`);
}

/** An outside edit that no write of ours has covered up is reported, where nothing keeps us from looking. */
function checkDetection({ findings, stage, items }: Keeper): void {
  const { edited, caught } = findings;
  const { faults, readEvery, pollEvery } = stage.world.parameters;
  const { refusal, stormsPerHour, callsPerMinute, unreadable, tokenTime, crashesPerHour } = faults;
  const blind = refusal + stormsPerHour + callsPerMinute + unreadable + tokenTime + crashesPerHour > 0;
  if (edited === null || caught || blind) return;
  const kept = items[edited.unit.item]?.[edited.unit.channel];
  if (kept === undefined) return;
  const looked = 2 * kept.shadow.bounds.staleMax + 2 * readEvery + pollEvery + indexLagOf(kept.channel);
  if (edited.coveredAt === null || edited.coveredAt > edited.at + looked)
    throw new Error(`S3: ${kept.name} was changed by ${edited.delta} from outside, and nobody noticed`);
}
