/** Conflicts: readings that nothing we know explains, with what to do about them. */
import { type Platform as PlatformName, platforms } from '../connectors/connector.ts';
import { builder } from './builder.ts';
import { byCreation, connectionOf, orderOf, pageArgs, relatedPage, rootPage } from './connections.ts';
import type { Context } from './context.ts';
import { ConflictResolution, ConflictStatus, ConflictType, Platform } from './enums.ts';
import { InventoryItem } from './inventoryItem.ts';
import { Listing } from './listing.ts';
import { enumFilter, instant, member, reference, where } from './where.ts';

export const SyncConflict = builder.prismaNode('SyncConflict', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id, accountId: context.accountId }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description: 'A channel shows something that neither our writes nor the known orders explain.',
  fields: (t) => ({
    item: t.relation('item', { description: 'The item concerned.' }),
    listing: t.relation('listing', {
      nullable: true,
      description: 'The listing concerned; null when it is about the item on several channels.',
    }),
    conflictType: t.expose('conflictType', { type: ConflictType, description: 'What does not agree.' }),
    platforms: t.field({
      type: [Platform],
      description: 'The marketplaces concerned.',
      select: { conflictData: true, listing: { select: { platform: true } } },
      resolve: (conflict) =>
        conflict.listing ? [conflict.listing.platform] : platformsOf(conflict.conflictData),
    }),
    suggestedResolution: t.expose('suggestedResolution', {
      type: ConflictResolution,
      description: 'The way out that the evidence supports.',
    }),
    autoResolvable: t.exposeBoolean('autoResolvable', {
      description: 'Whether the server may decide by itself.',
    }),
    status: t.expose('status', { type: ConflictStatus, description: 'Whether it still needs a decision.' }),
    resolution: t.expose('resolution', {
      type: ConflictResolution,
      nullable: true,
      description: 'What was decided; null unless resolved.',
    }),
    version: t.exposeInt('version', {
      description: 'Grows with new evidence. A decision names the version it was made on.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was found.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
    resolvedAt: t.expose('resolvedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was closed; null while open.',
    }),
  }),
});

const SyncConflictConnection = connectionOf('SyncConflict', 'conflicts', SyncConflict, 'stock:read');

builder.prismaObjectField(InventoryItem, 'conflicts', (t) =>
  t.field({
    type: SyncConflictConnection,
    description: 'Its conflicts, newest first.',
    ...relatedPage<typeof SyncConflict.$inferType>('conflicts', 'SyncConflict', byCreation(true)),
  }),
);

builder.prismaObjectField(Listing, 'conflicts', (t) =>
  t.field({
    type: SyncConflictConnection,
    description: 'Its conflicts, newest first.',
    ...relatedPage<typeof SyncConflict.$inferType>('conflicts', 'SyncConflict', byCreation(true)),
  }),
);

const order = orderOf('SyncConflictOrderBy', 'conflicts', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was found' },
});

const conflictWhere = where('SyncConflictWhere', 'conflicts', {
  itemId: reference('itemId', 'InventoryItem', 'The item concerned.'),
  listingId: reference('listingId', 'Listing', 'The listing concerned.'),
  conflictType: member(
    'conflictType',
    enumFilter('ConflictTypeFilter', ConflictType),
    'What does not agree.',
  ),
  status: member(
    'status',
    enumFilter('ConflictStatusFilter', ConflictStatus),
    'Whether it still needs a decision.',
  ),
  updatedAt: instant('updatedAt', 'The last change.'),
});

builder.queryField('conflicts', (t) =>
  t.field({
    type: SyncConflictConnection,
    description: 'The conflicts of the account.',
    args: {
      ...pageArgs(),
      where: t.arg({ type: conflictWhere.type, description: 'Only these.' }),
      orderBy: t.arg({ type: order.type, defaultValue: 'CREATED_AT_DESC', description: 'In which order.' }),
    },
    resolve: (_root, args, context, info) =>
      rootPage<typeof SyncConflict.$inferType>(context.prisma.syncConflict, {
        typeName: 'SyncConflict',
        sort: order.by(args.orderBy),
        where: { accountId: context.accountId, ...conflictWhere.condition(args.where) },
        args,
        context,
        info,
      }),
  }),
);

/** One conflict of the caller's account. A null id is answered with null. */
export async function readConflict(query: object, context: Context, id: string | null) {
  const selection = { ...query };
  if (id === null) return null;
  return context.prisma.syncConflict.findUnique({
    ...selection,
    where: { id, accountId: context.accountId },
  });
}

function platformsOf(data: unknown): PlatformName[] {
  const named = (data as { platforms?: unknown } | null)?.platforms;
  return Array.isArray(named) ? platforms.filter((platform) => named.includes(platform)) : [];
}
