/** The units of a kept item: opened, taught by orders, and picked up again after a crash. */

import { writeAnswered } from '../sync/core/answers.ts';
import { demandSeen, newDemand } from '../sync/core/demand.ts';
import { newShadow, orderCancelled, orderSeen } from '../sync/core/shadow.ts';
import type { Keeper, Keeping, KeptUnit } from './keeping.ts';
import type { LineChange } from './ledger.ts';
import { boundsOf } from './parameters.ts';
import { type Stage, startPolls } from './policy.ts';
import { createRandom, streams } from './random.ts';
import { changeShown, type Unit } from './unit.ts';
import { channelOf, nameOf } from './world.ts';

/** Orders of the weeks before, from which the channels' shares are known. */
const earlierOrders = 30;

export function newKept(stage: Stage, unit: Unit): KeptUnit {
  const { world } = stage;
  const channel = channelOf(world.parameters, unit.channel);
  const name = nameOf(world, unit);
  return {
    unit,
    name,
    channel,
    shadow: newShadow(name, boundsOf(channel, world.parameters), { value: 0, at: 0, targetSeq: 0 }),
    demand: newDemand(0),
    reading: false,
    fencing: false,
    wakeAt: null,
    notBefore: 0,
    lastSentAt: 0,
    movedAt: 0,
    checked: null,
  };
}

export function earlierShares({ world, seed }: Stage): readonly number[] {
  const random = createRandom(seed, streams.history);
  const weights = world.parameters.channels.map(({ share }) => share);
  const counts = weights.map(() => 0.5);
  for (let order = 0; order < earlierOrders; order++) {
    const channel = random.weighted(weights);
    counts[channel] = (counts[channel] ?? 0) + 1;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / total);
}

export function startKeeping(keeper: Keeper, keeping: Keeping): void {
  const { world } = keeper.stage;
  const { queue, parameters } = world;
  keeper.items.forEach((units, item) => {
    const opening = keeping.opening(item);
    units.forEach((kept, channel) => {
      const value = opening[channel] ?? 0;
      changeShown(world, kept.unit, value);
      kept.shadow = newShadow(kept.name, kept.shadow.bounds, { value, at: 0, targetSeq: 0 });
      const next = () => {
        keeper.read(kept);
        queue.at(queue.now() + parameters.readEvery, next);
      };
      queue.at((parameters.readEvery * (channel + 0.5)) / units.length, next);
    });
  });
  const poll = (channel: number) => keeper.fetchOrders(channel, () => undefined);
  startPolls(keeper.stage, poll, keeping.pollPause);
}

/** What the shadow learns from news of an order; seen first when it was cancelled already, it was sold and given back. */
export function learn(kept: KeptUnit, { order, sold, returned }: LineChange, now: number): void {
  kept.movedAt = now;
  const { orderId, placedAt, updatedAt, restocked } = order;
  if (sold > 0) {
    kept.shadow = orderSeen(kept.shadow, { orderId, quantity: sold, from: placedAt, until: placedAt }, now);
    kept.demand = demandSeen(kept.demand, sold);
  }
  if (returned > 0) {
    const change = { orderId, quantity: returned, from: updatedAt, until: updatedAt };
    const restock = { restockedByChannel: restocked !== false, certain: restocked !== null };
    kept.shadow = orderCancelled(kept.shadow, { ...change, ...restock }, now);
  }
}

/** After a crash nobody waits for the answers of what was sent before it. */
export function restart(kept: KeptUnit, now: number): void {
  kept.reading = false;
  kept.fencing = false;
  kept.wakeAt = null;
  for (const { key, state } of kept.shadow.candidates) {
    if (state === 'SENT') kept.shadow = writeAnswered(kept.shadow, key, { kind: 'unknown' }, now);
  }
}
