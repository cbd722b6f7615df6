/** Errors that stop a request, each with a stable `extensions.code`. Business errors are data instead: see `userErrors.ts`. */
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import type { Scope } from './scopes.ts';

export const apiErrorCodes = [
  /** No key, or one that is unknown, expired or revoked. */
  'UNAUTHENTICATED',
  /** The key lacks a scope; `extensions.scope` names it. */
  'FORBIDDEN',
  'BAD_USER_INPUT',
  /** A mutation or subscription sent by a method that may be repeated or cached. */
  'METHOD_NOT_ALLOWED',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'NOT_FOUND',
  /** The cursor to resume from is none of ours. */
  'INVALID_CURSOR',
  'INTROSPECTION_DISABLED',
  'LIMIT_TOKENS',
  'LIMIT_DEPTH',
  'LIMIT_ALIASES',
  'LIMIT_FIELDS',
  'LIMIT_NODES',
  'LIMIT_COST',
  'LIMIT_PAGE_SIZE',
  'LIMIT_MUTATIONS',
  'LIMIT_WHERE',
  'LIMIT_OPERATIONS',
  /** The operation took too long. A mutation may still have been done: repeat it with the same idempotency key. */
  'TIMEOUT',
  /** A fault of ours. `extensions.correlationId` finds it in the log. */
  'INTERNAL',
] as const;
export type ApiErrorCode = (typeof apiErrorCodes)[number];

export function apiError(
  code: ApiErrorCode,
  message: string,
  extensions: Readonly<Record<string, unknown>> = {},
  options: GraphQLErrorOptions = {},
): GraphQLError {
  return new GraphQLError(message, { ...options, extensions: { ...extensions, code } });
}

export function missingScope(scope: Scope): GraphQLError {
  return apiError('FORBIDDEN', `This key lacks the scope ${scope}.`, { scope });
}

export function missingKey(): GraphQLError {
  return apiError(
    'UNAUTHENTICATED',
    'Send an API key: "Authorization: Bearer <key>", "x-api-key: <key>", or {"apiKey": "<key>"} in connection_init.',
  );
}
