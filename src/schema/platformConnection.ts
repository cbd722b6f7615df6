/** Marketplace accounts connected by the seller. Their secrets are never read here. */
import { builder } from './builder.ts';
import { byCreation, connectionOf, pageArgs, rootPage } from './connections.ts';
import type { Context } from './context.ts';
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

builder.queryField('connections', (t) =>
  t.field({
    type: PlatformConnectionConnection,
    description: 'The connected marketplace accounts, oldest first.',
    args: { ...pageArgs(), where: t.arg({ type: connectionWhere.type, description: 'Only these.' }) },
    resolve: (_root, args, context, info) =>
      rootPage<typeof PlatformConnection.$inferType>(context.prisma.connection, {
        typeName: 'PlatformConnection',
        sort: byCreation(false),
        where: { accountId: context.accountId, ...connectionWhere.condition(args.where) },
        args,
        context,
        info,
      }),
  }),
);

/** One connected marketplace account of the caller's account. A null id is answered with null. */
export async function readConnection(query: object, context: Context, id: string | null) {
  const selection = { ...query };
  if (id === null) return null;
  return context.prisma.connection.findUnique({
    ...selection,
    where: { id_accountId: { id, accountId: context.accountId } },
  });
}
