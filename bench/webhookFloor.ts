/**
 * The least that can take a webhook, keep it and tell a subscriber: one HTTP server, one committed row, one WebSocket message. Asked at `statementPath` it
 * sends the product's own statement instead of the one row, and nothing else: what no server around that statement could be faster than.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'pg';
import { WebSocketServer } from 'ws';
import { orderFromRest } from '../src/connectors/shopify/restOrder.ts';
import { deliverOrder } from '../src/sync/orderDelivery.ts';
import { answerCalls } from './processes.ts';

/** Where the sender says which order it is, so that this server need not read the body. */
export const orderHeader = 'x-order-id';

export const statementPath = '/statement';

export type WebhookFloorInput = {
  readonly databaseUrl: string;
  readonly poolMax: number;
  /** Whose orders the product's statement applies. */
  readonly shop: { readonly accountId: string; readonly connectionId: string };
};

async function start({ databaseUrl, poolMax, shop }: WebhookFloorInput): Promise<string> {
  const pool = new Pool({ connectionString: databaseUrl, max: poolMax });
  // A run that fails takes its server away; that is told elsewhere.
  pool.on('error', () => undefined);
  await pool.query(
    'CREATE TABLE floor_deliveries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)',
  );

  async function keep(body: Buffer): Promise<void> {
    await pool.query({
      name: 'floor-insert',
      text: 'INSERT INTO floor_deliveries (body) VALUES ($1)',
      values: [body],
    });
  }

  async function apply(body: Buffer, deliveryId: string): Promise<void> {
    const order = orderFromRest(JSON.parse(body.toString('utf8')));
    if (order === null) throw new Error('the connector cannot read the order');
    const delivery = { ...shop, platform: 'shopify', topic: 'orders/create', deliveryId, body };
    await deliverOrder(pool, { ...delivery, observedAt: order.updatedAt }, order);
  }

  async function receive(request: IncomingMessage): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    await (request.url === statementPath ? apply(body, String(request.headers[orderHeader])) : keep(body));
    const message = JSON.stringify({ platformOrderId: request.headers[orderHeader] });
    for (const socket of sockets.clients) socket.send(message);
  }

  const server = createServer((request, response) => {
    receive(request).then(
      () => response.writeHead(204).end(),
      () => response.writeHead(500).end(),
    );
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

if (process.argv[1] === import.meta.filename) answerCalls({ start });
