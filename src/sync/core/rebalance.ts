/** Which rights to grant and which to take back, so that units are where buyers are. Every step it proposes can be paid. Pure. */
import { canGrant, charge, costOf, type Escrow, type EscrowUnit, unitOf } from './escrow.ts';

export type RebalanceUnit = {
  readonly name: string;
  /** Units per millisecond that the channel sells while it shows some. */
  readonly ratePerMs: number;
  /** Milliseconds from a sale here until a refill can be in force. */
  readonly refill: number;
  /** Milliseconds from taking rights back until they are free again. */
  readonly drain: number;
  readonly compareAndSet: boolean;
  /** The number shown when it is known exactly; null otherwise. */
  readonly exact: number | null;
  readonly quantityMax: number;
  /** Milliseconds since units were last written or known to be sold here. */
  readonly still: number;
  /** True while a write that carries no rights of this escrow may still land: until then nothing is raised here. False when left out. */
  readonly busy?: boolean;
};

export type RebalanceLimits = {
  /** Accepted probability that a channel is sold out before its refill is in force, in (0, 1). */
  readonly dryChance: number;
  /** Buyers that may pass while rights are taken back without it being a loss; below it a channel counts as quick. */
  readonly stuckMax: number;
  /** Share of its proportion that a slow channel is trusted with, from 0 to 1. */
  readonly patience: number;
  /**
   * How many times as fast another channel must sell for a unit to be handed over to it, above 1. Paces are estimates: the one that shows the unit seems
   * slower the longer nobody buys it, and for any difference it would go from channel to channel all the time.
   */
  readonly fasterBy: number;
  /** Milliseconds without a sale after which any difference is enough: buyers elsewhere that could never show themselves get their chance (E3). */
  readonly stillMax: number;
};

export type Grant = { readonly name: string; readonly value: number; readonly expected: number | null };

/**
 * Units worth showing on each channel out of `units`: in proportion to its demand, no more than it sells until it can be refilled, and none that
 * would still wait there for a buyer when the others are sold out, unless they can be taken back in time.
 */
export function allocationOf(
  units: number,
  channels: readonly RebalanceUnit[],
  limits: RebalanceLimits,
): ReadonlyMap<string, number> {
  if (units === 0) return new Map(channels.map(({ name }) => [name, 0]));
  const total = channels.reduce((sum, { ratePerMs }) => sum + ratePerMs, 0);
  const shares = channels.map((channel) => ({
    name: channel.name,
    ratePerMs: channel.ratePerMs,
    cap: Math.min(enough(channel, limits), inTime(channel, units, total, limits)),
    shown: 0,
  }));
  // Trusted with none anywhere, the last units could never be bought.
  if (shares.every(({ cap }) => cap === 0)) {
    const busiest = busiestOf(channels);
    for (const share of shares) if (share.name === busiest) share.cap = 1;
  }
  for (let left = units; left > 0; left--) {
    let best: (typeof shares)[number] | null = null;
    let most = 0;
    for (const share of shares) {
      if (share.shown >= share.cap) continue;
      const weight = share.ratePerMs / (share.shown + 1);
      if (best !== null && weight <= most) continue;
      best = share;
      most = weight;
    }
    if (best === null) break;
    best.shown += 1;
  }
  return new Map(shares.map(({ name, shown }) => [name, shown]));
}

/** The channel with most buyers among those that may show any; null when none may. */
function busiestOf(channels: readonly RebalanceUnit[]): string | null {
  const [busiest] = channels
    .filter(({ quantityMax }) => quantityMax > 0)
    .toSorted((one, other) => other.ratePerMs - one.ratePerMs);
  return busiest?.name ?? null;
}

/** The most units that this channel sells while all others sell the rest; all of them where it sells far more than all others. */
function inTime(
  { ratePerMs, drain }: RebalanceUnit,
  units: number,
  total: number,
  { stuckMax, patience }: RebalanceLimits,
): number {
  const others = total - ratePerMs;
  const trusted = patience * ratePerMs;
  if (total * drain <= stuckMax || trusted >= others) return units;
  return Math.floor((units * trusted) / (others + trusted));
}

/** The smallest number that is still shown when the refill lands, but for `dryChance`; at least 1. */
function enough({ ratePerMs, refill, quantityMax }: RebalanceUnit, { dryChance }: RebalanceLimits): number {
  const mean = ratePerMs * refill;
  let term = Math.exp(-mean);
  let below = term;
  let units = 1;
  while (1 - below > dryChance && units < quantityMax) {
    term *= mean / units;
    below += term;
    units += 1;
  }
  return Math.min(units, quantityMax);
}

/** The steps to take now, most wanted first. Each is to be granted in this order; none waits for another. */
export function rebalance(
  escrow: Escrow,
  channels: readonly RebalanceUnit[],
  limits: RebalanceLimits,
): readonly Grant[] {
  const taking = channels.filter(({ name }) => unitOf(escrow, name).paused === null);
  const allocation = sharedOut(escrow, taking, limits);
  const paused = channels.filter(({ name }) => unitOf(escrow, name).paused !== null);
  const stops = paused.flatMap((channel) => zeroing(escrow, channel));
  const returns = taking.flatMap((channel) => handingBack(escrow, channel, taking, allocation, limits));
  let { free } = escrow;
  // Every raise is paid from it.
  if (free === 0) return [...stops, ...returns];
  const busy = new Set([...stops, ...returns].map(({ name }) => name));
  const raises = taking
    .filter(({ name }) => !busy.has(name))
    .toSorted((one, other) => urgency(escrow, other) - urgency(escrow, one))
    .flatMap((channel) => {
      const raise = raising(escrow, channel, allocation.get(channel.name) ?? 0, free);
      if (raise === null) return [];
      free -= costOf(raise.value, raise.expected);
      return [raise];
    });
  return [...stops, ...returns, ...raises];
}

/**
 * What each should show of the rights in force. Where more units are short than the writes under way take back, a channel with such a write cannot give more
 * now, and the others must not wait for it: they make do with what is left beside it.
 */
function sharedOut(
  escrow: Escrow,
  taking: readonly RebalanceUnit[],
  limits: RebalanceLimits,
): ReadonlyMap<string, number> {
  const idle = taking.filter(({ name }) => unitOf(escrow, name).write === null);
  const returning = taking.reduce((sum, { name }) => sum + returningFrom(unitOf(escrow, name)), 0);
  const uncovered = escrow.shortfall - returning;
  const [channels, short] = uncovered > 0 ? [idle, uncovered] : [taking, escrow.shortfall];
  const usable = channels.reduce((sum, { name }) => sum + unitOf(escrow, name).cur, escrow.free);
  return allocationOf(Math.max(0, usable - short), channels, limits);
}

/** Rights that the write under way leaves nothing to sell by. */
function returningFrom(unit: EscrowUnit): number {
  return unit.write === null ? 0 : Math.max(0, charge(unit) - unit.write.value);
}

/** Buyers per millisecond who find nothing there. */
function urgency(escrow: Escrow, { name, ratePerMs }: RebalanceUnit): number {
  return ratePerMs / (1 + unitOf(escrow, name).cur);
}

function zeroing(escrow: Escrow, { name, exact }: RebalanceUnit): readonly Grant[] {
  const unit = unitOf(escrow, name);
  return unit.write === null && exact !== 0 ? [{ name, value: 0, expected: null }] : [];
}

function raising(escrow: Escrow, channel: RebalanceUnit, wanted: number, free: number): Grant | null {
  const { name, exact, compareAndSet, busy = false } = channel;
  const { cur, write } = unitOf(escrow, name);
  if (busy || write !== null || cur >= wanted) return null;
  if (compareAndSet && exact !== null && exact <= cur) {
    const value = Math.min(wanted, exact + free);
    return value > exact && canGrant(escrow, name, value, exact) ? { name, value, expected: exact } : null;
  }
  // An absolute write pays for what it shows in full, so a channel that still sells is topped up only when half is gone.
  if (cur > 0 && (cur * 2 > wanted || free < wanted)) return null;
  const value = Math.min(wanted, free);
  return value > cur && canGrant(escrow, name, value, null) ? { name, value, expected: null } : null;
}

/** Rights that are wanted elsewhere more than here: while units are short, or while nothing is free and a better channel is sold out. */
function handingBack(
  escrow: Escrow,
  channel: RebalanceUnit,
  channels: readonly RebalanceUnit[],
  allocation: ReadonlyMap<string, number>,
  { stuckMax, fasterBy, stillMax }: RebalanceLimits,
): readonly Grant[] {
  const { name, exact, compareAndSet, ratePerMs, drain, refill, still } = channel;
  const wanted = allocation.get(name) ?? 0;
  const { cur, write } = unitOf(escrow, name);
  if (write !== null || cur <= wanted) return [];
  const others = channels.filter((other) => other !== channel);
  const elsewhere = others.reduce((sum, other) => sum + unitOf(escrow, other.name).cur, escrow.free);
  const pace = others.reduce((sum, other) => sum + other.ratePerMs, 0);
  const best = others.reduce((most, other) => Math.max(most, other.ratePerMs), 0);
  // A unit handed over cannot be bought on the way: only when the others run out meanwhile, and where it would wait longer than that here.
  const soon = elsewhere <= pace * channel.drain;
  const dry = others.filter(
    (other) => charge(unitOf(escrow, other.name)) === 0 && (allocation.get(other.name) ?? 0) > 0,
  );
  const needed = dry.length > 0 && escrow.free === 0;
  const margin = still >= stillMax ? 1 : fasterBy;
  const worthwhile = (soon || needed) && cur / ratePerMs > drain + margin / best;
  if (escrow.shortfall === 0 && !worthwhile) return [];
  if (compareAndSet && exact !== null && exact <= cur)
    return exact > wanted ? [{ name, value: wanted, expected: exact }] : [];
  // An absolute write frees nothing but by zero. What would stay here goes with it only where it is back before many buyers have come, or where a channel has
  // none that sells far more: else E3 would not hold.
  const quick = ratePerMs * (drain + refill) <= stuckMax;
  const starving = needed && (quick || dry.some((other) => other.ratePerMs > cur * ratePerMs));
  return escrow.shortfall > 0 || wanted === 0 || starving ? [{ name, value: 0, expected: null }] : [];
}
