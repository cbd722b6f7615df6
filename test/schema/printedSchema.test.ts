/** The committed schema is the real one, fully described, and every type declares the scope it needs. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type GraphQLNamedType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql';
import { expect, test } from 'vitest';
import { nodeTypes } from '../../src/schema/globalId.ts';
import { printedSchema } from '../../src/schema/print.ts';
import { schema } from '../../src/schema/schema.ts';
import { declaredScope } from '../../src/schema/scopes.ts';

const types = Object.values(schema.getTypeMap()).filter(
  (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
);

test('schema.graphql is what the code says', async () => {
  const file = path.join(import.meta.dirname, '..', '..', 'schema.graphql');
  expect(await readFile(file, 'utf8')).toBe(printedSchema());
});

test('every type, field, argument and enum member has a description', () => {
  const missing = types.flatMap((type) =>
    [{ name: '', description: type.description }, ...partsOf(type)]
      .filter(({ description }) => !description)
      .map(({ name }) => `${type.name}.${name}`),
  );
  expect(types.length).toBeGreaterThan(100);
  expect(missing).toEqual([]);
});

test('every mutation takes one input at most and answers with userErrors', () => {
  const mutations = Object.values(schema.getMutationType()?.getFields() ?? {});
  expect(mutations.length).toBeGreaterThanOrEqual(8);
  for (const mutation of mutations) {
    expect(mutation.args.map(({ name }) => name).filter((name) => name !== 'input')).toEqual([]);
    const payload = getNamedType(mutation.type);
    const errors = isObjectType(payload) ? payload.getFields()['userErrors'] : undefined;
    expect(String(errors?.type)).toBe('[UserError!]!');
    expect(`${mutation.name} ${declaredScope(mutation.extensions)}`).toMatch(
      /:(write|resolve)$|connections:admin$/,
    );
  }
});

test('stock, order and conflict actions require an idempotency key', () => {
  for (const name of [
    'StockAdjustInput',
    'StockSetInput',
    'OrderStatusUpdateInput',
    'ConflictResolveInput',
    'SyncPlanApplyInput',
    'OrderReturnInput',
    'BundleSetInput',
    'ReservationCreateInput',
    'ReservationExtendInput',
    'ReservationEndInput',
  ]) {
    const input = schema.getType(name);
    const key = isInputObjectType(input) ? input.getFields()['idempotencyKey'] : undefined;
    expect([name, String(key?.type)]).toEqual([name, 'String!']);
  }
});

test('every object with a global id is known to node, with the scope that its type needs', () => {
  const implementations = schema.getPossibleTypes(schema.getType('Node') as never);
  expect(implementations.map(({ name }) => name).toSorted()).toEqual(Object.keys(nodeTypes).toSorted());
  for (const type of implementations) {
    const scope = nodeTypes[type.name as keyof typeof nodeTypes];
    expect([type.name, declaredScope(type.extensions)]).toEqual([type.name, scope]);
  }
});

test('every connection and edge needs the scope of its nodes', () => {
  const pages = types.filter(
    (type) =>
      isObjectType(type) && /(Connection|Edge)$/.test(type.name) && type.name !== 'PlatformConnection',
  );
  expect(pages.length).toBeGreaterThanOrEqual(20);
  for (const page of pages) {
    const fields = isObjectType(page) ? page.getFields() : {};
    const node = getNamedType((fields['nodes'] ?? fields['node'])?.type);
    const scope = declaredScope(node?.extensions ?? {});
    expect([page.name, declaredScope(page.extensions)]).toEqual([page.name, scope]);
  }
});

type Part = { readonly name: string; readonly description?: string | null | undefined };

function partsOf(type: GraphQLNamedType): Part[] {
  if (isEnumType(type)) return [...type.getValues()];
  if (isInputObjectType(type)) return Object.values(type.getFields());
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.values(type.getFields()).flatMap((field) => {
    const parts: Part[] = field.args.map(({ name, description }) => ({
      name: `${field.name}(${name})`,
      description,
    }));
    parts.push(field);
    return parts;
  });
}
