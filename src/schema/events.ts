/** Subscriptions that survive reconnects: replay after the cursor, then live; alerts and jobs first say how things stand. */
import type { Envelope, LogEvent, Subscription } from '../sync/eventStream.ts';
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';
import { ConflictEventEnvelope } from './conflictEvent.ts';
import type { Context } from './context.ts';
import { presentAlerts } from './currentAlerts.ts';
import { AlertStatus } from './enums.ts';
import {
  AlertEventEnvelope,
  JobEventEnvelope,
  OrderEventEnvelope,
  StockEventEnvelope,
} from './eventTypes.ts';
import { requireId } from './globalId.ts';
import type { EnvelopeShape } from './stream.ts';

const listMax = 100;

type Narrowing = Pick<Subscription, 'topic' | 'accepts'> & { readonly delivery?: Subscription['delivery'] };

const StreamDelivery = builder.enumType('StreamDelivery', {
  description: 'What a consumer gets that is slower than the events.',
  values: {
    EVERY: { value: 'EVERY', description: 'Every event, late ones from the log. For integrations.' },
    LATEST: { value: 'LATEST', description: 'Only the newest of each subject. For dashboards.' },
  } as const,
});

const StockEventsWhere = builder.inputType('StockEventsWhere', {
  description: 'Which items to follow. What is left out does not narrow.',
  fields: (t) => ({
    itemIds: t.idList({ description: `Only these items, by global id (at most ${listMax}).` }),
    skus: t.stringList({ description: `Only items with these SKUs (at most ${listMax}).` }),
  }),
});

export const afterDescription =
  'Resume after this cursor. Left out: from now on. Over SSE, a `Last-Event-ID` header takes its place when a browser reconnects.';

builder.subscriptionField('stockEvents', (t) =>
  t.field({
    type: StockEventEnvelope,
    description: 'Every change of stock. Per item in the order of `seq`. Errors: INVALID_CURSOR.',
    extensions: { scope: 'stock:read' },
    args: {
      after: t.arg({ type: 'Cursor', description: afterDescription }),
      where: t.arg({ type: StockEventsWhere, description: 'Only these items.' }),
      delivery: t.arg({
        type: StreamDelivery,
        required: true,
        defaultValue: 'EVERY',
        description: 'What to get when slower than the events.',
      }),
    },
    subscribe: (_root, { after, where, delivery }, context) => {
      const ids = bounded(where?.itemIds)?.map((id) => requireId('InventoryItem', id));
      const skus = bounded(where?.skus);
      const accepts = ({ subjectId, payload }: LogEvent): boolean =>
        (!ids || ids.includes(subjectId)) && (!skus || skus.some((sku) => sku === payload['sku']));
      return stream(context, after, { topic: 'stock', delivery, accepts });
    },
    resolve: open,
  }),
);

builder.subscriptionField('orderEvents', (t) =>
  t.field({
    type: OrderEventEnvelope,
    description: 'Every order that comes in or changes. Errors: INVALID_CURSOR.',
    extensions: { scope: 'orders:read' },
    args: { after: t.arg({ type: 'Cursor', description: afterDescription }) },
    subscribe: (_root, { after }, context) => stream(context, after, { topic: 'order', accepts: () => true }),
    resolve: open,
  }),
);

builder.subscriptionField('oversellAlerts', (t) =>
  t.field({
    type: AlertEventEnvelope,
    description:
      'Oversells as they happen. Without `after` it first sends every alert that is not resolved, and again behind every gap, so nothing is missed. Errors: INVALID_CURSOR.',
    extensions: { scope: 'stock:read' },
    args: {
      after: t.arg({ type: 'Cursor', description: afterDescription }),
      status: t.arg({
        type: [AlertStatus],
        description: 'Only alerts that then have one of these. Left out: any.',
      }),
    },
    subscribe: (_root, { after, status }, context) => {
      const wanted = status ?? null;
      const accepts = ({ payload }: LogEvent): boolean =>
        payload['kind'] === 'oversell' &&
        (wanted === null || wanted.some((each) => each === payload['status']));
      const live = stream(context, after, { topic: 'alert', accepts });
      return withPresent(live, resumeAfter(context, after) === null, (cursor) =>
        presentAlerts(context, ['oversell'], wanted, cursor),
      );
    },
    resolve: open,
  }),
);

builder.subscriptionField('conflictEvents', (t) =>
  t.field({
    type: ConflictEventEnvelope,
    description: 'Conflicts as they are found and closed. Errors: INVALID_CURSOR.',
    extensions: { scope: 'stock:read' },
    args: { after: t.arg({ type: 'Cursor', description: afterDescription }) },
    subscribe: (_root, { after }, context) =>
      stream(context, after, { topic: 'conflict', accepts: () => true }),
    resolve: open,
  }),
);

builder.subscriptionField('jobProgress', (t) =>
  t.field({
    type: JobEventEnvelope,
    description:
      'The progress of one job: first how it stands, then each step; ends when the job has ended. Errors: NOT_FOUND.',
    extensions: { scope: 'stock:read' },
    args: { id: t.arg.id({ required: true, description: 'The global id of the job.' }) },
    subscribe: async (_root, args, context) => {
      const id = requireId('Job', args.id);
      if ((await presentJob(context, id, '')) === null)
        throw apiError('NOT_FOUND', 'This account has no such job.');
      const live = stream(context, null, {
        topic: 'job',
        delivery: 'LATEST',
        accepts: (event) => event.subjectId === id,
      });
      return untilEnded(
        withPresent(live, true, async function* (cursor) {
          const event = await presentJob(context, id, cursor);
          if (event) yield event;
        }),
      );
    },
    resolve: open,
  }),
);

builder.queryField('oldestCursor', (t) =>
  t.field({
    type: 'Cursor',
    description: 'The oldest position that a stream can be resumed from without a gap.',
    resolve: (_root, _args, { sync }) => sync.events.oldestCursor(),
  }),
);

/** The cursor that a consumer who got this envelope resumes from. */
export function cursorOf(envelope: Envelope): string {
  if (envelope.kind === 'event') return envelope.event.cursor;
  return envelope.kind === 'gap' ? envelope.to : envelope.cursor;
}

export function open(envelope: Envelope): EnvelopeShape {
  return envelope.kind === 'event' ? envelope.event : envelope;
}

/** A browser's EventSource reconnects to the same address, with the `after` it began with; the header is the newer word. */
export function resumeAfter(context: Context, after: string | null | undefined): string | null {
  return context.lastEventId ?? after ?? null;
}

export function stream(
  context: Context,
  after: string | null | undefined,
  { topic, accepts, delivery = 'EVERY' }: Narrowing,
): AsyncGenerator<Envelope, void> {
  const { accountId, signal, sync } = context;
  return sync.events.subscribe({
    accountId,
    topic,
    accepts,
    delivery,
    signal,
    after: resumeAfter(context, after),
  });
}

/**
 * Puts the present state before the live stream (`always`), and behind every gap, because what was lost may have changed it. The stream is opened
 * first and the state read after its word, so that a change in between shows in one or in both, never in neither. After a gap its events resume from
 * before the gap: who is cut before the heartbeat that ends them hears of the gap again, and of all of them.
 */
export async function* withPresent(
  live: AsyncGenerator<Envelope, void>,
  always: boolean,
  present: (cursor: string) => AsyncIterable<LogEvent>,
): AsyncGenerator<Envelope, void> {
  let due = always;
  for await (const envelope of live) {
    const gap = envelope.kind === 'gap' ? envelope : null;
    if (gap !== null) yield gap;
    if (due || gap !== null) {
      for await (const event of present(gap?.from ?? cursorOf(envelope))) yield { kind: 'event', event };
    }
    due = false;
    yield gap === null ? envelope : { kind: 'heartbeat', cursor: gap.to };
  }
}

async function* untilEnded(envelopes: AsyncGenerator<Envelope, void>): AsyncGenerator<Envelope, void> {
  for await (const envelope of envelopes) {
    yield envelope;
    const status = envelope.kind === 'event' ? envelope.event.payload['status'] : null;
    if (status === 'completed' || status === 'failed') return;
  }
}

async function presentJob(
  { accountId, prisma }: Context,
  id: string,
  cursor: string,
): Promise<LogEvent | null> {
  const job = await prisma.job.findUnique({
    where: { id_accountId: { id, accountId } },
    select: { kind: true, status: true, total: true, completed: true, failed: true, updatedAt: true },
  });
  if (job === null) return null;
  const { updatedAt, ...progress } = job;
  const payload = { jobId: id, ...progress };
  return {
    topic: 'job',
    accountId,
    subjectId: id,
    itemSeq: null,
    payload,
    createdAt: updatedAt,
    xid: 0n,
    cursor,
  };
}

function bounded(list: readonly string[] | null | undefined): readonly string[] | null {
  if (list && list.length > listMax) {
    throw apiError('LIMIT_WHERE', `At most ${listMax} values fit one list.`, { limit: listMax });
  }
  return list ?? null;
}
