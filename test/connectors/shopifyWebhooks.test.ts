/** Shopify: only signed deliveries count, and each topic has its meaning. */
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { WebhookRequest } from '../../src/connectors/connector.ts';
import { createShopifyConnector } from '../../src/connectors/shopify/shopify.ts';
import { createTestContext } from './localChannel.ts';
import { recording } from './recordings.ts';

const body = Buffer.from('{"inventory_item_id":45000001,"location_id":65000001,"available":7}');
const signature = 'bzwIwYwWzcEe7Rg1UzQwVf2GDjqdg998R4NJIBPyDh8=';

function connector(credentials: Readonly<Record<string, string>> = {}) {
  return createShopifyConnector(
    createTestContext(
      { shopDomain: 'demo-shop.myshopify.com', locationId: 65000001, authMode: 'static' },
      { accessToken: 'shpat_x', clientId: 'client', clientSecret: 'shpss_demo_secret', ...credentials },
    ),
  );
}

function delivery(headers: Readonly<Record<string, string | undefined>>, content = body): WebhookRequest {
  return {
    method: 'POST',
    url: 'https://sync.example.com/webhooks/shopify',
    query: new URLSearchParams(),
    headers: {
      'x-shopify-hmac-sha256': signature,
      'x-shopify-topic': 'inventory_levels/update',
      'x-shopify-shop-domain': 'demo-shop.myshopify.com',
      'x-shopify-webhook-id': 'delivery-1',
      ...headers,
    },
    body: content,
  };
}

const verified = { kind: 'verified', deliveryId: 'delivery-1', topic: 'inventory_levels/update' };

describe('receiving', () => {
  test('the documented signature over the raw bytes is accepted', async () => {
    expect(await connector().receiveWebhook(delivery({}))).toEqual(verified);
  });

  test('the spelling without X- is read too', async () => {
    const request = delivery({});
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name.replace('x-shopify', 'shopify'), value]),
    );
    expect(await connector().receiveWebhook({ ...request, headers })).toEqual(verified);
  });

  test('during a rotation the previous secret still counts', async () => {
    const rotated = connector({ clientSecret: 'new', previousClientSecret: 'shpss_demo_secret' });
    expect(await rotated.receiveWebhook(delivery({}))).toEqual(verified);
    const done = connector({ clientSecret: 'new' });
    expect(await done.receiveWebhook(delivery({}))).toMatchObject({ kind: 'refused', status: 401 });
  });

  test('the same JSON in other bytes is refused', async () => {
    const spaced = Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1));
    expect(await connector().receiveWebhook(delivery({}, spaced))).toMatchObject({
      kind: 'refused',
      status: 401,
    });
  });

  test.each([undefined, '', 'AAAA', `${signature}A`, 'bzwIwYwWzcEe7Rg1UzQwVf2GDjqdg998R4NJIBPyDh9='])(
    'the signature %s is refused',
    async (wrong) => {
      const receipt = await connector().receiveWebhook(delivery({ 'x-shopify-hmac-sha256': wrong }));
      expect(receipt).toMatchObject({ kind: 'refused', status: 401 });
    },
  );

  test('a delivery for another shop is refused although its signature holds', async () => {
    const receipt = await connector().receiveWebhook(
      delivery({ 'x-shopify-shop-domain': 'other.myshopify.com' }),
    );
    expect(receipt).toMatchObject({ kind: 'refused', status: 404 });
  });

  test('without a delivery id retries of the same body still share one', async () => {
    const request = delivery({ 'x-shopify-webhook-id': undefined });
    const [first, second] = [
      await connector().receiveWebhook(request),
      await connector().receiveWebhook(request),
    ];
    expect(first).toEqual(second);
    expect(first).toMatchObject({ kind: 'verified', deliveryId: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  test('a signature is accepted for any body that carries it', async () => {
    const content = Buffer.from('{"id":1}');
    const own = createHmac('sha256', 'shpss_demo_secret').update(content).digest('base64');
    const receipt = await connector().receiveWebhook(delivery({ 'x-shopify-hmac-sha256': own }, content));
    expect(receipt).toEqual(verified);
  });
});

function meaning(topic: string, content: unknown) {
  return connector().parseWebhook(topic, Buffer.from(JSON.stringify(content)));
}

describe('meaning', () => {
  test('a level is a stock change of its item, not of the id that the level carries', () => {
    expect(meaning('inventory_levels/update', recording('shopify/inventoryLevel'))).toEqual([
      {
        kind: 'stockChanged',
        address: { unitId: '45000001/65000001', variantId: '' },
        quantity: 7,
        at: new Date('2026-11-22T13:04:00Z'),
      },
    ]);
  });

  test('a level below 0 says what buyers see: nothing', () => {
    const level = { inventory_item_id: 1, location_id: 65000001, available: -2 };
    expect(meaning('inventory_levels/update', level)).toMatchObject([{ kind: 'stockChanged', quantity: 0 }]);
  });

  test('a level of another location, or without a number, is ignored', () => {
    const level = { inventory_item_id: 1, location_id: 2, available: 3 };
    expect(meaning('inventory_levels/update', level)).toMatchObject([{ kind: 'ignored' }]);
    const empty = { inventory_item_id: 1, location_id: 65000001, available: null };
    expect(meaning('inventory_levels/update', empty)).toMatchObject([{ kind: 'ignored' }]);
  });

  test('a whole order is read from the delivery: one unit lost, one shipped, one still held', () => {
    expect(meaning('orders/updated', recording('shopify/orderWebhook'))).toMatchObject([
      {
        kind: 'order',
        order: {
          orderId: '5001',
          status: 'processing',
          customerName: 'Kim Doe',
          total: { minor: 5650, currency: 'USD' },
          updatedAt: new Date('2026-11-22T08:03:00Z'),
          lines: [{ lineId: '7001', address: null, sku: 'MUG-BLUE', ordered: 3, reserved: 1, shipped: 2 }],
        },
      },
    ]);
  });

  test.each(['refunds', 'cancelled_at', 'line_items', 'updated_at', 'test'])(
    'an order without %s is fetched instead of guessed',
    (member) => {
      const order = recording('shopify/orderWebhook') as Record<string, unknown>;
      delete order[member];
      expect(meaning('orders/create', order)).toEqual([{ kind: 'orderChanged', orderId: '5001' }]);
    },
  );

  test('a fulfilled order says by its parcels whether it was delivered, and is fetched without them', () => {
    const order = recording('shopify/orderWebhook') as Record<string, unknown>;
    const fulfilled = { ...order, fulfillment_status: 'fulfilled' };
    const delivered = { ...fulfilled, fulfillments: [{ status: 'success', shipment_status: 'delivered' }] };
    expect(meaning('orders/fulfilled', fulfilled)).toMatchObject([{ order: { status: 'shipped' } }]);
    expect(meaning('orders/fulfilled', delivered)).toMatchObject([{ order: { status: 'delivered' } }]);
    const silent = { ...fulfilled, fulfillments: undefined };
    expect(meaning('orders/fulfilled', silent)).toEqual([{ kind: 'orderChanged', orderId: '5001' }]);
    const open = { ...order, fulfillments: undefined };
    expect(meaning('orders/create', open)).toMatchObject([{ order: { status: 'processing' } }]);
  });

  test('an order whose refunds do not say their lines is fetched', () => {
    const order = { ...(recording('shopify/orderWebhook') as object), refunds: [{ id: 1 }] };
    expect(meaning('orders/updated', order)).toEqual([{ kind: 'orderChanged', orderId: '5001' }]);
  });

  test('an order with a line that has no SKU is fetched, because only its inventory item can name it', () => {
    const order = recording('shopify/orderWebhook') as { line_items: { sku: string | null }[] };
    for (const line of order.line_items) line.sku = null;
    expect(meaning('orders/create', order)).toEqual([{ kind: 'orderChanged', orderId: '5001' }]);
  });

  test.each([
    ['refunds/create', { id: 3, order_id: 5001 }],
    ['fulfillments/update', { id: 3, order_id: 5001 }],
    ['orders/edited', { order_edit: { id: 3, order_id: 5001 } }],
    ['orders/delete', { id: 5001 }],
  ])('%s means that its order changed', (topic, content) => {
    expect(meaning(topic, content)).toEqual([{ kind: 'orderChanged', orderId: '5001' }]);
  });

  test('an uninstalled app has lost its authorisation', () => {
    expect(meaning('app/uninstalled', {})).toEqual([{ kind: 'authorizationRevoked' }]);
  });

  test('other topics are ignored with a reason', () => {
    expect(meaning('products/update', { id: 1 })).toMatchObject([
      { kind: 'ignored', reason: expect.stringContaining('products/update') },
    ]);
  });

  test('a body that its topic does not promise is an invalid response', () => {
    expect(() => meaning('refunds/create', { id: 1 })).toThrow(/order_id/);
    expect(() => connector().parseWebhook('orders/create', Buffer.from('not JSON'))).toThrow(/not JSON/);
  });
});
