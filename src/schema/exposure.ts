/** The exposure meter: how many units of an item can be oversold right now, at worst and on average. */
import type { ItemExposure, ListingExposure } from '../sync/exposures.ts';
import { batched } from './batches.ts';
import { builder } from './builder.ts';
import { Platform } from './enums.ts';
import { encodeId, requireId } from './globalId.ts';
import { InventoryItem } from './inventoryItem.ts';

const ListingExposureType = builder.objectRef<ListingExposure>('ListingExposure').implement({
  description: 'What one listing adds to the exposure of its item.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    listingId: t.id({
      description: 'The listing.',
      resolve: (listing) => encodeId('Listing', listing.listingId),
    }),
    platform: t.expose('platform', { type: Platform, description: 'Its marketplace.' }),
    shownMax: t.exposeInt('shownMax', { description: 'The most it may show now, in units, 0 or more.' }),
    soldPerHour: t.exposeFloat('soldPerHour', {
      description: 'Units it sells per hour while it shows some, from its own sales; recent ones weigh more.',
    }),
    reactionMs: t.exposeFloat('reactionMs', {
      description:
        'Milliseconds from a sale anywhere until a lowered number is in force here, nine times of ten; 30 000 until it was measured.',
    }),
  }),
});

const Exposure = builder.objectRef<ItemExposure>('Exposure').implement({
  description:
    'How many units of an item can be oversold right now. A channel sells while its own number is above 0: the window between a sale and the lowered number being in force cannot be closed, only measured.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    available: t.exposeInt('available', {
      description: 'Units that can still be sold; below 0 when oversold.',
    }),
    oversold: t.exposeInt('oversold', { description: 'Units sold already beyond what there is, 0 or more.' }),
    worst: t.exposeInt('worst', {
      description:
        'Units oversold if every channel sold all it may show before anything is lowered, 0 or more.',
    }),
    expected: t.exposeFloat('expected', {
      description:
        'Units oversold on average if each channel goes on selling for its reaction time, 0 or more.',
    }),
    probability: t.exposeFloat('probability', {
      description: 'Probability that at least one unit more is oversold within the reaction times, 0 to 1.',
    }),
    listings: t.expose('listings', {
      type: [ListingExposureType],
      description: 'The listings that it comes from. Those whose number the channel owns do not count.',
    }),
  }),
});

const exposureOf = batched<ItemExposure>(({ accountId, sync }, ids) => sync.exposures(accountId, ids));

builder.prismaObjectField(InventoryItem, 'exposure', (t) =>
  t.field({
    type: Exposure,
    nullable: true,
    description: 'What can be oversold of it right now. Null when it was removed meanwhile.',
    select: { id: true },
    resolve: (item, _args, context) => exposureOf(context, item.id),
  }),
);

builder.queryField('exposure', (t) =>
  t.field({
    type: Exposure,
    nullable: true,
    description: 'What can be oversold of an item right now. Null when this account has no such item.',
    args: { itemId: t.arg.id({ required: true, description: 'The global id of the item.' }) },
    resolve: (_root, { itemId }, context) => exposureOf(context, requireId('InventoryItem', itemId)),
  }),
);
