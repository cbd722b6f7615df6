/** Shopify's fulfillmentCreate: sends open units of fulfilment orders, one parcel per order, refused as a whole when a part is wrong. */
import { type Order, type Parcel, RuleError } from './goods.ts';
import { openQuantity } from './orderState.ts';
import { legacyId } from './shopifyGoods.ts';
import { fulfillmentOrderStatus } from './shopifyOrders.ts';
import type { Shop } from './world.ts';

export type FulfillmentInput = {
  readonly lineItemsByFulfillmentOrder: readonly {
    readonly fulfillmentOrderId: string;
    readonly fulfillmentOrderLineItems?: readonly { readonly id: string; readonly quantity: number }[] | null;
  }[];
  readonly trackingInfo?: {
    readonly company?: string | null;
    readonly number?: string | null;
    readonly numbers?: readonly string[] | null;
  } | null;
};

export type FulfillmentResult =
  | { readonly kind: 'created'; readonly order: Order; readonly parcel: Parcel }
  | { readonly kind: 'refused'; readonly field: readonly string[]; readonly message: string };

const refused = (message: string): FulfillmentResult => ({
  kind: 'refused',
  field: ['fulfillment'],
  message,
});

export function createFulfillment(shop: Shop, input: FulfillmentInput): FulfillmentResult {
  const [first, ...others] = input.lineItemsByFulfillmentOrder;
  if (first === undefined) return refused('Must have at least one fulfillment order.');
  if (others.some(({ fulfillmentOrderId }) => fulfillmentOrderId !== first.fulfillmentOrderId))
    return refused('All fulfillment orders must be at the same location and of the same order.');
  const order = shop.orders.get(legacyId('FulfillmentOrder', first.fulfillmentOrderId) ?? '');
  if (order === undefined) return refused('Fulfillment order does not exist.');
  const status = fulfillmentOrderStatus(order);
  if (status === 'CLOSED' || status === 'CANCELLED')
    return refused(`Fulfillment order ${order.id} has an unfulfillable status= ${status.toLowerCase()}.`);
  const named = input.lineItemsByFulfillmentOrder.flatMap((each) => each.fulfillmentOrderLineItems ?? []);
  const lines =
    named.length === 0
      ? order.lines.map((line) => ({ lineId: line.id, quantity: openQuantity(line) }))
      : named.map(({ id, quantity }) => ({
          lineId: legacyId('FulfillmentOrderLineItem', id) ?? '',
          quantity,
        }));
  const tracking = input.trackingInfo;
  try {
    const parcel = shop.orders.ship(
      order.id,
      {
        carrier: tracking?.company ?? null,
        trackingNumber: tracking?.number ?? tracking?.numbers?.[0] ?? null,
      },
      lines,
    );
    return { kind: 'created', order, parcel };
  } catch (error) {
    if (error instanceof RuleError) return refused('Invalid fulfillment order line item quantity requested.');
    throw error;
  }
}
