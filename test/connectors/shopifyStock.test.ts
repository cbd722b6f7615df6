/** Shopify: stock is read by item and location, the catalogue to its end, and parcels are sent once. */
import { describe, expect, test } from 'vitest';
import type { Shipment } from '../../src/connectors/connector.ts';
import { collect } from './localChannel.ts';
import { connectShop, type GraphqlRequest, graphqlRequestOf, locationId, startShop } from './shopifyShop.ts';

function item(id: number, available: number | null, tracked = true) {
  const quantities = [{ name: 'available', quantity: available }];
  return {
    id: `gid://shopify/InventoryItem/${id}`,
    sku: `SKU-${id}`,
    tracked,
    inventoryLevel: available === null ? null : { quantities },
  };
}

function address(id: number) {
  return { unitId: `${id}/${locationId}`, variantId: '' };
}

function variant(id: number) {
  return {
    id: `gid://shopify/ProductVariant/${id}`,
    sku: id === 2 ? '' : `SKU-${id}`,
    title: 'Default Title',
    displayName: `Mug ${id}`,
    price: '2450',
    inventoryPolicy: id === 2 ? 'CONTINUE' : 'DENY',
    product: { title: 'Mug', onlineStoreUrl: null },
    inventoryItem: item(id, id),
  };
}

describe('reading stock', () => {
  test('absent is not zero: a number, not counted, not stocked here, and not known are four answers in the order asked', async () => {
    await using channel = await startShop(() => ({
      json: {
        data: { nodes: [item(1, 7), item(2, 3, false), item(3, null), null, item(5, 0), item(6, -2)] },
      },
    }));
    const asked = [6, 5, 4, 3, 2, 1].map(address);
    const readings = await connectShop(channel).connector.readStock([
      ...asked,
      { unitId: 'MUG', variantId: '' },
    ]);
    expect(readings).toMatchObject([
      { kind: 'quantity', quantity: 0 },
      { kind: 'quantity', quantity: 0 },
      { kind: 'unknown' },
      { kind: 'unknown' },
      { kind: 'notTracked' },
      { kind: 'quantity', quantity: 7 },
      { kind: 'unknown' },
    ]);
  });

  test('601 addresses take three calls of at most 250 ids', async () => {
    await using channel = await startShop(({ variables }) => ({
      json: {
        data: { nodes: (variables['ids'] as string[]).map((id) => item(Number(id.split('/').at(-1)), 1)) },
      },
    }));
    const asked = Array.from({ length: 601 }, (_unused, index) => address(index + 1));
    const readings = await connectShop(channel).connector.readStock(asked);
    expect(readings.filter((reading) => reading.kind === 'quantity')).toHaveLength(601);
    const sizes = channel.requests.map(
      (entry) => (graphqlRequestOf(entry).variables['ids'] as string[]).length,
    );
    expect(sizes.toSorted((a, b) => b - a)).toEqual([250, 250, 101]);
  });

  test('nothing asked is nothing sent', async () => {
    await using channel = await startShop(() => ({ status: 500 }));
    expect(await connectShop(channel).connector.readStock([])).toEqual([]);
    expect(channel.requests).toHaveLength(0);
  });
});

describe('the catalogue', () => {
  test('is read to its last page, with prices in the shop’s currency', async () => {
    await using channel = await startShop(({ operation, variables }) => {
      if (operation === 'Shop') {
        return {
          json: { data: { shop: { id: 'gid://shopify/Shop/1', myshopifyDomain: 'x', currencyCode: 'JPY' } } },
        };
      }
      const first = variables['after'] === null;
      const pageInfo = { hasNextPage: first, endCursor: first ? 'c1' : null };
      return { json: { data: { productVariants: { pageInfo, nodes: [variant(first ? 1 : 2)] } } } };
    });
    expect(await collect(connectShop(channel).connector.catalogue())).toEqual([
      {
        address: address(1),
        sku: 'SKU-1',
        title: 'Mug 1',
        url: null,
        price: { minor: 2450, currency: 'JPY' },
        stock: { kind: 'quantity', quantity: 1 },
        writable: true,
        sellsBeyond: false,
      },
      expect.objectContaining({ address: address(2), sku: null, sellsBeyond: true }),
    ]);
  });
});

describe('a catalogue beyond the objects that one cursor reaches', () => {
  test('is scanned anew behind the last variant', async () => {
    let served = 0;
    await using channel = await startShop(({ operation }) => {
      if (operation === 'Shop') {
        return {
          json: { data: { shop: { id: 'gid://shopify/Shop/1', myshopifyDomain: 'x', currencyCode: 'USD' } } },
        };
      }
      served += 1;
      const size = served <= 5 ? 4_000 : 0;
      const nodes = Array.from({ length: size }, (_unused, index) =>
        variant((served - 1) * 4_000 + index + 1),
      );
      const pageInfo = { hasNextPage: size > 0, endCursor: `c${served}` };
      return { json: { data: { productVariants: { pageInfo, nodes } } } };
    });
    expect(await collect(connectShop(channel).connector.catalogue())).toHaveLength(20_000);
    const last = channel.requests.map((entry) => graphqlRequestOf(entry)).at(-1);
    expect(last?.variables).toMatchObject({ query: 'id:>20000', after: null });
  });
});

describe('shipping', () => {
  const parcel: Shipment = {
    carrier: 'USPS',
    trackingNumber: '9400100000000000000001',
    shippedAt: new Date('2026-11-22T15:00:00Z'),
    lines: [],
  };

  /** Two locations with one open line each, and one fulfilment order that is on hold. */
  function createShipping() {
    const remaining = new Map([
      ['91', 2],
      ['92', 1],
      ['93', 4],
    ]);
    const created: { id: string; quantity: number }[][] = [];
    const order = (id: number, location: number, status: string, lineId: string) => ({
      id: `gid://shopify/FulfillmentOrder/${id}`,
      status: remaining.get(lineId) === 0 ? 'CLOSED' : status,
      assignedLocation: { location: { id: `gid://shopify/Location/${location}` } },
      lineItems: {
        pageInfo: { hasNextPage: false },
        nodes: [
          {
            id: `gid://shopify/FulfillmentOrderLineItem/${lineId}`,
            remainingQuantity: remaining.get(lineId),
            lineItem: { id: `gid://shopify/LineItem/7${lineId}` },
          },
        ],
      },
    });
    const read = () => ({
      order: {
        fulfillments: created.map(() => ({
          status: 'SUCCESS',
          trackingInfo: [{ number: parcel.trackingNumber }],
        })),
        fulfillmentOrders: {
          pageInfo: { hasNextPage: false },
          nodes: [
            order(81, 1, 'OPEN', '91'),
            order(82, 2, 'IN_PROGRESS', '92'),
            order(83, 1, 'ON_HOLD', '93'),
          ],
        },
      },
    });
    const ship = (variables: Readonly<Record<string, unknown>>): void => {
      const { lineItemsByFulfillmentOrder: entries } = variables['fulfillment'] as {
        lineItemsByFulfillmentOrder: { fulfillmentOrderLineItems: { id: string; quantity: number }[] }[];
      };
      const taken = entries.flatMap((entry) => entry.fulfillmentOrderLineItems);
      created.push(taken);
      for (const { id, quantity } of taken) {
        const lineId = id.split('/').at(-1) ?? '';
        remaining.set(lineId, (remaining.get(lineId) ?? 0) - quantity);
      }
    };
    const done = {
      fulfillmentCreate: { fulfillment: { id: 'gid://shopify/Fulfillment/1' }, userErrors: [] },
    };
    return { created, read, ship, done };
  }

  test('everything open is shipped, one call per location, and repeating it ships nothing twice', async () => {
    const shipping = createShipping();
    await using channel = await startShop(({ operation, variables }) => {
      if (operation === 'OpenFulfillments') return { json: { data: shipping.read() } };
      shipping.ship(variables);
      return { json: { data: shipping.done } };
    });
    const { connector } = connectShop(channel);
    await connector.ship('5001', parcel);
    await connector.ship('5001', parcel);
    expect(shipping.created).toEqual([
      [{ id: 'gid://shopify/FulfillmentOrderLineItem/91', quantity: 2 }],
      [{ id: 'gid://shopify/FulfillmentOrderLineItem/92', quantity: 1 }],
    ]);
  });

  test.each([
    ['applied', true, 1],
    ['not applied', false, 2],
  ])('after a lost answer that was %s it reads back before it sends again', async (_case, applied, sent) => {
    const shipping = createShipping();
    let turn = 0;
    await using channel = await startShop(({ operation, variables }: GraphqlRequest) => {
      if (operation === 'OpenFulfillments') return { json: { data: shipping.read() } };
      turn += 1;
      if (turn > 1 || applied) shipping.ship(variables);
      return turn === 1 ? 'lost' : { json: { data: shipping.done } };
    });
    const lines = [{ lineId: '791', quantity: 1 }];
    await connectShop(channel).connector.ship('5001', { ...parcel, lines });
    expect(turn).toBe(sent);
    expect(shipping.created).toEqual([[{ id: 'gid://shopify/FulfillmentOrderLineItem/91', quantity: 1 }]]);
  });

  test('more than is open is refused before anything is sent', async () => {
    const shipping = createShipping();
    await using channel = await startShop(() => ({ json: { data: shipping.read() } }));
    const lines = [{ lineId: '791', quantity: 3 }];
    await expect(connectShop(channel).connector.ship('5001', { ...parcel, lines })).rejects.toMatchObject({
      code: 'rejected',
    });
    expect(channel.requests).toHaveLength(1);
  });

  test('a user error is a rejection, and an unknown order is not found', async () => {
    const shipping = createShipping();
    const refused = { fulfillmentCreate: { fulfillment: null, userErrors: [{ message: 'no' }] } };
    await using channel = await startShop(({ operation, variables }) => {
      if (operation !== 'OpenFulfillments') return { json: { data: refused } };
      return {
        json: { data: variables['id'] === 'gid://shopify/Order/5001' ? shipping.read() : { order: null } },
      };
    });
    const { connector } = connectShop(channel);
    await expect(connector.ship('5001', parcel)).rejects.toMatchObject({ code: 'rejected' });
    await expect(connector.ship('5002', parcel)).rejects.toMatchObject({ code: 'not_found' });
  });
});
