/** A `Sync` that records what it is asked, and an event stream kept in memory. */
import {
  type Envelope,
  InvalidCursorError,
  type LogEvent,
  type Subscription,
} from '../../src/sync/eventStream.ts';
import { done, type Outcome } from '../../src/sync/outcome.ts';
import type { Sync } from '../../src/sync/sync.ts';

export type Call = { readonly verb: string; readonly accountId: string; readonly input: unknown };

export type FakeSync = Sync & {
  readonly calls: readonly Call[];
  /** What the next call answers instead of success. */
  answerNext(outcome: Outcome<never>): void;
  publish(event: Pick<LogEvent, 'accountId' | 'topic' | 'subjectId' | 'payload'>): LogEvent;
  /** Streams that are open now. */
  openStreams(): number;
  /** Resolves when so many streams are open. */
  opened(count: number): Promise<void>;
};

export function createFakeSync(): FakeSync {
  const calls: Call[] = [];
  const log: LogEvent[] = [];
  const wakers = new Set<() => void>();
  const streams = { open: 0 };
  let refusal: Outcome<never> | null = null;

  const wakeAll = (): void => {
    for (const wake of Array.from(wakers)) wake();
  };
  async function sleep(signal: AbortSignal | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    wakers.add(resolve);
    signal?.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    wakers.delete(resolve);
  }

  function verb<Value>(name: string, value: (input: never) => Value) {
    return async (caller: { readonly accountId: string }, input?: unknown): Promise<Outcome<Value>> => {
      calls.push({ verb: name, accountId: caller.accountId, input });
      const answer = refusal ?? done(value(input as never));
      refusal = null;
      return answer;
    };
  }

  async function* subscribe(subscription: Subscription): AsyncGenerator<Envelope, void> {
    const { accountId, topic, accepts, after, signal } = subscription;
    if (after !== null && !/^\d+$/.test(after)) throw new InvalidCursorError('not a cursor');
    let next = after === null ? log.length : Number(after);
    streams.open += 1;
    wakeAll();
    try {
      yield { kind: 'heartbeat', cursor: String(next) };
      while (!signal.aborted) {
        const event = log[next];
        if (event === undefined) {
          await sleep(signal);
          continue;
        }
        next += 1;
        if (event.accountId === accountId && event.topic === topic && accepts(event))
          yield { kind: 'event', event };
      }
    } finally {
      streams.open -= 1;
      wakeAll();
    }
  }

  return {
    calls,
    answerNext(outcome) {
      refusal = outcome;
    },
    publish(event) {
      const stored = {
        ...event,
        itemSeq: null,
        createdAt: new Date('2026-11-22T10:00:00Z'),
        xid: BigInt(log.length),
        cursor: String(log.length + 1),
      };
      log.push(stored);
      wakeAll();
      return stored;
    },
    openStreams: () => streams.open,
    async opened(count) {
      while (streams.open !== count) await sleep(null);
    },
    adjustStock: verb('adjustStock', ({ itemId }: { itemId: string }) => ({ itemId, movementId: null })),
    setStock: verb('setStock', ({ itemId }: { itemId: string }) => ({ itemId, movementId: null })),
    syncItem: verb('syncItem', () => ({ operationId: missing })),
    createPlan: verb('createPlan', () => ({ planId: missing })),
    setPlanEntries: verb('setPlanEntries', ({ planId }: { planId: string }) => ({ planId, entries: 3 })),
    applyPlan: verb('applyPlan', ({ planId }: { planId: string }) => ({ planId })),
    undoPlan: verb('undoPlan', (planId: string) => ({ planId })),
    syncAll: verb('syncAll', () => ({ jobId: missing })),
    updateOrderStatus: verb('updateOrderStatus', ({ orderId }: { orderId: string }) => ({ orderId })),
    acknowledgeAlert: verb('acknowledgeAlert', (alertId: string) => ({ alertId })),
    resolveConflicts: verb(
      'resolveConflicts',
      ({ conflicts }: { conflicts: readonly { conflictId: string }[] }) => ({
        itemId: missing,
        conflictIds: conflicts.map(({ conflictId }) => conflictId),
        movementId: null,
      }),
    ),
    setConflictPolicy: verb('setConflictPolicy', () => ({ accountId: missing })),
    setItemPrice: verb('setItemPrice', ({ itemId }: { itemId: string }) => ({ itemId })),
    setProtection: verb('setProtection', ({ itemId }: { itemId: string }) => ({ itemId })),
    resumeEscrow: verb('resumeEscrow', (listingId: string) => ({ listingId })),
    approveBlast: verb('approveBlast', (connectionId: string) => ({ connectionId })),
    mapListing: verb('mapListing', ({ listingId }: { listingId: string }) => ({ listingId })),
    mapSku: verb('mapSku', () => ({ linesApplied: 2 })),
    setRule: verb('setRule', () => ({ listings: 3 })),
    switchSync: verb('switchSync', () => ({ listings: 1 })),
    updateAccountSettings: verb('updateAccountSettings', () => null),
    explain: async () => new Map(),
    observedListings: async () => new Map(),
    observations: async () => new Map(),
    exposures: async () => new Map(),
    protectionSuggestions: async () => new Map(),
    connectionHealth: async () => new Map(),
    syncHealth: async () => ({ health: 'ok', summary: '', reasons: [], openAlerts: [], connections: [] }),
    setBundle: verb('setBundle', ({ itemId }: { itemId: string }) => ({ itemId })),
    createReservation: verb('createReservation', () => ({ reservationId: missing })),
    extendReservation: verb('extendReservation', reservationOf),
    commitReservation: verb('commitReservation', reservationOf),
    releaseReservation: verb('releaseReservation', reservationOf),
    returnOrder: verb('returnOrder', ({ orderId }: { orderId: string }) => ({ orderId })),
    events: { subscribe, oldestCursor: async () => '0' },
  };
}

const reservationOf = ({ reservationId }: { reservationId: string }) => ({ reservationId });
const missing = '00000000-0000-7000-8000-000000000000';

/** The payload of a stock event as the ledger writes it. */
export function stockPayload(itemId: string, quantity: number) {
  return {
    itemId,
    sku: 'SKU-1',
    quantity,
    reserved: 0,
    available: quantity,
    onHandDelta: 1,
    reservedDelta: 0,
    seq: quantity,
    kind: 'adjustment',
    orderId: null,
    reason: 'received',
  };
}
