/** Every body and vector on the page of the marketplaces comes in through the real webhook routes and connectors, and means what the page says. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Handler } from '../connectors/localChannel.ts';
import { recording } from '../connectors/recordings.ts';
import { describeBySpecification } from '../support/specifications.ts';
import { type Installation, startInstallation } from './officialChannel.ts';
import { documentedBodies, documentedCases, twoMugs } from './officialDocument.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await startInstallation();
});
afterAll(() => installation[Symbol.asyncDispose]());

// ----------------------------------------------------------------------------------------------------- Shopify and Etsy

const shopifyHeaders = (body: string, topic: string, id: string) => ({
  'x-shopify-topic': topic,
  'x-shopify-shop-domain': 'demo-shop.myshopify.com',
  'x-shopify-webhook-id': id,
  'x-shopify-hmac-sha256': createHmac('sha256', 'shpss_demo_secret').update(body).digest('base64'),
});

test("Shopify's signature vector is let in, and its level is what the listing shows", async () => {
  const connection = await installation.connect('shopify', { answer: () => ({ json: stockAnswer(7) }) });
  await connection.stock('MUG-BLUE', 7, { unitId: '45000001/65000001' });
  const body = '{"inventory_item_id":45000001,"location_id":65000001,"available":7}';
  const signature = 'bzwIwYwWzcEe7Rg1UzQwVf2GDjqdg998R4NJIBPyDh8=';
  const headers = shopifyHeaders(body, 'inventory_levels/update', 'w1');
  expect(headers['x-shopify-hmac-sha256']).toBe(signature);
  expect(await connection.post(body, { ...headers, 'x-shopify-hmac-sha256': signature })).toBe(204);
  expect(await connection.post(`${body} `, headers)).toBe(401);
  const address = { unitId: '45000001/65000001', variantId: '' };
  expect(await connection.delivered()).toEqual([
    {
      status: 'processed',
      topic: 'inventory_levels/update',
      deliveryId: 'w1',
      body,
      meaning: [{ kind: 'stockChanged', address, quantity: 7, at: expect.any(Date) }],
      note: null,
    },
  ]);
  expect(await connection.shown()).toBe(7);
});

/** The answer to a reading of stock, as the schema has it. */
function stockAnswer(quantity: number) {
  const quantities = [{ name: 'available', quantity, updatedAt: null }];
  const id = 'gid://shopify/InventoryItem/45000001';
  const inventoryLevel = { id: 'l1', updatedAt: '2026-11-22T13:04:00Z', quantities };
  return { data: { nodes: [{ id, sku: 'MUG-BLUE', tracked: true, inventoryLevel }] } };
}

test("Shopify's documented level and order are taken from the delivery itself", async () => {
  const connection = await installation.connect('shopify');
  await connection.stock('MUG-BLUE', 9);
  const level = JSON.stringify(recording('shopify/inventoryLevel'));
  const headers = shopifyHeaders(level, 'inventory_levels/update', 'w1');
  expect(await connection.post(level, headers)).toBe(204);
  const raw = recording('shopify/orderWebhook');
  const body = JSON.stringify(raw);
  expect(await connection.post(body, shopifyHeaders(body, 'orders/updated', 'w2'))).toBe(204);
  // Three were bought: one was refunded and lost, one has left, one is still to be sent.
  const levels = { ordered: 3, reserved: 1, shipped: 2 };
  const order = twoMugs({ orderId: '5001', raw }, { lineId: '7001', address: null, ...levels });
  const address = { unitId: '45000001/65000001', variantId: '' };
  const at = new Date('2026-11-22T13:04:00Z');
  expect(await connection.delivered()).toMatchObject([
    { body: level, meaning: [{ kind: 'stockChanged', address, quantity: 7, at }], note: null },
    { body, meaning: [{ kind: 'order', order }], note: null },
  ]);
  expect(await connection.orders()).toEqual([order]);
  expect(await connection.item('MUG-BLUE')).toEqual({ quantity: 7, reserved: 1 });
  expect(connection.channel.requests).toEqual([]);
});

test("Shopify's documented order is fetched when only a part of it is announced", async () => {
  type Node = { readonly lineItems: { readonly nodes: unknown } };
  const { data } = recording('shopify/ordersSince') as { data: { orders: { nodes: [Node] } } };
  const [node] = data.orders.nodes;
  const connection = await installation.connect('shopify', {
    answer: () => ({ json: { data: { order: node } } }),
  });
  await connection.stock('MUG-BLUE', 9);
  const body = JSON.stringify({ id: 3, order_id: 5001 });
  expect(await connection.post(body, shopifyHeaders(body, 'refunds/create', 'w1'))).toBe(204);
  expect(await connection.delivered()).toMatchObject([{ topic: 'refunds/create', note: null }]);
  // Kept is the order put together from all its answers, without their paging.
  const { nodes } = node.lineItems;
  const raw = { ...node, lineItems: { nodes }, refundLineItems: [] };
  const address = { unitId: '45000001/65000001', variantId: '' };
  expect(await connection.orders()).toEqual([twoMugs({ orderId: '5001', raw }, { lineId: '7001', address })]);
  expect(await connection.item('MUG-BLUE')).toEqual({ quantity: 9, reserved: 2 });
});

test("Etsy's Standard Webhooks vector is let in at its time, and its documented receipt is stored by value", async () => {
  const started = Date.now();
  const now = () => 1_795_000_000_000 + Date.now() - started;
  const clock = { ...systemClock, now, check: async () => 0, close: () => undefined };
  await using then = await startInstallation({ clock });
  const [raw] = (recording('etsy/receipts') as { results: unknown[] }).results;
  const receipt = '/v3/application/shops/41000001/receipts/3300000001';
  const connection = await then.connect('etsy', {
    answer: ({ path }) => (path === receipt ? { json: raw } : { status: 404 }),
  });
  await connection.stock('MUG-BLUE', 5);
  const body = `{"event_type":"order.paid","resource_url":"https://openapi.etsy.com${receipt}","shop_id":41000001}`;
  const headers = {
    'webhook-id': 'msg_2demo0001',
    'webhook-timestamp': '1795000000',
    'webhook-signature': 'v1,7bv5xoNqHFwyY9S8zxS8UR5p1s9vSEUKV9l15fvugsI=',
  };
  expect(await connection.post(body, headers)).toBe(204);
  expect(await connection.post(body.replace('paid', 'Paid'), headers)).toBe(401);
  expect(await connection.delivered()).toEqual([
    {
      status: 'processed',
      topic: 'order.paid',
      deliveryId: 'msg_2demo0001',
      body,
      meaning: [{ kind: 'orderChanged', orderId: '3300000001' }],
      note: null,
    },
  ]);
  const times = { createdAt: new Date(1_795_000_000_000), updatedAt: new Date(1_795_000_300_000) };
  const address = { unitId: '1200000001', variantId: 'MUG-BLUE' };
  expect(await connection.orders()).toEqual([
    twoMugs({ orderId: '3300000001', ...times, raw }, { lineId: '4400000001', address }),
  ]);
  expect(await connection.item('MUG-BLUE')).toEqual({ quantity: 5, reserved: 2 });
});

// ------------------------------------------------------------------------------------------------------- documented bodies

const stockAnswers: readonly (readonly [
  platform: 'etsy' | 'amazon' | 'ebay',
  unitId: string,
  answer: Handler,
])[] = [
  [
    'etsy',
    '1200000001',
    () => {
      const listing = { listing_id: 1_200_000_001, state: 'active' };
      return { json: { ...(recording('etsy/inventory') as object), listing } };
    },
  ],
  [
    'amazon',
    'MUG-BLUE',
    () => ({ json: { numberOfResults: 1, items: [recording('amazon/getListingsItem')] } }),
  ],
  [
    'ebay',
    'MUG-BLUE',
    ({ path }) => {
      if (path.endsWith('/offer')) return { json: recording('ebay/offers') };
      const page = recording('ebay/inventoryItems') as { inventoryItems: { sku: string }[] };
      const responses = page.inventoryItems.map((inventoryItem) => ({
        sku: inventoryItem.sku,
        statusCode: 200,
        inventoryItem,
        errors: [],
        warnings: [],
      }));
      return { json: { responses } };
    },
  ],
];

test.each(stockAnswers)(
  'the documented stock of %s is read as five units',
  async (platform, unitId, answer) => {
    const connection = await installation.connect(platform, { answer });
    const variantId = platform === 'etsy' ? 'MUG-BLUE' : '';
    await connection.stock('MUG-BLUE', 5, { unitId, variantId });
    expect(await connection.shown()).toBe(5);
  },
);

describeBySpecification('the bodies on the page of the marketplaces', () => {
  test('have a case each, and none is left over', () => {
    const counts: Record<string, number> = {};
    for (const { members } of documentedBodies()) counts[members] = (counts[members] ?? 0) + 1;
    const cases = Object.entries(documentedCases).map(([members, { bodies }]) => [members, bodies]);
    expect(counts).toEqual(Object.fromEntries(cases));
  });

  test.each(
    Object.entries(documentedCases).flatMap(([members, { case: name }]) => {
      const [file] = /^recordings\/[\w/]+/.exec(name) ?? [];
      return file === undefined ? [] : [[file.replace('recordings/', ''), members] as const];
    }),
  )('%s is the documented body', (name, members) => {
    const body = documentedBodies().find((documented) => documented.members === members)?.body;
    // The page shortens the token of the next page.
    const token = name === 'amazon/searchOrders' ? { pagination: { nextToken: 'token-2' } } : {};
    expect(recording(name)).toEqual({ ...body, ...token });
  });
});
