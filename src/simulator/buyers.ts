/** What happens to the marketplaces from outside: buyers, cancellations, deliveries to the shelf, and edits behind our back. */
import { createRandom, type Random } from './random.ts';
import {
  changeShown,
  channelOf,
  type Listener,
  nameOf,
  type OrderLine,
  type Snapshot,
  streams,
  type World,
} from './world.ts';

export type Outside = { readonly world: World; readonly seed: number; readonly listener: Listener };

/** Poisson arrivals; each buyer comes to one channel and leaves if it does not show enough. */
export function startBuyers(outside: Outside): void {
  const { world, seed } = outside;
  const { buyersPerHour, channels, duration, skippedBuyers } = world.parameters;
  const random = createRandom(seed, streams.buyers);
  const shares = channels.map(({ share }) => share);
  const pause = 3_600_000 / buyersPerHour;
  let number = 0;
  const next = () => {
    const at = world.queue.now() + random.exponential(pause);
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
  if (!lines.every(({ item, ordered }) => world.unit(item, channel).shown >= ordered)) {
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
    world.totals.sold += ordered;
    world.totals.oversold += Math.max(0, ordered - Math.max(0, left));
    changeShown(world, unit, unit.shown - ordered);
    world.note(
      () =>
        `${nameOf(world, unit)} sells ${ordered} (order ${number}), shows ${unit.shown}${left < ordered ? ': OVERSOLD' : ''}`,
    );
  }
  place(outside, channel, lines, number);
}

function place(outside: Outside, channel: number, lines: readonly OrderLine[], number: number): void {
  const { world, seed } = outside;
  const { faults, duration } = world.parameters;
  const { clockSkew, restocksOnCancel } = channelOf(world.parameters, channel);
  const random = createRandom(seed, streams.orders + number);
  const now = world.queue.now();
  const first: Snapshot = {
    orderId: `${channel}-${number}`,
    channel,
    version: 1,
    placedAt: now + clockSkew,
    updatedAt: now + clockSkew,
    visibleAt: now,
    lines,
    restocked: false,
  };
  publish(outside, first, random);
  const cancelled = random.chance(faults.cancel);
  const reduced = lines.some(({ ordered }) => ordered > 1) && random.chance(faults.edit);
  const at = now + random.span(faults.cancelAfter);
  if ((!cancelled && !reduced) || at >= duration) return;
  world.queue.at(at, () => {
    const kept = lines.map((line) => ({ ...line, kept: cancelled ? 0 : Math.min(line.kept, 1) }));
    for (const { item, ordered, kept: rest } of kept) takeBack(outside, channel, item, ordered - rest);
    const second = {
      ...first,
      version: 2,
      updatedAt: at + clockSkew,
      lines: kept,
      restocked: restocksOnCancel,
    };
    publish(outside, { ...second, updatedAt: world.queue.now() + clockSkew }, random);
  });
}

function takeBack({ world }: Outside, channel: number, item: number, quantity: number): void {
  if (quantity === 0) return;
  const unit = world.unit(item, channel);
  world.left[item] = (world.left[item] ?? 0) + quantity;
  const { restocksOnCancel } = channelOf(world.parameters, channel);
  if (restocksOnCancel) {
    unit.putBack += quantity;
    changeShown(world, unit, unit.shown + quantity);
  }
  world.note(
    () =>
      `${nameOf(world, unit)}: ${quantity} cancelled, ${restocksOnCancel ? `put back, shows ${unit.shown}` : 'not put back'}`,
  );
}

/** The order becomes visible, and its event comes late, twice, or never. */
function publish({ world, listener }: Outside, order: Snapshot, random: Random): void {
  const { queue, parameters } = world;
  const channel = channelOf(parameters, order.channel);
  const visibleAt = Math.round(queue.now() + random.span(channel.visible));
  const snapshot = { ...order, visibleAt };
  world.orders[order.channel]?.push(snapshot);
  queue.at(visibleAt, () => listener.orderVisible(snapshot));
  const arrival = visibleAt + random.span(channel.event);
  if (!random.chance(channel.eventLoss)) queue.at(arrival, () => listener.orderEvent(snapshot));
  if (random.chance(parameters.duplicates))
    queue.at(arrival + random.span(parameters.duplicateAfter), () => listener.orderEvent(snapshot));
}

/** More stock on the shelf, once per item, and at most one edit behind our back. */
export function startSupply({ world, seed, listener }: Outside): void {
  const { queue, parameters } = world;
  const random = createRandom(seed, streams.supply);
  world.left.forEach((_, item) => {
    const at = random.span(parameters.restockAt);
    if (parameters.restock === 0 || at >= parameters.duration) return;
    queue.at(at, () => {
      world.left[item] = (world.left[item] ?? 0) + parameters.restock;
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
    unit.editedAt = queue.now();
    world.note(() => `${nameOf(world, unit)} is changed from outside by ${delta}, shows ${unit.shown}`);
    listener.outsideEdit(unit, delta);
  });
}
