/** Checks the bodies a connector sends against eBay's OpenAPI documents. */

import assert from 'node:assert/strict';
import {
  closedObjects,
  createSchemaChecker,
  describeErrors,
  type JsonSchema,
  readSpecification,
  specificationsPresent,
} from '../sandbox/officialSpecification.ts';

type Document = { readonly components: { readonly schemas: JsonSchema } };

const checker = createSchemaChecker();
if (specificationsPresent) {
  for (const name of ['sell_inventory_v1', 'sell_fulfillment_v1']) {
    const { components } = readSpecification(`ebay/${name}_oas3.json`) as unknown as Document;
    checker.addSchema({ $id: name, components: { schemas: closedObjects(components.schemas) } });
  }
}

/** Fails unless `body` conforms, e.g. to `sell_inventory_v1`, `BulkPriceQuantity`. */
export function assertEbayBody(document: string, schema: string, body: unknown): void {
  if (!specificationsPresent) return;
  const validate = checker.getSchema(`${document}#/components/schemas/${schema}`);
  assert.ok(validate, `no schema ${schema}`);
  assert.ok(validate(body), `${schema}: ${describeErrors(validate.errors)}`);
}

export type SignatureVector = {
  readonly signature: string;
  readonly message: unknown;
  readonly response: { readonly key: string; readonly algorithm: string; readonly digest: string } | null;
  readonly public_key: string;
};

/** eBay's own vectors by name; null when the specifications are absent, which has been said loudly (or has failed in CI). */
export const signatureVectors: Readonly<Record<string, SignatureVector>> | null = specificationsPresent
  ? (readSpecification('ebay/notification_signature_test_vectors.json') as unknown as Record<
      string,
      SignatureVector
    >)
  : null;
