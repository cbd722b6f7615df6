/** eBay: orders are read whole and in order, and parcels are reported once. */
import { expect, test } from 'vitest';
import type { Order, Shipment } from '../../src/connectors/connector.ts';
import { assertEbayBody } from '../support/ebaySpecification.ts';
import { connectEbay, ebayError } from './ebaySeller.ts';
import { type Answer, collect, type Handler, type ReceivedRequest } from './localChannel.ts';
import { recording } from './recordings.ts';

type EbayOrder = Readonly<Record<string, unknown>> & { readonly orderId: string; lastModifiedDate: string };
type Line = Readonly<Record<string, unknown>>;

const ordersPath = '/sell/fulfillment/v1/order';
const recorded = recording('ebay/orders') as {
  readonly orders: readonly [EbayOrder & { readonly lineItems: readonly [Line] }];
};
const [recordedOrder] = recorded.orders;
const order = (changes: Readonly<Record<string, unknown>> = {}): EbayOrder => ({
  ...recordedOrder,
  ...changes,
});
const line = (changes: Line = {}): Line => ({ ...recordedOrder.lineItems[0], ...changes });
const now = Date.parse('2026-11-22T12:00:00Z');
const since = new Date('2026-11-22T08:00:00Z');

/** Orders in the order given, as eBay promises no sorting; filtered by the window, paged by offset. */
function ordersOf(orders: readonly EbayOrder[], parcels: readonly unknown[] = []) {
  return (call: ReceivedRequest): Answer => {
    if (call.path.endsWith('/shipping_fulfillment')) {
      return call.method === 'POST'
        ? { status: 201 }
        : { json: { fulfillments: parcels, total: parcels.length } };
    }
    if (call.path !== ordersPath) {
      const found = orders.find((each) => call.path === `${ordersPath}/${each.orderId}`);
      return found === undefined ? { status: 404, json: { errors: [ebayError(32_100)] } } : { json: found };
    }
    const [, from = '', to = ''] =
      /^lastmodifieddate:\[(.*?)\.\.(.*)\]$/.exec(call.query.get('filter') ?? '') ?? [];
    const matching = orders.filter(
      (each) => each.lastModifiedDate >= from && (to === '' || each.lastModifiedDate <= to),
    );
    const [offset, limit] = [Number(call.query.get('offset')), Number(call.query.get('limit'))];
    const rows = structuredClone(matching.slice(offset, offset + limit));
    const next =
      offset + rows.length < matching.length
        ? { next: `https://api.ebay.com${ordersPath}?offset=${offset + limit}` }
        : {};
    return { json: { total: matching.length, limit, offset, orders: rows, ...next } };
  };
}

const connect = (handler: Handler) => connectEbay(handler, { now: () => now });

async function readOne(
  changes: Readonly<Record<string, unknown>>,
  parcels: readonly unknown[] = [],
): Promise<Order> {
  const { connector } = await connect(ordersOf([order(changes)], parcels));
  const found = await connector.order('12-00001-00001');
  if (found === null) throw new Error('the order is not found');
  return found;
}

test('the documented order becomes an order with its line, money and times', async () => {
  assertEbayBody('sell_fulfillment_v1', 'OrderSearchPagedCollection', recorded);
  const { connector, channel } = await connect(() => ({ json: recorded }));
  const orders = await collect(connector.ordersModifiedSince(since));
  expect(orders).toEqual([
    {
      orderId: '12-00001-00001',
      status: 'processing',
      customerName: 'Kim Doe',
      total: { minor: 5650, currency: 'USD' },
      createdAt: new Date('2026-11-22T07:58:00Z'),
      updatedAt: new Date('2026-11-22T08:03:00Z'),
      lines: [
        {
          lineId: '10000000001',
          address: { unitId: 'MUG-BLUE', variantId: '' },
          sku: 'MUG-BLUE',
          title: 'Blue mug',
          ordered: 2,
          reserved: 2,
          shipped: 0,
          unitPrice: { minor: 2450, currency: 'USD' },
        },
      ],
      raw: recordedOrder,
    },
  ]);
  expect(channel.requests[0]?.query.get('filter')).toBe('lastmodifieddate:[2026-11-22T08:00:00.000Z..]');
});

test.for([
  [{}, 'processing', 2, 0],
  [{ orderPaymentStatus: 'PENDING' }, 'pending', 2, 0],
  [{ orderPaymentStatus: 'FAILED' }, 'cancelled', 0, 0],
  [{ orderPaymentStatus: 'PARTIALLY_REFUNDED' }, 'processing', 2, 0],
  [{ orderPaymentStatus: 'FULLY_REFUNDED' }, 'processing', 2, 0],
  [{ orderFulfillmentStatus: 'FULFILLED' }, 'shipped', 0, 2],
  [{ orderFulfillmentStatus: 'FULFILLED', orderPaymentStatus: 'PENDING' }, 'shipped', 0, 2],
  [{ cancelStatus: { cancelState: 'CANCELED' } }, 'cancelled', 0, 0],
  [{ cancelStatus: { cancelState: 'CANCELLED' } }, 'cancelled', 0, 0],
  [{ cancelStatus: { cancelState: 'IN_PROGRESS' } }, 'processing', 2, 0],
] as const)(
  'an order with %j is %s and holds %i units, %i shipped',
  async ([changes, status, reserved, shipped]) => {
    const found = await readOne(changes);
    expect([found.status, found.lines[0]?.reserved, found.lines[0]?.shipped]).toEqual([
      status,
      reserved,
      shipped,
    ]);
  },
);

test('a partly shipped order counts what has left, line by line and parcel by parcel', async () => {
  const lineItems = [
    line({ lineItemFulfillmentStatus: 'FULFILLED' }),
    line({ lineItemId: '2', quantity: 5, lineItemFulfillmentStatus: 'IN_PROGRESS' }),
    line({ lineItemId: '3', quantity: 1 }),
  ];
  const parcels = [
    {
      lineItems: [
        { lineItemId: '10000000001', quantity: 2 },
        { lineItemId: '2', quantity: 1 },
      ],
    },
    { lineItems: [{ lineItemId: '2', quantity: 2 }] },
  ];
  const found = await readOne({ orderFulfillmentStatus: 'IN_PROGRESS', lineItems }, parcels);
  expect(found.status).toBe('processing');
  expect(found.lines.map((each) => [each.reserved, each.shipped])).toEqual([
    [0, 2],
    [2, 3],
    [1, 0],
  ]);
});

test('a line of a listing made elsewhere has no address, and its listing number stays in the raw order', async () => {
  const { sku: _sku, ...legacy } = line();
  const found = await readOne({ lineItems: [legacy] });
  expect(found.lines[0]).toMatchObject({ sku: null, address: null });
  expect(found.raw).toHaveProperty('lineItems.0.legacyItemId', '2556');
});

test('names and amounts that eBay has dropped are null', async () => {
  const found = await readOne({
    buyer: { username: 'u' },
    fulfillmentStartInstructions: [],
    pricingSummary: {},
  });
  expect(found).toMatchObject({ customerName: null, total: null });
});

test('an order that eBay does not know is null', async () => {
  const { connector } = await connect(ordersOf([]));
  expect(await connector.order('12-1/../2')).toBeNull();
});

const minute = (index: number) => new Date(since.getTime() + index * 10_000).toISOString();
const many = (count: number) =>
  Array.from({ length: count }, (_unused, index) =>
    order({ orderId: `12-${index}`, lastModifiedDate: minute((index * 7) % count) }),
  );

test('all pages are read and handed on sorted, oldest change first', async () => {
  const { connector } = await connect(ordersOf(many(450)));
  const orders = await collect(connector.ordersModifiedSince(since));
  expect(new Set(orders.map((each) => each.orderId)).size).toBe(450);
  const times = orders.map((each) => each.updatedAt.getTime());
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test('orders that move between two pages make none be jumped over', async () => {
  const all = many(450).toSorted((a, b) => (a.lastModifiedDate < b.lastModifiedDate ? -1 : 1));
  let pages = 0;
  const { connector } = await connect((call) => {
    const answer = ordersOf(all)(call);
    pages += 1;
    // Three orders of the first page change and go to the end: with plain offsets the second page would begin three rows too late.
    if (pages === 1)
      for (const moved of all.splice(0, 3)) {
        moved.lastModifiedDate = '2026-11-22T11:00:00.000Z';
        all.push(moved);
      }
    return answer;
  });
  const orders = await collect(connector.ordersModifiedSince(since));
  expect(orders).toHaveLength(450);
  expect(new Set(orders.map((each) => each.orderId)).size).toBe(450);
  expect(orders.filter((each) => each.updatedAt.toISOString() === '2026-11-22T11:00:00.000Z')).toHaveLength(
    3,
  );
});

test('a long past is read in windows, and its orders come once and in time', async () => {
  const days = [1, 9, 20, 29].map((day) =>
    order({ orderId: `day-${day}`, lastModifiedDate: new Date(now - day * 86_400_000).toISOString() }),
  );
  const { connector, channel } = await connect(ordersOf(days));
  const orders = await collect(connector.ordersModifiedSince(new Date(now - 30 * 86_400_000)));
  expect(orders.map((each) => each.orderId)).toEqual(['day-29', 'day-20', 'day-9', 'day-1']);
  expect(channel.requests).toHaveLength(5);
  expect(channel.requests.at(-1)?.query.get('filter')).toMatch(/\.\.\]$/);
});

test('a page that ends before the promised total is an error and never the end', async () => {
  const { connector } = await connect(() => ({ json: { total: 7, orders: [] } }));
  await expect(collect(connector.ordersModifiedSince(since))).rejects.toMatchObject({
    code: 'invalid_response',
  });
});

// --------------------------------------------------------------------------------------------------------------- shipping

const shipment: Shipment = {
  carrier: 'USPS',
  trackingNumber: '9400 1000-0001',
  shippedAt: new Date('2026-11-22T15:00:00Z'),
  lines: [],
};
const posted = (calls: readonly ReceivedRequest[]) =>
  calls.filter((call) => call.method === 'POST').map((call) => JSON.parse(call.body));

test('a parcel without lines carries every open unit, with a plain tracking number', async () => {
  const { connector, channel } = await connect(ordersOf([order()]));
  await connector.ship('12-00001-00001', shipment);
  const [body] = posted(channel.requests);
  assertEbayBody('sell_fulfillment_v1', 'ShippingFulfillmentDetails', body);
  expect(body).toEqual({
    lineItems: [{ lineItemId: '10000000001', quantity: 2 }],
    shippedDate: '2026-11-22T15:00:00.000Z',
    shippingCarrierCode: 'USPS',
    trackingNumber: '940010000001',
  });
});

test('a parcel that eBay knows is not sent again', async () => {
  const known = {
    shipmentTrackingNumber: '940010000001',
    lineItems: [{ lineItemId: '10000000001', quantity: 2 }],
  };
  const { connector, channel } = await connect(ordersOf([order()], [known]));
  await connector.ship('12-00001-00001', shipment);
  await connector.ship('12-00001-00001', { ...shipment, trackingNumber: null });
  expect(posted(channel.requests)).toEqual([]);
});

test('a second parcel carries only what the first left, and neither carrier nor number when there is no number', async () => {
  const first = { shipmentTrackingNumber: '111', lineItems: [{ lineItemId: '10000000001', quantity: 1 }] };
  const { connector, channel } = await connect(ordersOf([order()], [first]));
  await connector.ship('12-00001-00001', {
    ...shipment,
    trackingNumber: null,
    lines: [{ lineId: '10000000001', quantity: 2 }],
  });
  expect(posted(channel.requests)).toEqual([
    { lineItems: [{ lineItemId: '10000000001', quantity: 1 }], shippedDate: '2026-11-22T15:00:00.000Z' },
  ]);
});

test('a lost answer to a parcel is an error that says it may have been applied, after one attempt', async () => {
  const serve = ordersOf([order()]);
  const { connector, channel } = await connect((call) => (call.method === 'POST' ? 'lost' : serve(call)));
  await expect(connector.ship('12-00001-00001', shipment)).rejects.toMatchObject({ maybeApplied: true });
  expect(posted(channel.requests)).toHaveLength(1);
});

test('a parcel of an order that eBay does not know is not_found', async () => {
  const { connector } = await connect(ordersOf([]));
  await expect(connector.ship('1', shipment)).rejects.toMatchObject({ code: 'not_found' });
});
