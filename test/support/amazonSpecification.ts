/** Checks every Amazon answer against the Selling Partner API models and every notification against its published schema. */

import assert from 'node:assert/strict';
import {
  assertConforms,
  closedObjects,
  createSchemaChecker,
  findOperation,
  isSpecified,
  readOperations,
  readSpecification,
  type SpecifiedOperation,
  specificationsPresent,
} from './specifications.ts';

const models = [
  'sellers_v1',
  'listingsItems_2021-08-01',
  'feeds_2021-06-30',
  'orders_2026-01-01',
  'ordersV0',
] as const;

const checker = createSchemaChecker();
const operations: (SpecifiedOperation & { readonly model: string })[] = [];

if (specificationsPresent) {
  for (const model of models) {
    const document = readSpecification(`amazon/models/${model}.json`);
    // Swagger 2.0 definitions are JSON Schema once examples and vendor keywords are gone.
    checker.addSchema({ $id: model, definitions: closedObjects(document['definitions']) });
    for (const operation of readOperations(document)) operations.push({ ...operation, model });
  }
  checker.addSchema(
    readSpecification('amazon/feed-schemas/listings-feed-processing-report-schema-v2.json'),
    'report',
  );
  checker.addSchema(readSpecification('amazon/feed-schemas/listings-feed-schema-v2.json'), 'feed');
  checker.addSchema(
    readSpecification('amazon/notification-schemas/OrderChangeNotification.json'),
    'ORDER_CHANGE',
  );
  checker.addSchema(
    readSpecification('amazon/notification-schemas/ListingsItemMfnQuantityChange.json'),
    'LISTINGS_ITEM_MFN_QUANTITY_CHANGE',
  );
}

/** True when Amazon's models have an operation with this method and path. */
export const isAmazonOperation = (method: string, path: string): boolean =>
  !specificationsPresent || isSpecified(operations, method, path);

/** Fails unless the operation, the status and the body are in the model. `path` is without the query. */
export const assertAmazonAnswer = (method: string, path: string, status: number, body: unknown): void => {
  if (!specificationsPresent) return;
  const operation = findOperation(operations, method, path);
  assert.ok(operation.statuses.has(status), `${operation.name} may not answer ${status}`);
  const reference = operation.statuses.get(status) ?? null;
  if (reference === null) assert.equal(body, null, `${operation.name} ${status} promises no body`);
  else
    assertConforms(checker.getSchema(`${operation.model}${reference}`), body, `${operation.name} ${status}`);
};

/** Fails unless the body is what the model's definition says. */
export const assertAmazonBody = (model: (typeof models)[number], definition: string, body: unknown): void => {
  if (specificationsPresent)
    assertConforms(checker.getSchema(`${model}#/definitions/${definition}`), body, definition);
};

/** `report`, `feed`, or a notification type. */
export const assertAmazonDocument = (
  schema: 'report' | 'feed' | 'ORDER_CHANGE' | 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE',
  body: unknown,
): void => {
  if (specificationsPresent) assertConforms(checker.getSchema(schema), body, schema);
};
