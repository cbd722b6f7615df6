/** A marketplace in memory that shows, answers and forgets exactly what a test tells it to, and remembers every call in order. */
import type {
  CatalogueEntry,
  ChannelMessage,
  Connector,
  ConnectorCapabilities,
  ConnectorContext,
  ListingAddress,
  Money,
  Order,
  Platform,
  PriceReading,
  PriceWrite,
  PriceWriteResult,
  QueuedWrite,
  Shipment,
  StockReading,
  StockWrite,
  StockWriteResult,
  Submission,
  Turn,
} from '../../src/connectors/connector.ts';

type Answer<Value> = Value | Promise<Value>;

/** Fields that are functions may be replaced at any time; the first ones answer as a quick and honest channel would. */
export type ScriptedChannel = {
  readonly connector: Connector;
  readonly capabilities: { -readonly [Name in keyof ConnectorCapabilities]: ConnectorCapabilities[Name] };
  /** What buyers see. An address that is missing here reads as unknown. */
  readonly shelf: Map<string, number>;
  /** Every write in the order in which it was sent. */
  readonly writes: StockWrite[];
  /** The same, one entry per call. */
  readonly writeCalls: (readonly StockWrite[])[];
  /** The turn that each of these calls was to take. */
  readonly turns: (Turn | undefined)[];
  readonly readCalls: (readonly ListingAddress[])[];
  readonly readTurns: (Turn | undefined)[];
  /** What buyers pay. An address that is missing here reads as unknown. */
  readonly prices: Map<string, Money>;
  /** Every price written, one entry per call, with the turn that it was to take. */
  readonly priceCalls: { readonly writes: readonly PriceWrite[]; readonly turn: Turn | undefined }[];
  readonly priceReads: (readonly ListingAddress[])[];
  readonly priceReadTurns: (Turn | undefined)[];
  /** What was asked of writes that stand in a queue, one entry per call. */
  readonly queueAsks: (readonly QueuedWrite[])[];
  readonly orders: Map<string, Order>;
  readonly shipments: { readonly orderId: string; readonly shipment: Shipment }[];
  /** What each factory call was given: one per connector that was built. */
  readonly contexts: ConnectorContext[];
  readonly polledSince: Date[];
  onRead: (address: ListingAddress) => Answer<StockReading>;
  onWrite: (write: StockWrite) => Answer<StockWriteResult>;
  onPriceRead: (address: ListingAddress) => Answer<PriceReading>;
  onPrice: (write: PriceWrite) => Answer<PriceWriteResult>;
  onQueued: (queued: QueuedWrite) => Answer<Submission>;
  onShip: (orderId: string, shipment: Shipment) => Answer<void>;
  onParse: (topic: string, body: Buffer) => readonly ChannelMessage[];
  onOrder: (orderId: string) => Answer<Order | null>;
  orderPages: (since: Date) => AsyncIterable<readonly Order[]>;
  cataloguePages: () => AsyncIterable<readonly CatalogueEntry[]>;
};

const addressKey = ({ unitId, variantId }: ListingAddress): string => `${unitId} ${variantId}`;

export function createChannel(platform: Platform = 'shopify'): ScriptedChannel {
  const channel: ScriptedChannel = {
    capabilities: {
      compareAndSet: false,
      writesPerCall: 100,
      pricesPerCall: 100,
      priceWritesUnit: false,
      stockQueue: null,
      quantityMax: 1_000_000,
      pollIntervalMs: 60_000,
      pollWatchfulMs: 10_000,
      pollOverlapMs: 120_000,
      ordersWrites: true,
      settleMaxMs: 300_000,
      staleMaxMs: 0,
      indexLagMs: 0,
      clockSkewMaxMs: 0,
      restocksOnCancel: false,
    },
    shelf: new Map(),
    writes: [],
    writeCalls: [],
    turns: [],
    readCalls: [],
    readTurns: [],
    prices: new Map(),
    priceCalls: [],
    priceReads: [],
    priceReadTurns: [],
    queueAsks: [],
    orders: new Map(),
    shipments: [],
    contexts: [],
    polledSince: [],
    onRead(address) {
      const quantity = shownOn(channel, address);
      return quantity === null ? { kind: 'unknown', reason: 'missing' } : { kind: 'quantity', quantity };
    },
    onWrite: (write) => takeEffect(channel, write),
    onPriceRead(address) {
      const price = channel.prices.get(addressKey(address));
      return price === undefined ? { kind: 'unknown', reason: 'missing' } : { kind: 'price', price };
    },
    onPrice(write) {
      priced(channel, write.address, write.price);
      return { kind: 'effective' };
    },
    onQueued: () => ({ kind: 'open' }),
    onShip: () => undefined,
    onParse: (_topic, body) => JSON.parse(body.toString(), revive) as ChannelMessage[],
    onOrder: (orderId) => channel.orders.get(orderId) ?? null,
    orderPages: () => pages([]),
    cataloguePages: () => pages([]),
    connector: connectorOf(platform, () => channel),
  };
  return channel;
}

function connectorOf(platform: Platform, channelOf: () => ScriptedChannel): Connector {
  return {
    platform,
    get capabilities() {
      return channelOf().capabilities;
    },
    check: async () => ({ externalAccountId: 'shop' }),
    ordersModifiedSince(since) {
      channelOf().polledSince.push(since);
      return channelOf().orderPages(since);
    },
    order: async (orderId) => channelOf().onOrder(orderId),
    async readStock(addresses, turn) {
      const channel = channelOf();
      channel.readCalls.push(addresses);
      channel.readTurns.push(turn);
      return Promise.all(addresses.map(async (address) => channel.onRead(address)));
    },
    async setStock(writes, turn) {
      const channel = channelOf();
      channel.writeCalls.push(writes);
      channel.turns.push(turn);
      channel.writes.push(...writes);
      return Promise.all(writes.map(async (write) => channel.onWrite(write)));
    },
    async readPrices(addresses, turn) {
      const channel = channelOf();
      channel.priceReads.push(addresses);
      channel.priceReadTurns.push(turn);
      return Promise.all(addresses.map(async (address) => channel.onPriceRead(address)));
    },
    async setPrices(writes, turn) {
      const channel = channelOf();
      channel.priceCalls.push({ writes, turn });
      return Promise.all(writes.map(async (write) => channel.onPrice(write)));
    },
    async submitted(queued) {
      const channel = channelOf();
      channel.queueAsks.push(queued);
      return Promise.all(queued.map(async (one) => channel.onQueued(one)));
    },
    catalogue: () => channelOf().cataloguePages(),
    async ship(orderId, shipment) {
      channelOf().shipments.push({ orderId, shipment });
      await channelOf().onShip(orderId, shipment);
    },
    receiveWebhook: async () => ({ kind: 'refused', status: 400, reason: 'a test stores deliveries itself' }),
    parseWebhook: (topic, body) => channelOf().onParse(topic, body),
  };
}

/** What buyers see at an address; null when there is no such listing. */
export function shownOn(channel: ScriptedChannel, address: ListingAddress): number | null {
  return channel.shelf.get(addressKey(address)) ?? null;
}

export function show(channel: ScriptedChannel, address: ListingAddress, quantity: number): void {
  channel.shelf.set(addressKey(address), quantity);
}

/** From now on buyers pay this at an address. */
export function priced(channel: ScriptedChannel, address: ListingAddress, price: Money): void {
  channel.prices.set(addressKey(address), price);
}

/** Does what a write asks for, and says so; where it names the number that must still be shown, and another one is, it does nothing and tells that one. */
export function takeEffect(channel: ScriptedChannel, write: StockWrite): StockWriteResult {
  const shown = shownOn(channel, write.address);
  if (write.expected !== null && shown !== null && shown !== write.expected)
    return { kind: 'stale', actual: shown };
  show(channel, write.address, write.quantity);
  return { kind: 'effective', quantity: write.quantity };
}

export async function* pages<Row>(...all: readonly (readonly Row[])[]): AsyncIterable<readonly Row[]> {
  for (const page of all) yield page;
}

/** A delivery's body that `onParse` turns back into the messages. */
export function deliveryBody(...messages: readonly ChannelMessage[]): Buffer {
  return Buffer.from(JSON.stringify(messages));
}

function revive(name: string, value: unknown): unknown {
  return /^(?:at|createdAt|updatedAt)$/.test(name) ? new Date(String(value)) : value;
}
