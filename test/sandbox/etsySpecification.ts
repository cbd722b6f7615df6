/** Checks every Etsy answer against Etsy's OpenAPI document. */
import assert from 'node:assert/strict';
import {
  closedObjects,
  createSchemaChecker,
  describeErrors,
  findOperation,
  type JsonSchema,
  readOperations,
  readSpecification,
  type SpecifiedOperation,
  specificationsPresent,
} from './officialSpecification.ts';

/** Etsy documents its limits and gateway errors once for all operations. */
const statusesOfEveryOperation = new Set([401, 403, 429, 500, 502, 503]);

const checker = createSchemaChecker();
const operations: SpecifiedOperation[] = [];
for (const format of ['email', 'ISO 3166-1 alpha-2']) checker.addFormat(format, true);

/** Etsy marks some references as nullable, which a JSON Schema reader refuses without a type. No such field is null here. */
function withoutBareNullable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutBareNullable);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(([key]) => key !== 'nullable' || 'type' in schema);
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutBareNullable(value)]));
}

if (specificationsPresent) {
  const document = readSpecification('etsy/etsy_openapi_3.0.0_2026-08.json');
  const schemas = withoutBareNullable(
    closedObjects((document['components'] as JsonSchema)['schemas']),
  ) as Record<string, { properties: Record<string, unknown> }>;
  // Refused tokens also carry OAuth's description, which the document leaves out.
  const error = schemas['ErrorSchema'];
  if (error) error.properties['error_description'] = { type: 'string' };
  checker.addSchema({ $id: 'etsy', components: { schemas } });
  operations.push(
    ...readOperations(document, '', (answer) => {
      const content = answer['content'] as Record<string, { schema?: unknown }> | undefined;
      return content?.['application/json']?.schema;
    }),
  );
}

/** Fails unless the operation, the status and the body are in Etsy's document. `path` is without the query. */
export function assertEtsyAnswer(method: string, path: string, status: number, body: unknown): void {
  if (!specificationsPresent || !path.startsWith('/v3/application/')) return;
  const operation = findOperation(operations, method, path);
  const known = operation.statuses.has(status) || statusesOfEveryOperation.has(status);
  assert.ok(known, `${operation.name} may not answer ${status}`);
  const reference =
    status >= 400 ? '#/components/schemas/ErrorSchema' : (operation.statuses.get(status) ?? null);
  if (reference === null) return;
  const validate = checker.getSchema(`etsy${reference}`);
  assert.ok(validate, `no schema ${reference}`);
  const problem = () =>
    `${operation.name} ${status}:\n${describeErrors(validate.errors)}\n${JSON.stringify(body)}`;
  assert.ok(validate(body), problem());
}
