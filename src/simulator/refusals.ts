/** Requests that a channel refuses for now: now and then, nearly always in a storm, and always with a token that has expired. */
import type { EventQueue } from './eventQueue.ts';
import type { Parameters } from './parameters.ts';
import type { Random } from './random.ts';
import { isWithin, windowsOf } from './windows.ts';

/** Share of the requests that a storm refuses. */
const stormRefusal = 0.9;

/** Milliseconds until a refused request may come back; null when it is not refused. */
export type Refusals = (channel: number, random: Random) => number | null;

export function createRefusals(
  parameters: Parameters,
  queue: EventQueue,
  streams: { readonly storms: Random; readonly tokens: Random },
): Refusals {
  const { stormsPerHour, stormTime, refusal, refusalTime } = parameters.faults;
  const storms = windowsOf(streams.storms, stormsPerHour, stormTime, parameters.duration);
  const tokens = createTokens(parameters, queue, streams.tokens);
  return (channel, random) => {
    const renewal = tokens(channel);
    if (renewal !== null) return renewal;
    if (refusal === 0) return null;
    return random.chance(isWithin(storms, queue.now()) ? stormRefusal : refusal)
      ? random.span(refusalTime)
      : null;
  };
}

/** The first request that finds the token expired has it renewed; until then everything is refused, also in the middle of a batch. */
function createTokens(
  { channels, faults }: Parameters,
  queue: EventQueue,
  random: Random,
): (channel: number) => number | null {
  const { tokenTime, renewal } = faults;
  if (tokenTime === 0) return () => null;
  const validUntil = channels.map(() => random.span([0, tokenTime]));
  const renewedAt = channels.map((): number | null => null);
  return (channel) => {
    const now = queue.now();
    if (now < (validUntil[channel] ?? 0)) return null;
    const at = renewedAt[channel] ?? now + random.span(renewal);
    renewedAt[channel] = at;
    if (now < at) return at - now;
    validUntil[channel] = at + tokenTime;
    renewedAt[channel] = null;
    return null;
  };
}
