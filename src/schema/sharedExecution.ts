/**
 * One event, one execution per distinct question: subscribers that ask the same of the same event, with the same rights, share the result.
 * Results live exactly as long as the event object.
 */
import {
  type DocumentNode,
  type ExecutionResult,
  Kind,
  type OperationDefinitionNode,
  print,
  visit,
} from 'graphql';

export type Share = (
  subject: object,
  question: string,
  execute: () => Promise<ExecutionResult>,
) => Promise<ExecutionResult>;

export function createShare(): Share {
  const answers = new WeakMap<object, Map<string, Promise<ExecutionResult>>>();
  return (subject, question, execute) => {
    const known = answers.get(subject) ?? new Map<string, Promise<ExecutionResult>>();
    answers.set(subject, known);
    const answer = known.get(question) ?? execute();
    known.set(question, answer);
    return answer;
  };
}

/** What of an operation decides the answer for an event: everything but the arguments of the subscription field, which only choose events. */
export function questionOf(
  document: DocumentNode,
  operation: OperationDefinitionNode,
): (variables: Readonly<Record<string, unknown>>, accountId: string, scopes: Iterable<string>) => string {
  const answering = visit(
    {
      ...document,
      definitions: document.definitions.filter(
        (each) => each.kind !== Kind.OPERATION_DEFINITION || each === operation,
      ),
    },
    {
      VariableDefinition: () => null,
      OperationDefinition: (node) => ({
        ...node,
        selectionSet: {
          ...node.selectionSet,
          selections: node.selectionSet.selections.map((selection) =>
            selection.kind === Kind.FIELD ? { ...selection, arguments: [] } : selection,
          ),
        },
      }),
    },
  );
  const names = new Set<string>();
  visit(answering, { Variable: (node) => void names.add(node.name.value) });
  const used = [...names].toSorted();
  const text = print(answering);
  return (variables, accountId, scopes) =>
    JSON.stringify([text, used.map((name) => variables[name]), accountId, [...scopes].toSorted()]);
}
