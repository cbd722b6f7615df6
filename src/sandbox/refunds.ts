/** Refunds of an order's units: what becomes of the units, and the record of the money. The caller has checked the quantities. */
import { type Order, type OrderLine, type Refund, type RestockType, RuleError } from './goods.ts';
import type { Shelf } from './shelf.ts';
import type { Shop } from './world.ts';

type Lines = readonly { readonly lineId: string; readonly quantity: number }[];

export type Refunds = {
  /** Units not sent yet. No money when the order was not paid. */
  unsent(order: Order, lines: Lines, restock: RestockType): void;
  sent(order: Order, lineId: string, quantity: number, restock: boolean): void;
};

export function createRefunds(shop: Shop, shelf: Shelf): Refunds {
  function record(order: Order, lines: Lines, restock: RestockType): Refund {
    const price = ({ lineId, quantity }: Lines[number]) => lineOf(order, lineId).unitPrice.minor * quantity;
    const minor = order.paidAt === null ? 0 : lines.reduce((sum, line) => sum + price(line), 0);
    return {
      id: shop.identifiers.refund(),
      at: shop.clock.now(),
      amount: { minor, currency: order.shippingCost.currency },
      lines: lines.map(({ lineId, quantity }) => ({ lineId, quantity, restock })),
    };
  }

  return {
    unsent(order, lines, restock) {
      for (const { lineId, quantity } of lines) {
        const line = lineOf(order, lineId);
        line.refundedUnshipped += quantity;
        shelf.release(line, quantity, restock !== 'none', order.id);
      }
      if (lines.length > 0) order.refunds.push(record(order, lines, restock));
    },
    sent(order, lineId, quantity, restock) {
      const line = lineOf(order, lineId);
      line.refundedShipped += quantity;
      if (restock) shelf.putBack(line, quantity, order.id);
      order.refunds.push(record(order, [{ lineId, quantity }], restock ? 'return' : 'none'));
    },
  };
}

/** Throws `RuleError` when the order has no such line. */
export function lineOf(order: Order, lineId: string): OrderLine {
  const line = order.lines.find((each) => each.id === lineId);
  if (line === undefined) throw new RuleError('notFound', `Order ${order.id} has no line ${lineId}.`);
  return line;
}
