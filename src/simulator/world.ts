/** Marketplaces as non-cooperating counters: each sells while its own number is above zero, tells late, and lets writes take effect later. */
import type { Believed } from '../sync/core/shown.ts';
import type { EventQueue } from './eventQueue.ts';
import type { ChannelParameters, Parameters } from './parameters.ts';
import { createRandom, type Random, type Span, streams } from './random.ts';
import { createRefusals } from './refusals.ts';
import { findNone, type QueueEnd, stand } from './standing.ts';
import { changeShown, newUnit, shownAt, type Unit } from './unit.ts';
import { isViolated, markViolated, type Violation, violationOf } from './violation.ts';
import { type TimeWindow, windowsOf } from './windows.ts';

export type OrderLine = { readonly item: number; readonly ordered: number; readonly kept: number };

/** An order as the channel describes it from `visibleAt` on; times of the order itself are on the channel's clock. */
export type Snapshot = {
  readonly orderId: string;
  readonly channel: number;
  readonly version: number;
  readonly placedAt: number;
  readonly updatedAt: number;
  readonly visibleAt: number;
  readonly lines: readonly OrderLine[];
  /** Whether the channel put what was cancelled back by itself: for the checks only, no channel says so. */
  readonly putBack: boolean;
};

export type WriteRequest = {
  readonly key: string;
  readonly value: number;
  readonly expected: number | null;
  readonly believed?: Believed | null;
  /** What a policy that cannot exist knows (the floor): applied to the counter as it is when the write lands. */
  readonly apply?: (shown: number) => number;
  /** It stands in a queue of the channel; called once the hub knows what became of that. */
  readonly queued?: (end: QueueEnd) => void;
};

export type Answer =
  | { readonly kind: 'effective' }
  | { readonly kind: 'accepted' }
  | { readonly kind: 'stale'; readonly actual: number; readonly read?: true }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'deferred'; readonly retryAfter: number };

export type World = {
  readonly parameters: Parameters;
  readonly queue: EventQueue;
  readonly units: readonly (readonly Unit[])[];
  /** Units there are minus units sold, per item; below 0 once oversold. */
  readonly left: number[];
  /** Units sold that were not there, per item. */
  readonly oversold: number[];
  /** Every version of every order, per channel. */
  readonly orders: readonly Snapshot[][];
  readonly totals: Totals;
  readonly lastLanding: number[];
  /** When each channel's feed is stuck. */
  readonly stuck: readonly (readonly TimeWindow[])[];
  /** When the world last did something to each item, and when a fault last kept the hub from its work. */
  readonly touchedAt: number[];
  disturbedAt: number;
  readonly violation: Violation | null;
  unit(item: number, channel: number): Unit;
  write(unit: Unit, request: WriteRequest, answered: (answer: Answer) => void): void;
  /** A number, or null when the channel does not say. */
  read(unit: Unit, answered: (value: number | null) => void): void;
  /** Orders changed since (channel clock); null when the channel does not say. */
  fetchOrders(channel: number, since: number, answered: (orders: readonly Snapshot[] | null) => void): void;
  note(text: () => string): void;
};

export type Totals = {
  buyers: number;
  sold: number;
  oversold: number;
  turnedAway: number;
  writes: number;
  reads: number;
  fetches: number;
};

export type Listener = {
  /** Something happened that only the all-knowing may use. */
  orderVisible(snapshot: Snapshot): void;
  orderEvent(snapshot: Snapshot): void;
  restocked(item: number, quantity: number): void;
  outsideEdit(unit: Unit, delta: number): void;
};

export function createWorld(
  parameters: Parameters,
  queue: EventQueue,
  seed: number,
  note: (text: () => string) => void,
): World {
  const random = createRandom(seed, streams.channel);
  const units = Array.from({ length: parameters.items }, (_, item) =>
    parameters.channels.map((_channel, channel) => newUnit(item, channel)),
  );
  const orders: Snapshot[][] = parameters.channels.map(() => []);
  const refusals = createRefusals(parameters, queue, {
    storms: createRandom(seed, streams.storms),
    tokens: createRandom(seed, streams.tokens),
  });
  const world: World = {
    parameters,
    queue,
    units,
    left: units.map(() => parameters.stock),
    oversold: units.map(() => 0),
    orders,
    lastLanding: [],
    stuck: stuckWindows(parameters, seed),
    touchedAt: units.map(() => 0),
    disturbedAt: 0,
    violation: violationOf(parameters, seed),
    totals: { buyers: 0, sold: 0, oversold: 0, turnedAway: 0, writes: 0, reads: 0, fetches: 0 },
    unit(item, channel) {
      const unit = units[item]?.[channel];
      if (unit === undefined) throw new Error(`no unit ${item}/${channel}`);
      return unit;
    },
    write: (unit, request, answered) => write(transport(unit), unit, request, answered),
    read: (unit, answered) => read(transport(unit), unit, answered),
    fetchOrders(channel, since, answered) {
      const { request } = channelOf(parameters, channel);
      world.totals.fetches += 1;
      const refused = refusedFor(channel) !== null;
      queue.at(queue.now() + random.span(request), () => {
        const at = queue.now();
        const found = refused
          ? null
          : (orders[channel] ?? []).filter(
              ({ updatedAt, visibleAt }) => updatedAt >= since && visibleAt <= at,
            );
        queue.at(at + random.span(request), () => answered(found));
      });
    },
    note,
  };
  const queues = createRandom(seed, streams.queues);
  const refusedFor = (channel: number) => {
    const pause = refusals(channel, random);
    if (pause !== null) world.disturbedAt = queue.now();
    return pause;
  };
  const transport = ({ channel }: Unit): Transport => ({
    world,
    channel: channelOf(parameters, channel),
    random,
    queues,
    refusedFor: refusedFor(channel),
  });
  return world;
}

function stuckWindows({ channels, duration }: Parameters, seed: number): World['stuck'] {
  const random = createRandom(seed, streams.stuck);
  return channels.map(({ stuckPerHour, stuckTime }) => windowsOf(random, stuckPerHour, stuckTime, duration));
}

export function channelOf(parameters: Parameters, channel: number): ChannelParameters {
  const found = parameters.channels[channel];
  if (found === undefined) throw new Error(`no channel ${channel}`);
  return found;
}

/** The channel's own clock: what its orders and updates are dated by. */
export function clockOf({ clockSkew, clockJump }: ChannelParameters, now: number): number {
  return now + clockSkew + (clockJump !== null && now >= clockJump.at ? clockJump.by : 0);
}

type Transport = {
  readonly world: World;
  readonly channel: ChannelParameters;
  readonly random: Random;
  readonly queues: Random;
  /** Milliseconds until the request may come back; null when it is not refused. */
  readonly refusedFor: number | null;
};

function write(
  transport: Transport,
  unit: Unit,
  request: WriteRequest,
  answered: (answer: Answer) => void,
): void {
  const { world, channel, random } = transport;
  const { queue, parameters, totals } = world;
  totals.writes += 1;
  const sentAt = queue.now();
  const { refusedFor: retryAfter } = transport;
  const lost = random.chance(parameters.faults.requestLoss);
  const answerLost = random.chance(parameters.answerLoss);
  const arrival = random.span(channel.request);
  const back = random.span(channel.request);
  const effect = skewed(channel.effect, random.next() ** channel.effectSkew) + lateness(world, unit);
  const timeout = () => queue.at(sentAt + parameters.requestTimeout, () => answered({ kind: 'unknown' }));
  if (retryAfter !== null) {
    queue.at(sentAt + arrival, () => answered({ kind: 'deferred', retryAfter }));
    return;
  }
  if (lost) {
    timeout();
    if (request.queued) findNone(queue, sentAt, request.queued);
    return;
  }
  queue.at(sentAt + arrival, () => {
    const answer = carriedOut(transport, unit, request, effect);
    if (answerLost) timeout();
    else queue.at(queue.now() + back, () => answered(answer));
  });
}

/** A2: one write gets stuck on its way and lands when nobody expects it any more. */
function lateness(world: World, unit: Unit): number {
  const { violation, queue } = world;
  if (violation === null || unit.violatedAt !== null || !isViolated(world, 'A2', unit.channel)) return 0;
  markViolated(world, unit);
  return violation.until - queue.now();
}

function skewed([min, max]: Span, part: number): number {
  return min + part * (max - min);
}

/** When a write that is carried out now takes effect: not while the feed is stuck, and where writes keep their order not before an earlier one. */
function landingTime({ channel, world }: Transport, effect: number): number {
  const index = world.parameters.channels.indexOf(channel);
  const due = world.queue.now() + effect;
  const stuck = world.stuck[index]?.find(({ from, until }) => due >= from && due < until);
  const free = Math.round(stuck?.until ?? due);
  if (!channel.ordered) return free;
  const lands = Math.max(free, world.lastLanding[index] ?? 0);
  world.lastLanding[index] = lands;
  return lands;
}

/** A repeated key is answered as it was the first time, where the channel compares; elsewhere it is the same absolute write again. */
function carriedOut(transport: Transport, unit: Unit, request: WriteRequest, effect: number): Answer {
  const { world, channel, queues } = transport;
  const { key, value, expected, believed, apply, queued } = request;
  if (channel.compareAndSet) {
    const known = unit.keys.get(key);
    if (known !== undefined) return known;
    const answer: Answer =
      expected !== null && expected !== unit.shown
        ? { kind: 'stale', actual: unit.shown }
        : { kind: 'effective' };
    unit.keys.set(key, answer);
    if (answer.kind === 'effective') land(world, unit, apply?.(unit.shown) ?? value);
    return answer;
  }
  const looked = channel.looksFirst && believed ? agedNumber(transport, unit) : value;
  if (believed && looked < value && (looked < believed.least || looked > believed.most))
    return { kind: 'stale', actual: looked, read: true };
  if (queued) {
    const lands = () => world.queue.at(landingTime(transport, effect), () => land(world, unit, value));
    const name = nameOf(world, unit);
    const note = (end: string) => world.note(() => `a queue ended: ${name} = ${value} ${end}`);
    stand(world.queue, queues, channel.queueTime, { lands, note, ended: queued });
    return { kind: 'accepted' };
  }
  if (effect === 0) land(world, unit, apply?.(unit.shown) ?? value);
  else world.queue.at(landingTime(transport, effect), () => land(world, unit, apply?.(unit.shown) ?? value));
  return { kind: channel.answerProves ? 'effective' : 'accepted' };
}

function land(world: World, unit: Unit, value: number): void {
  world.note(() => `${nameOf(world, unit)} shows ${value} (was ${unit.shown}): a write lands`);
  changeShown(world, unit, value);
}

export function nameOf({ parameters }: World, unit: Unit): string {
  const { name } = channelOf(parameters, unit.channel);
  return parameters.items > 1 ? `${name}#${unit.item}` : name;
}

/** What a look just before a write says: as old as any reading. */
function agedNumber({ world, random }: Transport, unit: Unit): number {
  return shownAt(unit, world.queue.now() - random.span(world.parameters.staleness));
}

function read(transport: Transport, unit: Unit, answered: (value: number | null) => void): void {
  const { world, channel, random } = transport;
  const { queue, parameters, totals } = world;
  totals.reads += 1;
  const requestedAt = queue.now();
  const refused = transport.refusedFor !== null || random.chance(parameters.faults.unreadable);
  const age = random.span(parameters.staleness);
  queue.at(requestedAt + random.span(channel.request), () => {
    // Never older than what it was when the request could at the earliest have been answered from a stale copy.
    const at = Math.max(queue.now() - age, requestedAt - parameters.staleness[1]);
    const value = refused ? null : shownAt(unit, at);
    queue.at(queue.now() + random.span(channel.request), () => answered(value));
  });
}
