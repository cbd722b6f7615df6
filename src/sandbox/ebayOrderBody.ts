/** An order as eBay's Fulfillment API describes it. */
import { decimalText } from './decimal.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import type { Money, Order, OrderLine } from './goods.ts';
import { openQuantity, orderTotal } from './orderState.ts';

const money = (amount: Money) => ({ value: decimalText(amount), currency: amount.currency });
const timeText = (at: number): string => new Date(at).toISOString();

const lineTotal = ({ unitPrice, ordered }: OrderLine): Money => ({
  minor: unitPrice.minor * ordered,
  currency: unitPrice.currency,
});

function lineStatus(line: OrderLine): 'NOT_STARTED' | 'IN_PROGRESS' | 'FULFILLED' {
  if (line.shipped === 0) return 'NOT_STARTED';
  return openQuantity(line) > 0 ? 'IN_PROGRESS' : 'FULFILLED';
}

export function orderFulfillmentStatus(order: Order): 'NOT_STARTED' | 'IN_PROGRESS' | 'FULFILLED' {
  const statuses = order.lines.map(lineStatus);
  if (statuses.every((status) => status === 'NOT_STARTED')) return 'NOT_STARTED';
  return statuses.every((status) => status === 'FULFILLED') ? 'FULFILLED' : 'IN_PROGRESS';
}

const refunded = (order: Order): number => order.refunds.reduce((sum, { amount }) => sum + amount.minor, 0);

function paymentStatus(order: Order): string {
  if (order.paidAt === null) return order.cancelledAt === null ? 'PENDING' : 'FAILED';
  const back = refunded(order);
  if (order.cancelledAt !== null || (back > 0 && back >= orderTotal(order, ({ ordered }) => ordered).minor))
    return 'FULLY_REFUNDED';
  return back > 0 ? 'PARTIALLY_REFUNDED' : 'PAID';
}

function cancelStatus(order: Order, withRequests: boolean): unknown {
  if (order.cancelledAt === null) return { cancelState: 'NONE_REQUESTED', cancelRequests: [] };
  const at = timeText(order.cancelledAt);
  const request = {
    cancelRequestId: `5${order.number}`,
    cancelRequestState: 'COMPLETED',
    cancelInitiator: order.cancelReason === 'customer' ? 'BUYER' : 'SELLER',
    cancelReason: order.cancelReason ?? 'OTHER',
    cancelRequestedDate: at,
    cancelCompletedDate: at,
  };
  return { cancelState: 'CANCELED', cancelledDate: at, cancelRequests: withRequests ? [request] : [] };
}

function lineBody(catalogue: EbayCatalogue, order: Order, line: OrderLine): unknown {
  const variant = catalogue.shop.variant(line.variantId);
  return {
    lineItemId: line.id,
    legacyItemId: variant === undefined ? line.listingId : catalogue.listingId(variant, order.createdAt),
    ...(line.sku === '' ? {} : { sku: line.sku }),
    title: line.title,
    quantity: line.ordered,
    // The whole line's price before discounts, not the price of one unit.
    lineItemCost: money(lineTotal(line)),
    total: money(lineTotal(line)),
    lineItemFulfillmentStatus: lineStatus(line),
    listingMarketplaceId: catalogue.account.marketplaceId,
    purchaseMarketplaceId: catalogue.account.marketplaceId,
    soldFormat: 'FIXED_PRICE',
    refunds: order.refunds
      .filter(({ lines }) => lines.some(({ lineId }) => lineId === line.id))
      .map(({ id, at, amount }) => ({ refundId: id, refundDate: timeText(at), amount: money(amount) })),
  };
}

const personalDataKeptMs = 90 * 86_400_000;

/** The buyer; the name is dropped 90 days after the order. */
function buyerBody(order: Order, now: number): { readonly fullName?: string } {
  return now - order.createdAt > personalDataKeptMs ? {} : { fullName: order.customerName };
}

/** `withRequests`: only getOrder fills `cancelRequests`; a list always leaves it empty. */
export function ebayOrderBody(catalogue: EbayCatalogue, order: Order, withRequests: boolean): unknown {
  const { shop, account } = catalogue;
  const total = orderTotal(order, ({ ordered }) => ordered);
  const goods = { minor: total.minor - order.shippingCost.minor, currency: total.currency };
  const contact = buyerBody(order, shop.clock.now());
  const payment = {
    paymentMethod: 'EBAY',
    paymentStatus: order.paidAt === null ? 'PENDING' : 'PAID',
    ...(order.paidAt === null ? {} : { paymentDate: timeText(order.paidAt) }),
    amount: money(total),
  };
  return {
    orderId: order.id,
    creationDate: timeText(order.createdAt),
    lastModifiedDate: timeText(order.updatedAt),
    orderFulfillmentStatus: orderFulfillmentStatus(order),
    orderPaymentStatus: paymentStatus(order),
    sellerId: account.username,
    buyer: { username: `buyer_${order.number}`, buyerRegistrationAddress: contact },
    pricingSummary: {
      priceSubtotal: money(goods),
      deliveryCost: money(order.shippingCost),
      total: money(total),
    },
    cancelStatus: cancelStatus(order, withRequests),
    paymentSummary: {
      totalDueSeller: money({ minor: total.minor - refunded(order), currency: total.currency }),
      payments: [payment],
      refunds: order.refunds.map(({ id, at, amount }) => ({
        refundId: id,
        refundDate: timeText(at),
        refundStatus: 'REFUNDED',
        amount: money(amount),
      })),
    },
    fulfillmentStartInstructions: [
      {
        fulfillmentInstructionsType: 'SHIP_TO',
        shippingStep: {
          shippingCarrierCode: 'USPS',
          shippingServiceCode: 'USPSPriority',
          shipTo: {
            ...contact,
            contactAddress: {
              addressLine1: '1 Sample Street',
              city: 'Portland',
              stateOrProvince: 'OR',
              postalCode: '97201',
              countryCode: account.countryCode,
            },
          },
        },
      },
    ],
    lineItems: order.lines.map((line) => lineBody(catalogue, order, line)),
  };
}
