/** Proves that the code keeps the rules of its own architecture and style, and that each rule can be broken. */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { forbiddenImports, importsOf, layerOf, layers, type SourceFile } from './support/layers.ts';
import {
  codeOnly,
  hasNothingUnfinished,
  isNamedByANoun,
  namesNoMachine,
  neverSleepsInATest,
  sizeBreaches,
  skipsNoTest,
  startsWithOneSentence,
  takesClockAndChanceAsValues,
} from './support/tidyRules.ts';

const root = path.join(import.meta.dirname, '..');
const folders = ['src', 'test', 'scripts', 'bench'];

function read(pattern: string): SourceFile[] {
  return globSync(pattern, { cwd: root }).map((file) => ({
    path: file,
    text: readFileSync(path.join(root, file), 'utf8'),
  }));
}

const source = read('src/**/*.ts');
const everything = folders.flatMap((folder) => read(`${folder}/**/*.ts`));
// This file and the rules themselves spell out what they forbid.
const prose = everything.filter(
  ({ path: file }) => !/^test\/(tidy\.test|support\/tidyRules)\.ts$/.test(file),
);

function lines(count: number): string {
  return 'call();\n'.repeat(count);
}

function fixture(text: string, file = 'src/sync/fixture.ts'): SourceFile {
  return { path: file, text };
}

test('the files to check are found', () => {
  expect(source.length).toBeGreaterThan(5);
  expect(everything.length).toBeGreaterThan(source.length);
});

test('imports follow main -> app -> transports -> schema -> sync -> the contract of the connectors and the database', () => {
  expect(source.flatMap(forbiddenImports)).toEqual([]);
});

test.each([
  ['src/main.ts', './schema/order.ts'],
  ['src/app.ts', './schema/builder.ts'],
  ['src/http.ts', './connectors/etsy/orders.ts'],
  ['src/webhooks.ts', './app.ts'],
  ['src/schema/order.ts', '../http.ts'],
  ['src/schema/order.ts', '../connectors/ebay/stock.ts'],
  ['src/sync/push.ts', '../schema/item.ts'],
  ['src/sync/push.ts', '../connectors/httpClient.ts'],
  ['src/sync/push.ts', '../config.ts'],
  ['src/connectors/etsy/stock.ts', '../../sync/ledger.ts'],
  ['src/connectors/etsy/stock.ts', '../../db.ts'],
  ['src/connectors/etsy/stock.ts', '../ebay/stock.ts'],
  ['src/connectors/connector.ts', './httpClient.ts'],
  ['src/connectors/connector.ts', '../log.ts'],
  ['src/sandbox/etsy.ts', '../connectors/connector.ts'],
  ['src/sandbox/etsy.ts', '../sync/ledger.ts'],
  ['src/db.ts', './sync/ledger.ts'],
  ['src/log.ts', './config.ts'],
])('%s must not import %s', (file, imported) => {
  expect(forbiddenImports({ path: file, text: `import { x } from '${imported}';\n` })).toHaveLength(1);
  expect(forbiddenImports({ path: file, text: `export * from "${imported}";\n` })).toHaveLength(1);
  expect(forbiddenImports({ path: file, text: `const x = await import('${imported}');\n` })).toHaveLength(1);
});

test.each([
  ['src/main.ts', './app.ts'],
  ['src/app.ts', './connectors/etsy/connector.ts'],
  ['src/graphql.ts', './schema/schema.ts'],
  ['src/schema/order.ts', '../sync/orders.ts'],
  ['src/sync/push.ts', '../connectors/connector.ts'],
  ['src/sync/push.ts', '../db.ts'],
  ['src/connectors/etsy/stock.ts', '../httpClient.ts'],
])('%s may import %s', (file, imported) => {
  expect(forbiddenImports({ path: file, text: `import type { x } from '${imported}';\n` })).toEqual([]);
});

test('the layers name only files that are there', () => {
  const patterns = layers.flatMap(({ files }) => files);
  expect(patterns.filter((pattern) => globSync(pattern, { cwd: root }).length === 0)).toEqual([]);
});

test('a folder that nobody gave a layer is noticed', () => {
  expect(layerOf('src/elsewhere/thing.ts')).toBeNull();
  expect(forbiddenImports({ path: 'src/elsewhere/thing.ts', text: '' })).toHaveLength(1);
});

test('imports over several lines and of packages are read right', () => {
  const text = "import {\n  a,\n  b,\n} from '../db.ts';\nimport pg from 'pg';\nimport './side.ts';\n";

  expect(importsOf(fixture(text))).toEqual(['src/db.ts', 'src/sync/side.ts']);
});

test('nothing in src/sync has a clock, a timer or chance of its own', () => {
  expect(source.flatMap(takesClockAndChanceAsValues)).toEqual([]);
});

test.each([
  'const at = Date.now();',
  'const at = new Date();',
  'const at = new Date( );',
  'const chance = Math.random();',
  'const at = performance.now();',
  'setTimeout(retry, 10);',
  'setInterval(retry, 10);',
  'const clock = { now: Date.now };',
  'log.info(`at ${Date.now()}`);',
  "import { setTimeout as delay } from 'node:timers/promises';",
])('in src/sync this is a breach: %s', (text) => {
  expect(takesClockAndChanceAsValues(fixture(text))).toHaveLength(1);
  expect(takesClockAndChanceAsValues(fixture(text, 'src/http.ts'))).toEqual([]);
});

test.each([
  'const at = new Date(clock.now());',
  '// never Date.now() here',
  "const text = 'Math.random()';",
  'const sql = `select now() -- not Date.now()`;',
])('in src/sync this is none: %s', (text) => {
  expect(takesClockAndChanceAsValues(fixture(text))).toEqual([]);
});

test('comments and strings are told apart from code', () => {
  const code = codeOnly("a(/'/g, b); // c\nd('e', `f ${g()} h`); /* i\nj */ k();");

  expect(code.replaceAll(/ +/g, ' ')).toBe('a( , b); \nd( , ${g()} ); \n k();');
});

test('every file starts with a sentence that says what it guarantees', () => {
  expect(everything.flatMap(startsWithOneSentence)).toEqual([]);
  expect(startsWithOneSentence(fixture('/** Counts each line once. */\ncode();'))).toEqual([]);
  expect(startsWithOneSentence(fixture('/**\n * Counts each line\n * once.\n */\n'))).toEqual([]);
  for (const text of ['code();', '// Counts.\n', '/** */\n', '/** counts */\n', '/* Counts. */\n']) {
    expect(startsWithOneSentence(fixture(text))).toHaveLength(1);
  }
});

test('files are named by nouns', () => {
  expect(everything.flatMap(isNamedByANoun)).toEqual([]);
  for (const name of [
    'src/utils.ts',
    'src/sync/helpers.ts',
    'src/common/x.ts',
    'test/support/testUtil.ts',
    'src/helpers/x.ts',
  ]) {
    expect(isNamedByANoun(fixture('', name))).toHaveLength(1);
  }
  expect(isNamedByANoun(fixture('', 'src/sync/ledger.ts'))).toEqual([]);
});

test('nothing is left unfinished in comments', () => {
  expect(prose.flatMap(hasNothingUnfinished)).toEqual([]);
  expect(hasNothingUnfinished(fixture('// TODO later\n// FIXME\n'))).toHaveLength(2);
});

test('no path of one machine is written down', () => {
  expect(prose.flatMap(namesNoMachine)).toEqual([]);
  for (const text of ["'/home/anna/x'", '"/Users/anna"', '`/work/main`', "'C:\\\\Users\\\\anna'"]) {
    expect(namesNoMachine(fixture(text))).toHaveLength(1);
  }
  expect(namesNoMachine(fixture("'https://example.com/home/page'"))).toEqual([]);
});

test('no test is left out or sleeps', () => {
  expect(prose.flatMap(skipsNoTest)).toEqual([]);
  expect(prose.flatMap(neverSleepsInATest)).toEqual([]);
  expect(skipsNoTest(fixture('test.skip(name, run); describe.only(name, run);'))).toHaveLength(2);
  expect(
    neverSleepsInATest(fixture('await new Promise((r) => setTimeout(r, 5));', 'test/x.test.ts')),
  ).toHaveLength(1);
});

test('files, functions and exports keep their limits: 300 lines (tests 400), 70 lines, named', () => {
  expect(sizeBreaches(root, folders)).toEqual([]);
});

test('a file, a test or a function that is too long and a default export are noticed', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'listgenius-tidy-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const part = `function part() {\n${lines(60)}}\n`;
  const files = {
    'src/long.ts': lines(301),
    'src/fits.ts': lines(300),
    'test/long.ts': lines(401),
    'test/fits.ts': lines(400),
    'src/function.ts': `export function f() {\n${lines(69)}}\n`,
    'src/fitting.ts': `export function f() {\n${lines(68)}}\nexport const g = () => {\n${lines(68)}};\n`,
    'src/factory.ts': `export function f() {\n${lines(9)}${part.repeat(3)}}\n`,
    'src/large.ts': `export function f() {\n${part.repeat(4)}}\n`,
    'src/default.ts': 'export default 1;\n',
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.join(directory, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(directory, name), text);
  }

  const breaches = sizeBreaches(directory, ['src', 'test']).map((breach) => breach.split(/[ :]/)[0] ?? '');

  expect(new Set(breaches)).toEqual(
    new Set(['src/default.ts', 'src/function.ts', 'src/large.ts', 'src/long.ts', 'test/long.ts']),
  );
  expect(breaches).toHaveLength(5);
});
