/** Reads the marketplaces' official specifications and checks bodies against them; absent specifications are never silent. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, test } from 'vitest';

export type JsonSchema = { readonly [keyword: string]: unknown };

/** Where the specifications lie: `MARKETPLACE_SPECS`, or `../shared/specs` beside the project. */
export const specificationFolder = resolve(
  import.meta.dirname,
  '../..',
  process.env['MARKETPLACE_SPECS'] ?? '../shared/specs',
);

/** Whether answers can be checked. In CI the absence is a failure, elsewhere a loud note: the rest of the tests still runs. */
export const specificationsPresent = existsSync(specificationFolder);

const absence = `NO CONFORMANCE CHECK: the official specifications are not at ${specificationFolder} (set MARKETPLACE_SPECS)`;

if (!specificationsPresent) {
  if (process.env['CI'] === 'true') throw new Error(absence);
  process.emitWarning(absence);
}

function sayAbsence(name: string): void {
  test(`${name}: ${absence}`, () => {
    expect(process.env['CI']).not.toBe('true');
  });
}

/** A suite that only the specifications make possible. Without them one test stands in its place and says so. */
export const describeBySpecification: (name: string, suite: () => void) => void = specificationsPresent
  ? describe
  : sayAbsence;

export const specificationText = (name: string): string =>
  readFileSync(resolve(specificationFolder, name), 'utf8');

export const readSpecification = (name: string): JsonSchema =>
  JSON.parse(specificationText(name)) as JsonSchema;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Without this every misspelt field would conform, because most fields are optional. */
export const closedObjects = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(closedObjects);
  if (!isRecord(schema)) return schema;
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    // Examples are data, and their `properties` would be taken for a schema.
    if (key !== 'example' && key !== 'examples' && !key.startsWith('x-')) copy[key] = closedObjects(value);
  }
  if (isRecord(copy['properties']) && copy['additionalProperties'] === undefined) {
    copy['additionalProperties'] = false;
  }
  return copy;
};

const isoDateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

export const createSchemaChecker = (): Ajv => {
  const checker = new Ajv({ strict: false, allErrors: true });
  checker.addFormat('date-time', isoDateTime);
  checker.addFormat('date', /^\d{4}-\d\d-\d\d$/);
  for (const format of ['int32', 'int64', 'float', 'double', 'decimal']) checker.addFormat(format, true);
  return checker;
};

/** Fails unless `body` conforms; `validate` is undefined for a schema that does not exist. */
export const assertConforms = (validate: ValidateFunction | undefined, body: unknown, what: string): void => {
  assert.ok(validate, `${what}: there is no such schema`);
  if (validate(body)) return;
  const errors = (validate.errors ?? []).map(
    (error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`,
  );
  assert.fail(`${what} does not conform:\n${errors.join('\n')}\n${JSON.stringify(body)}`);
};

/** One method and path of a specification, with the schema of each answer's body, if it promises one. */
export type SpecifiedOperation = {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly pattern: RegExp;
  readonly statuses: ReadonlyMap<number, string | null>;
};

/** `/a/{b}` matches one segment for `{b}`. */
const pathPattern = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll(/[.+]/g, '\\$&').replaceAll(/\{[^}]+\}/g, '[^/]+')}$`);

export const isSpecified = (
  operations: readonly SpecifiedOperation[],
  method: string,
  path: string,
): boolean => operations.some((each) => each.method === method && each.pattern.test(path));

export const findOperation = <Operation extends SpecifiedOperation>(
  operations: readonly Operation[],
  method: string,
  path: string,
): Operation => {
  const matches = operations.filter((each) => each.method === method && each.pattern.test(path));
  // `/feeds/x` and `/feeds/{id}` may both match: the one with fewer parameters is meant.
  const found = matches.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  assert.ok(found, `${method} ${path} is in no official specification`);
  return found;
};

/** Where Swagger 2 and OpenAPI 3 keep the schema of an answer's body. */
const schemaOf = (answer: unknown): unknown => {
  if (!isRecord(answer)) return undefined;
  const content = isRecord(answer['content']) ? answer['content']['application/json'] : answer;
  return isRecord(content) ? content['schema'] : undefined;
};

/** Reads every operation of one specification. */
export const readOperations = (specification: JsonSchema, basePath = ''): readonly SpecifiedOperation[] => {
  const operations: SpecifiedOperation[] = [];
  for (const [path, methods] of Object.entries(specification['paths'] as Record<string, unknown>)) {
    for (const [method, operation] of Object.entries(methods as Record<string, unknown>)) {
      if (!isRecord(operation) || !isRecord(operation['responses'])) continue;
      const statuses = new Map<number, string | null>();
      for (const [status, answer] of Object.entries(operation['responses'])) {
        const schema = schemaOf(answer);
        const reference = isRecord(schema) ? schema['$ref'] : undefined;
        statuses.set(Number(status), typeof reference === 'string' ? reference : null);
      }
      operations.push({
        name: String(operation['operationId']),
        method: method.toUpperCase(),
        path: basePath + path,
        pattern: pathPattern(basePath + path),
        statuses,
      });
    }
  }
  return operations;
};
