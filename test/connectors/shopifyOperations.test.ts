import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { buildSchema, type GraphQLSchema, parse, validate } from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { shopifyOperations } from '../../src/connectors/shopify/operations.ts';
import { specificationFolder, specificationsPresent } from '../sandbox/officialSpecification.ts';

const operations = Object.entries(shopifyOperations);

describe('the operations sent to Shopify', () => {
  test.each(operations)('%s is syntactically one named operation', (_name, text) => {
    expect(parse(text).definitions).toHaveLength(1);
  });

  test('the official schema is there, or its absence is said and this is not CI', () => {
    expect(specificationsPresent || process.env['CI'] !== 'true').toBe(true);
  });
});

describe.runIf(specificationsPresent)('against the official Admin schema 2026-10', () => {
  let schema: GraphQLSchema;
  beforeAll(async () => {
    const text = await readFile(path.join(specificationFolder, 'shopify/admin_2026-10.graphql'), 'utf8');
    // The file is the vendor's; only our operations are under test.
    schema = buildSchema(text, { assumeValid: true });
  });

  test.each(operations)('%s is valid', (_name, text) => {
    expect(validate(schema, parse(text)).map((error) => error.message)).toEqual([]);
  });

  test('the check would notice a field that does not exist', () => {
    expect(validate(schema, parse('query { shop { id inventedField } }'))).toHaveLength(1);
  });
});
