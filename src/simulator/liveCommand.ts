/** The live mode's command line: runs the real product for each seed, and tells what it did beside what the pure simulator does with the same buyers. */
import { createLog } from '../log.ts';
import { type LiveCommand, liveUsage, readLiveCommand } from './liveCommandLine.ts';
import { openDatabases } from './liveDatabases.ts';
import { type LiveResult, liveRun } from './liveRun.ts';
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
  const failed = results.filter(({ breaches }) => breaches.length > 0);
  const report = reportOf(command, results);
  process.stdout.write(command.json ? `${JSON.stringify(report, null, 2)}\n` : `${tableOf(report)}\n`);
  return failed.length > 0 ? 1 : 0;
}

async function runLive(command: LiveCommand): Promise<readonly LiveResult[]> {
  const log = createLog({ level: 'warn', destination: process.stderr });
  const databases = await openDatabases(process.env, log);
  const results: LiveResult[] = [];
  const seeds = Array.from({ length: command.runs }, (_, index) => command.seed + index).values();
  const lane = async (): Promise<void> => {
    for (const seed of seeds) {
      const databaseUrl = await databases.make();
      const result = await liveRun({ ...command, seed, databaseUrl });
      await databases.drop(databaseUrl);
      process.stderr.write(`${lineOf(result)}\n`);
      for (const line of result.errors) process.stderr.write(`  logged: ${line}\n`);
      if (result.breaches.length > 0) process.stderr.write(storyOf(command, result));
      results.push(result);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(command.workers, command.runs) }, lane));
  } finally {
    await databases.close();
  }
  return results.toSorted((one, other) => one.seed - other.seed);
}

function lineOf({ seed, totals, writes, breaches, errors }: LiveResult): string {
  const { buyers, sold, oversold, turnedAway } = totals;
  const outcome = breaches.length === 0 ? 'all held' : breaches.join('; ');
  const logged = errors.length === 0 ? '' : `, ${errors.length} errors logged`;
  return `seed ${seed}: ${buyers} buyers, ${sold} sold, ${oversold} oversold, ${turnedAway} turned away, ${writes} writes${logged}: ${outcome}`;
}

function storyOf(command: LiveCommand, { seed, breaches, facts, timeline }: LiveResult): string {
  return [
    `seed ${seed}, live, ${command.protection}, 1 s is ${command.compress} s:`,
    ...timeline,
    ...facts.items.map((item) => `  the product says: ${JSON.stringify(item)}`),
    ...breaches.map((breach) => `  ${breach}`),
    '',
  ].join('\n');
}

type Report = {
  readonly protection: string;
  readonly compress: number;
  readonly live: Summary;
  readonly pure: Summary;
  readonly perRun: {
    readonly live: ReturnType<typeof figuresOf>;
    readonly pure: ReturnType<typeof figuresOf>;
  };
};

const policies = { shared: 'shadow', escrow: 'escrow', automatic: 'auto' } as const;

function reportOf(command: LiveCommand, results: readonly LiveResult[]): Report {
  const { protection, compress, world } = command;
  const policy = policies[protection];
  const mine = results.map(liveSummary).reduce(added, emptySummary);
  const pure = results
    .map(({ seed }) => summaryOf(run({ seed, parameters: world, policy, check: false, story: false })))
    .reduce(added, emptySummary);
  const perRun = { live: figuresOf(mine), pure: figuresOf(pure) };
  return { protection, compress, live: mine, pure, perRun };
}

function liveSummary({ seed, totals, writes, breaches, facts }: LiveResult): Summary {
  const [first] = breaches;
  return {
    ...emptySummary,
    runs: 1,
    oversoldRuns: totals.oversold > 0 ? 1 : 0,
    oversoldUnits: totals.oversold,
    turnedAway: totals.turnedAway,
    writes,
    falseConflicts: facts.conflicts.length,
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
