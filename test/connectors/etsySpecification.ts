/** Checks bodies against Etsy's OpenAPI document, so that no test agrees with a shape that Etsy does not have. */

import assert from 'node:assert/strict';
import {
  closedObjects,
  createSchemaChecker,
  describeErrors,
  type JsonSchema,
  readSpecification,
  specificationsPresent,
} from '../sandbox/officialSpecification.ts';

type Operation = {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
};
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: JsonSchema };
};

/** OpenAPI 3.0 lets `nullable` stand beside `oneOf`, where JSON Schema has no such word. */
function withNulls(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withNulls);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withNulls(value)]));
  if (copy['nullable'] !== true || copy['type'] !== undefined) return copy;
  const { nullable: _nullable, ...rest } = copy;
  return { anyOf: [{ type: 'null' }, rest] };
}

const checker = createSchemaChecker();
for (const format of ['email', 'ISO 3166-1 alpha-2']) checker.addFormat(format, true);
let document: Document | null = null;
if (specificationsPresent) {
  document = readSpecification('etsy/etsy_openapi_3.0.0_2026-08.json') as unknown as Document;
  checker.addSchema({
    $id: 'etsy',
    components: { schemas: withNulls(closedObjects(document.components.schemas)) },
  });
}

/** Fails unless `body` is one that Etsy documents for the request, in the content type it documents. */
export function assertEtsyRequest(
  method: string,
  path: string,
  contentType: string | undefined,
  body: unknown,
): void {
  if (document === null) return;
  const content = document.paths[path]?.[method.toLowerCase()]?.requestBody?.content;
  assert.ok(content, `${method} ${path} takes no body`);
  const schema = content[contentType ?? '']?.schema;
  assert.ok(schema, `${method} ${path} takes ${Object.keys(content).join()}, not ${contentType}`);
  const validate = checker.compile(withNulls(closedObjects(schema)) as JsonSchema);
  assert.ok(validate(body), `${method} ${path}: ${describeErrors(validate.errors)}`);
}

/** Fails unless `body` conforms to the named schema of Etsy's answers. */
export function assertEtsyAnswer(schema: string, body: unknown): void {
  if (document === null) return;
  const validate = checker.getSchema(`etsy#/components/schemas/${schema}`);
  assert.ok(validate, `no schema ${schema}`);
  assert.ok(validate(body), `${schema}: ${describeErrors(validate.errors)}`);
}
