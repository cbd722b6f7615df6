/** Etsy: receipts are read once each, whatever moves between two pages. */
import { expect, test } from 'vitest';
import type { Order } from '../../src/connectors/connector.ts';
import { assertEtsyBody } from '../support/etsySpecification.ts';
import { connectEtsy, shopId } from './etsyShop.ts';
import { type Answer, collect, type ReceivedRequest } from './localChannel.ts';
import { recording } from './recordings.ts';

type Receipt = Readonly<Record<string, unknown>> & { readonly receipt_id: number; updated_timestamp: number };

const receiptsPath = `/v3/application/shops/${shopId}/receipts`;
const recorded = recording('etsy/receipts') as { readonly results: readonly [Receipt] };
const receipt = (changes: Readonly<Record<string, unknown>> = {}): Receipt => ({
  ...recorded.results[0],
  ...changes,
});

/** The receipts of a shop, sorted and filtered as Etsy does it. `delivered` holds receipt numbers. */
function receiptsOf(receipts: readonly Receipt[], delivered: ReadonlySet<number> = new Set()) {
  return (call: ReceivedRequest): Answer => {
    const single = receipts.find((each) => call.path === `${receiptsPath}/${each.receipt_id}`);
    if (single !== undefined) return { json: single };
    if (call.path !== receiptsPath) return { status: 404, json: { error: 'Resource not found' } };
    const number = (name: string, fallback: number) => Number(call.query.get(name) ?? fallback);
    const matching = receipts
      .filter((each) => each.updated_timestamp >= number('min_last_modified', 0))
      .filter((each) => each.updated_timestamp <= number('max_last_modified', Number.POSITIVE_INFINITY))
      .filter((each) => call.query.get('was_delivered') !== 'true' || delivered.has(each.receipt_id))
      .toSorted((a, b) => a.updated_timestamp - b.updated_timestamp || a.receipt_id - b.receipt_id);
    const offset = number('offset', 0);
    return {
      json: {
        count: matching.length,
        results: structuredClone(matching.slice(offset, offset + number('limit', 25))),
      },
    };
  };
}

async function readOne(
  changes: Readonly<Record<string, unknown>>,
  delivered?: ReadonlySet<number>,
): Promise<Order> {
  const { connector } = await connectEtsy(receiptsOf([receipt(changes)], delivered));
  const order = await connector.order('3300000001');
  if (order === null) throw new Error('the receipt is not found');
  return order;
}

const since = new Date(1_795_000_000_000);

test('the documented receipt becomes an order with its line, money and times', async () => {
  assertEtsyBody('ShopReceipts', recorded);
  const { connector } = await connectEtsy(receiptsOf([receipt()]));
  const [order, ...others] = await collect(connector.ordersModifiedSince(since));
  expect(others).toEqual([]);
  expect(order).toEqual({
    orderId: '3300000001',
    status: 'processing',
    customerName: 'Kim Doe',
    total: { minor: 5650, currency: 'USD' },
    createdAt: new Date(1_795_000_000_000),
    updatedAt: new Date(1_795_000_300_000),
    lines: [
      {
        lineId: '4400000001',
        address: { unitId: '1200000001', variantId: 'MUG-BLUE' },
        sku: 'MUG-BLUE',
        title: 'Blue mug',
        ordered: 2,
        reserved: 2,
        shipped: 0,
        unitPrice: { minor: 2450, currency: 'USD' },
      },
    ],
    raw: recorded.results[0],
  });
});

test.for([
  [{ status: 'open', is_paid: false }, 'pending', 2, 0],
  [{ status: 'Payment Processing', is_paid: false }, 'pending', 2, 0],
  [{ status: 'open', is_paid: true }, 'processing', 2, 0],
  [{ status: 'paid' }, 'processing', 2, 0],
  [{ status: 'partially refunded' }, 'processing', 2, 0],
  [{ status: 'partially refunded', is_shipped: true }, 'shipped', 0, 2],
  [{ status: 'Completed' }, 'shipped', 0, 2],
  [{ status: 'paid', is_shipped: true }, 'shipped', 0, 2],
  [{ status: 'fully refunded' }, 'cancelled', 0, 0],
  [{ status: 'fully refunded', is_shipped: true }, 'shipped', 0, 2],
  [{ status: 'Canceled' }, 'cancelled', 0, 0],
] as const)(
  'a receipt with %j is %s and holds %i units, %i shipped',
  async ([changes, status, reserved, shipped]) => {
    const order = await readOne(changes);
    expect([order.status, order.lines[0]?.reserved, order.lines[0]?.shipped]).toEqual([
      status,
      reserved,
      shipped,
    ]);
  },
);

test('a shipped receipt that the filter was_delivered knows is delivered', async () => {
  const delivered = new Set([3300000001]);
  expect(await readOne({ status: 'completed', is_shipped: true }, delivered)).toMatchObject({
    status: 'delivered',
  });
});

test('a line without SKU is addressed by its product number', async () => {
  const [line] = recorded.results[0]['transactions'] as readonly Record<string, unknown>[];
  const order = await readOne({ transactions: [{ ...line, sku: null }], name: '', grandtotal: null });
  expect(order.lines[0]).toMatchObject({ sku: null, address: { unitId: '1200000001', variantId: '#9001' } });
  expect(order).toMatchObject({ customerName: null, total: null });
});

test('an order that Etsy does not know is null, and a strange number is not even asked for', async () => {
  const { connector, channel } = await connectEtsy(receiptsOf([]));
  expect(await connector.order('1')).toBeNull();
  expect(await connector.order('../../listings')).toBeNull();
  expect(channel.requests).toHaveLength(1);
});

test('every receipt is read once, over many pages, oldest change first', async () => {
  const all = Array.from({ length: 350 }, (_unused, index) =>
    receipt({ receipt_id: index + 1, updated_timestamp: 1_795_000_000 + Math.floor(index / 3) }),
  );
  const { connector, channel } = await connectEtsy(receiptsOf(all));
  const orders = await collect(connector.ordersModifiedSince(since));
  expect(orders.map((order) => Number(order.orderId))).toEqual(all.map((each) => each.receipt_id));
  // By time: an offset would have to be read again whenever a receipt moves.
  expect(channel.requests.map((call) => call.query.get('offset'))).toEqual(['0', '0', '0', '0']);
});

test('a receipt that changes between two pages moves to the end and pulls no other receipt past the reader', async () => {
  const all = Array.from({ length: 250 }, (_unused, index) =>
    receipt({ receipt_id: index + 1, updated_timestamp: 1_795_000_000 + index }),
  );
  const serve = receiptsOf(all);
  let pages = 0;
  const { connector } = await connectEtsy((call) => {
    const answer = serve(call);
    pages += 1;
    // After the first page three receipts of it change: with offsets the next page would begin three rows too late.
    if (pages === 1) for (const moved of all.slice(0, 3)) moved.updated_timestamp = 1_795_009_000;
    return answer;
  });
  const orders = await collect(connector.ordersModifiedSince(since));
  expect(new Set(orders.map((order) => order.orderId)).size).toBe(250);
  expect(orders.filter((order) => order.orderId === '1').map((order) => order.updatedAt.getTime())).toEqual([
    1_795_000_000_000, 1_795_009_000_000,
  ]);
});

test('more receipts of one second than fit a page are all read, even when some of them leave that second meanwhile', async () => {
  const all = Array.from({ length: 320 }, (_unused, index) =>
    receipt({ receipt_id: index + 1, updated_timestamp: 1_795_000_000 }),
  );
  const serve = receiptsOf(all);
  let pages = 0;
  const { connector } = await connectEtsy((call) => {
    const answer = serve(call);
    pages += 1;
    if (pages === 2) for (const moved of all.slice(0, 5)) moved.updated_timestamp = 1_795_000_777;
    return answer;
  });
  const orders = await collect(connector.ordersModifiedSince(since));
  expect(new Set(orders.map((order) => order.orderId)).size).toBe(320);
  expect(orders).toHaveLength(325);
});

test('a page that ends before the promised count is an error and never the end', async () => {
  const { connector } = await connectEtsy(() => ({ json: { count: 5, results: [] } }));
  await expect(collect(connector.ordersModifiedSince(since))).rejects.toMatchObject({
    code: 'invalid_response',
  });
});

test('receipts that are not sorted are an error, because paging by time would lose some', async () => {
  const rows = [receipt({ updated_timestamp: 1_795_000_900 }), receipt({ receipt_id: 2 })];
  const { connector } = await connectEtsy(() => ({ json: { count: 2, results: rows } }));
  await expect(collect(connector.ordersModifiedSince(since))).rejects.toMatchObject({
    code: 'invalid_response',
  });
});

test('a receipt without the members that stock depends on is an error that names the place', async () => {
  const { connector } = await connectEtsy(() => ({
    json: { count: 1, results: [{ receipt_id: 1, status: 'paid' }] },
  }));
  await expect(collect(connector.ordersModifiedSince(since))).rejects.toThrow(/transactions/);
});
