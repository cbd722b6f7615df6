/** The simulator's command line as a value; whatever is wrong with it is a UsageError that says so. */
import { isDeepStrictEqual, type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import {
  type Demand,
  demands,
  type Parameters,
  pageWorld,
  violations,
  withOutsideEdit,
  withStorms,
  withStuckFeed,
  withViolation,
} from './parameters.ts';
import { type PolicyName, policyNames } from './policies.ts';
import { withQueues } from './standing.ts';

export const usage = `npm run simulate -- [OPTIONS]

  --runs N         seeds to run (100)
  --seed N         the first seed (1)
  --policy NAME    ${policyNames.join(', ')}, or all (all)
  --demand NAME    steady, rush, or all (all)
  --stock N        units at the start (12)
  --restock N      units delivered later (6)
  --items N        items in the shop; with storms some orders hold two of them (1)
  --storms         every fault that keeps the model's assumptions
  --random         a world of its own for each seed: shops, stock, demand, latencies and all those faults
  --stuck          the slow channel's feed is stuck for up to two hours; runs of four hours
  --queues         raises on the slow channel stand in a queue for three to twenty minutes, as an Amazon feed's do
  --edits          one edit behind our back per run
  --violation NAME one broken assumption of escrow per run: ${violations.join(', ')}
  --check          check every promise after every event, and that all comes to rest
  --goals          run all policies in both demands, and end with 1 when a goal of the model is missed, which chance alone does below a thousand runs;
                   with --runs, --seed, --check, --workers and --json only
  --workers N      threads (2)
  --json           one JSON document instead of a table
  --live           the real product over HTTP instead of the model; --live --help tells how
`;

export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'USAGE';
}

export type Command = {
  readonly help: boolean;
  readonly runs: number;
  readonly seed: number;
  readonly policies: readonly PolicyName[];
  readonly demands: readonly Demand[];
  readonly world: Parameters;
  /** True when each seed draws its own world. */
  readonly drawn: boolean;
  readonly check: boolean;
  /** True when the figures are held against the goals. */
  readonly goals: boolean;
  readonly workers: number;
  readonly json: boolean;
};

const options = {
  runs: { type: 'string', default: '100' },
  seed: { type: 'string', default: '1' },
  policy: { type: 'string', default: 'all' },
  demand: { type: 'string', default: 'all' },
  stock: { type: 'string', default: String(pageWorld.stock) },
  restock: { type: 'string', default: String(pageWorld.restock) },
  items: { type: 'string', default: String(pageWorld.items) },
  storms: { type: 'boolean', default: false },
  random: { type: 'boolean', default: false },
  stuck: { type: 'boolean', default: false },
  queues: { type: 'boolean', default: false },
  edits: { type: 'boolean', default: false },
  violation: { type: 'string' },
  check: { type: 'boolean', default: false },
  goals: { type: 'boolean', default: false },
  workers: { type: 'string', default: '2' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Throws `UsageError`. */
export function readCommand(words: readonly string[]): Command {
  const values = parseWords(words, options);
  let world: Parameters = {
    ...pageWorld,
    stock: wholeNumber('stock', values.stock, 0, 1_000_000),
    restock: wholeNumber('restock', values.restock, 0, 1_000_000),
    items: wholeNumber('items', values.items, 1, 100),
  };
  if (values.storms) world = withStorms(world);
  if (values.stuck) world = withStuckFeed(world);
  if (values.queues) world = withQueues(world);
  if (values.edits) world = withOutsideEdit(world);
  if (values.violation !== undefined) {
    const [violation] = oneOf('violation', values.violation, violations);
    if (violation) world = withViolation(world, violation);
  }
  const policies = oneOf('policy', values.policy, policyNames);
  const wanted = oneOf('demand', values.demand, Object.keys(demands) as Demand[]);
  const whole = policies === policyNames && wanted.length > 1 && !values.random;
  if (values.goals && !(whole && isDeepStrictEqual(world, pageWorld)))
    throw new UsageError('--goals are about every policy in the world of the model, and no other');
  return {
    help: values.help,
    runs: wholeNumber('runs', values.runs, 1, 10_000_000),
    seed: wholeNumber('seed', values.seed, 0, 2 ** 31),
    policies,
    demands: wanted,
    world,
    drawn: values.random,
    check: values.check,
    goals: values.goals,
    workers: wholeNumber('workers', values.workers, 1, 64),
    json: values.json,
  };
}

export function parseWords<const Options extends ParseArgsOptionsConfig>(
  words: readonly string[],
  known: Options,
) {
  try {
    return parseArgs({ args: [...words], options: known, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || text.trim() === '' || value < min || value > max)
    throw new UsageError(`--${name} is a whole number from ${min} to ${max}, not '${text}'`);
  return value;
}

function oneOf<Name extends string>(option: string, text: string, names: readonly Name[]): readonly Name[] {
  if (text === 'all') return names;
  const found = names.find((name) => name === text);
  if (found === undefined) throw new UsageError(`--${option} is ${names.join(', ')} or all, not '${text}'`);
  return [found];
}
