/** What is observed beside another tool: what sync would show where it writes nothing, and how that compares. */
import { type ConnectionObservation, type ObservedListing, observationWords } from '../sync/observations.ts';
import { batched } from './batches.ts';
import { builder } from './builder.ts';
import { Explanation } from './explanation.ts';
import { Listing } from './listing.ts';
import { ConnectionHealth } from './syncHealth.ts';

const observedOf = batched<ObservedListing>(({ accountId, sync }, ids) =>
  sync.observedListings(accountId, ids),
);

builder.prismaObjectFields(Listing, (t) => ({
  wouldShow: t.int({
    nullable: true,
    description:
      'Units that sync would show by its rules right now, 0 or more, where it only looks: the listing or its connection is switched off, or waits for its first plan. Null where numbers are written, or never would be because the channel owns them, where nobody has said which item it sells, and where its item is protected (ESCROW or AUTOMATIC).',
    select: { id: true },
    resolve: async ({ id }, _args, context) => (await observedOf(context, id))?.wouldShow ?? null,
  }),
  differs: t.boolean({
    nullable: true,
    description:
      'Whether it showed another number than sync would have, by the newest look (see `lastUpdated`). Null where it is not observed, and before the first look.',
    select: { id: true },
    resolve: async ({ id }, _args, context) => (await observedOf(context, id))?.differs ?? null,
  }),
}));

builder.objectField(Explanation, 'observedAt', (t) =>
  t.expose('observedAt', {
    type: 'DateTime',
    nullable: true,
    description:
      'When `shown` was read, where nothing is written and the number is observed; null elsewhere, and before the first look.',
  }),
);

const Observation = builder.objectRef<ConnectionObservation>('Observation').implement({
  description:
    'The listings of a marketplace account that are looked at and not written to, each at most once in `OBSERVE_INTERVAL_MS`.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    summary: t.string({
      description: 'All of it in plain words. May change.',
      resolve: observationWords,
    }),
    listings: t.exposeInt('listings', { description: 'How many, 0 or more.' }),
    differing: t.exposeInt('differing', {
      description:
        'Of these, how many showed another number than sync would have, by the newest look at each.',
    }),
    unseen: t.exposeInt('unseen', {
      description: 'Of these, how many nobody has looked at yet: a batch of a hundred a minute.',
    }),
    unreadable: t.exposeInt('unreadable', {
      description:
        'Of these, how many could not be read by the newest look: not counted there, or not found. `Listing.lastError` says why.',
    }),
    oldestAt: t.expose('oldestAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the oldest of the numbers was read; null where there is none that can be.',
    }),
    differences: t.prismaField({
      type: [Listing],
      description: 'The first 20 of those that differ, oldest first: `quantity` is what they show.',
      resolve: (query, { differingIds }, _args, { prisma, accountId }) =>
        prisma.listing.findMany({
          ...query,
          where: { accountId, id: { in: [...differingIds] } },
          orderBy: { id: 'asc' },
        }),
    }),
  }),
});

const observationOf = batched<ConnectionObservation>(({ accountId, sync }, ids) =>
  sync.observations(accountId, ids),
);

builder.objectField(ConnectionHealth, 'observed', (t) =>
  t.field({
    type: Observation,
    nullable: true,
    description:
      'What is looked at there and not written to, counted only when selected. Null when the account was removed meanwhile.',
    resolve: ({ connectionId }, _args, context) => observationOf(context, connectionId),
  }),
);
