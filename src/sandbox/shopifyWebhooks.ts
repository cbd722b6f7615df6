/** Shopify's webhooks: signed with the client secret, REST-shaped bodies, one delivery per subscription. */
import { createHmac } from 'node:crypto';
import type { Delivery } from './channel.ts';
import type { Clock } from './clock.ts';
import { decimalText } from './decimal.ts';
import type { Order, OrderChangeKind, OrderLine, Parcel, Refund, ShopEvent } from './goods.ts';
import { currentQuantity, openQuantity, orderTotal } from './orderState.ts';
import type { Random } from './random.ts';
import { dateTime, gid, legacyId, locationLegacyId, shopDomain, variantLegacyId } from './shopifyGoods.ts';
import { financialStatus, fulfillmentStatus } from './shopifyOrders.ts';
import { shopifyApiVersion } from './shopifySchema.ts';
import { shopifyClient } from './shopifyTokens.ts';
import { uuidText } from './uuid.ts';

export type Subscription = {
  readonly id: string;
  /** As in the GraphQL enum, for instance `ORDERS_CREATE`. */
  readonly topic: string;
  readonly uri: string;
  readonly createdAt: number;
};

export type SubscriptionBook = {
  create(topic: string, uri: string): Subscription;
  /** True when there was one. */
  remove(id: string): boolean;
  list(): readonly Subscription[];
  clear(): void;
};

const subscriptionsMax = 100;

export function createSubscriptionBook(clock: Clock): SubscriptionBook {
  const subscriptions = new Map<string, Subscription>();
  let serial = 1_000_000;
  return {
    create(topic, uri) {
      const existing = [...subscriptions.values()].find((each) => each.topic === topic && each.uri === uri);
      if (existing !== undefined) return existing;
      const subscription = { id: String(++serial), topic, uri, createdAt: clock.now() };
      if (subscriptions.size < subscriptionsMax) subscriptions.set(subscription.id, subscription);
      return subscription;
    },
    remove: (id) => subscriptions.delete(id),
    list: () => [...subscriptions.values()],
    clear: () => subscriptions.clear(),
  };
}

const topicsOf: Readonly<Record<OrderChangeKind, readonly string[]>> = {
  placed: ['orders/create'],
  paid: ['orders/paid', 'orders/updated'],
  edited: ['orders/edited', 'orders/updated'],
  cancelled: ['orders/cancelled', 'orders/updated'],
  shipped: ['fulfillments/create', 'orders/updated'],
  delivered: ['fulfillments/update', 'orders/updated'],
  refunded: ['refunds/create', 'orders/updated'],
};

/** `orders/create` for `ORDERS_CREATE`: the first underscore before the verb becomes a slash. */
const headerTopic = (topic: string) =>
  topic.toLowerCase().replace(/^(?<noun>inventory_levels|[a-z]+)_/u, '$<noun>/');

/** Only a webhook address on this machine is called: a sandbox must not send to strangers. */
const isLoopback = (uri: string) => /^http:\/\/(?:127\.0\.0\.1|localhost)[:/]/u.test(uri);

export const shopifySignature = (secret: string, body: string) =>
  createHmac('sha256', secret).update(body, 'utf8').digest('base64');

/** Every delivery of one event: one to the channel's own target (as if subscribed in the app's configuration), one per subscription. */
export function shopifyDeliveries(
  event: ShopEvent,
  subscriptions: readonly Subscription[],
  random: Random,
): readonly Delivery[] {
  if (event.kind === 'state') return [];
  const messages =
    event.kind === 'stock'
      ? [{ topic: 'inventory_levels/update', body: stockBody(event) }]
      : topicsOf[event.change].map((topic) => ({ topic, body: orderBody(topic, event.order) }));
  return messages.flatMap(({ topic, body }) => {
    const text = JSON.stringify(body);
    const eventId = uuidText(random);
    const targets = subscriptions.filter((each) => headerTopic(each.topic) === topic && isLoopback(each.uri));
    return [null, ...targets].map((subscription): Delivery => {
      const id = uuidText(random);
      const headers = {
        'x-shopify-topic': topic,
        'x-shopify-shop-domain': shopDomain,
        'x-shopify-api-version': shopifyApiVersion,
        'x-shopify-webhook-id': id,
        'x-shopify-event-id': eventId,
        'x-shopify-triggered-at': new Date(event.at).toISOString(),
        'x-shopify-hmac-sha256': shopifySignature(shopifyClient.secret, text),
      };
      const delivery = { id, topic, body: text, headers: () => headers };
      return subscription === null ? delivery : Object.assign(delivery, { target: subscription.uri });
    });
  });
}

function stockBody({ variant, change, at }: Extract<ShopEvent, { kind: 'stock' }>): object {
  return {
    inventory_item_id: Number(variant.id),
    location_id: Number(locationLegacyId),
    available: change.to,
    updated_at: dateTime(at),
    admin_graphql_api_id: `${gid('InventoryLevel', locationLegacyId)}?inventory_item_id=${variant.id}`,
  };
}

function orderBody(topic: string, order: Order): object {
  const id = Number(order.id);
  if (topic === 'orders/edited')
    return {
      order_edit: {
        id,
        order_id: id,
        committed_at: dateTime(order.updatedAt),
        line_items: editedLines(order),
      },
    };
  const refund = order.refunds.at(-1);
  if (topic === 'refunds/create' && refund !== undefined) return refundBody(order, refund);
  const parcel = order.parcels.at(-1);
  if (topic.startsWith('fulfillments/') && parcel !== undefined) return fulfillmentBody(order, parcel);
  return wholeOrderBody(order);
}

const refundBody = (order: Order, refund: Refund) => ({
  id: Number(refund.id),
  order_id: Number(order.id),
  created_at: dateTime(refund.at),
  refund_line_items: refund.lines.map(({ lineId, quantity, restock }) => ({
    line_item_id: Number(lineId),
    quantity,
    restock_type: restock === 'none' ? 'no_restock' : restock,
  })),
});

const fulfillmentBody = (order: Order, parcel: Parcel) => ({
  id: Number(parcel.id),
  order_id: Number(order.id),
  status: 'success',
  created_at: dateTime(parcel.at),
  updated_at: dateTime(order.updatedAt),
  shipment_status: parcel.deliveredAt === null ? null : 'delivered',
  tracking_company: parcel.carrier,
  tracking_number: parcel.trackingNumber,
  line_items: parcel.lines.map(({ lineId, quantity }) => ({ id: Number(lineId), quantity })),
});

/** REST's words for what GraphQL calls UNFULFILLED and PARTIALLY_FULFILLED. */
const restFulfillmentStatus: Readonly<Record<string, string | null>> = {
  UNFULFILLED: null,
  PARTIALLY_FULFILLED: 'partial',
  FULFILLED: 'fulfilled',
};

/** Additions and removals since the order was placed. */
function editedLines(order: Order): object {
  const removals = order.lines
    .filter(({ removed }) => removed > 0)
    .map((line) => ({ id: Number(line.id), delta: line.removed }));
  return { additions: [], removals };
}

const lineBody = (each: OrderLine) => ({
  id: Number(each.id),
  admin_graphql_api_id: gid('LineItem', each.id),
  sku: each.sku,
  title: each.title,
  variant_id: Number(variantLegacyId({ id: each.variantId })),
  quantity: each.ordered,
  current_quantity: currentQuantity(each),
  fulfillable_quantity: openQuantity(each),
  price: decimalText(each.unitPrice),
});

function wholeOrderBody(order: Order): object {
  const [firstName = '', ...rest] = order.customerName.split(' ');
  return {
    id: Number(order.id),
    admin_graphql_api_id: gid('Order', order.id),
    name: `#${order.number}`,
    created_at: dateTime(order.createdAt),
    updated_at: dateTime(order.updatedAt),
    cancelled_at: order.cancelledAt === null ? null : dateTime(order.cancelledAt),
    cancel_reason: order.cancelReason,
    test: order.test,
    currency: order.shippingCost.currency,
    financial_status: financialStatus(order).toLowerCase(),
    fulfillment_status: restFulfillmentStatus[fulfillmentStatus(order)],
    total_price: decimalText(orderTotal(order, (each) => each.ordered)),
    customer: { first_name: firstName, last_name: rest.join(' ') },
    line_items: order.lines.map(lineBody),
    fulfillments: order.parcels.map((parcel) => fulfillmentBody(order, parcel)),
    refunds: order.refunds.map((refund) => refundBody(order, refund)),
  };
}

/** A subscription as a GraphQL object. */
export function subscriptionObject(subscription: Subscription) {
  return {
    __typename: 'WebhookSubscription',
    id: gid('WebhookSubscription', subscription.id),
    legacyResourceId: subscription.id,
    topic: subscription.topic,
    uri: subscription.uri,
    format: 'JSON',
    createdAt: dateTime(subscription.createdAt),
    updatedAt: dateTime(subscription.createdAt),
  };
}

export const subscriptionLegacyId = (globalId: string) => legacyId('WebhookSubscription', globalId);
