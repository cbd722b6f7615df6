/** Webhooks on their way: signed, retried, and under faults lost, late, doubled and out of order. */
import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { createManualClock } from '../../src/sandbox/clock.ts';
import { etsySignature } from '../../src/sandbox/etsyWebhooks.ts';
import { platforms } from '../../src/sandbox/goods.ts';
import { shopifySignature } from '../../src/sandbox/shopifyWebhooks.ts';
import { startAt } from './channelBench.ts';
import { at, buy, openSandbox, timerSet } from './sandboxBench.ts';
import { openWebhookReceiver } from './webhookReceiver.ts';

test('The signatures equal the published test vectors', () => {
  const etsyBody =
    '{"event_type":"order.paid","resource_url":"https://openapi.etsy.com/v3/application/shops/41000001/receipts/3300000001","shop_id":41000001}';
  const etsySecret = 'whsec_c3RvY2tzeW5jLWRlbW8tc2lnbmluZy1rZXktMDAwMQ==';
  expect(etsySignature(etsySecret, 'msg_2demo0001', 1_795_000_000, etsyBody)).toBe(
    'v1,7bv5xoNqHFwyY9S8zxS8UR5p1s9vSEUKV9l15fvugsI=',
  );
  const shopifyBody = '{"inventory_item_id":45000001,"location_id":65000001,"available":7}';
  expect(shopifySignature('shpss_demo_secret', shopifyBody)).toBe(
    'bzwIwYwWzcEe7Rg1UzQwVf2GDjqdg998R4NJIBPyDh8=',
  );
});

test('A Shopify sale sends the stock level and the order, each signed over its raw bytes', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  bench.sandbox.setWebhookTarget('shopify', receiver.url);
  const orderId = buy(bench.sandbox, 'shopify', 'A', 2);
  const calls = await receiver.waitFor(2);
  const topics = new Map(calls.map((call) => [call.headers['x-shopify-topic'], call]));
  expect(topics.get('inventory_levels/update')?.body).toMatchObject({
    location_id: 65000001,
    available: 3,
  });
  expect(at(topics.get('orders/create')?.body, 'id')).toBe(Number(orderId));
  const { clientSecret = '' } = bench.sandbox.connection('shopify').credentials;
  for (const { headers, text } of calls) {
    const expected = createHmac('sha256', clientSecret).update(text).digest('base64');
    expect(headers['x-shopify-hmac-sha256']).toBe(expected);
    expect(headers['x-shopify-shop-domain']).toBe('demo-shop.myshopify.com');
    expect(headers['x-shopify-api-version']).toBe('2026-10');
    expect(headers['x-shopify-webhook-id']).not.toBe(headers['x-shopify-event-id']);
  }
});

test('Etsy tells of paid orders, not of unpaid ones and not of stock', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  const orderId = buy(bench.sandbox, 'etsy', 'A', 1, false);
  bench.sandbox.shops.etsy.orders.pay(orderId);
  bench.sandbox.shops.etsy.orders.ship(orderId);
  const calls = await receiver.waitFor(2);
  await bench.sandbox.webhooks.etsy.idle();
  expect(new Set(calls.map(({ body }) => at(body, 'event_type')))).toEqual(
    new Set(['order.paid', 'order.shipped']),
  );
  const { webhookSecret = '' } = bench.sandbox.connection('etsy').credentials;
  for (const { headers, text } of calls) {
    const id = String(headers['webhook-id']);
    const signature = etsySignature(webhookSecret, id, Number(headers['webhook-timestamp']), text);
    expect(headers['webhook-signature']).toBe(signature);
  }
});

test('A delivery is tried again with the same id and body until it is taken', async () => {
  await using bench = await openSandbox({ webhooks: { retryDelaysMs: [1000, 2000] } });
  await using receiver = await openWebhookReceiver({ status: (index) => [500, 302][index] ?? 200 });
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  buy(bench.sandbox, 'etsy', 'A', 1);
  for (const [attempt, delay] of [1000, 2000].entries()) {
    await receiver.waitFor(attempt + 1);
    await timerSet(bench.clock);
    bench.clock.advance(delay);
  }
  const calls = await receiver.waitFor(3);
  await bench.sandbox.webhooks.etsy.idle();
  expect(new Set(calls.map(({ headers, text }) => `${String(headers['webhook-id'])} ${text}`)).size).toBe(1);
  expect(
    bench.sandbox.webhooks.etsy.attempts
      .values()
      .map(({ attempt, status, outcome }) => [attempt, status, outcome]),
  ).toEqual([
    [1, 500, 'failed'],
    [2, 302, 'failed'],
    [3, 200, 'delivered'],
  ]);
});

test('A delivery that nobody takes is given up after the last retry', async () => {
  await using bench = await openSandbox({ webhooks: { retryDelaysMs: [] } });
  await using receiver = await openWebhookReceiver({ status: (index) => [503][index] ?? 200 });
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  buy(bench.sandbox, 'etsy', 'A', 1);
  await bench.sandbox.webhooks.etsy.idle();
  expect(bench.sandbox.webhooks.etsy.attempts.values().map(({ outcome }) => outcome)).toEqual(['givenUp']);
});

test('Without a target nothing is sent, and the journal says so', async () => {
  await using bench = await openSandbox();
  buy(bench.sandbox, 'etsy', 'A', 1);
  await bench.sandbox.webhooks.etsy.idle();
  expect(bench.sandbox.webhooks.etsy.attempts.values().map(({ outcome }) => outcome)).toEqual(['noTarget']);
});

test('A lost webhook never arrives, a doubled one arrives twice with one id', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'webhookLost', count: 1 });
  buy(bench.sandbox, 'etsy', 'A', 1);
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'webhookDoubled', count: 1 });
  buy(bench.sandbox, 'etsy', 'B', 1);
  await receiver.waitFor(2);
  await bench.sandbox.webhooks.etsy.idle();
  expect(receiver.received.length).toBe(2);
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(bench.sandbox.webhooks.etsy.attempts.values()[0]?.outcome).toBe('lost');
});

test('A late webhook arrives only after its delay', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  bench.sandbox.faults.add({
    platform: 'etsy',
    kind: 'webhookLate',
    delayMs: { min: 5000, max: 5000 },
    count: 1,
  });
  buy(bench.sandbox, 'etsy', 'A', 1);
  bench.clock.advance(4999);
  expect(bench.sandbox.webhooks.etsy.attempts.total).toBe(0);
  bench.clock.advance(1);
  await receiver.waitFor(1);
  expect(receiver.received.length).toBe(1);
});

test('A reordered webhook is overtaken by the next one, or goes alone after a while', async () => {
  await using bench = await openSandbox({ webhooks: { concurrency: 1 } });
  await using receiver = await openWebhookReceiver();
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'webhookReordered', operation: 'order.paid', count: 2 });
  const orderId = buy(bench.sandbox, 'etsy', 'A', 1);
  bench.sandbox.shops.etsy.orders.ship(orderId);
  await receiver.waitFor(2);
  expect(receiver.received.map(({ body }) => at(body, 'event_type'))).toEqual([
    'order.shipped',
    'order.paid',
  ]);
  buy(bench.sandbox, 'etsy', 'B', 1);
  bench.clock.advance(2000);
  expect(at((await receiver.waitFor(3))[2]?.body, 'event_type')).toBe('order.paid');
});

test('Stopping forgets what waits for a retry', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver({ status: (index) => [500][index] ?? 200 });
  bench.sandbox.setWebhookTarget('etsy', receiver.url);
  buy(bench.sandbox, 'etsy', 'A', 1);
  await receiver.waitFor(1);
  await timerSet(bench.clock);
  await bench.sandbox.stop();
  expect(bench.clock.pending()).toBe(0);
  await bench.sandbox.webhooks.etsy.idle();
});

test('A subscription made by the API gets its own delivery of the same event', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  const { accessToken = '' } = bench.sandbox.connection('shopify').credentials;
  await fetch(`${bench.sandbox.url('shopify')}/admin/api/2026-10/graphql.json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-shopify-access-token': accessToken },
    body: JSON.stringify({
      query:
        'mutation ($uri: String!) { webhookSubscriptionCreate(topic: ORDERS_CREATE, webhookSubscription: { uri: $uri }) { userErrors { message } } }',
      variables: { uri: `${receiver.url}/mine` },
    }),
  });
  bench.sandbox.setWebhookTarget('shopify', receiver.url);
  buy(bench.sandbox, 'shopify', 'A', 1);
  await receiver.waitFor(3);
  const created = receiver.received.filter(({ headers }) => headers['x-shopify-topic'] === 'orders/create');
  expect(new Set(created.map(({ path }) => path))).toEqual(new Set(['/webhooks', '/webhooks/mine']));
  expect(new Set(created.map(({ headers }) => headers['x-shopify-event-id'])).size).toBe(1);
  expect(new Set(created.map(({ headers }) => headers['x-shopify-webhook-id'])).size).toBe(2);
});

test.each(platforms)(
  'No delivery of %s carries an id that a sandbox started earlier may have used',
  async (platform) => {
    const idsOf = async (startedAt: number) => {
      await using bench = await openSandbox({ clock: createManualClock(startedAt) });
      buy(bench.sandbox, platform, 'A', 1);
      return bench.sandbox.webhooks[platform].attempts.values().map(({ deliveryId }) => deliveryId);
    };
    const first = await idsOf(startAt);
    expect(first.length).toBeGreaterThan(0);
    expect(await idsOf(startAt)).toEqual(first);
    const later = new Set(await idsOf(startAt + 1));
    expect(first.filter((id) => later.has(id))).toEqual([]);
  },
);
