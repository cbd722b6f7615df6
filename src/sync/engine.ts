/** The sync engine: the verbs, the event stream and the background work over one database, wired by hand. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { sweepAlerts } from './alerts.ts';
import type { Bus } from './bus.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { createTasks, type EngineParts, readOptions } from './engineTasks.ts';
import { createEventTail, type EventTail } from './eventTail.ts';
import { type InboxOptions, type NewDelivery, openInbox } from './inbox.ts';
import { createIntake, type Intake } from './intake.ts';
import type { Lanes } from './lanes.ts';
import type { StockEffect } from './ledger.ts';
import { applyWaiting } from './mapping.ts';
import { createMeasureBuffer } from './measureBuffer.ts';
import { type OperationsOptions, sweepOperations } from './operations.ts';
import type { PlanOptions } from './planSql.ts';
import { expirePlans } from './plans.ts';
import { readNew, takeShown } from './reads.ts';
import { expireReservations } from './reservations.ts';
import { type SupervisorOptions, startSupervisor } from './supervisor.ts';
import type { Sync } from './sync.ts';
import { loggedSync } from './syncLog.ts';
import { createVerbs } from './verbs.ts';
import type { TaskName, WakeUps } from './wakeUps.ts';

export type SyncLimits = {
  readonly pollIntervalMs: number | null;
  readonly pollOverlapMs: number | null;
  readonly pollDeepIntervalMs: number;
  readonly pollDeepOverlapMs: number;
  /** Longer than the longest channel call. */
  readonly leaseMs: number;
  readonly lookIntervalMs: number;
  /** Longest run of one call to a channel. */
  readonly callMaxMs: number;
  /** How long after its decision a write may leave. */
  readonly sendWithinMs: number;
  readonly verifyIntervalMs: number;
  readonly reconcileIntervalMs: number;
  readonly priceLookIntervalMs: number;
  readonly observeIntervalMs: number;
  /** Looks that nothing waits for: listings of a connection at once, and the pause between two such batches. */
  readonly lookBatchMax: number;
  readonly lookPaceMs: number;
  readonly fenceMaxMs: number;
  readonly zeroAgainMs: number;
  readonly housekeepingIntervalMs: number;
  readonly alertIntervalMs: number;
  readonly pushBatchMax: number;
  /** Deliveries that one process carries out at once. */
  readonly inboxBatchMax: number;
  /** Of those, deliveries of one connection. */
  readonly inboxConnectionMax: number;
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
  /** Connections of their own for what is delivered: see `Database.intake`. */
  readonly intake: pg.Pool;
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

export function createSyncEngine(given: SyncEngineOptions): SyncEngine {
  const options: EngineParts = { ...given, measures: createMeasureBuffer() };
  const { pool, bus, clock, connections, limits, log, wakeUps } = options;
  const onEvents = () => bus.publish('log');
  const onMoved = (effect: StockEffect) => {
    onEvents();
    wakeUps.push(effect.connectionIds);
  };
  const operations: OperationsOptions = { ...limits, pool, wakeUps, onEvents };
  const mapping = { pool, onApplied: onMoved, onMapped: wakeUps.push, batchMax: 1_000 };
  const reservations = { ...limits, pool, onMoved };
  const ending = new AbortController();
  const plans: PlanOptions = {
    ...options,
    onEvents,
    batchMax: limits.pushBatchMax,
    leaseMs: limits.leaseMs,
    readings: readOptions(options).readings,
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
    connectionMax: limits.inboxConnectionMax,
    leaseMs: limits.leaseMs,
    attemptsMax: limits.deliveryAttemptsMax,
    backoffMaxMs: limits.backoffMaxMs,
    onApplied: onMoved,
    measures: options.measures,
    async onShown(channel, shown) {
      if ((await takeShown(readOptions(options), channel, shown)) > 0) wakeUps.push([channel.connection.id]);
    },
  };
  const lanes = openInbox(inbox);
  const tail = openTail(options);
  return {
    tail,
    sync: loggedSync(
      log,
      createVerbs(options, {
        reservations,
        operations,
        plans,
        mapping,
        onMoved,
        onEvents,
        events: tail,
      }),
    ),
    readNew: (connectionId) => readNew(readOptions(options), connectionId),
    tasks: createTasks(options, {
      operations,
      onApplied: onMoved,
      inbox: lanes,
      plans,
      signal: ending.signal,
    }),
    ...createWork(options, openIntake(options, inbox, tail), lanes, ending, {
      expire: () => expireReservations(reservations),
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

function openTail({ pool: db, bus, clock, limits, log }: SyncEngineOptions): EventTail {
  return createEventTail({
    db,
    bus,
    clock,
    mailboxMax: limits.mailboxMax,
    heartbeatIntervalMs: limits.heartbeatIntervalMs,
    lookIntervalMs: limits.lookIntervalMs,
    onError: (error) => log.error({ error }, 'the event log could not be read'),
  });
}

function openIntake(options: SyncEngineOptions, inbox: InboxOptions, tail: EventTail): Intake {
  const { bus, intake, limits, log, wakeUps } = options;
  return createIntake({
    connections: intake,
    // One may wait for a connection behind another's moment; more would let a marketplace wait.
    atOnceMax: intake.options.max * 2,
    ownMax: limits.inboxOwnMax,
    inbox,
    tail,
    log,
    onApplied(effect) {
      bus.publishToOthers('log');
      wakeUps.push(effect.connectionIds);
    },
    onUntold: () => bus.publish('log'),
    onWaiting: wakeUps.inbox,
  });
}

/** How often what was measured is written down. */
const measureIntervalMs = 10_000;

function createWork(
  options: EngineParts,
  intake: Intake,
  inbox: Lanes,
  ending: AbortController,
  chores: Pick<SupervisorOptions, 'sweep' | 'expire'> & { readonly sweepAlerts: () => Promise<unknown> },
): Pick<SyncEngine, 'receive' | 'startWork' | 'stopWork'> {
  const { limits, log, measures, pool, wakeUps } = options;
  const flush = () => measures.flush(pool);
  let supervisor: { stop(): Promise<void> } | undefined;

  return {
    receive: (delivery, channel) => intake.receive(delivery, channel, supervisor !== undefined),
    startWork() {
      supervisor ??= startSupervisor({
        ...limits,
        db: pool,
        clock: options.clock,
        wakeUps,
        sweep: chores.sweep,
        expire: chores.expire,
        patrols: [
          { intervalMs: limits.alertIntervalMs, work: chores.sweepAlerts },
          { intervalMs: measureIntervalMs, work: flush },
        ],
        onError: (error) => log.error({ error }, 'looking for work failed'),
      });
    },
    async stopWork() {
      const stopping = supervisor;
      supervisor = undefined;
      ending.abort();
      await stopping?.stop();
      await Promise.all([intake.idle(), inbox.idle()]);
      await flush().catch((error: unknown) => log.warn({ error }, 'the newest measures are lost'));
    },
  };
}
