/** One seller's shop on one marketplace: pure state and rules. It knows its own quantity, and never sells below zero. */

import type { Cancel, Clock } from './clock.ts';
import type {
  ChangeCause,
  Listing,
  ListingInput,
  ListingState,
  Platform,
  PropertyDependence,
  QuantityChange,
  ShopEvent,
  ShopSettings,
  Variant,
  VariantInput,
} from './goods.ts';
import { poolKey, RuleError, shownQuantity } from './goods.ts';
import type { IdentifierSource } from './identifiers.ts';
import { OrderBook } from './orderBook.ts';
import type { Random } from './random.ts';
import { Ring } from './ring.ts';
import { type Amounts, defaultShopSettings, type ShopParts } from './shopSettings.ts';
import { StockHistory, type StockView } from './stockHistory.ts';

export type { Amounts, ShopParts } from './shopSettings.ts';
export type { StockView } from './stockHistory.ts';

const independent: PropertyDependence = { price: [], quantity: [], sku: [], readiness: [] };

export class Shop {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly random: Random;
  readonly identifiers: IdentifierSource;
  readonly orders: OrderBook;
  readonly journal: Ring<QuantityChange>;
  settings: ShopSettings;

  readonly #listings = new Map<string, Listing>();
  readonly #variants = new Map<string, Variant>();
  readonly #history = new StockHistory();
  readonly #listeners = new Set<(event: ShopEvent) => void>();
  readonly #lateWrites = new Set<Cancel>();
  #sequence = 0;

  constructor(parts: ShopParts) {
    this.platform = parts.platform;
    this.clock = parts.clock;
    this.random = parts.random;
    this.identifiers = parts.identifiers;
    this.settings = { ...defaultShopSettings(parts.platform), ...parts.settings };
    this.journal = new Ring(this.settings.journalSize);
    this.orders = new OrderBook(this);
  }

  /** Called for every change of an order and of a quantity, within the change. The answer ends it. */
  subscribe(listener: (event: ShopEvent) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: ShopEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  configure(settings: Partial<ShopSettings>): void {
    this.settings = { ...this.settings, ...settings };
  }

  // ------------------------------------------------------------------------------------------------------------ listings

  addListing(input: ListingInput): Listing {
    const now = this.clock.now();
    const id = this.identifiers.listing();
    const listing: Listing = {
      id,
      title: input.title,
      description: input.description ?? input.title,
      state: input.state ?? 'active',
      variantIds: [],
      dependence: input.dependence ?? independent,
      createdAt: now,
      updatedAt: now,
    };
    this.#listings.set(id, listing);
    this.#history.rememberState(listing, now, this.settings.historyMs);
    listing.variantIds = input.variants.map((variant) => this.#addVariant(listing, variant).id);
    return listing;
  }

  /** Adds a variant to a listing that exists, at its end. */
  addVariant(listingId: string, input: VariantInput): Variant {
    const listing = this.requireListing(listingId);
    const variant = this.#addVariant(listing, input);
    listing.variantIds = [...listing.variantIds, variant.id];
    listing.updatedAt = this.clock.now();
    return variant;
  }

  #addVariant(listing: Listing, input: VariantInput): Variant {
    const now = this.clock.now();
    const variant: Variant = {
      id: this.identifiers.variant(),
      listingId: listing.id,
      sku: input.sku,
      title: input.title ?? listing.title,
      price: input.price,
      quantity: 0,
      offerQuantity: input.offerQuantity === undefined ? null : 0,
      committed: 0,
      tracked: input.tracked ?? true,
      sellsBeyond: input.sellsBeyond ?? false,
      enabled: input.enabled ?? true,
      properties: input.properties ?? [],
      attributes: input.attributes ?? {},
      stockUpdatedAt: now,
      updatedAt: now,
    };
    this.#variants.set(variant.id, variant);
    const { quantity, offerQuantity } = input;
    const amounts = offerQuantity === undefined ? { quantity } : { quantity, offerQuantity };
    this.setQuantity(variant, amounts, { cause: 'opening', reference: null, requestedAt: now });
    return variant;
  }

  removeVariant(variantId: string): void {
    const variant = this.requireVariant(variantId);
    const listing = this.requireListing(variant.listingId);
    listing.variantIds = listing.variantIds.filter((id) => id !== variantId);
    listing.updatedAt = this.clock.now();
    this.#variants.delete(variantId);
    this.#history.forget(variantId);
  }

  removeListing(listingId: string): void {
    for (const variantId of this.requireListing(listingId).variantIds) this.removeVariant(variantId);
    this.#listings.delete(listingId);
    this.#history.forgetListing(listingId);
  }

  setListingState(listingId: string, state: ListingState): void {
    const listing = Object.assign(this.requireListing(listingId), { state, updatedAt: this.clock.now() });
    this.#history.rememberState(listing, listing.updatedAt, this.settings.historyMs);
    this.emit({ kind: 'state', listing, at: listing.updatedAt });
  }

  listings(): readonly Listing[] {
    return [...this.#listings.values()];
  }

  variants(): readonly Variant[] {
    return [...this.#variants.values()];
  }

  listing(listingId: string): Listing | undefined {
    return this.#listings.get(listingId);
  }

  variant(variantId: string): Variant | undefined {
    return this.#variants.get(variantId);
  }

  /** The first variant with exactly this SKU; marketplaces do not all keep SKUs unique. */
  variantBySku(sku: string): Variant | undefined {
    return this.variants().find((variant) => variant.sku === sku);
  }

  /** The variants of a listing, in its order. */
  variantsOf(listing: Listing): readonly Variant[] {
    return listing.variantIds.map((id) => this.requireVariant(id));
  }

  /**
   * The variants that draw on one number, in the listing's order and this one included. Etsy: products with the same values of the
   * properties in `quantity_on_property`, which is all products when it is empty. Elsewhere each has its own.
   */
  pool(variant: Variant): readonly Variant[] {
    const listing = this.#listings.get(variant.listingId);
    if (this.platform !== 'etsy' || listing === undefined) return [variant];
    const key = poolKey(variant, listing.dependence.quantity);
    return this.variantsOf(listing).filter((each) => poolKey(each, listing.dependence.quantity) === key);
  }

  requireListing(listingId: string): Listing {
    const listing = this.#listings.get(listingId);
    if (listing === undefined)
      throw new RuleError('notFound', `No listing ${listingId} on ${this.platform}.`);
    return listing;
  }

  requireVariant(variantId: string): Variant {
    const variant = this.#variants.get(variantId);
    if (variant === undefined)
      throw new RuleError('notFound', `No variant ${variantId} on ${this.platform}.`);
    return variant;
  }

  // --------------------------------------------------------------------------------------------------------------- stock

  /** Units that buyers can take now: 0 unless the listing is active, `Infinity` when the marketplace does not count. */
  displayed(variant: Variant): number {
    if (this.#listings.get(variant.listingId)?.state !== 'active' || !variant.enabled) return 0;
    if (!variant.tracked) return Number.POSITIVE_INFINITY;
    return Math.max(0, Math.min(variant.quantity, variant.offerQuantity ?? variant.quantity));
  }

  /** A snapshot for one read request, `ageMs` old; by default as old as the shop's `readStaleMs` makes it. */
  view(ageMs: number = this.random.span(this.settings.readStaleMs)): StockView {
    return this.#history.view(this.clock.now(), ageMs);
  }

  /**
   * The seller's API write, accepted now and in effect after `writeEffectMs` (drawn anew for each write, so an older one may land last).
   * With the default of 0 it is in effect when this returns. Answers when it takes effect. A compare-and-set is the caller's: compare, then call.
   */
  write(variantId: string, amounts: Amounts, reference: string | null, extraDelayMs = 0): number {
    const requestedAt = this.clock.now();
    const delay = this.random.span(this.settings.writeEffectMs) + extraDelayMs;
    const apply = () => {
      const variant = this.#variants.get(variantId);
      if (variant !== undefined)
        this.setQuantity(variant, amounts, { cause: 'write', reference, requestedAt });
    };
    if (delay === 0) apply();
    else this.later(delay, apply);
    return requestedAt + delay;
  }

  /** Something accepted that takes effect later, forgotten when the shop is cleared. */
  later(delayMs: number, run: () => void): void {
    const cancel = this.clock.after(delayMs, () => {
      this.#lateWrites.delete(cancel);
      run();
    });
    this.#lateWrites.add(cancel);
  }

  /** Writes accepted and not yet in effect. */
  writesInFlight(): number {
    return this.#lateWrites.size;
  }

  /** A person or another app changes the number in the marketplace's own pages: in effect at once, both numbers of an eBay offer. */
  editOutside(variantId: string, quantity: number): void {
    const variant = this.requireVariant(variantId);
    const why = { cause: 'outsideEdit', reference: null, requestedAt: this.clock.now() } as const;
    for (const each of this.pool(variant)) {
      this.setQuantity(
        each,
        each.offerQuantity === null ? { quantity } : { quantity, offerQuantity: quantity },
        why,
      );
    }
    const listing = this.requireListing(variant.listingId);
    if (listing.state === 'soldOut' && quantity > 0) this.setListingState(listing.id, 'active');
  }

  /** The only place where a quantity changes: journals it, keeps the history for stale reads, tells the listeners. */
  setQuantity(
    variant: Variant,
    amounts: Amounts,
    why: { readonly cause: ChangeCause; readonly reference: string | null; readonly requestedAt: number },
  ): void {
    const at = this.clock.now();
    const from = shownQuantity(variant);
    variant.quantity = amounts.quantity ?? variant.quantity;
    if (amounts.offerQuantity !== undefined) variant.offerQuantity = amounts.offerQuantity;
    variant.stockUpdatedAt = at;
    this.#history.remember(variant, at, this.settings.historyMs);
    const change: QuantityChange = {
      sequence: ++this.#sequence,
      at,
      variantId: variant.id,
      sku: variant.sku,
      from,
      to: shownQuantity(variant),
      ...why,
    };
    this.journal.push(change);
    if (why.cause !== 'opening') this.emit({ kind: 'stock', variant, change, at });
  }

  /** Accepted writes that are not in effect yet never will be. */
  cancelLateEffects(): void {
    for (const cancel of this.#lateWrites) cancel();
    this.#lateWrites.clear();
  }

  /** Empties the shop: listings, orders, journal, writes in flight. Listeners stay. */
  clear(): void {
    this.cancelLateEffects();
    this.identifiers.restartGoods();
    this.#listings.clear();
    this.#variants.clear();
    this.#history.clear();
    this.journal.clear();
    this.orders.clear();
  }
}
