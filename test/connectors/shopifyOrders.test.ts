/** Shopify: orders are read whole, and every unit is counted once. */
import { describe, expect, test } from 'vitest';
import { lineLevels, shopifyOrderStatus } from '../../src/connectors/shopify/orderLevels.ts';
import { collect } from './localChannel.ts';
import { recording } from './recordings.ts';
import { connectShop, type GraphqlRequest, graphqlRequestOf, startShop } from './shopifyShop.ts';

type Node = Record<string, unknown> & { lineItems: { pageInfo: unknown; nodes: Record<string, unknown>[] } };

function orderNode(changes: Readonly<Record<string, unknown>> = {}): Node {
  const recorded = recording('shopify/ordersSince') as { data: { orders: { nodes: Node[] } } };
  const [node] = recorded.data.orders.nodes;
  if (node === undefined) throw new Error('the recording holds no order');
  return { ...node, ...changes };
}

function page(nodes: readonly unknown[], endCursor: string | null) {
  return { json: { data: { orders: { pageInfo: { hasNextPage: endCursor !== null, endCursor }, nodes } } } };
}

function line(number: number, changes: Readonly<Record<string, unknown>> = {}) {
  return { ...orderNode().lineItems.nodes[0], id: `gid://shopify/LineItem/${number}`, ...changes };
}

function lines(from: number, to: number, more: boolean) {
  const nodes = Array.from({ length: to - from }, (_unused, index) => line(from + index));
  return { pageInfo: { hasNextPage: more, endCursor: `after-${to}` }, nodes };
}

function refund(quantity: number, restockType: string, restocked = true) {
  return { quantity, restockType, restocked, lineItem: { id: 'gid://shopify/LineItem/1' } };
}

function manyOrders(second: number) {
  return Array.from({ length: 4_000 }, (_unused, index) => ({
    id: `gid://shopify/Order/${second * 4_000 + index}`,
    createdAt: '2026-11-22T07:00:00Z',
    updatedAt: `2026-11-22T08:00:0${second}Z`,
    lineItems: { pageInfo: { hasNextPage: false }, nodes: [] },
  }));
}

const since = new Date('2026-11-22T07:00:00.900Z');

describe('what a line holds', () => {
  const open = { cancelled: false, test: false };
  test.each([
    ['nothing shipped', { ordered: 2, current: 2, unfulfilled: 2, lost: 0 }, { reserved: 2, shipped: 0 }],
    ['one of two shipped', { ordered: 2, current: 2, unfulfilled: 1, lost: 0 }, { reserved: 1, shipped: 1 }],
    ['all shipped', { ordered: 2, current: 2, unfulfilled: 0, lost: 0 }, { reserved: 0, shipped: 2 }],
    [
      'one removed before shipping, still counted as unfulfilled',
      { ordered: 2, current: 1, unfulfilled: 2, lost: 0 },
      { reserved: 1, shipped: 0 },
    ],
    [
      'one returned and restocked',
      { ordered: 2, current: 1, unfulfilled: 0, lost: 0 },
      { reserved: 0, shipped: 1 },
    ],
    [
      'one refunded and not restocked',
      { ordered: 2, current: 1, unfulfilled: 0, lost: 1 },
      { reserved: 0, shipped: 2 },
    ],
    [
      'more lost than removed',
      { ordered: 2, current: 2, unfulfilled: 2, lost: 5 },
      { reserved: 2, shipped: 0 },
    ],
  ])('%s', (_case, counts, levels) => {
    expect(lineLevels(counts, open)).toEqual(levels);
  });

  test('a cancelled order holds nothing but the units written off with it, a test order nothing at all', () => {
    const counts = { ordered: 3, current: 0, unfulfilled: 0, lost: 1 };
    expect(lineLevels(counts, { cancelled: true, test: false })).toEqual({ reserved: 0, shipped: 1 });
    expect(lineLevels(counts, { cancelled: true, test: true })).toEqual({ reserved: 0, shipped: 0 });
    const unrefunded = { ordered: 2, current: 2, unfulfilled: 0, lost: 0 };
    expect(lineLevels(unrefunded, { cancelled: true, test: false })).toEqual({ reserved: 0, shipped: 0 });
  });
});

describe('status', () => {
  test.each([
    [true, 'PAID', 'FULFILLED', 'cancelled'],
    [false, 'VOIDED', 'UNFULFILLED', 'cancelled'],
    [false, 'EXPIRED', null, 'cancelled'],
    [false, 'VOIDED', 'FULFILLED', 'shipped'],
    [false, 'PAID', 'FULFILLED', 'shipped'],
    [false, 'PENDING', 'FULFILLED', 'shipped'],
    [false, 'PENDING', 'UNFULFILLED', 'pending'],
    [false, 'AUTHORIZED', 'ON_HOLD', 'pending'],
    [false, 'PARTIALLY_PAID', null, 'pending'],
    [false, 'PAID', 'PARTIALLY_FULFILLED', 'processing'],
    [false, 'PARTIALLY_REFUNDED', 'UNFULFILLED', 'processing'],
    [false, 'SOMETHING_NEW', 'SOMETHING_NEW', 'processing'],
  ] as const)('cancelled %s, %s, %s is %s', (cancelled, financial, fulfillment, status) => {
    expect(shopifyOrderStatus({ cancelled, financial, fulfillment, allDelivered: false })).toBe(status);
  });

  test('delivered needs every parcel and nothing left to ship', () => {
    const facts = { cancelled: false, financial: 'PAID', allDelivered: true };
    expect(shopifyOrderStatus({ ...facts, fulfillment: 'FULFILLED' })).toBe('delivered');
    expect(shopifyOrderStatus({ ...facts, fulfillment: 'PARTIALLY_FULFILLED' })).toBe('processing');
  });
});

describe('reading orders', () => {
  test('the documented order becomes one domain order, with the channel’s own answer beside it', async () => {
    await using channel = await startShop(() => ({ json: recording('shopify/ordersSince') }));
    const orders = await collect(connectShop(channel).connector.ordersModifiedSince(since));
    expect(orders).toEqual([
      {
        orderId: '5001',
        status: 'processing',
        customerName: 'Kim Doe',
        total: { minor: 5650, currency: 'USD' },
        createdAt: new Date('2026-11-22T07:58:00Z'),
        updatedAt: new Date('2026-11-22T08:03:00Z'),
        lines: [
          {
            lineId: '7001',
            address: { unitId: '45000001/65000001', variantId: '' },
            sku: 'MUG-BLUE',
            title: 'Blue mug',
            ordered: 2,
            reserved: 2,
            shipped: 0,
            unitPrice: { minor: 2450, currency: 'USD' },
          },
        ],
        raw: expect.objectContaining({ name: '#1001', createdAt: '2026-11-22T07:58:00Z' }),
      },
    ]);
    expect(graphqlRequestOf(channel.requests[0] as never).variables).toMatchObject({
      query: "updated_at:>='2026-11-22T07:00:00Z'",
      after: null,
    });
  });

  test('every page of orders and every page of lines is read: 3 orders, one of them with 123 lines', async () => {
    const long = orderNode({
      id: 'gid://shopify/Order/5002',
      legacyResourceId: '5002',
      lineItems: lines(0, 50, true),
    });
    const answer = ({ operation, variables }: GraphqlRequest) => {
      if (operation === 'OrdersSince') {
        return variables['after'] === null ? page([orderNode(), long], 'c1') : page([orderNode()], null);
      }
      const lineItems = variables['after'] === 'after-50' ? lines(50, 100, true) : lines(100, 123, false);
      return { json: { data: { order: { lineItems } } } };
    };
    await using channel = await startShop(answer);
    const orders = await collect(connectShop(channel).connector.ordersModifiedSince(since));
    expect(orders.map((order) => order.lines.length)).toEqual([1, 123, 1]);
    expect(new Set(orders[1]?.lines.map((entry) => entry.lineId)).size).toBe(123);
  });

  test('a failing later page is an error, never a shorter list', async () => {
    await using channel = await startShop(({ variables }) =>
      variables['after'] === null ? page([orderNode()], 'c1') : { status: 400 },
    );
    await expect(collect(connectShop(channel).connector.ordersModifiedSince(since))).rejects.toMatchObject({
      code: 'rejected',
    });
  });

  test('a page that promises more without a cursor is an error', async () => {
    const answer = {
      data: { orders: { pageInfo: { hasNextPage: true, endCursor: null }, nodes: [orderNode()] } },
    };
    await using channel = await startShop(() => ({ json: answer }));
    await expect(collect(connectShop(channel).connector.ordersModifiedSince(since))).rejects.toMatchObject({
      code: 'invalid_response',
    });
  });

  test('refunds are fetched where units are missing, over all their pages, and only lost units stay taken', async () => {
    const lineItems = {
      pageInfo: { hasNextPage: false },
      nodes: [line(1, { quantity: 5, currentQuantity: 1, unfulfilledQuantity: 0 })],
    };
    const answer = ({ operation }: GraphqlRequest) => {
      if (operation === 'Order') return { json: { data: { order: orderNode({ lineItems }) } } };
      if (operation === 'OrderRefunds') {
        const refundLineItems = {
          pageInfo: { hasNextPage: true, endCursor: 'r1' },
          nodes: [refund(1, 'RETURN'), refund(1, 'NO_RESTOCK', false)],
        };
        return {
          json: { data: { order: { refunds: [{ id: 'gid://shopify/Refund/9', refundLineItems }] } } },
        };
      }
      const refundLineItems = {
        pageInfo: { hasNextPage: false },
        nodes: [refund(1, 'LEGACY_RESTOCK', false), refund(1, 'CANCEL')],
      };
      return { json: { data: { refund: { refundLineItems } } } };
    };
    await using channel = await startShop(answer);
    const order = await connectShop(channel).connector.order('5001');
    expect(order?.lines).toMatchObject([{ ordered: 5, reserved: 0, shipped: 3 }]);
    expect(channel.requests.map((entry) => graphqlRequestOf(entry).operation)).toEqual([
      'Order',
      'OrderRefunds',
      'RefundLines',
    ]);
  });

  test('withheld customer data is null, not a failure', async () => {
    const errors = [
      { message: 'denied', path: ['orders', 'nodes', 0, 'customer'], extensions: { code: 'ACCESS_DENIED' } },
    ];
    const answer = page([orderNode({ customer: null, shippingAddress: null })], null);
    await using channel = await startShop(() => ({ json: { ...answer.json, errors } }));
    expect(await collect(connectShop(channel).connector.ordersModifiedSince(since))).toMatchObject([
      { customerName: null },
    ]);
  });

  test('a query that is too expensive is asked again in smaller pages', async () => {
    const errors = [{ message: 'too much', extensions: { code: 'MAX_COST_EXCEEDED' } }];
    await using channel = await startShop(({ variables }) =>
      Number(variables['first']) > 13 ? { json: { errors } } : page([orderNode()], null),
    );
    expect(await collect(connectShop(channel).connector.ordersModifiedSince(since))).toHaveLength(1);
    expect(channel.requests.map((entry) => graphqlRequestOf(entry).variables['first'])).toEqual([50, 25, 13]);
  });

  test('a delivered order, a test order, a line without a variant, and an unknown order', async () => {
    const delivered = orderNode({
      displayFulfillmentStatus: 'FULFILLED',
      fulfillments: [
        { status: 'SUCCESS', displayStatus: 'FULFILLED', deliveredAt: '2026-11-22T09:00:00Z' },
        { status: 'SUCCESS', displayStatus: 'DELIVERED', deliveredAt: null },
        { status: 'CANCELLED', displayStatus: 'CANCELED', deliveredAt: null },
      ],
    });
    const trial = orderNode({ test: true });
    const gone = orderNode({
      lineItems: { pageInfo: { hasNextPage: false }, nodes: [line(1, { variant: null, sku: '' })] },
    });
    const answers: Record<string, unknown> = { 1: delivered, 2: trial, 3: gone };
    await using channel = await startShop(({ variables }) => ({
      json: { data: { order: answers[String(variables['id']).split('/').at(-1) ?? ''] ?? null } },
    }));
    const { connector } = connectShop(channel);
    expect(await connector.order('1')).toMatchObject({ status: 'delivered' });
    expect((await connector.order('2'))?.lines).toMatchObject([{ ordered: 2, reserved: 0, shipped: 0 }]);
    expect((await connector.order('3'))?.lines).toMatchObject([{ address: null, sku: null, reserved: 2 }]);
    expect(await connector.order('4')).toBeNull();
    expect(await connector.order('not a number')).toBeNull();
  });

  test('beyond the objects that one cursor reaches the scan starts anew at the last update time', async () => {
    let served = 0;
    await using channel = await startShop(() => {
      served += 1;
      return page(served <= 5 ? manyOrders(served) : [], served <= 5 ? `c${served}` : null);
    });
    const orders = await collect(connectShop(channel).connector.ordersModifiedSince(since));
    expect(orders).toHaveLength(20_000);
    const last = channel.requests.map((entry) => graphqlRequestOf(entry)).at(-1);
    expect(last?.variables).toMatchObject({ query: "updated_at:>='2026-11-22T08:00:05Z'", after: null });
    expect(channel.requests).toHaveLength(6);
  });
});
