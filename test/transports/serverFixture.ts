/** The API behind real sockets on 127.0.0.1, and the plainest clients that can ask it something. */
import { once } from 'node:events';
import type { ExecutionResult } from 'graphql';
import { WebSocket } from 'ws';
import { createHttpServer, graphqlPath, type HttpOptions, type HttpServer } from '../../src/http.ts';
import { attachWebSocket, type WebSocketOptions, type WebSocketTransport } from '../../src/websocket.ts';
import { type Api, type ApiOptions, openApi } from '../schema/apiFixture.ts';

export type Server = AsyncDisposable & {
  readonly api: Api;
  readonly http: HttpServer;
  readonly webSocket: WebSocketTransport;
  readonly url: string;
  readonly webSocketUrl: string;
};

export type ServerOptions = ApiOptions & {
  readonly http?: Partial<HttpOptions>;
  readonly webSocket?: Partial<WebSocketOptions>;
};

export async function openServer(options: ServerOptions = {}): Promise<Server> {
  const api = await openApi(options);
  const onError = ({ error }: { readonly error: unknown }): void => {
    api.internalErrors.push(error);
  };
  const http = createHttpServer({
    pipeline: api.pipeline,
    verifyKey: api.keys.verify,
    bodyMaxBytes: 65_536,
    corsOrigins: [],
    graphiql: false,
    ssePingIntervalMs: 60_000,
    checks: {},
    checkTimeoutMs: 1_000,
    webhooks: async (_request, response) => {
      response.statusCode = 204;
      response.end();
    },
    headersTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    keepAliveTimeoutMs: 5_000,
    onError,
    ...options.http,
  });
  const webSocket = attachWebSocket(http.server, {
    pipeline: api.pipeline,
    verifyKey: api.keys.verify,
    watch: api.keys.watch,
    path: graphqlPath,
    corsOrigins: [],
    payloadMaxBytes: 65_536,
    operationsPerSocketMax: 5,
    socketsPerAccountMax: 5,
    socketsMax: 20,
    anonymousSocketsMax: 10,
    initWaitMs: 3_000,
    pingIntervalMs: 60_000,
    bufferedMaxBytes: 1_048_576,
    onError,
    ...options.webSocket,
  });
  const port = await http.listen(0, '127.0.0.1');
  return {
    api,
    http,
    webSocket,
    url: `http://127.0.0.1:${port}${graphqlPath}`,
    webSocketUrl: `ws://127.0.0.1:${port}${graphqlPath}`,
    async [Symbol.asyncDispose]() {
      await Promise.all([webSocket.close(0), http.close(0)]);
      await api[Symbol.asyncDispose]();
    },
  };
}

export type Request = {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
};

export type Answer = { readonly status: number; readonly body: ExecutionResult };

export async function post(
  url: string,
  request: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
    body: JSON.stringify(request),
  });
  return { status: response.status, body: (await response.json()) as ExecutionResult };
}

export type Message = {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
};

export type Client = AsyncDisposable & {
  readonly socket: WebSocket;
  send(message: Message | string): void;
  /** The next message that is not a ping. */
  next(): Promise<Message>;
  /** The code and reason the socket is closed with. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
};

export async function connect(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  protocol = 'graphql-transport-ws',
): Promise<Client> {
  const socket = new WebSocket(url, protocol, { headers });
  const messages: Message[] = [];
  const waiting: ((message: Message) => void)[] = [];
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString('utf8')) as Message;
    const take = waiting.shift();
    if (take) take(message);
    else messages.push(message);
  });
  const closed = new Promise<{ readonly code: number; readonly reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
  await once(socket, 'open');
  return {
    socket,
    closed,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next: () =>
      new Promise((resolve, reject) => {
        const message = messages.shift();
        if (message) resolve(message);
        else {
          waiting.push(resolve);
          socket.once('close', (code) => reject(new Error(`the socket was closed with ${code}`)));
        }
      }),
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await closed;
    },
  };
}

/** Connects and waits for the acknowledgement. */
export async function connectWith(url: string, key: string | null): Promise<Client> {
  const client = await connect(url);
  client.send({ type: 'connection_init', ...(key === null ? {} : { payload: { apiKey: key } }) });
  const { type } = await client.next();
  if (type !== 'connection_ack') throw new Error(`no acknowledgement but ${type}`);
  return client;
}

export type EventMessage = { readonly event: string; readonly id: string | null; readonly data: string };

export type EventSource = AsyncDisposable & {
  readonly status: number;
  readonly type: string;
  /** The next message, comments left out; null at the end of the stream. Rejects when the connection breaks. */
  next(): Promise<EventMessage | null>;
};

export async function listen(
  url: string,
  request: Request,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventSource> {
  const leaving = new AbortController();
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
    body: JSON.stringify(request),
    signal: leaving.signal,
  });
  const chunks = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end >= 0) {
          const message = parseMessage(text.slice(0, end));
          text = text.slice(end + 2);
          if (message) return message;
          continue;
        }
        const chunk = await chunks?.read();
        if (!chunk || chunk.done) return null;
        text += chunk.value;
      }
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
    },
  };
}

function parseMessage(text: string): EventMessage | null {
  const fields = new Map(
    text.split('\n').map((line) => {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      return [name, value];
    }),
  );
  const event = fields.get('event');
  return event === undefined ? null : { event, id: fields.get('id') ?? null, data: fields.get('data') ?? '' };
}
