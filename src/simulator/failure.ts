/** A failing run made small: the fewest buyers and faults that still break the same promise, told as a timeline. */
import { type Faults, hour, type Parameters } from './parameters.ts';
import { type RunOptions, type RunResult, run } from './run.ts';

const attemptsMax = 400;

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
  const attempt = (parameters: Parameters): boolean => {
    attempts += 1;
    if (attempts > attemptsMax) return false;
    const result = run({ ...smallest.options, parameters });
    if (promiseOf(result) !== promise) return false;
    smallest = { options: { ...smallest.options, parameters }, result };
    return true;
  };
  for (const simpler of simplifications) attempt(simpler(smallest.options.parameters));
  dropBuyers(() => smallest, attempt);
  return smallest;
}

const simplifications: readonly ((parameters: Parameters) => Parameters)[] = [
  ...(
    [
      'crashesPerHour',
      'stormsPerHour',
      'refusal',
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
];

/** Buyers leave in ever smaller groups, as long as the failure stays. */
function dropBuyers(smallest: () => Case, attempt: (parameters: Parameters) => boolean): void {
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
