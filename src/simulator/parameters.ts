/** Every number of the simulated world in one place. Times are in milliseconds, chances from 0 to 1. */
import type { Span } from './random.ts';

export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;

export type ChannelParameters = {
  readonly name: string;
  /** Share of all buyers. */
  readonly share: number;
  readonly compareAndSet: boolean;
  /** True when a raise is not written over another number than what may be read just before it. */
  readonly looksFirst: boolean;
  /** From a request until the channel carries it out, and again until its answer arrives. */
  readonly request: Span;
  /** From carrying out a write until it takes effect. */
  readonly effect: Span;
  /** 1: evenly; above 1: mostly soon, seldom late. */
  readonly effectSkew: number;
  /** Times in which its feed is stuck and no write takes effect: how many per hour, and how long each. */
  readonly stuckPerHour: number;
  readonly stuckTime: Span;
  /** How long raises stand in a queue before they are carried out; [0, 0] where they leave by themselves. */
  readonly queueTime: Span;
  /** True when writes take effect in the order in which they were carried out. */
  readonly ordered: boolean;
  /** True when a good answer proves the effect; false when it only says that the write was taken in. */
  readonly answerProves: boolean;
  /** From a sale until the channel's own interface shows the order. */
  readonly visible: Span;
  /** From then until the event arrives. */
  readonly event: Span;
  readonly eventLoss: number;
  /** Distance of the channel's clock from ours. */
  readonly clockSkew: number;
  /** When the channel's local time jumps as daylight saving time does, and by how much; null when it does not. */
  readonly clockJump: { readonly at: number; readonly by: number } | null;
  /** True when the channel may put the units of a cancelled order back on sale by itself; no order says whether it did. */
  readonly restocksOnCancel: boolean;
  /** Chance that it does. */
  readonly restockChance: number;
  /** Least time between two order polls while one that was lost could cost an oversell. */
  readonly pollWatchful: number;
};

/** An assumption of escrow that the world breaks, once per run, on one unit. */
export const violations = ['A1', 'A2', 'A3', 'A4'] as const;
export type ViolationFault = (typeof violations)[number];

export type Faults = {
  /** Chance that an order is cancelled later, and how much later. */
  readonly cancel: number;
  readonly cancelAfter: Span;
  /** Chance that an order for several units is reduced by one later. */
  readonly edit: number;
  /** Chance that a buyer wants two units, and that the order has a line of another item. */
  readonly twoUnits: number;
  readonly twoItems: number;
  readonly requestLoss: number;
  /** Chance that a request is refused for now (429, 5xx), and for how long. */
  readonly refusal: number;
  readonly refusalTime: Span;
  /** Calls that each channel takes at once, and how many more per minute (0: any number). */
  readonly callsMax: number;
  readonly callsPerMinute: number;
  /** Storms of one channel in which nearly everything is refused there: how many per hour, and how long each. */
  readonly stormsPerHour: number;
  readonly stormTime: Span;
  readonly unreadable: number;
  /** How long an access token lasts (0: for ever); what is asked with an expired one is refused until it is renewed, which takes this long. */
  readonly tokenTime: number;
  readonly renewal: Span;
  /** Times of demand many times as large: how many per hour, how long each, and how many times as large. */
  readonly burstsPerHour: number;
  readonly burstTime: Span;
  readonly burstFactor: number;
  /** Crashes of the hub per hour, and how long it is away. */
  readonly crashesPerHour: number;
  readonly crashTime: Span;
  /** How often per hour all wake-ups are forgotten (a wiped Redis). */
  readonly wipesPerHour: number;
  /** How often per hour a second worker decides from the state as it is, and acts so much later. */
  readonly doublesPerHour: number;
  readonly doubleDelay: Span;
  /** Number changed on one channel behind our back, once per run. */
  readonly outsideEdit: boolean;
  /**
   * A1: a channel sells what it does not show. A2: a write lands hours late. A3: no order is visible for hours. A4: a second application sets numbers
   * back to what they were.
   */
  readonly violation: ViolationFault | null;
};

export type Parameters = {
  readonly duration: number;
  /** Quiet time at the end, in which everything must come to rest. */
  readonly quiet: number;
  readonly buyersPerHour: number;
  /** Buyers, by number from 1, who stay at home: for making a failing run small. */
  readonly skippedBuyers: readonly number[];
  readonly items: number;
  readonly stock: number;
  readonly restock: number;
  readonly restockAt: Span;
  readonly channels: readonly ChannelParameters[];
  /** How old what a read shows may be. */
  readonly staleness: Span;
  readonly answerLoss: number;
  readonly duplicates: number;
  readonly duplicateAfter: Span;
  readonly requestTimeout: number;
  readonly pollEvery: number;
  readonly readEvery: number;
  readonly faults: Faults;
};

export const noFaults: Faults = {
  cancel: 0,
  cancelAfter: [0, 0],
  edit: 0,
  twoUnits: 0,
  twoItems: 0,
  requestLoss: 0,
  refusal: 0,
  refusalTime: [0, 0],
  callsMax: 0,
  callsPerMinute: 0,
  stormsPerHour: 0,
  stormTime: [0, 0],
  unreadable: 0,
  tokenTime: 0,
  renewal: [0, 0],
  burstsPerHour: 0,
  burstTime: [0, 0],
  burstFactor: 1,
  crashesPerHour: 0,
  crashTime: [0, 0],
  wipesPerHour: 0,
  doublesPerHour: 0,
  doubleDelay: [0, 0],
  outsideEdit: false,
  violation: null,
};

const fast: ChannelParameters = {
  name: '',
  share: 0.305,
  compareAndSet: false,
  looksFirst: false,
  request: [100, 600],
  effect: [0, 0],
  effectSkew: 1,
  stuckPerHour: 0,
  stuckTime: [0, 0],
  queueTime: [0, 0],
  ordered: true,
  answerProves: true,
  visible: [0, second],
  event: [500, 3 * second],
  eventLoss: 0.05,
  clockSkew: 0,
  clockJump: null,
  restocksOnCancel: false,
  restockChance: 1,
  pollWatchful: 10 * second,
};

/** Section 7 of the model: one item, 12 units and 6 more, four channels of which one is slow, one hour. */
export const pageWorld: Parameters = {
  duration: hour,
  quiet: 20 * minute,
  buyersPerHour: 30,
  skippedBuyers: [],
  items: 1,
  stock: 12,
  restock: 6,
  restockAt: [20 * minute, 40 * minute],
  channels: [
    { ...fast, name: 'shopify', compareAndSet: true, eventLoss: 0.03 },
    { ...fast, name: 'etsy', looksFirst: true, eventLoss: 0.1 },
    { ...fast, name: 'ebay', eventLoss: 0.05 },
    {
      ...fast,
      name: 'amazon',
      share: 0.085,
      effect: [60 * second, 420 * second],
      effectSkew: 3,
      ordered: false,
      answerProves: false,
      visible: [0, 5 * second],
      eventLoss: 0.05,
      pollWatchful: 90 * second,
    },
  ],
  staleness: [0, 60 * second],
  answerLoss: 0.05,
  duplicates: 0.05,
  duplicateAfter: [0, 60 * second],
  requestTimeout: 10 * second,
  pollEvery: minute,
  readEvery: 2 * minute,
  faults: noFaults,
};

export const demands = { steady: 30, rush: 240 } as const;
export type Demand = keyof typeof demands;

/** Every fault that keeps the assumptions A1 to A4. */
export function withStorms(world: Parameters): Parameters {
  const faults: Faults = {
    cancel: 0.15,
    cancelAfter: [5 * second, 15 * minute],
    edit: 0.5,
    twoUnits: 0.2,
    twoItems: world.items > 1 ? 0.2 : 0,
    requestLoss: 0.03,
    refusal: 0.03,
    refusalTime: [second, 60 * second],
    callsMax: 20,
    callsPerMinute: 20,
    stormsPerHour: 1,
    stormTime: [minute, 6 * minute],
    unreadable: 0.03,
    tokenTime: 17 * minute,
    renewal: [second, 20 * second],
    burstsPerHour: 1,
    burstTime: [minute, 5 * minute],
    burstFactor: 4,
    crashesPerHour: 2,
    crashTime: [second, 2 * minute],
    wipesPerHour: 2,
    doublesPerHour: 6,
    doubleDelay: [second, minute],
    outsideEdit: false,
    violation: null,
  };
  const skews = [0, 900, -900, 400];
  const channels = world.channels.map((channel, index) => ({
    ...channel,
    clockSkew: skews[index % skews.length] ?? 0,
    restocksOnCancel: index % 2 === 1,
    restockChance: index === 3 ? 0.5 : 1,
    eventLoss: channel.eventLoss * 2,
    event: [second, 90 * second] as const,
  }));
  return { ...world, channels, answerLoss: 0.1, duplicates: 0.15, faults };
}

/** The slow channel's feed is stuck for up to two hours in a run of four, within the bound that the hub was told of. */
export function withStuckFeed(world: Parameters): Parameters {
  const channels = world.channels.map((channel) =>
    channel.effect[1] > 0 ? { ...channel, stuckPerHour: 0.5, stuckTime: [hour, 2 * hour] as const } : channel,
  );
  // A raise may wait for one landing, take another, and be written a third time.
  return { ...world, channels, duration: 4 * hour, quiet: world.quiet + 3 * 2 * hour };
}

export function withOutsideEdit(world: Parameters): Parameters {
  return { ...world, faults: { ...world.faults, outsideEdit: true } };
}

/** One assumption of escrow is broken, on one unit, some time in the run. */
export function withViolation(world: Parameters, violation: ViolationFault): Parameters {
  return { ...world, faults: { ...world.faults, violation } };
}

/** What the hub was told of a channel: bounds that hold, measured beforehand. */
export function boundsOf(channel: ChannelParameters, world: Parameters) {
  return {
    staleMax: world.staleness[1],
    // Until its request is carried out, and then until it takes effect.
    settleMax: channel.request[1] + channel.effect[1] + channel.stuckTime[1] + 1,
    clockSkewMax: skewMax(world),
    readMax: 2 * channel.request[1] + world.requestTimeout,
    restocksOnCancel: channel.restocksOnCancel,
  };
}

/** The furthest that any channel's clock is from ours, in milliseconds. */
export function skewMax({ channels }: Pick<Parameters, 'channels'>): number {
  return channels.reduce(
    (most, { clockSkew, clockJump }) =>
      Math.max(most, Math.abs(clockSkew), Math.abs(clockSkew + (clockJump?.by ?? 0))),
    0,
  );
}

/** Time after which every order is visible. */
export function indexLagOf(channel: ChannelParameters): number {
  return channel.visible[1];
}
