/** Plans: the first sync of a connection, to be looked at before anything is done. */
import { Actor } from './actor.ts';
import { builder } from './builder.ts';
import { byCreation, connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { SyncPlanStatus, SyncPlanWinner } from './enums.ts';
import { requireId } from './globalId.ts';
import { PlatformConnection } from './platformConnection.ts';
import { enumFilter, instant, member, reference, where } from './where.ts';

export const SyncPlan = builder.prismaNode('SyncPlan', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description:
    'What the first sync of a connection would do and why, listing by listing. `syncPlanCreate` makes one; nothing is written before `syncPlanApply`, and `syncPlanUndo` takes it back.',
  fields: (t) => ({
    connection: t.relation('connection', { description: 'The marketplace account it is about.' }),
    status: t.expose('status', { type: SyncPlanStatus, description: 'How far it is.' }),
    winner: t.expose('winner', {
      type: SyncPlanWinner,
      description: 'Who wins where nobody said otherwise.',
    }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'What last went wrong; null when nothing did since. A plan under way goes on by itself.',
    }),
    actor: t.field({
      type: Actor,
      description: 'Who asked for it.',
      select: { actorKind: true, actorId: true },
      resolve: (plan) => plan,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
    readyAt: t.expose('readyAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When everything was read; null before.',
    }),
    appliedAt: t.expose('appliedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When every entry was carried out; null before.',
    }),
    undoneAt: t.expose('undoneAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When everything was taken back; null before.',
    }),
  }),
});

// How much it would do. The numbers follow who is to win.
builder.prismaObjectFields(SyncPlan, (t) => ({
  listings: t.exposeInt('listings', {
    description: 'Listings of the connection, 0 or more; grows while the plan is being made.',
  }),
  raising: t.exposeInt('raising', { description: 'Listings that would show more, 0 or more.' }),
  lowering: t.exposeInt('lowering', { description: 'Listings that would show fewer, but some; 0 or more.' }),
  zeroing: t.exposeInt('zeroing', {
    description: 'Listings that would show nothing any more, 0 or more.',
  }),
  unchanged: t.exposeInt('unchanged', {
    description: 'Listings that show the right number already, 0 or more.',
  }),
  leftOut: t.exposeInt('leftOut', { description: 'Listings where nothing can be done, 0 or more.' }),
  channelWins: t.exposeInt('channelWins', {
    description: "Listings that keep the channel's number, 0 or more.",
  }),
  skipped: t.exposeInt('skipped', { description: 'Listings that will not be written to, 0 or more.' }),
  unitsAdded: t.exposeInt('unitsAdded', {
    description: 'Units that the ledger would gain where the channel wins, 0 or more.',
  }),
  unitsRemoved: t.exposeInt('unitsRemoved', {
    description: 'Units that the ledger would lose where the channel wins, 0 or more.',
  }),
  zeroShare: t.float({
    description: 'Share of the listings that would be zeroed, from 0 to 1.',
    select: { zeroing: true, listings: true },
    resolve: ({ zeroing, listings }) => shareOf(zeroing, listings),
  }),
  changeShare: t.float({
    description: 'Share of the listings whose number would change, from 0 to 1.',
    select: { raising: true, lowering: true, zeroing: true, listings: true },
    resolve: ({ raising, lowering, zeroing, listings }) => shareOf(raising + lowering + zeroing, listings),
  }),
  needsAcknowledgement: t.exposeBoolean('large', {
    description:
      "Whether that is more than the connection's limits let pass unseen. `syncPlanApply` then asks for `acknowledgeLarge: true`.",
  }),
  acknowledged: t.exposeBoolean('acknowledged', {
    description: 'Whether somebody has said that they have seen how much would change.',
  }),
  applied: t.exposeInt('applied', { description: 'Entries carried out so far, 0 or more.' }),
  changed: t.exposeInt('changed', {
    description: 'Entries left as they are, because something changed since the plan was made; 0 or more.',
  }),
  undone: t.exposeInt('undone', { description: 'Entries taken back so far, 0 or more.' }),
  failed: t.exposeInt('failed', {
    description: 'Entries whose old number the channel refused, 0 or more.',
  }),
}));

function shareOf(count: number, listings: number): number {
  return listings === 0 ? 0 : count / listings;
}

const SyncPlanConnection = connectionOf('SyncPlan', 'plans', SyncPlan, 'stock:read');

builder.prismaObjectField(PlatformConnection, 'plans', (t) =>
  t.field({
    type: SyncPlanConnection,
    description: 'Its plans, newest first.',
    ...relatedPage<typeof SyncPlan.$inferType>('plans', 'SyncPlan', byCreation(true)),
  }),
);

const planWhere = where('SyncPlanWhere', 'plans', {
  connectionId: reference('connectionId', 'PlatformConnection', 'The marketplace account it is about.'),
  status: member('status', enumFilter('SyncPlanStatusFilter', SyncPlanStatus), 'How far it is.'),
  updatedAt: instant('updatedAt', 'The last change.'),
});

const order = orderOf('SyncPlanOrderBy', 'plans', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was asked for' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

listField('syncPlans', {
  type: SyncPlanConnection,
  model: 'syncPlan',
  node: SyncPlan,
  description: 'The plans of the account.',
  where: planWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

builder.queryField('syncPlan', (t) =>
  t.prismaField({
    type: SyncPlan,
    nullable: true,
    description: 'One plan by its id. Null when this account has no such plan.',
    args: { id: t.arg.id({ required: true, description: 'The global id of the plan.' }) },
    resolve: (query, _root, args, context) => readPlan(query, context, requireId('SyncPlan', args.id)),
  }),
);

/** One plan of the caller's account. A null id is answered with null. */
export const readPlan = readOne('syncPlan');
