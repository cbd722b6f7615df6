/** What a marketplace keeps: listings, variants, orders and the journal of every quantity, in no marketplace's wire shape. */
import type { Span } from './random.ts';

export const platforms = ['etsy', 'amazon', 'ebay', 'shopify'] as const;
export type Platform = (typeof platforms)[number];

/** An amount in the currency's minor unit (cents). */
export type Money = { readonly minor: number; readonly currency: string };

/** `soldOut` is Etsy's sold_out, `ended` an eBay listing that is over. Only an active listing sells. */
export type ListingState = 'active' | 'inactive' | 'soldOut' | 'draft' | 'expired' | 'ended';

/** One value of one property of a variation: Etsy's `property_values` entry. */
export type PropertyValue = {
  readonly propertyId: number;
  readonly propertyName: string;
  readonly scaleId: number | null;
  readonly valueIds: readonly number[];
  readonly values: readonly string[];
};

/** Properties on which price, quantity, SKU and readiness depend: Etsy's `*_on_property`. */
export type PropertyDependence = {
  readonly price: readonly number[];
  readonly quantity: readonly number[];
  readonly sku: readonly number[];
  readonly readiness: readonly number[];
};

/** A thing a buyer can take: Etsy product, Amazon SKU, eBay inventory item with its offer, Shopify variant. */
export type Variant = {
  /** Etsy product id; Amazon SKU number; eBay offer id; Shopify inventory item id. Always digits. */
  readonly id: string;
  readonly listingId: string;
  sku: string;
  title: string;
  price: Money;
  /** The marketplace's own count. Never below 0 by a sale unless it `sellsBeyond`; a seller's edit may set anything. */
  quantity: number;
  /** eBay's second number, the offer's `availableQuantity`; null elsewhere. The lower of the two is shown. */
  offerQuantity: number | null;
  /** Units sold and not yet sent: Shopify's `committed`. */
  committed: number;
  /** False: the marketplace does not count it and sells it always. */
  tracked: boolean;
  /** Goes on selling where its number is used up: Shopify's `inventoryPolicy: CONTINUE`. */
  sellsBeyond: boolean;
  enabled: boolean;
  properties: readonly PropertyValue[];
  /** Platform details that no rule here reads, for instance `asin`, `productType`, `fulfillmentChannelCode`. */
  attributes: Readonly<Record<string, string>>;
  stockUpdatedAt: number;
  updatedAt: number;
};

export type Listing = {
  readonly id: string;
  title: string;
  description: string;
  state: ListingState;
  /** Ids of its variants, in the seller's order. */
  variantIds: readonly string[];
  dependence: PropertyDependence;
  readonly createdAt: number;
  updatedAt: number;
};

export type VariantInput = {
  readonly sku: string;
  readonly quantity: number;
  readonly price: Money;
  /** Default: the listing's title. */
  readonly title?: string;
  readonly offerQuantity?: number | null;
  readonly tracked?: boolean;
  readonly sellsBeyond?: boolean;
  readonly enabled?: boolean;
  readonly properties?: readonly PropertyValue[];
  readonly attributes?: Readonly<Record<string, string>>;
};

export type ListingInput = {
  readonly title: string;
  readonly description?: string;
  readonly state?: ListingState;
  readonly dependence?: PropertyDependence;
  readonly variants: readonly VariantInput[];
};

/**
 * Why a quantity changed. `buyer`: a sale. `write`: the seller's API call. `outsideEdit`: a person or another app in the marketplace's own
 * pages. `restock`: put back by a cancellation, refund or order edit. `renewal`: Etsy's reactivation. `opening`: first stock.
 */
export type ChangeCause = 'opening' | 'buyer' | 'write' | 'outsideEdit' | 'restock' | 'renewal';

export type QuantityChange = {
  /** Gapless per shop. */
  readonly sequence: number;
  readonly at: number;
  readonly variantId: string;
  readonly sku: string;
  /** Shown to buyers before and after. */
  readonly from: number;
  readonly to: number;
  readonly cause: ChangeCause;
  /** Order id, idempotency key or submission id. */
  readonly reference: string | null;
  /** When the change was asked for: earlier than `at` for a late write. */
  readonly requestedAt: number;
};

export type OrderLine = {
  readonly id: string;
  readonly variantId: string;
  readonly listingId: string;
  readonly sku: string;
  readonly title: string;
  readonly unitPrice: Money;
  /** Units bought, those removed or refunded later included. Grows only by an order edit. */
  ordered: number;
  /** Taken out by an order edit. */
  removed: number;
  /** Refunded or cancelled before they were sent. */
  refundedUnshipped: number;
  /** Refunded after they were sent. */
  refundedShipped: number;
  shipped: number;
};

export type Parcel = {
  readonly id: string;
  readonly at: number;
  readonly carrier: string | null;
  readonly trackingNumber: string | null;
  readonly lines: readonly { readonly lineId: string; readonly quantity: number }[];
  deliveredAt: number | null;
};

/** Shopify's `restockType`: `cancel` before sending, `return` after, `none` keeps the units off the shelf. */
export type RestockType = 'cancel' | 'return' | 'none';

export type Refund = {
  readonly id: string;
  readonly at: number;
  readonly amount: Money;
  readonly lines: readonly {
    readonly lineId: string;
    readonly quantity: number;
    readonly restock: RestockType;
  }[];
};

export type Order = {
  readonly id: string;
  /** 1001, 1002, ...: for names such as Shopify's `#1001`. */
  readonly number: number;
  readonly customerName: string;
  readonly createdAt: number;
  updatedAt: number;
  paidAt: number | null;
  cancelledAt: number | null;
  cancelReason: string | null;
  readonly shippingCost: Money;
  readonly test: boolean;
  readonly lines: OrderLine[];
  readonly parcels: Parcel[];
  readonly refunds: Refund[];
};

export type OrderState = 'pending' | 'paid' | 'partlyShipped' | 'shipped' | 'delivered' | 'cancelled';

export type OrderChangeKind =
  | 'placed'
  | 'paid'
  | 'edited'
  | 'cancelled'
  | 'shipped'
  | 'delivered'
  | 'refunded';

export type ShopEvent =
  | { readonly kind: 'order'; readonly change: OrderChangeKind; readonly order: Order; readonly at: number }
  | {
      readonly kind: 'stock';
      readonly variant: Variant;
      readonly change: QuantityChange;
      readonly at: number;
    }
  /** No number has changed, and yet buyers may see another one. */
  | { readonly kind: 'state'; readonly listing: Listing; readonly at: number };

export type ShopSettings = {
  /** How late an accepted write takes effect (Amazon: minutes in reality). Drawn per write, so writes may overtake each other. */
  readonly writeEffectMs: Span;
  /** How old the snapshot is that a stock read answers from. Drawn per request. */
  readonly readStaleMs: Span;
  /** How late an order change appears in list calls. A call for one order by its id is never late. */
  readonly orderIndexLagMs: Span;
  /** What becomes of a listing whose last unit is sold: it stays active, is sold out (Etsy), or ends (eBay without out-of-stock control). */
  readonly atZero: 'stay' | 'soldOut' | 'end';
  /** Whether a cancellation puts the units back on sale by itself when the caller does not say. */
  readonly cancelRestocks: boolean;
  /** How far back stale reads can look. */
  readonly historyMs: number;
  /** Entries kept in the journal of quantity changes. */
  readonly journalSize: number;
  /** Most orders kept; beyond it the least recently changed is forgotten, open or not. */
  readonly ordersMax: number;
  /** Shipped, delivered and cancelled orders are forgotten after this time without a change, to the minute. */
  readonly closedOrdersKeptMs: number;
};

/** A rule of the marketplace said no. Nothing was changed. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
  readonly code: 'notFound' | 'conflict' | 'invalid';

  constructor(code: 'notFound' | 'conflict' | 'invalid', message: string) {
    super(message);
    this.code = code;
  }
}

/** The lower of the two numbers, or the only one: what buyers see of an active listing. May be below 0 after a seller's edit. */
export function shownQuantity({
  quantity,
  offerQuantity,
}: Pick<Variant, 'quantity' | 'offerQuantity'>): number {
  return Math.min(quantity, offerQuantity ?? quantity);
}

/** Equal for variants that agree on these properties. */
export function poolKey(variant: Variant, properties: readonly number[]): string {
  return JSON.stringify(variant.properties.filter(({ propertyId }) => properties.includes(propertyId)));
}
