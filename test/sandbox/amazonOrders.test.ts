/** Amazon's orders: windows, pages, data sets, statuses, shipment confirmation. */

import { describe, expect, it } from 'vitest';
import type { Order } from '../../src/sandbox/goods.ts';
import { type AmazonBench, marketplaceId, withAmazon } from './amazonBench.ts';
import { startAt } from './channelBench.ts';

const searchPath = '/orders/2026-01-01/orders';
const timeText = (at: number) => new Date(at).toISOString();
const since = { lastUpdatedAfter: timeText(startAt - 60_000) };

function buy(bench: AmazonBench, quantity = 1, options: { paid?: boolean; sku?: string } = {}): Order {
  const { paid = true, sku = 'MUG-BLUE' } = options;
  const lines = [{ variantId: bench.variant(sku).id, quantity }];
  const result = bench.shop.orders.place({ lines, paid, customerName: 'Ada Example', shippingMinor: 750 });
  if (result.kind === 'refused') throw new Error(`refused: ${result.displayed} left`);
  return result.order;
}

type Found = {
  readonly orders: readonly {
    readonly orderId: string;
    readonly fulfillment?: { readonly fulfillmentStatus: string };
    readonly orderItems: readonly unknown[];
    readonly packages?: readonly unknown[];
  }[];
  readonly pagination?: { readonly nextToken: string };
  readonly lastUpdatedBefore?: string;
};

async function search({ call }: AmazonBench, query: Record<string, string> = {}): Promise<Found> {
  const answer = await call('GET', searchPath, { query: { ...since, ...query } });
  expect(answer.status).toBe(200);
  return answer.body as Found;
}

async function getOrder(
  { call }: AmazonBench,
  orderId: string,
  includedData = 'FULFILLMENT,CANCELLATION,PACKAGES',
) {
  const answer = await call('GET', `${searchPath}/${orderId}`, { query: { includedData } });
  expect(answer.status).toBe(200);
  return (answer.body as { order: Found['orders'][number] }).order;
}

const ids = (found: Found) => found.orders.map(({ orderId }) => orderId);

describe('searchOrders', () => {
  it('needs exactly one of createdAfter and lastUpdatedAfter', () =>
    withAmazon(async ({ call }) => {
      const at = timeText(startAt);
      const statusOf = async (query: Record<string, string>) =>
        (await call('GET', searchPath, { query })).status;
      expect(await statusOf({})).toBe(400);
      expect(await statusOf({ createdAfter: at, lastUpdatedAfter: at })).toBe(400);
      expect(await statusOf({ createdAfter: at })).toBe(200);
      expect(await statusOf({ lastUpdatedAfter: at })).toBe(200);
      expect(await statusOf({ lastUpdatedAfter: 'yesterday' })).toBe(400);
    }));

  it('needs the end of a window to lie two minutes in the past, after its start, and to be of the same kind', () =>
    withAmazon(async ({ call }) => {
      const statusOf = async (query: Record<string, string>) =>
        (
          await call('GET', searchPath, {
            query: { lastUpdatedAfter: timeText(startAt - 600_000), ...query },
          })
        ).status;
      expect(await statusOf({ lastUpdatedBefore: timeText(startAt - 120_000) })).toBe(200);
      expect(await statusOf({ lastUpdatedBefore: timeText(startAt - 119_999) })).toBe(400);
      expect(await statusOf({ lastUpdatedBefore: timeText(startAt - 600_001) })).toBe(400);
      expect(await statusOf({ createdBefore: timeText(startAt - 300_000) })).toBe(400);
    }));

  it('finds what changed in the window, the oldest change first', () =>
    withAmazon(async (bench) => {
      const first = buy(bench);
      bench.clock.advance(60_000);
      const second = buy(bench);
      expect(ids(await search(bench))).toEqual([first.id, second.id]);
      bench.clock.advance(60_000);
      bench.shop.orders.cancel(first.id);
      expect(ids(await search(bench))).toEqual([second.id, first.id]);
      const late = { lastUpdatedAfter: timeText(startAt + 90_000) };
      expect(ids(await search(bench, late))).toEqual([first.id]);
      const { body } = await bench.call('GET', searchPath, {
        query: { createdAfter: timeText(startAt + 30_000) },
      });
      expect(ids(body as Found)).toEqual([second.id]);
    }));

  it('pages by token, at most 100 a page, and gives none on the last', () =>
    withAmazon(async (bench) => {
      for (let count = 0; count < 5; count++) buy(bench);
      const first = await search(bench, { maxResultsPerPage: '3' });
      expect(first.orders).toHaveLength(3);
      const second = await search(bench, {
        maxResultsPerPage: '3',
        paginationToken: first.pagination?.nextToken ?? '',
      });
      expect(second.orders).toHaveLength(2);
      expect(second.pagination).toBeUndefined();
      expect(new Set([...ids(first), ...ids(second)]).size).toBe(5);
      expect(
        (await bench.call('GET', searchPath, { query: { ...since, maxResultsPerPage: '101' } })).status,
      ).toBe(400);
      expect(
        (await bench.call('GET', searchPath, { query: { ...since, paginationToken: '?' } })).status,
      ).toBe(400);
    }));

  it('filters by status, fulfiller and marketplace', () =>
    withAmazon(async (bench) => {
      const pending = buy(bench, 1, { paid: false });
      const paid = buy(bench);
      const amazon = buy(bench, 1, { sku: 'MUG-RED' });
      expect(ids(await search(bench, { fulfillmentStatuses: 'PENDING' }))).toEqual([pending.id]);
      expect(ids(await search(bench, { fulfilledBy: 'MERCHANT' }))).toEqual([pending.id, paid.id]);
      expect(ids(await search(bench, { fulfilledBy: 'AMAZON' }))).toEqual([amazon.id]);
      expect(ids(await search(bench, { marketplaceIds: 'A1PA6795UKMFR9' }))).toEqual([]);
      const query = { ...since, fulfillmentStatuses: 'Shipped' };
      expect((await bench.call('GET', searchPath, { query })).status).toBe(400);
    }));

  it('shows an order only after the index lag, while getOrder knows it at once', () =>
    withAmazon(
      async (bench) => {
        const order = buy(bench);
        expect(ids(await search(bench))).toEqual([]);
        expect((await getOrder(bench, order.id)).orderId).toBe(order.id);
        bench.clock.advance(30_000);
        expect(ids(await search(bench))).toEqual([order.id]);
      },
      {},
      { orderIndexLagMs: { min: 30_000, max: 30_000 } },
    ));
});

describe('an order', () => {
  it('carries only the data sets that were asked for', () =>
    withAmazon(async (bench) => {
      const order = buy(bench, 2);
      const bare = await getOrder(bench, order.id, '');
      expect(Object.keys(bare)).toEqual([
        'orderId',
        'createdTime',
        'lastUpdatedTime',
        'salesChannel',
        'orderItems',
      ]);
      expect(bare.orderItems).toEqual([
        {
          orderItemId: order.lines[0]?.id,
          quantityOrdered: 2,
          product: expect.objectContaining({ sellerSku: 'MUG-BLUE' }),
        },
      ]);
      const full = await getOrder(
        bench,
        order.id,
        'BUYER,RECIPIENT,PROCEEDS,FULFILLMENT,CANCELLATION,PACKAGES,EXPENSE',
      );
      expect(full).toMatchObject({
        buyer: { buyerName: 'Ada Example' },
        recipient: { deliveryAddress: { name: 'Ada Example' } },
        proceeds: { grandTotal: { amount: '56.50', currencyCode: 'USD' } },
        fulfillment: { fulfillmentStatus: 'UNSHIPPED', fulfilledBy: 'MERCHANT' },
        orderItems: [
          {
            product: { price: { unitPrice: { amount: '24.50' } } },
            proceeds: { proceedsTotal: { amount: '49.00' } },
            fulfillment: { quantityFulfilled: 0, quantityUnfulfilled: 2 },
          },
        ],
        packages: [],
      });
      const query = { includedData: 'SECRETS' };
      expect((await bench.call('GET', `${searchPath}/${order.id}`, { query })).status).toBe(400);
    }));

  it('holds its stock and says no price while it is PENDING', () =>
    withAmazon(async (bench) => {
      const order = buy(bench, 2, { paid: false });
      expect(bench.variant('MUG-BLUE').quantity).toBe(3);
      const pending = await getOrder(bench, order.id, 'PROCEEDS,FULFILLMENT');
      expect(pending).toMatchObject({ fulfillment: { fulfillmentStatus: 'PENDING' } });
      expect(pending).not.toHaveProperty('proceeds');
      expect(pending.orderItems[0]).not.toHaveProperty('product.price');
      bench.shop.orders.pay(order.id);
      expect(await getOrder(bench, order.id, 'FULFILLMENT')).toMatchObject({
        fulfillment: { fulfillmentStatus: 'UNSHIPPED' },
      });
    }));

  it('keeps the buyer nameless without the restricted role', () =>
    withAmazon(
      async (bench) => {
        const order = await getOrder(bench, buy(bench).id, 'BUYER,RECIPIENT');
        expect(order).not.toHaveProperty('buyer');
        expect(order).not.toHaveProperty('recipient');
      },
      { personalData: false },
    ));

  it('says who cancelled it and holds nothing any more', () =>
    withAmazon(async (bench) => {
      const order = buy(bench, 2);
      bench.shop.orders.cancel(order.id, { restock: true });
      expect(await getOrder(bench, order.id)).toMatchObject({
        fulfillment: { fulfillmentStatus: 'CANCELLED' },
        orderItems: [
          {
            quantityOrdered: 2,
            cancellation: { cancellationExecution: { cancelledBy: 'BUYER' } },
            fulfillment: { quantityFulfilled: 0, quantityUnfulfilled: 0 },
          },
        ],
      });
      expect(bench.variant('MUG-BLUE').quantity).toBe(5);
    }));

  it('is 404 when unknown', () =>
    withAmazon(async ({ call }) => {
      expect((await call('GET', `${searchPath}/113-1-1`)).status).toBe(404);
    }));
});

const confirm = (bench: AmazonBench, order: Order, quantity: number, detail: Record<string, unknown> = {}) =>
  bench.call('POST', `/orders/v0/orders/${order.id}/shipmentConfirmation`, {
    body: {
      marketplaceId,
      packageDetail: {
        packageReferenceId: '1',
        carrierCode: 'USPS',
        trackingNumber: '9400100000000000000001',
        shipDate: timeText(startAt + 60_000),
        orderItems: [{ orderItemId: order.lines[0]?.id, quantity }],
        ...detail,
      },
    },
  });

describe('confirmShipment', () => {
  it('ships in parts and then whole, and shows the packages until they are delivered', () =>
    withAmazon(async (bench) => {
      const order = buy(bench, 3);
      expect((await confirm(bench, order, 1)).status).toBe(204);
      expect(await getOrder(bench, order.id)).toMatchObject({
        fulfillment: { fulfillmentStatus: 'PARTIALLY_SHIPPED' },
        orderItems: [{ fulfillment: { quantityFulfilled: 1, quantityUnfulfilled: 2 } }],
        packages: [{ packageReferenceId: '1', packageStatus: { status: 'SHIPPED' }, carrier: 'USPS' }],
      });
      expect((await confirm(bench, order, 2, { packageReferenceId: '2' })).status).toBe(204);
      expect((await getOrder(bench, order.id)).fulfillment?.fulfillmentStatus).toBe('SHIPPED');
      bench.shop.orders.deliver(order.id);
      const { packages } = await getOrder(bench, order.id);
      expect(packages).toMatchObject([
        { packageStatus: { status: 'DELIVERED' } },
        { packageStatus: { status: 'DELIVERED' } },
      ]);
    }));

  it('corrects a parcel when the reference is used again', () =>
    withAmazon(async (bench) => {
      const order = buy(bench, 2);
      await confirm(bench, order, 2);
      expect((await confirm(bench, order, 2, { trackingNumber: 'CORRECTED' })).status).toBe(204);
      expect((await getOrder(bench, order.id)).packages).toMatchObject([{ trackingNumber: 'CORRECTED' }]);
    }));

  it.each([
    ['more units than are left', 4, {}],
    ['carrier Other without a name', 1, { carrierCode: 'Other' }],
    ['a reference that is no positive number', 1, { packageReferenceId: 'first' }],
    ['a date that is none', 1, { shipDate: 'today' }],
    ['an item of another order', 1, { orderItems: [{ orderItemId: '1', quantity: 1 }] }],
  ])('refuses %s', (_, quantity, detail) =>
    withAmazon(async (bench) => {
      const order = buy(bench, 3);
      expect((await confirm(bench, order, quantity, detail)).status).toBe(400);
      expect(order.parcels).toEqual([]);
    }),
  );

  it('refuses what Amazon itself sends, what is cancelled and what it does not know', () =>
    withAmazon(async (bench) => {
      expect((await confirm(bench, buy(bench, 1, { sku: 'MUG-RED' }), 1)).status).toBe(400);
      const cancelled = buy(bench);
      bench.shop.orders.cancel(cancelled.id);
      expect((await confirm(bench, cancelled, 1)).status).toBe(400);
      expect((await confirm(bench, { ...cancelled, id: '113-1-1' }, 1)).status).toBe(404);
    }));
});
