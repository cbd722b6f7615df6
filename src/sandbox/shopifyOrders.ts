/** The shop's orders as Shopify's GraphQL objects, with the statuses Shopify derives from lines, parcels and refunds. */
import type { Order, OrderLine, Parcel, Refund, RestockType } from './goods.ts';
import { currentQuantity, openQuantity, orderState, orderTotal } from './orderState.ts';
import { byId, dateTime, type GoodsObjects, gid, locationObject, moneyBag } from './shopifyGoods.ts';
import { connection, type PageArguments, type Pager } from './shopifyPaging.ts';
import type { Shop } from './world.ts';

export type OrderObjects = {
  readonly order: (order: Order) => object;
  readonly fulfillment: (order: Order, parcel: Parcel) => object;
  readonly fulfillmentOrder: (order: Order) => object;
  readonly refund: (order: Order, refund: Refund) => object;
};

const restockTypes: Readonly<Record<RestockType, string>> = {
  cancel: 'CANCEL',
  return: 'RETURN',
  none: 'NO_RESTOCK',
};

const cancelReasons: ReadonlySet<string> = new Set(['customer', 'declined', 'fraud', 'inventory', 'staff']);

export function financialStatus(order: Order): string {
  if (order.paidAt === null) return order.cancelledAt === null ? 'PENDING' : 'VOIDED';
  if (order.refunds.length === 0) return 'PAID';
  return order.lines.every((line) => currentQuantity(line) === 0) ? 'REFUNDED' : 'PARTIALLY_REFUNDED';
}

export function fulfillmentStatus(order: Order): string {
  const state = orderState(order);
  if (state === 'shipped' || state === 'delivered') return 'FULFILLED';
  return state === 'partlyShipped' ? 'PARTIALLY_FULFILLED' : 'UNFULFILLED';
}

export function fulfillmentOrderStatus(order: Order): 'OPEN' | 'IN_PROGRESS' | 'CLOSED' | 'CANCELLED' {
  const state = orderState(order);
  if (state === 'cancelled') return 'CANCELLED';
  if (state === 'partlyShipped') return 'IN_PROGRESS';
  return order.lines.every((line) => openQuantity(line) === 0) ? 'CLOSED' : 'OPEN';
}

const person = (name: string) => {
  const [firstName = '', ...rest] = name.split(' ');
  return { firstName, lastName: rest.join(' ') };
};

export function createOrderObjects(shop: Shop, goods: GoodsObjects, pager: Pager): OrderObjects {
  const lineItem = (line: OrderLine) => ({
    __typename: 'LineItem',
    id: gid('LineItem', line.id),
    sku: line.sku === '' ? null : line.sku,
    title: line.title,
    name: line.title,
    quantity: line.ordered,
    currentQuantity: currentQuantity(line),
    unfulfilledQuantity: openQuantity(line),
    refundableQuantity: currentQuantity(line),
    originalUnitPriceSet: moneyBag(line.unitPrice),
    variant: () => {
      const variant = shop.variant(line.variantId);
      return variant === undefined ? null : goods.variant(variant);
    },
  });

  const lineOf = (order: Order, lineId: string) =>
    order.lines.filter((line) => line.id === lineId).map(lineItem)[0];

  const refund = (order: Order, each: Refund) => ({
    __typename: 'Refund',
    id: gid('Refund', each.id),
    legacyResourceId: each.id,
    createdAt: dateTime(each.at),
    totalRefundedSet: moneyBag(each.amount),
    refundLineItems: (page: PageArguments) =>
      connection(
        each.lines.map((line, index) => ({ ...line, id: `${each.id}${index}` })),
        page,
        (line) => byId(line.id),
        (line) => ({
          id: gid('RefundLineItem', line.id),
          quantity: line.quantity,
          restockType: restockTypes[line.restock],
          restocked: line.restock !== 'none',
          lineItem: lineOf(order, line.lineId),
        }),
      ),
  });

  const fulfillment = (order: Order, parcel: Parcel) => ({
    __typename: 'Fulfillment',
    id: gid('Fulfillment', parcel.id),
    legacyResourceId: parcel.id,
    status: 'SUCCESS',
    displayStatus: parcel.deliveredAt === null ? 'FULFILLED' : 'DELIVERED',
    createdAt: dateTime(parcel.at),
    deliveredAt: parcel.deliveredAt === null ? null : dateTime(parcel.deliveredAt),
    trackingInfo:
      parcel.trackingNumber === null && parcel.carrier === null
        ? []
        : [{ company: parcel.carrier, number: parcel.trackingNumber, url: null }],
    fulfillmentLineItems: (page: PageArguments) =>
      connection(
        parcel.lines,
        page,
        (line) => byId(line.lineId),
        (line) => ({
          __typename: 'FulfillmentLineItem',
          id: gid('FulfillmentLineItem', line.lineId),
          quantity: line.quantity,
          lineItem: lineOf(order, line.lineId),
        }),
      ),
  });

  const fulfillmentOrder = (order: Order) => ({
    __typename: 'FulfillmentOrder',
    id: gid('FulfillmentOrder', order.id),
    status: fulfillmentOrderStatus(order),
    assignedLocation: { location: locationObject(), name: locationObject().name },
    lineItems: (page: PageArguments) =>
      connection(
        order.lines,
        page,
        (line) => byId(line.id),
        (line) => ({
          __typename: 'FulfillmentOrderLineItem',
          id: gid('FulfillmentOrderLineItem', line.id),
          sku: line.sku === '' ? null : line.sku,
          inventoryItemId: gid('InventoryItem', line.variantId),
          remainingQuantity: openQuantity(line),
          totalQuantity: line.ordered - line.removed,
          lineItem: lineItem(line),
        }),
      ),
  });

  const order = (each: Order) => ({
    __typename: 'Order',
    id: gid('Order', each.id),
    legacyResourceId: each.id,
    name: `#${each.number}`,
    createdAt: dateTime(each.createdAt),
    processedAt: dateTime(each.createdAt),
    updatedAt: dateTime(each.updatedAt),
    closedAt: null,
    cancelledAt: each.cancelledAt === null ? null : dateTime(each.cancelledAt),
    cancelReason: each.cancelledAt === null ? null : cancelReasonOf(each),
    test: each.test,
    displayFinancialStatus: financialStatus(each),
    displayFulfillmentStatus: fulfillmentStatus(each),
    returnStatus: each.refunds.some(({ lines }) => lines.some(({ restock }) => restock === 'return'))
      ? 'RETURNED'
      : 'NO_RETURN',
    currencyCode: each.shippingCost.currency,
    totalPriceSet: moneyBag(orderTotal(each, (line) => line.ordered)),
    currentTotalPriceSet: moneyBag(orderTotal(each, currentQuantity)),
    customer: {
      __typename: 'Customer',
      id: gid('Customer', each.id),
      displayName: each.customerName,
      ...person(each.customerName),
    },
    shippingAddress: {
      __typename: 'MailingAddress',
      id: gid('MailingAddress', each.id),
      name: each.customerName,
      ...person(each.customerName),
    },
    lineItems: (page: PageArguments) =>
      connection(each.lines, page, (line) => byId(line.id), lineItem, pager),
    fulfillments: ({ first }: { first?: number | null }) =>
      each.parcels.slice(0, first ?? undefined).map((parcel) => fulfillment(each, parcel)),
    refunds: ({ first }: { first?: number | null }) =>
      each.refunds.slice(0, first ?? undefined).map((one) => refund(each, one)),
    fulfillmentOrders: (page: PageArguments) =>
      connection([each], page, () => byId(each.id), fulfillmentOrder),
  });

  return { order, fulfillment, fulfillmentOrder, refund };
}

function cancelReasonOf(order: Order): string {
  const reason = order.cancelReason ?? '';
  return cancelReasons.has(reason) ? reason.toUpperCase() : 'OTHER';
}
