/** Deciding conflicts: `conflictResolve`. */
import type { ConflictsResolved } from '../sync/sync.ts';
import { builder } from './builder.ts';
import { SyncConflict } from './conflict.ts';
import { ConflictResolution } from './enums.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { readMovement, StockMovement } from './movement.ts';
import { answered, idempotencyKeyDescription, type Payload, payloadRef } from './mutation.ts';
import { notFound } from './userErrors.ts';

type Named = { readonly conflictIds: readonly string[] };

const ConflictResolvePayload = payloadRef<ConflictsResolved, Named>(
  'ConflictResolvePayload',
  '`conflictResolve`',
);

builder.objectFields(ConflictResolvePayload, (t) => ({
  conflicts: t.prismaField({
    type: [SyncConflict],
    description:
      'The conflicts as they are now, also when nothing was done. Without those that this account does not have.',
    resolve: (query, { conflictIds }, _args, context) =>
      context.prisma.syncConflict.findMany({
        ...query,
        where: { id: { in: [...conflictIds] }, accountId: context.accountId },
        orderBy: { id: 'asc' },
      }),
  }),
  item: t.prismaField({
    type: InventoryItem,
    nullable: true,
    description: 'The item as it is now. Null when nothing was done.',
    resolve: (query, { value }, _args, context) => readItem(query, context, value?.itemId ?? null),
  }),
  movement: t.prismaField({
    type: StockMovement,
    nullable: true,
    description: 'The movement booked. Null when the decision moves no stock.',
    resolve: (query, { value }, _args, context) => readMovement(query, context, value?.movementId ?? null),
  }),
}));

const ConflictVersionInput = builder.inputType('ConflictVersionInput', {
  description: 'A conflict, as you saw it.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The global id of the conflict.' }),
    expectedVersion: t.int({
      required: true,
      description:
        'Its `version` when you looked at it. When it is another by now, nothing is done (VERSION_CONFLICT).',
    }),
  }),
});

const ConflictResolveInput = builder.inputType('ConflictResolveInput', {
  description: 'A decision on the conflicts of one item.',
  fields: (t) => ({
    conflicts: t.field({
      type: [ConflictVersionInput],
      required: true,
      description:
        'All open conflicts of one item about its number, or all about its price (at most 50). They are decided together, because edits on several channels are most likely one delivery. When one is left out, nothing is done (OTHER_CONFLICTS_OPEN).',
    }),
    resolution: t.field({ type: ConflictResolution, required: true, description: 'What to do.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('conflictResolve', (t) =>
  t.field({
    type: ConflictResolvePayload,
    description:
      "Decides the conflicts of one item. About a number: USE_LOWEST books the largest proven decrease and USE_HIGHEST the largest proven increase, as a movement on the stock there is now, never the sum and never the number that was read; KEEP_OURS books nothing; then every channel is brought in step. About a price: USE_LOWEST and USE_HIGHEST make the lowest or highest of our price and those shown the intended one and write it wherever another one is shown, KEEP_OURS writes the one that was meant; where nothing may be written the conflict stays open. MANUAL_REVIEW leaves them open and keeps the account's policy from deciding. Errors: NOT_FOUND, INVALID_INPUT, VERSION_CONFLICT, SUPERSEDED, ALREADY_RESOLVED, OTHER_CONFLICTS_OPEN, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.",
    extensions: { scope: 'conflicts:resolve' },
    args: { input: t.arg({ type: ConflictResolveInput, required: true, description: 'What to decide.' }) },
    resolve: async (_root, { input }, context): Promise<Payload<ConflictsResolved> & Named> => {
      const ids = input.conflicts.map(({ id }) => idOf('SyncConflict', id));
      const conflictIds = ids.filter((id) => id !== null);
      const missing = ids.indexOf(null);
      if (missing >= 0) {
        const problem = notFound(['input', 'conflicts', String(missing), 'id'], 'conflict');
        return { ...answered(null, { ok: false, problems: [problem] }), conflictIds };
      }
      const { resolution, idempotencyKey } = input;
      const conflicts = input.conflicts.map(({ expectedVersion }, index) => ({
        conflictId: conflictIds[index] ?? '',
        expectedVersion,
      }));
      const outcome = await context.sync.resolveConflicts(context.caller, {
        conflicts,
        resolution,
        idempotencyKey,
      });
      return { ...answered(null, outcome), conflictIds };
    },
  }),
);
