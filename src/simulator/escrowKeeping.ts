/** Escrow: every displayed unit is a right that was granted once; grants, confirmations and settling are the core's. */
import { type WriteAnswer } from '../sync/core/answers.ts';
import { ratesOf } from '../sync/core/demand.ts';
import {
  type Escrow,
  grant,
  newEscrow,
  restocked,
  unitOf,
  violated,
  withdrawnGrant,
} from '../sync/core/escrow.ts';
import { beyondRights, chaseOf, learnedRights, rebalanceUnit, used } from '../sync/core/escrowUnit.ts';
import { demandLimits, rebalanceLimits } from '../sync/core/limits.ts';
import { allocationOf, type Grant, type RebalanceUnit, rebalance } from '../sync/core/rebalance.ts';
import { arrivedTooLate } from '../sync/core/shadow.ts';
import { sellableMax } from '../sync/core/shown.ts';
import { checkEscrow, checkEscrowRest } from './escrowPromises.ts';
import { type Keeper, type Keeping, type KeptUnit, unchangedSince } from './keeping.ts';
import type { LineChange } from './ledger.ts';
import { owingRights } from './lowering.ts';
import { indexLagOf } from './parameters.ts';
import { isSteady, settle, shownNow } from './steadiness.ts';

export type EscrowKeeping = Keeping & {
  escrowOf(item: number): Escrow;
  /** Takes over an item of the shared pool: all that its channels may still sell is charged. */
  enter(item: number): void;
};

export function escrowKeeping(keeper: Keeper): EscrowKeeping {
  const { world, ledger } = keeper.stage;
  const escrows: Escrow[] = [];
  /** Since when items are in escrow that were in the shared pool before. */
  const entered = new Map<number, number>();
  const told = new Set<string>();

  function escrowOf(item: number): Escrow {
    const escrow = escrows[item];
    if (escrow === undefined) throw new Error(`item ${item} is not in escrow`);
    return escrow;
  }

  function book(kept: KeptUnit, { order, sold, returned }: LineChange): void {
    const { item } = kept.unit;
    const { orderId, placedAt, updatedAt } = order;
    const sale = { orderId, quantity: sold, from: placedAt, until: placedAt };
    const late = sold > 0 && arrivedTooLate(kept.shadow, sale);
    const uses = [
      { units: sold, from: placedAt, until: placedAt, late },
      { units: -returned, from: updatedAt, until: updatedAt, late: false },
    ].filter(({ units }) => units !== 0);
    escrows[item] = uses.reduce(
      (escrow, use) => used(escrow, kept.shadow, use, keeper.now()),
      escrowOf(item),
    );
  }

  function answered(kept: KeptUnit, key: string, answer: WriteAnswer): void {
    const { item } = kept.unit;
    if (unitOf(escrowOf(item), kept.name).write?.key !== key) return;
    // Refused now, but an attempt before it may have happened.
    if (kept.shadow.candidates.some((candidate) => candidate.key === key)) return;
    if (answer.kind === 'stale' || answer.kind === 'rejected')
      escrows[item] = withdrawnGrant(escrowOf(item), kept.name);
  }

  /** What the shadow knows by now about the unit's rights. */
  function advance(kept: KeptUnit): void {
    const now = keeper.now();
    settle(kept, now);
    const { shadow, name } = kept;
    const { item } = kept.unit;
    const before = unitOf(escrowOf(item), name);
    if (isSteady(kept, now) && kept.learned?.shadow === shadow && kept.learned.rights === before) return;
    escrows[item] = learnedRights(escrowOf(item), shadow, now);
    const because = beyondRights(escrowOf(item), shadow, now);
    if (because !== null) escrows[item] = violated(escrowOf(item), name, because);
    const rights = unitOf(escrowOf(item), name);
    const { replacedAt, write } = rights;
    // Asked again it would answer the same; of a write under way, time alone can tell something.
    const isAll = isSteady(kept, now) && rights === before && write === null;
    kept.learned = isAll ? { shadow, rights } : null;
    if (replacedAt !== null && write !== before.write) settleSoon(kept, replacedAt);
  }

  /** Orders are fetched again as soon as they can cover the confirmation: then the replaced rights are free. */
  function settleSoon(kept: KeptUnit, replacedAt: number): void {
    const at = replacedAt + indexLagOf(kept.channel) + kept.shadow.bounds.clockSkewMax + 1;
    world.queue.at(at, () => keeper.fetchOrders(kept.unit.channel, () => undefined));
  }

  function chase(kept: KeptUnit): void {
    const now = keeper.now();
    const next = chaseOf(escrowOf(kept.unit.item), kept.shadow, now);
    switch (next?.kind) {
      case undefined:
        return;
      case 'wait':
        keeper.wake(kept, next.until);
        return;
      case 'read':
        if (now < kept.readNotBefore) keeper.wake(kept, kept.readNotBefore);
        else keeper.read(kept);
        return;
      case 'repeat':
        if (now < kept.notBefore) keeper.wake(kept, kept.notBefore);
        else keeper.send(kept, { key: next.key, value: next.value, expected: next.expected, raise: false });
    }
  }

  function factsOf(item: number): readonly RebalanceUnit[] {
    const rates = ratesOf(keeper.demands(item), demandLimits);
    return (keeper.items[item] ?? []).map((kept, channel) => facts(kept, rates[channel] ?? 0));
  }

  function facts(kept: KeptUnit, rate: number): RebalanceUnit {
    const { channel, shadow } = kept;
    const sight =
      middle(channel.visible) + middle(channel.event) + channel.eventLoss * world.parameters.pollEvery;
    const landing = middle(channel.request) + middle(channel.effect);
    const drain = channel.compareAndSet ? landing : landing + channel.visible[1];
    const { compareAndSet } = channel;
    const pace = { ratePerMs: rate, sight, landing, drain, compareAndSet, quantityMax: 999 };
    return rebalanceUnit(shadow, pace, keeper.now(), shownNow(kept, keeper.now()));
  }

  function issue(item: number, { name, value, expected }: Grant): void {
    const kept = keeper.items[item]?.find((one) => one.name === name);
    if (kept === undefined) return;
    if (keeper.now() < kept.notBefore) {
      keeper.wake(kept, kept.notBefore);
      return;
    }
    const key = keeper.send(kept, { key: null, value, expected, raise: value > (expected ?? 0) });
    escrows[item] = grant(escrowOf(item), name, { key, value, expected, sentAt: keeper.now() });
    keeper.wake(kept, keeper.now() + kept.shadow.bounds.settleMax + 1);
  }

  function tellPauses(item: number): void {
    for (const { name } of keeper.items[item] ?? []) {
      const { paused } = unitOf(escrowOf(item), name);
      if (paused === null || told.has(name)) continue;
      told.add(name);
      keeper.findings.pausedFor ??= paused;
      world.note(() => `${name} is paused at zero: ${paused} does not hold`);
    }
  }

  return {
    escrowOf,
    opening(item) {
      const units = keeper.items[item] ?? [];
      const stock = ledger.available(item);
      const allocation = allocationOf(stock, factsOf(item), rebalanceLimits);
      const shown = Object.fromEntries(units.map(({ name }) => [name, allocation.get(name) ?? 0]));
      escrows[item] = newEscrow(stock, shown);
      return units.map(({ name }) => allocation.get(name) ?? 0);
    },
    // No more is shown than there is, whatever is lost.
    atRisk: () => false,
    enter(item) {
      const shown = (keeper.items[item] ?? []).map(
        ({ name, shadow }) => [name, sellableMax(shadow, keeper.now())] as const,
      );
      escrows[item] = newEscrow(ledger.available(item), Object.fromEntries(shown), keeper.now());
      entered.set(item, keeper.now());
    },
    changed: book,
    restocked(item, quantity) {
      escrows[item] = restocked(escrowOf(item), quantity);
    },
    answered,
    owing: (item) => owingRights(keeper, item, escrowOf(item)),
    check(item) {
      checkEscrow(world, keeper.items[item] ?? [], escrowOf(item), entered.get(item) ?? null);
    },
    checkRest: (item) => checkEscrowRest(keeper.stage, keeper.items[item] ?? [], escrowOf(item)),
    conflict(kept, because) {
      const { item } = kept.unit;
      if (because !== null) escrows[item] = violated(escrowOf(item), kept.name, because);
    },
    plan(item) {
      const units = keeper.items[item] ?? [];
      for (const kept of units) advance(kept);
      tellPauses(item);
      const basis = escrowOf(item);
      const unchanged = unchangedSince(units);
      const grants = rebalance(basis, factsOf(item), rebalanceLimits);
      return () => {
        if (escrowOf(item) !== basis || !unchanged()) return false;
        for (const kept of units) chase(kept);
        for (const one of grants) issue(item, one);
        return true;
      };
    },
  };
}

function middle([min, max]: readonly [number, number]): number {
  return (min + max) / 2;
}
