/** Looks at an operation before it runs: what it could return at most, how deep it goes, and which scopes it needs. */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLNamedType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { getArgumentValues } from 'graphql/execution/values.js';
import { apiError } from './apiError.ts';
import { pageSize } from './paging.ts';
import { declaredScope, type Scope } from './scopes.ts';

export type Limits = {
  /** Deepest nesting of fields. Introspection has a fixed limit of its own. */
  readonly depthMax: number;
  readonly aliasesMax: number;
  /** Fields selected, each fragment counted wherever it is spread. */
  readonly fieldsMax: number;
  /** Objects that all pages together could hold. */
  readonly nodesMax: number;
  /** Mutation fields of one operation. */
  readonly mutationsMax: number;
  /** Points: 1 per root field, 9 more per mutation, 1 per 10 nodes. */
  readonly costMax: number;
};

export type Demand = {
  /** Whether anything but `__typename` and introspection is asked for. */
  readonly needsKey: boolean;
  readonly introspects: boolean;
  readonly scopes: ReadonlySet<Scope>;
  readonly nodes: number;
  readonly cost: number;
};

type Variables = Readonly<Record<string, unknown>>;
type Place = { readonly type: GraphQLNamedType; readonly depth: number; readonly parents: number };

// The introspection query of graphql-js nests 15 levels (`ofType` nine times).
const introspectionDepthMax = 16;

/** Throws the coded error of the first limit that the operation passes. The document must be valid. */
export function measure(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
  limits: Limits,
): Demand {
  const fragments = new Map(
    document.definitions
      .filter(
        (definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION,
      )
      .map((fragment) => [fragment.name.value, fragment]),
  );
  const scopes = new Set<Scope>();
  let [fields, aliases, nodes, roots, introspects, needsKey] = [0, 0, 0, 0, false, false];

  const isMutation = operation.operation === OperationTypeNode.MUTATION;
  const root = schema.getRootType(operation.operation);
  if (!root) throw apiError('BAD_USER_INPUT', `There is no ${operation.operation} type.`);
  visit(operation.selectionSet, { type: root, depth: 0, parents: 1 });
  const cost = roots * (isMutation ? 10 : 1) + Math.ceil(nodes / 10);
  exceeds(cost, limits.costMax, 'LIMIT_COST', 'points of cost');
  return { needsKey, introspects, scopes, nodes, cost };

  function visit(selections: SelectionSetNode, place: Place): void {
    for (const selection of selections.selections) {
      if (isLeftOut(selection, variables)) continue;
      if (selection.kind === Kind.FIELD) {
        visitField(selection, place);
        continue;
      }
      const fragment =
        selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
      if (!fragment) continue;
      const condition = fragment.typeCondition;
      const type = condition ? (schema.getType(condition.name.value) ?? place.type) : place.type;
      require(type.extensions);
      visit(fragment.selectionSet, { ...place, type });
    }
  }

  function visitField(node: FieldNode, { type, depth, parents }: Place): void {
    fields += 1;
    exceeds(fields, limits.fieldsMax, 'LIMIT_FIELDS', 'fields');
    if (node.alias) aliases += 1;
    exceeds(aliases, limits.aliasesMax, 'LIMIT_ALIASES', 'aliases');
    const name = node.name.value;
    if (depth === 0 && (name === '__schema' || name === '__type')) {
      introspects = true;
      visitIntrospection(node, 1);
      return;
    }
    if (name === '__typename') return;
    needsKey = true;
    exceeds(depth + 1, limits.depthMax, 'LIMIT_DEPTH', 'levels');
    if (depth === 0) {
      roots += 1;
      if (isMutation) exceeds(roots, limits.mutationsMax, 'LIMIT_MUTATIONS', 'mutations');
    }
    const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
    if (!field) return;
    const returned = getNamedType(field.type);
    require(field.extensions);
    require(returned.extensions);
    const size = pageOf(field, getArgumentValues(field, node, variables));
    if (size !== null) nodes += parents * size;
    exceeds(nodes, limits.nodesMax, 'LIMIT_NODES', 'nodes');
    if (node.selectionSet && isCompositeType(returned)) {
      visit(node.selectionSet, { type: returned, depth: depth + 1, parents: parents * (size ?? 1) });
    }
  }

  function visitIntrospection(
    node: { readonly selectionSet?: SelectionSetNode | undefined },
    depth: number,
  ): void {
    exceeds(depth, introspectionDepthMax, 'LIMIT_DEPTH', 'levels of introspection');
    for (const selection of node.selectionSet?.selections ?? []) {
      fields += 1;
      exceeds(fields, limits.fieldsMax, 'LIMIT_FIELDS', 'fields');
      if (selection.kind === Kind.FIELD) visitIntrospection(selection, depth + 1);
      else if (selection.kind === Kind.INLINE_FRAGMENT) visitIntrospection(selection, depth);
      else visitIntrospection(fragments.get(selection.name.value) ?? {}, depth);
    }
  }

  function require(extensions: Readonly<Record<string, unknown>>): void {
    const scope = declaredScope(extensions);
    if (scope !== null) scopes.add(scope);
  }
}

type Sized = {
  readonly args: readonly { readonly name: string }[];
  readonly extensions: Readonly<Record<string, unknown>>;
};

/** How many objects a field returns at most; null when it is no list. */
function pageOf(field: Sized, values: Readonly<Record<string, unknown>>): number | null {
  const { listMax } = field.extensions;
  if (typeof listMax === 'number') {
    const asked = Object.values(values).find(Array.isArray)?.length ?? 0;
    exceeds(asked, listMax, 'LIMIT_PAGE_SIZE', 'ids');
    return asked;
  }
  if (!field.args.some(({ name }) => name === 'first')) return null;
  const { first, last } = values as { first?: number | null; last?: number | null };
  return pageSize({ first, last }).size;
}

function exceeds(value: number, limit: number, code: Parameters<typeof apiError>[0], what: string): void {
  if (value > limit) throw apiError(code, `The operation asks for more than ${limit} ${what}.`, { limit });
}

function isLeftOut(selection: SelectionNode, variables: Variables): boolean {
  return (
    getDirectiveValues(GraphQLSkipDirective, selection, variables)?.['if'] === true ||
    getDirectiveValues(GraphQLIncludeDirective, selection, variables)?.['if'] === false
  );
}
