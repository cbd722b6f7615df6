/** The entries of a plan: one listing each, with what it shows, what it should show, and why. */
import { builder } from './builder.ts';
import { byCreation, connectionOf, pageArgs, relatedPage } from './connections.ts';
import { SyncPlanAction, SyncPlanEntryState, SyncPlanReason, SyncPlanWinner } from './enums.ts';
import { SyncPlan } from './syncPlan.ts';
import { enumFilter, flag, integer, member, reference, where } from './where.ts';

export const SyncPlanEntry = builder.prismaNode('SyncPlanEntry', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id, accountId: context.accountId }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description: 'What a plan says about one listing.',
  fields: (t) => ({
    plan: t.relation('plan', { description: 'The plan it is part of.' }),
    listing: t.relation('listing', { description: 'The listing.' }),
    item: t.relation('item', {
      nullable: true,
      description: 'The item it sold when the plan was made; null when nobody knew.',
    }),
    action: t.expose('action', {
      type: SyncPlanAction,
      description: 'What our number would do there, whoever is to win.',
    }),
    reason: t.expose('reason', { type: SyncPlanReason, description: 'Why, for programs.' }),
    why: t.exposeString('why', { description: 'Why, in plain words.' }),
    shown: t.exposeInt('shown', {
      nullable: true,
      description:
        'Units that the channel said it shows, 0 or more; null when it does not count them or did not say. Never read as 0.',
    }),
    shownAt: t.expose('shownUntil', { type: 'DateTime', description: 'When it said so.' }),
    available: t.exposeInt('available', {
      nullable: true,
      description: 'Units that the ledger had to sell then; below zero when oversold; null without an item.',
    }),
    target: t.exposeInt('target', {
      nullable: true,
      description: 'Units that it should have shown then, 0 or more; null without an item.',
    }),
    winner: t.expose('winner', { type: SyncPlanWinner, description: 'Whose number is to be right.' }),
    ledgerDelta: t.exposeInt('ledgerDelta', {
      nullable: true,
      description:
        'Units that the ledger would move by if the channel wins; null where it cannot. Computed anew when the plan is applied.',
    }),
    bookedDelta: t.exposeInt('bookedDelta', {
      nullable: true,
      description: 'Units that the ledger was moved by with this entry; null when it was not.',
    }),
    state: t.expose('state', { type: SyncPlanEntryState, description: 'How far it is.' }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'Why it was not carried out, or not taken back; null otherwise.',
    }),
    restoredTo: t.exposeInt('restoreTo', {
      nullable: true,
      description: 'Units that an undo wrote, 0 or more: the old number less what was sold since.',
    }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
});

const SyncPlanEntryConnection = connectionOf(
  'SyncPlanEntry',
  'entries of a plan',
  SyncPlanEntry,
  'stock:read',
);

const entryWhere = where('SyncPlanEntryWhere', 'entries of a plan', {
  action: member(
    'action',
    enumFilter('SyncPlanActionFilter', SyncPlanAction),
    'What our number would do there.',
  ),
  reason: member('reason', enumFilter('SyncPlanReasonFilter', SyncPlanReason), 'Why.'),
  winner: member(
    'winner',
    enumFilter('SyncPlanWinnerFilter', SyncPlanWinner),
    'Whose number is to be right.',
  ),
  state: member('state', enumFilter('SyncPlanEntryStateFilter', SyncPlanEntryState), 'How far it is.'),
  listingId: reference('listingId', 'Listing', 'The listing.'),
  itemId: reference('itemId', 'InventoryItem', 'The item it sold when the plan was made.'),
  shown: integer('shown', 'Units shown.'),
  channelCanWin: flag('Whether the channel can win there.', (can) => ({
    ledgerDelta: can ? { not: null } : null,
  })),
});

type EntryArguments = { readonly where?: Readonly<Record<string, unknown>> | null };

builder.prismaObjectField(SyncPlan, 'entries', (t) =>
  t.field({
    type: SyncPlanEntryConnection,
    description: 'What it says, one entry per listing, in the order in which they were read.',
    ...relatedPage<typeof SyncPlanEntry.$inferType>(
      'entries',
      'SyncPlanEntry',
      byCreation(false),
      ({ where: narrowing }: EntryArguments) => entryWhere.condition(narrowing),
    ),
    args: { ...pageArgs(), where: t.arg({ type: entryWhere.type, description: 'Only these.' }) },
  }),
);
