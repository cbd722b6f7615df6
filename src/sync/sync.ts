/** The verbs of the product, wired once: everything a mutation may do to stock, orders, listings and alerts. */
import type { OrderStatus, Platform } from '../connectors/connector.ts';
import type { EventStream } from './eventStream.ts';
import type { Explanation } from './explanation.ts';
import type { ItemExposure } from './exposures.ts';
import type { ConnectionHealth, SyncHealth } from './health.ts';
import type { Caller, Outcome } from './outcome.ts';
import type { AccountSettings, RulePlace, SettingChange } from './rules.ts';
import type { StoredRule } from './targets.ts';

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
  /** Replaces one level's whole rule; listings that may show another number because of it become dirty. */
  setRule(
    caller: Caller,
    input: { readonly place: RulePlace; readonly rule: StoredRule },
  ): Promise<Outcome<SettingChange>>;
  /** Switches the writing of numbers to a listing or a connection on or off. */
  switchSync(
    caller: Caller,
    input: { readonly place: RulePlace & { readonly id: string }; readonly enabled: boolean },
  ): Promise<Outcome<SettingChange>>;
  updateAccountSettings(caller: Caller, settings: AccountSettings): Promise<Outcome<null>>;
  /** Why listings show what they show, by listing id. Ids of another account are left out, here and below. */
  explain(accountId: string, listingIds: readonly string[]): Promise<ReadonlyMap<string, Explanation>>;
  /** What can be oversold now, by item id. */
  exposures(accountId: string, itemIds: readonly string[]): Promise<ReadonlyMap<string, ItemExposure>>;
  /** How well each of these connections works, by connection id. */
  connectionHealth(
    accountId: string,
    connectionIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConnectionHealth>>;
  syncHealth(accountId: string): Promise<SyncHealth>;
  readonly events: EventStream;
};
