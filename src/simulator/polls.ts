/** When each channel's orders are asked for: again and again, and sooner while one that was lost could cost an oversell, as the server does. */
import { watchMs } from '../sync/core/limits.ts';
import type { Parameters } from './parameters.ts';
import { channelOf, type World } from './world.ts';

export type Polls = {
  start(): void;
  /** An item is at risk: from now on every channel is asked sooner, for a while. */
  watch(): void;
};

/** The longest until the next poll is answered, or refused: one that was refused before is put off by as long as its answer took. */
export function nextPollMax({ pollEvery, channels }: Parameters): number {
  return pollEvery + 4 * Math.max(...channels.map(({ request }) => request[1]));
}

/** `fetchedAt` says when each channel was asked last, for whatever reason. */
export function createPolls(
  world: World,
  fetchedAt: readonly number[],
  fetch: (channel: number, answered: (told: boolean) => void) => void,
): Polls {
  const { queue, parameters } = world;
  const { channels, pollEvery } = parameters;
  const due = channels.map(() => Number.POSITIVE_INFINITY);
  let watchedUntil = 0;

  function schedule(channel: number, at: number): void {
    const time = Math.max(Math.round(at), queue.now() + 1);
    due[channel] = time;
    queue.at(time, () => {
      // It was brought forward meanwhile.
      if (due[channel] !== time) return;
      fetch(channel, (told) => {
        // A channel that refuses is given the ordinary pause.
        if (!told) schedule(channel, queue.now() + pollEvery);
      });
      schedule(channel, queue.now() + (queue.now() < watchedUntil ? watchful(channel) : pollEvery));
    });
  }

  function watchful(channel: number): number {
    return Math.min(pollEvery, channelOf(parameters, channel).pollWatchful);
  }

  return {
    start() {
      channels.forEach((_, channel) => schedule(channel, (pollEvery * (channel + 1)) / channels.length));
    },
    watch() {
      watchedUntil = queue.now() + watchMs;
      channels.forEach((_, channel) => {
        const at = (fetchedAt[channel] ?? 0) + watchful(channel);
        if (at < (due[channel] ?? 0)) schedule(channel, at);
      });
    },
  };
}
