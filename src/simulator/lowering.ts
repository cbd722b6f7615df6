/** S4: what may be too high is lowered within a bounded time. Sent counts, whatever becomes of it; what was refused or got no answer is owed anew. */
import { charge, type Escrow, unitOf } from '../sync/core/escrow.ts';
import { preemptMaxOf, verifyIntervalMs } from '../sync/core/limits.ts';
import { candidateRange, latestEffect } from '../sync/core/range.ts';
import { type Shadow, settled } from '../sync/core/shadow.ts';
import { rangeNow } from '../sync/core/shown.ts';
import type { Keeper, Keeping, KeptUnit } from './keeping.ts';
import { indexLagOf } from './parameters.ts';
import { nextPollMax } from './polls.ts';
import { shownNow, steadyUntil } from './steadiness.ts';

/** By what is known too much may be shown, and no write that has left takes it away. */
export type Owing = {
  readonly name: string;
  /** The units of which one must be written. */
  readonly units: readonly KeptUnit[];
  /** The most that may be shown, and what should be. In units. */
  readonly shown: number;
  readonly wanted: number;
  /** How long the model lets a lowering wait for a write in flight, in milliseconds. */
  readonly wait: number;
  /** How long after a look that told nothing it may still wait for that write to be proved; 0 where landing is enough. */
  readonly proof: number;
};

/** Units, and the ledger's seq that they follow from. */
export type Wanted = { readonly wanted: number; readonly seq: number };

/** Whoever is woken is woken in the next millisecond at the earliest. */
const wakeMs = 1;

/**
 * After every event. Nothing queues up in this world: a lowering leaves with the event that calls for it, unless it may wait for a write in flight, its
 * channel has asked for a pause (429, 5xx, an expired token), the process is away, or its wake-ups were wiped. Each of these moves the bound to its own end.
 */
export function checkLowering(keeper: Keeper, keeping: Keeping, changed: boolean): void {
  const { findings, owedSince, stage } = keeper;
  const movements = stage.ledger.movements.length;
  const { lowered } = findings;
  // Neither knowledge nor time can have brought anything about.
  if (!changed && owedSince.size === 0 && lowered.movements === movements && keeper.now() < lowered.until)
    return;
  const owing: Owing[] = [];
  for (let item = 0; item < keeper.items.length; item++) owing.push(...keeping.owing(item));
  findings.lowered = { movements, until: nextChange(keeper) };
  if (owing.length === 0 && owedSince.size === 0) return;
  for (const name of owedSince.keys()) if (!owing.some((one) => one.name === name)) owedSince.delete(name);
  const now = keeper.now();
  for (const { name, units, shown, wanted, wait, proof } of owing) {
    const since = owedSince.get(name) ?? now;
    owedSince.set(name, since);
    const paused = Math.max(...units.map(({ notBefore }) => notBefore));
    const blind = Math.max(...units.map(({ blindAt }) => blindAt));
    if (now <= Math.max(since + wait, blind + proof, paused, findings.excusedUntil) + wakeMs) continue;
    throw new Error(
      `S4: ${name} may show ${shown} and should show ${wanted} since ${since / 1_000} s, and no lowering write was sent`,
    );
  }
}

/** Until then what was found of each unit holds if nothing else happens. */
function nextChange(keeper: Keeper): number {
  const now = keeper.now();
  let next = Number.POSITIVE_INFINITY;
  for (const units of keeper.items)
    for (const { lowered } of units)
      if (lowered !== null && lowered.until > now) next = Math.min(next, lowered.until);
  return next;
}

const nothing: readonly Owing[] = [];

/**
 * In the shared pool every unit by itself. Nothing stands in the way of a zero, nor of any lowering where writes land in order (`preemptMaxOf`). Elsewhere it
 * may wait behind another lowering, which lands within `settleMax`.
 */
export function owingOf(kept: KeptUnit, want: Wanted, now: number): readonly Owing[] {
  const { shadow, name, channel, lowered } = kept;
  const { wanted, seq } = want;
  if (lowered?.shadow === shadow && lowered.wanted === wanted && lowered.seq === seq && now < lowered.until)
    return lowered.owing;
  const { shown, until } = sentUntil(kept, want, now);
  if (now < until) {
    kept.lowered = { shadow, wanted, seq, until, owing: nothing };
    return nothing;
  }
  const waits = wanted > preemptMaxOf({ ordersWrites: channel.ordered }) && isLowering(shadow, now);
  const wait = waits ? shadow.bounds.settleMax : 0;
  const owing = [{ name, units: [kept], shown, wanted, wait, proof: 0 }];
  kept.lowered = { shadow, wanted, seq, until: nextLanding(shadow, now), owing };
  return owing;
}

/** Until then time alone changes nothing. */
function nextLanding(shadow: Shadow, now: number): number {
  // What has just become known counts for certain from the next millisecond on.
  if (steadyUntil(shadow, now) <= now) return now + wakeMs;
  const { candidates, bounds } = shadow;
  return candidates.reduce((until, one) => {
    const landed = latestEffect(one, bounds) + wakeMs;
    return landed > now ? Math.min(until, landed) : until;
  }, Number.POSITIVE_INFINITY);
}

/** All units of an item that are to show no more than what is known to be left, less what is withheld, and no more than was last decided. */
export function owingShared(keeper: Keeper, item: number, left: number): readonly Owing[] {
  const { stage, items } = keeper;
  const units = items[item] ?? [];
  const now = keeper.now();
  const seq = stage.ledger.seq(item);
  let most = left;
  for (const { shadow } of units) most -= shadow.hold;
  const owing: Owing[] = [];
  for (const kept of units) {
    const wanted = Math.max(0, Math.min(most, kept.shadow.target));
    owing.push(...owingOf(kept, { wanted, seq }, now));
  }
  return owing;
}

/** True while a lowering write is in flight: of two that overlap the older might land last. */
function isLowering({ candidates, bounds }: Shadow, now: number): boolean {
  const newest = candidates.findLast(({ state }) => state !== 'REJECTED');
  if (newest === undefined || newest.settledAt !== null || newest.state === 'UNKNOWN') return false;
  const lowers = candidates.some((older) => older.endedAt === null && older.value > newest.value);
  return lowers && now < latestEffect(newest, bounds) + wakeMs;
}

/** How long nothing is owed: for ever while no more can be shown, and while what is under way takes it away, until all of that has landed. */
function sentUntil(
  { shadow, checked }: KeptUnit,
  want: Wanted,
  now: number,
): { shown: number; until: number } {
  // Nothing but news makes more possible: what was found of this very shadow still holds.
  const most = checked?.shadow === shadow ? checked.high : rangeNow(shadow, now).high;
  if (most <= want.wanted) return { shown: most, until: Number.POSITIVE_INFINITY };
  const until = isTaken(shadow, want, now) ? landedAt(shadow) : 0;
  if (now < until) return { shown: most, until };
  // What has landed by now nobody may have looked at since.
  const shown = rangeNow(settled(shadow, now), now).high;
  return { shown, until: shown <= want.wanted ? Number.POSITIVE_INFINITY : 0 };
}

/** True when a write that has left, and whatever left after it, brings the number down: nothing is owed before all of them have landed. */
function isTaken(shadow: Shadow, { wanted, seq }: Wanted, now: number): boolean {
  const { candidates } = shadow;
  const window = { from: now, until: now };
  for (let index = candidates.length - 1; index >= 0; index--) {
    const write = candidates[index];
    if (write === undefined || write.state === 'REJECTED' || write.endedAt !== null) continue;
    // Of units that the channel may put back after it lands, the same write once more could take away no more.
    const same = write.value <= wanted && write.targetSeq === seq;
    if (!same && candidateRange(shadow, write, window).high > wanted) return false;
    if (write.state !== 'UNKNOWN') return true;
  }
  return false;
}

/** When all that is under way has landed; an answer that is awaited until then comes, or is given up on, within `readMax`. */
function landedAt({ candidates, bounds }: Shadow): number {
  return candidates.reduce((until, one) => {
    const answered = one.state === 'SENT' ? one.lastSentAt + bounds.readMax : 0;
    return Math.max(until, answered + wakeMs, latestEffect(one, bounds) + wakeMs);
  }, 0);
}

/**
 * Under escrow no more is shown than there are rights, so nothing is in a hurry: a unit has one write at a time, and the next waits until that one is proved.
 * One that is paused is owed its zero, a lowering that got no answer its repetition, and while units are short, some write that leaves no more than there is.
 */
export function owingRights(keeper: Keeper, item: number, escrow: Escrow): readonly Owing[] {
  const units = keeper.items[item] ?? [];
  const now = keeper.now();
  const owing: Owing[] = [];
  for (const kept of units) {
    const own = owingRepeated(kept, escrow, now) ?? owingPaused(keeper, kept, escrow);
    if (own !== null) owing.push(own);
  }
  if (escrow.shortfall === 0) return owing;
  const taking = units.filter(({ name }) => unitOf(escrow, name).paused === null);
  const shown = taking.reduce((sum, kept) => sum + showing(kept, escrow, now), 0);
  const wanted = Math.max(0, escrow.available);
  if (shown <= wanted) return owing;
  const idle = taking.filter((kept) => !isBusy(kept, escrow) && showing(kept, escrow, now) > 0);
  const able = idle.length > 0 ? idle : taking;
  const name = `what is short on ${taking.map((kept) => kept.name).join(', ')}`;
  return [...owing, { name, units: able, shown, wanted, ...waitOf(keeper, able, escrow) }];
}

/** Null where the unit's write is none that is repeated: a grant without an answer is read first. */
function owingRepeated(kept: KeptUnit, escrow: Escrow, now: number): Owing | null {
  const { write } = unitOf(escrow, kept.name);
  if (write === null || (write.expected === null && write.value > 0)) return null;
  if (!kept.shadow.candidates.some(({ key, state }) => key === write.key && state === 'UNKNOWN')) return null;
  const shown = shownNow(kept, now).high;
  return shown > write.value
    ? { name: kept.name, units: [kept], shown, wanted: write.value, wait: 0, proof: 0 }
    : null;
}

function owingPaused(keeper: Keeper, kept: KeptUnit, escrow: Escrow): Owing | null {
  if (unitOf(escrow, kept.name).paused === null) return null;
  const shown = showing(kept, escrow, keeper.now());
  return shown > 0
    ? { name: kept.name, units: [kept], shown, wanted: 0, ...waitOf(keeper, [kept], escrow) }
    : null;
}

/** True while a write of the unit has left and is not proved: what was granted and never sent is no excuse. */
function isBusy({ name, lastSentAt }: KeptUnit, escrow: Escrow): boolean {
  const { write } = unitOf(escrow, name);
  return write !== null && lastSentAt >= write.sentAt;
}

/** What the unit shows once its write has landed. */
function showing(kept: KeptUnit, escrow: Escrow, now: number): number {
  const { name } = kept;
  const rights = unitOf(escrow, name);
  const { cur, write, paused } = rights;
  if (write !== null && isBusy(kept, escrow)) {
    // What is known to be sold of it is off its rights as it is off what is left: it is not shown any more.
    return paused === null ? Math.min(write.value, charge(rights)) : write.value;
  }
  const { high } = shownNow(kept, now);
  // What may still land was charged when escrow began, or is proved to be somebody else's.
  return paused === null ? Math.min(cur, high) : high;
}

/** Until the write in flight has landed, and a reading from after that and every order up to it prove what it has become of. */
function waitOf(
  { stage }: Keeper,
  units: readonly KeptUnit[],
  escrow: Escrow,
): Pick<Owing, 'wait' | 'proof'> {
  const busy = units.filter((kept) => isBusy(kept, escrow));
  const proofs = busy.map(({ shadow: { bounds }, channel }) => {
    const read = verifyIntervalMs + bounds.staleMax + bounds.readMax;
    return read + nextPollMax(stage.world.parameters) + indexLagOf(channel) + 2 * bounds.clockSkewMax;
  });
  const proof = Math.max(0, ...proofs);
  return { wait: proof + Math.max(0, ...busy.map(({ shadow }) => shadow.bounds.settleMax)), proof };
}
