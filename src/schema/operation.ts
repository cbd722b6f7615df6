/** The operation log: what was asked of the channels for one item and what came of it. */
import { Actor } from './actor.ts';
import { builder } from './builder.ts';
import { byCreation, connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { OperationStatus, Platform, SyncAction } from './enums.ts';
import { InventoryItem } from './inventoryItem.ts';
import { Job, OperationStatusFilter } from './job.ts';
import { enumFilter, instant, member, noIndex, reference, where } from './where.ts';

export const SyncOperation = builder.prismaNode('SyncOperation', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id, accountId: context.accountId }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description: 'One thing done on the channels for one item.',
  fields: (t) => ({
    item: t.relation('item', { description: 'The item concerned.' }),
    job: t.relation('job', {
      nullable: true,
      description: 'The job it is part of; null when asked for by itself.',
    }),
    action: t.expose('action', { type: SyncAction, description: 'What it does.' }),
    targetPlatforms: t.expose('targetPlatforms', { type: [Platform], description: 'Where it does it.' }),
    status: t.expose('status', { type: OperationStatus, description: 'How far it is.' }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'Why it was given up; null unless it failed.',
    }),
    actor: t.field({
      type: Actor,
      description: 'Who asked for it.',
      select: { actorKind: true, actorId: true },
      resolve: (operation) => operation,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null before.',
    }),
  }),
});

const SyncOperationConnection = connectionOf('SyncOperation', 'operations', SyncOperation, 'stock:read');

builder.prismaObjectField(InventoryItem, 'operations', (t) =>
  t.field({
    type: SyncOperationConnection,
    description: 'What was done on the channels for it, newest first.',
    ...relatedPage<typeof SyncOperation.$inferType>('operations', 'SyncOperation', byCreation(true)),
  }),
);

builder.prismaObjectField(Job, 'operations', (t) =>
  t.field({
    type: SyncOperationConnection,
    description: 'What it consists of, oldest first.',
    ...relatedPage<typeof SyncOperation.$inferType>('operations', 'SyncOperation', byCreation(false)),
  }),
);

const operationWhere = where('SyncOperationWhere', 'operations', {
  itemId: reference('itemId', 'InventoryItem', 'The item concerned.'),
  jobId: reference('jobId', 'Job', 'The job it is part of.'),
  action: member('action', enumFilter('SyncActionFilter', SyncAction), `What it does. ${noIndex}`),
  status: member('status', OperationStatusFilter, 'How far it is.'),
  updatedAt: instant('updatedAt', `The last change. ${noIndex}`),
});

const order = orderOf('SyncOperationOrderBy', 'operations', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was asked for' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

listField('operations', {
  type: SyncOperationConnection,
  model: 'syncOperation',
  node: SyncOperation,
  description: 'What was done on the channels.',
  where: operationWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

/** One operation of the caller's account. A null id is answered with null. */
export const readOperation = readOne('syncOperation');
