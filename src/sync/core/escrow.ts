/**
 * No unit is granted twice: `available = free + sum of (cur + old + new)` after every step, so the sum over channels of what can still be sold
 * unseen never exceeds what is available (demarcation protocol, Barbara and Garcia-Molina 1992; bounded counters, Balegas 2015). Pure.
 */
import { strict as assert } from 'node:assert';

/** The write that carries a grant or takes rights back. */
export type GrantWrite = {
  readonly key: string;
  readonly value: number;
  /** What a compare-and-set compares with; null for an absolute write. */
  readonly expected: number | null;
  readonly sentAt: number;
  /** Units booked that were sold after it was sent for certain; others a compare-and-set has seen already. */
  readonly booked: number;
  /** Units that the channel put back by itself since then; they are among `new`. */
  readonly reoffered: number;
};

/** Why a unit is paused at zero: the assumption that did not hold. */
export type Violation = 'A1' | 'A2' | 'A3' | 'A4';

export type EscrowUnit = {
  /** Rights in force. */
  readonly cur: number;
  /** Rights replaced whose sales may not have been seen. */
  readonly old: number;
  /** Rights in a write that is not confirmed. */
  readonly new: number;
  readonly write: GrantWrite | null;
  /** Last instant at which a sale may have used `old`; null when there is no old. Milliseconds. */
  readonly replacedAt: number | null;
  /** Units sold beyond every known right, where the channel may have put a cancelled order's units back before we heard of it. */
  readonly owed: number;
  /** When they were sold at the latest (milliseconds). */
  readonly owedAt: number;
  readonly paused: Violation | null;
  /** A sale up to then (milliseconds) may have been offered again before escrow began: `cur` holds for it all the same. */
  readonly since?: number;
  /** It joined then (milliseconds), and what it had sold before is not known yet: until it is, nothing is granted anywhere. */
  readonly joinedAt?: number;
};

export type Escrow = {
  readonly available: number;
  readonly free: number;
  /** Units that were taken from the stock while they were granted: channels must be drained by as many. 0 while free is above 0. */
  readonly shortfall: number;
  readonly units: Readonly<Record<string, EscrowUnit>>;
};

/**
 * Begins with what each channel may show now; what is granted more than once then is a shortfall, to be drained. `since` is now when the item was in
 * the shared pool before; it is left out when every order is known.
 */
export function newEscrow(
  available: number,
  shown: Readonly<Record<string, number>>,
  since?: number,
): Escrow {
  const empties = { old: 0, new: 0, write: null, replacedAt: null, owed: 0, owedAt: 0, paused: null };
  const began = since === undefined ? {} : { since };
  const units = Object.fromEntries(
    Object.entries(shown).map(([unit, cur]) => [unit, { cur, ...empties, ...began }]),
  );
  const empty = { available, free: 0, shortfall: 0, units };
  return freed(empty, available - charges(empty));
}

export function charge(unit: EscrowUnit): number {
  return unit.cur + unit.old + unit.new;
}

export function charges(escrow: Escrow): number {
  let sum = 0;
  for (const unit in escrow.units) sum += charge(unitOf(escrow, unit));
  return sum;
}

export function unitOf(escrow: Escrow, unit: string): EscrowUnit {
  const found = escrow.units[unit];
  if (found === undefined) throw new Error(`${unit} is not in this escrow`);
  return found;
}

/** Units that nobody holds any more (below 0: that somebody holds now). They pay the shortfall first. */
function freed(escrow: Escrow, quantity: number): Escrow {
  const free = escrow.free - escrow.shortfall + quantity;
  return checked({ ...escrow, free: Math.max(0, free), shortfall: Math.max(0, -free) });
}

/** E1. A breach is an error of this program, never of a channel. */
function checked(escrow: Escrow): Escrow {
  assert.equal(
    escrow.available,
    escrow.free + charges(escrow) - escrow.shortfall,
    'E1: rights do not add up',
  );
  assert.ok(escrow.free >= 0 && escrow.shortfall >= 0, 'E1: free is below 0');
  assert.ok(escrow.free === 0 || escrow.shortfall === 0, 'E1: free while units are short');
  for (const unit in escrow.units) {
    const { cur, old, new: pending } = unitOf(escrow, unit);
    assert.ok(cur >= 0 && old >= 0 && pending >= 0, `E1: rights of ${unit} are below 0`);
  }
  return escrow;
}

function withUnit(escrow: Escrow, name: string, unit: EscrowUnit, returned: number): Escrow {
  return freed({ ...escrow, units: { ...escrow.units, [name]: unit } }, returned);
}

/** Units that showing `value` takes from free: all of them beside the old rights for an absolute write, the difference for a compare-and-set. */
export function costOf(value: number, expected: number | null): number {
  return expected === null ? value : Math.max(0, value - expected);
}

export function canGrant(escrow: Escrow, name: string, value: number, expected: number | null): boolean {
  const unit = unitOf(escrow, name);
  const fits = expected === null || expected <= unit.cur;
  const cost = costOf(value, expected);
  return (
    unit.write === null &&
    fits &&
    (cost === 0 || escrow.free >= cost) &&
    (value === 0 || unit.paused === null)
  );
}

/** A write leaves with rights in it. One write per unit at a time: nothing is urgent here. */
export function grant(escrow: Escrow, name: string, write: Omit<GrantWrite, 'booked' | 'reoffered'>): Escrow {
  assert.ok(canGrant(escrow, name, write.value, write.expected), `${name} cannot be granted ${write.value}`);
  const unit = unitOf(escrow, name);
  const cost = costOf(write.value, write.expected);
  return withUnit(escrow, name, { ...unit, new: cost, write: { ...write, booked: 0, reoffered: 0 } }, -cost);
}

/** The write is in force since `at` at the latest. What it replaced may still turn out to be sold. */
export function confirmed(escrow: Escrow, name: string, at: number): Escrow {
  const unit = unitOf(escrow, name);
  const { write } = unit;
  if (write === null) return escrow;
  if (write.expected === null) {
    const { cur, old, new: pending } = unit;
    const replaced = old + cur;
    const replacedAt = replaced > 0 ? at : null;
    return withUnit(
      escrow,
      name,
      { ...unit, cur: pending, old: replaced, new: 0, write: null, replacedAt },
      0,
    );
  }
  return comparedConfirmed(escrow, name, write, at);
}

/** The compare proves that nothing was sold unseen from what was compared with; only what was charged beyond that may have been. */
function comparedConfirmed(escrow: Escrow, name: string, write: GrantWrite, at: number): Escrow {
  const unit = unitOf(escrow, name);
  const held = unit.cur + unit.new;
  const cur = Math.min(held, Math.max(0, write.value - write.booked + write.reoffered));
  const returned = Math.min(held - cur, Math.max(0, (write.expected ?? 0) - write.value));
  const old = unit.old + held - cur - returned;
  const replacedAt = old > 0 ? Math.max(at, unit.replacedAt ?? at) : null;
  return withUnit(escrow, name, { ...unit, cur, old, new: 0, write: null, replacedAt }, returned);
}

/** The write certainly did not and will not happen. */
export function withdrawnGrant(escrow: Escrow, name: string): Escrow {
  const unit = unitOf(escrow, name);
  const kept = Math.min(unit.new, unit.write?.reoffered ?? 0);
  return withUnit(escrow, name, { ...unit, cur: unit.cur + kept, new: 0, write: null }, unit.new - kept);
}

/** Nobody can tell whether the write has happened, but it will not any more: either way all of it counts as in force, so that it can be written over. */
export function undecidedGrant(escrow: Escrow, name: string): Escrow {
  const unit = unitOf(escrow, name);
  return withUnit(escrow, name, { ...unit, cur: unit.cur + unit.new, new: 0, write: null }, 0);
}

/** Somewhere in [from, until] (milliseconds) the units of an order were sold. */
export type Booking = {
  readonly quantity: number;
  readonly from: number;
  readonly until: number;
  /** True where the channel puts cancelled units back by itself. */
  readonly mayBePutBack: boolean;
  /** What did not hold if it is beyond every right; A1 when left out. */
  readonly beyond?: Violation;
};

/**
 * An order became known. Replaced rights pay first: what is booked there by mistake only keeps a right in force charged for longer. Units beyond
 * every right prove that an assumption does not hold, unless the channel can have put some back: then once no such news can come any more.
 */
export function booked(escrow: Escrow, name: string, booking: Booking): Escrow {
  const { quantity, from, until, mayBePutBack, beyond = 'A1' } = booking;
  const unit = unitOf(escrow, name);
  const write = unit.write && afterSending(unit.write, booking);
  if (unit.since !== undefined && from <= unit.since)
    return withUnit(
      { ...escrow, available: escrow.available - quantity },
      name,
      { ...unit, write },
      -quantity,
    );
  const mayBeOld = unit.replacedAt !== null && from <= unit.replacedAt;
  let due = quantity;
  const take = (rights: number) => {
    const taken = Math.min(rights, due);
    due -= taken;
    return rights - taken;
  };
  const replaced = mayBeOld ? take(unit.old) : unit.old;
  const cur = take(unit.cur);
  const pending = take(unit.new);
  const old = take(replaced);
  const owing = due > 0 && mayBePutBack;
  const next: EscrowUnit = {
    ...unit,
    cur,
    old,
    new: pending,
    write,
    owed: owing ? unit.owed + due : unit.owed,
    owedAt: owing ? until : unit.owedAt,
    paused: due > 0 && !mayBePutBack ? (unit.paused ?? beyond) : unit.paused,
  };
  return withUnit({ ...escrow, available: escrow.available - quantity }, name, next, -due);
}

function afterSending(write: GrantWrite, { quantity, from }: Booking): GrantWrite {
  return from > write.sentAt ? { ...write, booked: write.booked + quantity } : write;
}

/** Every order up to `watermark` is known (already reduced by the clocks' difference): unused replaced rights are free again. See `Booking` for `beyond`. */
export function settledRights(escrow: Escrow, name: string, watermark: number, beyond?: Violation): Escrow {
  const unit = unitOf(escrow, name);
  if (unit.owed > 0 && watermark >= unit.owedAt) return violated(escrow, name, beyond ?? 'A1');
  if (unit.joinedAt !== undefined && watermark >= unit.joinedAt) {
    const { joinedAt: _known, ...known } = unit;
    return settledRights(withUnit(escrow, name, known, 0), name, watermark, beyond);
  }
  if (unit.replacedAt === null || watermark < unit.replacedAt) return escrow;
  return withUnit(escrow, name, { ...unit, old: 0, replacedAt: null }, unit.old);
}

/** It is proven that the channel can sell at most `shownMax` more, nothing being in flight and no sale unseen: all other rights are free again. */
export function provenAtMost(escrow: Escrow, name: string, shownMax: number): Escrow {
  const unit = unitOf(escrow, name);
  const cur = Math.min(shownMax, charge(unit));
  if (unit.write === null && cur === charge(unit)) return escrow;
  const proven = { ...unit, cur, old: 0, new: 0, write: null, replacedAt: null };
  return withUnit(escrow, name, proven, charge(unit) - cur);
}

/** Stock came in or was taken out, or a cancelled order's units came back to the shelf: it is free, or short. */
export function restocked(escrow: Escrow, quantity: number): Escrow {
  return freed({ ...escrow, available: escrow.available + quantity }, quantity);
}

/** A cancelled order's units that the channel offers again by itself: they are rights of that channel. */
export function reoffered(escrow: Escrow, name: string, quantity: number): Escrow {
  const unit = unitOf(escrow, name);
  const sold = Math.min(unit.owed, quantity);
  const shown = quantity - sold;
  // Put back after a write that is under way landed, or before: charged with the write they outlast either.
  const rights = unit.write
    ? { new: unit.new + shown, write: { ...unit.write, reoffered: unit.write.reoffered + shown } }
    : { cur: unit.cur + shown };
  const next = { ...unit, ...rights, owed: unit.owed - sold };
  return withUnit({ ...escrow, available: escrow.available + quantity }, name, next, sold);
}

/** An assumption does not hold here: nothing is granted to this unit any more, and it is taken to zero. The first reason stays. */
export function violated(escrow: Escrow, name: string, violation: Violation): Escrow {
  const unit = unitOf(escrow, name);
  if (unit.paused !== null) return escrow;
  return withUnit(escrow, name, { ...unit, paused: violation }, 0);
}

/** It shows so many, whoever put them there: they count as granted from now on. */
export function chargedAtLeast(escrow: Escrow, name: string, shown: number): Escrow {
  const unit = unitOf(escrow, name);
  const cur = Math.max(unit.cur, shown);
  return withUnit(escrow, name, { ...unit, cur }, unit.cur - cur);
}

/** One more unit sells the item: what it may sell is charged. What it has sold before is in `available` as long as nobody knows of it. */
export function joined(escrow: Escrow, name: string, shown: number, at: number): Escrow {
  const fresh = newEscrow(shown, { [name]: shown }, at).units[name];
  assert.ok(fresh !== undefined && !(name in escrow.units), `${name} takes part already`);
  return withUnit(escrow, name, { ...fresh, joinedAt: at }, -shown);
}

/** Somebody has looked at it: the unit takes part again. What it shows counts as granted from now on. */
export function resumed(escrow: Escrow, name: string, shown: number): Escrow {
  const charged = chargedAtLeast(escrow, name, shown);
  return withUnit(charged, name, { ...unitOf(charged, name), paused: null }, 0);
}
