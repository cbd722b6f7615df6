/** Drives the decision core in the simulated world: shadows from orders, polls, reads and answers; no decision is made here. */
import { demandAged, ratesPerMs } from '../sync/core/demand.ts';
import { rangeNow } from '../sync/core/range.ts';
import { createEvidence, type Evidence } from './evidence.ts';
import { demandLimits, type Findings, type Keeper, type Keeping, type KeptUnit } from './keeping.ts';
import { earlierShares, newKept, restart, startKeeping } from './keptUnits.ts';
import { createLifetime, type Lifetime } from './lifetime.ts';
import type { Policy, Stage } from './policy.ts';
import { createRequests, type Requests } from './requests.ts';

export type Intake = Required<
  Pick<Policy, 'start' | 'orderEvent' | 'restocked' | 'crashed' | 'wiped' | 'doubled'>
>;
export type KeeperParts = { readonly keeper: Keeper; readonly intake: Intake; readonly keeping: Keeping };

export function createKeeper(stage: Stage, keepingOf: (keeper: Keeper) => Keeping): KeeperParts {
  const { queue } = stage.world;
  const findings: Findings = { readings: 0, falseConflicts: 0, edited: null, caught: false, refusedPlans: 0 };
  const shares = earlierShares(stage);
  const items = stage.world.units.map((units) => units.map((unit) => newKept(stage, unit)));
  const lifetime = createLifetime(queue);

  function wake(kept: KeptUnit, at: number): void {
    if (kept.wakeAt !== null && kept.wakeAt <= at && kept.wakeAt > queue.now()) return;
    kept.wakeAt = at;
    queue.at(Math.max(at, queue.now() + 1), () => {
      if (kept.wakeAt !== at || lifetime.isAway()) return;
      kept.wakeAt = null;
      reconcile(kept.unit.item);
    });
  }

  /** Something about the item may be different: decide and act. */
  function reconcile(item: number): void {
    keeping.plan(item)();
  }

  function rates(item: number): readonly number[] {
    const units = items[item] ?? [];
    const now = queue.now();
    for (const kept of units) {
      const shows = rangeNow(kept.shadow, now).high > 0;
      kept.demand = demandAged(kept.demand, shows, now, demandLimits);
    }
    return ratesPerMs(
      units.map(({ demand }) => demand),
      shares,
      demandLimits,
    );
  }

  const requests: Requests = createRequests({
    stage,
    items,
    findings,
    lifetime,
    evidence: () => evidence,
    keeping: () => keeping,
    reconcile,
    wake,
  });
  const evidence: Evidence = createEvidence({
    stage,
    items,
    findings,
    keeping: () => keeping,
    lookAgain: requests.lookAgain,
  });
  const { send, read, fetchOrders, fence } = requests;
  const { adjust } = evidence;
  const keeper: Keeper = {
    stage,
    items,
    findings,
    now: queue.now,
    rates,
    send,
    fence,
    read,
    fetchOrders,
    wake,
    reconcile,
    adjust,
  };
  const keeping = keepingOf(keeper);
  return { keeper, keeping, intake: intakeOf(keeper, keeping, { evidence, requests, lifetime }) };
}

type IntakeParts = {
  readonly evidence: Evidence;
  readonly requests: Requests;
  readonly lifetime: Lifetime;
};

/** What comes from outside: a process that is away is told again when it is back. */
function intakeOf(keeper: Keeper, keeping: Keeping, { evidence, requests, lifetime }: IntakeParts): Intake {
  const { stage, items } = keeper;
  const { queue, parameters } = stage.world;

  /** One order has come; while another that was lost could cost an oversell, every channel is asked soon. */
  function hurry(): void {
    const pause = keeping.pollPause();
    if (pause >= parameters.pollEvery) return;
    requests.fetchedAt.forEach((at, channel) => {
      if (queue.now() - at >= pause) keeper.fetchOrders(channel, () => undefined);
    });
  }

  return {
    start: () => startKeeping(keeper, keeping),
    orderEvent: (order) =>
      lifetime.whenBack(() => {
        for (const item of new Set(evidence.apply(order))) keeper.reconcile(item);
        hurry();
      }),
    restocked: (item, quantity) =>
      lifetime.whenBack(() => {
        keeper.adjust(item, quantity, 'delivery');
        keeper.reconcile(item);
      }),
    crashed(until) {
      lifetime.die(until);
      queue.at(until, () => {
        items.flat().forEach((kept) => restart(kept, queue.now()));
        items.forEach((_, item) => keeper.reconcile(item));
      });
    },
    wiped() {
      // Nobody is woken any more: the next poll or reading has to notice.
      for (const kept of items.flat()) kept.wakeAt = null;
    },
    doubled(delay) {
      if (lifetime.isAway()) return;
      items.forEach((_, item) => {
        const late = lifetime.alive(keeping.plan(item));
        queue.at(queue.now() + delay, () => {
          if (late(undefined) === false) keeper.findings.refusedPlans += 1;
        });
      });
    },
  };
}
