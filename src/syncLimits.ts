/** The limits of the sync engine, from the configuration. */
import type { Config } from './config.ts';
import { zeroAgainMs } from './sync/core/limits.ts';
import type { SyncLimits } from './sync/engine.ts';

const hourMs = 3_600_000;

export function syncLimits(config: Config): SyncLimits {
  return {
    pollIntervalMs: config.pollIntervalMs,
    pollOverlapMs: config.pollOverlapMs,
    pollDeepIntervalMs: config.pollDeepIntervalMs,
    pollDeepOverlapMs: config.pollDeepOverlapMs,
    // A lease must outlive the longest call made under it, or two workers would make that call at once.
    leaseMs: config.sendWithinMs + config.channelDeadlineMs * 2,
    lookIntervalMs: config.lookIntervalMs,
    callMaxMs: config.channelDeadlineMs,
    sendWithinMs: config.sendWithinMs,
    verifyIntervalMs: config.verifyIntervalMs,
    reconcileIntervalMs: config.reconcileIntervalMs,
    priceLookIntervalMs: config.priceLookIntervalMs,
    observeIntervalMs: config.observeIntervalMs,
    lookBatchMax: 100,
    lookPaceMs: 60_000,
    fenceMaxMs: config.fenceMaxMs,
    zeroAgainMs,
    housekeepingIntervalMs: 60_000,
    alertIntervalMs: 10_000,
    pushBatchMax: config.pushBatchMax,
    inboxBatchMax: 40,
    inboxConnectionMax: 8,
    inboxOwnMax: 50,
    deliveryAttemptsMax: config.deliveryAttemptsMax,
    backoffMaxMs: config.backoffMaxMs,
    jobBatch: 500,
    jobOpenMax: 2_000,
    mailboxMax: config.subscriptionMailboxMax,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    eventRetentionMs: config.eventRetentionHours * hourMs,
    recordRetentionMs: config.recordRetentionHours * hourMs,
    reservationDefaultMs: config.reservationDefaultSeconds * 1_000,
    reservationMaxMs: config.reservationMaxSeconds * 1_000,
  };
}
