/** Policies to compare with: copying numbers between channels, pushing all on every order, and an oracle that always offers all there is. */
import type { Policy, Stage } from './policy.ts';
import { startPolls } from './policy.ts';
import { changeShown, type Unit } from './unit.ts';
import { type Snapshot } from './world.ts';

function showEverywhere({ world }: Stage, value: number): void {
  for (const units of world.units) for (const unit of units) changeShown(world, unit, value);
}

/** Takes a number that changed on one channel for the truth and writes it to the others: no record of its own. */
export function copyPolicy(stage: Stage): Policy {
  const { world } = stage;
  const last = new Map<Unit, number>();
  let key = 0;
  const look = (unit: Unit) =>
    world.read(unit, (value) => {
      if (value === null || value === last.get(unit)) return;
      last.set(unit, value);
      for (const other of world.units[unit.item] ?? []) {
        if (other === unit) continue;
        last.set(other, value);
        key += 1;
        world.write(other, { key: String(key), value, expected: null }, () => undefined);
      }
    });
  return {
    start() {
      showEverywhere(stage, world.parameters.stock);
      for (const units of world.units) for (const unit of units) last.set(unit, unit.shown);
      startPolls(stage, (channel) => {
        for (const units of world.units) units.filter((unit) => unit.channel === channel).forEach(look);
      });
    },
    orderEvent(order) {
      for (const { item } of order.lines) look(world.unit(item, order.channel));
    },
    restocked(item, quantity) {
      // The seller books a delivery on the first channel.
      const unit = world.unit(item, 0);
      changeShown(world, unit, unit.shown + quantity);
    },
  };
}

/** A ledger, and on every change the number less `buffer` pushed to all channels. */
export function hubPolicy(stage: Stage, buffer: number): Policy {
  const { world, ledger } = stage;
  const watermarks = world.parameters.channels.map(() => 0);
  let key = 0;
  const push = (unit: Unit, attempt: number) => {
    key += 1;
    const value = Math.max(0, ledger.available(unit.item) - buffer);
    world.write(unit, { key: String(key), value, expected: null }, (answer) => {
      if (answer.kind === 'unknown' && attempt < 3) push(unit, attempt + 1);
      if (answer.kind === 'deferred')
        world.queue.at(world.queue.now() + answer.retryAfter, () => push(unit, attempt + 1));
    });
  };
  const pushAll = (item: number) => world.units[item]?.forEach((unit) => push(unit, 1));
  const apply = (order: Snapshot) => {
    for (const { item } of ledger.applyOrder(order)) pushAll(item);
  };
  return {
    start() {
      showEverywhere(stage, Math.max(0, world.parameters.stock - buffer));
      startPolls(stage, (channel) => {
        const startedAt = world.queue.now();
        const overlap = 2 * 60_000;
        world.fetchOrders(channel, (watermarks[channel] ?? 0) - overlap, (orders) => {
          if (orders === null) return;
          watermarks[channel] = startedAt;
          orders.forEach(apply);
        });
      });
    },
    orderEvent: apply,
    restocked(item, quantity) {
      ledger.adjust(item, quantity, 'delivery');
      pushAll(item);
    },
  };
}

/**
 * The floor: the least that is oversold where every channel is always offered all that is available. Its requests and their effects take as long as
 * everybody's; but it knows each order the moment the marketplace shows it, loses no answer, and a write of it that lands takes off every sale that the
 * channel has made by then, known or not, and never overwrites newer knowledge. Only a policy that at times offers less can oversell less: one that
 * does not raise where others will have sold the units before the raise lands.
 */
export function floorPolicy(stage: Stage): Policy {
  const { world, ledger } = stage;
  let key = 0;
  // Per unit: what it may sell in all, and the newest knowledge that has landed.
  const landed = new Map<Unit, number>();
  const allowance = (unit: Unit) => {
    const others = (world.units[unit.item] ?? []).filter((other) => other !== unit);
    const soldElsewhere = others.reduce((sum, other) => {
      const { ordered } = ledger.known(other.item, other.channel);
      return sum + ordered;
    }, 0);
    return (ledger.items[unit.item]?.quantity ?? 0) - soldElsewhere;
  };
  const push = (unit: Unit) => {
    const value = allowance(unit);
    const seq = ledger.seq(unit.item);
    key += 1;
    const send = () =>
      world.write(
        unit,
        {
          key: String(key),
          value,
          expected: null,
          apply: (shown) => {
            if ((landed.get(unit) ?? 0) > seq) return shown;
            landed.set(unit, seq);
            return Math.max(0, value - unit.ordered);
          },
        },
        () => undefined,
      );
    send();
  };
  return {
    start: () => showEverywhere(stage, world.parameters.stock),
    orderEvent: () => undefined,
    orderVisible(order) {
      for (const { item } of ledger.applyOrder(order)) {
        for (const unit of world.units[item] ?? []) if (unit.channel !== order.channel) push(unit);
      }
    },
    restocked(item, quantity) {
      ledger.adjust(item, quantity, 'delivery');
      world.units[item]?.forEach(push);
    },
  };
}
