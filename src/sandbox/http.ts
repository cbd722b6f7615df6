/** HTTP over `node:http`, on loopback only: routes by method and path pattern, whole bodies, JSON answers. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turnOfLoop } from 'node:timers/promises';

export type Reply = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string is sent as it is, anything else as JSON; absent: no body. */
  readonly body?: unknown;
};

/** Ends the handling of a request with this reply: thrown from checks deep inside a handler. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`refused with ${reply.status}`);
    this.reply = reply;
  }
}

export type HttpCall = {
  readonly method: string;
  /** The path as sent, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
};

/** What answers one request: a reply, or how the connection ends without a whole one. */
export type Answer =
  | Reply
  | { readonly destroy: 'now' }
  | { readonly destroy: 'midway'; readonly reply: Reply };

export type HttpServer = {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  readonly url: string;
  /** Stops listening and closes every connection. */
  stop(): Promise<void>;
};

const bodyBytesMax = 10 * 1024 * 1024;

/** Reads a pattern such as `/shops/:shopId/listings` into a function that answers the decoded parameters, or null when the path is another. */
export function pathPattern(pattern: string): (path: string) => Record<string, string> | null {
  const parts = pattern.split('/');
  return (path) => {
    const segments = path.split('/');
    if (segments.length !== parts.length) return null;
    const values: Record<string, string> = {};
    for (const [index, part] of parts.entries()) {
      const segment = segments[index] ?? '';
      if (part.startsWith(':')) {
        try {
          values[part.slice(1)] = decodeURIComponent(segment);
        } catch {
          return null;
        }
      } else if (part !== segment) return null;
    }
    return values;
  };
}

/** The JSON value of a body, or undefined when it is none. */
export function jsonBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Parameters of a form-encoded or JSON body, whichever the content type says: token endpoints accept both. */
export function parameters(call: Pick<HttpCall, 'headers' | 'body'>): URLSearchParams {
  if (!(call.headers['content-type'] ?? '').includes('json'))
    return new URLSearchParams(call.body.toString('utf8'));
  const value = jsonBody(call.body);
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return new URLSearchParams(Object.fromEntries(entries.map(([name, each]) => [name, String(each)])));
}

async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyBytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** True when the caller has given up while its request lay there unread: on a busy machine it would be carried out at any time later. */
async function isGivenUp({ socket }: IncomingMessage): Promise<boolean> {
  // The end of a connection is read one turn of the event loop after what was sent over it.
  await turnOfLoop();
  await turnOfLoop();
  return socket.destroyed || socket.readableEnded;
}

function send(response: ServerResponse, reply: Reply, midway: boolean): void {
  const isText = typeof reply.body === 'string';
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? '');
  const bytes = Buffer.from(reply.body === undefined ? '' : text, 'utf8');
  const headers: Record<string, string> = { ...reply.headers };
  if (reply.body !== undefined) headers['content-type'] ??= isText ? 'text/plain' : 'application/json';
  if (reply.status !== 204) headers['content-length'] = String(bytes.length);
  response.writeHead(reply.status, headers);
  if (midway) response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => response.destroy());
  else response.end(reply.status === 204 ? undefined : bytes);
}

/** Listens on 127.0.0.1. `port` 0 takes a free one. Its answers say the time that `now` tells (milliseconds), else the machine's. */
export async function listen(
  port: number,
  handle: (call: HttpCall) => Promise<Answer>,
  now?: () => number,
): Promise<HttpServer> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const body = await readBody(request);
    if (body === null) return send(response, { status: 413, body: { error: 'too large' } }, false);
    if (await isGivenUp(request)) return void request.socket.destroy();
    if (now !== undefined) response.setHeader('date', new Date(now()).toUTCString());
    const result = await handle({
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
    });
    if (!('destroy' in result)) return send(response, result, false);
    if (result.destroy === 'now') request.socket.destroy();
    else send(response, result.reply, true);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) request.socket.destroy();
      else send(response, { status: 500, body: { error: String(error) } }, false);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
