/** eBay's orders and shipping fulfilments. */

import { describe, expect, it } from 'vitest';
import type { Order } from '../../src/sandbox/goods.ts';
import { startAt } from './channelBench.ts';
import { type EbayBench, ebayError, fulfillment, withEbay } from './ebayBench.ts';

const path = `${fulfillment}/order`;
const timeText = (at: number) => new Date(at).toISOString();
const modifiedSince = (at: number, until?: number) =>
  `lastmodifieddate:[${timeText(at)}..${until === undefined ? '' : timeText(until)}]`;

type Page = {
  readonly total: number;
  readonly next?: string;
  readonly orders: readonly {
    readonly orderId: string;
    readonly cancelStatus: { readonly cancelRequests: unknown[] };
  }[];
};

async function search({ call }: EbayBench, query: Record<string, string> = {}): Promise<Page> {
  const answer = await call('GET', path, { query });
  expect(answer.status).toBe(200);
  return answer.body as Page;
}

const ids = ({ orders }: Page) => orders.map(({ orderId }) => orderId);
const getOrder = async ({ call }: EbayBench, { id }: Order) => (await call('GET', `${path}/${id}`)).body;

describe('getOrders', () => {
  it('finds by last modification, the oldest first, and by creation when both are given', () =>
    withEbay(async (bench) => {
      const first = bench.buy();
      bench.clock.advance(60_000);
      const second = bench.buy();
      bench.clock.advance(60_000);
      bench.shop.orders.cancel(first.id);
      expect(ids(await search(bench, { filter: modifiedSince(startAt) }))).toEqual([second.id, first.id]);
      expect(ids(await search(bench, { filter: modifiedSince(startAt + 90_000) }))).toEqual([first.id]);
      const window = modifiedSince(startAt, startAt + 60_000);
      expect(ids(await search(bench, { filter: window }))).toEqual([second.id]);
      const created = `creationdate:[${timeText(startAt + 30_000)}..],${modifiedSince(startAt + 90_000)}`;
      expect(ids(await search(bench, { filter: created }))).toEqual([second.id]);
    }));

  it('pages by counting orders, follows next, and ends without one', () =>
    withEbay(async (bench) => {
      for (let count = 0; count < 5; count++) bench.buy();
      const seen: string[] = [];
      let next: string | undefined =
        `${bench.server.url}${path}?limit=2&filter=${encodeURIComponent(modifiedSince(startAt))}`;
      let pages = 0;
      while (next !== undefined) {
        const { pathname, searchParams } = new URL(next);
        const { body } = await bench.call('GET', pathname, { query: Object.fromEntries(searchParams) });
        expect(body).toMatchObject({ total: 5, limit: 2, offset: pages * 2 });
        seen.push(...ids(body as Page));
        next = (body as Page).next;
        pages++;
      }
      expect(pages).toBe(3);
      expect(new Set(seen).size).toBe(5);
    }));

  it('takes up to fifty ids and then ignores everything else', () =>
    withEbay(async (bench) => {
      const order = bench.buy();
      bench.buy();
      const query = { orderIds: `${order.id},00-00000-00000`, limit: '9999', filter: 'nonsense:1' };
      expect(ids(await search(bench, query))).toEqual([order.id]);
      const orderIds = Array.from({ length: 51 }, (_, index) => String(index)).join(',');
      expect(await bench.call('GET', path, { query: { orderIds } })).toMatchObject(ebayError(400, 30900));
    }));

  it('filters by fulfilment in the two combinations that eBay supports', () =>
    withEbay(async (bench) => {
      const open = bench.buy();
      const sent = bench.buy();
      bench.shop.orders.ship(sent.id);
      expect(
        ids(await search(bench, { filter: 'orderfulfillmentstatus:{NOT_STARTED|IN_PROGRESS}' })),
      ).toEqual([open.id]);
      expect(ids(await search(bench, { filter: 'orderfulfillmentstatus:{FULFILLED|IN_PROGRESS}' }))).toEqual([
        sent.id,
      ]);
      const query = { filter: 'orderfulfillmentstatus:{FULFILLED}' };
      expect(await bench.call('GET', path, { query })).toMatchObject(ebayError(400, 30800));
    }));

  it.each([
    ['an unknown filter', { filter: 'buyer:[a..b]' }, 30700],
    ['a range that is none', { filter: 'lastmodifieddate:2026' }, 30800],
    ['a time that is none', { filter: 'lastmodifieddate:[yesterday..]' }, 30810],
    ['a range without a start', { filter: `lastmodifieddate:[..${timeText(startAt)}]` }, 30820],
    ['a start three years ago', { filter: 'lastmodifieddate:[2023-11-22T08:00:00.000Z..]' }, 30830],
    [
      'a range that ends before it starts',
      { filter: modifiedSince(startAt - 1_000, startAt - 2_000) },
      30840,
    ],
    ['a start in the future', { filter: modifiedSince(startAt + 1_000) }, 30850],
    ['a limit above 200', { limit: '201' }, 31100],
    ['an offset below 0', { offset: '-1' }, 31000],
  ])('refuses %s', (_, query, errorId) =>
    withEbay(async ({ call }) => {
      expect(await call('GET', path, { query })).toMatchObject(ebayError(400, errorId));
    }),
  );

  it('shows an order only after the index lag, while getOrder knows it at once', () =>
    withEbay(
      async (bench) => {
        const order = bench.buy();
        expect(ids(await search(bench))).toEqual([]);
        expect(await getOrder(bench, order)).toMatchObject({ orderId: order.id });
        bench.clock.advance(20_000);
        expect(ids(await search(bench))).toEqual([order.id]);
      },
      {},
      { orderIndexLagMs: { min: 20_000, max: 20_000 } },
    ));

  it('returns 90 days when nothing is asked for', () =>
    withEbay(
      async (bench) => {
        bench.buy();
        bench.clock.advance(90 * 86_400_000 + 1);
        expect(ids(await search(bench))).toEqual([]);
      },
      { accessTokenLifeMs: 365 * 86_400_000 },
    ));
});

describe('an order', () => {
  it('states line totals, not unit prices, and the buyer', () =>
    withEbay(async (bench) => {
      const order = bench.buy(2);
      expect(await getOrder(bench, order)).toMatchObject({
        orderId: order.id,
        orderFulfillmentStatus: 'NOT_STARTED',
        orderPaymentStatus: 'PAID',
        buyer: { buyerRegistrationAddress: { fullName: 'Ada Example' } },
        pricingSummary: { priceSubtotal: { value: '49.00' }, total: { value: '56.50', currency: 'USD' } },
        cancelStatus: { cancelState: 'NONE_REQUESTED' },
        lineItems: [{ sku: 'MUG-BLUE', quantity: 2, lineItemCost: { value: '49.00' } }],
      });
    }));

  it('is PENDING until it is paid, and holds its stock all the same', () =>
    withEbay(async (bench) => {
      const order = bench.buy(2, { paid: false });
      expect(bench.variant('MUG-BLUE').quantity).toBe(3);
      expect(await getOrder(bench, order)).toMatchObject({ orderPaymentStatus: 'PENDING' });
      bench.shop.orders.pay(order.id);
      expect(await getOrder(bench, order)).toMatchObject({ orderPaymentStatus: 'PAID' });
    }));

  it('lists its cancel requests in getOrder only', () =>
    withEbay(async (bench) => {
      const order = bench.buy();
      bench.shop.orders.cancel(order.id, { restock: false });
      expect(await getOrder(bench, order)).toMatchObject({
        orderPaymentStatus: 'FULLY_REFUNDED',
        cancelStatus: { cancelState: 'CANCELED', cancelRequests: [{ cancelRequestState: 'COMPLETED' }] },
      });
      expect((await search(bench)).orders[0]?.cancelStatus.cancelRequests).toEqual([]);
    }));

  it('tells refunds as amounts', () =>
    withEbay(async (bench) => {
      const order = bench.buy(2);
      bench.shop.orders.refund(order.id, [{ lineId: order.lines[0]?.id ?? '', quantity: 1 }], false);
      expect(await getOrder(bench, order)).toMatchObject({
        orderPaymentStatus: 'PARTIALLY_REFUNDED',
        paymentSummary: { refunds: [{ amount: { value: '24.50' } }] },
        lineItems: [{ quantity: 2, refunds: [{ amount: { value: '24.50' } }] }],
      });
    }));

  it('loses the buyer’s name after 90 days', () =>
    withEbay(
      async (bench) => {
        const order = bench.buy();
        bench.clock.advance(90 * 86_400_000 + 1);
        expect(await getOrder(bench, order)).toHaveProperty('buyer.buyerRegistrationAddress', {});
      },
      { accessTokenLifeMs: 365 * 86_400_000 },
    ));

  it('is 404 when unknown', () =>
    withEbay(async ({ call }) => {
      expect(await call('GET', `${path}/00-00000-00000`)).toMatchObject(ebayError(404, 32100));
    }));
});

const ship = ({ call }: EbayBench, order: Order, body: Record<string, unknown>) =>
  call('POST', `${path}/${order.id}/shipping_fulfillment`, { body });
const lineOf = (order: Order) => order.lines[0]?.id ?? '';

describe('a shipping fulfilment', () => {
  const tracking = { shippingCarrierCode: 'USPS', trackingNumber: '9400100000000000000001' };

  it('answers 201 with an empty body and its address, which is the tracking number', () =>
    withEbay(async (bench) => {
      const order = bench.buy(3);
      const answer = await ship(bench, order, {
        ...tracking,
        lineItems: [{ lineItemId: lineOf(order), quantity: 1 }],
      });
      expect(answer).toMatchObject({ status: 201, body: null });
      const location = new URL(answer.headers.get('location') ?? '');
      expect(location.pathname).toBe(`${path}/${order.id}/shipping_fulfillment/${tracking.trackingNumber}`);
      expect((await bench.call('GET', location.pathname)).body).toMatchObject({
        lineItems: [{ lineItemId: lineOf(order), quantity: 1 }],
        shipmentTrackingNumber: tracking.trackingNumber,
      });
      expect(await getOrder(bench, order)).toMatchObject({ orderFulfillmentStatus: 'IN_PROGRESS' });
    }));

  it('is one per parcel, until the order is fulfilled', () =>
    withEbay(async (bench) => {
      const order = bench.buy(3);
      await ship(bench, order, { ...tracking, lineItems: [{ lineItemId: lineOf(order), quantity: 1 }] });
      await ship(bench, order, { lineItems: [{ lineItemId: lineOf(order), quantity: 2 }] });
      const { body } = await bench.call('GET', `${path}/${order.id}/shipping_fulfillment`);
      expect(body).toMatchObject({ total: 2, fulfillments: [{ shippingCarrierCode: 'USPS' }, {}] });
      expect(await getOrder(bench, order)).toMatchObject({ orderFulfillmentStatus: 'FULFILLED' });
    }));

  it('sends one unit of a line when no quantity is given', () =>
    withEbay(async (bench) => {
      const order = bench.buy(2);
      await ship(bench, order, { lineItems: [{ lineItemId: lineOf(order) }] });
      expect(order.lines[0]?.shipped).toBe(1);
    }));

  it.each([
    ['a carrier without a number', { shippingCarrierCode: 'USPS' }, 32300],
    ['a number with spaces', { shippingCarrierCode: 'USPS', trackingNumber: '9400 1000' }, 32300],
    ['a date that is none', { shippedDate: 'today' }, 32500],
    ['no lines', { lineItems: [] }, 32600],
    ['an unknown line', { lineItems: [{ lineItemId: '1' }] }, 32200],
  ])('refuses %s', (_, change, errorId) =>
    withEbay(async (bench) => {
      const order = bench.buy(2);
      const lineItems = [{ lineItemId: lineOf(order), quantity: 1 }];
      expect(await ship(bench, order, { lineItems, ...change })).toMatchObject(ebayError(400, errorId));
      expect(order.parcels).toEqual([]);
    }),
  );

  it('refuses a repeated line, more units than are left, and an order it does not know', () =>
    withEbay(async (bench) => {
      const order = bench.buy(2);
      const line = { lineItemId: lineOf(order), quantity: 1 };
      expect(await ship(bench, order, { lineItems: [line, line] })).toMatchObject(ebayError(400, 32210));
      expect(await ship(bench, order, { lineItems: [{ ...line, quantity: 3 }] })).toMatchObject(
        ebayError(400, 32600),
      );
      const unknown = { ...order, id: '00-00000-00000' };
      expect(await ship(bench, unknown, { lineItems: [line] })).toMatchObject(ebayError(400, 32100));
    }));
});
