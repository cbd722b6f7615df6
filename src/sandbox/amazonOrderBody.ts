/** An order as Amazon's Orders API 2026-01-01 describes it: the bare order, and each data set only when asked for. */
import type { AmazonAccount } from './amazonAccount.ts';
import { decimalText } from './decimal.ts';
import type { Money, Order, OrderLine, OrderState } from './goods.ts';
import { openQuantity, orderState, orderTotal } from './orderState.ts';
import type { Shop } from './world.ts';

/** The seller's own package reference of a parcel, by parcel id. */
export type AmazonParcels = Map<string, string>;

export const dataSets = [
  'BUYER',
  'RECIPIENT',
  'PROCEEDS',
  'EXPENSE',
  'PROMOTION',
  'CANCELLATION',
  'FULFILLMENT',
  'PACKAGES',
  'TAX',
  'PAYMENT',
  'FULFILLMENT_ORDERS',
];

type Parts = {
  readonly shop: Shop;
  readonly account: AmazonAccount;
  readonly parcels: AmazonParcels;
  readonly personalData: boolean;
};

const fulfillmentStatuses = {
  pending: 'PENDING',
  paid: 'UNSHIPPED',
  partlyShipped: 'PARTIALLY_SHIPPED',
  shipped: 'SHIPPED',
  delivered: 'SHIPPED',
  cancelled: 'CANCELLED',
} as const satisfies Record<OrderState, string>;

export const fulfillmentStatus = (order: Order): string => fulfillmentStatuses[orderState(order)];

/** `AMAZON` when every line's offer is Amazon's to send. */
export function fulfilledBy(shop: Shop, order: Order): 'AMAZON' | 'MERCHANT' {
  const channels = order.lines.map(
    ({ variantId }) => shop.variant(variantId)?.attributes['fulfillmentChannelCode'] ?? 'DEFAULT',
  );
  return channels.every((channel) => channel !== 'DEFAULT') ? 'AMAZON' : 'MERCHANT';
}

const money = (amount: Money) => ({ amount: decimalText(amount), currencyCode: amount.currency });
const timeText = (at: number): string => new Date(at).toISOString();

/** Amazon settles prices with the payment: until then an order says none. */
const isPriced = (order: Order): boolean => order.paidAt !== null;

function itemBody(parts: Parts, order: Order, line: OrderLine, included: ReadonlySet<string>): unknown {
  const asin = parts.shop.variant(line.variantId)?.attributes['asin'];
  const total = { minor: line.unitPrice.minor * line.ordered, currency: line.unitPrice.currency };
  const cancelled = line.removed + line.refundedUnshipped > 0;
  const execution = {
    cancelledBy: order.cancelReason === 'customer' ? 'BUYER' : 'MERCHANT',
    cancelReason: order.cancelReason ?? 'NO_INVENTORY',
  };
  return {
    orderItemId: line.id,
    quantityOrdered: line.ordered,
    product: {
      ...(asin === undefined ? {} : { asin }),
      title: line.title,
      sellerSku: line.sku,
      ...(isPriced(order) ? { price: { unitPrice: money(line.unitPrice) } } : {}),
    },
    ...(included.has('PROCEEDS') && isPriced(order) ? { proceeds: { proceedsTotal: money(total) } } : {}),
    ...(included.has('CANCELLATION') && cancelled
      ? { cancellation: { cancellationExecution: execution } }
      : {}),
    ...(included.has('FULFILLMENT')
      ? { fulfillment: { quantityFulfilled: line.shipped, quantityUnfulfilled: openQuantity(line) } }
      : {}),
  };
}

function packages({ parcels }: Parts, order: Order): unknown {
  return order.parcels.map((parcel, index) => ({
    packageReferenceId: parcels.get(parcel.id) ?? String(index + 1),
    createdTime: timeText(parcel.at),
    packageStatus: { status: parcel.deliveredAt === null ? 'SHIPPED' : 'DELIVERED' },
    ...(parcel.carrier === null ? {} : { carrier: parcel.carrier }),
    shipTime: timeText(parcel.at),
    ...(parcel.trackingNumber === null ? {} : { trackingNumber: parcel.trackingNumber }),
    packageItems: parcel.lines.map(({ lineId, quantity }) => ({ orderItemId: lineId, quantity })),
  }));
}

/** The parts of an order that name the buyer: absent without the restricted roles. */
function personal({ account, personalData }: Parts, order: Order, included: ReadonlySet<string>) {
  if (!personalData) return {};
  const deliveryAddress = {
    name: order.customerName,
    addressLine1: '1 Sample Street',
    city: 'Portland',
    stateOrRegion: 'OR',
    postalCode: '97201',
    countryCode: account.countryCode,
  };
  const buyer = { buyerName: order.customerName, buyerEmail: `${order.number}@marketplace.amazon.com` };
  return {
    ...(included.has('BUYER') ? { buyer } : {}),
    ...(included.has('RECIPIENT') ? { recipient: { deliveryAddress } } : {}),
  };
}

export function amazonOrderBody(parts: Parts, order: Order, included: ReadonlySet<string>): unknown {
  const { shop, account } = parts;
  const sender = fulfilledBy(shop, order);
  const fulfillment = {
    fulfillmentStatus: fulfillmentStatus(order),
    fulfilledBy: sender,
    fulfillmentServiceLevel: 'STANDARD',
  };
  return {
    orderId: order.id,
    createdTime: timeText(order.createdAt),
    lastUpdatedTime: timeText(order.updatedAt),
    salesChannel: {
      channelName: 'AMAZON',
      marketplaceId: account.marketplaceId,
      marketplaceName: account.marketplaceName,
    },
    ...personal(parts, order, included),
    ...(included.has('PROCEEDS') && isPriced(order)
      ? { proceeds: { grandTotal: money(orderTotal(order, ({ ordered }) => ordered)) } }
      : {}),
    ...(included.has('FULFILLMENT') ? { fulfillment } : {}),
    orderItems: order.lines.map((line) => itemBody(parts, order, line, included)),
    ...(included.has('PACKAGES') && sender === 'MERCHANT' ? { packages: packages(parts, order) } : {}),
  };
}
