/** The comparison of section 7 of the model: our figures beside the model's. */
import type { Demand } from './parameters.ts';
import type { PolicyName } from './policies.ts';
import type { Summary } from './summary.ts';

/** `demand` is null where each seed drew its own. */
export type Cell = {
  readonly policy: PolicyName;
  readonly demand: Demand | null;
  readonly summary: Summary;
};

/** Runs with an oversell (per cent), oversold units, buyers turned away although a unit existed, and writes: each per run. */
export type Figures = {
  readonly oversoldRuns: number;
  readonly oversold: number;
  readonly turnedAway: number;
  readonly writes: number;
};

const figures = (oversoldRuns: number, oversold: number, turnedAway: number, writes: number): Figures => ({
  oversoldRuns,
  oversold,
  turnedAway,
  writes,
});

/** What the model's page says; its world is smaller and not published, so that its rush is milder than ours. */
export const modelFigures: Readonly<Partial<Record<PolicyName, Readonly<Record<Demand, Figures>>>>> = {
  copy: { steady: figures(83, 8.5, 4, 249), rush: figures(100, 81, 7, 317) },
  hub: { steady: figures(34, 0.38, 0, 77), rush: figures(88, 1.9, 1, 84) },
  'hub+2': { steady: figures(0.2, 0, 13, 69), rush: figures(30, 0.45, 71, 76) },
  shadow: { steady: figures(23, 0.25, 0, 62), rush: figures(74, 1.6, 1, 50) },
  'shadow+2': { steady: figures(0.4, 0.01, 13, 56), rush: figures(22, 0.34, 103, 45) },
  escrow: { steady: figures(0, 0, 8, 13), rush: figures(0, 0, 19, 10) },
};

export function figuresOf({ runs, oversoldRuns, oversoldUnits, turnedAway, writes }: Summary): Figures {
  return figures((100 * oversoldRuns) / runs, oversoldUnits / runs, turnedAway / runs, writes / runs);
}

export function written(found: Figures | undefined): string {
  if (found === undefined) return '-';
  const { oversoldRuns, oversold, turnedAway, writes } = found;
  const share = oversoldRuns > 0 && oversoldRuns < 10 ? oversoldRuns.toFixed(1) : oversoldRuns.toFixed(0);
  return `${share} % / ${oversold.toFixed(2)} / ${turnedAway.toFixed(0)} / ${writes.toFixed(0)}`;
}

export function table(cells: readonly Cell[]): string {
  const rows = cells.map(({ policy, demand, summary }) => [
    policy,
    demand ?? 'drawn',
    written(figuresOf(summary)),
    written(demand === null ? undefined : modelFigures[policy]?.[demand]),
    String(summary.readings),
    String(summary.falseConflicts),
    summary.raises + summary.cuts > 0
      ? `${summary.raisesCaught}/${summary.raises} ${summary.cutsCaught}/${summary.cuts}`
      : '-',
    summary.paused > 0 ? `${summary.pausedRightly}/${summary.paused}` : '-',
    String(summary.failed),
    (summary.runs / (summary.processorMs / 1_000)).toFixed(0),
  ]);
  const head = [
    'policy',
    'demand',
    'oversold runs / units / turned away / writes',
    'the model',
    'readings',
    'false conflicts',
    'raises, cuts caught',
    'paused for it',
    'failed',
    'runs/s/core',
  ];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
