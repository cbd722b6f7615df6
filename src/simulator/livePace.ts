/**
 * The simulated hour in real time: every duration of it is divided by one factor, and what a real machine cannot make shorter is added to the bounds.
 *
 * The compressed world is fair but harder than the hour it stands for. Fair, because each bound that a connection is told of is the compressed duration plus
 * what does not shrink: marketplaces tell times to the second, a call that was given up may still be carried out, and a busy machine runs timers late. So A1 to
 * A4 hold. Harder, because the product's own work does not shrink: the 20 ms of a write are more than a second of a world that runs 60 times as fast, and a
 * second of rounding is a minute. A shared pool therefore oversells more, and under escrow more buyers are turned away, than in the pure simulator.
 */

import type { Platform } from '../connectors/connector.ts';
import type { ShopSettings } from '../sandbox/goods.ts';
import type { ChannelBounds } from '../sync/connections.ts';
import { type ChannelParameters, minute, type Parameters, second } from './parameters.ts';
import type { Span } from './random.ts';

export type LivePace = {
  /** Simulated milliseconds in a real one. */
  readonly compress: number;
  real(simulatedMs: number): number;
  bounds(channel: ChannelParameters): ChannelBounds;
  shop(channel: ChannelParameters): Partial<ShopSettings>;
  /** Everything that is set by the environment, but where the database is. */
  readonly environment: Readonly<Record<string, string>>;
  /** The longest that every channel may take to come to rest, in real milliseconds. */
  readonly restMaxMs: number;
  /** How long nothing may be written once it has, in real milliseconds. */
  readonly stillMs: number;
};

/** Marketplaces tell times to the second. */
const roundingMs = 1_000;
/** What a busy machine may add to a timer. */
const lateMs = 1_500;
/** Reads and index lags are decided by comparing times, not by timers: only their rounding is added. */
const tickMs = 5;
/** The shortest time in which a call on a busy machine is sure to be answered. */
const callMinMs = 2_000;
/** The shortest time in which a busy machine gets from a decision to the call. */
const sendWithinMinMs = 500;
/** The product waits this long between two attempts at what got no answer, whatever the factor. */
const patienceMs = 20_000;

export function livePace(world: Parameters, compress: number): LivePace {
  const real = (simulatedMs: number) => simulatedMs / compress;
  const span = ([min, max]: Span) => ({ min: real(min), max: real(max) });
  const callMs = Math.max(callMinMs, real(30 * second));
  const bounds = ({ effect, visible }: ChannelParameters): ChannelBounds => ({
    staleMaxMs: Math.ceil(real(world.staleness[1])) + tickMs,
    settleMaxMs: Math.ceil(real(effect[1])) + lateMs,
    indexLagMs: Math.ceil(real(visible[1])) + tickMs,
    clockSkewMaxMs: roundingMs,
  });
  const slowest = (name: keyof ChannelBounds) =>
    Math.max(...world.channels.map((channel) => bounds(channel)[name]));
  const sendWithinMs = Math.max(sendWithinMinMs, Math.round(real(5 * second)));
  const stillMs =
    slowest('indexLagMs') +
    2 * slowest('staleMaxMs') +
    sendWithinMs +
    callMs +
    slowest('settleMaxMs') +
    slowest('clockSkewMaxMs');
  const atLeast = (least: number, simulatedMs: number) =>
    String(Math.max(least, Math.round(real(simulatedMs))));
  return {
    compress,
    real,
    bounds,
    shop: ({ name, effect, visible, restocksOnCancel }) => ({
      writeEffectMs: span(effect),
      readStaleMs: span(world.staleness),
      orderIndexLagMs: span(visible),
      // Shopify says of every cancelled unit whether it went back to the shelf; one that did not is gone, and that is another story.
      cancelRestocks: name === 'shopify' || restocksOnCancel,
    }),
    environment: {
      POLL_INTERVAL_MS: atLeast(100, world.pollEvery),
      POLL_OVERLAP_MS: String(slowest('indexLagMs') + 2 * roundingMs + lateMs),
      LOOK_INTERVAL_MS: atLeast(100, second),
      VERIFY_INTERVAL_MS: atLeast(100, 15 * second),
      RECONCILE_INTERVAL_MS: atLeast(200, world.readEvery),
      BACKOFF_MAX_MS: atLeast(200, 5 * minute),
      FENCE_MAX_MS: atLeast(1_000, 15 * second),
      CHANNEL_DEADLINE_MS: String(callMs),
      SEND_WITHIN_MS: String(sendWithinMs),
    },
    restMaxMs: real(world.quiet) + 3 * stillMs + patienceMs,
    stillMs,
  };
}

/** The channel of the simulated world that this marketplace plays. */
export function channelOf({ channels }: Parameters, platform: Platform): ChannelParameters {
  const found = channels.find(({ name }) => name === platform);
  if (found === undefined) throw new Error(`the simulated world has no ${platform}`);
  return found;
}
