/** Marketplace accounts connected by the seller. Their secrets are never read here. */
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne } from './connections.ts';
import { ConnectionStatus, Platform } from './enums.ts';
import { enumFilter, instant, member, text, where } from './where.ts';

export const PlatformConnection = builder.prismaNode('Connection', {
  name: 'PlatformConnection',
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  description: "A seller's account on one marketplace.",
  fields: (t) => ({
    platform: t.expose('platform', { type: Platform, description: 'The marketplace.' }),
    name: t.exposeString('name', { description: 'What the seller calls it.' }),
    externalAccountId: t.exposeString('externalAccountId', {
      description: "The marketplace's own id of the account.",
    }),
    status: t.expose('status', { type: ConnectionStatus, description: 'Whether it can be used.' }),
    syncEnabled: t.exposeBoolean('syncEnabled', { description: 'Whether numbers are written to it.' }),
    awaitingPlan: t.exposeBoolean('awaitingPlan', {
      description:
        'True for a new connection until a plan of it is applied: what it offers is looked at, and nothing is written.',
    }),
    ordersWatermark: t.expose('ordersWatermark', {
      type: 'DateTime',
      nullable: true,
      description: "The channel's time up to which every order is known; null before the first poll.",
    }),
    lastPolledAt: t.expose('lastPolledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its orders were last asked for.',
    }),
    lastSyncedAt: t.expose('lastSyncedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a number was last written to it or read from it.',
    }),
    lastError: t.exposeString('lastError', {
      nullable: true,
      description: 'What last went wrong; null when nothing did since.',
    }),
    lastErrorAt: t.expose('lastErrorAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it went wrong.',
    }),
    connectedAt: t.expose('connectedAt', { type: 'DateTime', description: 'When the seller connected it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created here.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
});

const PlatformConnectionConnection = connectionOf(
  'PlatformConnection',
  'connected marketplace accounts',
  PlatformConnection,
  null,
);

export const PlatformFilter = enumFilter('PlatformFilter', Platform);

const connectionWhere = where('PlatformConnectionWhere', 'connected marketplace accounts', {
  platform: member('platform', PlatformFilter, 'The marketplace.'),
  status: member('status', enumFilter('ConnectionStatusFilter', ConnectionStatus), 'Whether it can be used.'),
  name: text('name', 'What the seller calls it.'),
  updatedAt: instant('updatedAt', 'The last change.'),
});

const order = orderOf('PlatformConnectionOrderBy', 'connected marketplace accounts', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was created here' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

listField('connections', {
  type: PlatformConnectionConnection,
  model: 'connection',
  node: PlatformConnection,
  description: 'The connected marketplace accounts.',
  where: connectionWhere,
  order,
});

/** One connection of the caller's account. A null id is answered with null. */
export const readConnection = readOne('connection');
