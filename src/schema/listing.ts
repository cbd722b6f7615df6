/** Listings: where an item is offered, what we believe is shown there and what should be. */
import { builder } from './builder.ts';
import { byCreation, connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { Platform } from './enums.ts';
import { InventoryItem } from './inventoryItem.ts';
import { Money, moneyOf } from './money.ts';
import { PlatformConnection, PlatformFilter } from './platformConnection.ts';
import { flag, instant, member, noIndex, reference, text, where } from './where.ts';

export const Listing = builder.prismaNode('Listing', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description:
    'One place where an item is offered: a variant of a listing on a connected marketplace account.',
  fields: (t) => ({
    item: t.relation('item', {
      nullable: true,
      description: 'The item it sells; null while nobody has said which (see `listingMap`).',
    }),
    connection: t.relation('connection', { description: 'The marketplace account it is on.' }),
    platform: t.expose('platform', { type: Platform, description: 'The marketplace.' }),
    platformId: t.exposeString('unitId', {
      description:
        "The channel's id of what one stock write replaces: Etsy listing id; Amazon SKU; eBay SKU; Shopify inventory item and location.",
    }),
    variantId: t.exposeString('variantId', {
      description: 'Tells the variants of one Etsy listing apart; empty on the other marketplaces.',
    }),
    sku: t.exposeString('sku', {
      nullable: true,
      description: "The channel's spelling of the SKU; null where it has none.",
    }),
    title: t.exposeString('title', { description: 'Its title on the channel.' }),
    listingUrl: t.exposeString('listingUrl', { nullable: true, description: 'Where buyers see it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first seen here.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it last changed. Sort by it to catch up.',
    }),
  }),
});

// What the channel shows, what it should show, and by which rule.
builder.prismaObjectFields(Listing, (t) => ({
  quantity: t.exposeInt('quantity', {
    nullable: true,
    description:
      'Units that we believe the channel shows; null when it does not count them, or while several numbers are possible: until an accepted write is proven. Never read as 0.',
  }),
  lastUpdated: t.expose('quantityAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When `quantity` was last read or proven.',
  }),
  target: t.exposeInt('target', {
    nullable: true,
    description: 'The newest number sent to the channel, 0 or more; null before the first.',
  }),
  pending: t.boolean({
    description: 'Whether it waits to be brought in step.',
    select: { dirty: { select: { since: true } } },
    resolve: (listing) => listing.dirty.length > 0,
  }),
  pendingSince: t.field({
    type: 'DateTime',
    nullable: true,
    description: 'Since when it waits; null when it does not.',
    select: { dirty: { select: { since: true } } },
    resolve: (listing) => listing.dirty[0]?.since ?? null,
  }),
  price: t.field({
    type: Money,
    nullable: true,
    description: 'The list price shown, as last read or proved; null when unknown.',
    select: { priceMinor: true, currency: true },
    resolve: (listing) => moneyOf(listing.priceMinor, listing.currency),
  }),
  priceLookedAt: t.expose('priceLookedAt', {
    type: 'DateTime',
    description: 'When the channel was last asked for `price`, or proved it.',
  }),
  syncEnabled: t.exposeBoolean('syncEnabled', { description: 'Whether numbers are written to it.' }),
  writable: t.exposeBoolean('writable', {
    description: 'False when the channel owns the number (Amazon FBA): shown, never written.',
  }),
  sellsBeyond: t.exposeBoolean('sellsBeyond', {
    description:
      'True when the channel goes on selling it where its number is used up (Shopify\'s "Continue selling when out of stock"), by the newest import. Its item cannot be under escrow.',
  }),
  lastError: t.exposeString('lastError', {
    nullable: true,
    description: "The channel's words when it last refused; null when nothing failed since.",
  }),
  lastPushedAt: t.expose('lastPushedAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When a number was last sent.',
  }),
}));

export const ListingConnection = connectionOf('Listing', 'listings', Listing, 'stock:read');

const order = orderOf('ListingOrderBy', 'listings', {
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

const listingWhere = where('ListingWhere', 'listings', {
  id: reference('id', 'Listing', 'The listing itself.'),
  itemId: reference('itemId', 'InventoryItem', 'The item it sells.'),
  connectionId: reference('connectionId', 'PlatformConnection', 'The marketplace account it is on.'),
  platform: member('platform', PlatformFilter, 'The marketplace.'),
  platformId: text('unitId', "The channel's id."),
  sku: text('sku', "The channel's spelling of the SKU."),
  title: text('title', `Its title on the channel. ${noIndex}`),
  hasItem: flag('Whether it is known which item it sells.', (has) => ({
    itemId: has ? { not: null } : null,
  })),
  pending: flag('Whether it waits to be brought in step.', (is) => ({
    dirty: is ? { some: {} } : { none: {} },
  })),
  syncEnabled: flag('Whether numbers are written to it.', (is) => ({ syncEnabled: is })),
  updatedAt: instant('updatedAt', 'The last change.'),
});

listField('listings', {
  type: ListingConnection,
  model: 'listing',
  node: Listing,
  description: 'The listings of the account on all channels.',
  where: listingWhere,
  order,
});

builder.prismaObjectField(InventoryItem, 'listings', (t) =>
  t.field({
    type: ListingConnection,
    description: 'Where it is offered, oldest first.',
    ...relatedPage<typeof Listing.$inferType>('listings', 'Listing', byCreation(false)),
  }),
);

builder.prismaObjectField(PlatformConnection, 'listings', (t) =>
  t.field({
    type: ListingConnection,
    description: 'What is offered on it, oldest first.',
    ...relatedPage<typeof Listing.$inferType>('listings', 'Listing', byCreation(false)),
  }),
);

/** One listing of the caller's account. A null id is answered with null. */
export const readListing = readOne('listing');
