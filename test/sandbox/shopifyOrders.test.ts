/** Shopify's orders in the sandbox, over HTTP: found by change time, described as Shopify describes them, sent by fulfilment order. */
import { expect, test } from 'vitest';
import { shopifyOperations } from '../../src/connectors/shopify/operations.ts';
import { orderFromRest } from '../../src/connectors/shopify/restOrder.ts';
import { at, buy, openSandbox, shopifyClient, variantId } from './sandboxBench.ts';
import { openWebhookReceiver } from './webhookReceiver.ts';

const ordersSince = `query OrdersSince($first: Int!, $after: String, $query: String!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor }
    nodes { id legacyResourceId name createdAt updatedAt cancelledAt cancelReason test
      displayFinancialStatus displayFulfillmentStatus returnStatus currencyCode
      totalPriceSet { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }
      currentTotalPriceSet { shopMoney { amount currencyCode } }
      customer { displayName } shippingAddress { name }
      lineItems(first: 50) { pageInfo { hasNextPage endCursor }
        nodes { id sku title quantity currentQuantity unfulfilledQuantity variant { id inventoryItem { id } }
          originalUnitPriceSet { shopMoney { amount currencyCode } } } }
      fulfillments(first: 10) { id status displayStatus deliveredAt trackingInfo { company number url } }
      refunds(first: 10) { id createdAt refundLineItems(first: 50) { nodes { quantity restockType restocked lineItem { id sku } } } } } } }`;

const openParcels = `query ($id: ID!) { order(id: $id) { fulfillmentOrders(first: 10) { nodes { id status
  assignedLocation { location { id } } lineItems(first: 50) { nodes { id sku remainingQuantity lineItem { id } } } } } } }`;

const create = `mutation ($f: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $f) { fulfillment { id status trackingInfo { company number } } userErrors { field message } } }`;

test('Orders are found by their change time to the second, oldest change first, page by page', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const ids: string[] = [];
  for (let order = 0; order < 3; order++) {
    ids.push(buy(bench.sandbox, 'shopify', 'A', 1));
    bench.clock.advance(1000);
  }
  bench.sandbox.shops.shopify.orders.ship(ids[0] ?? '');
  const list = async (query: string, after: unknown = null) => {
    const { body } = await shopify(ordersSince, { first: 2, after, query });
    const nodes = at(body, 'data.orders.nodes') as unknown[];
    return { ids: nodes.map((node) => at(node, 'legacyResourceId')), page: at(body, 'data.orders.pageInfo') };
  };
  const query = "updated_at:>='2026-11-22T08:00:01Z'";
  const first = await list(query);
  expect([first.ids, at(first.page, 'hasNextPage')]).toEqual([[ids[1], ids[2]], true]);
  const second = await list(query, at(first.page, 'endCursor'));
  expect([second.ids, at(second.page, 'hasNextPage')]).toEqual([[ids[0]], false]);
  expect((await list("updated_at:>'2026-11-22T08:00:03Z'")).ids).toEqual([]);
});

test('An order says what was bought and what is left of it after a refund', async () => {
  await using bench = await openSandbox();
  const { orders } = bench.sandbox.shops.shopify;
  const id = buy(bench.sandbox, 'shopify', 'A', 3);
  const line = orders.require(id).lines[0]?.id ?? '';
  orders.ship(id, { carrier: 'USPS', trackingNumber: 'T1' }, [{ lineId: line, quantity: 1 }]);
  orders.refund(id, [{ lineId: line, quantity: 1 }], true);
  const { body } = await shopifyClient(bench.sandbox)(ordersSince, { first: 1, query: '' });
  expect(at(body, 'data.orders.nodes.0')).toMatchObject({
    id: `gid://shopify/Order/${id}`,
    name: '#1001',
    createdAt: '2026-11-22T08:00:00Z',
    displayFinancialStatus: 'PARTIALLY_REFUNDED',
    displayFulfillmentStatus: 'PARTIALLY_FULFILLED',
    totalPriceSet: { shopMoney: { amount: '73.50', currencyCode: 'USD' } },
    currentTotalPriceSet: { shopMoney: { amount: '49.00' } },
    lineItems: {
      nodes: [
        {
          sku: 'A',
          quantity: 3,
          currentQuantity: 2,
          unfulfilledQuantity: 1,
          variant: {
            inventoryItem: { id: `gid://shopify/InventoryItem/${variantId(bench.sandbox, 'shopify', 'A')}` },
          },
        },
      ],
    },
    fulfillments: [
      { status: 'SUCCESS', displayStatus: 'FULFILLED', trackingInfo: [{ company: 'USPS', number: 'T1' }] },
    ],
    refunds: [
      {
        refundLineItems: {
          nodes: [{ quantity: 1, restockType: 'CANCEL', restocked: true, lineItem: { sku: 'A' } }],
        },
      },
    ],
  });
});

test('Unpaid is pending, cancelled unpaid is voided, cancelled paid is refunded, delivered says when', async () => {
  await using bench = await openSandbox();
  const { orders } = bench.sandbox.shops.shopify;
  const shopify = shopifyClient(bench.sandbox);
  const status = async (id: string) => {
    const query =
      'query ($id: ID!) { order(id: $id) { displayFinancialStatus cancelReason cancelledAt fulfillments(first: 1) { deliveredAt } } }';
    return at((await shopify(query, { id: `gid://shopify/Order/${id}` })).body, 'data.order');
  };
  const unpaid = buy(bench.sandbox, 'shopify', 'A', 1, false);
  expect(await status(unpaid)).toMatchObject({ displayFinancialStatus: 'PENDING', cancelledAt: null });
  orders.cancel(unpaid, { reason: 'inventory' });
  expect(await status(unpaid)).toMatchObject({ displayFinancialStatus: 'VOIDED', cancelReason: 'INVENTORY' });
  const paid = buy(bench.sandbox, 'shopify', 'A', 1);
  orders.cancel(paid);
  expect(await status(paid)).toMatchObject({ displayFinancialStatus: 'REFUNDED', cancelReason: 'CUSTOMER' });
  const sent = buy(bench.sandbox, 'shopify', 'A', 1);
  orders.ship(sent);
  orders.deliver(sent);
  expect(await status(sent)).toMatchObject({
    displayFinancialStatus: 'PAID',
    fulfillments: [{ deliveredAt: '2026-11-22T08:00:00Z' }],
  });
  expect(await status('1')).toBeNull();
});

test('Many lines come page by page', async () => {
  await using bench = await openSandbox();
  const lines = ['A', 'B', 'A'].map((sku) => ({
    variantId: variantId(bench.sandbox, 'shopify', sku),
    quantity: 1,
  }));
  const result = bench.sandbox.shops.shopify.orders.place({ lines });
  const id = result.kind === 'placed' ? `gid://shopify/Order/${result.order.id}` : '';
  const query =
    'query ($id: ID!, $after: String) { order(id: $id) { lineItems(first: 2, after: $after) { nodes { sku } pageInfo { hasNextPage endCursor } } } }';
  const shopify = shopifyClient(bench.sandbox);
  const first = await shopify(query, { id });
  expect(at(first.body, 'data.order.lineItems')).toMatchObject({
    nodes: [{ sku: 'A' }, { sku: 'B' }],
    pageInfo: { hasNextPage: true },
  });
  const rest = await shopify(query, { id, after: at(first.body, 'data.order.lineItems.pageInfo.endCursor') });
  expect(at(rest.body, 'data.order.lineItems')).toMatchObject({
    nodes: [{ sku: 'A' }],
    pageInfo: { hasNextPage: false },
  });
});

test('A fulfilment sends the named units, then the rest, and then there is nothing left to send', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const id = `gid://shopify/Order/${buy(bench.sandbox, 'shopify', 'A', 3)}`;
  const open = async () =>
    at((await shopify(openParcels, { id })).body, 'data.order.fulfillmentOrders.nodes.0');
  const before = await open();
  expect(before).toMatchObject({
    status: 'OPEN',
    assignedLocation: { location: { id: 'gid://shopify/Location/65000001' } },
    lineItems: { nodes: [{ sku: 'A', remainingQuantity: 3 }] },
  });
  const fulfillmentOrderId = at(before, 'id');
  const send = async (lines?: readonly object[]) => {
    const lineItems = lines === undefined ? {} : { fulfillmentOrderLineItems: lines };
    const f = {
      trackingInfo: { company: 'USPS', number: 'T1' },
      lineItemsByFulfillmentOrder: [{ fulfillmentOrderId, ...lineItems }],
    };
    return at((await shopify(create, { f })).body, 'data.fulfillmentCreate');
  };
  const lineId = at(before, 'lineItems.nodes.0.id');
  expect(await send([{ id: lineId, quantity: 4 }])).toMatchObject({
    fulfillment: null,
    userErrors: [{ field: ['fulfillment'] }],
  });
  expect(await send([{ id: lineId, quantity: 1 }])).toMatchObject({
    fulfillment: { status: 'SUCCESS', trackingInfo: [{ company: 'USPS', number: 'T1' }] },
    userErrors: [],
  });
  expect(await open()).toMatchObject({
    status: 'IN_PROGRESS',
    lineItems: { nodes: [{ remainingQuantity: 2 }] },
  });
  expect(await send()).toMatchObject({ userErrors: [] });
  expect(await open()).toMatchObject({ status: 'CLOSED' });
  expect(await send()).toMatchObject({
    fulfillment: null,
    userErrors: [{ message: expect.stringContaining('unfulfillable') }],
  });
});

test('The lines of a refund come page by page, under the refund’s own id', async () => {
  await using bench = await openSandbox();
  const { orders } = bench.sandbox.shops.shopify;
  const lines = ['A', 'B', 'A'].map((sku) => ({
    variantId: variantId(bench.sandbox, 'shopify', sku),
    quantity: 1,
  }));
  const placed = orders.place({ lines });
  const order = placed.kind === 'placed' ? placed.order : orders.require('');
  orders.cancel(order.id, { restock: false });
  const id = `gid://shopify/Refund/${order.refunds[0]?.id}`;
  const shopify = shopifyClient(bench.sandbox);
  const read = async (after: unknown, refund = id) =>
    at((await shopify(shopifyOperations.refundLines, { id: refund, first: 2, after })).body, 'data.refund');
  const first = await read(null);
  const node = (sku: number) => ({
    quantity: 1,
    restockType: 'NO_RESTOCK',
    lineItem: { id: `gid://shopify/LineItem/${order.lines[sku]?.id}` },
  });
  expect(first).toMatchObject({
    refundLineItems: { pageInfo: { hasNextPage: true }, nodes: [node(0), node(1)] },
  });
  expect(await read(at(first, 'refundLineItems.pageInfo.endCursor'))).toMatchObject({
    refundLineItems: { pageInfo: { hasNextPage: false }, nodes: [node(2)] },
  });
  expect(await read(null, 'gid://shopify/Refund/1')).toBeNull();
});

test('The order in a webhook says in REST’s words what was sent and what was refunded', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  const { orders } = bench.sandbox.shops.shopify;
  const id = buy(bench.sandbox, 'shopify', 'A', 4);
  const lineId = orders.require(id).lines[0]?.id ?? '';
  orders.ship(id, { carrier: 'USPS', trackingNumber: 'T1' }, [{ lineId, quantity: 1 }]);
  bench.sandbox.setWebhookTarget('shopify', receiver.url);
  const updated = async (change: () => void) => {
    const seen = receiver.received.length;
    change();
    await bench.sandbox.webhooks.shopify.idle();
    return receiver.received
      .slice(seen)
      .find(({ headers }) => headers['x-shopify-topic'] === 'orders/updated')?.body;
  };
  const refunded = await updated(() => {
    orders.refund(id, [{ lineId, quantity: 2 }], false);
  });
  const refundLine = { line_item_id: Number(lineId), quantity: 2, restock_type: 'no_restock' };
  const sent = {
    status: 'success',
    tracking_number: 'T1',
    line_items: [{ id: Number(lineId), quantity: 1 }],
  };
  expect(refunded).toMatchObject({
    fulfillment_status: 'partial',
    fulfillments: [{ ...sent, order_id: Number(id), shipment_status: null }],
    refunds: [{ order_id: Number(id), refund_line_items: [refundLine] }],
  });
  expect(orderFromRest(refunded)).toMatchObject({
    status: 'processing',
    lines: [{ ordered: 4, reserved: 1, shipped: 3 }],
  });
  await updated(() => {
    orders.ship(id);
  });
  const delivered = await updated(() => orders.deliver(id));
  expect(delivered).toMatchObject({
    fulfillment_status: 'fulfilled',
    fulfillments: [{ shipment_status: 'delivered' }, { shipment_status: 'delivered' }],
  });
  expect(orderFromRest(delivered)).toMatchObject({ status: 'delivered' });
});
