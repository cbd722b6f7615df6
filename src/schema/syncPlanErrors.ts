/** Why a plan was not made, changed, applied or taken back, in types that a client can act on. */
import type { Problem } from '../sync/outcome.ts';
import { builder } from './builder.ts';
import { encodeId } from './globalId.ts';
import { UserError } from './userErrors.ts';

builder.objectRef<Problem>('PlanStatusError').implement({
  description: "The plan's status does not allow it, or the plan is too old.",
  interfaces: [UserError],
  fields: (t) => ({
    current: t.string({
      nullable: true,
      description: 'How far the plan is: a member of `SyncPlanStatus`; null when it is simply too old.',
      resolve: ({ current }) => (typeof current === 'string' ? current.toUpperCase() : null),
    }),
  }),
});

builder.objectRef<Problem>('PlanTooLargeError').implement({
  description:
    'The plan would zero or change more of the connection than its limits let pass unseen. Look at it, then apply it with `acknowledgeLarge: true`.',
  interfaces: [UserError],
  fields: (t) => ({
    listings: t.int({
      description: 'Listings of the connection.',
      resolve: ({ size }) => size?.listings ?? 0,
    }),
    zeroing: t.int({ description: 'Listings it would zero.', resolve: ({ size }) => size?.zeroing ?? 0 }),
    changing: t.int({
      description: 'Listings it would raise, lower or zero.',
      resolve: ({ size }) => size?.changing ?? 0,
    }),
  }),
});

builder.objectRef<Problem>('ChannelCannotWinError').implement({
  description:
    "The channel's number cannot be made the right one: listings of one item show different numbers, or a rule does not let a listing show its own.",
  interfaces: [UserError],
  fields: (t) => ({
    listingIds: t.idList({
      description: 'The listings concerned, at most 100.',
      resolve: ({ listingIds }) => (listingIds ?? []).map((id) => encodeId('Listing', id)),
    }),
  }),
});
