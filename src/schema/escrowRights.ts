/** Rights to sell under escrow, as an explanation shows them. */
import type { Rights, RightsElsewhere } from '../sync/explanation.ts';
import { builder } from './builder.ts';
import { Platform } from './enums.ts';
import { encodeId } from './globalId.ts';

const RightsElsewhereType = builder.objectRef<RightsElsewhere>('EscrowRightsElsewhere').implement({
  description: 'Rights to sell that another listing of the item holds.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    listingId: t.id({
      description: 'That listing.',
      resolve: ({ listingId }) => encodeId('Listing', listingId),
    }),
    platform: t.expose('platform', { type: Platform, description: 'Its marketplace.' }),
    units: t.exposeInt('units', {
      description: 'Units, 0 or more: rights in force, replaced and unconfirmed together.',
    }),
  }),
});

export const EscrowRights = builder.objectRef<Rights>('EscrowRights').implement({
  description: 'Rights to sell under escrow: no unit is granted to two channels.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    inForce: t.exposeInt('cur', { description: 'Units that the channel may sell now, 0 or more.' }),
    replaced: t.exposeInt('old', {
      description: 'Units of rights replaced whose sales may be unseen, 0 or more.',
    }),
    unconfirmed: t.exposeInt('new', { description: 'Units in a write that is not confirmed, 0 or more.' }),
    free: t.exposeInt('free', { description: 'Units of the item that no channel holds, 0 or more.' }),
    elsewhere: t.expose('elsewhere', {
      type: [RightsElsewhereType],
      description: 'Where the other units of the item are, by listing.',
    }),
  }),
});
