/** One reader of the event log per process, and any number of subscribers fed from it: live when they keep up, from the log when not. */
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db.ts';
import type { Bus } from './bus.ts';
import { decodeCursor, encodeCursor, includes, isVisible, type Position, positionAt } from './eventCursor.ts';
import { adoptRestoredLog, logState, readLog } from './eventLog.ts';
import { createMailbox, type Mailbox } from './eventMailbox.ts';
import {
  type Envelope,
  type EventStream,
  type GapReason,
  InvalidCursorError,
  type LogEvent,
  type Subscription,
} from './eventStream.ts';

export type EventTailOptions = {
  readonly db: Queryable;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Events kept for one subscriber before it is served from the log. */
  readonly mailboxMax: number;
  readonly heartbeatIntervalMs: number;
  /** How long a lost wake-up can delay delivery. */
  readonly lookIntervalMs: number;
  readonly onError: (error: unknown) => void;
};

export type EventTail = EventStream & {
  /** Resolves when the tail stands at the present end of the log. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

const pageMax = 500;

export function createEventTail(options: EventTailOptions): EventTail {
  const { db, bus, clock } = options;
  const mailboxes = new Map<string, Set<Mailbox>>();
  const stopping = new AbortController();
  const news = createSignal();
  let position: Position | undefined;
  let running: Promise<void> = Promise.resolve();

  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const page = await readLog(db, at(), null, pageMax);
        // Retention has overtaken this process: each subscriber finds out in the log what that means for it.
        if (page.lost !== null) everybodyFallsBehind();
        dispatch(page.events);
        position = page.next;
        if (page.atEnd) await news.wait(clock, options.lookIntervalMs);
      } catch (error) {
        if (stopping.signal.aborted) return;
        options.onError(error);
        await clock.sleep(options.lookIntervalMs, stopping.signal);
      }
    }
  }

  function dispatch(events: readonly LogEvent[]): void {
    for (const event of events) {
      for (const mailbox of mailboxes.get(`${event.accountId} ${event.topic}`) ?? []) mailbox.offer(event);
    }
  }

  function everybodyFallsBehind(): void {
    for (const set of mailboxes.values()) {
      for (const mailbox of set) mailbox.fallBehind();
    }
  }

  function at(): Position {
    if (position === undefined) throw new Error('the event tail has not been started');
    return position;
  }

  function enlist(subscription: Subscription, mailbox: Mailbox): () => void {
    const key = `${subscription.accountId} ${subscription.topic}`;
    const set = mailboxes.get(key) ?? new Set();
    mailboxes.set(key, set.add(mailbox));
    return () => {
      set.delete(mailbox);
      if (set.size === 0) mailboxes.delete(key);
    };
  }

  async function* subscribe(subscription: Subscription): AsyncGenerator<Envelope, void> {
    // The mailbox opens before the log is read, so that nothing can fall between replay and live.
    const mailbox = createMailbox(subscription, options.mailboxMax);
    const leave = enlist(subscription, mailbox);
    const arrival = createSignal();
    mailbox.onNews = arrival.notify;
    subscription.signal.addEventListener('abort', arrival.notify, { once: true });
    try {
      const start = await openPosition(subscription, at());
      if (start.gap !== null) yield start.gap;
      // A client that is cut before the first event needs a cursor too.
      if (subscription.after === null && !subscription.signal.aborted)
        yield { kind: 'heartbeat', cursor: encodeCursor(start.position) };
      let from = start.position;
      let replaying = start.replay;
      while (!subscription.signal.aborted) {
        if (replaying) from = yield* replay(subscription, from);
        from = yield* fromMailbox(subscription, mailbox, arrival, from);
        replaying = true;
      }
    } finally {
      subscription.signal.removeEventListener('abort', arrival.notify);
      leave();
    }
  }

  /** From the log until its end, over whatever retention has removed meanwhile; the last position is the answer. */
  async function* replay(subscription: Subscription, start: Position): AsyncGenerator<Envelope, Position> {
    for (let from = start; ; ) {
      const page = await readLog(db, from, subscription, pageMax);
      if (page.lost !== null) {
        yield { kind: 'gap', from: encodeCursor(from), to: encodeCursor(page.lost), reason: 'RETENTION' };
        from = page.lost;
        continue;
      }
      for (const event of newest(subscription, page.events)) {
        if (subscription.signal.aborted) return from;
        yield { kind: 'event', event };
      }
      from = page.next;
      if (page.atEnd) return from;
    }
  }

  /** From the mailbox until it falls behind or the subscription ends; answers the position reached. */
  async function* fromMailbox(
    subscription: Subscription,
    mailbox: Mailbox,
    arrival: Signal,
    replayed: Position,
  ): AsyncGenerator<Envelope, Position> {
    let reached = replayed;
    while (!subscription.signal.aborted) {
      if (mailbox.isBehind()) {
        mailbox.reset();
        return reached;
      }
      const event = mailbox.take();
      if (event !== undefined) {
        if (!isVisible(replayed.base, event.xid)) {
          const read = decodeCursor(event.cursor);
          // A replay can have read further than the tail had: resuming here must not tell again what only the replay knew.
          const aligned = includes(read.base, replayed.base);
          reached = aligned ? read : { ...read, base: replayed.base };
          yield { kind: 'event', event: aligned ? event : { ...event, cursor: encodeCursor(reached) } };
        }
        continue;
      }
      // With an empty mailbox everything up to the tail's position has been taken.
      reached = later(at(), reached);
      const woken = await arrival.wait(clock, options.heartbeatIntervalMs);
      if (!woken && !subscription.signal.aborted) yield { kind: 'heartbeat', cursor: encodeCursor(reached) };
    }
    return reached;
  }

  async function openPosition(subscription: Subscription, live: Position): Promise<Opening> {
    if (subscription.after === null) return { position: live, replay: false, gap: null };
    const wanted = decodeCursor(subscription.after);
    const state = await logState(db);
    const from = subscription.after;
    if (wanted.epoch > state.epoch) throw new InvalidCursorError('the cursor was not made by this server');
    // A cursor that has seen more than there is was made before the database went back to an earlier state.
    if (wanted.epoch < state.epoch || !includes(state.now, wanted.upTo ?? wanted.base)) {
      return gapTo(positionAt(state.epoch, state.now), from, 'LOG_REPLACED');
    }
    return { position: wanted, replay: true, gap: null };
  }

  return {
    subscribe,
    async oldestCursor() {
      const { epoch, pruned, now } = await logState(db);
      return encodeCursor(
        positionAt(epoch, pruned ?? { ...now, text: '1:1:', xmin: 1n, xmax: 1n, running: new Set() }),
      );
    },
    async start() {
      await adoptRestoredLog(db);
      const { epoch, now } = await logState(db);
      position = positionAt(epoch, now);
      const unsubscribe = bus.subscribe('log', news.notify);
      running = follow().finally(unsubscribe);
    },
    async stop() {
      stopping.abort();
      news.notify();
      await running;
    },
  };
}

type Opening = { readonly position: Position; readonly replay: boolean; readonly gap: Envelope | null };

function gapTo(position: Position, from: string, reason: GapReason): Opening {
  return { position, replay: true, gap: { kind: 'gap', from, to: encodeCursor(position), reason } };
}

function newest(subscription: Subscription, events: readonly LogEvent[]): readonly LogEvent[] {
  const accepted = events.filter(subscription.accepts);
  if (subscription.delivery === 'EVERY') return accepted;
  const last = new Map(accepted.map((event) => [event.subjectId, event]));
  return accepted.filter((event) => last.get(event.subjectId) === event);
}

/** The tail's position when it is past `reached`; a replay can have read further than the tail has. */
function later(tail: Position, reached: Position): Position {
  const horizon = reached.upTo ?? reached.base;
  return tail.upTo === null && includes(tail.base, horizon) ? tail : reached;
}

type Signal = {
  notify(): void;
  /** True when notified, before or while waiting; false when `ms` passed. One waiter at a time. */
  wait(clock: Clock, ms: number): Promise<boolean>;
};

function createSignal(): Signal {
  let pending = false;
  let wake: (() => void) | undefined;
  return {
    notify() {
      pending = true;
      wake?.();
    },
    async wait(clock, ms) {
      if (!pending) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const cancel = clock.timer(ms, resolve);
        await promise;
        cancel();
        wake = undefined;
      }
      const was = pending;
      pending = false;
      return was;
    },
  };
}
