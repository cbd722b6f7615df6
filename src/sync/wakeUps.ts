/** Tells the workers where to look. A wake-up carries no state: losing one only means that the supervisor finds the work a moment later. */

import type { WorkerUtils } from 'graphile-worker';
import { withRetry } from '../dbErrors.ts';

export type WakeUps = {
  /** These connections have listings to bring in step. */
  push(connectionIds: readonly string[]): void;
  /** These connections have listings to read. */
  read(connectionIds: readonly string[]): void;
  /** These connections have prices to look at. */
  prices(connectionIds: readonly string[]): void;
  /** These connections have listings to look at that nothing is written to. */
  observe(connectionIds: readonly string[]): void;
  /** These connections are due for an order poll. */
  poll(connectionIds: readonly string[]): void;
  /** Deliveries are waiting. */
  inbox(): void;
  /** A job over many items has work to queue. */
  job(jobId: string): void;
  /** A plan has work to do. */
  plan(planId: string): void;
  /** Resolves when everything told so far has been handed over. */
  flush(): Promise<void>;
};

export type TaskName = 'push' | 'read' | 'prices' | 'observe' | 'poll' | 'inbox' | 'job' | 'plan';

type Wanted = { readonly task: TaskName; readonly subject: string | null };

/** Wake-ups within one turn of the event loop, or while `pause` lasts after a statement, go out in one statement, each once. */
export function createWakeUps(
  queue: Pick<WorkerUtils, 'addJobs'>,
  onError: (error: unknown) => void,
  pause: () => Promise<void> = () => Promise.resolve(),
): WakeUps {
  const waiting = new Map<string, Wanted>();
  let sending: Promise<void> | undefined;

  async function send(): Promise<void> {
    while (waiting.size > 0) {
      const batch = [...waiting];
      waiting.clear();
      const jobs = batch.map(([key, { task, subject }]) => ({
        identifier: task,
        payload: { subject },
        // A job that already waits is kept, one that already runs gets a successor: no wake-up is lost and none piles up.
        jobKey: key,
        maxAttempts: 1,
      }));
      // Two processes that tell of the same subjects, or of a task for the first time, may meet in a deadlock inside the queue.
      await withRetry(() => queue.addJobs(jobs)).catch(onError);
      await pause();
    }
    sending = undefined;
  }

  function want(task: TaskName, subject: string | null): void {
    waiting.set(subject === null ? task : `${task}:${subject}`, { task, subject });
    sending ??= Promise.resolve().then(send);
  }

  return {
    push: (ids) => ids.forEach((id) => want('push', id)),
    read: (ids) => ids.forEach((id) => want('read', id)),
    prices: (ids) => ids.forEach((id) => want('prices', id)),
    observe: (ids) => ids.forEach((id) => want('observe', id)),
    poll: (ids) => ids.forEach((id) => want('poll', id)),
    inbox: () => want('inbox', null),
    job: (id) => want('job', id),
    plan: (id) => want('plan', id),
    async flush() {
      // Wake-ups told while we wait are sent by the same loop.
      await sending;
    },
  };
}
