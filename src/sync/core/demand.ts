/** How fast each channel sells, from its own sales: recent hours weigh more, and time during which nothing was shown does not count. Pure. */

export type Demand = {
  /** Units sold, each weighing half as much after every half-life. */
  readonly units: number;
  /** Milliseconds during which units were shown, weighing likewise. */
  readonly shownMs: number;
  readonly at: number;
};

export type DemandLimits = {
  /** Milliseconds. */
  readonly halfLife: number;
  /** What all channels together are expected to sell before anything was seen, in units per millisecond, and how many units of evidence that is worth. */
  readonly priorPerMs: number;
  readonly priorUnits: number;
  /** How many units of evidence a channel's share of earlier sales is worth. */
  readonly shareUnits: number;
};

export function newDemand(at: number): Demand {
  return { units: 0, shownMs: 0, at };
}

/** Time passes; `shown` says whether the channel could sell meanwhile. */
export function demandAged(demand: Demand, shown: boolean, now: number, { halfLife }: DemandLimits): Demand {
  const passed = Math.max(0, now - demand.at);
  if (passed === 0) return demand;
  const weight = 2 ** (-passed / halfLife);
  return {
    units: demand.units * weight,
    shownMs: demand.shownMs * weight + (shown ? passed : 0),
    at: now,
  };
}

export function demandSeen(demand: Demand, quantity: number): Demand {
  return { ...demand, units: demand.units + quantity };
}

/** What is known now of a demand as it was stored: time has passed since, and `sold` units are not counted in it yet. */
export function demandKnown(
  stored: Demand | null,
  { shown, sold }: { readonly shown: boolean; readonly sold: number },
  now: number,
  limits: DemandLimits,
): Demand {
  const aged = demandAged(stored ?? newDemand(now), shown, now, limits);
  return sold > 0 ? demandSeen(aged, sold) : aged;
}

/**
 * Units per millisecond of each channel while it shows some: the pace of all of them, because a rush comes to all at once, in each one's share.
 * `shares` are those of earlier sales and sum to 1.
 */
export function ratesPerMs(
  demands: readonly Demand[],
  shares: readonly number[],
  limits: DemandLimits,
): readonly number[] {
  const { priorPerMs, priorUnits, shareUnits } = limits;
  const units = demands.reduce((sum, demand) => sum + demand.units, 0);
  // A channel that shows nothing sells nothing: only its share of the time counts.
  const time = demands.reduce((sum, { shownMs }, index) => sum + shownMs * (shares[index] ?? 0), 0);
  const pace = (units + priorUnits) / (time + priorUnits / priorPerMs);
  return demands.map((demand, index) => {
    const expected = pace * (shares[index] ?? 0);
    return (expected * (demand.units + shareUnits)) / (expected * demand.shownMs + shareUnits);
  });
}

/** As `ratesPerMs`, in the shares of what each channel has sold lately. */
export function ratesOf(demands: readonly Demand[], limits: DemandLimits): readonly number[] {
  const total = demands.reduce((sum, { units }) => sum + units + 0.5, 0);
  const shares = demands.map(({ units }) => (units + 0.5) / total);
  return ratesPerMs(demands, shares, limits);
}

/** Units per millisecond of one channel while it shows some, where nothing is known of the others. */
export function rateOf(demand: Demand, limits: DemandLimits): number {
  const [rate = 0] = ratesPerMs([demand], [1], limits);
  return rate;
}
