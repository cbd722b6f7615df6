/** One item on one channel as it truly is: the number it shows, and what the checks may know of it. */
import { type Answer, type World } from './world.ts';

export type Unit = {
  readonly item: number;
  readonly channel: number;
  shown: number;
  /** Times and numbers of the last changes, oldest first, for reads that are stale. */
  readonly history: { readonly at: number; readonly shown: number }[];
  /** Units ordered and units put back, as they truly are. */
  ordered: number;
  putBack: number;
  /** When something first happened here that the model assumes not to happen; null while nothing did. */
  violatedAt: number | null;
  readonly keys: Map<string, Answer>;
};

export function newUnit(item: number, channel: number): Unit {
  return {
    item,
    channel,
    shown: 0,
    history: [],
    ordered: 0,
    putBack: 0,
    violatedAt: null,
    keys: new Map(),
  };
}

export function changeShown(world: World, unit: Unit, shown: number): void {
  unit.shown = shown;
  unit.history.push({ at: world.queue.now(), shown });
  if (unit.history.length > 256) unit.history.splice(0, 64);
}

export function shownAt(unit: Unit, at: number): number {
  const entry = unit.history.findLast((one) => one.at <= at) ?? unit.history[0];
  return entry?.shown ?? unit.shown;
}
