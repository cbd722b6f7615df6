/** The live mode's command line: runs the real product for each seed, and tells what it did beside what the pure simulator does with the same buyers. */
import { createLog } from '../log.ts';
import { type LiveCommand, liveUsage, readLiveCommand } from './liveCommandLine.ts';
import { type LiveDatabases, openDatabases } from './liveDatabases.ts';
import { unfoundedOf } from './liveEdits.ts';
import { type LiveOptions, type LiveResult, liveRun } from './liveRun.ts';
import { run } from './run.ts';
import { added, emptySummary, type Summary, summaryOf } from './summary.ts';
import { figuresOf, written } from './table.ts';

/** Answers the exit code. */
export async function live(words: readonly string[]): Promise<number> {
  const command = readLiveCommand(words);
  if (command.help) {
    process.stdout.write(liveUsage);
    return 0;
  }
  const results = await runLive(command);
  const report = reportOf(command, results);
  for (const { seed, message } of report.pure.failures)
    process.stderr.write(`seed ${seed}, the pure simulator: ${message}\n`);
  process.stdout.write(command.json ? `${JSON.stringify(report, null, 2)}\n` : `${tableOf(report)}\n`);
  return report.live.failed + report.pure.failed > 0 ? 1 : 0;
}

async function runLive(command: LiveCommand): Promise<readonly LiveResult[]> {
  const log = createLog({ level: 'warn', destination: process.stderr });
  const databases = await openDatabases(process.env, log);
  try {
    return await runSeeds(command, databases, (text) => process.stderr.write(text));
  } finally {
    await databases.close();
  }
}

/** Every seed has a result, in their order, and what became of each is told as soon as it is known. */
export async function runSeeds(
  command: LiveCommand,
  databases: Pick<LiveDatabases, 'make' | 'drop'>,
  tell: (text: string) => void,
  runOne: (options: LiveOptions) => Promise<LiveResult> = liveRun,
): Promise<readonly LiveResult[]> {
  const results: LiveResult[] = [];
  const seeds = Array.from({ length: command.runs }, (_, index) => command.seed + index).values();
  const attempt = async (seed: number): Promise<LiveResult> => {
    const databaseUrl = await databases.make();
    try {
      return await runOne({ ...command, seed, databaseUrl });
    } finally {
      await databases
        .drop(databaseUrl)
        .catch((error: unknown) => tell(`seed ${seed}: its database was left behind: ${String(error)}\n`));
    }
  };
  const lane = async (): Promise<void> => {
    for (const seed of seeds) {
      const result = await attempt(seed).catch((error: unknown) => notRun(seed, error));
      tell(`${lineOf(result)}\n`);
      if (result.breaches.length > 0) tell(storyOf(command, result));
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: Math.min(command.workers, command.runs) }, lane));
  return results.toSorted((one, other) => one.seed - other.seed);
}

function notRun(seed: number, error: unknown): LiveResult {
  return {
    seed,
    totals: { buyers: 0, sold: 0, oversold: 0, turnedAway: 0 },
    writes: null,
    breaches: [`it could not be run: ${String(error)}`],
    errors: [],
    timeline: [],
    facts: null,
  };
}

function lineOf({ seed, totals, writes, breaches }: LiveResult): string {
  const { buyers, sold, oversold, turnedAway } = totals;
  const outcome = breaches.length === 0 ? 'all held' : breaches.join('; ');
  return `seed ${seed}: ${buyers} buyers, ${sold} sold, ${oversold} oversold, ${turnedAway} turned away, ${writes ?? 'unknown'} writes: ${outcome}`;
}

function storyOf(command: LiveCommand, { seed, breaches, facts, timeline }: LiveResult): string {
  return [
    `seed ${seed}, live, ${command.protection}, 1 s is ${command.compress} s:`,
    ...timeline,
    ...(facts?.items ?? []).map((item) => `  the product says: ${JSON.stringify(item)}`),
    ...breaches.map((breach) => `  ${breach}`),
    '',
  ].join('\n');
}

/** What both sides measure. */
type Compared = Pick<
  Summary,
  | 'runs'
  | 'oversoldRuns'
  | 'oversoldUnits'
  | 'turnedAway'
  | 'writes'
  | 'falseConflicts'
  | 'failures'
  | 'failed'
>;

type Report = {
  readonly protection: string;
  readonly compress: number;
  readonly live: Compared;
  readonly pure: Compared;
  readonly perRun: {
    readonly live: ReturnType<typeof figuresOf>;
    readonly pure: ReturnType<typeof figuresOf>;
  };
};

const policies = { shared: 'shadow', escrow: 'escrow', automatic: 'auto' } as const;

export function reportOf(command: LiveCommand, results: readonly LiveResult[]): Report {
  const { protection, compress, world } = command;
  const policy = policies[protection];
  const mine = results.map(liveSummary).reduce(added, emptySummary);
  const pure = results
    .map(({ seed }) => summaryOf(run({ seed, parameters: world, policy, check: true, story: false })))
    .reduce(added, emptySummary);
  const perRun = { live: figuresOf(mine), pure: figuresOf(pure) };
  return { protection, compress, live: comparedOf(mine), pure: comparedOf(pure), perRun };
}

function comparedOf(summary: Summary): Compared {
  const { runs, oversoldRuns, oversoldUnits, turnedAway, writes, falseConflicts, failures, failed } = summary;
  return { runs, oversoldRuns, oversoldUnits, turnedAway, writes, falseConflicts, failures, failed };
}

function liveSummary({ seed, totals, writes, breaches, facts }: LiveResult): Summary {
  const [first] = breaches;
  return {
    ...emptySummary,
    runs: 1,
    oversoldRuns: totals.oversold > 0 ? 1 : 0,
    oversoldUnits: totals.oversold,
    turnedAway: totals.turnedAway,
    writes: writes ?? 0,
    falseConflicts: facts === null ? 0 : unfoundedOf(facts).length,
    failures: first === undefined ? [] : [{ seed, message: first }],
    failed: first === undefined ? 0 : 1,
  };
}

function tableOf({ protection, compress, live: mine, pure, perRun }: Report): string {
  const rows = [
    ['', 'oversold runs / units / turned away / writes', 'failed'],
    [
      `live, ${protection}, compressed ${compress} times`,
      written(perRun.live),
      `${mine.failed} of ${mine.runs}`,
    ],
    [
      `the pure simulator, ${policies[protection as keyof typeof policies]}`,
      written(perRun.pure),
      `${pure.failed} of ${pure.runs}`,
    ],
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
