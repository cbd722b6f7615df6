/** A failing run made small: the fewest faults, channels, items and buyers, and the shortest time, that still break the same promise, told as a timeline. */
import { isDeepStrictEqual } from 'node:util';
import { type Faults, hour, type Parameters, second } from './parameters.ts';
import { type RunOptions, type RunResult, run } from './run.ts';

const attemptsMax = 600;

type Case = { readonly options: RunOptions; readonly result: RunResult };

/** The name of the promise that a message begins with: only the same failure counts as the same. */
function promiseOf(result: RunResult): string | null {
  return result.failure && (/^[A-Z]\d+/.exec(result.failure.message)?.[0] ?? result.failure.message);
}

/** The smallest case found within a bounded number of runs; null when the run does not fail. */
export function shrunk(options: RunOptions): Case | null {
  const broken = run({ ...options, check: true, story: true });
  const promise = promiseOf(broken);
  if (promise === null) return null;
  let smallest: Case = { options: { ...options, check: true, story: true }, result: broken };
  let attempts = 0;
  const attempt = (parameters: Parameters): void => {
    if (attempts === attemptsMax || isDeepStrictEqual(parameters, smallest.options.parameters)) return;
    attempts += 1;
    const result = run({ ...smallest.options, parameters });
    if (promiseOf(result) === promise) smallest = { options: { ...smallest.options, parameters }, result };
  };
  // What one simplification has made possible another may use.
  for (let before: Case | null = null; before !== smallest; ) {
    before = smallest;
    for (const simpler of simplifications) attempt(simpler(smallest.options.parameters, smallest.result));
    dropChannels(() => smallest, attempt);
    dropBuyers(() => smallest, attempt);
  }
  return smallest;
}

const simplifications: readonly ((parameters: Parameters, result: RunResult) => Parameters)[] = [
  // Nothing after the failure matters; often much before it does not either.
  (parameters, { failure }) => ({
    ...parameters,
    duration: Math.min(parameters.duration, Math.max(second, Math.ceil(failure?.at ?? parameters.duration))),
  }),
  (parameters) => ({ ...parameters, duration: Math.ceil(parameters.duration / 2) }),
  (parameters) => ({ ...parameters, items: Math.max(1, parameters.items - 1) }),
  ...(
    [
      'crashesPerHour',
      'stormsPerHour',
      'refusal',
      'callsPerMinute',
      'requestLoss',
      'unreadable',
      'tokenTime',
      'burstsPerHour',
      'wipesPerHour',
      'doublesPerHour',
      'cancel',
      'edit',
      'twoUnits',
      'twoItems',
    ] as const
  ).map((fault: keyof Faults) => (parameters: Parameters) => ({
    ...parameters,
    faults: { ...parameters.faults, [fault]: 0 },
  })),
  (parameters) => ({ ...parameters, duplicates: 0 }),
  (parameters) => ({ ...parameters, answerLoss: 0 }),
  (parameters) => ({ ...parameters, staleness: [0, 0] }),
  (parameters) => ({ ...parameters, restock: 0 }),
  (parameters) => ({
    ...parameters,
    channels: parameters.channels.map((one) => ({ ...one, clockSkew: 0, clockJump: null })),
  }),
  (parameters) => ({ ...parameters, channels: parameters.channels.map((one) => ({ ...one, eventLoss: 0 })) }),
  (parameters) => ({
    ...parameters,
    channels: parameters.channels.map((one) => ({ ...one, stuckPerHour: 0, stuckTime: [0, 0] })),
  }),
  (parameters) => ({
    ...parameters,
    channels: parameters.channels.map((one) => ({ ...one, queueTime: [0, 0] })),
  }),
];

/** One channel after the other closes; the last one stays. */
function dropChannels(smallest: () => Case, attempt: (parameters: Parameters) => void): void {
  for (const channel of smallest().options.parameters.channels) {
    const current = smallest().options.parameters;
    const channels = current.channels.filter(({ name }) => name !== channel.name);
    if (channels.length > 0) attempt({ ...current, channels });
  }
}

/** Buyers leave in ever smaller groups, as long as the failure stays. */
function dropBuyers(smallest: () => Case, attempt: (parameters: Parameters) => void): void {
  const { parameters, result } = { parameters: smallest().options.parameters, result: smallest().result };
  const buyers = Math.max(
    result.totals.buyers,
    Math.ceil((parameters.buyersPerHour * parameters.duration) / hour),
  );
  for (let size = Math.ceil(buyers / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let first = 1; first <= buyers; first += size) {
      const current = smallest().options.parameters;
      const group = Array.from({ length: size }, (_, index) => first + index);
      attempt({ ...current, skippedBuyers: [...new Set([...current.skippedBuyers, ...group])] });
    }
  }
}

/** In the form of the model's race timelines: what stands in stock, then what happened when. */
export function timeline({ options, result }: Case): string {
  const { parameters, policy, seed } = options;
  const lines = result.story
    .filter(({ at }) => at <= (result.failure?.at ?? Number.POSITIVE_INFINITY))
    .map(({ at, text }) => `  ${(at / 1_000).toFixed(1).padStart(8)} s  ${text}`);
  const names = parameters.channels.map(({ name }) => name).join(', ');
  return [
    `seed ${seed}, policy ${policy}: ${result.failure?.message ?? 'nothing failed'}`,
    `  stock ${parameters.stock} on ${names}`,
    ...lines,
    '',
  ].join('\n');
}
