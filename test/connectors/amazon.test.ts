/** Amazon: settings, tokens and orders, from the wire to the domain. */
import { describe, expect, test } from 'vitest';
import { createAmazonConnector } from '../../src/connectors/amazon/amazon.ts';
import { ChannelError } from '../../src/connectors/connector.ts';
import { connectSeller, marketplaceId, startSeller, wireOrder } from './amazonSeller.ts';
import { collect, createTestContext, type Handler } from './localChannel.ts';
import { recording } from './recordings.ts';

const participations = {
  payload: [{ marketplace: { id: marketplaceId }, participation: { isParticipating: true } }],
};
function packageIn(status: string) {
  return { packageReferenceId: '1', packageStatus: { status } };
}

describe('settings and authorisation', () => {
  test.each([
    [{ region: undefined }, /region/],
    [{ region: 'mars' }, /region/],
    [{ sellerId: 'not an id' }, /sellerId/],
    [{ tokenUrl: 'nowhere' }, /tokenUrl/],
    [{ stockFeedMin: 50 }, /stockFeedMin/],
    [{ stockFeedMin: 60.5 }, /stockFeedMin/],
    [{ stockFeedMin: '1500' }, /stockFeedMin/],
  ])('%o is named as misconfigured', (wrong, place) => {
    const settings = { region: 'na', sellerId: 'A1', marketplaceId, ...wrong };
    const create = () => createAmazonConnector(createTestContext(settings, {}));
    expect(create).toThrow(place);
    expect(create).toThrow(ChannelError);
  });

  test('the check names the seller and needs the marketplace among the participations', async () => {
    await using channel = await startSeller(() => ({ json: participations }));
    expect(await connectSeller(channel).connector.check()).toEqual({ externalAccountId: 'A1SELLER' });
    const elsewhere = connectSeller(channel, { marketplaceId: 'OTHER' });
    await expect(elsewhere.connector.check()).rejects.toMatchObject({ code: 'misconfigured' });
    expect(channel.requests[0]?.headers).toMatchObject({ 'x-amz-access-token': 'Atza|old' });
  });

  test('a dead token is renewed once for all callers; the refresh token stays', async () => {
    const dead = {
      errors: [
        {
          code: 'Unauthorized',
          message: 'Access denied',
          details: 'The access token you provided has expired.',
        },
      ],
    };
    await using channel = await startSeller(({ headers }) =>
      headers['x-amz-access-token'] === 'Atza|new' ? { json: participations } : { status: 403, json: dead },
    );
    const { connector, context } = connectSeller(channel);
    await Promise.all([connector.check(), connector.check()]);
    expect(context.credentials.refreshes()).toBe(1);
    expect(await context.credentials.read()).toMatchObject({
      accessToken: 'Atza|new',
      refreshToken: 'Atzr|1',
    });
    const tokenCall = channel.requests.find((request) => request.path === '/auth/o2/token');
    expect(Object.fromEntries(new URLSearchParams(tokenCall?.body))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'Atzr|1',
      client_id: 'client',
      client_secret: 'secret',
    });
  });

  test('a missing role is forbidden, and does not renew the token with every call', async () => {
    const denied = {
      errors: [{ code: 'Unauthorized', message: 'Access to requested resource is denied.', details: '' }],
    };
    await using channel = await startSeller(() => ({ status: 403, json: denied }));
    const { connector, context } = connectSeller(channel);
    await expect(connector.check()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(connector.check()).rejects.toMatchObject({ code: 'forbidden' });
    expect(context.credentials.refreshes()).toBe(1);
  });
});

type Changed = { readonly orderId: string; at: string };

/** Pages by offset over what was changed in a span of time, oldest change first; `between` is called after each page. */
function ordersByOffset(all: readonly Changed[], between: (page: number) => void): Handler {
  let pages = 0;
  return ({ query }) => {
    const since = query.get('lastUpdatedAfter') ?? '';
    const until = query.get('lastUpdatedBefore') ?? '9';
    const offset = Number(query.get('paginationToken') ?? 0);
    const found = all
      .filter(({ at }) => at >= since && at <= until)
      .toSorted((a, b) => (a.at < b.at ? -1 : 1));
    const rows = found
      .slice(offset, offset + 100)
      .map(({ orderId, at }) => wireOrder({ orderId, lastUpdatedTime: at }));
    const more = offset + 100 < found.length ? { pagination: { nextToken: `${offset + 100}` } } : {};
    between(++pages);
    return { json: { orders: rows, ...more } };
  };
}

const ordersSince = new Date('2026-11-22T08:00:00Z');
/** 250 orders; the connector's clock stands at 08:05. */
const changedFrom = (start: string, everyMs: number): Changed[] =>
  Array.from({ length: 250 }, (_unused, index) => ({
    orderId: `order-${index}`,
    at: new Date(Date.parse(start) + index * everyMs).toISOString(),
  }));
const justNow = () => changedFrom('2026-11-22T08:03:00Z', 400);

describe('orders', () => {
  test('the poll asks exactly the documented parameters and follows the token to the end', async () => {
    const more = recording('amazon/searchOrders');
    // The newest two and a half minutes are read page by page; then what was changed meanwhile.
    const pages = [more, { orders: [] }, more, { orders: [wireOrder({ orderId: '2' })] }, { orders: [] }];
    await using channel = await startSeller(() => ({ json: pages.shift() }));
    const orders = await collect(
      connectSeller(channel).connector.ordersModifiedSince(new Date('2026-11-22T08:00:00.500Z')),
    );
    const documented = {
      orderId: '113-0000001-0000001',
      status: 'processing',
      customerName: 'Kim Doe',
      total: { minor: 5650, currency: 'USD' },
      createdAt: new Date('2026-11-22T07:58:00Z'),
      updatedAt: new Date('2026-11-22T08:03:00Z'),
      lines: [
        {
          lineId: '90000000000001',
          address: { unitId: 'MUG-BLUE', variantId: '' },
          sku: 'MUG-BLUE',
          title: 'Blue mug',
          ordered: 2,
          reserved: 2,
          shipped: 0,
          unitPrice: { minor: 2450, currency: 'USD' },
        },
      ],
      raw: wireOrder(),
    };
    const raw = wireOrder({ orderId: '2' });
    expect(orders).toEqual([documented, documented, { ...documented, orderId: '2', raw }]);
    const asked = channel.requests.map((request) => Object.fromEntries(request.query));
    const first = {
      marketplaceIds: marketplaceId,
      lastUpdatedAfter: '2026-11-22T08:00:00.000Z',
      maxResultsPerPage: '100',
      includedData: 'BUYER,RECIPIENT,PROCEEDS,FULFILLMENT,CANCELLATION,PACKAGES',
    };
    const newest = { ...first, lastUpdatedAfter: '2026-11-22T08:02:30.000Z' };
    expect(asked).toEqual([
      first,
      { ...first, lastUpdatedBefore: '2026-11-22T08:02:30.000Z' },
      newest,
      { ...newest, paginationToken: 'token-2' },
      { ...first, lastUpdatedAfter: '2026-11-22T08:04:59.000Z' },
    ]);
  });

  test('the twenty-second page waits for the usage plan instead of starting over; a new poll does not wait', async () => {
    let pages = 0;
    await using channel = await startSeller(() => {
      pages += 1;
      return { json: { orders: [], ...(pages < 22 ? { pagination: { nextToken: `t${pages}` } } : {}) } };
    });
    const { connector, context } = connectSeller(channel);
    expect(await collect(connector.ordersModifiedSince(new Date()))).toEqual([]);
    expect(pages).toBe(23);
    expect(context.slept.every((milliseconds) => milliseconds > 178_000)).toBe(true);
    expect(context.slept).toHaveLength(3);
    await expect(collect(connector.ordersModifiedSince(new Date()))).rejects.toMatchObject({
      code: 'rate_limited',
    });
  });

  test.each([
    ['just now', 1, justNow],
    ['just now', 2, justNow],
    ['just now', 3, justNow],
    ['long ago', 1, () => changedFrom('2026-11-22T08:00:00Z', 500)],
    ['long ago', 2, () => changedFrom('2026-11-22T08:00:00Z', 500)],
    ['long ago', 3, () => changedFrom('2026-11-22T08:00:00Z', 500)],
  ])(
    'of orders changed %s one that changes again after page %i pulls no other one past the reader',
    async (_when, changesAfter, changed) => {
      const all = changed();
      const serve = ordersByOffset(all, (page) => {
        const [first] = all;
        if (page === changesAfter && first !== undefined) first.at = '2026-11-22T08:05:00.250Z';
      });
      await using channel = await startSeller(serve);
      const orders = await collect(connectSeller(channel).connector.ordersModifiedSince(ordersSince));
      expect(new Set(orders.map(({ orderId }) => orderId)).size).toBe(250);
      const last = orders.findLast(({ orderId }) => orderId === 'order-0');
      expect(last?.updatedAt).toEqual(new Date('2026-11-22T08:05:00.250Z'));
    },
  );

  test('what was changed long ago is read in spans of time that fit a page, oldest first, whatever goes on meanwhile', async () => {
    const all = changedFrom('2026-11-22T08:00:00Z', 500);
    const serve = ordersByOffset(all, (page) => {
      const moving = all[page];
      if (moving !== undefined) moving.at = new Date(Date.UTC(2026, 10, 22, 8, 5, page)).toISOString();
    });
    await using channel = await startSeller(serve);
    const orders = await collect(connectSeller(channel).connector.ordersModifiedSince(ordersSince));
    expect(new Set(orders.map(({ orderId }) => orderId)).size).toBe(250);
    expect(channel.requests.some(({ query }) => query.has('paginationToken'))).toBe(false);
    expect(channel.requests.length).toBeLessThan(12);
  });

  test('the newest orders that move under every reading are an error and never pass for complete', async () => {
    const all = justNow();
    const serve = ordersByOffset(all, (page) => {
      const moving = all[page];
      if (moving !== undefined) moving.at = new Date(Date.UTC(2026, 10, 22, 9, page)).toISOString();
    });
    await using channel = await startSeller(serve);
    await expect(
      collect(connectSeller(channel).connector.ordersModifiedSince(ordersSince)),
    ).rejects.toMatchObject({ code: 'unavailable' });
    expect(channel.requests.length).toBeLessThan(20);
  });

  test('a rate that Amazon grants beyond the default is used', async () => {
    let pages = 0;
    await using channel = await startSeller(() => {
      pages += 1;
      const more = pages < 40 ? { pagination: { nextToken: `t${pages}` } } : {};
      return { headers: { 'x-amzn-RateLimit-Limit': '2.0' }, json: { orders: [], ...more } };
    });
    const { connector, context } = connectSeller(channel);
    await collect(connector.ordersModifiedSince(new Date()));
    expect(context.slept).toEqual(Array.from({ length: 21 }, () => 500));
  });

  test('a scaled plan is fast enough for a simulator', async () => {
    let pages = 0;
    await using channel = await startSeller(() => {
      pages += 1;
      return { json: { orders: [], ...(pages < 40 ? { pagination: { nextToken: `t${pages}` } } : {}) } };
    });
    const { connector, context } = connectSeller(channel, { rateScale: 1000 });
    await collect(connector.ordersModifiedSince(new Date()));
    expect(context.slept).toEqual([]);
  });

  test.each([
    ['PENDING', 'pending', { reserved: 2, shipped: 0 }],
    ['PENDING_AVAILABILITY', 'pending', { reserved: 2, shipped: 0 }],
    ['UNSHIPPED', 'processing', { reserved: 2, shipped: 0 }],
    ['PARTIALLY_SHIPPED', 'processing', { reserved: 2, shipped: 0 }],
    ['SHIPPED', 'shipped', { reserved: 2, shipped: 0 }],
    ['CANCELLED', 'cancelled', { reserved: 0, shipped: 0 }],
    ['UNFULFILLABLE', 'cancelled', { reserved: 0, shipped: 0 }],
    ['SOMETHING_NEW', 'processing', { reserved: 2, shipped: 0 }],
  ])('%s is %s and holds %o', async (fulfillmentStatus, status, levels) => {
    const order = wireOrder({ fulfillment: { fulfillmentStatus, fulfilledBy: 'MERCHANT' } });
    await using channel = await startSeller(() => ({ json: { order } }));
    expect(await connectSeller(channel).connector.order('1')).toMatchObject({ status, lines: [levels] });
  });

  test.each([
    [
      'partly cancelled',
      { quantityFulfilled: 1, quantityUnfulfilled: 0 },
      'UNSHIPPED',
      { reserved: 0, shipped: 1 },
    ],
    ['without quantities, open', undefined, 'UNSHIPPED', { reserved: 2, shipped: 0 }],
    ['without quantities, gone', undefined, 'SHIPPED', { reserved: 0, shipped: 2 }],
    ['with only what is open', { quantityUnfulfilled: 1 }, 'PARTIALLY_SHIPPED', { reserved: 1, shipped: 1 }],
  ])('a line %s', async (_case, fulfillment, fulfillmentStatus, levels) => {
    const [item] = wireOrder().orderItems;
    const orderItems = [{ ...item, fulfillment }];
    const order = wireOrder({ orderItems, fulfillment: { fulfillmentStatus } });
    await using channel = await startSeller(() => ({ json: { order } }));
    expect(await connectSeller(channel).connector.order('1')).toMatchObject({
      lines: [{ ordered: 2, ...levels }],
    });
  });

  test('delivered when every parcel that was not cancelled has arrived', async () => {
    const shipped = { fulfillmentStatus: 'SHIPPED' };
    const answers: Record<string, unknown> = {
      all: wireOrder({ fulfillment: shipped, packages: [packageIn('DELIVERED'), packageIn('CANCELLED')] }),
      some: wireOrder({ fulfillment: shipped, packages: [packageIn('DELIVERED'), packageIn('IN_TRANSIT')] }),
    };
    await using channel = await startSeller(({ path }) => ({
      json: { order: answers[path.split('/').at(-1) ?? ''] },
    }));
    const { connector } = connectSeller(channel);
    expect(await connector.order('all')).toMatchObject({ status: 'delivered' });
    expect(await connector.order('some')).toMatchObject({ status: 'shipped' });
  });

  test('an order that Amazon ships itself never moves the seller’s stock', async () => {
    const order = wireOrder({ fulfillment: { fulfillmentStatus: 'UNSHIPPED', fulfilledBy: 'AMAZON' } });
    await using channel = await startSeller(() => ({ json: { order } }));
    expect(await connectSeller(channel).connector.order('1')).toMatchObject({
      lines: [{ ordered: 2, reserved: 0, shipped: 0 }],
    });
  });

  test('missing buyer and proceeds are null; an unknown order is null', async () => {
    const order = wireOrder({ buyer: undefined, proceeds: undefined });
    await using channel = await startSeller(({ path }) =>
      path.endsWith('/1') ? { json: { order } } : { status: 404 },
    );
    const { connector } = connectSeller(channel);
    expect(await connector.order('1')).toMatchObject({ customerName: null, total: null });
    expect(await connector.order('2')).toBeNull();
  });
});
