/** Amazon's notifications as JSON: in reality they come by SQS and EventBridge, here by HTTP POST with a bearer token. */
import type { AmazonAccount } from './amazonAccount.ts';
import { channelOf, isAmazonFulfilled } from './amazonListings.ts';
import { fulfilledBy } from './amazonOrderBody.ts';
import type { Delivery } from './channel.ts';
import type { Order, OrderState, ShopEvent } from './goods.ts';
import { openQuantity, orderState } from './orderState.ts';
import type { Random } from './random.ts';
import { uuidText } from './uuid.ts';
import type { Shop } from './world.ts';

export type AmazonNotificationParts = {
  readonly shop: Shop;
  readonly account: AmazonAccount;
  /** Sent as `Authorization: Bearer`: in place of the queue's access policy, which is Amazon's only proof of origin. */
  readonly webhookToken: string;
  readonly ids: Random;
};

/** Notifications spell the statuses in their own way. */
const statusNames: Record<OrderState, string> = {
  pending: 'Pending',
  paid: 'Unshipped',
  partlyShipped: 'PartiallyShipped',
  shipped: 'Shipped',
  delivered: 'Shipped',
  cancelled: 'Canceled',
};

function orderPayload({ shop, account }: AmazonNotificationParts, order: Order): unknown {
  const shipped = order.lines.reduce((sum, line) => sum + line.shipped, 0);
  const open = order.lines.reduce((sum, line) => sum + openQuantity(line), 0);
  return {
    OrderChangeNotification: {
      NotificationLevel: 'OrderLevel',
      SellerId: account.sellerId,
      AmazonOrderId: order.id,
      OrderChangeType: 'OrderStatusChange',
      OrderChangeTrigger: { TimeOfOrderChange: new Date(order.updatedAt).toISOString(), ChangeReason: '' },
      Summary: {
        MarketplaceId: account.marketplaceId,
        OrderStatus: statusNames[orderState(order)],
        PurchaseDate: new Date(order.createdAt).toISOString(),
        DestinationPostalCode: '97201',
        FulfillmentType: fulfilledBy(shop, order) === 'AMAZON' ? 'AFN' : 'MFN',
        OrderType: 'StandardOrder',
        NumberOfItemsShipped: shipped,
        NumberOfItemsUnshipped: open,
        OrderItems: order.lines.map((line) => ({
          OrderItemId: line.id,
          SellerSKU: line.sku,
          SupplySourceId: '',
          OrderItemStatus: openQuantity(line) > 0 ? 'Unshipped' : 'Shipped',
          Quantity: line.ordered,
          QuantityShipped: line.shipped,
          IsBuyerRequestedCancel: false,
        })),
      },
    },
  };
}

/** What Amazon tells about an event: nothing about deliveries and refunds, and nothing about its own stock. */
export function amazonDeliveries(parts: AmazonNotificationParts, event: ShopEvent): readonly Delivery[] {
  const { account, webhookToken, ids } = parts;
  const notify = (type: string, payload: unknown): Delivery => {
    const at = new Date(event.at).toISOString();
    const id = uuidText(ids);
    const body = {
      NotificationVersion: '1.0',
      NotificationType: type,
      PayloadVersion: '1.0',
      EventTime: at,
      Payload: payload,
      NotificationMetadata: {
        ApplicationId: 'amzn1.sellerapps.app.sandbox',
        SubscriptionId: `sandbox-${type}`,
        PublishTime: at,
        NotificationId: id,
      },
    };
    const headers = { authorization: `Bearer ${webhookToken}` };
    return { id, topic: type, body: JSON.stringify(body), headers: () => headers };
  };
  if (event.kind === 'stock') {
    const { variant, change } = event;
    if (isAmazonFulfilled(variant) || !variant.tracked) return [];
    const payload = {
      SellerId: account.sellerId,
      FulfillmentChannelCode: channelOf(variant),
      Sku: variant.sku,
      Quantity: change.to,
    };
    return [notify('LISTINGS_ITEM_MFN_QUANTITY_CHANGE', payload)];
  }
  if (event.kind === 'state' || event.change === 'delivered' || event.change === 'refunded') return [];
  return [notify('ORDER_CHANGE', orderPayload(parts, event.order))];
}
