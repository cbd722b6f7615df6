/** The progress of a plan, live: first how it stands, then each step. */
import type { LogEvent } from '../sync/eventStream.ts';
import type { PlanStatus } from '../sync/planSql.ts';
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { SyncPlanStatus } from './enums.ts';
import { open, stream, withPresent } from './events.ts';
import { encodeId, requireId } from './globalId.ts';
import { envelopeOf, StreamEvent } from './stream.ts';
import { readPlan, SyncPlan } from './syncPlan.ts';
// oxlint-disable-next-line import/no-unassigned-import -- registers the entries beside the plan
import './syncPlanEntry.ts';

type PlanPayload = { readonly status: PlanStatus } & Readonly<
  Record<'listings' | 'applied' | 'changed' | 'undone' | 'failed', number>
>;

function planOf({ payload }: LogEvent): PlanPayload {
  return payload as PlanPayload;
}

const SyncPlanEvent = builder.objectRef<LogEvent>('SyncPlanEvent').implement({
  description: 'A plan made progress.',
  interfaces: [StreamEvent],
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    planId: t.id({
      description: 'The plan.',
      resolve: ({ subjectId }) => encodeId('SyncPlan', subjectId),
    }),
    status: t.field({
      type: SyncPlanStatus,
      description: 'How far it is.',
      resolve: (event) => planOf(event).status,
    }),
    listings: t.int({
      description: 'Listings read so far, 0 or more.',
      resolve: (event) => planOf(event).listings,
    }),
    applied: t.int({
      description: 'Entries carried out so far, 0 or more.',
      resolve: (event) => planOf(event).applied,
    }),
    changed: t.int({
      description: 'Entries left as they are because something changed, 0 or more.',
      resolve: (event) => planOf(event).changed,
    }),
    undone: t.int({
      description: 'Entries taken back so far, 0 or more.',
      resolve: (event) => planOf(event).undone,
    }),
    failed: t.int({
      description: 'Entries whose old number the channel refused, 0 or more.',
      resolve: (event) => planOf(event).failed,
    }),
    plan: t.prismaField({
      type: SyncPlan,
      nullable: true,
      description: 'The plan as it is now; null when it is gone.',
      resolve: (query, event, _args, context) => readPlan(query, context, event.subjectId),
    }),
  }),
});

const SyncPlanEventEnvelope = envelopeOf('SyncPlanEventEnvelope', SyncPlanEvent);

builder.subscriptionField('syncPlanProgress', (t) =>
  t.field({
    type: SyncPlanEventEnvelope,
    description:
      'The progress of one plan: first how it stands, then each step, only the newest when there are several. Goes on over `syncPlanApply` and `syncPlanUndo`. Errors: NOT_FOUND.',
    extensions: { scope: 'stock:read' },
    args: { id: t.arg.id({ required: true, description: 'The global id of the plan.' }) },
    subscribe: async (_root, args, context) => {
      const id = requireId('SyncPlan', args.id);
      if ((await presentPlan(context, id, '')) === null)
        throw apiError('NOT_FOUND', 'This account has no such plan.');
      const live = stream(context, null, {
        topic: 'plan',
        delivery: 'LATEST',
        accepts: (event) => event.subjectId === id,
      });
      return withPresent(live, true, async function* (cursor) {
        const event = await presentPlan(context, id, cursor);
        if (event) yield event;
      });
    },
    resolve: open,
  }),
);

async function presentPlan(
  { accountId, prisma }: Context,
  id: string,
  cursor: string,
): Promise<LogEvent | null> {
  const plan = await prisma.syncPlan.findUnique({
    where: { id_accountId: { id, accountId } },
    select: {
      connectionId: true,
      status: true,
      listings: true,
      applied: true,
      changed: true,
      undone: true,
      failed: true,
      updatedAt: true,
    },
  });
  if (plan === null) return null;
  const { updatedAt, ...progress } = plan;
  const payload = { planId: id, ...progress };
  return {
    topic: 'plan',
    accountId,
    subjectId: id,
    itemSeq: null,
    payload,
    createdAt: updatedAt,
    xid: 0n,
    cursor,
  };
}
