/** Results as a table for people: one line each, then what was measured. */
import { type Result, rounded } from './harness.ts';

export function table(results: readonly Result[]): string {
  const head = ['', 'benchmark', 'value', 'floor', 'ratio', 'limit', 'rounds'];
  const rows = results.map((result) => [
    result.ok ? 'ok' : 'MISSED',
    result.name,
    `${rounded(result.value)} ${result.unit}`,
    result.floor === null ? '' : `${rounded(result.floor)} ${result.unit}`,
    result.ratio === null ? '' : result.ratio.toFixed(2),
    `${result.bound === 'atLeast' ? 'at least' : 'at most'} ${result.limit}`,
    result.spread.map(rounded).join(' to '),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const lines = [head, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const notes = results.flatMap(({ name, notes: texts }) => texts.map((text) => `${name}: ${text}`));
  return `\n${lines.join('\n')}\n\n${notes.join('\n')}\n`;
}
