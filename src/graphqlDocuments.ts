/** Parses and validates each document once: a client sends the same few over and over. */
import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLSchema,
  Kind,
  parse,
  validate,
  visit,
} from 'graphql';
import { withCode } from './graphqlErrors.ts';
import { checkText } from './graphqlVariables.ts';

export type CheckedDocument = {
  readonly document: DocumentNode;
  /** Why it may not run; empty when it may. */
  readonly errors: readonly GraphQLError[];
};

const documentsMax = 500;
const validationErrorsMax = 20;
const nothing: DocumentNode = { kind: Kind.DOCUMENT, definitions: [] };

/** A look-up by text that keeps the documents used last. Where introspection is off, no message suggests names either. */
export function createDocuments(
  schema: GraphQLSchema,
  tokensMax: number,
  introspection: boolean,
): (query: string) => CheckedDocument {
  const documents = new Map<string, CheckedDocument>();
  return (query) => {
    const document = documents.get(query) ?? check(query);
    // Put at the end: the first entry is then the one unused for longest.
    documents.delete(query);
    documents.set(query, document);
    const [oldest] = documents.keys();
    if (documents.size > documentsMax && oldest !== undefined) documents.delete(oldest);
    return document;
  };

  function check(query: string): CheckedDocument {
    let document: DocumentNode;
    try {
      document = parse(query, { maxTokens: tokensMax });
      visit(document, { StringValue: ({ value }) => checkText(value) });
    } catch (error) {
      const code = /more tha[nt] \d+ tokens/.test(String(error)) ? 'LIMIT_TOKENS' : 'GRAPHQL_PARSE_FAILED';
      return { document: nothing, errors: [withCode(error as GraphQLError, code)] };
    }
    const suggestion = introspection ? undefined : / Did you mean .*$/s;
    const errors = validate(schema, document, undefined, { maxErrors: validationErrorsMax }).map((error) =>
      withCode(error, 'GRAPHQL_VALIDATION_FAILED', suggestion),
    );
    return { document, errors };
  }
}
