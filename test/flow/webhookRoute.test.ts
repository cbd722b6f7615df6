/** The webhook route lets in what is signed, stores it before it answers, and asks no marketplace before that. */
import { createHash, randomUUID } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import { webhookPath } from '../../src/webhooks.ts';
import { recording } from '../connectors/recordings.ts';
import { type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

type Delivery = {
  readonly topic: string;
  readonly status: string;
  readonly deliveryId: string;
  readonly body: Buffer;
};

async function deliveries(product: Product): Promise<readonly Delivery[]> {
  const { rows } = await product.db.query<Delivery>(
    'SELECT topic, status::text, delivery_id AS "deliveryId", body FROM webhook_deliveries ORDER BY received_at, id',
  );
  return rows;
}

function post(url: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
}

function hookOf(product: Product, platform: Platform): string {
  return product.url + webhookPath(platform, product.connections[platform]);
}

/** What each marketplace's delivery looks like, signed by somebody else. */
const forged: Readonly<
  Record<Platform, { readonly headers: Readonly<Record<string, string>>; readonly status: number }>
> = {
  etsy: {
    headers: {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(Date.now() / 1_000)),
      'webhook-signature': `v1,${Buffer.alloc(32, 7).toString('base64')}`,
    },
    status: 401,
  },
  amazon: { headers: { authorization: 'Bearer not-the-token' }, status: 401 },
  ebay: {
    headers: {
      'x-ebay-signature': Buffer.from(
        JSON.stringify({
          alg: 'ECDSA',
          kid: 'somebody',
          signature: Buffer.alloc(70, 7).toString('base64'),
          digest: 'SHA1',
        }),
      ).toString('base64'),
    },
    status: 412,
  },
  shopify: {
    headers: {
      'x-shopify-hmac-sha256': Buffer.alloc(32, 7).toString('base64'),
      'x-shopify-topic': 'orders/create',
    },
    status: 401,
  },
};

test.each(platforms)(
  'a delivery of %s with a wrong signature, or none, is refused and nothing is stored',
  async (platform) => {
    await using product = await startProduct();
    const { headers, status } = forged[platform];
    const body = JSON.stringify({ event_type: 'order.paid', id: 1 });
    expect((await post(hookOf(product, platform), body, headers)).status).toBe(status);
    expect((await post(hookOf(product, platform), body)).status).toBe(status);
    expect(await deliveries(product)).toEqual([]);
  },
);

// Amazon signs nothing: its forwarder's token is all there is.
test.each(['etsy', 'ebay', 'shopify'] as const)(
  'a delivery of %s that was changed on its way by one byte is refused',
  async (platform) => {
    await using product = await startProduct();
    const sent: { body: string; headers: Headers }[] = [];
    const { fetch: real } = globalThis;
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (target, init) => {
      if (typeof target !== 'string' || !target.includes('/webhooks/')) return real(target, init);
      sent.push({
        body: typeof init?.body === 'string' ? init.body : '',
        headers: new Headers(init?.headers),
      });
      return new Response(null, { status: 204 });
    });
    product.buy(platform, 'MUG');
    const [delivery] = await waitFor(() => sent.length > 0 && sent);
    vi.restoreAllMocks();
    const { body = '', headers = new Headers() } = delivery ?? {};
    const own = Object.fromEntries(headers);
    const changed = await post(
      hookOf(product, platform),
      body.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10)),
      own,
    );
    expect(changed.status).toBe(platform === 'ebay' ? 412 : 401);
    expect(await deliveries(product)).toEqual([]);
    expect((await post(hookOf(product, platform), body, own)).status).toBe(204);
    expect(await deliveries(product)).toHaveLength(1);
  },
);

test('a body over the limit is 413, an unknown or foreign connection 404, another method 405', async () => {
  await using product = await startProduct({ environment: { WEBHOOK_BODY_MAX_BYTES: '2000' } });
  const token = String(product.sandbox.connection('amazon').credentials['webhookToken']);
  const headers = { authorization: `Bearer ${token}` };
  expect((await post(hookOf(product, 'amazon'), 'x'.repeat(2_001), headers)).status).toBe(413);
  expect((await post(product.url + webhookPath('amazon', randomUUID()), '{}', headers)).status).toBe(404);
  expect(
    (await post(product.url + webhookPath('shopify', product.connections.amazon), '{}', headers)).status,
  ).toBe(404);
  expect(
    (await post(product.url + webhookPath('tesla', product.connections.amazon), '{}', headers)).status,
  ).toBe(404);
  expect((await post(`${product.url}/webhooks/amazon/1`, '{}', headers)).status).toBe(404);
  expect((await fetch(hookOf(product, 'amazon'), { method: 'DELETE', headers })).status).toBe(405);
  expect(await deliveries(product)).toEqual([]);
  expect((await fetch(`${product.url}/health`)).status).toBe(200);
});

test('a webhook is stored before it is answered, and the answer waits for no marketplace', async () => {
  await using product = await startProduct();
  const silence = { min: 60_000, max: 60_000 };
  product.sandbox.faults.add({
    platform: 'amazon',
    kind: 'latency',
    operation: 'getOrder',
    delayMs: silence,
  });
  const order = product.buy('amazon', 'MUG');
  const { attempts } = product.sandbox.webhooks.amazon;
  await waitFor(
    () => attempts.values().some(({ topic, status }) => topic === 'ORDER_CHANGE' && status === 204),
    {
      timeoutMs: 1_500,
      what: 'the delivery to be answered',
    },
  );
  const stored = (await deliveries(product)).filter(({ topic }) => topic === 'ORDER_CHANGE');
  expect(stored).toMatchObject([{ status: 'pending' }]);
  expect(stored[0]?.body.toString()).toContain(order.id);
  expect(await product.stock('MUG')).toMatchObject({ reserved: 0 });
  // Once the marketplace answers again the stored delivery is carried out.
  product.sandbox.faults.clear();
  await waitFor(async () => (await product.stock('MUG')).reserved === 1, { timeoutMs: 10_000 });
});

test("eBay's challenge is answered with the hash over code, token and exactly the address eBay was given", async () => {
  await using product = await startProduct();
  const endpoint = hookOf(product, 'ebay');
  const token = String(product.sandbox.connection('ebay').credentials['verificationToken']);
  const response = await fetch(`${endpoint}?challenge_code=a1b2c3`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const challengeResponse = createHash('sha256')
    .update('a1b2c3')
    .update(token)
    .update(endpoint)
    .digest('hex');
  expect(await response.json()).toEqual({ challengeResponse });
  expect((await fetch(endpoint)).status).toBe(400);
});

test("Amazon's documented ORDER_CHANGE makes the hub fetch exactly that order, once, bare or in an EventBridge envelope", async () => {
  await using product = await startProduct();
  product.sandbox.faults.add({ platform: 'amazon', kind: 'webhookLost' });
  const order = product.buy('amazon', 'MUG', 2);
  const { settings, credentials } = product.sandbox.connection('amazon');
  const documented = recording('amazon/orderChange') as {
    readonly Payload: { readonly OrderChangeNotification: Readonly<Record<string, unknown>> };
    readonly NotificationMetadata: { readonly NotificationId: string };
  };
  const change = {
    ...documented.Payload.OrderChangeNotification,
    SellerId: settings['sellerId'],
    AmazonOrderId: order.id,
  };
  const notification = { ...documented, Payload: { OrderChangeNotification: change } };
  const headers = { authorization: `Bearer ${String(credentials['webhookToken'])}` };
  const envelope = {
    version: '0',
    id: 'e1',
    'detail-type': 'ORDER_CHANGE',
    source: 'aws.partner/sellingpartnerapi.com',
    detail: notification,
  };

  expect((await post(hookOf(product, 'amazon'), JSON.stringify(notification), headers)).status).toBe(204);
  expect((await post(hookOf(product, 'amazon'), JSON.stringify(envelope), headers)).status).toBe(204);
  await waitFor(async () => (await product.stock('MUG')).reserved === 2);
  // The marketplace also tells of the number that the sale has changed.
  const told = (await deliveries(product)).filter(({ topic }) => topic === 'ORDER_CHANGE');
  expect(told).toMatchObject([{ deliveryId: documented.NotificationMetadata.NotificationId }]);
  const { rows } = await product.db.query(
    `SELECT platform_order_id, status::text, item_count, total_minor::int, currency,
            (SELECT json_agg(json_build_object('sku', sku, 'ordered', ordered, 'reserved', reserved, 'price', unit_price_minor)) FROM order_lines WHERE order_id = orders.id) AS lines
       FROM orders`,
  );
  expect(rows).toEqual([
    {
      platform_order_id: order.id,
      status: 'processing',
      item_count: 2,
      total_minor: 4_900,
      currency: 'USD',
      lines: [{ sku: 'MUG', ordered: 2, reserved: 2, price: 2_450 }],
    },
  ]);

  // Another seller's order is no business of this connection.
  const foreign = {
    ...notification,
    Payload: { OrderChangeNotification: { ...change, SellerId: 'A2SOMEBODYELSE' } },
    NotificationMetadata: { ...documented.NotificationMetadata, NotificationId: randomUUID() },
  };
  expect((await post(hookOf(product, 'amazon'), JSON.stringify(foreign), headers)).status).toBe(204);
  await waitFor(async () => (await deliveries(product)).every(({ status }) => status === 'processed'));
  expect(await product.stock('MUG')).toMatchObject({ reserved: 2 });
});
