/** The verbs of the product, wired once: everything a mutation may do to stock, orders, listings and alerts. */
import type { OrderStatus, Platform } from '../connectors/connector.ts';
import type { EventStream } from './eventStream.ts';
import type { Caller, Outcome } from './outcome.ts';

export type StockReason =
  | 'received'
  | 'correction'
  | 'damaged'
  | 'lost'
  | 'returned'
  | 'promotion'
  | 'opening'
  | 'other';

export type StockAdjustInput = {
  readonly itemId: string;
  /** Units to add (positive) or take away (negative); not 0. */
  readonly delta: number;
  readonly reason: StockReason;
  readonly reference: string | null;
  readonly idempotencyKey: string;
};

export type StockSetInput = {
  readonly itemId: string;
  /** Units on hand after the change, 0 or more. */
  readonly quantity: number;
  /** The on-hand number the caller saw; the change is refused when it is another. Null skips the compare, and the movement records that. */
  readonly changeFrom: number | null;
  readonly reason: StockReason;
  readonly reference: string | null;
  readonly idempotencyKey: string;
};

/** `movementId` is null when the change came to nothing (set to the number it already had). */
export type StockChange = { readonly itemId: string; readonly movementId: string | null };

export type ItemSyncInput = {
  readonly itemId: string;
  /** Null means every platform the item is listed on. */
  readonly platforms: readonly Platform[] | null;
  readonly idempotencyKey: string | null;
};

export type OrderStatusInput = {
  readonly orderId: string;
  readonly status: OrderStatus;
  readonly carrier: string | null;
  readonly trackingNumber: string | null;
  readonly idempotencyKey: string;
};

export type ItemUnits = { readonly itemId: string; readonly quantity: number };

export type BundleSetInput = {
  readonly itemId: string;
  /** Units of each component in one bundle; none makes it a plain item again. */
  readonly components: readonly ItemUnits[];
  readonly idempotencyKey: string;
};

export type ReservationInput = {
  /** Items and bundles with the units wanted, 1 or more each; all are granted or none. */
  readonly lines: readonly ItemUnits[];
  /** Null for the configured default. */
  readonly expiresInSeconds: number | null;
  readonly reference: string | null;
  readonly idempotencyKey: string;
};

export type ReservationAction = { readonly reservationId: string; readonly idempotencyKey: string };

export type OrderReturnInput = {
  readonly orderId: string;
  readonly lines: readonly { readonly lineId: string; readonly quantity: number }[];
  /** Whether the units go on the shelf again. */
  readonly restock: boolean;
  readonly reason: StockReason;
  readonly reference: string | null;
  readonly idempotencyKey: string;
};

type Reserved = Promise<Outcome<{ readonly reservationId: string }>>;

/** All ids are plain UUIDs; ids of another account are NOT_FOUND. */
export type Sync = {
  adjustStock(caller: Caller, input: StockAdjustInput): Promise<Outcome<StockChange>>;
  setStock(caller: Caller, input: StockSetInput): Promise<Outcome<StockChange>>;
  /** Queues one operation that reads and, where needed, writes the item's listings. */
  syncItem(caller: Caller, input: ItemSyncInput): Promise<Outcome<{ readonly operationId: string }>>;
  /** Queues every item of the account, once: while such a job is open it is answered instead of a second one. */
  syncAll(caller: Caller): Promise<Outcome<{ readonly jobId: string }>>;
  /** Shipped and delivered and cancelled only move forward; shipped tells the channel. */
  updateOrderStatus(caller: Caller, input: OrderStatusInput): Promise<Outcome<{ readonly orderId: string }>>;
  acknowledgeAlert(caller: Caller, alertId: string): Promise<Outcome<{ readonly alertId: string }>>;
  /** Says which item a listing sells; waiting order lines of that listing are applied. */
  mapListing(
    caller: Caller,
    input: { readonly listingId: string; readonly itemId: string },
  ): Promise<Outcome<{ readonly listingId: string }>>;
  /** Says which item an unmatched SKU means; every waiting order line with that SKU is applied. */
  mapSku(
    caller: Caller,
    input: { readonly sku: string; readonly itemId: string },
  ): Promise<Outcome<{ readonly linesApplied: number }>>;
  /** Says what a bundle is made of; its listings follow. */
  setBundle(caller: Caller, input: BundleSetInput): Promise<Outcome<{ readonly itemId: string }>>;
  /** Holds units for a partner while they are available: all lines or none. */
  createReservation(caller: Caller, input: ReservationInput): Reserved;
  /** Moves the expiry of an active reservation to so many seconds from now. */
  extendReservation(
    caller: Caller,
    input: ReservationAction & { readonly expiresInSeconds: number },
  ): Reserved;
  /** The units leave the shelf: sold outside the channels. */
  commitReservation(caller: Caller, input: ReservationAction): Reserved;
  /** Gives the units back. */
  releaseReservation(caller: Caller, input: ReservationAction): Reserved;
  /** Books goods that came back after they were shipped, once, whatever the channel says of them. */
  returnOrder(caller: Caller, input: OrderReturnInput): Promise<Outcome<{ readonly orderId: string }>>;
  readonly events: EventStream;
};
