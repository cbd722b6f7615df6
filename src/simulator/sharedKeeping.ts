/** The shared pool: every channel is offered what is available, less a buffer, and each write is decided by the core. */
import { rateOf } from '../sync/core/demand.ts';
import { exposedUnit, exposureOf, needsWatch, raiseInTime } from '../sync/core/exposure.ts';
import { demandLimits, fenceMaxMs, preemptMaxOf, zeroAgainMs } from '../sync/core/limits.ts';
import { excessOf } from '../sync/core/range.ts';
import { targetSet } from '../sync/core/shadow.ts';
import { automaticBuffer, targetOf } from '../sync/core/targets.ts';
import { decideWrite, type WriteDecision } from '../sync/core/writing.ts';
import { checkAtTarget } from './invariants.ts';
import { type Keeper, type Keeping, type KeptUnit, unchangedSince } from './keeping.ts';
import { owingShared } from './lowering.ts';
import type { Span } from './random.ts';
import { settle } from './steadiness.ts';

export type Buffering =
  | { readonly kind: 'fixed'; readonly units: number }
  | { readonly kind: 'automatic'; readonly epsilon: number };

type Stops = { readonly raisesAllowed: boolean; readonly raiseInTime: boolean };

export function sharedKeeping(keeper: Keeper, buffering: Buffering): Keeping {
  const { ledger } = keeper.stage;
  const { pollEvery } = keeper.stage.world.parameters;

  function targetFor(kept: KeptUnit, holds: number, othersPerMs: number): number {
    const buffer =
      buffering.kind === 'fixed'
        ? buffering.units
        : automaticBuffer(othersPerMs, reactionOf(keeper, kept), buffering.epsilon);
    const { target } = targetOf({
      available: ledger.available(kept.unit.item),
      holds,
      conflictDelta: 0,
      rules: { account: { buffer } },
      channelMax: 999,
    });
    return target;
  }

  function decide(kept: KeptUnit, stops: Stops): WriteDecision {
    const now = keeper.now();
    if (now < kept.notBefore) return { kind: 'wait', until: kept.notBefore };
    const { target, targetSeq } = kept.shadow;
    const { compareAndSet, ordered: ordersWrites } = kept.channel;
    const preemptMax = preemptMaxOf({ ordersWrites });
    const limits = { compareAndSet, fenceMax: fenceMaxMs, preemptMax, zeroAgain: zeroAgainMs };
    return decideWrite(kept.shadow, { target, targetSeq, ...stops }, limits, now);
  }

  function act(kept: KeptUnit, decision: WriteDecision): void {
    switch (decision.kind) {
      case 'none':
        return;
      case 'wait':
        keeper.wake(kept, decision.until);
        return;
      case 'fence':
        keeper.fence(kept);
        return;
      case 'write': {
        const { value, expected, believed, repeats, direction } = decision;
        const raise = direction === 'raise';
        keeper.send(kept, { key: repeats, value, expected, believed, raise, packable: true });
      }
    }
  }

  function atRisk(item: number): boolean {
    const rates = ratesApart(keeper, item);
    const exposed = (keeper.items[item] ?? []).map(({ shadow }, channel) =>
      exposedUnit(shadow, keeper.now(), { ratePerMs: rates[channel] ?? 0, reaction: pollEvery }),
    );
    return needsWatch(exposureOf(ledger.available(item), exposed));
  }

  return {
    opening(item) {
      const others = paceOfOthers(ratesApart(keeper, item));
      return (keeper.items[item] ?? []).map((kept) => targetFor(kept, 0, others(kept)));
    },
    atRisk,
    changed: () => undefined,
    restocked: () => undefined,
    answered: () => undefined,
    conflict: () => undefined,
    // What is known now, not what was last decided; an automatic buffer only withholds more.
    owing: (item) =>
      owingShared(keeper, item, ledger.available(item) - (buffering.kind === 'fixed' ? buffering.units : 0)),
    check(item) {
      for (const kept of keeper.items[item] ?? []) {
        if (kept.channel.compareAndSet && kept.unit.violatedAt === null && kept.shadow.resurrectedUnits > 0)
          throw new Error(`S8: ${kept.name} compares, and yet a unit was offered again`);
      }
    },
    checkRest(item) {
      if (buffering.kind === 'fixed')
        for (const kept of keeper.items[item] ?? []) checkAtTarget(keeper, kept);
    },
    plan(item) {
      const units = keeper.items[item] ?? [];
      const now = keeper.now();
      for (const kept of units) settle(kept, now);
      const holds = units.reduce((sum, { shadow }) => sum + shadow.hold, 0);
      const raisesAllowed = units.every(({ shadow }) =>
        shadow.readings.every((reading) => excessOf(shadow, reading) === 0),
      );
      const others = paceOfOthers(ratesApart(keeper, item));
      const available = ledger.available(item);
      const decisions = units.map((kept) => {
        const inTime = raiseInTime(available, {
          othersPerMs: others(kept),
          landing: landingOf(kept),
          quietFor: now - Math.max(...units.map(({ movedAt }) => movedAt)),
        });
        kept.shadow = targetSet(kept.shadow, targetFor(kept, holds, others(kept)), ledger.seq(item));
        return decide(kept, { raisesAllowed, raiseInTime: inTime });
      });
      const unchanged = unchangedSince(units);
      return () => {
        if (!unchanged()) return false;
        decisions.forEach((decision, channel) => {
          const kept = units[channel];
          if (kept) act(kept, decision);
        });
        return true;
      };
    },
  };
}

/** Units per millisecond of each channel by its own sales only: in the shared pool each is worked for by itself. */
function ratesApart(keeper: Keeper, item: number): readonly number[] {
  return keeper.demands(item).map((demand) => rateOf(demand, demandLimits));
}

/** Units per millisecond that all other channels sell. */
function paceOfOthers(rates: readonly number[]): (kept: KeptUnit) => number {
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  return ({ unit }) => total - (rates[unit.channel] ?? 0);
}

function ninth([min, max]: Span): number {
  return min + 0.9 * (max - min);
}

/** From sending a write until it is in force, as measured: nine of ten are within this time. */
function landingOf({ channel }: KeptUnit): number {
  return ninth(channel.request) + ninth(channel.effect);
}

/** Sale to effect as measured: nine of ten sales are in force here within this time. */
export function reactionOf(keeper: Keeper, kept: KeptUnit): number {
  const { pollEvery } = keeper.stage.world.parameters;
  const { visible, event, eventLoss } = kept.channel;
  const sight = ninth(visible) + ninth(event) + eventLoss * pollEvery;
  return sight + landingOf(kept);
}
