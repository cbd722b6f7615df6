/** The faults of the simulated world on the real wire: lost, late and doubled webhooks, lost answers, refusals, storms and expired tokens. */
import { platforms } from '../connectors/connector.ts';
import type { Platform } from '../sandbox/goods.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { channelOf, type LivePace } from './livePace.ts';
import type { Parameters } from './parameters.ts';
import { createRandom, streams } from './random.ts';
import { windowsOf } from './windows.ts';

/** The calls that change what a marketplace shows. */
const writes: Readonly<Record<Platform, string>> = {
  etsy: 'updateListingInventory',
  amazon: 'patchListingsItem',
  ebay: 'bulkUpdatePriceQuantity',
  shopify: 'inventorySetQuantities',
};

/** Nearly everything is refused in a storm. */
const stormRefusal = 0.9;

/** What is wrong all the time, the quiet after the hour included. */
export function startFaults(sandbox: Sandbox, world: Parameters, pace: LivePace): void {
  const { faults, answerLoss, duplicates } = world;
  const refused = pace.real((faults.refusalTime[0] + faults.refusalTime[1]) / 2);
  for (const platform of platforms) {
    const { event, eventLoss } = channelOf(world, platform);
    const chances = [
      { kind: 'webhookLost', probability: eventLoss },
      { kind: 'webhookDoubled', probability: duplicates },
      { kind: 'lostAnswer', probability: answerLoss, operation: writes[platform] },
      { kind: 'refusedConnection', probability: faults.requestLoss },
      { kind: 'serverError', probability: faults.unreadable },
      { kind: 'rateLimit', probability: faults.refusal, retryAfterSeconds: Math.ceil(refused) / 1_000 },
    ] as const;
    for (const fault of chances) if (fault.probability > 0) sandbox.faults.add({ platform, ...fault });
    const delayMs = { min: pace.real(event[0]), max: pace.real(event[1]) };
    sandbox.faults.add({ platform, kind: 'webhookLate', delayMs });
  }
}

export type Timed = {
  /** Simulated milliseconds since the start. */
  readonly at: number;
  readonly run: () => void | Promise<void>;
};

/** What is wrong now and then within the hour. */
export function disturbancesOf(sandbox: Sandbox, world: Parameters, seed: number): readonly Timed[] {
  const { faults, duration } = world;
  const storms = createRandom(seed, streams.storms);
  const tokens = createRandom(seed, streams.tokens);
  return platforms.flatMap((platform) => {
    const timed: Timed[] = [];
    for (const { from, until } of windowsOf(storms, faults.stormsPerHour, faults.stormTime, duration))
      timed.push(...stormOf(sandbox, platform, { from, until: Math.min(until, duration) }));
    if (faults.tokenTime === 0) return timed;
    for (let at = faults.tokenTime * tokens.next(); at < duration; at += faults.tokenTime)
      timed.push({ at, run: () => sandbox.expireTokens(platform) });
    return timed;
  });
}

function stormOf(
  sandbox: Sandbox,
  platform: Platform,
  { from, until }: { readonly from: number; readonly until: number },
): readonly Timed[] {
  let fault: string | null = null;
  return [
    {
      at: from,
      run: () => {
        fault = sandbox.faults.add({ platform, kind: 'serverError', probability: stormRefusal });
      },
    },
    {
      at: until,
      run: () => {
        if (fault !== null) sandbox.faults.remove(fault);
      },
    },
  ];
}
