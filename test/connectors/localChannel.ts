/** A marketplace of a few lines on 127.0.0.1, and everything else a connector is given, so that tests use real HTTP. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { ConnectorContext, CredentialStore, Credentials } from '../../src/connectors/connector.ts';
import { createHttpClient, type HttpClientOptions } from '../../src/connectors/httpClient.ts';
import { createMemoryRateBudget } from '../../src/connectors/rateBudget.ts';

export type ReceivedRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
};

export type Reply = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  readonly bytes?: Buffer;
};

/** `lost`: the request is taken in and the connection cut. `silent`: no answer ever comes. */
export type Answer = Reply | 'lost' | 'silent';

/** Answers that leave open what the channel did. */
export const unclearAnswers: readonly (readonly [name: string, answer: Answer])[] = [
  ['nothing', 'lost'],
  ['a failure', { status: 503 }],
  ['something unreadable', { text: '<html>' }],
];

/** One that throws answers 418, which no connector understands and none tries again. */
export type Handler = (request: ReceivedRequest) => Answer | Promise<Answer>;

export type LocalChannel = AsyncDisposable & {
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
};

export async function startLocalChannel(handler: Handler): Promise<LocalChannel> {
  const requests: ReceivedRequest[] = [];
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const request = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    requests.push(request);
    const reply = await handler(request);
    if (reply === 'silent') return;
    if (reply === 'lost') {
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers });
    outgoing.end(reply.bytes ?? reply.text ?? (reply.json === undefined ? '' : JSON.stringify(reply.json)));
  };
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch((error: unknown) => {
      outgoing.writeHead(418).end(String(error));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A local channel that is closed when the running test is over. */
export async function openLocalChannel(handler: Handler): Promise<LocalChannel> {
  const channel = await startLocalChannel(handler);
  onTestFinished(() => channel[Symbol.asyncDispose]());
  return channel;
}

/** Credentials in memory with the store's promise: a refresh for a token that is no longer the stored one does not run. */
export function createMemoryCredentials(
  initial: Credentials,
): CredentialStore & { readonly refreshes: () => number } {
  let stored = initial;
  let refreshes = 0;
  let turn: Promise<unknown> = Promise.resolve();
  return {
    refreshes: () => refreshes,
    read: async () => stored,
    refresh(staleAccessToken, refresh) {
      const next = turn.then(async () => {
        if ((stored['accessToken'] ?? '') !== staleAccessToken) return stored;
        refreshes += 1;
        stored = await refresh(stored);
        return stored;
      });
      turn = next.catch(() => {});
      return next;
    },
  };
}

export type TestContext = ConnectorContext & {
  readonly credentials: ReturnType<typeof createMemoryCredentials>;
};

/** Waits between attempts are skipped but counted: the clock, by default one that stands still, moves by them. */
export function createTestContext(
  settings: Readonly<Record<string, unknown>>,
  credentials: Credentials,
  { now: clock = () => Date.parse('2026-11-22T08:05:00Z'), ...options }: Partial<HttpClientOptions> = {},
): TestContext & { readonly slept: readonly number[] } {
  let skipped = 0;
  const slept: number[] = [];
  const now = (): number => clock() + skipped;
  const http = createHttpClient({
    budget: createMemoryRateBudget({ now }),
    now,
    random: () => 0.5,
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
      skipped += milliseconds;
    },
    attemptTimeoutMs: 5_000,
    ...options,
  });
  return { settings, credentials: createMemoryCredentials(credentials), http, now, slept };
}

export async function collect<Item>(pages: AsyncIterable<readonly Item[]>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const page of pages) items.push(...page);
  return items;
}
