/** Quantities as they were, so that a read can be answered from an older snapshot. Bounded in time and in entries per variant. */
import type { Listing, ListingState, Variant } from './goods.ts';

/** What a read answers from: the shop as it was at `at`. */
export type StockView = {
  readonly at: number;
  quantity(variant: Variant): number;
  offerQuantity(variant: Variant): number | null;
  /** Of the same moment as its quantities: an answer that mixes two moments says what never was. */
  state(listing: Listing): ListingState;
};

type StockPoint = {
  readonly at: number;
  readonly quantity: number;
  readonly offerQuantity: number | null;
};

type StatePoint = { readonly at: number; readonly state: ListingState };

const entriesMax = 500;

export class StockHistory {
  readonly #points = new Map<string, StockPoint[]>();
  readonly #states = new Map<string, StatePoint[]>();

  /** Call after each change. Keeps `keptMs` of the past and the one entry in force before it. */
  remember(variant: Variant, at: number, keptMs: number): void {
    const { quantity, offerQuantity } = variant;
    const kept = recent(this.#points.get(variant.id) ?? [], at - keptMs);
    this.#points.set(variant.id, [...kept, { at, quantity, offerQuantity }]);
  }

  /** The same for the state of a listing. */
  rememberState({ id, state }: Listing, at: number, keptMs: number): void {
    this.#states.set(id, [...recent(this.#states.get(id) ?? [], at - keptMs), { at, state }]);
  }

  /** The state `ageMs` before `now`; the oldest kept when that is longer ago. */
  view(now: number, ageMs: number): StockView {
    const at = now - ageMs;
    const point = (variant: Variant): StockPoint => {
      const points = this.#points.get(variant.id) ?? [];
      return points.findLast((entry) => entry.at <= at) ?? points[0] ?? { at, ...variant };
    };
    const states = (listing: Listing) => this.#states.get(listing.id) ?? [];
    return {
      at,
      state: (listing) => {
        const known = states(listing);
        if (ageMs === 0) return listing.state;
        return (known.findLast((entry) => entry.at <= at) ?? known[0] ?? listing).state;
      },
      quantity: (variant) => (ageMs === 0 ? variant.quantity : point(variant).quantity),
      offerQuantity: (variant) => (ageMs === 0 ? variant.offerQuantity : point(variant).offerQuantity),
    };
  }

  forget(variantId: string): void {
    this.#points.delete(variantId);
  }

  forgetListing(listingId: string): void {
    this.#states.delete(listingId);
  }

  clear(): void {
    this.#points.clear();
    this.#states.clear();
  }
}

/** Those since `from`, and the one in force before it; bounded in number. */
function recent<Point extends { readonly at: number }>(
  points: readonly Point[],
  from: number,
): readonly Point[] {
  const firstKept = points.findLastIndex((point) => point.at <= from);
  return points.slice(Math.max(0, firstKept, points.length + 1 - entriesMax));
}
