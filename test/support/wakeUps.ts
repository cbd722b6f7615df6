/** Wake-ups that wake nobody: a test replaces those that it listens to. */
import type { WakeUps } from '../../src/sync/wakeUps.ts';

const nothing = (): void => undefined;

export const noWakeUps: WakeUps = {
  push: nothing,
  read: nothing,
  prices: nothing,
  observe: nothing,
  poll: nothing,
  inbox: nothing,
  job: nothing,
  plan: nothing,
  flush: async () => undefined,
};
