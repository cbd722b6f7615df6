/** Holds the README to the product: its commands, its configuration table and its GraphQL are the real ones. */
import { readFileSync } from 'node:fs';
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
