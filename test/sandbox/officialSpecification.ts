/** Reads the marketplaces' official specifications and checks served answers against them; absent specifications are never silent. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';

export type JsonSchema = { readonly [keyword: string]: unknown };

/** Where the specifications lie: `MARKETPLACE_SPECS`, or `../shared/specs` beside the project. */
export const specificationFolder = resolve(
  import.meta.dirname,
  '../..',
  process.env['MARKETPLACE_SPECS'] ?? '../shared/specs',
);

/** Whether answers can be checked. In CI the absence is a failure, elsewhere a loud note: the rest of the tests still runs. */
export const specificationsPresent = existsSync(specificationFolder);

if (!specificationsPresent) {
  const note = `NO CONFORMANCE CHECK: the official specifications are not at ${specificationFolder} (set MARKETPLACE_SPECS).`;
  if (process.env['CI'] === 'true') throw new Error(note);
  process.emitWarning(note);
}

export const readSpecification = (name: string): JsonSchema =>
  JSON.parse(readFileSync(resolve(specificationFolder, name), 'utf8')) as JsonSchema;

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

export const describeErrors = (errors: readonly ErrorObject[] | null | undefined): string =>
  (errors ?? [])
    .map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`)
    .join('\n');

/** One method and path of a specification, with the schema of each answer's body, if it promises one. */
export type SpecifiedOperation = {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly pattern: RegExp;
  readonly statuses: ReadonlyMap<number, string | null>;
};

/** `/a/{b}` matches one segment for `{b}`. */
export const pathPattern = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll(/[.+]/g, '\\$&').replaceAll(/\{[^}]+\}/g, '[^/]+')}$`);

export const findOperation = (
  operations: readonly SpecifiedOperation[],
  method: string,
  path: string,
): SpecifiedOperation => {
  const matches = operations.filter((each) => each.method === method && each.pattern.test(path));
  // `/feeds/x` and `/feeds/{id}` may both match: the one with fewer parameters is meant.
  const found = matches.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  assert.ok(found, `${method} ${path} is in no official specification`);
  return found;
};

/** Reads every operation of one specification; `schemaOf` says how this dialect names the body of an answer. */
export const readOperations = (
  specification: JsonSchema,
  basePath: string,
  schemaOf: (answer: Record<string, unknown>) => unknown,
): readonly SpecifiedOperation[] => {
  const operations: SpecifiedOperation[] = [];
  for (const [path, methods] of Object.entries(specification['paths'] as Record<string, unknown>)) {
    for (const [method, operation] of Object.entries(methods as Record<string, unknown>)) {
      if (!isRecord(operation) || !isRecord(operation['responses'])) continue;
      const statuses = new Map<number, string | null>();
      for (const [status, answer] of Object.entries(operation['responses'])) {
        const schema = isRecord(answer) ? schemaOf(answer) : undefined;
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
