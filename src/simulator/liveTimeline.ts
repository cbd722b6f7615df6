/** What happened in a run, in order of time: buyers, what each marketplace showed, what it was asked, what was written and answered, and the ledger. */
import { platforms } from '../connectors/connector.ts';
import type { LiveFacts } from './liveFacts.ts';
import type { LivePace } from './livePace.ts';
import type { Happening, LiveWorld } from './liveWorld.ts';

/** The newest lines that are told. */
const linesMax = 6_000;

export function liveTimeline(
  world: LiveWorld,
  facts: LiveFacts | null,
  pace: LivePace,
  startedAt: number,
): readonly string[] {
  const own = facts === null ? [] : [...writeLines(facts), ...ledgerLines(facts)];
  const all = [...world.story, ...channelLines(world), ...own].toSorted((one, other) => one.at - other.at);
  const told = all.slice(-linesMax).map(({ at, text }) => {
    const simulated = ((at - startedAt) * pace.compress) / 1_000;
    return `  ${simulated.toFixed(1).padStart(8)} s  ${text}`;
  });
  const left = all.length - told.length;
  return left > 0 ? [`  (${left} earlier lines are left out)`, ...told] : told;
}

function channelLines({ sandbox }: LiveWorld): readonly Happening[] {
  return platforms.flatMap((platform) => {
    const changes = sandbox.shops[platform].journal.values().map(
      ({ at, sku, cause, from, to, requestedAt }): Happening => ({
        at,
        text: `${platform} ${sku}: ${cause} ${from} -> ${to}${at > requestedAt ? ` (asked ${at - requestedAt} ms ago)` : ''}`,
      }),
    );
    const asked = sandbox.requests(platform).map(
      ({ at, operation, status }): Happening => ({
        at,
        text: `${platform} was asked ${operation}: ${status ?? 'no answer'}`,
      }),
    );
    const told = sandbox.webhooks[platform].attempts
      .values()
      .map(({ at, topic, outcome }): Happening => ({ at, text: `${platform} tells ${topic}: ${outcome}` }));
    return changes.concat(asked, told);
  });
}

function writeLines({ writes }: LiveFacts): readonly Happening[] {
  return writes.flatMap(
    ({ platform, sku, quantity, expected, targetSeq, state, error, sentAt, answeredAt }) => [
      {
        at: sentAt.getTime(),
        text: `write ${platform} ${sku} = ${quantity}${expected === null ? '' : ` over ${expected}`} for seq ${targetSeq}`,
      },
      ...(answeredAt === null
        ? []
        : [
            {
              at: answeredAt.getTime(),
              text: `answer ${platform} ${sku} = ${quantity} (seq ${targetSeq}), by now ${state}${error === null ? '' : `: ${error}`}`,
            },
          ]),
    ],
  );
}

function ledgerLines({ movements }: LiveFacts): readonly Happening[] {
  return movements.map(({ sku, seq, kind, onHandDelta, reservedDelta, at }) => ({
    at: at.getTime(),
    text: `ledger ${sku} seq ${seq}: ${kind}, on hand ${signed(onHandDelta)}, reserved ${signed(reservedDelta)}`,
  }));
}

function signed(units: number): string {
  return units < 0 ? String(units) : `+${units}`;
}
