/** A local HTTP server that answers as a test says, and the context that lets a connector talk to it. */

import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import type { ConnectorContext, CredentialStore, Credentials } from '../../src/connectors/connector.ts';
import { createHttpClient } from '../../src/connectors/httpClient.ts';
import { createMemoryRateBudget } from '../../src/connectors/rateBudget.ts';

export type Call = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
};

/** `lost`: the request was taken in and the connection then breaks, so that nobody knows what became of it. */
export type Answer =
  | { readonly status?: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | 'lost';

export type Handler = (call: Call) => Answer | Promise<Answer>;

export type TestServer = { readonly url: string; readonly calls: readonly Call[] };

/** Listens until the running test is over. A handler that throws answers 418, which no connector understands. */
export async function startServer(handler: Handler): Promise<TestServer> {
  const calls: Call[] = [];
  const server = createServer((request, response) => void serve(handler, calls, request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  return { url: `http://127.0.0.1:${address.port}`, calls };
}

async function serve(
  handler: Handler,
  calls: Call[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const url = new URL(request.url ?? '/', 'http://local');
  const call: Call = {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  };
  calls.push(call);
  let answer: Answer;
  try {
    answer = await handler(call);
  } catch (error) {
    answer = { status: 418, body: { error: String(error) } };
  }
  if (answer === 'lost') {
    request.socket.destroy();
    return;
  }
  response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
  response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
}

export type TestStore = CredentialStore & { readonly stored: () => Credentials };

/** Refreshes one at a time and stores before answering, as the real store does. */
export function createTestStore(initial: Credentials): TestStore {
  let stored = initial;
  let running: Promise<Credentials> | null = null;
  const run = async (refresh: (current: Credentials) => Promise<Credentials>): Promise<Credentials> => {
    try {
      stored = await refresh(stored);
      return stored;
    } finally {
      running = null;
    }
  };
  return {
    stored: () => stored,
    read: async () => stored,
    refresh: async (staleAccessToken, refresh) => {
      if (running !== null) return running;
      if ((stored['accessToken'] ?? '') !== staleAccessToken) return stored;
      running = run(refresh);
      return running;
    },
  };
}

/** A context whose retries do not wait. */
export function createContext(
  settings: Readonly<Record<string, unknown>>,
  credentials: CredentialStore,
  now: () => number = Date.now,
): ConnectorContext {
  const http = createHttpClient({
    budget: createMemoryRateBudget({ now: Date.now }),
    sleep: async () => {},
    random: () => 0,
    attemptTimeoutMs: 5_000,
  });
  return { settings, credentials, http, now };
}

/** A body as marketplaces document it. */
export function recording(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`recordings/${name}.json`, import.meta.url), 'utf8'));
}

export async function collect<Item>(pages: AsyncIterable<readonly Item[]>): Promise<readonly Item[]> {
  const items: Item[] = [];
  for await (const page of pages) items.push(...page);
  return items;
}
