/** What clients see of an error: a stable code, and of our own faults nothing but the id that finds them in the log. */
import { GraphQLError } from 'graphql';
import { type ApiErrorCode, apiError, apiErrorCodes } from './schema/apiError.ts';
import { InvalidCursorError } from './sync/eventStream.ts';

export type ErrorReport = { readonly error: unknown; readonly correlationId: string };

/** The error with `code`, unless it carries one of ours already. Text matching `omit` is left out of its message. */
export function withCode(error: GraphQLError, code: ApiErrorCode, omit?: RegExp): GraphQLError {
  const message = omit ? error.message.replace(omit, '') : error.message;
  return new GraphQLError(message, {
    ...placeOf(error),
    extensions: { ...error.extensions, code: knownCode(error) ?? code },
  });
}

/** Where in the operation an error happened, for another error in its place. */
export function placeOf({ nodes, source, positions, path }: GraphQLError) {
  return { nodes: nodes ?? null, source: source ?? null, positions: positions ?? null, path: path ?? null };
}

/** `uncoded` is what a GraphQLError without a code of ours means where it was thrown. */
export function maskError(
  error: unknown,
  correlationId: string,
  report: (report: ErrorReport) => void,
  uncoded: 'BAD_USER_INPUT' | 'INTERNAL',
): GraphQLError {
  const place = error instanceof GraphQLError ? placeOf(error) : {};
  const cause = rootCause(error);
  if (cause instanceof GraphQLError) {
    if (knownCode(cause) !== null) return withCode(error as GraphQLError, 'INTERNAL');
    if (uncoded === 'BAD_USER_INPUT') return withCode(error as GraphQLError, uncoded);
  }
  if (cause instanceof InvalidCursorError) {
    return apiError('INVALID_CURSOR', 'This cursor is none of ours: start without one.', {}, place);
  }
  report({ error: cause, correlationId });
  return apiError('INTERNAL', 'Something went wrong here. It has been logged.', { correlationId }, place);
}

function knownCode(error: GraphQLError): ApiErrorCode | null {
  return apiErrorCodes.find((code) => code === error.extensions['code']) ?? null;
}

function rootCause(error: unknown): unknown {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  return cause;
}
