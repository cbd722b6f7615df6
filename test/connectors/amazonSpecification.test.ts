/** The Amazon connector understands every example that Amazon's own models carry for the operations it calls. */
import { expect, test } from 'vitest';
import type { ChannelError, Shipment } from '../../src/connectors/connector.ts';
import { describeBySpecification } from '../support/specifications.ts';
import { type AmazonExample, amazonExamples, type DocumentedOrder, expectedOrder } from './amazonExamples.ts';
import { connectSeller, marketplaceId, startSeller, wireOrder } from './amazonSeller.ts';
import { collect, type ReceivedRequest } from './localChannel.ts';

/** The operations that the connector calls, with the number of examples that each carries. */
const called: Readonly<Record<string, number>> = {
  'orders_2026-01-01 searchOrders': 5,
  'orders_2026-01-01 getOrder': 5,
  'listingsItems_2021-08-01 getListingsItem': 3,
  'listingsItems_2021-08-01 searchListingsItems': 3,
  'listingsItems_2021-08-01 patchListingsItem': 5,
  'feeds_2021-06-30 createFeedDocument': 2,
  'feeds_2021-06-30 createFeed': 2,
  'feeds_2021-06-30 getFeed': 2,
  'feeds_2021-06-30 getFeeds': 2,
  'feeds_2021-06-30 getFeedDocument': 2,
  'ordersV0 confirmShipment': 2,
  'sellers_v1 getMarketplaceParticipations': 2,
};

const readByNewApi = 'deprecated: orders are read by version 2026-01-01';
/** The operations that carry examples and are never called: of a whole model, or one by one. */
const notCalled: Readonly<Record<string, string>> = {
  'definitionsProductTypes_2020-09-01': 'listings are neither created nor described',
  notifications_v1: 'the seller sets up the queue or bus that forwards the notifications',
  'productPricing_2022-05-01': 'competitors and their prices are not read',
  'reports_2021-06-30': 'the catalogue is read by searchListingsItems',
  'tokens_2021-03-01': 'version 2026-01-01 of the orders needs no restricted token',
  'feeds_2021-06-30 cancelFeed': 'it takes back nothing that is being worked off',
  'listingsItems_2021-08-01 deleteListingsItem': 'listings are never deleted',
  'listingsItems_2021-08-01 putListingsItem': 'listings are neither created nor replaced',
  'ordersV0 getOrder': readByNewApi,
  'ordersV0 getOrderAddress': readByNewApi,
  'ordersV0 getOrderBuyerInfo': readByNewApi,
  'ordersV0 getOrderItems': readByNewApi,
  'ordersV0 getOrderItemsBuyerInfo': readByNewApi,
  'ordersV0 getOrders': readByNewApi,
  'ordersV0 getOrderRegulatedInfo': 'regulated goods are verified by the seller at Amazon',
  'ordersV0 updateShipmentStatus': 'pick-up in a store is not supported',
  'ordersV0 updateVerificationStatus': 'regulated goods are verified by the seller at Amazon',
  'sellers_v1 getAccount': 'the marketplaces say enough of the account',
};

const nameOf = ({ model, operation }: AmazonExample): string => `${model} ${operation}`;

function serve(example: AmazonExample, path: RegExp) {
  return startSeller((request: ReceivedRequest) =>
    path.test(request.path) ? { status: example.status, json: example.response } : { status: 404 },
  );
}

const parcel: Shipment = {
  carrier: 'FedEx',
  trackingNumber: '112345678',
  shippedAt: new Date('2022-02-11T01:00:00Z'),
  lines: [],
};

describeBySpecification('the examples of the official models', () => {
  const all = amazonExamples();
  const of = (operation: string, good: boolean) =>
    all
      .filter((example) => nameOf(example) === operation && example.status < 300 === good)
      .map(
        (example, index) =>
          [`${example.operation} ${example.status}, example ${index + 1}`, example] as const,
      );

  test('each belongs to an operation that is called, or to one that is not for a reason', () => {
    const counts: Record<string, number> = {};
    const unknown = new Set<string>();
    for (const example of all) {
      const name = nameOf(example);
      if (name in called) counts[name] = (counts[name] ?? 0) + 1;
      else if (!(name in notCalled || example.model in notCalled)) unknown.add(name);
    }
    expect(counts).toEqual(called);
    expect([...unknown]).toEqual([]);
    const known = new Set(all.flatMap((example) => [example.model, nameOf(example)]));
    expect(Object.keys(notCalled).filter((name) => !known.has(name))).toEqual([]);
  });

  test.each(of('orders_2026-01-01 searchOrders', true))('%s by value', async (_name, example) => {
    const { orders } = example.response as { orders: DocumentedOrder[] };
    // The example is one page of a longer list: whatever else is asked for is empty.
    let pages = 0;
    await using channel = await startSeller(() => ({
      json: ++pages === 1 ? example.response : { orders: [] },
    }));
    const read = await collect(connectSeller(channel).connector.ordersModifiedSince(new Date('2024-12-01')));
    const byTime = orders.toSorted((a, b) => Date.parse(a.lastUpdatedTime) - Date.parse(b.lastUpdatedTime));
    expect(read).toEqual(byTime.map(expectedOrder));
    expect(read.length).toBeGreaterThan(0);
  });

  test.each(of('orders_2026-01-01 getOrder', true))('%s by value', async (_name, example) => {
    const { order } = example.response as { order: DocumentedOrder };
    await using channel = await serve(example, /\/orders\/2026-01-01\/orders\//);
    expect(await connectSeller(channel).connector.order(order.orderId)).toEqual(expectedOrder(order));
  });

  test.each([
    ...of('orders_2026-01-01 searchOrders', false),
    ...of('orders_2026-01-01 getOrder', false),
    ...of('listingsItems_2021-08-01 searchListingsItems', false),
    ...of('listingsItems_2021-08-01 getListingsItem', false),
  ])('a refusal of %s', async (_name, example) => {
    await using channel = await serve(example, /./);
    const { connector } = connectSeller(channel);
    const [{ code } = { code: '' }] = (example.response as { errors: { code: string }[] }).errors;
    const refused = { code: 'rejected', status: 400, message: expect.stringContaining(code) };
    await expect(collect(connector.ordersModifiedSince(new Date()))).rejects.toMatchObject(refused);
    await expect(connector.order('TEST_CASE_400')).rejects.toMatchObject(refused);
    await expect(collect(connector.catalogue())).rejects.toMatchObject(refused);
    for (const unitId of ['BadSKU', 'Bad,SKU'])
      await expect(connector.readStock([{ unitId, variantId: '' }])).rejects.toMatchObject(refused);
  });

  test.each(of('listingsItems_2021-08-01 searchListingsItems', true))(
    '%s: the listing is read with its number, price and title',
    async (_name, example) => {
      await using channel = await startSeller(({ query }) => ({
        json: query.get('pageToken') === null ? example.response : { numberOfResults: 3, items: [] },
      }));
      const { connector } = connectSeller(channel);
      const address = { unitId: 'GM-ZDPI-9B4E', variantId: '' };
      const stock = { kind: 'quantity', quantity: 100 };
      expect(await connector.readStock([address])).toEqual([stock]);
      expect(await collect(connector.catalogue())).toEqual([
        {
          address,
          sku: 'GM-ZDPI-9B4E',
          title: 'Hardside Carry-On Spinner Suitcase Luggage',
          url: null,
          price: { minor: 10_000, currency: 'USD' },
          stock,
          writable: true,
          sellsBeyond: false,
        },
      ]);
    },
  );

  test.each(of('listingsItems_2021-08-01 getListingsItem', true))(
    '%s: a SKU with a comma is read alone',
    async (_name, example) => {
      const sku = 'GM,ZDPI/9B4E';
      await using channel = await startSeller(() => ({ json: { ...(example.response as object), sku } }));
      const readings = await connectSeller(channel).connector.readStock([{ unitId: sku, variantId: '' }]);
      expect(readings).toEqual([{ kind: 'quantity', quantity: 100 }]);
      expect(channel.requests[0]?.path).toBe('/listings/2021-08-01/items/A1SELLER/GM%2CZDPI%2F9B4E');
      expect(channel.requests[0]?.query.get('marketplaceIds')).toBe(marketplaceId);
    },
  );

  test.each([
    ...of('listingsItems_2021-08-01 patchListingsItem', true),
    ...of('listingsItems_2021-08-01 patchListingsItem', false),
  ])('%s', async (_name, example) => {
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

  test.each([...of('ordersV0 confirmShipment', true), ...of('ordersV0 confirmShipment', false)])(
    '%s',
    async (_name, example) => {
      const { parameters } = example.request as {
        parameters: {
          orderId: { value: string };
          body: { value: { packageDetail: { orderItems: { orderItemId: string; quantity: number }[] } } };
        };
      };
      const documented = parameters.body.value;
      const [sold] = documented.packageDetail.orderItems;
      const orderId = parameters.orderId.value;
      const open = [{ ...wireOrder().orderItems[0], orderItemId: sold?.orderItemId, fulfillment: null }];
      const orderItems = open.map((item) => Object.assign(item, { quantityOrdered: sold?.quantity }));
      await using channel = await startSeller(({ method }) =>
        method === 'GET'
          ? { json: { order: wireOrder({ orderId, orderItems }) } }
          : { status: example.status, ...(example.status === 204 ? {} : { json: example.response }) },
      );
      const refusal = await connectSeller(channel)
        .connector.ship(orderId, parcel)
        .then(
          () => null,
          ({ code, status }: ChannelError) => ({ code, status }),
        );
      expect(refusal).toEqual(example.status === 204 ? null : { code: 'rejected', status: 400 });
      const sent = channel.requests.find(({ method }) => method === 'POST');
      expect(sent?.path).toBe(`/orders/v0/orders/${orderId}/shipmentConfirmation`);
      // What Amazon documents beside these members is optional.
      expect(JSON.parse(sent?.body ?? '')).toEqual({
        marketplaceId,
        packageDetail: {
          packageReferenceId: '1',
          carrierCode: 'FedEx',
          trackingNumber: '112345678',
          shipDate: '2022-02-11T01:00:00.000Z',
          orderItems: [{ orderItemId: sold?.orderItemId, quantity: sold?.quantity }],
        },
      });
    },
  );

  test.each(of('sellers_v1 getMarketplaceParticipations', true))(
    '%s: the seller takes part in its marketplace',
    async (_name, example) => {
      await using channel = await serve(example, /\/sellers\/v1\/marketplaceParticipations$/);
      expect(await connectSeller(channel).connector.check()).toEqual({ externalAccountId: 'A1SELLER' });
      const elsewhere = connectSeller(channel, { marketplaceId: 'A1F83G8C2ARO7P' });
      await expect(elsewhere.connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
    },
  );
});
