/** The HTTP server: GraphQL, health, the start page and a door for webhooks; everything else is 404. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGraphqlHandler, type GraphqlHandlerOptions } from './graphqlHandler.ts';
import { eventStreamType } from './sse.ts';
import { startPage } from './startPage.ts';

export type Check = () => Promise<void>;

export type HttpOptions = Omit<GraphqlHandlerOptions, 'path'> & {
  /** What must work before traffic may come, by name. Each throws when it does not. */
  readonly checks: Readonly<Record<string, Check>>;
  /** Longest run of all checks, in milliseconds. */
  readonly checkTimeoutMs: number;
  /** Answers everything below `/webhooks/`. */
  readonly webhooks: (
    request: IncomingMessage,
    response: ServerResponse,
    correlationId: string,
  ) => Promise<void>;
  /** Longest wait for all headers of a request, in milliseconds. */
  readonly headersTimeoutMs: number;
  /** Longest wait for a whole request to arrive, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** How long a connection may stay open between requests, in milliseconds. */
  readonly keepAliveTimeoutMs: number;
};

export type HttpServer = {
  readonly server: Server;
  /** Answers the port, which is the given one unless that was 0. */
  listen(port: number, host: string): Promise<number>;
  /** From now on `/ready` says no, so that a balancer looks elsewhere. */
  drain(): void;
  /** Takes nothing new, waits up to `deadlineMs` for requests in flight, then closes what is left. Event streams are cut, not completed. */
  close(deadlineMs: number): Promise<void>;
};

export const graphqlPath = '/graphql';
const requestIdHeader = 'x-request-id';
const requestIdPattern = /^[\w.:-]{1,64}$/;

export function createHttpServer(options: HttpOptions): HttpServer {
  const graphql = createGraphqlHandler({ ...options, path: graphqlPath });
  const inFlight = new Set<ServerResponse>();
  let draining = false;
  const home = startPage({ graphiql: options.graphiql });
  const pages = new Map<string, (response: ServerResponse) => void | Promise<void>>([
    ['/health', (response) => sendJson(response, 200, { status: 'ok' })],
    ['/ready', ready],
    [
      '/',
      (response) => {
        response.setHeader('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'");
        send(response, 200, 'text/html', home);
      },
    ],
  ]);

  const server = createServer(
    {
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      // How often the two timeouts above are looked at.
      connectionsCheckingInterval: Math.min(options.headersTimeoutMs, 1_000),
    },
    (request, response) => {
      const correlationId = correlationOf(request);
      response.setHeader(requestIdHeader, correlationId);
      inFlight.add(response);
      response.once('close', () => inFlight.delete(response));
      answer(request, response, correlationId).catch((error: unknown) => {
        options.onError({ error, correlationId });
        if (response.headersSent) response.destroy();
        else send(response, 500, 'text/plain', `Something went wrong here (${correlationId}).\n`);
      });
    },
  );

  return {
    server,
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          resolve((server.address() as AddressInfo).port);
        });
      }),
    drain() {
      draining = true;
    },
    close,
  };

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    correlationId: string,
  ): Promise<void> {
    const [path = '/'] = (request.url ?? '/').split('?');
    if (path === graphqlPath) return graphql(request, response, correlationId);
    if (path.startsWith('/webhooks/')) return options.webhooks(request, response, correlationId);
    const page = pages.get(path);
    if (!page) return send(response, 404, 'text/plain', 'There is nothing here.\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return send(response, 405, 'text/plain', 'Only GET and HEAD.\n');
    }
    return page(response);
  }

  async function ready(response: ServerResponse): Promise<void> {
    const results = await checked(options.checks, options.checkTimeoutMs);
    const good = !draining && Object.values(results).every((result) => result === 'ok');
    const status = draining ? 'stopping' : good ? 'ok' : 'failed';
    sendJson(response, good ? 200 : 503, { status, checks: results });
  }

  async function close(deadlineMs: number): Promise<void> {
    draining = true;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    // An event stream never ends by itself. Cut, its client comes back with its cursor; completed, it would not.
    for (const response of inFlight) {
      if (String(response.getHeader('content-type')).startsWith(eventStreamType)) response.destroy();
      // Kept alive, the connection of an answered request would hold the server open until it times out.
      else if (!response.headersSent) response.setHeader('connection', 'close');
    }
    server.closeIdleConnections();
    const timer = setTimeout(() => server.closeAllConnections(), deadlineMs);
    await closed;
    clearTimeout(timer);
  }
}

/** Why a check failed is for the log of that part, not for whoever asks. */
async function checked(
  checks: Readonly<Record<string, Check>>,
  timeoutMs: number,
): Promise<Record<string, 'ok' | 'failed'>> {
  const late = Promise.withResolvers<'failed'>();
  const timer = setTimeout(() => late.resolve('failed'), timeoutMs);
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const result = check().then(
        () => 'ok' as const,
        () => 'failed' as const,
      );
      return [name, await Promise.race([result, late.promise])] as const;
    }),
  );
  clearTimeout(timer);
  return Object.fromEntries(results);
}

function correlationOf({ headers }: IncomingMessage): string {
  const given = headers[requestIdHeader];
  return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID();
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.setHeader('cache-control', 'no-store');
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.statusCode = status;
  response.setHeader('content-type', `${type}; charset=utf-8`);
  response.setHeader('x-content-type-options', 'nosniff');
  response.end(body);
}
