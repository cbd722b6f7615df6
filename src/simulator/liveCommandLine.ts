/** The words after --live as a value; whatever is wrong with them is a UsageError that says so. */
import type { Protection } from '../sync/protection.ts';
import { parseWords, UsageError, wholeNumber } from './commandLine.ts';
import { demands, type Parameters, pageWorld, withOutsideEdit, withStorms } from './parameters.ts';

/** Etsy shows no more, and at rest every channel is to show all that there is. */
const stockMax = 999;
/** Each run is a server with its worker, four marketplaces and its own database. */
const workersMax = 5;

export const liveUsage = `npm run simulate -- --live [OPTIONS]

Runs the real product over HTTP against the sandbox marketplaces, an hour for each seed, and checks every promise at the end.
The database is an embedded PostgreSQL, or a fresh one on the server of DATABASE_URL for each run.

  --runs N           seeds to run (4)
  --seed N           the first seed (1)
  --demand NAME      steady or rush (steady)
  --protection NAME  shared, escrow or automatic (shared)
  --stock N          units at the start (12); with the restock at most ${stockMax}, which is the most that Etsy shows
  --restock N        units delivered later (6)
  --items N          items in the shop; with storms some orders hold two of them (1)
  --storms           refusals, storms, lost requests, expired tokens, cancellations, order edits, bursts, a second worker, and a worker process that is killed
                     in the middle of its work and started again
  --edits            one edit behind our back per run: each must be told as a conflict, or written over (S3)
  --compress N       every duration of the hour is divided by this; 60 makes it a minute (60)
  --workers N        runs at the same time, from 1 to ${workersMax} (2)
  --json             one JSON document instead of a table

Buyers, faults and deliveries are drawn from the seed. How they interleave with the product's own work is up to the machine, so a seed that fails may
hold the next time: the timeline on standard error tells what happened. The product's work is not compressed, so the larger the factor, the slower the
product is for its world: a shared pool oversells more than in the pure simulator, whose figures for the same seeds stand beside, and escrow hands units
on too slowly for so many buyers. Three waits of the product are the same at every factor: 30 s until a zero is written again, 30 s of margin for a refill
under escrow, and 5 s between two of escrow's readings.

What the pure simulator has and this mode has not: forgotten wake-ups, budgets of calls, clocks that are off or jump (the four sandbox marketplaces have one
clock, and it is this machine's), and a cancelled order whose units Amazon keeps. A second worker goes on while the first is killed. An edit that raises a
number under escrow breaks A4: of E2 what is left is that no more than the raised units are oversold. With --storms both have as many storms for each marketplace, but not at the same times.
`;

export type LiveCommand = {
  readonly help: boolean;
  readonly runs: number;
  readonly seed: number;
  readonly protection: Protection;
  readonly world: Parameters;
  readonly compress: number;
  readonly workers: number;
  readonly json: boolean;
};

const options = {
  live: { type: 'boolean', default: false },
  runs: { type: 'string', default: '4' },
  seed: { type: 'string', default: '1' },
  demand: { type: 'string', default: 'steady' },
  protection: { type: 'string', default: 'shared' },
  stock: { type: 'string', default: String(pageWorld.stock) },
  restock: { type: 'string', default: String(pageWorld.restock) },
  items: { type: 'string', default: String(pageWorld.items) },
  storms: { type: 'boolean', default: false },
  edits: { type: 'boolean', default: false },
  compress: { type: 'string', default: '60' },
  workers: { type: 'string', default: '2' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Throws `UsageError`. */
export function readLiveCommand(words: readonly string[]): LiveCommand {
  const values = parseWords(words, options);
  const calm: Parameters = {
    ...pageWorld,
    buyersPerHour: demands[named('demand', values.demand, ['steady', 'rush'])],
    stock: wholeNumber('stock', values.stock, 1, stockMax),
    restock: wholeNumber('restock', values.restock, 0, stockMax),
    items: wholeNumber('items', values.items, 1, 20),
  };
  if (calm.stock + calm.restock > stockMax)
    throw new UsageError(`--stock and --restock are at most ${stockMax} together: Etsy shows no more`);
  const stormy = values.storms ? withStorms(calm) : calm;
  return {
    help: values.help,
    runs: wholeNumber('runs', values.runs, 1, 100_000),
    seed: wholeNumber('seed', values.seed, 0, 2 ** 31),
    protection: named('protection', values.protection, ['shared', 'escrow', 'automatic']),
    world: values.edits ? withOutsideEdit(stormy) : stormy,
    compress: wholeNumber('compress', values.compress, 1, 1_000),
    workers: wholeNumber('workers', values.workers, 1, workersMax),
    json: values.json,
  };
}

function named<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new UsageError(`--${option} is ${names.join(', ')}, not '${text}'`);
  return found;
}
