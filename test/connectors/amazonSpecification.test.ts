/** The Amazon connector understands every example that Amazon's own models carry. */
import { expect, test } from 'vitest';
import { minorUnitDigits } from '../../src/connectors/money.ts';
import { describeBySpecification, readSpecification } from '../support/specifications.ts';
import { connectSeller, marketplaceId, startSeller } from './amazonSeller.ts';
import { collect, type ReceivedRequest } from './localChannel.ts';

type Example = { readonly status: number; readonly request: unknown; readonly response: unknown };
type Responses = Record<
  string,
  { 'x-amzn-api-sandbox'?: { static: { request: unknown; response: unknown }[] } }
>;
type Operation = { operationId: string; responses: Responses };

/** Every static sandbox example of one operation, with the status it belongs to. */
function examples(model: string, operationId: string): Example[] {
  const paths = readSpecification(`amazon/models/${model}.json`)['paths'] as Record<
    string,
    Record<string, Operation>
  >;
  return Object.values(paths)
    .flatMap((path) => Object.values(path))
    .filter((operation) => operation.operationId === operationId)
    .flatMap((operation) => Object.entries(operation.responses))
    .flatMap(([status, response]) =>
      (response['x-amzn-api-sandbox']?.static ?? []).map(({ request, response: body }) => ({
        status: Number(status),
        request,
        response: body,
      })),
    );
}

const orderModel = 'orders_2026-01-01';
const listingModel = 'listingsItems_2021-08-01';
const named = (list: readonly Example[]) =>
  list.map((entry) => [JSON.stringify(entry.request).slice(0, 90), entry] as const);

type WireOrder = {
  orderId: string;
  createdTime: string;
  lastUpdatedTime: string;
  buyer?: { buyerName?: string };
  proceeds?: { grandTotal?: { amount: string; currencyCode: string } };
  fulfillment?: { fulfillmentStatus: string; fulfilledBy?: string };
  orderItems: {
    orderItemId: string;
    quantityOrdered: number;
    product: { sellerSku?: string; price?: { unitPrice?: { amount: string; currencyCode: string } } };
    fulfillment?: { quantityFulfilled?: number; quantityUnfulfilled?: number };
  }[];
};

type WireMoney = { readonly amount: string; readonly currencyCode: string };

function money(value: WireMoney | undefined) {
  if (value === undefined) return null;
  const minor = Math.round(Number(value.amount) * 10 ** minorUnitDigits(value.currencyCode));
  return { minor, currency: value.currencyCode };
}

/** Written from the specification, not with the connector's own helpers. */
function expectedOrder(wire: WireOrder) {
  const own = wire.fulfillment?.fulfilledBy !== 'AMAZON';
  return {
    orderId: wire.orderId,
    createdAt: new Date(wire.createdTime),
    updatedAt: new Date(wire.lastUpdatedTime),
    total: money(wire.proceeds?.grandTotal),
    lines: wire.orderItems.map((item) => ({
      lineId: item.orderItemId,
      sku: item.product.sellerSku ?? null,
      address:
        item.product.sellerSku === undefined ? null : { unitId: item.product.sellerSku, variantId: '' },
      ordered: item.quantityOrdered,
      reserved: own ? item.fulfillment?.quantityUnfulfilled : 0,
      shipped: own ? item.fulfillment?.quantityFulfilled : 0,
      unitPrice: money(item.product.price?.unitPrice),
    })),
    raw: wire,
  };
}

function serve(example: Example, path: RegExp) {
  return startSeller((request: ReceivedRequest) =>
    path.test(request.path) ? { status: example.status, json: example.response } : { status: 404 },
  );
}

describeBySpecification('the sandbox examples of the official models', () => {
  const search = examples(orderModel, 'searchOrders');
  const single = examples(orderModel, 'getOrder');
  const patches = examples(listingModel, 'patchListingsItem');

  test('are all found', () => {
    const counts = [search, single, patches].map((list) => list.length);
    expect(counts).toEqual([4, 4, 4]);
    expect(examples(listingModel, 'getListingsItem')).toHaveLength(2);
    expect(examples(listingModel, 'searchListingsItems')).toHaveLength(2);
  });

  test.each(named(search.filter((entry) => entry.status === 200)))(
    'searchOrders %s',
    async (_name, example) => {
      const { orders } = example.response as { orders: WireOrder[] };
      // The example is one page of a longer list: the page after it is empty.
      await using channel = await startSeller(({ query }) => ({
        json: query.get('paginationToken') === null ? example.response : { orders: [] },
      }));
      const read = await collect(
        connectSeller(channel).connector.ordersModifiedSince(new Date('2024-12-01')),
      );
      const byTime = orders.toSorted((a, b) => Date.parse(a.lastUpdatedTime) - Date.parse(b.lastUpdatedTime));
      expect(read).toMatchObject(byTime.map(expectedOrder));
      expect(read.length).toBeGreaterThan(0);
    },
  );

  test.each(named(single.filter((entry) => entry.status === 200)))('getOrder %s', async (_name, example) => {
    const { order } = example.response as { order: WireOrder };
    await using channel = await serve(example, /\/orders\/2026-01-01\/orders\//);
    expect(await connectSeller(channel).connector.order(order.orderId)).toMatchObject(expectedOrder(order));
  });

  test.each(named([...search, ...single].filter((entry) => entry.status === 400)))(
    'a refusal %s',
    async (_name, example) => {
      await using channel = await serve(example, /./);
      const { connector } = connectSeller(channel);
      const refused = { code: 'rejected', status: 400, message: expect.stringContaining('InvalidInput') };
      await expect(collect(connector.ordersModifiedSince(new Date()))).rejects.toMatchObject(refused);
      await expect(connector.order('TEST_CASE_400')).rejects.toMatchObject(refused);
    },
  );

  test('searchListingsItems: the listing is read with its number, price and title', async () => {
    const found = examples(listingModel, 'searchListingsItems').find((entry) => entry.status === 200);
    await using channel = await startSeller(({ query }) => ({
      json: query.get('pageToken') === null ? found?.response : { numberOfResults: 3, items: [] },
    }));
    const { connector } = connectSeller(channel);
    const [reading] = await connector.readStock([{ unitId: 'GM-ZDPI-9B4E', variantId: '' }]);
    expect(reading).toEqual({ kind: 'quantity', quantity: 100 });
    expect(await collect(connector.catalogue())).toMatchObject([
      {
        sku: 'GM-ZDPI-9B4E',
        title: 'Hardside Carry-On Spinner Suitcase Luggage',
        price: { minor: 10_000, currency: 'USD' },
        stock: { kind: 'quantity', quantity: 100 },
        writable: true,
      },
    ]);
  });

  test('getListingsItem: a SKU with a comma is read alone', async () => {
    const found = examples(listingModel, 'getListingsItem').find((entry) => entry.status === 200);
    const sku = 'GM,ZDPI/9B4E';
    await using channel = await startSeller(() => ({ json: { ...(found?.response as object), sku } }));
    const readings = await connectSeller(channel).connector.readStock([{ unitId: sku, variantId: '' }]);
    expect(readings).toEqual([{ kind: 'quantity', quantity: 100 }]);
    expect(channel.requests[0]?.path).toBe('/listings/2021-08-01/items/A1SELLER/GM%2CZDPI%2F9B4E');
    expect(channel.requests[0]?.query.get('marketplaceIds')).toBe(marketplaceId);
  });

  test.each(named(patches))('patchListingsItem %s', async (_name, example) => {
    const listing = {
      sku: 'MUG',
      summaries: [],
      fulfillmentAvailability: [{ fulfillmentChannelCode: 'DEFAULT' }],
    };
    await using channel = await startSeller(({ method }) =>
      method === 'PATCH'
        ? { status: example.status, json: example.response }
        : { json: { numberOfResults: 1, items: [listing] } },
    );
    const write = { address: { unitId: 'MUG', variantId: '' }, quantity: 4, expected: null, key: 'k' };
    const [result] = await connectSeller(channel).connector.setStock([write]);
    const response = example.response as { status?: string; submissionId?: string };
    const expected =
      response.status === 'ACCEPTED'
        ? { kind: 'accepted', reference: response.submissionId }
        : {
            kind: 'rejected',
            code: { INVALID: '90000900', VALID: 'VALID' }[response.status ?? ''] ?? 'BAD_REQUEST',
          };
    expect(result).toMatchObject(expected);
  });

  test.each([
    ['OrderChangeNotification', 'A3TH9S8BH6GOGM', { kind: 'orderChanged', orderId: '903-8868176-2219830' }],
    [
      'ListingsItemMfnQuantityChange',
      'AXXXXXXXXXXXXX',
      {
        kind: 'stockChanged',
        address: { unitId: 'NLS-SHOES-03', variantId: '' },
        quantity: 99,
        at: new Date('2021-02-03T18:59:30.194Z'),
      },
    ],
  ])('the notification %s, from delivery to meaning', async (name, seller, meaning) => {
    const schema = readSpecification(`amazon/notification-schemas/${name}.json`);
    const [example] = schema['examples'] as {
      NotificationType: string;
      NotificationMetadata: { NotificationId: string };
    }[];
    const body = Buffer.from(JSON.stringify(example));
    const { connector } = connectSeller({ url: 'http://127.0.0.1:1' }, { sellerId: seller });
    const receipt = await connector.receiveWebhook({
      method: 'POST',
      url: 'https://sync.example.com/webhooks/amazon',
      query: new URLSearchParams(),
      headers: { authorization: 'Bearer forwarder-token' },
      body,
    });
    expect(receipt).toEqual({
      kind: 'verified',
      deliveryId: example?.NotificationMetadata.NotificationId,
      topic: example?.NotificationType,
    });
    expect(connector.parseWebhook(example?.NotificationType ?? '', body)).toEqual([meaning]);
  });
});
