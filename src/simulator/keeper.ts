/** Drives the decision core in the simulated world: shadows from orders, polls, reads and answers; no decision is made here. */
import { demandAged, ratesPerMs } from '../sync/core/demand.ts';
import { rangeNow } from '../sync/core/range.ts';
import { type WriteAnswer, watermarkAdvanced, writeAnswered, writeSent } from '../sync/core/shadow.ts';
import { createEvidence } from './evidence.ts';
import { checkRaise } from './invariants.ts';
import { demandLimits, type Findings, type Keeper, type Keeping, type KeptUnit } from './keeping.ts';
import { earlierShares, newKept, restart, startKeeping } from './keptUnits.ts';
import { indexLagOf } from './parameters.ts';
import type { Stage } from './policy.ts';
import { type Answer, channelOf, type Snapshot } from './world.ts';

export type KeeperParts = { readonly keeper: Keeper; readonly intake: Intake; readonly keeping: Keeping };
export type Intake = {
  start(): void;
  orderEvent(order: Snapshot): void;
  restocked(item: number, quantity: number): void;
  crashed(until: number): void;
};

export function createKeeper(stage: Stage, keepingOf: (keeper: Keeper) => Keeping): KeeperParts {
  const { world, ledger } = stage;
  const { queue, parameters } = world;
  const watermarks = parameters.channels.map(() => 0);
  const fetchedAt = parameters.channels.map(() => 0);
  const findings: Findings = { readings: 0, falseConflicts: 0, edited: null, caught: false };
  let generation = 0;
  let downUntil = 0;
  let keys = 0;
  const shares = earlierShares(stage);
  const items = world.units.map((units) => units.map((unit) => newKept(stage, unit)));

  const { take, weigh, apply, adjust } = createEvidence({
    stage,
    items,
    findings,
    keeping: () => keeping,
    lookAgain,
  });

  /** Late enough for the orders to cover this reading, and for another reading to speak of what is after it. */
  function lookAgain(kept: KeptUnit): void {
    const { channel } = kept.unit;
    fetchOrders(channel, () => undefined);
    const again = queue.now() + indexLagOf(kept.channel) + 2 * kept.shadow.bounds.clockSkewMax + 1_000;
    queue.at(again, () => {
      fetchOrders(channel, () => undefined);
      read(kept);
    });
  }

  /** An answer that arrives after a crash is lost. */
  function alive<Value>(answered: (value: Value) => void): (value: Value) => void {
    const born = generation;
    return (value) => {
      if (born === generation) answered(value);
    };
  }

  function wake(kept: KeptUnit, at: number): void {
    if (kept.wakeAt !== null && kept.wakeAt <= at && kept.wakeAt > queue.now()) return;
    kept.wakeAt = at;
    queue.at(Math.max(at, queue.now() + 1), () => {
      if (kept.wakeAt !== at || queue.now() < downUntil) return;
      kept.wakeAt = null;
      keeping.reconcile(kept.unit.item);
    });
  }

  function send(kept: KeptUnit, write: Parameters<Keeper['send']>[1]): string {
    keys += 1;
    const key = write.key ?? `w${keys}`;
    const targetSeq = Math.max(ledger.seq(kept.unit.item), kept.shadow.sentSeq);
    const { value, expected } = write;
    kept.shadow = writeSent(kept.shadow, { key, value, expected, targetSeq }, queue.now());
    kept.lastSentAt = queue.now();
    if (write.raise) checkRaise(kept, key, queue.now());
    world.note(
      () =>
        `write ${kept.name} = ${write.value}${write.expected === null ? '' : ` if it shows ${write.expected}`}${write.key === null ? '' : ' again'}`,
    );
    // An absolute write erases what it replaces: looking at the same moment costs it no time and may still show an outside edit.
    if (expected === null) read(kept);
    world.write(kept.unit, { key, value, expected }, (answer) => takeAnswer(kept, key, answer));
    return key;
  }

  const takeAnswer = (kept: KeptUnit, key: string, answer: Answer) => {
    if (
      queue.now() < downUntil ||
      !kept.shadow.candidates.some((one) => one.key === key && one.settledAt === null)
    )
      return;
    if (answer.kind === 'deferred') kept.notBefore = queue.now() + answer.retryAfter;
    const meaning: WriteAnswer = answer.kind === 'deferred' ? { kind: 'rejected' } : answer;
    kept.shadow = writeAnswered(kept.shadow, key, meaning, queue.now());
    keeping.answered(kept, key, meaning);
    weigh(kept);
    keeping.reconcile(kept.unit.item);
  };

  function read(kept: KeptUnit): void {
    if (kept.reading || queue.now() < downUntil) return;
    kept.reading = true;
    const requestedAt = queue.now();
    world.read(
      kept.unit,
      alive((value) => {
        kept.reading = false;
        take(kept, value, requestedAt);
        keeping.reconcile(kept.unit.item);
      }),
    );
  }

  function fetchOrders(channel: number, done: () => void): void {
    if (queue.now() < downUntil) return;
    const startedAt = queue.now();
    fetchedAt[channel] = startedAt;
    const lag = indexLagOf(channelOf(parameters, channel));
    const since = (watermarks[channel] ?? 0) - 10_000;
    world.fetchOrders(
      channel,
      since,
      alive((orders) => {
        if (orders !== null) {
          orders.forEach(apply);
          watermarks[channel] = Math.max(watermarks[channel] ?? 0, startedAt - lag);
          for (const units of items) {
            const kept = units[channel];
            if (kept === undefined) continue;
            kept.shadow = watermarkAdvanced(kept.shadow, startedAt - lag, startedAt, queue.now());
            weigh(kept);
          }
        }
        done();
        items.forEach((_, item) => keeping.reconcile(item));
      }),
    );
  }

  /** One order has come; while another that was lost could cost an oversell, every channel is asked soon. */
  function hurry(): void {
    const pause = keeping.pollPause();
    if (pause >= parameters.pollEvery) return;
    fetchedAt.forEach((at, channel) => {
      if (queue.now() - at >= pause) fetchOrders(channel, () => undefined);
    });
  }

  function fence(kept: KeptUnit): void {
    if (kept.fencing) return;
    kept.fencing = true;
    fetchOrders(kept.unit.channel, () => {
      const requestedAt = queue.now();
      world.read(
        kept.unit,
        alive((value) => {
          kept.fencing = false;
          take(kept, value, requestedAt);
          if (value === null) wake(kept, queue.now() + 5_000);
          else keeping.reconcile(kept.unit.item);
        }),
      );
    });
  }

  const keeper: Keeper = {
    stage,
    items,
    findings,
    now: queue.now,
    rates(item) {
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
    },
    send,
    fence,
    read,
    fetchOrders,
    wake,
    adjust,
  };
  const keeping = keepingOf(keeper);
  const intake: Intake = {
    start: () => startKeeping(keeper, keeping),
    orderEvent(order) {
      // A process that is away is told again when it is back.
      if (queue.now() < downUntil) queue.at(downUntil, () => intake.orderEvent(order));
      else {
        for (const item of new Set(apply(order))) keeping.reconcile(item);
        hurry();
      }
    },
    restocked(item, quantity) {
      if (queue.now() < downUntil) queue.at(downUntil, () => intake.restocked(item, quantity));
      else {
        adjust(item, quantity, 'delivery');
        keeping.reconcile(item);
      }
    },
    crashed(until) {
      generation += 1;
      downUntil = until;
      queue.at(until, () => {
        items.flat().forEach((kept) => restart(kept, queue.now()));
        items.forEach((_, item) => keeping.reconcile(item));
      });
    },
  };
  return { keeper, intake, keeping };
}
