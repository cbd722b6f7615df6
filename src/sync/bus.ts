/** Wake-ups between the parts of one process and, over Redis, between processes. A lost one delays, it never loses: readers also look by themselves. */
import type { Redis } from 'ioredis';

/** `log`: the event log has grown. */
export type WakeUp = 'log';

export interface Bus {
  publish(wakeUp: WakeUp): void;
  /** For whoever has brought this process up to date by itself. */
  publishToOthers(wakeUp: WakeUp): void;
  /** Answers the function that ends the subscription. */
  subscribe(wakeUp: WakeUp, listener: () => void): () => void;
  close(): Promise<void>;
}

export function createLocalBus(): Bus {
  const listeners = new Map<WakeUp, Set<() => void>>();
  return {
    publish(wakeUp) {
      for (const listener of listeners.get(wakeUp) ?? []) listener();
    },
    publishToOthers: () => undefined,
    subscribe(wakeUp, listener) {
      const set = listeners.get(wakeUp) ?? new Set();
      listeners.set(wakeUp, set.add(listener));
      return () => set.delete(listener);
    },
    close: () => Promise.resolve(),
  };
}

/** Listeners of this process hear at once and without Redis; other processes hear through it. */
export function createRedisBus(redis: Redis, onError: (error: Error) => void): Bus {
  const local = createLocalBus();
  const channel = 'listgenius:wake:';
  const origin = crypto.randomUUID();
  const subscriber = redis.duplicate({ lazyConnect: false, autoResubscribe: false });
  subscriber.on('error', onError);
  subscriber.on('message', (name: string, message: string) => {
    if (message !== origin) local.publish(name.slice(channel.length) as WakeUp);
  });
  // On every connection anew: a subscription asked for while Redis was away is given up after some attempts.
  subscriber.on('ready', () => void subscriber.subscribe(`${channel}log`).catch(onError));
  const publishToOthers = (wakeUp: WakeUp): void => {
    // While Redis is away nothing is queued: the other processes find out by their own look.
    if (redis.status === 'ready') redis.publish(channel + wakeUp, origin).catch(onError);
  };
  return {
    publish(wakeUp) {
      local.publish(wakeUp);
      publishToOthers(wakeUp);
    },
    publishToOthers,
    subscribe: local.subscribe,
    close() {
      subscriber.disconnect();
      return local.close();
    },
  };
}
