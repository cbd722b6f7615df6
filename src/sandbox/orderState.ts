/** What an order's numbers say: units still due, units still to be sent, its state, its total. Pure. */
import type { Money, Order, OrderLine, OrderState } from './goods.ts';

/** Units of a line that the buyer still gets: Shopify's `currentQuantity`. */
export function currentQuantity(line: OrderLine): number {
  return line.ordered - line.removed - line.refundedUnshipped - line.refundedShipped;
}

/** Units of a line still to be sent: Shopify's `unfulfilledQuantity`. */
export function openQuantity(line: OrderLine): number {
  return line.ordered - line.removed - line.refundedUnshipped - line.shipped;
}

export function orderState(order: Order): OrderState {
  if (order.cancelledAt !== null) return 'cancelled';
  const shipped = order.lines.some((line) => line.shipped > 0);
  if (shipped && order.lines.every((line) => openQuantity(line) === 0)) {
    return order.parcels.every((parcel) => parcel.deliveredAt !== null) ? 'delivered' : 'shipped';
  }
  if (shipped) return 'partlyShipped';
  return order.paidAt === null ? 'pending' : 'paid';
}

/** Sum over the lines of price times units, with shipping. `units` says which units count. */
export function orderTotal(order: Order, units: (line: OrderLine) => number): Money {
  const goods = order.lines.reduce((sum, line) => sum + line.unitPrice.minor * units(line), 0);
  return { minor: goods + order.shippingCost.minor, currency: order.shippingCost.currency };
}
