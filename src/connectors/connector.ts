/** The one interface every marketplace implements, in domain messages only: no table and no wire shape crosses it. */
import type { ChannelErrorCode } from './channelError.ts';
import type { HttpClient } from './http.ts';
import type { PriceReading, PriceWrite, PriceWriteResult } from './price.ts';
import type { Accepted, QueuedWrite, StockQueue, Submission, Unanswered } from './queue.ts';
import type { Turn } from './turn.ts';

export { ChannelError, type ChannelErrorCode } from './channelError.ts';
export type { AnsweredAt, HttpClient, HttpRequest, HttpResponse, RateLimit } from './http.ts';
export type { PriceReading, PriceRefusal, PriceWrite, PriceWriteResult } from './price.ts';
export type {
  Accepted,
  QueuedWrite,
  StockQueue,
  Submission,
  Unanswered,
} from './queue.ts';
export type { Turn, Urgency } from './turn.ts';

export const platforms = ['etsy', 'amazon', 'ebay', 'shopify'] as const;
export type Platform = (typeof platforms)[number];

/** An amount in the currency's minor unit (cents; whole yen), so that no float ever carries money. `currency` is ISO 4217. */
export type Money = { readonly minor: number; readonly currency: string };

/** Where a listing lives on its channel. Opaque to everything outside the connector that made it. */
export type ListingAddress = {
  /** What one stock write replaces: Etsy listing id; Amazon SKU; eBay SKU; Shopify `inventoryItemId/locationId` (numeric ids). */
  readonly unitId: string;
  /** Tells the variants of one unit apart: on Etsy the product's SKU, or `#productId` when it has none; '' elsewhere. */
  readonly variantId: string;
};

// ---------------------------------------------------------------------------------------------------------------- orders

export const orderStatuses = ['pending', 'processing', 'shipped', 'delivered', 'cancelled'] as const;
export type OrderStatus = (typeof orderStatuses)[number];

/**
 * One line as the channel describes it now. `reserved` and `shipped` are levels, not events: the units that this snapshot says
 * the line holds back and the units that have left the shelf (shipped, or refunded without restock). A cancelled line that was restocked is 0 / 0.
 */
export type OrderLine = {
  readonly lineId: string;
  /** Where it was bought, when the channel says; tried before the SKU when matching the line to an item. */
  readonly address: ListingAddress | null;
  /** The channel's spelling of the SKU; null when the channel sends none. */
  readonly sku: string | null;
  readonly title: string;
  /** Units bought, including those cancelled later. At least 0. */
  readonly ordered: number;
  readonly reserved: number;
  readonly shipped: number;
  readonly unitPrice: Money | null;
};

/** A whole order as one channel answer describes it. `updatedAt` is the channel's clock and decides which snapshot is newer. */
export type Order = {
  readonly orderId: string;
  readonly status: OrderStatus;
  /** Null when the channel withholds it (privacy roles, age). */
  readonly customerName: string | null;
  readonly total: Money | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly lines: readonly OrderLine[];
  /** The channel's own answer, kept for people and for replay. Must be JSON. */
  readonly raw: unknown;
};

/** What a seller tells the channel when a parcel leaves. Lines left out mean every open line. */
export type Shipment = {
  readonly carrier: string | null;
  readonly trackingNumber: string | null;
  readonly shippedAt: Date;
  readonly lines: readonly { readonly lineId: string; readonly quantity: number }[];
};

// ----------------------------------------------------------------------------------------------------------------- stock

/** Absent is not zero: a read answers the units that buyers see (never below 0), that the channel does not count this listing, or that it cannot say. */
export type StockReading =
  | { readonly kind: 'quantity'; readonly quantity: number }
  | { readonly kind: 'notTracked' }
  | { readonly kind: 'unknown'; readonly reason: string };

/** One wanted number. A retry of the same write carries the same `key`; a key is never derived from the quantity. */
export type StockWrite = {
  readonly address: ListingAddress;
  /** Units to show, 0 or more. */
  readonly quantity: number;
  /** The number we believe is shown. Where the channel can compare, the write fails as `stale` if it is another; null skips that. */
  readonly expected: number | null;
  /** What a reading may show, in units, if nothing is unknown to us: over another number a channel that reads first (Etsy) raises nothing, but answers `stale`. */
  readonly believed?: { readonly least: number; readonly most: number };
  /** A UUID. */
  readonly key: string;
  /**
   * The most, in units, that variants of the same unit may show which are not written. Where a write replaces them all at once (Etsy), none is put back
   * higher: what is read just before may be from before a sale that is known.
   */
  readonly others?: readonly Pick<StockWrite, 'address' | 'quantity'>[];
  /** It may be taken into a queue together with others: whoever hands it over has allowed for its landing whenever that is worked off. */
  readonly mayQueue?: true;
};

/** Another variant of a unit that a write has set too, because the channel replaces them all at once (Etsy). */
export type Companion = {
  readonly address: ListingAddress;
  /** What the write put there, in units. */
  readonly quantity: number;
  /** What the connector had read there just before; null when that was no number. */
  readonly shown: number | null;
  /** When that had been read, in milliseconds since the epoch: a sale after it was overwritten. */
  readonly readAt: number;
};
export type Along = { readonly companions?: readonly Companion[] };

export type StockWriteResult =
  /** The channel's answer proves that it shows `quantity` now. */
  | ({ readonly kind: 'effective'; readonly quantity: number } & Along)
  | (Accepted & Along)
  /** Nothing was changed: the compare failed, or the number was shown already. `actual` if known; `read`: by a reading, which may be old. */
  | { readonly kind: 'stale'; readonly actual: number | null; readonly read?: true }
  /** Refused for a reason that a retry cannot mend. Nothing was changed. */
  | { readonly kind: 'rejected'; readonly code: string; readonly message: string; readonly raw: unknown }
  | (Unanswered & Along)
  /** Certainly not sent or not applied; try again with the same key after `retryAfterMs`. `error`, here and above: the failure behind it. */
  | ({ readonly kind: 'deferred'; readonly reason: string } & Again);
export type Again = { readonly retryAfterMs: number; readonly error?: ChannelErrorCode };

/** One row of a channel's catalogue, as found by a full scan. */
export type CatalogueEntry = {
  readonly address: ListingAddress;
  readonly sku: string | null;
  readonly title: string;
  readonly url: string | null;
  readonly price: Money | null;
  readonly stock: StockReading;
  /** False when the channel owns the quantity (Amazon FBA): shown, never written. */
  readonly writable: boolean;
  /** True when it is sold beyond its number: Shopify's `inventoryPolicy` CONTINUE ("Continue selling when out of stock"). Etsy, Amazon and eBay refuse at 0. */
  readonly sellsBeyond: boolean;
};

// -------------------------------------------------------------------------------------------------------------- webhooks

/** An incoming HTTP request, untouched: signatures are over these bytes. Header names are lower case. */
export type WebhookRequest = {
  readonly method: string;
  /** The public URL the channel called, without the query. */
  readonly url: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
};

export type WebhookReceipt =
  /** Signature good: store and answer 2xx. `deliveryId` is the channel's own id for this delivery, equal over its retries. */
  | { readonly kind: 'verified'; readonly deliveryId: string; readonly topic: string }
  /** The channel checks the endpoint itself (eBay): answer exactly this. */
  | { readonly kind: 'challenge'; readonly contentType: string; readonly body: string }
  /** Answer with `status`; nothing is stored. `reason` goes to the log, never to the caller. */
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

/** What a stored delivery means. A push is a hint: `orderChanged` makes the hub fetch the order. */
export type ChannelMessage =
  | { readonly kind: 'order'; readonly order: Order }
  | { readonly kind: 'orderChanged'; readonly orderId: string }
  | {
      readonly kind: 'stockChanged';
      readonly address: ListingAddress;
      readonly quantity: number;
      readonly at: Date;
    }
  | { readonly kind: 'authorizationRevoked' }
  | { readonly kind: 'ignored'; readonly reason: string };

// ------------------------------------------------------------------------------------------------------------- connector

/**
 * One seller's account on one marketplace. Every method throws only `ChannelError`, except `setStock` and `setPrices`, which answer per write.
 * Methods are safe to call concurrently; deadlines, retries and rate budgets are applied inside.
 */
export interface Connector {
  readonly platform: Platform;
  readonly capabilities: ConnectorCapabilities;
  /** The cheapest authenticated call. Answers the channel's immutable account id. */
  check(): Promise<{ readonly externalAccountId: string }>;
  /** Every order modified at or after `since` (channel clock), oldest change first, page by page. Ends normally only after the last page. */
  ordersModifiedSince(since: Date): AsyncIterable<readonly Order[]>;
  /** One order, or null when the channel does not know it. */
  order(orderId: string): Promise<Order | null>;
  /** One reading per address, in the order asked; any number of addresses. A missing row is `unknown`, never 0. Without a turn it is one of a reading. */
  readStock(addresses: readonly ListingAddress[], turn?: Turn): Promise<readonly StockReading[]>;
  /**
   * One result per write, in the order given. At most one write per address. Never throws for the channel's failures. Without a turn it is one of a
   * raise that may wait. Where the channel compares, writes that are handed over together share one key: only one that is alone can be repeated under its own.
   */
  setStock(writes: readonly StockWrite[], turn?: Turn): Promise<readonly StockWriteResult[]>;
  /** One reading per address, in the order asked: the list price, never that of a promotion. Without a turn it is one of a reading. */
  readPrices(addresses: readonly ListingAddress[], turn?: Turn): Promise<readonly PriceReading[]>;
  /** Sets list prices, and never in another currency than the listing's. One result per write, in the order given; never throws for the channel's failures. */
  setPrices(writes: readonly PriceWrite[], turn?: Turn): Promise<readonly PriceWriteResult[]>;
  /**
   * What has become of prices and quantities that were, or may have been, taken into a queue: one answer each, in the order asked; never throws for the
   * channel's failures. Absent where none ever is.
   */
  submitted?(queued: readonly QueuedWrite[], turn?: Turn): Promise<readonly Submission[]>;
  /** The seller's whole catalogue, page by page. Ends normally only after the last page. */
  catalogue(): AsyncIterable<readonly CatalogueEntry[]>;
  /** Tells the channel that a parcel has left. Not idempotent at the channel: reads back before a second attempt. */
  ship(orderId: string, shipment: Shipment): Promise<void>;
  /** Checks a delivery over its raw bytes, in constant time. Does no business work. */
  receiveWebhook(request: WebhookRequest): Promise<WebhookReceipt>;
  /** The meaning of a stored delivery. Throws `ChannelError` with code `invalid_response` when the body is not what the topic promises. */
  parseWebhook(topic: string, body: Buffer): readonly ChannelMessage[];
}

/** What the channel can do, so that sync needs no list of platforms. Times in milliseconds. */
export type ConnectorCapabilities = {
  /** True when `StockWrite.expected` is honoured. */
  readonly compareAndSet: boolean;
  /** Writes that fit one call; larger batches are split inside the connector. */
  readonly writesPerCall: number;
  /** Prices that one `setPrices` takes at once, so that they can travel together. May change with what the channel has granted lately. */
  readonly pricesPerCall: number;
  /** True where a price can only be written together with the quantities of the whole unit (Etsy). */
  readonly priceWritesUnit: boolean;
  /**
   * Where raises may leave together as one queue that the channel works off when it pleases: only when at least `waitingMin` listings wait, with `callMin` to
   * `callMax` writes each. Null where there is none, or none now.
   */
  readonly stockQueue: StockQueue | null;
  /** Largest quantity the channel shows (Etsy 999); larger targets are clamped by the availability rule. */
  readonly quantityMax: number;
  /** Default time between two order polls. */
  readonly pollIntervalMs: number;
  /** Least time between two order polls while one that was lost could cost an oversell: what the call budget bears for some hours. */
  readonly pollWatchfulMs: number;
  /** How far back each poll overlaps the one before, for late index entries. */
  readonly pollOverlapMs: number;
  /** True when writes take effect in the order in which they were answered; false where an older one may land last. */
  readonly ordersWrites: boolean;
  /** Longest time an accepted write may take to show. */
  readonly settleMaxMs: number;
  /** How old what a read shows may be. */
  readonly staleMaxMs: number;
  /** Longest time from a sale until the channel's own interface shows the order. */
  readonly indexLagMs: number;
  /** How far the channel's clock may be from ours. */
  readonly clockSkewMaxMs: number;
  /** True when the channel may put the units of a cancelled order back on sale by itself. */
  readonly restocksOnCancel: boolean;
};

/** What a connector is given. No connector reads a clock, a random source, a database or the environment by itself. */
export type ConnectorContext = {
  /** Base URLs and account identifiers: see each connector's README. Validated by the connector. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly credentials: CredentialStore;
  readonly http: HttpClient;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};

export type ConnectorFactory = (context: ConnectorContext) => Connector;

/** Secrets and tokens of one connection. Values are strings; times are ISO 8601. */
export type Credentials = Readonly<Record<string, string>>;

export interface CredentialStore {
  read(): Promise<Credentials>;
  /**
   * Replaces tokens with one refresh at a time over all processes, and stores the new ones before it answers them. If the stored access token
   * is no longer `staleAccessToken` (a missing one counts as ''), another caller has refreshed: the stored ones are answered, `refresh` does not run.
   */
  refresh(
    staleAccessToken: string,
    refresh: (current: Credentials) => Promise<Credentials>,
  ): Promise<Credentials>;
}
