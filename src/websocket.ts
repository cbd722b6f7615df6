/** GraphQL over WebSocket (graphql-transport-ws): the pipeline's policy, bounded sockets and buffers, and no result made before the last has left. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ExecutionArgs } from 'graphql';
import { CloseCode, handleProtocols, makeServer, type Context as SocketContext } from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { bearerKey } from './apiKeyHeader.ts';
import type { Watch } from './apiKeys.ts';
import { type Pipeline, type Prepared } from './graphql.ts';
import type { ErrorReport } from './graphqlErrors.ts';
import { apiError } from './schema/apiError.ts';
import type { Session } from './schema/context.ts';

export type WebSocketOptions = {
  readonly pipeline: Pipeline;
  readonly verifyKey: (key: string) => Promise<Session | null>;
  readonly watch: (session: Session) => Watch;
  readonly path: string;
  /** Origins whose pages may connect; none means that no page of another origin may. */
  readonly corsOrigins: readonly string[];
  /** Largest message from a client, in bytes. */
  readonly payloadMaxBytes: number;
  readonly operationsPerSocketMax: number;
  readonly socketsPerAccountMax: number;
  /** Sockets of this process, those without a key included. */
  readonly socketsMax: number;
  /** Sockets of this process that have given no key. */
  readonly anonymousSocketsMax: number;
  /** Longest wait for connection_init, in milliseconds. */
  readonly initWaitMs: number;
  /** Pause between pings, in milliseconds; a socket that has not answered the last one is cut. */
  readonly pingIntervalMs: number;
  /** Bytes that may wait for a slow client before its socket is cut. */
  readonly bufferedMaxBytes: number;
  readonly onError: (report: ErrorReport) => void;
};

export type WebSocketTransport = {
  /**
   * Closes every socket with 1001, which tells clients to come back; those that have not answered after `deadlineMs` are cut.
   * Subscriptions are not completed.
   */
  close(deadlineMs: number): Promise<void>;
};

type Extra = {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly correlationId: string;
  session: Session | null;
};
type Opened = SocketContext<Record<string, unknown> | undefined, Extra>;

/** RFC 6455 and its registry: going away, try again later. */
const goingAway = 1001;
const tryAgainLater = 1013;

export function attachWebSocket(server: Server, options: WebSocketOptions): WebSocketTransport {
  const { pipeline } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.payloadMaxBytes,
    handleProtocols,
    perMessageDeflate: false,
  });
  const perAccount = new Map<string, number>();
  let anonymous = 0;
  const protocol = makeServer<Record<string, unknown> | undefined, Extra>({
    connectionInitWaitTimeout: options.initWaitMs,
    onConnect,
    onSubscribe,
    execute: (args: ExecutionArgs) => pipeline.start(args as Prepared),
    subscribe: (args: ExecutionArgs) => pipeline.start(args as Prepared),
  });

  server.on('upgrade', onUpgrade);
  sockets.on('connection', onSocket);

  return {
    async close(deadlineMs) {
      server.off('upgrade', onUpgrade);
      for (const socket of sockets.clients) socket.close(goingAway, 'Going away');
      const closed = new Promise<void>((resolve) => {
        sockets.close(() => resolve());
      });
      const timer = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, deadlineMs);
      await closed;
      clearTimeout(timer);
    },
  };

  function onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const refusal = upgradeProblem(request);
    if (refusal !== null) {
      stream.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit('connection', socket, request));
  }

  function upgradeProblem(request: IncomingMessage): string | null {
    const [path] = (request.url ?? '').split('?');
    if (path !== options.path) return '404 Not Found';
    if (sockets.clients.size >= options.socketsMax) return '503 Service Unavailable';
    return isAllowedOrigin(request, options.corsOrigins) ? null : '403 Forbidden';
  }

  function onSocket(socket: WebSocket, request: IncomingMessage): void {
    const extra: Extra = { socket, request, correlationId: randomUUID(), session: null };
    const report = (error: unknown) => options.onError({ error, correlationId: extra.correlationId });
    const stopPinging = keepAlive(socket, options.pingIntervalMs);
    socket.on('error', () => socket.terminate());
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        // Resolves when the bytes have left, so the library asks its generator for the next result no sooner.
        send: (data) => send(socket, data),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) =>
          socket.on('message', (data) => {
            handle(textOf(data)).catch((error: unknown) => {
              if (socket.readyState !== socket.OPEN) return;
              report(error);
              socket.close(CloseCode.InternalServerError, 'Internal server error');
            });
          }),
      },
      extra,
    );
    socket.once('close', (code, reason) => {
      stopPinging();
      closed(code, String(reason)).catch(report);
    });
  }

  async function onConnect({ connectionParams, extra }: Opened): Promise<boolean> {
    const key = connectionParams?.['apiKey'] ?? bearerKey(extra.request.headers);
    // Without a key the pipeline answers nothing but `__typename` and introspection; there is no reason to hold many sockets open for that.
    if (key === null) {
      const { socket } = extra;
      if (anonymous >= options.anonymousSocketsMax) {
        socket.close(tryAgainLater, `At most ${options.anonymousSocketsMax} sockets without a key`);
        return false;
      }
      anonymous += 1;
      socket.once('close', () => {
        anonymous -= 1;
      });
      return true;
    }
    const session = typeof key === 'string' ? await options.verifyKey(key) : null;
    if (session === null) return false;
    return admit(session, extra);
  }

  function admit(session: Session, extra: Extra): boolean {
    const { socket } = extra;
    if (socket.readyState !== socket.OPEN) return false;
    const { accountId } = session;
    const open = perAccount.get(accountId) ?? 0;
    if (open >= options.socketsPerAccountMax) {
      socket.close(tryAgainLater, `At most ${options.socketsPerAccountMax} sockets per account`);
      return false;
    }
    perAccount.set(accountId, open + 1);
    const watched = options.watch(session);
    watched.signal.addEventListener('abort', () => socket.close(CloseCode.Forbidden, 'Key revoked'), {
      once: true,
    });
    socket.once('close', () => {
      watched.release();
      const left = (perAccount.get(accountId) ?? 1) - 1;
      if (left === 0) perAccount.delete(accountId);
      else perAccount.set(accountId, left);
    });
    extra.session = session;
    return true;
  }

  function onSubscribe({ extra, subscriptions }: Opened, _id: string, payload: object) {
    const limit = options.operationsPerSocketMax;
    if (Object.keys(subscriptions).length > limit) {
      return [apiError('LIMIT_OPERATIONS', `At most ${limit} operations run on one socket.`, { limit })];
    }
    const { session, correlationId } = extra;
    const prepared = pipeline.prepare(payload, { session, correlationId, lastEventId: null, safe: false });
    // Errors answer this one operation; a syntax error must not cost the others their socket.
    return prepared;
  }

  function send(socket: WebSocket, data: string): Promise<void> {
    if (socket.readyState !== socket.OPEN) return Promise.resolve();
    if (socket.bufferedAmount > options.bufferedMaxBytes) {
      socket.terminate();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      // A socket that broke meanwhile is closed by its own event; that is no fault of the operation.
      socket.send(data, () => resolve());
    });
  }
}

function textOf(data: RawData): string {
  return (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as ArrayBuffer)).toString('utf8');
}

/** Answers a function that stops it. */
function keepAlive(socket: WebSocket, intervalMs: number): () => void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const timer = setInterval(() => {
    if (!answered) {
      socket.terminate();
      return;
    }
    answered = false;
    socket.ping();
  }, intervalMs);
  return () => clearInterval(timer);
}

/** Browsers open WebSockets across origins without asking; programs send no origin. */
function isAllowedOrigin({ headers }: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin } = headers;
  if (origin === undefined) return true;
  return allowed.includes(origin) || URL.parse(origin)?.host === headers.host;
}
