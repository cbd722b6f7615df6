/** The sync engine: the verbs, the event stream and the background work over one database, wired by hand. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { acknowledgeAlert } from './alerts.ts';
import { setBundle } from './bundles.ts';
import type { Bus } from './bus.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { createEventTail, type EventTail } from './eventTail.ts';
import {
  type Delivery,
  type InboxOptions,
  type NewDelivery,
  processDelivery,
  storeDelivery,
  workOffInbox,
} from './inbox.ts';
import type { StockEffect } from './ledger.ts';
import { applyWaiting, mapListing, mapSku } from './mapping.ts';
import {
  advanceJob,
  type OperationsOptions,
  settleOperations,
  sweepOperations,
  syncAll,
  syncItem,
} from './operations.ts';
import { updateOrderStatus } from './orderStatus.ts';
import { pollConnection } from './poll.ts';
import { pushConnection } from './push.ts';
import {
  commitReservation,
  createReservation,
  expireReservations,
  extendReservation,
  releaseReservation,
} from './reservations.ts';
import { returnOrder } from './returns.ts';
import { adjustStock, setStock } from './stock.ts';
import { type SupervisorOptions, startSupervisor } from './supervisor.ts';
import type { Sync } from './sync.ts';
import { verifyConnection } from './verify.ts';
import type { TaskName, WakeUps } from './wakeUps.ts';

export type SyncLimits = {
  readonly pollIntervalMs: number | null;
  readonly pollOverlapMs: number | null;
  /** Longer than the longest channel call. */
  readonly leaseMs: number;
  readonly lookIntervalMs: number;
  readonly verifyIntervalMs: number;
  readonly housekeepingIntervalMs: number;
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
  readonly reservationDefaultMs: number;
  readonly reservationMaxMs: number;
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
  const reservations = { ...limits, pool, onMoved };
  const onRecipe = (connectionIds: readonly string[]) => {
    onEvents();
    wakeUps.push(connectionIds);
  };
  const ending = new AbortController();
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
      syncAll: (caller) => syncAll(operations, caller),
      updateOrderStatus: (caller, input) => updateOrderStatus(statuses, caller, input),
      async acknowledgeAlert(caller, alertId) {
        const outcome = await acknowledgeAlert(pool, caller, alertId);
        onEvents();
        return outcome;
      },
      mapListing: (caller, input) => mapListing(mapping, caller, input),
      mapSku: (caller, input) => mapSku(mapping, caller, input),
      setBundle: (caller, input) => setBundle({ pool, onChanged: onRecipe }, caller, input),
      createReservation: (caller, input) => createReservation(reservations, caller, input),
      extendReservation: (caller, input) => extendReservation(reservations, caller, input),
      commitReservation: (caller, input) => commitReservation(reservations, caller, input),
      releaseReservation: (caller, input) => releaseReservation(reservations, caller, input),
      returnOrder: (caller, input) => returnOrder({ pool, onApplied: onMoved }, caller, input),
      events: tail,
    },
    tasks: createTasks(options, operations, inbox, ending.signal),
    ...createWork(options, inbox, ending, {
      expire: () => expireReservations(reservations),
      async sweep() {
        await applyWaiting(mapping, null);
        await sweepOperations(operations);
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
  signal: AbortSignal,
): Readonly<Record<TaskName, Task>> {
  const { pool: db, clock, connections, limits, log, newId } = options;
  const { leaseMs, backoffMaxMs } = limits;
  const onSettled = (itemIds: readonly string[]) => settleOperations(operations, itemIds);
  const push = {
    signal,
    db,
    connections,
    clock,
    newId,
    log,
    batchMax: limits.pushBatchMax,
    leaseMs,
    backoffMaxMs,
    onSettled,
  };
  const verify = {
    db,
    connections,
    clock,
    intervalMs: limits.verifyIntervalMs,
    batchMax: limits.pushBatchMax,
  };
  const { pollIntervalMs: intervalMs, pollOverlapMs: overlapMs } = limits;
  const poll = { db, connections, clock, log, intervalMs, overlapMs, leaseMs, onApplied: inbox.onApplied };
  return {
    push: ofSubject((id) => pushConnection(push, id)),
    verify: ofSubject(async (id) => {
      if ((await verifyConnection(verify, id)) > 0) options.wakeUps.push([id]);
    }),
    poll: ofSubject((id) => pollConnection(poll, id)),
    inbox: () => workOffInbox(inbox),
    job: ofSubject((id) => advanceJob(operations, id)),
  };
}

function createWork(
  options: SyncEngineOptions,
  inbox: InboxOptions,
  ending: AbortController,
  chores: Pick<SupervisorOptions, 'sweep' | 'expire'>,
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
        ...chores,
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
