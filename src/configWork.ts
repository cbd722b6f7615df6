/** Every limit and timeout of the background work, with its unit, range, default and meaning. */
import { z } from 'zod';
import { integer, optional } from './configKinds.ts';
import { reservationLimits } from './configReservations.ts';

const minute = 60_000;
const hour = 60 * minute;

export const workLimits = {
  workerConcurrency: integer(
    'WORKER_CONCURRENCY',
    'jobs',
    8,
    [1, 200],
    'Jobs that one worker process runs at once: so many that write to channels, and as many that look at them.',
  ),
  pollIntervalMs: optional(
    'POLL_INTERVAL_MS',
    'ms, 100 to 86400000',
    z
      .string()
      .regex(/^\d+$/, 'must be a whole number')
      .transform(Number)
      .pipe(
        z
          .number()
          .min(100, 'must be at least 100')
          .max(24 * hour, 'must be at most 86400000'),
      ),
    { description: 'Pause between two order polls of a connection.', inWords: "each marketplace's own" },
  ),
  pollOverlapMs: integer(
    'POLL_OVERLAP_MS',
    'ms',
    5 * minute,
    [0, 24 * hour],
    'How far each order poll looks back before the last one, for orders that the marketplace indexed late.',
  ),
  pollDeepIntervalMs: integer(
    'POLL_DEEP_INTERVAL_MS',
    'ms',
    hour,
    [minute, 24 * hour],
    'Pause between two order polls that look further back, for orders indexed later still whose webhook was lost.',
  ),
  pollDeepOverlapMs: integer(
    'POLL_DEEP_OVERLAP_MS',
    'ms',
    3 * hour,
    [0, 7 * 24 * hour],
    'How far those polls look back from now.',
  ),
  lookIntervalMs: integer(
    'LOOK_INTERVAL_MS',
    'ms',
    1_000,
    [50, minute],
    'Pause between two looks for work and events; what a lost wake-up can cost.',
  ),
  verifyIntervalMs: integer(
    'VERIFY_INTERVAL_MS',
    'ms',
    15_000,
    [100, hour],
    'Pause between two looks at a channel write that is not yet proved.',
  ),
  reconcileIntervalMs: integer(
    'RECONCILE_INTERVAL_MS',
    'ms',
    30 * minute,
    [100, 24 * hour],
    'Pause between two looks at a listing that is in step; what an outside edit can go unnoticed.',
  ),
  priceLookIntervalMs: integer(
    'PRICE_LOOK_INTERVAL_MS',
    'ms',
    6 * hour,
    [100, 7 * 24 * hour],
    'Pause between two looks at the price of a listing, at most 100 listings of a connection a minute; what an outside change of a price can go unnoticed.',
  ),
  observeIntervalMs: integer(
    'OBSERVE_INTERVAL_MS',
    'ms',
    15 * minute,
    [100, 7 * 24 * hour],
    'Pause between two looks at the number of a listing that nothing is written to, at most 100 listings of a connection a minute; how old a comparison with another tool can be.',
  ),
  fenceMaxMs: integer(
    'FENCE_MAX_MS',
    'ms',
    15_000,
    [100, 10 * minute],
    'How old the look at orders and stock may be when a raise is sent.',
  ),
  sendWithinMs: integer(
    'SEND_WITHIN_MS',
    'ms',
    5_000,
    [200, minute],
    'How long after its decision a channel write may leave; one that has waited longer is decided again.',
  ),
  pushBatchMax: integer(
    'PUSH_BATCH_MAX',
    'listings',
    50,
    [1, 1_000],
    'Listings of one connection that a worker takes at once; where one call of its channel carries more (Shopify 250, prices and many raises on Amazon 400), so many.',
  ),
  deliveryAttemptsMax: integer(
    'DELIVERY_ATTEMPTS_MAX',
    'attempts',
    20,
    [1, 1_000],
    'Attempts at one webhook before it is set aside as failed.',
  ),
  backoffMaxMs: integer(
    'BACKOFF_MAX_MS',
    'ms',
    5 * minute,
    [100, 24 * hour],
    'Longest pause between two attempts at the same work.',
  ),
  channelDeadlineMs: integer(
    'CHANNEL_DEADLINE_MS',
    'ms',
    30_000,
    [100, minute],
    'Longest run of one call to a marketplace, and of the calls that make up one write; after it the outcome of a write is unknown.',
  ),

  // Operation
  ...reservationLimits,
} as const;
