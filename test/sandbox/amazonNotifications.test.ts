/** Amazon's notifications over HTTP: their bodies, their bearer token, at least once. */

import { describe, expect, it } from 'vitest';
import { demoAmazonOptions } from '../../src/sandbox/amazon.ts';
import { assertAmazonDocument } from '../support/amazonSpecification.ts';
import { type AmazonBench, withAmazon } from './amazonBench.ts';
import { withWebhooks } from './channelBench.ts';
import type { Received, WebhookReceiver } from './webhookReceiver.ts';

type Notification = {
  readonly NotificationType: 'ORDER_CHANGE' | 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE';
  readonly Payload: Record<string, unknown>;
  readonly NotificationMetadata: { readonly NotificationId: string };
};

const withNotifications = (
  run: (bench: AmazonBench, receiver: WebhookReceiver, idle: () => Promise<void>) => Promise<void>,
  status: (index: number) => number = () => 204,
) =>
  withAmazon((bench) => withWebhooks(bench, { status }, ({ receiver, idle }) => run(bench, receiver, idle)));

const notificationOf = ({ body }: Received): Notification => {
  const notification = body as Notification;
  assertAmazonDocument(notification.NotificationType, notification);
  return notification;
};

const buy = ({ shop, variant }: AmazonBench, sku = 'MUG-BLUE', paid = true) =>
  shop.orders.place({ lines: [{ variantId: variant(sku).id, quantity: 2 }], paid });

describe('a notification', () => {
  it('of a sale tells the order’s state and the new quantity, each with the bearer token', () =>
    withNotifications(async (bench, receiver) => {
      buy(bench, 'MUG-BLUE', false);
      const received = await receiver.waitFor(2);
      for (const { headers } of received)
        expect(headers.authorization).toBe(`Bearer ${demoAmazonOptions.webhookToken}`);
      const notifications = received.map(notificationOf);
      const order = notifications.find(({ NotificationType }) => NotificationType === 'ORDER_CHANGE');
      expect(order?.Payload).toMatchObject({
        OrderChangeNotification: {
          OrderChangeType: 'OrderStatusChange',
          Summary: { OrderStatus: 'Pending', OrderItems: [{ SellerSKU: 'MUG-BLUE', Quantity: 2 }] },
        },
      });
      const stock = notifications.find(({ NotificationType }) => NotificationType !== 'ORDER_CHANGE');
      expect(stock?.Payload).toMatchObject({
        Sku: 'MUG-BLUE',
        Quantity: 3,
        FulfillmentChannelCode: 'DEFAULT',
      });
    }));

  it('follows every change of the order but the delivery', () =>
    withNotifications(async (bench, receiver, idle) => {
      const result = buy(bench, 'MUG-RED', false);
      if (result.kind !== 'placed') throw new Error('refused');
      bench.shop.orders.pay(result.order.id);
      bench.shop.orders.ship(result.order.id);
      bench.shop.orders.deliver(result.order.id);
      await idle();
      const statuses = receiver.received.map(
        (each) =>
          (notificationOf(each).Payload['OrderChangeNotification'] as { Summary: { OrderStatus: string } })
            .Summary.OrderStatus,
      );
      expect(statuses.toSorted()).toEqual(['Pending', 'Shipped', 'Unshipped']);
    }));

  it('of a quantity is sent for our own write too, and never for Amazon’s own stock', () =>
    withNotifications(async (bench, receiver, idle) => {
      bench.shop.editOutside(bench.variant('MUG-RED').id, 1);
      bench.shop.write(bench.variant('MUG-BLUE').id, { quantity: 4 }, 'submission');
      await idle();
      expect(receiver.received.map((each) => notificationOf(each).Payload)).toEqual([
        expect.objectContaining({ Sku: 'MUG-BLUE', Quantity: 4 }),
      ]);
    }));

  it('is sent again with the same id until it is answered with 2xx', () =>
    withNotifications(
      async (bench, receiver) => {
        bench.shop.editOutside(bench.variant('MUG-BLUE').id, 1);
        const received = await receiver.waitFor(2);
        const [first, second] = received.map(
          (each) => notificationOf(each).NotificationMetadata.NotificationId,
        );
        expect(first).toBe(second);
      },
      (index) => (index === 0 ? 500 : 204),
    ));

  it('may come twice, and may be lost', () =>
    withNotifications(async (bench, receiver, idle) => {
      bench.faults.add({ kind: 'webhookLost', platform: 'amazon', count: 1 });
      bench.shop.editOutside(bench.variant('MUG-BLUE').id, 1);
      bench.faults.add({ kind: 'webhookDoubled', platform: 'amazon', count: 1 });
      bench.shop.editOutside(bench.variant('MUG-BLUE').id, 2);
      await idle();
      expect(receiver.received.map((each) => notificationOf(each).Payload['Quantity'])).toEqual([2, 2]);
    }));
});
