/** Writes to the event log, runs tails over it and records what their subscribers are told. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Queryable } from '../../src/db.ts';
import { type Bus, createLocalBus } from '../../src/sync/bus.ts';
import { pruneLog } from '../../src/sync/eventLog.ts';
import type { Envelope, LogEvent, Subscription } from '../../src/sync/eventStream.ts';
import { createEventTail, type EventTail, type EventTailOptions } from '../../src/sync/eventTail.ts';
import { after } from './fixtures.ts';
import { createManualClock, type ManualClock } from './manualClock.ts';
import { waitFor } from './waiting.ts';

export type NewEvent = {
  readonly accountId: string;
  readonly subjectId?: string;
  readonly itemSeq?: number;
  readonly topic?: LogEvent['topic'];
  readonly payload?: Readonly<Record<string, unknown>>;
};

/** Appends events in one statement; answers their ids in the log. */
export async function append(db: Queryable, ...events: readonly NewEvent[]): Promise<readonly string[]> {
  const rows = events.map(
    ({ accountId, subjectId = randomUUID(), itemSeq = null, topic = 'stock', payload = {} }) => ({
      account_id: accountId,
      subject_id: subjectId,
      item_seq: itemSeq,
      topic,
      payload,
    }),
  );
  const { rows: inserted } = await db.query<{ id: string }>(
    `INSERT INTO events (account_id, subject_id, item_seq, topic, payload)
     SELECT account_id, subject_id, item_seq, topic, payload
       FROM jsonb_to_recordset($1) AS new (account_id uuid, subject_id uuid, item_seq bigint, topic event_topic, payload jsonb)
     RETURNING id`,
    [JSON.stringify(rows)],
  );
  return inserted.map(({ id }) => id);
}

/** Events numbered by their payload's `n`, `from` up to and without `to`, each about a subject of its own. */
export const numbered = (accountId: string, from: number, to: number): NewEvent[] =>
  Array.from({ length: to - from }, (_, index) => ({ accountId, payload: { n: from + index } }));

/** Events of one subject, whose item seq is also their `n`. */
export const ofSubject = (accountId: string, subjectId: string, from: number, to: number): NewEvent[] =>
  Array.from({ length: to - from }, (_, index) => {
    const n = from + index;
    return { accountId, subjectId, itemSeq: n, payload: { n } };
  });

/**
 * Removes the whole log but for what a running transaction keeps. Transactions are numbered over all databases of a server, so those of other
 * tests keep some too: it tries until `count` events are gone.
 */
export async function pruneAll(db: Queryable, count: number): Promise<void> {
  let removed = 0;
  await waitFor(async () => (removed += await pruneLog(db, after(10 * 365 * 86_400))) >= count, {
    what: 'the log to be pruned',
  });
  if (removed !== count) throw new Error(`${removed} events were removed instead of ${count}`);
}

// ----------------------------------------------------------------------------------------------------------------- tails

export type TestTail = AsyncDisposable & {
  readonly tail: EventTail;
  readonly bus: Bus;
  readonly clock: ManualClock;
};

export const lookIntervalMs = 1_000;
export const heartbeatIntervalMs = 15_000;

function fail(error: unknown): void {
  throw error;
}

/** A started tail on a clock that stands still: it looks when its bus wakes it, or when the test moves the clock. */
export async function startTail(pool: pg.Pool, options: Partial<EventTailOptions> = {}): Promise<TestTail> {
  const clock = createManualClock();
  const bus = options.bus ?? createLocalBus();
  const defaults = {
    db: pool,
    bus,
    clock,
    mailboxMax: 1_000,
    heartbeatIntervalMs,
    lookIntervalMs,
    onError: fail,
  };
  const tail = createEventTail({ ...defaults, ...options });
  await tail.start();
  return { tail, bus, clock, [Symbol.asyncDispose]: () => tail.stop() };
}

// ----------------------------------------------------------------------------------------------------------- subscribers

export type Subscriber = AsyncDisposable & {
  /** Everything told so far, but for the opening heartbeat of a stream that starts now. */
  readonly told: readonly Envelope[];
  /** The `n` of every event told so far. */
  numbers(): readonly unknown[];
  /** The cursor of the last envelope. */
  lastCursor(): string;
  /** Resolves when so many envelopes were told. */
  hears(count: number): Promise<readonly Envelope[]>;
  /** Resolves or rejects as the stream ends. */
  readonly ended: Promise<void>;
  /** Ends the stream by its signal. */
  end(): Promise<void>;
};

export function subscription(accountId: string, fields: Partial<Subscription> = {}): Subscription {
  return {
    accountId,
    topic: 'stock',
    after: null,
    delivery: 'EVERY',
    accepts: () => true,
    signal: new AbortController().signal,
    ...fields,
  };
}

/** Takes envelopes as fast as they come. */
export function subscribe(
  tail: EventTail,
  accountId: string,
  fields: Partial<Subscription> = {},
): Subscriber {
  const abort = new AbortController();
  const told: Envelope[] = [];
  let opening: Envelope | undefined;
  const stream = tail.subscribe(subscription(accountId, { signal: abort.signal, ...fields }));
  const ended = (async () => {
    for await (const envelope of stream) {
      if (opening === undefined && (fields.after ?? null) === null) opening = envelope;
      else told.push(envelope);
    }
  })();
  // Whether it failed is for the test that awaits it.
  ended.catch(() => undefined);
  const end = async (): Promise<void> => {
    abort.abort();
    await ended.catch(() => undefined);
  };
  return {
    told,
    numbers: () =>
      told.filter((envelope) => envelope.kind === 'event').map(({ event }) => event.payload['n']),
    lastCursor: () => cursorOf(told.at(-1) ?? opening),
    hears: async (count) => {
      await waitFor(() => told.length >= count, { what: `${count} envelopes (there were ${told.length})` });
      return told;
    },
    ended,
    end,
    [Symbol.asyncDispose]: end,
  };
}

/** A stream that starts now, past its opening heartbeat: its mailbox is open. */
export async function openStream(
  tail: EventTail,
  wanted: Subscription,
): Promise<AsyncGenerator<Envelope, void>> {
  const stream = tail.subscribe(wanted);
  const { value } = await stream.next();
  if (value?.kind !== 'heartbeat') throw new Error('a stream that starts now begins with a heartbeat');
  return stream;
}

export function cursorOf(envelope: Envelope | undefined): string {
  if (envelope === undefined) throw new Error('nothing was told');
  if (envelope.kind === 'event') return envelope.event.cursor;
  return envelope.kind === 'gap' ? envelope.to : envelope.cursor;
}
