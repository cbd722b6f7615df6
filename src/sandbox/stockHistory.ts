/** Quantities as they were, so that a read can be answered from an older snapshot. Bounded in time and in entries per variant. */
import type { Variant } from './goods.ts';

/** What a read answers from: the shop as it was at `at`. */
export type StockView = {
  readonly at: number;
  quantity(variant: Variant): number;
  offerQuantity(variant: Variant): number | null;
};

type StockPoint = {
  readonly at: number;
  readonly quantity: number;
  readonly offerQuantity: number | null;
};

const entriesMax = 500;

export class StockHistory {
  readonly #points = new Map<string, StockPoint[]>();

  /** Call after each change. Keeps `keptMs` of the past and the one entry in force before it. */
  remember(variant: Variant, at: number, keptMs: number): void {
    const points = this.#points.get(variant.id) ?? [];
    const firstKept = points.findLastIndex((point) => point.at <= at - keptMs);
    const kept = points.slice(Math.max(0, firstKept, points.length + 1 - entriesMax));
    const { quantity, offerQuantity } = variant;
    this.#points.set(variant.id, [...kept, { at, quantity, offerQuantity }]);
  }

  /** The state `ageMs` before `now`; the oldest kept when that is longer ago. */
  view(now: number, ageMs: number): StockView {
    const at = now - ageMs;
    const point = (variant: Variant): StockPoint => {
      const points = this.#points.get(variant.id) ?? [];
      return points.findLast((entry) => entry.at <= at) ?? points[0] ?? { at, ...variant };
    };
    return {
      at,
      quantity: (variant) => (ageMs === 0 ? variant.quantity : point(variant).quantity),
      offerQuantity: (variant) => (ageMs === 0 ? variant.offerQuantity : point(variant).offerQuantity),
    };
  }

  forget(variantId: string): void {
    this.#points.delete(variantId);
  }

  clear(): void {
    this.#points.clear();
  }
}
