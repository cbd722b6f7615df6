/** Amazon: parcels are confirmed once, as Amazon wants them. */
import { describe, expect, test } from 'vitest';
import type { Shipment } from '../../src/connectors/connector.ts';
import { connectSeller, marketplaceId, startSeller, wireOrder } from './amazonSeller.ts';

describe('shipping', () => {
  const parcel: Shipment = {
    carrier: 'Swan Courier',
    trackingNumber: 'T-1',
    shippedAt: new Date('2026-11-22T15:00:00Z'),
    lines: [],
  };

  test('everything open is confirmed under a new package number, once', async () => {
    const packages: unknown[] = [{ packageReferenceId: '1', trackingNumber: 'T-0' }];
    await using channel = await startSeller(({ method, body }) => {
      if (method === 'GET') return { json: { order: wireOrder({ packages }) } };
      const { packageDetail } = JSON.parse(body) as { packageDetail: object };
      packages.push(packageDetail);
      return { status: 204 };
    });
    const { connector } = connectSeller(channel);
    await connector.ship('113-0000001-0000001', parcel);
    await connector.ship('113-0000001-0000001', parcel);
    const posts = channel.requests.filter((request) => request.method === 'POST');
    expect(posts.map((request) => request.path)).toEqual([
      '/orders/v0/orders/113-0000001-0000001/shipmentConfirmation',
    ]);
    expect(JSON.parse(posts[0]?.body ?? '')).toEqual({
      marketplaceId,
      packageDetail: {
        packageReferenceId: '2',
        carrierCode: 'Other',
        carrierName: 'Swan Courier',
        trackingNumber: 'T-1',
        shipDate: '2026-11-22T15:00:00.000Z',
        orderItems: [{ orderItemId: '90000000000001', quantity: 2 }],
      },
    });
  });

  test.each([
    ['applied', true, 1],
    ['not applied', false, 2],
  ])('after a lost answer that was %s it reads back before it sends again', async (_case, applied, sent) => {
    const packages: unknown[] = [];
    let turn = 0;
    await using channel = await startSeller(({ method }) => {
      if (method === 'GET') return { json: { order: wireOrder({ packages }) } };
      turn += 1;
      if (turn > 1 || applied) packages.push({ packageReferenceId: '1', trackingNumber: 'T-1' });
      return turn === 1 ? 'lost' : { status: 204 };
    });
    await connectSeller(channel).connector.ship('1', parcel);
    expect(turn).toBe(sent);
    expect(packages).toHaveLength(1);
  });

  test('no tracking number, an order of Amazon’s own, and an unknown order are errors', async () => {
    const order = wireOrder({ fulfillment: { fulfillmentStatus: 'UNSHIPPED', fulfilledBy: 'AMAZON' } });
    await using channel = await startSeller(({ path }) =>
      path.endsWith('/fba') ? { json: { order } } : { status: 404 },
    );
    const { connector } = connectSeller(channel);
    await expect(connector.ship('fba', { ...parcel, trackingNumber: null })).rejects.toMatchObject({
      code: 'rejected',
    });
    await expect(connector.ship('fba', parcel)).rejects.toMatchObject({ code: 'rejected' });
    await expect(connector.ship('gone', parcel)).rejects.toMatchObject({ code: 'not_found' });
  });
});
