/** GraphQL over HTTP: Yoga reads requests and writes answers, the pipeline decides everything in between. JSON only, one operation each. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionResult } from 'graphql';
import { GraphQLError } from 'graphql';
import { createYoga, type GraphiQLOptions } from 'graphql-yoga';
import { bearerKey } from './apiKeyHeader.ts';
import type { GraphqlRequest, Pipeline, Visitor } from './graphql.ts';
import { type ErrorReport, maskError, placeOf } from './graphqlErrors.ts';
import { type ApiErrorCode, apiError } from './schema/apiError.ts';
import type { Session } from './schema/context.ts';
import { useEventStreams } from './sse.ts';

export type GraphqlHandlerOptions = {
  readonly path: string;
  readonly pipeline: Pipeline;
  readonly verifyKey: (key: string) => Promise<Session | null>;
  /** Largest request, in bytes. */
  readonly bodyMaxBytes: number;
  /** Origins whose pages may call; none means that no page of another origin may. */
  readonly corsOrigins: readonly string[];
  readonly graphiql: boolean;
  /** Draws GraphiQL without a network. Default: Yoga's page, which loads its script from a CDN. */
  readonly renderGraphiql?: (options?: GraphiQLOptions) => string;
  /** Pause between comments on a quiet event stream, in milliseconds. */
  readonly ssePingIntervalMs: number;
  readonly onError: (report: ErrorReport) => void;
};

export type GraphqlHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  correlationId: string,
) => Promise<void>;

type RequestContext = { readonly visitor: Visitor };

const defaultQuery = `# Put your API key below, under Headers: {"authorization": "Bearer lgs_..."}

query Items {
  inventoryItems(first: 10) {
    nodes {
      sku
      title
      quantity
      reserved
      available
      listings(first: 4) {
        nodes { platform quantity target pending }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}

subscription Stock {
  stockEvents {
    ... on StockEvent { cursor sku available kind }
    ... on Gap { to reason }
    ... on Heartbeat { cursor }
  }
}
`;

export function createGraphqlHandler(options: GraphqlHandlerOptions): GraphqlHandler {
  const { pipeline, verifyKey, onError } = options;
  const yoga = createYoga<RequestContext>({
    graphqlEndpoint: options.path,
    landingPage: false,
    logging: false,
    batching: false,
    multipart: false,
    parserAndValidationCache: false,
    maxRequestBodySize: options.bodyMaxBytes,
    cors: corsOf(options.corsOrigins),
    graphiql: options.graphiql && {
      title: 'ListGenius Sync',
      defaultQuery,
      headers: '{"authorization": "Bearer "}',
      subscriptionsProtocol: 'SSE',
    },
    ...(options.renderGraphiql ? { renderGraphiQL: options.renderGraphiql } : {}),
    maskedErrors: { maskError: (error) => maskUnread(error, onError) },
    plugins: [
      useEventStreams({ pingIntervalMs: options.ssePingIntervalMs }),
      {
        onParams({ setParamsHandler }) {
          setParamsHandler(async ({ params, context }) => {
            const { visitor } = context as unknown as RequestContext;
            const result = await pipeline.run(params as GraphqlRequest, visitor);
            return (Symbol.asyncIterator in result ? result : withStatus(result)) as never;
          });
        },
      },
    ],
  });

  return async (request, response, correlationId) => {
    const refusal = mediaTypeProblem(request);
    if (refusal) return refuse(response, 415, refusal);
    const key = bearerKey(request.headers);
    const session = key === null ? null : await verifyKey(key);
    if (key !== null && session === null) {
      return refuse(response, 401, apiError('UNAUTHENTICATED', 'This key is unknown, expired or revoked.'));
    }
    const visitor: Visitor = {
      session,
      correlationId,
      lastEventId: headerOf(request, 'last-event-id'),
      safe: request.method !== 'POST',
    };
    await yoga(request, response, { visitor });
  };
}

function corsOf(origins: readonly string[]) {
  if (origins.length === 0) return false;
  return {
    origin: [...origins],
    // Keys travel in headers; no page of another origin needs cookies.
    credentials: false,
    methods: ['GET', 'POST'],
    allowedHeaders: ['authorization', 'content-type', 'last-event-id', 'x-api-key', 'x-request-id'],
    exposedHeaders: ['x-request-id'],
    maxAge: 600,
  };
}

/** A form or plain text can be posted by any page without being asked first; JSON cannot. */
function mediaTypeProblem(request: IncomingMessage): GraphQLError | null {
  if (request.method !== 'POST') return null;
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() === 'application/json') return null;
  return apiError('BAD_USER_INPUT', 'Send JSON: "Content-Type: application/json".');
}

const statuses: Partial<Record<ApiErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  METHOD_NOT_ALLOWED: 405,
  INTERNAL: 500,
  TIMEOUT: 504,
};

/** What Yoga throws while it reads a request. Of a parameter in the address that is no JSON it throws the parser's own error. */
function maskUnread(error: unknown, report: (report: ErrorReport) => void): GraphQLError {
  const cause = error instanceof GraphQLError ? (error.originalError ?? error) : error;
  if (cause instanceof SyntaxError)
    return apiError('BAD_USER_INPUT', 'A parameter of the address is no JSON.', { http: { status: 400 } });
  return maskError(error, 'http', report, 'BAD_USER_INPUT');
}

/** Gives a result without data the HTTP status that its first error means. Yoga takes `http` out again. */
function withStatus(result: ExecutionResult): ExecutionResult {
  if (!result.errors || result.data !== undefined) return result;
  const errors = result.errors.map((error) => {
    const status = statuses[error.extensions['code'] as ApiErrorCode];
    // Without a status of its own it is the client's mistake; plain `application/json` clients get 200 with errors.
    const http = status === undefined ? { status: 400, spec: true } : { status };
    const extensions = { ...error.extensions, http };
    return new GraphQLError(error.message, { ...placeOf(error), extensions });
  });
  return { ...result, errors };
}

function refuse(response: ServerResponse, status: number, error: GraphQLError): void {
  response.statusCode = status;
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify({ errors: [error] }));
}

function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
