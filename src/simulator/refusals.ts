/** Requests that a channel refuses for now: now and then, nearly always in its storms, beyond its budget of calls, and with a token that has expired. */
import type { EventQueue } from './eventQueue.ts';
import { minute, type Parameters } from './parameters.ts';
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
  const storms = parameters.channels.map(() =>
    windowsOf(streams.storms, stormsPerHour, stormTime, parameters.duration),
  );
  const tokens = createTokens(parameters, queue, streams.tokens);
  const budget = createBudget(parameters, queue);
  return (channel, random) => {
    const renewal = tokens(channel);
    if (renewal !== null) return renewal;
    const refill = budget(channel);
    if (refill !== null) return refill;
    const chance = isWithin(storms[channel] ?? [], queue.now()) ? stormRefusal : refusal;
    return chance > 0 && random.chance(chance) ? random.span(refusalTime) : null;
  };
}

/** A bucket of calls per channel that fills up evenly; a refused call takes nothing out of it. */
function createBudget(
  { channels, faults }: Parameters,
  queue: EventQueue,
): (channel: number) => number | null {
  const { callsMax, callsPerMinute } = faults;
  if (callsPerMinute === 0) return () => null;
  const perMs = callsPerMinute / minute;
  const left = channels.map(() => callsMax);
  const filledAt = channels.map(() => 0);
  return (channel) => {
    const passed = queue.now() - (filledAt[channel] ?? 0);
    filledAt[channel] = queue.now();
    const calls = Math.min(callsMax, (left[channel] ?? 0) + passed * perMs);
    left[channel] = calls < 1 ? calls : calls - 1;
    return calls < 1 ? Math.ceil((1 - calls) / perMs) : null;
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
