/** Automatic protection: the shared pool while stock is deep, escrow as soon as it is not. */
import { automaticProtection, type Protection } from '../sync/core/protection.ts';
import { escrowKeeping } from './escrowKeeping.ts';
import type { Keeper, Keeping } from './keeping.ts';
import { reactionOf, sharedKeeping } from './sharedKeeping.ts';

export function automaticKeeping(keeper: Keeper): Keeping {
  const shared = sharedKeeping(keeper, { kind: 'fixed', units: 0 });
  const escrow = escrowKeeping(keeper);
  const modes: Protection[] = [];
  const keepingOf = (item: number) => (modes[item] === 'escrow' ? escrow : shared);

  function wanted(item: number): Protection {
    const units = keeper.items[item] ?? [];
    const channels = keeper.demands(item).flatMap((demand, channel) => {
      const kept = units[channel];
      return kept === undefined ? [] : [{ demand, reaction: reactionOf(keeper, kept) }];
    });
    const available = keeper.stage.ledger.available(item);
    return automaticProtection(available, channels, modes[item] ?? 'shared').protection;
  }

  return {
    opening(item) {
      modes[item] = wanted(item);
      return keepingOf(item).opening(item);
    },
    atRisk: (item) => keepingOf(item).atRisk(item),
    changed: (kept, change) => keepingOf(kept.unit.item).changed(kept, change),
    restocked: (item, quantity) => keepingOf(item).restocked(item, quantity),
    answered: (kept, key, answer) => keepingOf(kept.unit.item).answered(kept, key, answer),
    owing: (item) => keepingOf(item).owing(item),
    conflict: (kept, because) => keepingOf(kept.unit.item).conflict(kept, because),
    plan(item) {
      const mode = wanted(item);
      if (mode === 'escrow' && modes[item] === 'shared') escrow.enter(item);
      modes[item] = mode;
      const carryOut = keepingOf(item).plan(item);
      return () => modes[item] === mode && carryOut();
    },
    check(item) {
      keepingOf(item).check(item);
    },
    checkRest(item) {
      // What the shared pool has oversold before is no matter of escrow.
      keepingOf(item).check(item);
    },
  };
}
