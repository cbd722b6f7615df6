/** The shared pool: every channel is offered what is available, less a buffer, and each write is decided by the core. */
import { exposedUnit, exposureOf, pollPause } from '../sync/core/exposure.ts';
import { excessOf } from '../sync/core/range.ts';
import { settled, targetSet } from '../sync/core/shadow.ts';
import { automaticBuffer, targetOf } from '../sync/core/targets.ts';
import { decideWrite } from '../sync/core/writing.ts';
import type { Keeper, Keeping, KeptUnit } from './keeping.ts';

export type Buffering =
  | { readonly kind: 'fixed'; readonly units: number }
  | { readonly kind: 'automatic'; readonly epsilon: number };

/** How old the looks of a fence may be when the raise is sent, in milliseconds. */
const fenceMax = 10_000;
const preemptMax = 0;
const zeroAgain = 30_000;

export function sharedKeeping(keeper: Keeper, buffering: Buffering): Keeping {
  const { ledger } = keeper.stage;

  function targetFor(kept: KeptUnit, holds: number): number {
    const { item } = kept.unit;
    const buffer =
      buffering.kind === 'fixed' ? buffering.units : measuredBuffer(keeper, kept, buffering.epsilon);
    const { target } = targetOf({
      available: ledger.available(item),
      holds,
      conflictDelta: 0,
      rules: { account: { buffer } },
      channelMax: 999,
    });
    return target;
  }

  function act(kept: KeptUnit, raisesAllowed: boolean): void {
    const now = keeper.now();
    if (now < kept.notBefore) {
      keeper.wake(kept, kept.notBefore);
      return;
    }
    const { target, targetSeq } = kept.shadow;
    const limits = { compareAndSet: kept.channel.compareAndSet, fenceMax, preemptMax, zeroAgain };
    const decision = decideWrite(kept.shadow, { target, targetSeq, raisesAllowed }, limits, now);
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
        const { value, expected, repeats, direction } = decision;
        keeper.send(kept, { key: repeats, value, expected, raise: direction === 'raise' });
      }
    }
  }

  return {
    target: buffering.kind === 'fixed',
    opening: (item) => (keeper.items[item] ?? []).map((kept) => targetFor(kept, 0)),
    pollPause() {
      const { pollEvery } = keeper.stage.world.parameters;
      const pace = { ordinary: pollEvery, watchful: pollEvery / 8, probabilityMax: 0.01 };
      const pauses = keeper.items.map((units, item) => {
        const rates = keeper.rates(item);
        const exposed = units.map((kept, channel) =>
          exposedUnit(kept.shadow, keeper.now(), { ratePerMs: rates[channel] ?? 0, reaction: pollEvery }),
        );
        return pollPause(exposureOf(ledger.available(item), exposed), pace);
      });
      return Math.min(...pauses);
    },
    changed: () => undefined,
    restocked: () => undefined,
    answered: () => undefined,
    conflict: () => undefined,
    check: () => undefined,
    reconcile(item) {
      const units = keeper.items[item] ?? [];
      const now = keeper.now();
      for (const kept of units) kept.shadow = settled(kept.shadow, now);
      const holds = units.reduce((sum, { shadow }) => sum + shadow.hold, 0);
      const raisesAllowed = units.every(({ shadow }) =>
        shadow.readings.every((reading) => excessOf(shadow, reading) === 0),
      );
      const [first] = units;
      // A fixed buffer gives every channel the same number.
      const common = buffering.kind === 'fixed' && first ? targetFor(first, holds) : null;
      for (const kept of units) {
        kept.shadow = targetSet(kept.shadow, common ?? targetFor(kept, holds), ledger.seq(item));
        act(kept, raisesAllowed);
      }
    },
  };
}

function ninth([min, max]: readonly [number, number]): number {
  return min + 0.9 * (max - min);
}

/** Sale to effect as measured: nine of ten sales are in force here within this time. */
export function reactionOf(keeper: Keeper, kept: KeptUnit): number {
  const { pollEvery } = keeper.stage.world.parameters;
  const { visible, event, eventLoss, request, effect } = kept.channel;
  const sight = ninth(visible) + ninth(event) + eventLoss * pollEvery;
  return sight + ninth(request) + ninth(effect);
}

function measuredBuffer(keeper: Keeper, kept: KeptUnit, epsilon: number): number {
  const rates = keeper.rates(kept.unit.item);
  const others = rates.reduce((sum, rate, channel) => (channel === kept.unit.channel ? sum : sum + rate), 0);
  return automaticBuffer(others, reactionOf(keeper, kept), epsilon);
}
