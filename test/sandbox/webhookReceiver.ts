/** A webhook endpoint on loopback that keeps what it was sent and lets a test wait for it. */

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Received = {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: unknown;
};

export type WebhookReceiver = {
  /** `http://127.0.0.1:port/webhooks` */
  readonly url: string;
  readonly received: readonly Received[];
  /** Resolves when `count` webhooks have come in all; the test's own time limit is the deadline. */
  waitFor(count: number): Promise<readonly Received[]>;
  stop(): Promise<void>;
};

/** `answer` decides the status of each POST, and the whole answer to a GET (an endpoint check). */
export async function openWebhookReceiver(
  answer: {
    readonly status?: (index: number) => number;
    readonly challenge?: (code: string) => { readonly contentType: string; readonly body: string };
  } = {},
): Promise<WebhookReceiver> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method === 'GET') {
        const code = new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('challenge_code') ?? '';
        const challenge = answer.challenge?.(code) ?? { contentType: 'text/plain', body: '' };
        response.writeHead(200, { 'content-type': challenge.contentType }).end(challenge.body);
        return;
      }
      const text = Buffer.concat(chunks).toString('utf8');
      const status = answer.status?.(received.length) ?? 204;
      received.push({ headers: request.headers, text, body: JSON.parse(text) });
      response.writeHead(status).end();
      for (const check of waiting) check();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
    received,
    waitFor: (count) =>
      new Promise((resolve) => {
        const check = () => {
          if (received.length < count) return;
          waiting.delete(check);
          resolve([...received]);
        };
        waiting.add(check);
        check();
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
