/** One simulated run: the same seed, parameters and policy give the same result to the last event. */
import { startBuyers, startSupply } from './buyers.ts';
import { startDisturbances } from './disturbances.ts';
import { createEventQueue } from './eventQueue.ts';
import { createLedger } from './ledger.ts';
import type { Parameters } from './parameters.ts';
import { createPolicy, type PolicyName } from './policies.ts';
import type { PolicyResults } from './policy.ts';
import { createWorld, type Listener, type Totals } from './world.ts';

export type RunOptions = {
  readonly seed: number;
  readonly parameters: Parameters;
  readonly policy: PolicyName;
  /** True to check every invariant after every event, and the dear ones after every so many. */
  readonly check: boolean;
  /** True to keep the story of the run. */
  readonly story: boolean;
};

export type RunResult = {
  readonly seed: number;
  readonly totals: Totals;
  readonly results: PolicyResults | null;
  readonly events: number;
  /** What did not hold, and when (milliseconds); null when all held. */
  readonly failure: { readonly message: string; readonly at: number } | null;
  readonly story: readonly StoryLine[];
};

export type StoryLine = { readonly at: number; readonly text: string };

/** So many events lie between two looks at what is too dear, or too seldom true, to be asked after every event. */
const sampleEvery = 200;

/** More than this only a program that wakes itself for ever makes. */
const eventsMax = 1_000_000;

export function run(options: RunOptions): RunResult {
  const { seed, parameters } = options;
  const queue = createEventQueue();
  const story: StoryLine[] = [];
  const note = (text: () => string) => {
    if (options.story) story.push({ at: queue.now(), text: text() });
  };
  const world = createWorld(parameters, queue, seed, note);
  const ledger = createLedger(parameters.items, parameters.stock);
  const policy = createPolicy(options.policy, { world, ledger, seed });
  const listener: Listener = {
    orderVisible: (order) => policy.orderVisible?.(order),
    orderEvent: (order) => policy.orderEvent(order),
    restocked: (item, quantity) => policy.restocked(item, quantity),
    outsideEdit: (unit, delta) => policy.outsideEdit?.(unit, delta),
  };
  policy.start();
  startBuyers({ world, seed, listener });
  startSupply({ world, seed, listener });
  startDisturbances(policy, world, seed);
  let events = 0;
  let failure: RunResult['failure'] = null;
  const checkEvent = () => {
    events += 1;
    if (events > eventsMax) throw new Error('the run does not end');
    if (!options.check) return;
    policy.check?.();
    if (events % sampleEvery > 0) return;
    ledger.check();
    policy.checkCalm?.();
  };
  try {
    while (queue.step(parameters.duration)) checkEvent();
    if (options.check && parameters.quiet > 0) {
      while (queue.step(parameters.duration + parameters.quiet)) checkEvent();
      ledger.check();
      policy.checkRest?.();
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure = { message: error.message, at: queue.now() };
  }
  return { seed, totals: { ...world.totals }, results: policy.results?.() ?? null, events, failure, story };
}
