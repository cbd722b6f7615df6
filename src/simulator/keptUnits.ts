/** The units of a kept item: opened, taught by orders, and picked up again after a crash. */

import { writeAnswered } from '../sync/core/answers.ts';
import { demandSeen, newDemand } from '../sync/core/demand.ts';
import { newShadow, orderCancelled, orderSeen } from '../sync/core/shadow.ts';
import type { Keeper, Keeping, KeptUnit } from './keeping.ts';
import type { LineChange } from './ledger.ts';
import { boundsOf } from './parameters.ts';
import { type Stage } from './policy.ts';
import { changeShown, type Unit } from './unit.ts';
import { channelOf, nameOf } from './world.ts';

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
    readDue: null,
    dueBy: null,
    readNotBefore: 0,
    fencing: false,
    wakeAt: null,
    notBefore: 0,
    lastSentAt: 0,
    blindAt: 0,
    movedAt: 0,
    steady: null,
    shown: null,
    learned: null,
    checked: null,
    lowered: null,
  };
}

export function startKeeping(keeper: Keeper, keeping: Keeping): void {
  const { world } = keeper.stage;
  const { readEvery } = world.parameters;
  keeper.items.forEach((units, item) => {
    const opening = keeping.opening(item);
    units.forEach((kept, channel) => {
      const value = opening[channel] ?? 0;
      changeShown(world, kept.unit, value);
      const opened = newShadow(kept.name, kept.shadow.bounds, { value, at: 0, targetSeq: 0 });
      kept.shadow = { ...opened, readAt: readEvery * ((channel + 0.5) / units.length - 1) };
    });
    keeper.reconcile(item);
  });
}

/** What the shadow learns from news of an order; seen first when it was cancelled already, it was sold and given back. */
export function learn(kept: KeptUnit, { order, sold, returned }: LineChange, now: number): void {
  kept.movedAt = now;
  const { orderId, placedAt, updatedAt } = order;
  if (sold > 0) {
    kept.shadow = orderSeen(kept.shadow, { orderId, quantity: sold, from: placedAt, until: placedAt }, now);
    kept.demand = demandSeen(kept.demand, sold);
  }
  if (returned > 0) {
    const change = { orderId, quantity: returned, from: updatedAt, until: updatedAt };
    // Whether the channel itself has put them back, only a reading tells.
    const restockedByChannel = kept.shadow.bounds.restocksOnCancel;
    kept.shadow = orderCancelled(kept.shadow, { ...change, restockedByChannel, certain: false }, now);
  }
}

/** After a crash nobody waits for the answers of what was sent before it. */
export function restart(kept: KeptUnit, now: number): void {
  kept.reading = false;
  kept.readDue = null;
  kept.fencing = false;
  kept.wakeAt = null;
  for (const { key, state } of kept.shadow.candidates) {
    if (state === 'SENT') kept.shadow = writeAnswered(kept.shadow, key, { kind: 'unknown' }, now);
  }
}
