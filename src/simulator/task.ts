/** A share of the seeds, one run after the other; the order of seeds never changes a sum. */
import { drawnWorld } from './drawnWorld.ts';
import { run } from './run.ts';
import type { RunsTask } from './runs.ts';
import { added, emptySummary, type Summary, summaryOf } from './summary.ts';

export function runTask({ seeds, parameters, policy, check, drawn }: RunsTask): Summary {
  const started = process.threadCpuUsage();
  let sum = emptySummary;
  const worldOf = (seed: number) => (drawn ? drawnWorld(parameters, seed) : parameters);
  for (let seed = seeds.first; seed < seeds.first + seeds.count; seed += seeds.step) {
    sum = added(sum, summaryOf(run({ seed, parameters: worldOf(seed), policy, check, story: false })));
  }
  const { user, system } = process.threadCpuUsage(started);
  return { ...sum, processorMs: (user + system) / 1_000 };
}
