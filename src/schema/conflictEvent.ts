/** The event of a conflict that was found, overtaken or decided. */
import type { LogEvent } from '../sync/eventStream.ts';
import { builder } from './builder.ts';
import { readConflict, SyncConflict } from './conflict.ts';
import { ConflictStatus, ConflictType } from './enums.ts';
import { idIn } from './eventTypes.ts';
import { encodeId } from './globalId.ts';
import { envelopeOf, StreamEvent } from './stream.ts';

const ConflictEvent = builder.objectRef<LogEvent>('ConflictEvent').implement({
  description: 'A conflict was found or changed.',
  interfaces: [StreamEvent],
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    conflictId: t.id({
      description: 'The conflict.',
      resolve: ({ subjectId }) => encodeId('SyncConflict', subjectId),
    }),
    itemId: t.id({
      description: 'The item concerned.',
      resolve: (event) => encodeId('InventoryItem', conflictOf(event).itemId),
    }),
    listingId: t.id({
      nullable: true,
      description: 'The listing concerned.',
      resolve: (event) => idIn(event, 'listingId', 'Listing'),
    }),
    conflictType: t.field({
      type: ConflictType,
      description: 'What does not agree.',
      resolve: (event) => conflictOf(event).type,
    }),
    status: t.field({
      type: ConflictStatus,
      description: 'Its status right after.',
      resolve: (event) => conflictOf(event).status,
    }),
    delta: t.int({
      nullable: true,
      description:
        'Units by which the channel was changed from outside, below 0 for a cut; null for a price.',
      resolve: (event) => (conflictOf(event).type === 'price_mismatch' ? null : conflictOf(event).delta),
    }),
    version: t.int({
      description: 'Its version right after. An event with a smaller one is older.',
      resolve: (event) => conflictOf(event).version,
    }),
    conflict: t.prismaField({
      type: SyncConflict,
      nullable: true,
      description: 'The conflict as it is now; null when it is gone.',
      resolve: (query, event, _args, context) => readConflict(query, context, event.subjectId),
    }),
  }),
});

export const ConflictEventEnvelope = envelopeOf('ConflictEventEnvelope', ConflictEvent);

// The shape that `announceConflicts` writes.
type ConflictPayload = {
  readonly itemId: string;
  readonly type: 'quantity_mismatch' | 'sold_out' | 'price_mismatch';
  readonly status: 'open' | 'resolved' | 'superseded';
  readonly delta: number;
  readonly version: number;
};

function conflictOf({ payload }: LogEvent): ConflictPayload {
  return payload as ConflictPayload;
}
