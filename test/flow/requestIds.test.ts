/** A request's id is on every log line of what the request causes in its process, beside the ids of what came of it. */
import { expect, test } from 'vitest';
import { createLog, type Log } from '../../src/log.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import { startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

type Line = Readonly<Record<string, unknown>>;

function recorder(): { readonly log: Log; line(message: string): Promise<Line> } {
  const lines: Line[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Line) };
  return {
    log: createLog({ level: 'info', readable: false, destination }),
    line: (message) => waitFor(() => lines.find(({ msg }) => msg === message), { what: `"${message}"` }),
  };
}

test('of a mutation: the stock it adjusts, the operation it queues, the job it starts', async () => {
  const recorded = recorder();
  await using product = await startProduct({ log: recorded.log });
  const send = async (requestId: string, query: string): Promise<void> => {
    const response = await fetch(`${product.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${product.key}`,
        'x-request-id': requestId,
      },
      body: JSON.stringify({ query }),
    });
    expect(response.headers.get('x-request-id')).toBe(requestId);
    expect(await response.json()).not.toHaveProperty('errors');
  };
  const { rows } = await product.db.query<{ id: string }>('SELECT id FROM inventory_items');
  const id = encodeId('InventoryItem', rows[0]?.id ?? '');
  await send(
    'adjusting-1',
    `mutation { stockAdjust(input: { itemId: "${id}", delta: 2, reason: RECEIVED, idempotencyKey: "k" }) { userErrors { message } } }`,
  );
  expect(await recorded.line('stock adjusted')).toMatchObject({
    requestId: 'adjusting-1',
    itemId: rows[0]?.id,
    movementId: expect.any(String),
  });
  await send(
    'syncing-2',
    `mutation { inventoryItemSync(input: { itemId: "${id}" }) { userErrors { message } } }`,
  );
  expect(await recorded.line('operation queued')).toMatchObject({
    requestId: 'syncing-2',
    itemId: rows[0]?.id,
    operationId: expect.any(String),
  });
});

test.each(['shopify', 'amazon'] as const)(
  'of a webhook of %s: the order it brings, which keeps its own id and that of the delivery',
  async (platform) => {
    const recorded = recorder();
    await using product = await startProduct({ log: recorded.log });
    product.buy(platform, 'MUG', 1);
    const line = await recorded.line('order applied');
    const { rows } = await product.db.query<{ order_id: string; delivery_id: string }>(
      'SELECT orders.id AS order_id, delivery.id AS delivery_id FROM orders, webhook_deliveries delivery WHERE delivery.id = $1',
      [line['eventId']],
    );
    expect(rows).toEqual([{ order_id: line['orderId'], delivery_id: line['eventId'] }]);
    expect(line['requestId']).toMatch(/^[0-9a-f-]{36}$/);
    const { rows: items } = await product.db.query<{ item_id: string; connection_id: string }>(
      'SELECT item_id, connection_id FROM order_lines line JOIN orders ON orders.id = line.order_id WHERE order_id = $1',
      [line['orderId']],
    );
    const [sold] = items;
    expect(line).toMatchObject({ itemIds: [sold?.item_id], connectionId: sold?.connection_id });
    // The others are lowered: the same item, on another connection.
    const written = await recorded.line('stock written');
    expect(written).toMatchObject({ itemId: sold?.item_id, connectionId: expect.any(String) as string });
    expect(written['connectionId']).not.toBe(sold?.connection_id);
  },
);
