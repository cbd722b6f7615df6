/**
 * Where marketplaces call: the signature is checked over the raw bytes, the delivery stored, and then 2xx answered. An order that the delivery
 * carries may be applied by the very statement that stores it (`sync/intake.ts`); whatever takes longer than a short wait for a lock comes after the answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ChannelError, platforms } from './connectors/connector.ts';
import type { Log } from './log.ts';
import type { ConnectedChannel, Connections } from './sync/connections.ts';
import type { NewDelivery } from './sync/inbox.ts';

export type WebhookOptions = {
  readonly connections: Connections;
  readonly receive: (delivery: NewDelivery, channel: ConnectedChannel) => Promise<void>;
  readonly log: Log;
  /** The address that marketplaces were given, without a trailing slash. eBay's challenge is over it. */
  readonly publicUrl: string;
  readonly bodyMaxBytes: number;
};

const pathShape = /^\/webhooks\/([a-z]+)\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The path of one connection. Its id is unguessable, and still every delivery has to carry a good signature. */
export function webhookPath(platform: string, connectionId: string): string {
  return `/webhooks/${platform}/${connectionId}`;
}

/** How long a connection is taken to be as it was found: a shop in a rush sends hundreds of deliveries in that time. */
const believedMs = 1_000;

export function createWebhookHandler(options: WebhookOptions) {
  const open = believingOpen(options.connections);
  return async (request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> => {
    const url = new URL(request.url ?? '/', options.publicUrl);
    const [, platform, connectionId] = pathShape.exec(url.pathname) ?? [];
    if (connectionId === undefined || !platforms.some((known) => known === platform))
      return answer(response, 404);
    if (request.method !== 'POST' && request.method !== 'GET') return answer(response, 405);
    const body = await readBody(request, options.bodyMaxBytes);
    if (body === null) return answer(response, 413);
    const channel = await open(connectionId);
    if (channel === null || channel.connection.platform !== platform) return answer(response, 404);
    const { connection, connector } = channel;
    const receipt = await connector
      .receiveWebhook({
        method: request.method,
        url: options.publicUrl + url.pathname,
        query: url.searchParams,
        headers: request.headers as Record<string, string | undefined>,
        body,
      })
      .catch((error: unknown) => {
        // Not able to check is no verdict: the marketplace is to try again.
        if (error instanceof ChannelError)
          return { kind: 'refused', status: 503, reason: error.message } as const;
        throw error;
      });
    switch (receipt.kind) {
      case 'challenge':
        return answer(response, 200, receipt.contentType, receipt.body);
      case 'refused':
        options.log.warn({ requestId, connectionId, platform, reason: receipt.reason }, 'webhook refused');
        return answer(response, receipt.status);
      case 'verified': {
        const { deliveryId, topic } = receipt;
        const { accountId } = connection;
        await options.receive({ accountId, connectionId, deliveryId, topic, body, requestId }, channel);
        return answer(response, 204);
      }
    }
  };
}

/** A connection that was paused within the last second may still receive: its orders would come with the next poll anyway. */
function believingOpen(connections: Connections): Connections['open'] {
  const found = new Map<string, { readonly channel: ConnectedChannel; readonly believedUntil: number }>();
  return async (connectionId) => {
    const known = found.get(connectionId);
    if (known !== undefined && known.believedUntil > performance.now()) return known.channel;
    const channel = await connections.open(connectionId);
    if (channel === null) found.delete(connectionId);
    else found.set(connectionId, { channel, believedUntil: performance.now() + believedMs });
    return channel;
  };
}

/** The whole body, or null when it is larger than allowed. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number, contentType = 'text/plain', body = ''): void {
  response.writeHead(status, body === '' ? {} : { 'content-type': contentType }).end(body);
}
