/** The verbs of the product, wired once: everything a mutation may do to stock, orders, listings and alerts. */
import type { OrderStatus, Platform } from '../connectors/connector.ts';
import type { Price, Resolution } from './core/conflicts.ts';
import type { EventStream } from './eventStream.ts';
import type { Explanation } from './explanation.ts';
import type { ItemExposure } from './exposures.ts';
import type { ConnectionHealth, SyncHealth } from './health.ts';
import type { ConnectionObservation, ObservedListing } from './observations.ts';
import type { Caller, Outcome } from './outcome.ts';
import type { PlanEntriesInput } from './planEntries.ts';
import type { PlanApplyInput, PlanCreateInput, PlanRef } from './plans.ts';
import type { ProtectionInput } from './protection.ts';
import type { ProtectionSuggestion } from './protectionSuggestions.ts';
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

export type SyncAllInput = {
  /** Also begins to write to connections that wait for their first plan, without one. */
  readonly withoutPlan: boolean;
};

export type OrderStatusInput = {
  readonly orderId: string;
  readonly status: OrderStatus;
  readonly carrier: string | null;
  readonly trackingNumber: string | null;
  readonly idempotencyKey: string;
};

export type ConflictResolveInput = {
  /** Every open conflict of one item about its number, or about its price, each with the version that the caller saw. */
  readonly conflicts: readonly { readonly conflictId: string; readonly expectedVersion: number }[];
  readonly resolution: Resolution;
  readonly idempotencyKey: string;
};

/** `movementId` is null when the decision moved no stock. */
export type ConflictsResolved = {
  readonly itemId: string;
  readonly conflictIds: readonly string[];
  readonly movementId: string | null;
};

export type ConflictPolicyInput = {
  readonly resolution: Resolution;
  /** Edits of more units than this, either way, wait for a person; 0 or more. */
  readonly unitsMax: number;
  /** Minor units of money, 0 or more; null leaves it as it is. */
  readonly priceToleranceMinor: number | null;
};

/** A null price: the seller no longer says what it should be. */
export type ItemPriceInput = { readonly itemId: string; readonly price: Price | null };
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
  syncAll(caller: Caller, input?: SyncAllInput): Promise<Outcome<{ readonly jobId: string }>>;
  /** Begins a plan of a connection; while one is open it is answered instead of a second one. Nothing is written to the channel or the ledger. */
  createPlan(caller: Caller, input: PlanCreateInput): Promise<Outcome<PlanRef>>;
  /** Says who wins on some listings of a plan that is ready. */
  setPlanEntries(
    caller: Caller,
    input: PlanEntriesInput,
  ): Promise<Outcome<PlanRef & { readonly entries: number }>>;
  applyPlan(caller: Caller, input: PlanApplyInput): Promise<Outcome<PlanRef>>;
  /** Reverses an applied plan, or stops one that is being applied and reverses what it has done. */
  undoPlan(caller: Caller, planId: string): Promise<Outcome<PlanRef>>;
  /** Shipped and delivered and cancelled only move forward; shipped tells the channel. */
  updateOrderStatus(caller: Caller, input: OrderStatusInput): Promise<Outcome<{ readonly orderId: string }>>;
  acknowledgeAlert(caller: Caller, alertId: string): Promise<Outcome<{ readonly alertId: string }>>;
  /** Decides the conflicts of one item: a movement on the present, then every channel is brought in step with it. */
  resolveConflicts(caller: Caller, input: ConflictResolveInput): Promise<Outcome<ConflictsResolved>>;
  /** How conflicts that are proven from now on are decided without asking. */
  setConflictPolicy(
    caller: Caller,
    input: ConflictPolicyInput,
  ): Promise<Outcome<{ readonly accountId: string }>>;
  /** The list price that an item should have; what channels show otherwise becomes a conflict. */
  setItemPrice(caller: Caller, input: ItemPriceInput): Promise<Outcome<{ readonly itemId: string }>>;
  /** How an item is kept from being oversold. */
  setProtection(caller: Caller, input: ProtectionInput): Promise<Outcome<{ readonly itemId: string }>>;
  /** A listing that was paused at zero under escrow takes part again. */
  resumeEscrow(caller: Caller, listingId: string): Promise<Outcome<{ readonly listingId: string }>>;
  /** What the blast-radius guard has stopped may go on. */
  approveBlast(caller: Caller, connectionId: string): Promise<Outcome<{ readonly connectionId: string }>>;
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
  /** What sync would show where nothing is written, by listing id; what is not observed is left out. */
  observedListings(
    accountId: string,
    listingIds: readonly string[],
  ): Promise<ReadonlyMap<string, ObservedListing>>;
  /** How much of these connections is observed and how it compares, by connection id. */
  observations(
    accountId: string,
    connectionIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConnectionObservation>>;
  /** What can be oversold now, by item id. */
  exposures(accountId: string, itemIds: readonly string[]): Promise<ReadonlyMap<string, ItemExposure>>;
  /** The protection that items of the shared pool should have, by item id; left out where that is none. */
  protectionSuggestions(
    accountId: string,
    itemIds: readonly string[],
  ): Promise<ReadonlyMap<string, ProtectionSuggestion>>;
  /** How well each of these connections works, by connection id. */
  connectionHealth(
    accountId: string,
    connectionIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConnectionHealth>>;
  syncHealth(accountId: string): Promise<SyncHealth>;
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
