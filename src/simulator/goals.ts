/** What the table must show for the product to keep what the model's page says of it: each goal with its figure and its limit. */
import { type Demand, demands } from './parameters.ts';
import { type PolicyName } from './policies.ts';
import type { Summary } from './summary.ts';
import { type Cell, type Figures, figuresOf, modelFigures } from './table.ts';

export type Goal = {
  readonly goal: string;
  readonly figure: number;
  /** The figure is below it, or at most so large. */
  readonly limit: number;
  readonly within: 'below' | 'at most';
  readonly held: boolean;
};

const ours = ['shadow', 'shadow+2', 'shadow+auto', 'escrow', 'auto'] as const satisfies PolicyName[];
/** So much more than the floor the shared pool may oversell. */
const floorShareMax = 1.1;
/** Per cent of the runs of a rush in which automatic protection may oversell. */
const oversoldRunsMax = 1;

/** Of all policies in both demands. Figures are per run, false conflicts in all. */
export function goalsOf(cells: readonly Cell[]): readonly Goal[] {
  const both = Object.keys(demands) as Demand[];
  const auto = figuresOf(summaryOf(cells, 'auto', 'rush'));
  return [
    ...both.flatMap((demand) => escrowGoals(cells, demand)),
    ...both.flatMap((demand) => shadowGoals(cells, demand)),
    atMost('auto rush: per cent of runs oversold', auto.oversoldRuns, oversoldRunsMax),
    below('auto rush: buyers turned away', auto.turnedAway, modelOf('hub+2', 'rush').turnedAway),
    ...ours.map((policy) => {
      const own = cells.filter((cell) => cell.policy === policy);
      const found = own.reduce((sum, { summary }) => sum + summary.falseConflicts, 0);
      return atMost(`${policy}: false conflicts`, found, 0);
    }),
  ];
}

function escrowGoals(cells: readonly Cell[], demand: Demand): readonly Goal[] {
  const { oversold, turnedAway } = figuresOf(summaryOf(cells, 'escrow', demand));
  return [
    atMost(`escrow ${demand}: units oversold`, oversold, 0),
    below(`escrow ${demand}: buyers turned away`, turnedAway, modelOf('escrow', demand).turnedAway),
  ];
}

function shadowGoals(cells: readonly Cell[], demand: Demand): readonly Goal[] {
  const { oversold, writes } = figuresOf(summaryOf(cells, 'shadow', demand));
  const model = modelOf('shadow', demand);
  const floor = figuresOf(summaryOf(cells, 'floor', demand)).oversold;
  return [
    below(`shadow ${demand}: units oversold`, oversold, model.oversold),
    below(`shadow ${demand}: writes`, writes, model.writes),
    atMost(
      `shadow ${demand}: units oversold, against ${floorShareMax} of the floor`,
      oversold,
      floorShareMax * floor,
    ),
  ];
}

function summaryOf(cells: readonly Cell[], policy: PolicyName, demand: Demand): Summary {
  const found = cells.find((cell) => cell.policy === policy && cell.demand === demand);
  if (found === undefined) throw new Error(`no runs of ${policy} in ${demand}`);
  return found.summary;
}

function modelOf(policy: PolicyName, demand: Demand): Figures {
  const found = modelFigures[policy]?.[demand];
  if (found === undefined) throw new Error(`the model says nothing of ${policy}`);
  return found;
}

function below(goal: string, figure: number, limit: number): Goal {
  return { goal, figure, limit, within: 'below', held: figure < limit };
}

function atMost(goal: string, figure: number, limit: number): Goal {
  return { goal, figure, limit, within: 'at most', held: figure <= limit };
}

export function goalLines(goals: readonly Goal[]): string {
  return goals
    .map(
      ({ goal, figure, limit, within, held }) =>
        `${held ? 'HELD  ' : 'MISSED'}  ${goal}: ${figure.toFixed(2)}, ${within} ${Number(limit.toFixed(2))}`,
    )
    .join('\n');
}
