/** Checks every Amazon answer against the Selling Partner API models and every notification against its published schema. */

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

const models = [
  'sellers_v1',
  'listingsItems_2021-08-01',
  'feeds_2021-06-30',
  'orders_2026-01-01',
  'ordersV0',
] as const;

const checker = createSchemaChecker();
const operations: (SpecifiedOperation & { readonly model: string })[] = [];
/** By operation and model: the schema of its query. */
const queries = new Map<string, QuerySchema>();

type Parameter = JsonSchema & { readonly name: string; readonly in: string; readonly type: string };
type QuerySchema = {
  readonly parameters: readonly Parameter[];
  readonly conforms: ReturnType<typeof checker.compile>;
};

function queriesOf(document: JsonSchema): readonly (readonly [operation: string, schema: QuerySchema])[] {
  const paths = Object.values(document['paths'] as Record<string, object>);
  return paths
    .flatMap((path) => Object.values(path) as { operationId?: string; parameters?: Parameter[] }[])
    .flatMap(({ operationId, parameters: all = [] }) => {
      const parameters = all.filter((parameter) => parameter.in === 'query');
      const schema = {
        type: 'object',
        additionalProperties: false,
        required: parameters.filter(({ required }) => required === true).map(({ name }) => name),
        properties: Object.fromEntries(
          parameters.map(({ required: _said, ...parameter }) => [parameter.name, closedObjects(parameter)]),
        ),
      };
      return operationId === undefined
        ? []
        : [[operationId, { parameters, conforms: checker.compile(schema) }] as const];
    });
}

if (specificationsPresent) {
  for (const model of models) {
    const document = readSpecification(`amazon/models/${model}.json`);
    // Swagger 2.0 definitions are JSON Schema once examples and vendor keywords are gone.
    checker.addSchema({ $id: model, definitions: closedObjects(document['definitions']) });
    for (const operation of readOperations(document)) operations.push({ ...operation, model });
    for (const [operation, query] of queriesOf(document)) queries.set(`${model} ${operation}`, query);
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

/** Fails unless the model's operation knows each parameter and allows its value. `path` is without the query. */
export const assertAmazonQuery = (method: string, path: string, query: URLSearchParams): void => {
  if (!specificationsPresent) return;
  const { model, name } = findOperation(operations, method, path);
  const { parameters = [], conforms } = queries.get(`${model} ${name}`) ?? {};
  const typeOf = (wanted: string) => parameters.find((parameter) => parameter.name === wanted)?.type;
  const values = [...query].map(([parameter, text]) => {
    // Swagger 2.0 separates the values of a list by commas.
    if (typeOf(parameter) === 'array') return [parameter, text.split(',')];
    return [parameter, typeOf(parameter) === 'integer' ? Number(text) : text];
  });
  assertConforms(conforms, Object.fromEntries(values), `the query of ${name}`);
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
