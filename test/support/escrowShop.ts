/** One item under escrow on scripted channels, whose orders are told late and whose polls are honest. */
import type pg from 'pg';
import type { CatalogueEntry, Order } from '../../src/connectors/connector.ts';
import { importCatalogue } from '../../src/sync/catalogue.ts';
import type { Connections } from '../../src/sync/connections.ts';
import type { Escrow } from '../../src/sync/core/escrow.ts';
import { mapListing } from '../../src/sync/mapping.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { type Caller, type Outcome, systemActor } from '../../src/sync/outcome.ts';
import { setProtection } from '../../src/sync/protection.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection } from '../../src/sync/reads.ts';
import { createReservation } from '../../src/sync/reservations.ts';
import { switchSync } from '../../src/sync/rules.ts';
import * as support from './channel.ts';
import * as fixtures from './fixtures.ts';

export type Offer = {
  readonly connection: fixtures.TestConnection;
  readonly channel: support.ScriptedChannel;
  readonly listingId: string;
  readonly address: { readonly unitId: string; readonly variantId: string };
};

type Sellers = {
  readonly connection: fixtures.TestConnection;
  readonly channel: support.ScriptedChannel;
};

export type EscrowShop = {
  readonly pool: pg.Pool;
  readonly caller: Caller;
  readonly item: fixtures.TestItem;
  readonly connections: Connections;
  /** What has sold the item from the beginning, on Shopify and Etsy. */
  readonly offers: readonly [Offer, Offer];
  /** A channel that does not sell the item yet. */
  readonly amazon: Sellers;
};

export async function openEscrowShop(
  pool: pg.Pool,
  onHand: number,
  shown: readonly [number, number],
): Promise<EscrowShop> {
  const accountId = await fixtures.insertAccount(pool);
  const caller = { accountId, actor: systemActor, correlationId: 'test' };
  const item = await fixtures.insertItem(pool, accountId, { onHand });
  const shopify = await openChannel(pool, accountId, 'shopify');
  const etsy = await openChannel(pool, accountId, 'etsy');
  const amazon = await openChannel(pool, accountId, 'amazon');
  const connections = support.connectTo(pool, {
    shopify: shopify.channel,
    etsy: etsy.channel,
    amazon: amazon.channel,
  });
  const offers = [
    await offerOn(pool, shopify, { itemId: item.id, shown: shown[0] }),
    await offerOn(pool, etsy, { itemId: item.id, shown: shown[1] }),
  ] as const;
  for (const [index, { channel, listingId }] of offers.entries())
    await support.insertShadow(pool, channel, listingId, shown[index] ?? 0);
  return { pool, caller, item, connections, offers, amazon };
}

async function openChannel(
  pool: pg.Pool,
  accountId: string,
  platform: 'shopify' | 'etsy' | 'amazon',
): Promise<Sellers> {
  const connection = await fixtures.insertConnection(pool, accountId, platform);
  const channel = support.createChannel(platform);
  channel.capabilities.compareAndSet = platform === 'shopify';
  channel.capabilities.settleMaxMs = 5_000;
  channel.orderPages = () => support.pages([...channel.orders.values()]);
  return { connection, channel };
}

/** A listing that nobody has read yet; without an item until it is mapped. */
export async function offerOn(
  pool: pg.Pool,
  { connection, channel }: Sellers,
  { itemId = null, shown }: { readonly itemId?: string | null; readonly shown: number },
): Promise<Offer> {
  const address = { unitId: fixtures.unique('unit'), variantId: '' };
  support.show(channel, address, shown);
  const listingId = await fixtures.insertListing(pool, connection, { itemId, ...address });
  return { connection, channel, listingId, address };
}

export async function protect({ pool, caller, item }: EscrowShop): Promise<void> {
  await setProtection(pool, caller, { itemId: item.id, protection: 'escrow' });
}

export const shows = ({ channel, address }: Offer): number => support.shownOn(channel, address) ?? 0;

export const shownIn = (offers: readonly Offer[]): number =>
  offers.reduce((sum, offer) => sum + shows(offer), 0);

export function push({ pool, connections }: EscrowShop, { connection }: Offer): Promise<void> {
  return pushConnection(support.pushOptions(pool, connections), connection.id);
}

export async function pushAll(shop: EscrowShop, offers: readonly Offer[] = shop.offers, rounds = 3) {
  for (let round = 0; round < rounds; round += 1) for (const offer of offers) await push(shop, offer);
}

export function read({ pool, connections }: EscrowShop, { connection }: Offer): Promise<number> {
  return readConnection(support.readOptions(pool, connections), connection.id);
}

export async function escrowOf({ pool, item }: EscrowShop): Promise<Escrow> {
  const { rows } = await pool.query<{ state: Escrow }>('SELECT state FROM escrows WHERE item_id = $1', [
    item.id,
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('the item is not under escrow');
  return row.state;
}

/** A buyer takes one: the channel counts it off at once, and what we hear of it is told when the answer is called. */
export function sell({ pool }: EscrowShop, offer: Offer): (() => Promise<unknown>) | null {
  if (shows(offer) === 0) return null;
  support.show(offer.channel, offer.address, shows(offer) - 1);
  const placedAt = new Date(support.clock.now());
  const order: Order = fixtures.order({
    createdAt: placedAt,
    updatedAt: placedAt,
    lines: [fixtures.orderLine({ address: offer.address })],
  });
  offer.channel.orders.set(order.orderId, order);
  return () => applyOrder(pool, fixtures.source(offer.connection, { observedAt: placedAt }), order);
}

export async function pass({ pool, offers, amazon }: EscrowShop, ms: number): Promise<void> {
  const ids = [...offers, amazon].map(({ connection }) => connection.id);
  await support.letTimePass(pool, ids, ms);
}

export async function knowOrders({ pool, caller }: EscrowShop): Promise<void> {
  await pool.query('UPDATE connections SET orders_watermark = $2 WHERE account_id = $1', [
    caller.accountId,
    new Date(support.clock.now()),
  ]);
}

const nothing = (): undefined => undefined;

export function map({ pool, caller, item }: EscrowShop, { listingId }: Offer): Promise<Outcome<unknown>> {
  const options = { pool, onApplied: nothing, onMapped: nothing, batchMax: 100 };
  return mapListing(options, caller, { listingId, itemId: item.id });
}

export async function switchTo(
  { pool, caller }: EscrowShop,
  { listingId }: Offer,
  enabled: boolean,
): Promise<void> {
  const options = { pool, onDirty: nothing, onResumed: nothing };
  await switchSync(options, caller, { place: { level: 'listing', id: listingId }, enabled });
}

export function reserve({ pool, caller, item }: EscrowShop, quantity: number): Promise<Outcome<unknown>> {
  const options = { pool, onMoved: nothing, reservationDefaultMs: 60_000, reservationMaxMs: 60_000 };
  return createReservation(options, caller, {
    lines: [{ itemId: item.id, quantity }],
    expiresInSeconds: null,
    reference: 'partner',
    idempotencyKey: fixtures.unique('key'),
  });
}

/** The channel that did not sell the item does, showing so many, and its catalogue is imported. */
export async function bringIn(shop: EscrowShop, shown: number, sellsBeyond = false): Promise<Offer> {
  const address = { unitId: fixtures.unique('unit'), variantId: '' };
  support.show(shop.amazon.channel, address, shown);
  return importOffer(shop, { ...shop.amazon, address }, sellsBeyond);
}

/** The catalogue of its channel is imported, and says of this one whether it sells beyond its number. */
export async function importOffer(
  { pool, connections, item }: EscrowShop,
  { connection, channel, address }: Omit<Offer, 'listingId'>,
  sellsBeyond: boolean,
): Promise<Offer> {
  const shown = support.shownOn(channel, address) ?? 0;
  const entry: CatalogueEntry = {
    address,
    sku: item.sku,
    title: 'A thing',
    url: 'https://shop.example/thing',
    price: null,
    stock: { kind: 'quantity', quantity: shown },
    writable: true,
    sellsBeyond,
  };
  channel.cataloguePages = () => support.pages([entry]);
  const connected = await connections.open(connection.id);
  if (connected === null) throw new Error('the connection is not open');
  await importCatalogue(pool, connected);
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM listings WHERE unit_id = $1', [
    address.unitId,
  ]);
  return { connection, channel, address, listingId: rows[0]?.id ?? '' };
}
