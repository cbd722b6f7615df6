/** Saying which item a listing sells or a SKU means; what waited for that is then applied. */
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { Listing, readListing } from './listing.ts';
import { answered, payloadOf, refusedWith } from './mutation.ts';
import { notFound } from './userErrors.ts';

const ListingMapPayload = payloadOf<{ readonly listingId: string }>('ListingMapPayload', {
  verbs: '`listingMap`',
  field: 'listing',
  type: Listing,
  read: readListing,
  description: 'The listing as it is now. Null when this account has no such listing.',
});

const ListingMapInput = builder.inputType('ListingMapInput', {
  description: 'Which item a listing sells.',
  fields: (t) => ({
    listingId: t.id({ required: true, description: 'The global id of the listing.' }),
    itemId: t.id({ required: true, description: 'The global id of the item it sells.' }),
  }),
});

builder.mutationField('listingMap', (t) =>
  t.field({
    type: ListingMapPayload,
    description:
      'Says which item a listing sells. Order lines of that listing that waited for it are applied. Repeating it changes nothing. Errors: NOT_FOUND, INVALID_INPUT.',
    extensions: { scope: 'listings:write' },
    args: { input: t.arg({ type: ListingMapInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const listingId = idOf('Listing', input.listingId);
      if (listingId === null) return refusedWith(notFound(['input', 'listingId'], 'listing'));
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      return answered(listingId, await context.sync.mapListing(context.caller, { listingId, itemId }));
    },
  }),
);

const SkuMapPayload = payloadOf<{ readonly linesApplied: number }>('SkuMapPayload', {
  verbs: '`skuMap`',
  field: 'item',
  type: InventoryItem,
  read: readItem,
  description: 'The item as it is now. Null when this account has no such item.',
});

builder.objectFields(SkuMapPayload, (t) => ({
  linesApplied: t.int({
    description: 'Order lines that waited for this SKU and are now applied, 0 or more.',
    resolve: (payload) => payload.value?.linesApplied ?? 0,
  }),
}));

const SkuMapInput = builder.inputType('SkuMapInput', {
  description: 'Which item an unmatched SKU means.',
  fields: (t) => ({
    sku: t.string({ required: true, description: "The channel's spelling, as `unmatchedSkus` shows it." }),
    itemId: t.id({ required: true, description: 'The global id of the item it means.' }),
  }),
});

builder.mutationField('skuMap', (t) =>
  t.field({
    type: SkuMapPayload,
    description:
      'Says which item an unmatched SKU means. Every order line that waited for it is applied. Repeating it changes nothing. Errors: NOT_FOUND, INVALID_INPUT.',
    extensions: { scope: 'listings:write' },
    args: { input: t.arg({ type: SkuMapInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      return answered(itemId, await context.sync.mapSku(context.caller, { sku: input.sku, itemId }));
    },
  }),
);
