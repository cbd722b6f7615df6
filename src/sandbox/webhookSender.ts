/** Sends webhooks at least once with retries, and, when a fault says so, late, twice, out of order or never. Bounded in memory and sockets. */
import type { Delivery } from './channel.ts';
import type { Cancel, Clock } from './clock.ts';
import type { Faults } from './faults.ts';
import type { Platform } from './goods.ts';
import { Ring } from './ring.ts';

export type Attempt = {
  readonly at: number;
  readonly deliveryId: string;
  readonly topic: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Null: no answer, or not sent at all. */
  readonly status: number | null;
  readonly outcome: 'delivered' | 'failed' | 'givenUp' | 'lost' | 'noTarget' | 'overflow';
};

export type WebhookSenderOptions = {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly faults: Faults;
  /** Waits before the second, third, ... attempt, in milliseconds. The marketplaces' own schedules last hours; this one is shortened. */
  readonly retryDelaysMs?: readonly number[];
  /** Requests under way at once. Above 1 the order of arrival is open, as in reality. */
  readonly concurrency?: number;
  /** Shopify waits 5 s for an answer. */
  readonly timeoutMs?: number;
  /** Deliveries waiting at once; more are dropped and journalled as `overflow`. */
  readonly queueMax?: number;
  readonly attemptsKept?: number;
};

export type WebhookSender = {
  readonly attempts: Ring<Attempt>;
  /** Where webhooks go; null while nobody listens: deliveries are then dropped, as on a marketplace without a subscription. */
  target: string | null;
  send(delivery: Delivery): void;
  /** Resolves when nothing is queued, under way or waiting for a retry. */
  idle(): Promise<void>;
  /** Aborts what is under way and forgets the rest. */
  stop(): Promise<void>;
};

/** Eight retries, like Shopify, over about two minutes instead of four hours. */
export const shortenedRetryDelaysMs: readonly number[] = [
  500, 1000, 2000, 4000, 8000, 15_000, 30_000, 60_000,
];

type Job = { readonly delivery: Delivery; readonly attempt: number };

export function createWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { platform, clock, faults } = options;
  const retryDelaysMs = options.retryDelaysMs ?? shortenedRetryDelaysMs;
  const concurrency = options.concurrency ?? 8;
  const timeoutMs = options.timeoutMs ?? 5000;
  const queueMax = options.queueMax ?? 10_000;

  const attempts = new Ring<Attempt>(options.attemptsKept ?? 5000);
  const queue: Job[] = [];
  const timers = new Set<Cancel>();
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  let held: (() => void)[] = [];
  let idleWaiters: (() => void)[] = [];

  const note = (job: Job, status: number | null, outcome: Attempt['outcome']) => {
    const { id, topic } = job.delivery;
    attempts.push({ at: clock.now(), deliveryId: id, topic, attempt: job.attempt, status, outcome });
  };

  function later(delayMs: number, run: () => void): Cancel {
    const cancelTimer = clock.after(delayMs, () => {
      timers.delete(cancel);
      run();
    });
    const cancel = () => {
      cancelTimer();
      timers.delete(cancel);
    };
    timers.add(cancel);
    return cancel;
  }

  function enqueue(job: Job): void {
    if (queue.length >= queueMax) note(job, null, 'overflow');
    else queue.push(job);
    pump();
  }

  function pump(): void {
    while (underWay.size < concurrency && !stopping.signal.aborted) {
      const job = queue.shift();
      if (job === undefined) break;
      const run = attempt(job).finally(() => {
        underWay.delete(run);
        pump();
      });
      underWay.add(run);
    }
    if (queue.length + underWay.size + timers.size > 0) return;
    for (const resolve of idleWaiters) resolve();
    idleWaiters = [];
  }

  async function attempt(job: Job): Promise<void> {
    const status = await post(job);
    if (stopping.signal.aborted) return;
    if (status !== null && status >= 200 && status < 300) return note(job, status, 'delivered');
    const delay = retryDelaysMs[job.attempt - 1];
    note(job, status, delay === undefined ? 'givenUp' : 'failed');
    if (delay !== undefined) later(delay, () => enqueue({ ...job, attempt: job.attempt + 1 }));
  }

  async function post({ delivery, attempt: number }: Job): Promise<number | null> {
    const target = delivery.target ?? sender.target;
    if (target === null) return null;
    try {
      const response = await fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...delivery.headers(number, clock.now()) },
        body: delivery.bodyOf?.(number) ?? delivery.body,
        redirect: 'manual',
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return null;
    }
  }

  /** Lets everything go that waited to be overtaken. */
  function releaseHeld(): void {
    const released = held;
    held = [];
    for (const release of released) release();
  }

  const sender: WebhookSender = {
    attempts,
    target: null,
    send(delivery) {
      if (stopping.signal.aborted) return;
      const job: Job = { delivery, attempt: 1 };
      if ((delivery.target ?? sender.target) === null) return note(job, null, 'noTarget');
      const hit = faults.forWebhook(platform, delivery.topic);
      if (hit.lost) return note(job, null, 'lost');
      const go = () => {
        enqueue(job);
        if (hit.doubled) enqueue(job);
      };
      if (hit.reorderWaitMs !== null) {
        const cancel = later(hit.reorderWaitMs, () => {
          held = held.filter((each) => each !== release);
          go();
        });
        const release = () => {
          cancel();
          go();
        };
        held.push(release);
        return;
      }
      if (hit.delayMs > 0) later(hit.delayMs, go);
      else go();
      releaseHeld();
    },
    idle() {
      return new Promise((resolve) => {
        idleWaiters.push(resolve);
        pump();
      });
    },
    async stop() {
      stopping.abort();
      for (const cancel of timers) cancel();
      timers.clear();
      queue.length = 0;
      held = [];
      await Promise.all(underWay);
      pump();
    },
  };
  return sender;
}
