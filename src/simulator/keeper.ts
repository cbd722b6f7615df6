/** Drives the decision core in the simulated world: shadows from orders, polls, reads and answers; no decision is made here. */
import { type Demand, demandAged } from '../sync/core/demand.ts';
import { demandLimits } from '../sync/core/limits.ts';
import { createEvidence, type Evidence } from './evidence.ts';
import { type Findings, type Keeper, type Keeping, type KeptUnit } from './keeping.ts';
import { newKept, restart, startKeeping } from './keptUnits.ts';
import { createLifetime, type Lifetime } from './lifetime.ts';
import type { Policy, Stage } from './policy.ts';
import { createPolls, nextPollMax, type Polls } from './polls.ts';
import { createRequests, type Requests } from './requests.ts';
import { shownNow } from './steadiness.ts';

export type Intake = Required<
  Pick<Policy, 'start' | 'orderEvent' | 'restocked' | 'crashed' | 'wiped' | 'doubled'>
>;
export type KeeperParts = { readonly keeper: Keeper; readonly intake: Intake; readonly keeping: Keeping };

export function createKeeper(stage: Stage, keepingOf: (keeper: Keeper) => Keeping): KeeperParts {
  const { ledger, world } = stage;
  const { queue } = world;
  const findings: Findings = {
    readings: 0,
    falseConflicts: 0,
    edited: null,
    caught: false,
    excusedUntil: 0,
    lowered: { movements: -1, until: 0 },
    pausedFor: null,
    refusedPlans: 0,
  };
  const items = stage.world.units.map((units) => units.map((unit) => newKept(stage, unit)));
  const lifetime = createLifetime(queue);
  const watchedSeq: number[] = [];

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
    for (const kept of items[item] ?? []) requests.readLater(kept);
    watch(item);
  }

  /** Asked once for every change of the stock. */
  function watch(item: number): void {
    const seq = ledger.seq(item);
    if (watchedSeq[item] === seq) return;
    watchedSeq[item] = seq;
    if (keeping.atRisk(item)) polls.watch();
  }

  /** What each channel of the item is known to have sold, up to now. */
  function demands(item: number): readonly Demand[] {
    const now = queue.now();
    return (items[item] ?? []).map((kept) => {
      const shows = shownNow(kept, now).high > 0;
      kept.demand = demandAged(kept.demand, shows, now, demandLimits);
      return kept.demand;
    });
  }

  const requests: Requests = createRequests({
    stage,
    items,
    findings,
    lifetime,
    evidence: () => evidence,
    keeping: () => keeping,
    reconcile,
  });
  const evidence: Evidence = createEvidence({
    stage,
    items,
    findings,
    keeping: () => keeping,
    lookAgain: requests.lookAgain,
  });
  const { send, read, fetchOrders, fence } = requests;
  const polls = createPolls(world, requests.fetchedAt, fetchOrders);
  const { adjust } = evidence;
  const keeper: Keeper = {
    stage,
    items,
    findings,
    owedSince: new Map(),
    now: queue.now,
    demands,
    send,
    fence,
    read,
    fetchOrders,
    wake,
    reconcile,
    adjust,
  };
  const keeping = keepingOf(keeper);
  return { keeper, keeping, intake: intakeOf(keeper, keeping, { evidence, polls, lifetime }) };
}

type IntakeParts = {
  readonly evidence: Evidence;
  readonly polls: Polls;
  readonly lifetime: Lifetime;
};

/** What comes from outside: a process that is away is told again when it is back. */
function intakeOf(keeper: Keeper, keeping: Keeping, { evidence, polls, lifetime }: IntakeParts): Intake {
  const { stage, items } = keeper;
  const { queue } = stage.world;

  return {
    start() {
      polls.start();
      startKeeping(keeper, keeping);
    },
    orderEvent: (order) =>
      lifetime.whenBack(() => {
        for (const item of new Set(evidence.apply(order))) keeper.reconcile(item);
      }),
    restocked: (item, quantity) =>
      lifetime.whenBack(() => {
        keeper.adjust(item, quantity, 'delivery');
        keeper.reconcile(item);
      }),
    crashed(until) {
      lifetime.die(until);
      expectNothing(keeper, until);
      queue.at(until, () => {
        items.flat().forEach((kept) => restart(kept, queue.now()));
        items.forEach((_, item) => keeper.reconcile(item));
      });
    },
    wiped() {
      // Nobody is woken any more: the next poll or reading has to notice.
      for (const kept of items.flat()) kept.wakeAt = null;
      expectNothing(keeper, queue.now() + nextPollMax(stage.world.parameters));
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

function expectNothing({ findings }: Keeper, until: number): void {
  findings.excusedUntil = Math.max(findings.excusedUntil, until);
}
