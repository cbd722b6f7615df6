/** Raises that stand in a queue of their channel (an Amazon feed): it is worked off when the channel pleases, and may leave some of them out. */
import { verifyIntervalMs } from '../sync/core/limits.ts';
import type { EventQueue } from './eventQueue.ts';
import { minute, type Parameters } from './parameters.ts';
import type { Random, Span } from './random.ts';

/** What is told of a queue: when it was worked off, and whether its report refuses the raise. */
export type QueueEnd = { readonly at: number; readonly refused: boolean };

type Standing = {
  readonly lands: () => void;
  readonly note: (what: string) => void;
  readonly ended: (end: QueueEnd) => void;
};

/** What is not left out is carried out when the queue is worked off, which the hub asks for ever more seldom. */
export function stand(
  queue: EventQueue,
  random: Random,
  queueTime: Span,
  { lands, note, ended }: Standing,
): void {
  const time = Math.round(random.span(queueTime));
  const at = queue.now() + time;
  const fate = random.next();
  const told = Math.round(at + random.span([0, Math.max(verifyIntervalMs, time / 8)]));
  queue.at(at, () => {
    const refused = fate >= 0.8 && fate < 0.9;
    if (fate < 0.8) {
      note('will land');
      lands();
    } else note(refused ? 'is refused' : 'is left out');
    queue.at(told, () => ended({ at, refused }));
  });
}

/** What never came to stand in a queue is not to be found there; until then it might have been. */
export function findNone(queue: EventQueue, sentAt: number, ended: Standing['ended']): void {
  queue.at(sentAt + 5 * minute, () => ended({ at: sentAt, refused: false }));
}

/** Every raise of the slow channel that may stands in a queue. */
export function withQueues(world: Parameters): Parameters {
  const queueTime: Span = [3 * minute, 20 * minute];
  const channels = world.channels.map((channel) =>
    channel.effect[1] > 0 ? { ...channel, queueTime } : channel,
  );
  // A raise may wait for one queue, take another, and be written a third time.
  return { ...world, channels, quiet: world.quiet + 4 * queueTime[1] };
}
