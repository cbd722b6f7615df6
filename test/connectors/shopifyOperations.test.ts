/** The GraphQL operations sent to Shopify are valid in Shopify's published schema. */
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, test } from 'vitest';
import { shopifyOperations } from '../../src/connectors/shopify/operations.ts';
import { describeBySpecification, specificationText } from '../support/specifications.ts';

const operations = Object.entries(shopifyOperations);

describe('the operations sent to Shopify', () => {
  test.each(operations)('%s is syntactically one named operation', (_name, text) => {
    expect(parse(text).definitions).toHaveLength(1);
  });
});

describeBySpecification('against the official Admin schema 2026-10', () => {
  // The file is the vendor's; only our operations are under test.
  const schema = buildSchema(specificationText('shopify/admin_2026-10.graphql'), { assumeValid: true });

  test.each(operations)('%s is valid', (_name, text) => {
    expect(validate(schema, parse(text)).map((error) => error.message)).toEqual([]);
  });

  test('the check would notice a field that does not exist', () => {
    expect(validate(schema, parse('query { shop { id inventedField } }'))).toHaveLength(1);
  });
});
