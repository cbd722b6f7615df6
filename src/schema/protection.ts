/** How an item is kept from being oversold: its protection, and under escrow the rights behind every shown unit. */
import type { Escrow as EscrowState, EscrowUnit } from '../sync/core/escrow.ts';
import { builder } from './builder.ts';
import { Protection } from './enums.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { Listing, readListing } from './listing.ts';
import { answered, payloadOf, refusedWith } from './mutation.ts';
import { notFound } from './userErrors.ts';

type Rights = EscrowUnit & { readonly listingId: string };

const violations = {
  A1: 'the channel sold, or would sell, beyond the number it was given',
  A2: 'a write took effect after it was settled',
  A3: 'an order became known later than it should',
  A4: 'somebody else raised the number',
} as const;

const EscrowShare = builder.objectRef<Rights>('EscrowShare').implement({
  description: 'The rights to sell that one listing holds. Units.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    listing: t.prismaField({
      type: Listing,
      nullable: true,
      description: 'The listing.',
      resolve: (query, { listingId }, _args, context) => readListing(query, context, listingId),
    }),
    inForce: t.exposeInt('cur', { description: 'Rights in force: units it may sell now, 0 or more.' }),
    replaced: t.exposeInt('old', {
      description: 'Rights that were replaced and whose sales may not be known yet, 0 or more.',
    }),
    pending: t.exposeInt('new', { description: 'Rights in a write that is not confirmed yet, 0 or more.' }),
    paused: t.string({
      nullable: true,
      description: 'Why nothing is granted to it and it is taken to zero; null when it takes part.',
      resolve: ({ paused }) => (paused === null ? null : `${paused}: ${violations[paused]}`),
    }),
  }),
});

const Escrow = builder.objectRef<EscrowState>('Escrow').implement({
  description:
    'The rights behind every shown unit of an item under escrow. `available` is always `free` plus the sum of all rights, less `shortfall`.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    available: t.exposeInt('available', {
      description: 'Units that can be sold, as last booked; may be below 0.',
    }),
    free: t.exposeInt('free', { description: 'Units that no listing holds a right to, 0 or more.' }),
    shortfall: t.exposeInt('shortfall', {
      description: 'Units that were taken from the stock while they were granted, to be drained; 0 or more.',
    }),
    rights: t.field({
      type: [EscrowShare],
      description: 'What each listing holds.',
      resolve: ({ units }) =>
        Object.entries(units).map(([listingId, unit]) => Object.assign({ listingId }, unit)),
    }),
  }),
});

builder.prismaObjectFields(InventoryItem, (t) => ({
  protection: t.expose('protection', {
    type: Protection,
    description: 'How it is kept from being oversold.',
  }),
  escrow: t.field({
    type: Escrow,
    nullable: true,
    description: 'Its rights; null while it is in the shared pool.',
    select: { escrow: { select: { state: true } } },
    resolve: ({ escrow }) => (escrow === null ? null : (escrow.state as unknown as EscrowState)),
  }),
}));

const ProtectionSetPayload = payloadOf<{ readonly itemId: string }>('InventoryItemProtectionSetPayload', {
  verbs: '`inventoryItemProtectionSet`',
  field: 'item',
  type: InventoryItem,
  read: readItem,
  description: 'The item as it is now; null when there is none.',
});

const ProtectionSetInput = builder.inputType('InventoryItemProtectionSetInput', {
  description: 'How an item is to be protected.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the item.' }),
    protection: t.field({ type: Protection, required: true, description: 'The protection.' }),
  }),
});

builder.mutationField('inventoryItemProtectionSet', (t) =>
  t.field({
    type: ProtectionSetPayload,
    description:
      'Sets how an item is kept from being oversold. Escrow needs every listing of the item to be written by this server and to refuse what is beyond its number. Repeating it changes nothing. Errors: NOT_FOUND, INVALID_INPUT.',
    extensions: { scope: 'stock:write' },
    args: {
      input: t.arg({ type: ProtectionSetInput, required: true, description: 'The item and its protection.' }),
    },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      const { protection } = input;
      return answered(itemId, await context.sync.setProtection(context.caller, { itemId, protection }));
    },
  }),
);

const EscrowResumePayload = payloadOf<{ readonly listingId: string }>('EscrowResumePayload', {
  verbs: '`escrowResume`',
  field: 'listing',
  type: Listing,
  read: readListing,
  description: 'The listing; null when there is none under escrow.',
});

const EscrowResumeInput = builder.inputType('EscrowResumeInput', {
  description: 'Which listing takes part again.',
  fields: (t) => ({
    listingId: t.id({ required: true, description: 'The global id of the listing.' }),
  }),
});

builder.mutationField('escrowResume', (t) =>
  t.field({
    type: EscrowResumePayload,
    description:
      'Lets a listing that was paused at zero take part again; what it may show now counts as granted. Not while it sells beyond its number. Repeating it changes nothing. Errors: NOT_FOUND, INVALID_INPUT.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: EscrowResumeInput, required: true, description: 'The listing.' }) },
    resolve: async (_root, { input }, context) => {
      const listingId = idOf('Listing', input.listingId);
      if (listingId === null) return refusedWith(notFound(['input', 'listingId'], 'listing'));
      return answered(listingId, await context.sync.resumeEscrow(context.caller, listingId));
    },
  }),
);
