/** The sync engine: the verbs, the event stream and the background work over one database, wired by hand. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { acknowledgeAlert, settleItemAlerts, sweepAlerts } from './alerts.ts';
import { approveBlast } from './blast.ts';
import type { Bus } from './bus.ts';
import { ordersConsidered } from './conflictEvidence.ts';
import { setConflictPolicy } from './conflictPolicy.ts';
import { resolveConflicts } from './conflictResolution.ts';
import { storeConflict } from './conflicts.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { quantityConflict } from './core/conflicts.ts';
import { createEventTail, type EventTail } from './eventTail.ts';
import {
  type Delivery,
  type InboxOptions,
  type NewDelivery,
  processDelivery,
  storeDelivery,
  workOffInbox,
} from './inbox.ts';
import { createInsights } from './insights.ts';
import type { StockEffect } from './ledger.ts';
import { applyWaiting, mapListing, mapSku } from './mapping.ts';
import { measureSettled } from './measures.ts';
import {
  advanceJob,
  type OperationsOptions,
  settleOperations,
  sweepOperations,
  syncAll,
  syncItem,
} from './operations.ts';
import { updateOrderStatus } from './orderStatus.ts';
import { setPlanEntries } from './planEntries.ts';
import type { PlanOptions } from './planSql.ts';
import { applyPlan, createPlan, expirePlans, undoPlan } from './plans.ts';
import { workOnPlan } from './planWork.ts';
import { askForOrders, type FetchOptions, pollConnection } from './poll.ts';
import { setItemPrice } from './prices.ts';
import { resumeEscrow, setProtection } from './protection.ts';
import { type PushOptions, pushConnection } from './push.ts';
import { decisionOptions } from './pushRun.ts';
import type { ReadingOptions } from './readings.ts';
import { type ReadOptions, readConnection, readNew, takeShown } from './reads.ts';
import { adjustStock, setStock } from './stock.ts';
import { startSupervisor } from './supervisor.ts';
import type { Sync } from './sync.ts';
import type { TaskName, WakeUps } from './wakeUps.ts';

export type SyncLimits = {
  readonly pollIntervalMs: number | null;
  readonly pollOverlapMs: number | null;
  /** Longer than the longest channel call. */
  readonly leaseMs: number;
  readonly lookIntervalMs: number;
  /** Longest run of one call to a channel. */
  readonly callMaxMs: number;
  readonly verifyIntervalMs: number;
  readonly reconcileIntervalMs: number;
  readonly fenceMaxMs: number;
  readonly zeroAgainMs: number;
  readonly housekeepingIntervalMs: number;
  readonly alertIntervalMs: number;
  readonly pushBatchMax: number;
  readonly inboxBatchMax: number;
  /** Deliveries that the process which stored them works off itself at the same time. */
  readonly inboxOwnMax: number;
  readonly deliveryAttemptsMax: number;
  readonly backoffMaxMs: number;
  readonly jobBatch: number;
  readonly jobOpenMax: number;
  readonly mailboxMax: number;
  readonly heartbeatIntervalMs: number;
  readonly eventRetentionMs: number;
  readonly recordRetentionMs: number;
};

export type SyncEngineOptions = {
  readonly pool: pg.Pool;
  readonly bus: Bus;
  readonly wakeUps: WakeUps;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  readonly limits: SyncLimits;
};

export type Task = (subject: string | null) => Promise<void>;

export type SyncEngine = {
  readonly sync: Sync;
  readonly tail: EventTail;
  /** Stores a verified delivery of this channel and, in a process that works, carries it out at once. Resolves when it is stored. */
  receive(delivery: NewDelivery, channel: ConnectedChannel): Promise<void>;
  /** Reads what a newly connected channel shows, so that its first sale finds a number to be taken off. */
  readNew(connectionId: string): Promise<void>;
  /** What the job queue runs, by name. */
  readonly tasks: Readonly<Record<TaskName, Task>>;
  /** From now on this process works: it carries out its own deliveries and looks for work. */
  startWork(): void;
  /** Takes no new work and waits for what is under way. */
  stopWork(): Promise<void>;
};

export function createSyncEngine(options: SyncEngineOptions): SyncEngine {
  const { pool, bus, clock, connections, limits, log, wakeUps } = options;
  const onEvents = () => bus.publish('log');
  const onMoved = (effect: StockEffect) => {
    onEvents();
    wakeUps.push(effect.connectionIds);
  };
  const operations: OperationsOptions = { ...limits, pool, wakeUps, onEvents };
  const mapping = { pool, onApplied: onMoved, onMapped: wakeUps.push, batchMax: 1_000 };
  const ending = new AbortController();
  const plans: PlanOptions = {
    ...options,
    onEvents,
    batchMax: limits.pushBatchMax,
    leaseMs: limits.leaseMs,
    backoffMaxMs: limits.backoffMaxMs,
    attemptsMax: limits.deliveryAttemptsMax,
    signal: ending.signal,
  };
  const inbox: InboxOptions = {
    signal: ending.signal,
    db: pool,
    connections,
    clock,
    log,
    batchMax: limits.inboxBatchMax,
    leaseMs: limits.leaseMs,
    attemptsMax: limits.deliveryAttemptsMax,
    backoffMaxMs: limits.backoffMaxMs,
    onApplied: onMoved,
    async onShown(channel, shown) {
      if ((await takeShown(readOptions(options), channel, shown)) > 0) wakeUps.push([channel.connection.id]);
    },
  };
  const tail = createEventTail({
    db: pool,
    bus,
    clock,
    mailboxMax: limits.mailboxMax,
    heartbeatIntervalMs: limits.heartbeatIntervalMs,
    lookIntervalMs: limits.lookIntervalMs,
    onError: (error) => log.error({ error }, 'the event log could not be read'),
  });
  const statuses = { pool, connections, clock, leaseMs: limits.leaseMs, onApplied: onMoved };
  return {
    tail,
    sync: {
      adjustStock: (caller, input) => adjustStock({ pool, onMoved }, caller, input),
      setStock: (caller, input) => setStock({ pool, onMoved }, caller, input),
      syncItem: (caller, input) => syncItem(operations, caller, input),
      syncAll: (caller, input) => syncAll(operations, caller, input),
      createPlan: (caller, input) => createPlan(plans, caller, input),
      setPlanEntries: (caller, input) => setPlanEntries(plans, caller, input),
      applyPlan: (caller, input) => applyPlan(plans, caller, input),
      undoPlan: (caller, planId) => undoPlan(plans, caller, planId),
      updateOrderStatus: (caller, input) => updateOrderStatus(statuses, caller, input),
      async acknowledgeAlert(caller, alertId) {
        const outcome = await acknowledgeAlert(pool, caller, alertId);
        onEvents();
        return outcome;
      },
      resolveConflicts: (caller, input) => resolveConflicts({ pool, onMoved }, caller, input),
      setConflictPolicy: (caller, input) => setConflictPolicy(pool, caller, input),
      setItemPrice: (caller, input) => setItemPrice({ pool, onEvents }, caller, input),
      async setProtection(caller, input) {
        const { outcome, connectionIds } = await setProtection(pool, caller, input);
        wakeUps.push(connectionIds);
        return outcome;
      },
      resumeEscrow: (caller, listingId) => resumeEscrow(pool, caller, listingId, clock.now()),
      async approveBlast(caller, connectionId) {
        const outcome = await approveBlast(pool, caller, connectionId);
        if (outcome.ok) wakeUps.push([connectionId]);
        onEvents();
        return outcome;
      },
      mapListing: (caller, input) => mapListing(mapping, caller, input),
      mapSku: (caller, input) => mapSku(mapping, caller, input),
      ...createInsights(options),
      events: tail,
    },
    readNew: (connectionId) => readNew(readOptions(options), connectionId),
    tasks: createTasks(options, operations, inbox, plans, ending.signal),
    ...createWork(options, inbox, ending, {
      async sweep() {
        await applyWaiting(mapping, null);
        await sweepOperations(operations);
        await expirePlans(pool);
      },
      async sweepAlerts() {
        if ((await sweepAlerts(pool)) > 0) onEvents();
      },
    }),
  };
}

function ofSubject(work: (subject: string) => Promise<unknown>): Task {
  return async (subject) => {
    if (subject !== null) await work(subject);
  };
}

function createTasks(
  options: SyncEngineOptions,
  operations: OperationsOptions,
  inbox: InboxOptions,
  plans: PlanOptions,
  signal: AbortSignal,
): Readonly<Record<TaskName, Task>> {
  const { pool: db, clock, connections, limits, log, newId } = options;
  const { leaseMs } = limits;
  const onSettled = async (itemIds: readonly string[]) => {
    await settleOperations(operations, itemIds);
    await measureSettled(db, itemIds);
    if ((await settleItemAlerts(db, itemIds)) > 0) operations.onEvents();
  };
  const { pollIntervalMs: intervalMs, pollOverlapMs: overlapMs } = limits;
  const fetching: FetchOptions = { db, clock, log, overlapMs, leaseMs, onApplied: inbox.onApplied };
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
    readings,
    fetching,
    onSettled,
  };
  const read = readOptions(options);
  const poll = { ...fetching, connections, intervalMs };
  return {
    push: ofSubject((id) => pushConnection(push, id)),
    read: ofSubject(async (id) => {
      if ((await readConnection(read, id)) > 0) options.wakeUps.push([id]);
    }),
    poll: ofSubject((id) => pollConnection(poll, id)),
    inbox: () => workOffInbox(inbox),
    job: ofSubject((id) => advanceJob(operations, id)),
    plan: ofSubject((id) => workOnPlan(plans, id)),
  };
}

function readOptions(options: SyncEngineOptions): ReadOptions {
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

function readingOptions(
  options: SyncEngineOptions,
  { connection, connector }: ConnectedChannel,
): ReadingOptions {
  const { pool: db, bus, clock, limits, wakeUps } = options;
  return {
    context: {
      db,
      now: clock.now,
      connectionId: connection.id,
      capabilities: connector.capabilities,
      callMaxMs: limits.callMaxMs,
      pace: limits,
      async onProven(client, { listing, before, proof }, now) {
        const { accountId, itemId, listingId } = listing;
        if (itemId === null) return [];
        const conflict = quantityConflict(before, proof, now);
        const stored = await storeConflict(client, {
          accountId,
          itemId,
          listingId,
          conflict,
          ordersConsidered: ordersConsidered(before),
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

function createWork(
  options: SyncEngineOptions,
  inbox: InboxOptions,
  ending: AbortController,
  sweeps: { readonly sweep: () => Promise<unknown>; readonly sweepAlerts: () => Promise<unknown> },
): Pick<SyncEngine, 'receive' | 'startWork' | 'stopWork'> {
  const { limits, log, wakeUps } = options;
  const own = new Set<Promise<void>>();
  let supervisor: { stop(): Promise<void> } | undefined;

  function carryOut(delivery: Delivery, channel: ConnectedChannel): void {
    const work = processDelivery(inbox, delivery, channel)
      .catch((error: unknown) => log.error({ error, eventId: delivery.id }, 'delivery not processed'))
      .finally(() => own.delete(work));
    own.add(work);
  }

  return {
    async receive(delivery, channel) {
      const keeps = supervisor !== undefined && own.size < limits.inboxOwnMax;
      const stored = await storeDelivery(options.pool, delivery, keeps ? limits.leaseMs : null);
      if (stored === null) return;
      if (keeps) carryOut(stored, channel);
      else wakeUps.inbox();
    },
    startWork() {
      supervisor ??= startSupervisor({
        ...limits,
        db: options.pool,
        clock: options.clock,
        wakeUps,
        sweep: sweeps.sweep,
        patrols: [{ intervalMs: limits.alertIntervalMs, work: sweeps.sweepAlerts }],
        onError: (error) => log.error({ error }, 'looking for work failed'),
      });
    },
    async stopWork() {
      const stopping = supervisor;
      supervisor = undefined;
      ending.abort();
      await stopping?.stop();
      await Promise.all(own);
    },
  };
}
