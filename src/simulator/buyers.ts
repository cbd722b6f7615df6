/** What happens to the marketplaces from outside: buyers, cancellations, deliveries to the shelf, and edits behind our back. */
import { hour } from './parameters.ts';
import { createRandom, type Random, streams } from './random.ts';
import { changeShown, shownAt, type Unit } from './unit.ts';
import { isViolated, markViolated } from './violation.ts';
import { isWithin, type TimeWindow, windowsOf } from './windows.ts';
import {
  channelOf,
  clockOf,
  type Listener,
  nameOf,
  type OrderLine,
  type Snapshot,
  type World,
} from './world.ts';

export type Outside = { readonly world: World; readonly seed: number; readonly listener: Listener };

/** Poisson arrivals; each buyer comes to one channel and leaves if it does not show enough. */
export function startBuyers(outside: Outside): void {
  const { world, seed } = outside;
  const { buyersPerHour, channels, duration, skippedBuyers, faults } = world.parameters;
  const random = createRandom(seed, streams.buyers);
  const shares = channels.map(({ share }) => share);
  const bursts = burstsOf(outside);
  let number = 0;
  const next = () => {
    const now = world.queue.now();
    const factor = isWithin(bursts, now) ? faults.burstFactor : 1;
    const at = now + random.exponential(hour / (buyersPerHour * factor));
    const channel = random.weighted(shares);
    const wishes = basket(world, random);
    if (at >= duration) return;
    world.queue.at(at, () => {
      number += 1;
      if (!skippedBuyers.includes(number)) arrive(outside, channel, wishes, number);
      next();
    });
  };
  next();
}

function burstsOf({ world, seed }: Outside): readonly TimeWindow[] {
  const { faults, duration } = world.parameters;
  return windowsOf(createRandom(seed, streams.bursts), faults.burstsPerHour, faults.burstTime, duration);
}

function basket(world: World, random: Random): readonly OrderLine[] {
  const { items, faults } = world.parameters;
  const quantity = random.chance(faults.twoUnits) ? 2 : 1;
  const item = random.integer([0, items - 1]);
  const lines = [{ item, ordered: quantity, kept: quantity }];
  if (random.chance(faults.twoItems)) lines.push({ item: (item + 1) % items, ordered: 1, kept: 1 });
  return lines;
}

function arrive(outside: Outside, channel: number, lines: readonly OrderLine[], number: number): void {
  const { world } = outside;
  world.totals.buyers += 1;
  // A1: the channel refuses to sell beyond its number.
  if (!lines.every(({ item, ordered }) => sells(world, world.unit(item, channel), ordered))) {
    const inStock = lines.every(({ item, ordered }) => (world.left[item] ?? 0) >= ordered);
    if (inStock) {
      world.totals.turnedAway += 1;
      world.note(
        () => `${channelOf(world.parameters, channel).name}: a buyer finds nothing although a unit exists`,
      );
    }
    return;
  }
  for (const { item, ordered } of lines) {
    const unit = world.unit(item, channel);
    const left = world.left[item] ?? 0;
    unit.ordered += ordered;
    world.left[item] = left - ordered;
    world.touchedAt[item] = world.queue.now();
    world.totals.sold += ordered;
    const missing = Math.max(0, ordered - Math.max(0, left));
    world.oversold[item] = (world.oversold[item] ?? 0) + missing;
    world.totals.oversold += missing;
    if (unit.shown < ordered) markViolated(world, unit);
    changeShown(world, unit, Math.max(0, unit.shown - ordered));
    world.note(
      () =>
        `${nameOf(world, unit)} sells ${ordered} (order ${number}), shows ${unit.shown}${left < ordered ? ': OVERSOLD' : ''}`,
    );
  }
  place(outside, channel, lines, number);
}

function sells(world: World, unit: Unit, ordered: number): boolean {
  return unit.shown >= ordered || (unit.violatedAt === null && isViolated(world, 'A1', unit.channel));
}

function place(outside: Outside, channel: number, lines: readonly OrderLine[], number: number): void {
  const { world, seed } = outside;
  const { faults, duration } = world.parameters;
  const parameters = channelOf(world.parameters, channel);
  const random = createRandom(seed, streams.orders + number);
  const now = world.queue.now();
  const first: Snapshot = {
    orderId: `${channel}-${number}`,
    channel,
    version: 1,
    placedAt: clockOf(parameters, now),
    updatedAt: clockOf(parameters, now),
    visibleAt: now,
    lines,
    putBack: false,
  };
  publish(outside, first, random);
  const cancelled = random.chance(faults.cancel);
  const reduced = lines.some(({ ordered }) => ordered > 1) && random.chance(faults.edit);
  const at = now + random.span(faults.cancelAfter);
  if ((!cancelled && !reduced) || at >= duration) return;
  world.queue.at(at, () => {
    const kept = lines.map((line) => ({ ...line, kept: cancelled ? 0 : Math.min(line.kept, 1) }));
    const { restocksOnCancel, restockChance } = parameters;
    const putBack = restocksOnCancel && random.chance(restockChance);
    for (const { item, ordered, kept: rest } of kept)
      takeBack(world, world.unit(item, channel), ordered - rest, putBack);
    const updatedAt = clockOf(parameters, world.queue.now());
    publish(outside, { ...first, version: 2, updatedAt, lines: kept, putBack }, random);
  });
}

function takeBack(world: World, unit: Unit, quantity: number, putBack: boolean): void {
  if (quantity === 0) return;
  world.left[unit.item] = (world.left[unit.item] ?? 0) + quantity;
  world.touchedAt[unit.item] = world.queue.now();
  if (putBack) {
    unit.putBack += quantity;
    changeShown(world, unit, unit.shown + quantity);
  }
  world.note(
    () =>
      `${nameOf(world, unit)}: ${quantity} cancelled, ${putBack ? `put back, shows ${unit.shown}` : 'not put back'}`,
  );
}

/** The order becomes visible, and its event comes late, twice, or never. */
function publish({ world, listener }: Outside, order: Snapshot, random: Random): void {
  const { queue, parameters } = world;
  const channel = channelOf(parameters, order.channel);
  const visibleAt = Math.round(queue.now() + random.span(channel.visible) + stuckFor(world, order));
  const snapshot = { ...order, visibleAt };
  world.orders[order.channel]?.push(snapshot);
  queue.at(visibleAt, () => listener.orderVisible(snapshot));
  const arrival = visibleAt + random.span(channel.event);
  if (!random.chance(channel.eventLoss)) queue.at(arrival, () => listener.orderEvent(snapshot));
  if (random.chance(parameters.duplicates))
    queue.at(arrival + random.span(parameters.duplicateAfter), () => listener.orderEvent(snapshot));
}

/** A3: nothing of the channel is to be seen before it comes unstuck. */
function stuckFor(world: World, { channel, lines }: Snapshot): number {
  const { violation, queue } = world;
  if (violation === null || !isViolated(world, 'A3', channel)) return 0;
  for (const { item } of lines) markViolated(world, world.unit(item, channel));
  return violation.until - queue.now();
}

/** More stock on the shelf, once per item, and at most one edit behind our back. */
export function startSupply({ world, seed, listener }: Outside): void {
  startSecondApplication(world);
  const { queue, parameters } = world;
  const random = createRandom(seed, streams.supply);
  world.left.forEach((_, item) => {
    const at = random.span(parameters.restockAt);
    if (parameters.restock === 0 || at >= parameters.duration) return;
    queue.at(at, () => {
      world.left[item] = (world.left[item] ?? 0) + parameters.restock;
      world.touchedAt[item] = queue.now();
      world.note(() => `${parameters.restock} units are put on the shelf`);
      listener.restocked(item, parameters.restock);
    });
  });
  if (!parameters.faults.outsideEdit) return;
  const item = random.integer([0, parameters.items - 1]);
  const unit = world.unit(item, random.integer([0, parameters.channels.length - 1]));
  const size = random.integer([1, 5]);
  const raises = random.chance(0.5);
  queue.at(parameters.duration * random.span([0.05, 0.9]), () => {
    const delta = raises ? size : -Math.min(size, unit.shown);
    if (delta === 0) return;
    changeShown(world, unit, unit.shown + delta);
    world.touchedAt[item] = queue.now();
    markViolated(world, unit);
    world.note(() => `${nameOf(world, unit)} is changed from outside by ${delta}, shows ${unit.shown}`);
    listener.outsideEdit(unit, delta);
  });
}

const resetPause = hour / 12;

/** A4: a second application that knows nothing of us writes back what it once read. */
function startSecondApplication(world: World): void {
  const { violation, queue } = world;
  if (violation?.kind !== 'A4') return;
  const unit = world.unit(violation.item, violation.channel);
  const reset = () => {
    const before = shownAt(unit, queue.now() - resetPause);
    if (before > unit.shown) {
      markViolated(world, unit);
      world.note(
        () => `${nameOf(world, unit)} is set back to ${before} (was ${unit.shown}) by somebody else`,
      );
      changeShown(world, unit, before);
    }
    if (queue.now() + resetPause < violation.until) queue.at(queue.now() + resetPause, reset);
  };
  queue.at(violation.from, reset);
}
