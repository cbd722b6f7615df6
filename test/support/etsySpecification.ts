/** Checks what is sent to Etsy and every Etsy answer against Etsy's OpenAPI document. */
import assert from 'node:assert/strict';
import {
  assertConforms,
  closedObjects,
  createSchemaChecker,
  findOperation,
  type JsonSchema,
  readOperations,
  readSpecification,
  type SpecifiedOperation,
  specificationsPresent,
} from './specifications.ts';

/** Etsy documents its limits and gateway errors once for all operations. */
const statusesOfEveryOperation = new Set([401, 403, 429, 500, 502, 503]);

type Operation = {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
};
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const checker = createSchemaChecker();
const operations: SpecifiedOperation[] = [];
for (const format of ['email', 'ISO 3166-1 alpha-2']) checker.addFormat(format, true);
let paths: Paths = {};

/** OpenAPI 3.0 lets `nullable` stand beside `oneOf`, where JSON Schema has no such word. */
function withNulls(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withNulls);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withNulls(value)]));
  if (copy['nullable'] !== true || copy['type'] !== undefined) return copy;
  const { nullable: _nullable, ...rest } = copy;
  return { anyOf: [{ type: 'null' }, rest] };
}

if (specificationsPresent) {
  const document = readSpecification('etsy/etsy_openapi_3.0.0_2026-08.json');
  const schemas = withNulls(closedObjects((document['components'] as JsonSchema)['schemas'])) as Record<
    string,
    { properties: Record<string, unknown> }
  >;
  // Refused tokens also carry OAuth's description, which the document leaves out.
  const error = schemas['ErrorSchema'];
  if (error) error.properties['error_description'] = { type: 'string' };
  checker.addSchema({ $id: 'etsy', components: { schemas } });
  operations.push(...readOperations(document));
  paths = document['paths'] as Paths;
}

/** Fails unless the operation, the status and the body are in Etsy's document. `path` is without the query. */
export function assertEtsyAnswer(method: string, path: string, status: number, body: unknown): void {
  if (!specificationsPresent || !path.startsWith('/v3/application/')) return;
  const operation = findOperation(operations, method, path);
  const known = operation.statuses.has(status) || statusesOfEveryOperation.has(status);
  assert.ok(known, `${operation.name} may not answer ${status}`);
  const reference =
    status >= 400 ? '#/components/schemas/ErrorSchema' : (operation.statuses.get(status) ?? null);
  if (reference !== null)
    assertConforms(checker.getSchema(`etsy${reference}`), body, `${operation.name} ${status}`);
}

/** Fails unless `body` is one that Etsy documents for the request, in the content type it documents. `path` is Etsy's template. */
export function assertEtsyRequest(
  method: string,
  path: string,
  contentType: string | undefined,
  body: unknown,
): void {
  if (!specificationsPresent) return;
  const content = paths[path]?.[method.toLowerCase()]?.requestBody?.content;
  assert.ok(content, `${method} ${path} takes no body`);
  const schema = content[contentType ?? '']?.schema;
  assert.ok(schema, `${method} ${path} takes ${Object.keys(content).join()}, not ${contentType}`);
  assertConforms(checker.compile(withNulls(closedObjects(schema)) as JsonSchema), body, `${method} ${path}`);
}

/** Fails unless `body` conforms to the named schema of Etsy's answers. */
export function assertEtsyBody(schema: string, body: unknown): void {
  if (specificationsPresent)
    assertConforms(checker.getSchema(`etsy#/components/schemas/${schema}`), body, schema);
}
