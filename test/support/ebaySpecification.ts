/** Checks what is sent to eBay and every eBay answer against eBay's OpenAPI documents, with the documented quirks named one by one. */

import assert from 'node:assert/strict';
import {
  assertConforms,
  closedObjects,
  createSchemaChecker,
  findOperation,
  isSpecified,
  type JsonSchema,
  readOperations,
  readSpecification,
  type SpecifiedOperation,
  specificationsPresent,
} from './specifications.ts';

const documents = {
  sell_inventory_v1: '/sell/inventory/v1',
  sell_fulfillment_v1: '/sell/fulfillment/v1',
  commerce_notification_v1: '/commerce/notification/v1',
  commerce_identity_v1: '/commerce/identity/v1',
  developer_analytics_v1_beta: '/developer/analytics/v1_beta',
} as const;

/** eBay documents these once for all its APIs, on the error and rate-limit pages, not per operation. */
const statusesOfEveryOperation = new Set([400, 401, 403, 404, 409, 429, 500, 503]);

const checker = createSchemaChecker();
const operations: (SpecifiedOperation & { readonly document: string })[] = [];

type Schemas = Record<string, { properties: Record<string, unknown> }>;

/** Where the document is known to say something else than the API does. */
const mendQuirks = (name: string, schemas: Schemas): void => {
  if (name !== 'sell_inventory_v1') return;
  // The document types the map of aspect name to values as a plain string.
  const product = schemas['Product'];
  if (product)
    product.properties['aspects'] = {
      type: 'object',
      additionalProperties: { type: 'array', items: { type: 'string' } },
    };
};

if (specificationsPresent) {
  for (const [name, basePath] of Object.entries(documents)) {
    const document = readSpecification(`ebay/${name}_oas3.json`);
    const schemas = closedObjects((document['components'] as JsonSchema)['schemas']) as Schemas;
    mendQuirks(name, schemas);
    checker.addSchema({ $id: name, components: { schemas } });
    checker.addSchema(
      {
        type: 'object',
        required: ['errors'],
        additionalProperties: false,
        properties: {
          errors: { type: 'array', minItems: 1, items: { $ref: `${name}#/components/schemas/Error` } },
        },
      },
      `${name}-errors`,
    );
    for (const operation of readOperations(document, basePath))
      operations.push({ ...operation, document: name });
  }
}

const schemaOf = (
  operation: SpecifiedOperation & { readonly document: string },
  status: number,
): string | null => {
  if (status >= 400) return `${operation.document}-errors`;
  // 207 is documented without a schema: it carries the body of 200.
  const reference = operation.statuses.get(status === 207 ? 200 : status) ?? null;
  return reference === null ? null : `${operation.document}${reference}`;
};

/** True when eBay's documents have an operation with this method and path template. */
export const isEbayOperation = (method: string, path: string): boolean =>
  !specificationsPresent || isSpecified(operations, method, path);

/** Fails unless the operation, the status and the body are in eBay's documents. `path` is without the query. */
export const assertEbayAnswer = (method: string, path: string, status: number, body: unknown): void => {
  if (!specificationsPresent) return;
  const operation = findOperation(operations, method, path);
  assert.ok(
    operation.statuses.has(status) || statusesOfEveryOperation.has(status),
    `${operation.name} may not answer ${status}`,
  );
  const schema = schemaOf(operation, status);
  // "A response payload will only be returned ... if one or more errors or warnings occur with the call."
  if (schema?.endsWith('/BaseResponse') && body === null) return;
  if (schema === null) {
    assert.equal(body, null, `${operation.name} ${status} promises no body`);
  } else assertConforms(checker.getSchema(schema), body, `${operation.name} ${status}`);
};

/** Fails unless `body` conforms to a named schema, e.g. of `sell_inventory_v1` to `BulkPriceQuantity`. */
export const assertEbayBody = (document: keyof typeof documents, schema: string, body: unknown): void => {
  if (specificationsPresent)
    assertConforms(checker.getSchema(`${document}#/components/schemas/${schema}`), body, schema);
};

export type SignatureVector = {
  readonly signature: string;
  readonly message: unknown;
  readonly response: { readonly key: string; readonly algorithm: string; readonly digest: string } | null;
  readonly public_key: string;
};

/** eBay's own vectors by name; none without the specifications. */
export const signatureVectors = (
  specificationsPresent ? readSpecification('ebay/notification_signature_test_vectors.json') : {}
) as Readonly<Record<string, SignatureVector>>;
