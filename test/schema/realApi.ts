/** The API over the real sync engine; no channel is ever called. */
import { randomUUIDv7 } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import type { Database } from '../../src/db.ts';
import { silentLog } from '../../src/log.ts';
import { createLocalBus } from '../../src/sync/bus.ts';
import { createSyncEngine, type SyncEngine } from '../../src/sync/engine.ts';
import { noWakeUps } from '../support/wakeUps.ts';
import { openApi } from './apiFixture.ts';

export async function openReal() {
  const engines: SyncEngine[] = [];
  const api = await openApi({
    sync: (database) => {
      const engine = createEngine(database);
      engines.push(engine);
      return engine.sync;
    },
  });
  for (const { tail } of engines) await tail.start();
  return {
    api,
    async [Symbol.asyncDispose]() {
      for (const { tail } of engines) await tail.stop();
      await api[Symbol.asyncDispose]();
    },
  };
}

const unused = () => Promise.reject(new Error('no channel is called here'));

function createEngine({ pool, intake }: Database): SyncEngine {
  return createSyncEngine({
    pool,
    intake,
    bus: createLocalBus(),
    wakeUps: noWakeUps,
    connections: { create: unused, open: unused } as never,
    clock: systemClock,
    newId: randomUUIDv7,
    log: silentLog(),
    limits: {
      pollIntervalMs: null,
      pollOverlapMs: null,
      pollDeepIntervalMs: 3_600_000,
      pollDeepOverlapMs: 10_800_000,
      leaseMs: 60_000,
      lookIntervalMs: 1_000,
      callMaxMs: 30_000,
      sendWithinMs: 5_000,
      verifyIntervalMs: 60_000,
      reconcileIntervalMs: 1_800_000,
      priceLookIntervalMs: 21_600_000,
      observeIntervalMs: 900_000,
      lookBatchMax: 100,
      lookPaceMs: 60_000,
      fenceMaxMs: 15_000,
      zeroAgainMs: 30_000,
      housekeepingIntervalMs: 60_000,
      alertIntervalMs: 60_000,
      pushBatchMax: 100,
      inboxBatchMax: 10,
      inboxConnectionMax: 10,
      inboxOwnMax: 10,
      deliveryAttemptsMax: 3,
      backoffMaxMs: 60_000,
      jobBatch: 100,
      jobOpenMax: 1_000,
      mailboxMax: 100,
      heartbeatIntervalMs: 50,
      eventRetentionMs: 3_600_000,
      recordRetentionMs: 3_600_000,
      reservationDefaultMs: 900_000,
      reservationMaxMs: 86_400_000,
    },
  });
}
