/** Runs the simulator from the command line: exit code 0 when every promise and goal held, 1 when one did not, 2 when the words are wrong. */
import { type Command, readCommand, UsageError, usage } from './commandLine.ts';
import { drawnWorld } from './drawnWorld.ts';
import { shrunk, timeline } from './failure.ts';
import { goalLines, goalsOf } from './goals.ts';
import { live } from './liveCommand.ts';
import { liveUsage } from './liveCommandLine.ts';
import { demands } from './parameters.ts';
import { type RunsTask, runAll } from './runs.ts';
import { type Cell, figuresOf, table } from './table.ts';

async function simulate(command: Command): Promise<readonly Cell[]> {
  const cells: Cell[] = [];
  const { check, drawn } = command;
  for (const policy of command.policies) {
    for (const demand of drawn ? ([null] as const) : command.demands) {
      const buyersPerHour = demand === null ? command.world.buyersPerHour : demands[demand];
      const task: Omit<RunsTask, 'seeds'> = {
        parameters: { ...command.world, buyersPerHour },
        policy,
        check,
        drawn,
      };
      const summary = await runAll(task, command.seed, command.runs, command.workers);
      cells.push({ policy, demand, summary });
      const [failure] = summary.failures;
      if (failure) tell(task, failure.seed);
    }
  }
  return cells;
}

/** The failing run as small as it can be made, on standard error. */
function tell({ parameters, policy, check, drawn }: Omit<RunsTask, 'seeds'>, seed: number): void {
  const world = drawn ? drawnWorld(parameters, seed) : parameters;
  const smallest = shrunk({ parameters: world, policy, check, seed, story: true });
  if (smallest) process.stderr.write(timeline(smallest));
}

async function main(given: readonly string[]): Promise<number> {
  if (given.includes('--live')) return live(given);
  const command = readCommand(given);
  if (command.help) {
    process.stdout.write(usage);
    return 0;
  }
  const cells = await simulate(command);
  const goals = command.goals ? goalsOf(cells) : [];
  const report = cells.map((cell) => ({ ...cell, perRun: figuresOf(cell.summary) }));
  const words = goals.length > 0 ? `${table(cells)}\n\n${goalLines(goals)}` : table(cells);
  const document = command.goals ? { cells: report, goals } : report;
  process.stdout.write(`${command.json ? JSON.stringify(document, null, 2) : words}\n`);
  const failed = cells.some(({ summary }) => summary.failed > 0);
  return failed || goals.some(({ held }) => !held) ? 1 : 0;
}

const words = process.argv.slice(2);
try {
  process.exitCode = await main(words);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${words.includes('--live') ? liveUsage : usage}`);
  process.exitCode = 2;
}
