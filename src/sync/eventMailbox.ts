/** What one subscriber has not taken yet: bounded, and when it overflows it remembers only that the log knows more. */
import type { LogEvent, Subscription } from './eventStream.ts';

export type Mailbox = {
  /** Keeps what the subscriber accepts. Never blocks, never throws and never grows beyond the bound. */
  offer(event: LogEvent): void;
  take(): LogEvent | undefined;
  /** True when events were let go because the subscriber was too slow: they must be read from the log. */
  isBehind(): boolean;
  /** Lets everything go. */
  fallBehind(): void;
  /** Empties the mailbox and starts collecting again. */
  reset(): void;
  /** Called whenever there is something to take or the mailbox fell behind. */
  onNews: () => void;
};

/** `LATEST` keeps one event per subject, in log order; `EVERY` keeps each. `max` counts events. */
export function createMailbox(
  subscription: Pick<Subscription, 'delivery' | 'accepts'>,
  max: number,
): Mailbox {
  const waiting = new Map<string | LogEvent, LogEvent>();
  let behind = false;
  const isAccepted = (event: LogEvent): boolean => {
    try {
      return subscription.accepts(event);
    } catch {
      // It fails again where the log is read for this subscriber, and there it ends this subscriber's stream only.
      mailbox.fallBehind();
      return false;
    }
  };
  const mailbox: Mailbox = {
    onNews: () => {},
    offer(event) {
      if (behind || !isAccepted(event)) return;
      const key = subscription.delivery === 'LATEST' ? event.subjectId : event;
      // Deleting first moves a newer event of the same subject to its own place in the log's order.
      waiting.delete(key);
      if (waiting.size >= max) {
        mailbox.fallBehind();
        return;
      }
      waiting.set(key, event);
      mailbox.onNews();
    },
    take() {
      const first = waiting.entries().next();
      if (first.done === true) return undefined;
      const [key, event] = first.value;
      waiting.delete(key);
      return event;
    },
    isBehind: () => behind,
    fallBehind() {
      waiting.clear();
      behind = true;
      mailbox.onNews();
    },
    reset() {
      waiting.clear();
      behind = false;
    },
  };
  return mailbox;
}
