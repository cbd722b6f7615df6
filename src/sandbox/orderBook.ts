/** The orders of one shop: every sale is checked against the marketplace's own number, and every change moves `updatedAt` forward. */

import type { Order, OrderChangeKind, OrderLine, OrderState, Parcel } from './goods.ts';
import { RuleError } from './goods.ts';
import { createOrderIndex, type OrderIndex } from './orderIndex.ts';
import { currentQuantity, openQuantity, orderState } from './orderState.ts';
import { createRefunds, lineOf, type Refunds } from './refunds.ts';
import { createShelf, type Shelf } from './shelf.ts';
import type { Shop } from './world.ts';

export { currentQuantity, openQuantity, orderState, orderTotal } from './orderState.ts';

export type Purchase = {
  readonly lines: readonly { readonly variantId: string; readonly quantity: number }[];
  /** Default true. An unpaid order holds its units all the same. */
  readonly paid?: boolean;
  readonly customerName?: string;
  readonly shippingMinor?: number;
  readonly test?: boolean;
};

export type PurchaseResult =
  | { readonly kind: 'placed'; readonly order: Order }
  /** Nothing was sold: a line is not on sale or shows fewer units than asked for. */
  | {
      readonly kind: 'refused';
      readonly variantId: string;
      readonly asked: number;
      readonly displayed: number;
    };

export type Tracking = { readonly carrier?: string | null; readonly trackingNumber?: string | null };

export type LineQuantity = { readonly lineId: string; readonly quantity: number };

const closedStates: ReadonlySet<OrderState> = new Set(['shipped', 'delivered', 'cancelled']);

const pruneEveryMs = 60_000;

export class OrderBook {
  readonly #shop: Shop;
  readonly #orders = new Map<string, Order>();
  readonly #index: OrderIndex = createOrderIndex();
  readonly #shelf: Shelf;
  readonly #refunds: Refunds;
  #number = 1000;
  #prunedAt = 0;
  /** Whole numbers since the start. `refused`: purchases turned away; `unitsRefused`: the units they asked for. */
  readonly counts = { placed: 0, refused: 0, unitsSold: 0, unitsRefused: 0, cancelled: 0, unitsRestocked: 0 };

  constructor(shop: Shop) {
    this.#shop = shop;
    this.#shelf = createShelf(shop, this.counts);
    this.#refunds = createRefunds(shop, this.#shelf);
  }

  get(orderId: string): Order | undefined {
    return this.#orders.get(orderId);
  }

  require(orderId: string): Order {
    const order = this.#orders.get(orderId);
    if (order === undefined)
      throw new RuleError('notFound', `No order ${orderId} on ${this.#shop.platform}.`);
    return order;
  }

  /** Every order kept, the least recently changed first; not subject to the index lag. */
  all(): readonly Order[] {
    return [...this.#orders.values()];
  }

  /**
   * What a list call finds: orders whose indexed change lies in [since, until], oldest change first. An order change appears after
   * `orderIndexLagMs`; the order itself is answered as it is now.
   */
  modified(since: number, until: number = Number.POSITIVE_INFINITY): readonly Order[] {
    return this.#index.find(this.#shop.clock.now(), since, until).flatMap((id) => this.#orders.get(id) ?? []);
  }

  /** The change time that list calls know for this order; undefined while it is not indexed at all. */
  indexedAt(order: Order): number | undefined {
    return this.#index.indexedAt(order.id, this.#shop.clock.now());
  }

  // ----------------------------------------------------------------------------------------------------------- lifecycle

  /** All lines or none. Refused when a line shows fewer units than all lines of the purchase together ask of it. */
  place(purchase: Purchase): PurchaseResult {
    const asked = new Map<string, number>();
    for (const { variantId, quantity } of purchase.lines) {
      if (!Number.isInteger(quantity) || quantity < 1)
        throw new RuleError('invalid', 'A line needs a whole quantity of at least 1.');
      const pooled = this.#shop.pool(this.#shop.requireVariant(variantId))[0]?.id ?? variantId;
      asked.set(pooled, (asked.get(pooled) ?? 0) + quantity);
    }
    if (asked.size === 0) throw new RuleError('invalid', 'An order needs at least one line.');
    for (const [variantId, quantity] of asked) {
      const displayed = this.#shelf.sellable(this.#shop.requireVariant(variantId));
      if (displayed < quantity) {
        this.counts.refused++;
        this.counts.unitsRefused += quantity;
        return { kind: 'refused', variantId, asked: quantity, displayed };
      }
    }
    const order = this.#open(purchase);
    for (const [variantId, quantity] of asked)
      this.#shelf.take(this.#shop.requireVariant(variantId), quantity, order.id);
    this.counts.placed++;
    this.#changed(order, 'placed');
    this.#prune();
    return { kind: 'placed', order };
  }

  #open(purchase: Purchase): Order {
    const { clock, identifiers } = this.#shop;
    const lines = purchase.lines.map(({ variantId, quantity }): OrderLine => {
      const { listingId, sku, title, price } = this.#shop.requireVariant(variantId);
      const counts = { ordered: quantity, removed: 0, refundedUnshipped: 0, refundedShipped: 0, shipped: 0 };
      return { id: identifiers.line(), variantId, listingId, sku, title, unitPrice: price, ...counts };
    });
    return {
      id: identifiers.order(),
      number: ++this.#number,
      customerName: purchase.customerName ?? 'Kim Doe',
      createdAt: clock.now(),
      updatedAt: clock.now(),
      paidAt: (purchase.paid ?? true) ? clock.now() : null,
      cancelledAt: null,
      cancelReason: null,
      shippingCost: { minor: purchase.shippingMinor ?? 0, currency: lines[0]?.unitPrice.currency ?? 'USD' },
      test: purchase.test ?? false,
      lines,
      parcels: [],
      refunds: [],
    };
  }

  pay(orderId: string): void {
    const order = this.require(orderId);
    if (order.cancelledAt !== null) throw new RuleError('conflict', `Order ${orderId} is cancelled.`);
    if (order.paidAt !== null) return;
    order.paidAt = this.#shop.clock.now();
    this.#changed(order, 'paid');
  }

  /** Sets the units the buyer gets of one line. More is a sale and may be refused (`conflict`); fewer go back on sale when `restock`. */
  edit(orderId: string, lineId: string, quantity: number, restock = true): void {
    const order = this.require(orderId);
    const line = lineOf(order, lineId);
    const difference = quantity - currentQuantity(line);
    if (order.cancelledAt !== null) throw new RuleError('conflict', `Order ${orderId} is cancelled.`);
    if (!Number.isInteger(quantity) || quantity < 0 || -difference > openQuantity(line))
      throw new RuleError('invalid', 'The quantity must be whole and cover the units already sent.');
    if (difference > 0) {
      const variant = this.#shop.requireVariant(line.variantId);
      if (this.#shelf.sellable(variant) < difference)
        throw new RuleError('conflict', `Only ${this.#shop.displayed(variant)} left of ${line.sku}.`);
      this.#shelf.take(variant, difference, orderId);
      line.ordered += difference;
    } else {
      line.removed -= difference;
      this.#shelf.release(line, -difference, restock, orderId);
    }
    this.#changed(order, 'edited');
  }

  /** Cancels an order of which nothing was sent. Its units go back on sale when `restock`. */
  cancel(orderId: string, options: { readonly restock?: boolean; readonly reason?: string } = {}): void {
    const order = this.require(orderId);
    if (order.cancelledAt !== null) return;
    if (order.lines.some((line) => line.shipped > 0))
      throw new RuleError('conflict', `Order ${orderId} has left already.`);
    const restock = options.restock ?? this.#shop.settings.cancelRestocks;
    const open = order.lines
      .map((line) => ({ lineId: line.id, quantity: openQuantity(line) }))
      .filter(({ quantity }) => quantity > 0);
    order.cancelledAt = this.#shop.clock.now();
    order.cancelReason = options.reason ?? 'customer';
    this.#refunds.unsent(order, open, restock ? 'cancel' : 'none');
    this.counts.cancelled++;
    this.#changed(order, 'cancelled');
  }

  /** Sends a parcel. No lines means every open unit. Answers the parcel; `conflict` when nothing is open. */
  ship(orderId: string, tracking: Tracking = {}, lines?: readonly LineQuantity[]): Parcel {
    const order = this.require(orderId);
    if (order.cancelledAt !== null) throw new RuleError('conflict', `Order ${orderId} is cancelled.`);
    const sent = (
      lines ?? order.lines.map((line) => ({ lineId: line.id, quantity: openQuantity(line) }))
    ).filter(({ quantity }) => quantity > 0);
    if (sent.length === 0) throw new RuleError('conflict', `Order ${orderId} has nothing left to send.`);
    for (const { lineId, quantity } of sent) {
      if (quantity > openQuantity(lineOf(order, lineId)))
        throw new RuleError('invalid', `Line ${lineId} has fewer than ${quantity} units to send.`);
    }
    for (const { lineId, quantity } of sent) {
      const line = lineOf(order, lineId);
      line.shipped += quantity;
      this.#shelf.uncommit(line, quantity);
    }
    return this.#addParcel(order, tracking, sent);
  }

  /** Another parcel with no units in it: Etsy takes tracking for a receipt as often as it is sent. */
  addParcel(orderId: string, tracking: Tracking): Parcel {
    return this.#addParcel(this.require(orderId), tracking, []);
  }

  #addParcel(order: Order, tracking: Tracking, lines: readonly LineQuantity[]): Parcel {
    const parcel: Parcel = {
      id: this.#shop.identifiers.parcel(),
      at: this.#shop.clock.now(),
      carrier: tracking.carrier ?? null,
      trackingNumber: tracking.trackingNumber ?? null,
      lines,
      deliveredAt: null,
    };
    order.parcels.push(parcel);
    this.#changed(order, 'shipped');
    return parcel;
  }

  /** Every parcel sent so far has arrived. */
  deliver(orderId: string): void {
    const order = this.require(orderId);
    if (order.parcels.length === 0) throw new RuleError('conflict', `Order ${orderId} was not sent.`);
    for (const parcel of order.parcels) parcel.deliveredAt ??= this.#shop.clock.now();
    this.#changed(order, 'delivered');
  }

  /** Gives the money of some units back. Units not yet sent go first. With `restock` they are on sale again at once. */
  refund(orderId: string, lines: readonly LineQuantity[], restock: boolean): void {
    const order = this.require(orderId);
    for (const { lineId, quantity } of lines) {
      if (!Number.isInteger(quantity) || quantity < 1 || quantity > currentQuantity(lineOf(order, lineId)))
        throw new RuleError('invalid', `Line ${lineId} has fewer than ${quantity} units to refund.`);
    }
    for (const { lineId, quantity } of lines) {
      const open = Math.min(quantity, openQuantity(lineOf(order, lineId)));
      if (open > 0) this.#refunds.unsent(order, [{ lineId, quantity: open }], restock ? 'cancel' : 'none');
      if (quantity > open) this.#refunds.sent(order, lineId, quantity - open, restock);
    }
    this.#changed(order, 'refunded');
  }

  // ------------------------------------------------------------------------------------------------------------- keeping

  #changed(order: Order, change: OrderChangeKind): void {
    const { clock, random, settings } = this.#shop;
    const now = clock.now();
    // A new order keeps its creation time; any later change is strictly newer, or a reader could not tell two states apart.
    order.updatedAt = change === 'placed' ? now : Math.max(now, order.updatedAt + 1);
    this.#orders.delete(order.id);
    this.#orders.set(order.id, order);
    this.#index.add(order.id, order.updatedAt, now + random.span(settings.orderIndexLagMs), now);
    this.#shop.emit({ kind: 'order', change, order, at: now });
  }

  #prune(): void {
    const { clock, settings } = this.#shop;
    for (const id of this.#orders.keys()) {
      if (this.#orders.size <= settings.ordersMax) break;
      this.#forget(id);
    }
    // Looking through every old order at each sale would make a long run slower and slower.
    if (clock.now() - this.#prunedAt < pruneEveryMs) return;
    this.#prunedAt = clock.now();
    const oldest = clock.now() - settings.closedOrdersKeptMs;
    for (const order of this.#orders.values()) {
      if (order.updatedAt > oldest) break;
      if (closedStates.has(orderState(order))) this.#forget(order.id);
    }
  }

  #forget(orderId: string): void {
    this.#orders.delete(orderId);
    this.#index.remove(orderId);
  }

  clear(): void {
    this.#orders.clear();
    this.#index.clear();
    Object.assign(this.counts, {
      placed: 0,
      refused: 0,
      unitsSold: 0,
      unitsRefused: 0,
      cancelled: 0,
      unitsRestocked: 0,
    });
  }
}
