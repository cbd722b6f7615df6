/** A webhook endpoint on loopback that keeps what it was sent and lets a test wait for it. */

import { type HttpCall, listen, type Reply } from '../../src/sandbox/http.ts';

export type Received = Pick<HttpCall, 'path' | 'headers'> & {
  /** As it came, byte by byte. */
  readonly text: string;
  /** Its JSON. */
  readonly body: unknown;
};

export type WebhookReceiver = AsyncDisposable & {
  /** `http://127.0.0.1:port/webhooks` */
  readonly url: string;
  readonly received: readonly Received[];
  /** Resolves when `count` webhooks have come in all; the test's own time limit is the deadline. */
  waitFor(count: number): Promise<readonly Received[]>;
  stop(): Promise<void>;
};

export type ReceiverAnswers = {
  /** Of a webhook, by its number from 0. Default 204. */
  readonly status?: (index: number) => number;
  /** The whole answer to a GET (an endpoint check). */
  readonly challenge?: (code: string) => { readonly contentType: string; readonly body: string };
};

export async function openWebhookReceiver(answers: ReceiverAnswers = {}): Promise<WebhookReceiver> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const server = await listen(0, async ({ method, path, query, headers, body: bytes }): Promise<Reply> => {
    if (method === 'GET') {
      const { contentType = 'text/plain', body = '' } =
        answers.challenge?.(query.get('challenge_code') ?? '') ?? {};
      return { status: 200, headers: { 'content-type': contentType }, body };
    }
    const status = answers.status?.(received.length) ?? 204;
    const text = bytes.toString('utf8');
    received.push({ path, headers, text, body: JSON.parse(text) });
    for (const check of waiting) check();
    return { status };
  });
  const stop = () => server.stop();
  return {
    url: `${server.url}/webhooks`,
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
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
