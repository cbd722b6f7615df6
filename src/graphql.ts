/** The one way an operation takes, whatever it came in by: parse, validate, authorise, limit, execute or subscribe, mask errors. */
import {
  createSourceEventStream,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import { getVariableValues } from 'graphql/execution/values.js';
import { createDocuments } from './graphqlDocuments.ts';
import { type ErrorReport, maskError, withCode } from './graphqlErrors.ts';
import { checkVariables } from './graphqlVariables.ts';
import { apiError, missingKey, missingScope } from './schema/apiError.ts';
import { type Context, createContext, type Services, type Session } from './schema/context.ts';
import { cursorOf } from './schema/events.ts';
import { type Limits, measure } from './schema/limits.ts';
import { schema as apiSchema } from './schema/schema.ts';
import { createShare, questionOf } from './schema/sharedExecution.ts';
import type { Envelope } from './sync/eventStream.ts';

export type GraphqlLimits = Limits & {
  /** Lexical tokens of a document, checked while it is parsed. */
  readonly tokensMax: number;
  /** Longest run of a query or mutation, in milliseconds. */
  readonly operationTimeoutMs: number;
  /** Open subscriptions of one account in this process. */
  readonly subscriptionsPerAccountMax: number;
};

export type PipelineOptions = {
  /** Default: the API's own. */
  readonly schema?: GraphQLSchema;
  readonly services: Services;
  readonly limits: GraphqlLimits;
  readonly introspection: boolean;
  /** A signal that ends when the session's key is revoked or expires; `release` when it no longer matters. */
  readonly watch: (session: Session) => { readonly signal: AbortSignal; release(): void };
  /** Told of every fault of ours, before it is masked. */
  readonly onInternalError: (report: ErrorReport) => void;
};

export type GraphqlRequest = {
  readonly query?: unknown;
  readonly variables?: unknown;
  readonly operationName?: unknown;
};

/** Who sent an operation and how. */
export type Visitor = {
  readonly session: Session | null;
  readonly correlationId: string;
  /** From the SSE header of that name. */
  readonly lastEventId: string | null;
  /** Whether the way it came in may only read (HTTP GET). */
  readonly safe: boolean;
};

export type Prepared = ExecutionArgs & {
  readonly visitor: Visitor;
  readonly operation: OperationDefinitionNode['operation'];
  readonly question: string;
};

export type Results = AsyncGenerator<ExecutionResult, void, void>;

export type Pipeline = {
  /** Everything up to execution. An array of errors means that it may not run. */
  prepare(request: GraphqlRequest, visitor: Visitor): Prepared | readonly GraphQLError[];
  /** Runs a query or mutation, or opens a subscription. */
  start(prepared: Prepared): Promise<ExecutionResult | Results>;
  run(request: GraphqlRequest, visitor: Visitor): Promise<ExecutionResult | Results>;
};

const inputErrorsMax = 20;
const cursors = new WeakMap<ExecutionResult, string>();

/** The cursor that a subscriber who got this result resumes from; null when it is no result of a stream. */
export function resultCursor(result: ExecutionResult): string | null {
  return cursors.get(result) ?? null;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { schema = apiSchema, limits, services } = options;
  const streams = new Map<string, number>();
  const documents = createDocuments(schema, limits.tokensMax, options.introspection);
  const share = createShare();

  return {
    prepare,
    start,
    async run(request, visitor) {
      const prepared = prepare(request, visitor);
      return isRefused(prepared) ? { errors: prepared } : start(prepared);
    },
  };

  function prepare(request: GraphqlRequest, visitor: Visitor): Prepared | readonly GraphQLError[] {
    try {
      const { query, variables, operationName } = checkedRequest(request);
      const { document, errors } = documents(query);
      if (errors.length > 0) return errors;
      const operation = getOperationAST(document, operationName);
      if (!operation) return [apiError('BAD_USER_INPUT', 'Say which operation to run with `operationName`.')];
      if (visitor.safe && operation.operation === OperationTypeNode.MUTATION) {
        return [apiError('METHOD_NOT_ALLOWED', 'Send mutations by POST.')];
      }
      const { coerced, errors: inputErrors } = getVariableValues(
        schema,
        operation.variableDefinitions ?? [],
        variables ?? {},
        { maxErrors: inputErrorsMax },
      );
      if (inputErrors) return inputErrors.map((error) => withCode(error, 'BAD_USER_INPUT'));
      const demand = measure(schema, document, operation, coerced, limits);
      if (demand.introspects && !options.introspection) {
        return [
          apiError(
            'INTROSPECTION_DISABLED',
            'This server does not answer introspection; see schema.graphql.',
          ),
        ];
      }
      if (demand.needsKey) authorise(visitor.session, demand.scopes);
      const question =
        operation.operation === OperationTypeNode.SUBSCRIPTION
          ? questionOf(document, operation)(
              coerced,
              visitor.session?.accountId ?? '',
              visitor.session?.scopes ?? [],
            )
          : '';
      const contextValue = contextFor(visitor, new AbortController().signal);
      const args: ExecutionArgs = {
        schema,
        document,
        contextValue,
        variableValues: variables,
        operationName,
      };
      return { ...args, visitor, operation: operation.operation, question };
    } catch (error) {
      return [maskError(error, visitor.correlationId, options.onInternalError, 'BAD_USER_INPUT')];
    }
  }

  function contextFor({ session, correlationId, lastEventId }: Visitor, signal: AbortSignal): Context {
    return createContext(services, { session, correlationId, lastEventId, signal });
  }

  async function start(prepared: Prepared): Promise<ExecutionResult | Results> {
    return prepared.operation === OperationTypeNode.SUBSCRIPTION ? subscribe(prepared) : executed(prepared);
  }

  async function executed(prepared: Prepared): Promise<ExecutionResult> {
    const late = Promise.withResolvers<ExecutionResult>();
    const seconds = limits.operationTimeoutMs / 1_000;
    const timer = setTimeout(() => {
      late.resolve({ errors: [apiError('TIMEOUT', `It took more than ${seconds} s.`)] });
    }, limits.operationTimeoutMs);
    try {
      return masked(await Promise.race([execute(prepared), late.promise]), prepared.visitor);
    } finally {
      clearTimeout(timer);
    }
  }

  async function subscribe(prepared: Prepared): Promise<ExecutionResult | Results> {
    const { visitor } = prepared;
    const { session } = visitor;
    if (session === null) return { errors: [missingKey()] };
    const { accountId } = session;
    const open = streams.get(accountId) ?? 0;
    if (open >= limits.subscriptionsPerAccountMax) {
      const message = `At most ${limits.subscriptionsPerAccountMax} subscriptions of one account may be open here.`;
      return { errors: [apiError('LIMIT_OPERATIONS', message)] };
    }
    streams.set(accountId, open + 1);
    const ending = new AbortController();
    const watched = options.watch(session);
    const onRevoked = () => ending.abort();
    watched.signal.addEventListener('abort', onRevoked, { once: true });
    if (watched.signal.aborted) onRevoked();
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      const left = (streams.get(accountId) ?? 1) - 1;
      if (left === 0) streams.delete(accountId);
      else streams.set(accountId, left);
      ending.abort();
      watched.signal.removeEventListener('abort', onRevoked);
      watched.release();
    };
    const source = await createSourceEventStream({
      ...prepared,
      contextValue: contextFor(visitor, ending.signal),
    });
    if (!(Symbol.asyncIterator in source)) {
      release();
      return masked(source, visitor);
    }
    const results = answers(source as AsyncIterable<Envelope>, prepared, watched.signal, release);
    return endingWith(results, () => ending.abort());
  }

  async function* answers(
    source: AsyncIterable<Envelope>,
    prepared: Prepared,
    revoked: AbortSignal,
    release: () => void,
  ): Results {
    const { visitor, question } = prepared;
    try {
      for await (const envelope of source) {
        if (revoked.aborted) break;
        const subject = envelope.kind === 'event' ? envelope.event : envelope;
        yield await share(subject, question, async () => {
          // A context of its own: what is read for one event must not answer for a later one.
          const contextValue = contextFor(visitor, new AbortController().signal);
          const result = masked(await execute({ ...prepared, rootValue: envelope, contextValue }), visitor);
          cursors.set(result, cursorOf(envelope));
          return result;
        });
      }
      if (revoked.aborted)
        yield { errors: [apiError('UNAUTHENTICATED', 'This key was revoked or has expired.')] };
    } catch (error) {
      yield { errors: [maskError(error, visitor.correlationId, options.onInternalError, 'INTERNAL')] };
    } finally {
      release();
    }
  }

  function masked(result: ExecutionResult, { correlationId }: Visitor): ExecutionResult {
    const errors = result.errors?.map((error) =>
      maskError(error, correlationId, options.onInternalError, 'INTERNAL'),
    );
    return errors ? { ...result, errors } : result;
  }
}

export function isRefused(prepared: Prepared | readonly GraphQLError[]): prepared is readonly GraphQLError[] {
  return Array.isArray(prepared);
}

function authorise(session: Session | null, scopes: Iterable<Parameters<typeof missingScope>[0]>): void {
  if (session === null) throw missingKey();
  for (const scope of scopes) if (!session.scopes.has(scope)) throw missingScope(scope);
}

function checkedRequest({ query, variables, operationName }: GraphqlRequest) {
  if (typeof query !== 'string') throw apiError('BAD_USER_INPUT', '`query` must be a string.');
  if (
    variables !== null &&
    variables !== undefined &&
    (typeof variables !== 'object' || Array.isArray(variables))
  ) {
    throw apiError('BAD_USER_INPUT', '`variables` must be an object.');
  }
  checkVariables(variables);
  if (operationName !== null && operationName !== undefined && typeof operationName !== 'string') {
    throw apiError('BAD_USER_INPUT', '`operationName` must be a string.');
  }
  return {
    query,
    variables: variables as Readonly<Record<string, unknown>> | null | undefined,
    operationName: operationName === '' ? null : operationName,
  };
}

/** A generator's own `return` waits for its pending `next`, so the source is told to end first. */
function endingWith(results: Results, end: () => void): Results {
  const ended: Results = {
    next: () => results.next(),
    return(value) {
      end();
      return results.return(value);
    },
    throw(error) {
      end();
      return results.throw(error);
    },
    [Symbol.asyncIterator]: () => ended,
    async [Symbol.asyncDispose]() {
      await ended.return();
    },
  };
  return ended;
}
