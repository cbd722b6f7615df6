/** The rules of style that a text alone can break: each takes a file and returns one sentence per breach. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { SourceFile } from './layers.ts';

type Rule = (file: SourceFile) => string[];

/** Code without comments and without the content of strings, at unchanged line numbers, so that words in prose are not code. */
export function codeOnly(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*(?=\s*[,;).\]}])/g;
  return text.replace(token, (part) =>
    part.startsWith('`') ? keepExpressions(part) : part.replace(/[^\n]/g, ' '),
  );
}

/** What a template literal interpolates is code. */
function keepExpressions(template: string): string {
  return template.replace(/\$\{[^{}]*\}|[^\n]/g, (part) => (part.length > 1 ? part : ' '));
}

function found(file: SourceFile, text: string, pattern: RegExp, what: string): string[] {
  return [...text.matchAll(pattern)].map(
    (match) => `${file.path}:${text.slice(0, match.index).split('\n').length} ${what}: ${match[0].trim()}`,
  );
}

const ownClock =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b|\b(?:setTimeout|setInterval|setImmediate)\s*\(|\bnode:timers\b/g;

/** The simulator drives the real code of `src/sync`, so its clock and its chance come from outside. */
export const takesClockAndChanceAsValues: Rule = (file) => {
  if (!file.path.startsWith('src/sync/')) return [];
  const timers = found(file, file.text, /from 'node:timers[^']*'/g, 'has a timer of its own');
  return [...found(file, codeOnly(file.text), ownClock, 'has a clock or chance of its own'), ...timers];
};

export const startsWithOneSentence: Rule = (file) => {
  const [, comment = ''] = /^(?:#![^\n]*\n)?\/\*\*([\s\S]*?)\*\//.exec(file.text) ?? [];
  const sentence = comment.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim();
  return /\S.*[.!?]$/.test(sentence)
    ? []
    : [`${file.path} does not start with a sentence saying what it guarantees`];
};

export const isNamedByANoun: Rule = ({ path: name }) =>
  /(?:^|\/)[^/]*(?:utils?|helpers?|common|misc|stuff)(?:\.[^/]*|\/.*)$/i.test(name)
    ? [`${name} is named after nothing`]
    : [];

export const hasNothingUnfinished: Rule = (file) =>
  found(file, file.text, /\b(?:TODO|FIXME|XXX|HACK)\b/g, 'is unfinished');

export const namesNoMachine: Rule = (file) =>
  found(
    file,
    file.text,
    /(?<![\w.:/@-])\/(?:home|Users|root|work)\/[\w.-]+|\b[A-Z]:\\\\?Users\b/g,
    'names a path of one machine',
  );

export const skipsNoTest: Rule = (file) =>
  found(
    file,
    codeOnly(file.text),
    /\b(?:test|it|describe|suite)\.(?:skip|only|todo|skipIf|runIf)\b/g,
    'leaves a test out',
  );

export const neverSleepsInATest: Rule = (file) =>
  file.path.endsWith('.test.ts')
    ? found(file, codeOnly(file.text), /\bsetTimeout\s*\(/g, 'waits for time instead of an event')
    : [];

/** A function's own lines, those of the functions inside it not counted: about one screen. */
const functionLinesMax = 70;
/** All lines of a function that makes an object of functions: such a function is to its parts what a file is to its functions. */
const factoryLinesMax = 200;

type Diagnostic = {
  readonly code: string;
  readonly filename: string;
  readonly message: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
};
type Span = {
  readonly filename: string;
  readonly name: string;
  readonly first: number;
  readonly last: number;
};

/**
 * Files over 300 lines (tests 400), functions over their limits, and default exports. The linter tells where each function starts and
 * ends, because it parses TypeScript, which no light text rule does reliably.
 */
export function sizeBreaches(root: string, folders: readonly string[]): string[] {
  const diagnostics = lint(root, folders);
  const functions = diagnostics.flatMap(functionSpan);
  const others = diagnostics.filter((diagnostic) => functionSpan(diagnostic).length === 0);
  return [
    ...others.map(({ code, filename, message }) => `${filename} ${code}: ${message}`),
    ...functions.flatMap((span) => functionBreaches(span, functions)),
  ];
}

function functionSpan({ code, filename, message, labels }: Diagnostic): Span[] {
  const lines = /\((\d+)\)/.exec(message)?.[1];
  const first = labels[0]?.span.line;
  if (!code.includes('max-lines-per-function') || lines === undefined || first === undefined) return [];
  return [
    { filename, name: /`(.+?)`/.exec(message)?.[1] ?? 'a function', first, last: first + Number(lines) - 1 },
  ];
}

function functionBreaches(span: Span, all: readonly Span[]): string[] {
  const { filename, name, first, last } = span;
  const inner = all.filter(
    (other) => other !== span && other.filename === filename && other.first >= first && other.last <= last,
  );
  const elsewhere = new Set(
    inner.flatMap((other) =>
      Array.from({ length: other.last - other.first }, (_, line) => other.first + 1 + line),
    ),
  );
  const total = last - first + 1;
  const own = total - elsewhere.size;
  const where = `${filename}:${first} ${name}`;
  if (own > functionLinesMax) return [`${where} has ${own} lines of its own (${functionLinesMax})`];
  return total > factoryLinesMax ? [`${where} has ${total} lines with its parts (${factoryLinesMax})`] : [];
}

function lint(root: string, folders: readonly string[]): Diagnostic[] {
  const config = path.join(import.meta.dirname, 'tidy.oxlintrc.json');
  const linter = path.join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'oxlint');
  const result = spawnSync(linter, ['--config', config, '--format', 'json', ...folders], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 256 * 1_048_576,
  });
  if (result.error) throw result.error;
  return (JSON.parse(result.stdout) as { diagnostics: Diagnostic[] }).diagnostics;
}
