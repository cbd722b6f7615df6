/** The policies by name: the comparison of section 7 of the model. */
import { latestEffect } from '../sync/core/range.ts';
import { automaticKeeping } from './automaticKeeping.ts';
import { copyPolicy, floorPolicy, hubPolicy } from './baselines.ts';
import { escrowKeeping } from './escrowKeeping.ts';
import { checkCalm, checkKeeper, checkRest } from './invariants.ts';
import { createKeeper } from './keeper.ts';
import type { Keeper, Keeping } from './keeping.ts';
import type { Policy, Stage } from './policy.ts';
import { sharedKeeping } from './sharedKeeping.ts';

export const policyNames = [
  'copy',
  'hub',
  'hub+2',
  'shadow',
  'shadow+2',
  'shadow+auto',
  'escrow',
  'auto',
  'floor',
] as const;
export type PolicyName = (typeof policyNames)[number];

export function createPolicy(name: PolicyName, stage: Stage): Policy {
  switch (name) {
    case 'copy':
      return copyPolicy(stage);
    case 'hub':
      return hubPolicy(stage, 0);
    case 'hub+2':
      return hubPolicy(stage, 2);
    case 'floor':
      return floorPolicy(stage);
    case 'shadow':
      return kept(stage, (keeper) => sharedKeeping(keeper, { kind: 'fixed', units: 0 }));
    case 'shadow+2':
      return kept(stage, (keeper) => sharedKeeping(keeper, { kind: 'fixed', units: 2 }));
    case 'shadow+auto':
      return kept(stage, (keeper) => sharedKeeping(keeper, { kind: 'automatic', epsilon: 0.01 }));
    case 'escrow':
      return kept(stage, escrowKeeping);
    case 'auto':
      return kept(stage, automaticKeeping);
  }
}

function kept(stage: Stage, keepingOf: (keeper: Keeper) => Keeping): Policy {
  const { keeper, intake, keeping } = createKeeper(stage, keepingOf);
  const { findings } = keeper;
  return {
    ...intake,
    check: () => checkKeeper(keeper, keeping),
    checkCalm: () => checkCalm(keeper, keeping),
    checkRest: () => checkRest(keeper, keeping),
    outsideEdit(unit, delta) {
      const shadow = keeper.items[unit.item]?.[unit.channel]?.shadow;
      const at = keeper.now();
      const writing = shadow?.candidates.some((one) => latestEffect(one, shadow.bounds) > at) === true;
      findings.edited = { unit, delta, at, coveredAt: writing ? at : null };
    },
    results: () => ({
      readings: findings.readings,
      falseConflicts: findings.falseConflicts,
      caught: findings.edited && { raise: findings.edited.delta > 0, caught: findings.caught },
      paused: findings.pausedFor && {
        rightly: findings.pausedFor === stage.world.parameters.faults.violation,
      },
      refusedPlans: findings.refusedPlans,
      resurrectedUnits: keeper.items.flat().reduce((sum, { shadow }) => sum + shadow.resurrectedUnits, 0),
    }),
  };
}
