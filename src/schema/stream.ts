/** What every stream has in common: events with a cursor, explicit gaps, heartbeats, and the envelope around them. */
import type { ObjectRef } from '@pothos/core';
import type { Envelope, EventTopic, GapReason, LogEvent } from '../sync/eventStream.ts';
import { builder, type SchemaTypes } from './builder.ts';

export type Gap = Extract<Envelope, { kind: 'gap' }>;
export type Heartbeat = Extract<Envelope, { kind: 'heartbeat' }>;
export type EnvelopeShape = LogEvent | Gap | Heartbeat;

export const StreamEvent = builder.interfaceRef<LogEvent>('StreamEvent').implement({
  description: 'Something that happened.',
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor', description: 'Resume after it.' }),
    occurredAt: t.expose('createdAt', { type: 'DateTime', description: 'When it happened.' }),
  }),
});

const gapReasons: Readonly<Record<GapReason, string>> = {
  RETENTION: 'The log no longer reaches back to the cursor: read the current state.',
  LOG_REPLACED: 'The log was replaced, as after a restore: read the current state.',
};

const StreamGapReason = builder.enumType('StreamGapReason', {
  description: 'Why events will not come.',
  values: Object.fromEntries(
    Object.entries(gapReasons).map(([reason, description]) => [reason, { value: reason, description }]),
  ) as unknown as Record<GapReason, { value: GapReason; description: string }>,
});

const Gap = builder.objectRef<Gap>('Gap').implement({
  description: 'The events after `from` up to `to` will not come.',
  fields: (t) => ({
    from: t.expose('from', {
      type: 'Cursor',
      nullable: true,
      description: 'The last position before the gap; null for the beginning.',
    }),
    to: t.expose('to', { type: 'Cursor', description: 'The last position in the gap. Resume after it.' }),
    reason: t.field({ type: StreamGapReason, description: 'Why.', resolve: (gap) => gap.reason }),
  }),
});

const Heartbeat = builder.objectRef<Heartbeat>('Heartbeat').implement({
  description: 'Nothing happened, and this is how far the stream has been read.',
  fields: (t) => ({ cursor: t.expose('cursor', { type: 'Cursor', description: 'Resume after it.' }) }),
});

type EventRef = ObjectRef<SchemaTypes, LogEvent>;

const memberNames: Readonly<Record<EventTopic | Gap['kind'] | Heartbeat['kind'], string>> = {
  stock: 'StockEvent',
  order: 'OrderEvent',
  alert: 'AlertEvent',
  conflict: 'ConflictEvent',
  job: 'JobEvent',
  plan: 'SyncPlanEvent',
  gap: 'Gap',
  heartbeat: 'Heartbeat',
};

/** The union that a stream of `event` carries. */
export function envelopeOf(name: string, event: EventRef) {
  return builder.unionType(name, {
    description: 'An event, a gap, or a heartbeat. Ask each for its cursor.',
    types: [event, Gap, Heartbeat],
    resolveType: (member) => memberNames['topic' in member ? member.topic : member.kind],
  });
}
