/** The schema that the sandbox executes is a true part of Shopify's official one: every name, type and argument. */
import {
  buildSchema,
  type GraphQLArgument,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedDirective,
  parse,
  validate,
} from 'graphql';
import { expect, test } from 'vitest';
import { shopifyOperations } from '../../src/connectors/shopify/operations.ts';
import { shopifySdl } from '../../src/sandbox/shopifySchema.ts';
import { describeBySpecification, specificationText } from '../support/specifications.ts';

const sandboxSchema = buildSchema(shopifySdl);

/** What the part says that the whole does not: one sentence each. */
function differences(part: GraphQLSchema, whole: GraphQLSchema): readonly string[] {
  const directives = part
    .getDirectives()
    .filter((directive) => !isSpecifiedDirective(directive))
    .flatMap((directive) => {
      const official = whole.getDirective(directive.name);
      if (!official) return [`@${directive.name} does not exist`];
      const places = directive.locations.filter((location) => !official.locations.includes(location));
      const where = places.map((place) => `@${directive.name} is not allowed on ${place}`);
      return where.concat(argumentDifferences(`@${directive.name}`, directive.args, official.args));
    });
  const types = Object.values(part.getTypeMap())
    .filter(({ name }) => !name.startsWith('__'))
    .flatMap((type) => {
      const official = whole.getType(type.name);
      return official === undefined ? [`${type.name} does not exist`] : typeDifferences(type, official);
    });
  return [...directives, ...types];
}

function typeDifferences(type: GraphQLNamedType, official: GraphQLNamedType): readonly string[] {
  if (type.constructor !== official.constructor) return [`${type.name} is of another kind`];
  if (isScalarType(type)) return [];
  if (isEnumType(type) && isEnumType(official)) {
    const missing = type.getValues().filter(({ name }) => official.getValue(name) === undefined);
    return missing.map(({ name }) => `${type.name}.${name} does not exist`);
  }
  if (isInputObjectType(type) && isInputObjectType(official)) {
    const theirs = official.getFields();
    const required = Object.values(theirs).filter(
      (field) => String(field.type).endsWith('!') && type.getFields()[field.name] === undefined,
    );
    return [
      ...required.map(({ name }) => `${type.name}.${name} is required and missing`),
      ...Object.values(type.getFields()).flatMap((field) =>
        String(theirs[field.name]?.type) === String(field.type)
          ? []
          : [`${type.name}.${field.name} is ${String(theirs[field.name]?.type)}`],
      ),
    ];
  }
  if (
    (isObjectType(type) || isInterfaceType(type)) &&
    (isObjectType(official) || isInterfaceType(official))
  ) {
    const theirs = official.getFields();
    const interfaces = type
      .getInterfaces()
      .filter(({ name }) => !official.getInterfaces().some((each) => each.name === name));
    return [
      ...interfaces.map(({ name }) => `${type.name} does not implement ${name}`),
      ...Object.values(type.getFields()).flatMap((field) => {
        const path = `${type.name}.${field.name}`;
        const their = theirs[field.name];
        if (their === undefined) return [`${path} does not exist`];
        const kind = String(their.type) === String(field.type) ? [] : [`${path} is ${String(their.type)}`];
        return kind.concat(argumentDifferences(path, field.args, their.args));
      }),
    ];
  }
  return [`${type.name} cannot be compared`];
}

function argumentDifferences(
  path: string,
  args: readonly GraphQLArgument[],
  theirs: readonly GraphQLArgument[],
): readonly string[] {
  const wrong = args.flatMap((argument) => {
    const their = theirs.find(({ name }) => name === argument.name);
    if (their === undefined) return [`${path}(${argument.name}) does not exist`];
    const same = String(their.type) === String(argument.type) && their.defaultValue === argument.defaultValue;
    return same ? [] : [`${path}(${argument.name}) is ${String(their.type)} = ${String(their.defaultValue)}`];
  });
  const missing = theirs.filter(
    (their) => String(their.type).endsWith('!') && !args.some(({ name }) => name === their.name),
  );
  return [...wrong, ...missing.map(({ name }) => `${path}(${name}) is required and missing`)];
}

describeBySpecification('The schema of the sandbox', () => {
  test('has every type, field and argument with the same type in the official Shopify schema', () => {
    const official = buildSchema(specificationText('shopify/admin_2026-10.graphql'), { assumeValid: true });
    expect(differences(sandboxSchema, official)).toEqual([]);
  });
});

test.each(Object.entries(shopifyOperations))('The sandbox executes the operation %s', (_name, text) => {
  expect(validate(sandboxSchema, parse(text))).toEqual([]);
});

test('The comparison notices a field, an argument, a type and an enum member that are not official', () => {
  const official = buildSchema(
    'enum E { A } input I { a: Int! b: Int } type Query { a(x: Int! = 1, y: Int): Int e: E } type T { b: Int }',
  );
  const ours = buildSchema(
    'enum E { A B } input I { b: Int! } type Query { a(x: Int!, z: Int): Int! c: Int e: E } scalar T scalar S',
  );
  expect(differences(ours, official)).toEqual([
    'E.B does not exist',
    'I.a is required and missing',
    'I.b is Int',
    'Query.a is Int',
    'Query.a(x) is Int! = 1',
    'Query.a(z) does not exist',
    'Query.c does not exist',
    'T is of another kind',
    'S does not exist',
  ]);
});
