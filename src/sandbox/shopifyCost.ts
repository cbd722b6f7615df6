/** Query cost in points. An approximation: Shopify publishes the principle (objects and page sizes), not the formula. */
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  getOperationAST,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
  valueFromASTUntyped,
} from 'graphql';

const mutationCost = 10;
const connectionCost = 2;
/** No single query may ask for more. */
const queryCostMax = 1000;

type Variables = Readonly<Record<string, unknown>>;

/** What is taken from the bucket before the query runs: 10 per mutation, 1 per object, a connection by the square root of its page size; at most 1000. */
export function requestedCost(document: DocumentNode, variables: Variables): number {
  const operation = getOperationAST(document);
  if (operation === null || operation === undefined) return 1;
  const fragments = new Map(
    document.definitions
      .filter(
        (definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION,
      )
      .map((fragment) => [fragment.name.value, fragment.selectionSet]),
  );
  const base = operation.operation === OperationTypeNode.MUTATION ? mutationCost : 0;
  const cost = base + Math.max(1, Math.ceil(selectionCost(operation.selectionSet, fragments, variables)));
  return Math.min(queryCostMax, cost);
}

function selectionCost(
  set: SelectionSetNode,
  fragments: ReadonlyMap<string, SelectionSetNode>,
  variables: Variables,
): number {
  let cost = 0;
  for (const selection of set.selections) {
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      cost += selectionCost(selection.selectionSet, fragments, variables);
    } else if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const fragment = fragments.get(selection.name.value);
      if (fragment !== undefined) cost += selectionCost(fragment, fragments, variables);
    } else if (selection.selectionSet !== undefined) {
      const size = selection.arguments?.find(({ name }) => name.value === 'first' || name.value === 'last');
      const rows = size === undefined ? null : Number(valueFromASTUntyped(size.value, { ...variables }) ?? 0);
      const inner = selectionCost(selection.selectionSet, fragments, variables);
      cost += rows === null ? 1 + inner : connectionCost + Math.ceil(Math.sqrt(rows)) * inner;
    }
  }
  return cost;
}

/** What the query really used: 10 per mutation and 1 per object answered. Never more than was requested, says the caller. */
export function actualCost(document: DocumentNode, data: unknown): number {
  const base = getOperationAST(document)?.operation === OperationTypeNode.MUTATION ? mutationCost : 0;
  return base + Math.max(1, countObjects(data) - 1);
}

function countObjects(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, each: unknown) => sum + countObjects(each), 0);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum: number, each: unknown) => sum + countObjects(each), 1);
}
