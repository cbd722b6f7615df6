/** Jobs: long work that was queued, with its progress. */
import { Actor } from './actor.ts';
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne } from './connections.ts';
import { JobKind, OperationStatus } from './enums.ts';
import { requireId } from './globalId.ts';
import { enumFilter, instant, member, where } from './where.ts';

export const Job = builder.prismaNode('Job', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description: 'Long work that was queued. `jobProgress` follows it live.',
  fields: (t) => ({
    kind: t.expose('kind', { type: JobKind, description: 'What it does.' }),
    status: t.expose('status', { type: OperationStatus, description: 'How far it is.' }),
    total: t.exposeInt('total', {
      description: 'Operations queued so far, 0 or more. Grows until everything is queued.',
    }),
    completed: t.exposeInt('completed', { description: 'Operations done, 0 to `total`.' }),
    failed: t.exposeInt('failed', { description: 'Operations given up, 0 to `total`.' }),
    fullyQueued: t.exposeBoolean('fullyQueued', { description: 'Whether `total` is final.' }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'Why it was given up; null unless it failed.',
    }),
    actor: t.field({
      type: Actor,
      description: 'Who asked for it.',
      select: { actorKind: true, actorId: true },
      resolve: (job) => job,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last made progress.' }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null before.',
    }),
  }),
});

const JobConnection = connectionOf('Job', 'jobs', Job, 'stock:read');

export const OperationStatusFilter = enumFilter('OperationStatusFilter', OperationStatus);

const jobWhere = where('JobWhere', 'jobs', {
  kind: member('kind', enumFilter('JobKindFilter', JobKind), 'What it does.'),
  status: member('status', OperationStatusFilter, 'How far it is.'),
  updatedAt: instant('updatedAt', 'The last progress.'),
});

const order = orderOf('JobOrderBy', 'jobs', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was asked for' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last progress' },
});

listField('jobs', {
  type: JobConnection,
  model: 'job',
  node: Job,
  description: 'The jobs of the account.',
  where: jobWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

builder.queryField('job', (t) =>
  t.prismaField({
    type: Job,
    nullable: true,
    description: 'One job by its id. Null when this account has no such job.',
    args: { id: t.arg.id({ required: true, description: 'The global id of the job.' }) },
    resolve: (query, _root, args, context) => readJob(query, context, requireId('Job', args.id)),
  }),
);

/** One job of the caller's account. A null id is answered with null. */
export const readJob = readOne('job');
