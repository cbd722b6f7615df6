/** Units between the shelf and the orders: every sale and every restock goes through here. */
import type { OrderLine, Variant } from './goods.ts';
import type { Shop } from './world.ts';

export type Shelf = {
  /** Units that buyers can take now: what is displayed, or `Infinity` where the marketplace sells on at 0 or does not count. */
  sellable(variant: Variant): number;
  /** A sale: the caller has checked that enough is sellable. */
  take(variant: Variant, quantity: number, orderId: string): void;
  /** Units of an order that are not to be sent any more; on sale again when `restock`. */
  release(line: OrderLine, quantity: number, restock: boolean, orderId: string): void;
  /** Units that have left, or will not. */
  uncommit(line: OrderLine, quantity: number): void;
  /** Units back on sale. Nothing happens for a variant that is gone or not counted. */
  putBack(line: OrderLine, quantity: number, orderId: string): void;
};

export function createShelf(shop: Shop, counts: { unitsSold: number; unitsRestocked: number }): Shelf {
  function move(variant: Variant, units: number, cause: 'buyer' | 'restock', orderId: string): void {
    for (const each of shop.pool(variant)) {
      const quantity = each.quantity + units;
      const amounts =
        each.offerQuantity === null ? { quantity } : { quantity, offerQuantity: each.offerQuantity + units };
      shop.setQuantity(each, amounts, { cause, reference: orderId, requestedAt: shop.clock.now() });
    }
  }

  const shelf: Shelf = {
    sellable(variant) {
      const offered = variant.enabled && shop.requireListing(variant.listingId).state === 'active';
      return offered && variant.sellsBeyond ? Number.POSITIVE_INFINITY : shop.displayed(variant);
    },
    take(variant, quantity, orderId) {
      counts.unitsSold += quantity;
      variant.committed += quantity;
      if (variant.tracked) move(variant, -quantity, 'buyer', orderId);
      const listing = shop.requireListing(variant.listingId);
      const { atZero } = shop.settings;
      if (atZero === 'stay' || shop.variantsOf(listing).some((each) => shop.displayed(each) > 0)) return;
      shop.setListingState(listing.id, atZero === 'end' ? 'ended' : 'soldOut');
    },
    release(line, quantity, restock, orderId) {
      shelf.uncommit(line, quantity);
      if (restock) shelf.putBack(line, quantity, orderId);
    },
    uncommit(line, quantity) {
      const variant = shop.variant(line.variantId);
      if (variant !== undefined) variant.committed -= quantity;
    },
    putBack(line, quantity, orderId) {
      const variant = shop.variant(line.variantId);
      if (variant?.tracked !== true || quantity === 0) return;
      counts.unitsRestocked += quantity;
      move(variant, quantity, 'restock', orderId);
      const listing = shop.requireListing(variant.listingId);
      if (listing.state === 'soldOut') shop.setListingState(listing.id, 'active');
    },
  };
  return shelf;
}
