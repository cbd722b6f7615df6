/** One reader of the event log per process, and any number of subscribers fed from it: live when they keep up, from the log when not. */
import type { Clock } from '../clock.ts';
import type { Queryable } from '../db.ts';
import type { Bus } from './bus.ts';
import { decodeCursor, encodeCursor, includes, isVisible, type Position, positionAt } from './eventCursor.ts';
import { adoptRestoredLog, type LogPage, logState, readLog } from './eventLog.ts';
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
  /**
   * Reads on over this connection, right behind what was sent on it before, which spares whoever has just written a second way there and back. True
   * when everything committed by then has been told; false leaves it to the next wake-up. Never throws.
   */
  lookOver(connection: Queryable): Promise<boolean>;
};

const pageMax = 500;
/** Looks over others' connections at the same time; in a rush one reading of the tail's own serves many. */
const looksMax = 4;

export function createEventTail(options: EventTailOptions): EventTail {
  const { db, bus, clock } = options;
  const mailboxes = new Map<string, Set<Mailbox>>();
  const stopping = new AbortController();
  const news = createSignal();
  let position: Position | undefined;
  let running: Promise<void> = Promise.resolve();
  let looks = 0;

  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const from = at();
        const page = await readLog(db, from, null, pageMax);
        if (accept(from, page)) await news.wait(clock, options.lookIntervalMs);
      } catch (error) {
        if (stopping.signal.aborted) return;
        options.onError(error);
        await clock.sleep(options.lookIntervalMs, stopping.signal);
      }
    }
  }

  async function lookOver(connection: Queryable): Promise<boolean> {
    if (position === undefined || position.upTo !== null || looks >= looksMax) return false;
    looks += 1;
    const from = position;
    // Its writer has an answer of its own; what went wrong with the reading shows at the tail's own.
    const page = await readLog(connection, from, null, pageMax).catch(() => null);
    looks -= 1;
    return page !== null && !stopping.signal.aborted && accept(from, page);
  }

  /**
   * Tells a page and moves on to its end. Several readings may be under way at once: what another has told meanwhile is left out, and a page that
   * is older than what has been told is of no use. True when everything that the page's moment could see has been told.
   */
  function accept(from: Position, page: LogPage): boolean {
    // Retention has overtaken this process: each subscriber finds out in the log what that means for it.
    if (page.lost !== null) everybodyFallsBehind();
    const live = at();
    if (live === from) {
      dispatch(page.events);
      position = page.next;
      return page.atEnd;
    }
    if (!page.atEnd || live.upTo !== null) return false;
    if (!includes(page.next.base, live.base)) return true;
    dispatch(
      page.events.filter(({ xid }) => !isVisible(live.base, xid)).map((event) => onto(live.base, event)),
    );
    position = page.next;
    return true;
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
    let quiet = false;
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
      if (quiet) yield { kind: 'heartbeat', cursor: encodeCursor(reached) };
      quiet = !(await arrival.wait(clock, options.heartbeatIntervalMs));
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
    lookOver,
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

/** Resuming after it must not tell again what lies between where its page began and `base`. */
function onto(base: Position['base'], event: LogEvent): LogEvent {
  return { ...event, cursor: encodeCursor({ ...decodeCursor(event.cursor), base }) };
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
