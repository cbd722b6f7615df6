/** Resumable subscriptions over the event log: replay after a cursor, then live, with every gap made explicit. */

export const eventTopics = ['stock', 'order', 'alert', 'conflict', 'job', 'plan'] as const;
export type EventTopic = (typeof eventTopics)[number];

/** One row of the log. The same object is given to every subscriber, so work done for it can be shared. */
export type LogEvent = {
  readonly topic: EventTopic;
  readonly accountId: string;
  /** The item, order, alert, conflict, job or plan it is about. */
  readonly subjectId: string;
  /** The item's ledger seq, for stock events: within one item it only grows. */
  readonly itemSeq: number | null;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  /** The transaction that wrote it. */
  readonly xid: bigint;
  /** Opaque; resume after it. */
  readonly cursor: string;
};

export type GapReason =
  /** The log no longer reaches back to the cursor. */
  | 'RETENTION'
  /** The cursor belongs to a log that was replaced (restored from a backup). */
  | 'LOG_REPLACED';

export type Envelope =
  | { readonly kind: 'event'; readonly event: LogEvent }
  /** Events after `from` up to `to` will not come. */
  | { readonly kind: 'gap'; readonly from: string | null; readonly to: string; readonly reason: GapReason }
  /** Nothing happened, and this is how far the log has been read: a cursor to resume from. */
  | { readonly kind: 'heartbeat'; readonly cursor: string };

export type Subscription = {
  readonly accountId: string;
  readonly topic: EventTopic;
  /** Null starts now, and the first envelope is then a heartbeat: the cursor of the start. */
  readonly after: string | null;
  /** EVERY: each event, from the log when the consumer is slower than the live stream. LATEST: only the newest per subject. */
  readonly delivery: 'EVERY' | 'LATEST';
  /** Narrows further; must be pure. */
  readonly accepts: (event: LogEvent) => boolean;
  /** Ends the stream, e.g. when the key is revoked. */
  readonly signal: AbortSignal;
};

export class InvalidCursorError extends Error {
  override readonly name = 'InvalidCursorError';
  readonly code = 'INVALID_CURSOR';
}

export interface EventStream {
  subscribe(subscription: Subscription): AsyncGenerator<Envelope, void>;
  /** The oldest cursor that can be resumed from without a gap. */
  oldestCursor(): Promise<string>;
}
