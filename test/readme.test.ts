/** Holds the README to the product: its guarantees are tested under their own words, its commands, its configuration table and its GraphQL are the real ones. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { configVariables } from '../src/config.ts';

const root = path.join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const readme = read('README.md');

test('the README lists every configuration variable with its default, unit and meaning, and no other', () => {
  const rows = readme.match(/^\| `[A-Z_]+` \|.*$/gm) ?? [];
  const expected = configVariables.map(
    (variable) =>
      `| \`${variable.name}\` | ${variable.default} | ${variable.unit} | ${variable.description} |`,
  );
  expect(rows).toEqual(expected);
});

test('every GraphQL example in the README is valid against the published schema', () => {
  const schema = buildSchema(read('schema.graphql'));
  const examples = [...readme.matchAll(/```graphql\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  expect(examples.length).toBeGreaterThan(0);
  expect(examples.flatMap((example) => validate(schema, parse(example)))).toEqual([]);
});

test('every npm command in the README exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const commands = [...readme.matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name);
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) expect(Object.keys(scripts)).toContain(command);
});

/** The sentences of the list of guarantees, without the words in bold that begin each point. */
function guarantees(text: string): string[] {
  const [, list = ''] = /\*\*What it guarantees\*\*\n([\s\S]*?)\n\n(?!- )/.exec(text) ?? [];
  const points = list.split(/\n- /).map((point) => point.replace(/^[\s\S]*?\*\*[\s\S]+?\*\*/, ''));
  return points
    .flatMap((point) => point.replaceAll(/\s+/g, ' ').split(/[.;](?:\s|$)/))
    .map((sentence) => sentence.trim())
    .filter(Boolean);
}

/** The titles of a test file, each behind the one of its group, in small letters. */
function titles(text: string): string[] {
  let group = '';
  return [...text.matchAll(/^( *)(describe|test)\(\s*(['"`])(.+?)\3,/gm)].map(
    ([, indent, kind, , title = '']) => {
      if (kind === 'describe') group = title;
      return (kind === 'test' && indent !== '' ? `${group} ${title}` : title).toLowerCase();
    },
  );
}

test('each guarantee of the README is a test with the same words', () => {
  const known = globSync('test/**/*.test.ts', { cwd: root }).flatMap((file) => titles(read(file)));
  const isTested = (sentence: string) => known.some((title) => title.includes(sentence.toLowerCase()));
  expect(guarantees(readme).length).toBeGreaterThan(15);
  expect(guarantees(readme).filter((sentence) => !isTested(sentence))).toEqual([]);
  expect(isTested('Stock is never wrong anywhere')).toBe(false);
});
