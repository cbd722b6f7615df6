/** What the job queue runs: each task looks at one connection or one job, and what it finds there is in the tables. */
import { settleItemAlerts } from './alerts.ts';
import { ordersConsidered } from './conflictEvidence.ts';
import { storeConflict } from './conflicts.ts';
import type { ConnectedChannel } from './connections.ts';
import { quantityConflict } from './core/conflicts.ts';
import type { SyncEngineOptions, Task } from './engine.ts';
import type { InboxOptions } from './inbox.ts';
import type { Lanes } from './lanes.ts';
import type { LookOptions } from './looks.ts';
import type { MeasureBuffer } from './measureBuffer.ts';
import { measureSettled } from './measures.ts';
import { observeConnection } from './observations.ts';
import { advanceJob, type OperationsOptions, settleOperations } from './operations.ts';
import { watchOrders } from './orderWatch.ts';
import type { PlanOptions } from './planSql.ts';
import { workOnPlan } from './planWork.ts';
import { askForOrders, type FetchOptions, pollConnection } from './poll.ts';
import { lookAtPrices, type PriceLookOptions } from './priceLooks.ts';
import { type PushOptions, pushConnection } from './push.ts';
import { decisionOptions } from './pushRun.ts';
import type { ReadingOptions } from './readings.ts';
import { type ReadOptions, readConnection } from './reads.ts';
import { followStockQueues } from './stockQueues.ts';
import type { TaskName } from './wakeUps.ts';

/** The engine's options with what it keeps in memory for its own work. */
export type EngineParts = SyncEngineOptions & { readonly measures: MeasureBuffer };

export type TaskParts = {
  readonly operations: OperationsOptions;
  readonly onApplied: InboxOptions['onApplied'];
  readonly inbox: Lanes;
  readonly plans: PlanOptions;
  readonly signal: AbortSignal;
};

/** A marketplace that takes a few writes a second would otherwise keep its run for as long as there are listings to write. */
const turnMaxMs = 2_000;

function ofSubject(work: (subject: string) => Promise<unknown>): Task {
  return async (subject) => {
    if (subject !== null) await work(subject);
  };
}

export function createTasks(
  options: EngineParts,
  { operations, onApplied, inbox, plans, signal }: TaskParts,
): Readonly<Record<TaskName, Task>> {
  const { pool: db, clock, connections, limits, log, measures, newId } = options;
  const { leaseMs, pollIntervalMs: intervalMs, pollOverlapMs: overlapMs } = limits;
  const onSettled = async (itemIds: readonly string[], channel: ConnectedChannel) => {
    await settleOperations(operations, itemIds);
    await measureSettled(db, itemIds);
    await watchOrders({ db, intervalMs }, channel, itemIds);
    if ((await settleItemAlerts(db, itemIds)) > 0) operations.onEvents();
  };
  const fetching: FetchOptions = { db, clock, log, overlapMs, leaseMs, onApplied, measures };
  const readings = (channel: ConnectedChannel) => readingOptions(options, channel);
  const push: PushOptions = {
    ...limits,
    signal,
    db,
    connections,
    clock,
    newId,
    log,
    batchMax: limits.pushBatchMax,
    turn: { maxMs: turnMaxMs, onMore: (id) => options.wakeUps.push([id]) },
    readings,
    fetching,
    onEvents: operations.onEvents,
    onSettled,
  };
  const read = readOptions(options);
  const looks = { db, clock, connections, batchMax: limits.lookBatchMax, paceMs: limits.lookPaceMs };
  const observing: LookOptions = { ...looks, intervalMs: limits.observeIntervalMs };
  const priceLooks: PriceLookOptions = {
    ...looks,
    intervalMs: limits.priceLookIntervalMs,
    callMaxMs: limits.callMaxMs,
    onEvents: operations.onEvents,
  };
  const deep = { intervalMs: limits.pollDeepIntervalMs, overlapMs: limits.pollDeepOverlapMs };
  const poll = { ...fetching, connections, intervalMs, deep };
  return {
    push: ofSubject((id) => pushConnection(push, id)),
    read: ofSubject(async (id) => {
      const following = followStockQueues({ ...read, backoffMaxMs: limits.backoffMaxMs }, id);
      const [wrong] = await Promise.all([readConnection(read, id), following]);
      if (wrong > 0) options.wakeUps.push([id]);
    }),
    prices: ofSubject((id) => lookAtPrices(priceLooks, id)),
    observe: ofSubject((id) => observeConnection(observing, id)),
    poll: ofSubject((id) => pollConnection(poll, id)),
    inbox: inbox.look,
    job: ofSubject((id) => advanceJob(operations, id)),
    plan: ofSubject((id) => workOnPlan(plans, id)),
  };
}

export function readOptions(options: EngineParts): ReadOptions {
  const { pool: db, connections, limits, newId } = options;
  return {
    db,
    connections,
    batchMax: limits.pushBatchMax,
    intervalMs: limits.verifyIntervalMs,
    readings: (channel) => readingOptions(options, channel),
    decisions: (channel) => decisionOptions({ ...limits, newId }, channel),
  };
}

function readingOptions(options: EngineParts, { connection, connector }: ConnectedChannel): ReadingOptions {
  const { pool: db, bus, clock, limits, measures, wakeUps } = options;
  return {
    context: {
      db,
      now: clock.now,
      connectionId: connection.id,
      capabilities: connector.capabilities,
      callMaxMs: limits.callMaxMs,
      sendWithinMs: limits.sendWithinMs,
      pace: limits,
      measures,
      async onProven(client, { listing, before, proof, whileOff }, now) {
        const { accountId, itemId, listingId } = listing;
        if (itemId === null) return [];
        const conflict = quantityConflict(before, proof, now);
        const stored = await storeConflict(client, {
          accountId,
          itemId,
          listingId,
          conflict,
          ordersConsidered: ordersConsidered(before),
          whileOff,
        });
        return stored.effect.connectionIds;
      },
    },
    async onUnexplained() {
      await askForOrders(db, connection.id);
      wakeUps.poll([connection.id]);
    },
    onConcerned(connectionIds) {
      if (connectionIds.length === 0) return;
      wakeUps.push(connectionIds);
      bus.publish('log');
    },
  };
}
