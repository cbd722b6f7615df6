/** Bringing items in step on request: one now, or all of them as a job. */
import { missingScope } from './apiError.ts';
import { builder } from './builder.ts';
import { Platform } from './enums.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { Job, readJob } from './job.ts';
import { answered, idempotencyKeyDescription, payloadOf, payloadRef, refusedWith } from './mutation.ts';
import { readOperation, SyncOperation } from './operation.ts';
import { notFound } from './userErrors.ts';

const InventoryItemSyncPayload = payloadOf<{ readonly operationId: string }>('InventoryItemSyncPayload', {
  verbs: '`inventoryItemSync`',
  field: 'item',
  type: InventoryItem,
  read: readItem,
  description: 'The item as it is now. Null when this account has no such item.',
});

builder.objectFields(InventoryItemSyncPayload, (t) => ({
  operation: t.prismaField({
    type: SyncOperation,
    nullable: true,
    description: 'The queued operation. Null when there was an error.',
    resolve: (query, payload, _args, context) =>
      readOperation(query, context, payload.value?.operationId ?? null),
  }),
}));

const InventoryItemSyncInput = builder.inputType('InventoryItemSyncInput', {
  description: 'Which item to bring in step, and where.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the item.' }),
    platforms: t.field({
      type: [Platform],
      description: 'Only on these marketplaces. Left out: wherever it is listed.',
    }),
    idempotencyKey: t.string({ description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('inventoryItemSync', (t) =>
  t.field({
    type: InventoryItemSyncPayload,
    description:
      'Reads what the channels show for one item and brings it in step. Queued; follow the operation. Errors: NOT_FOUND, INVALID_INPUT, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: InventoryItemSyncInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      const wanted = {
        itemId,
        platforms: input.platforms ?? null,
        idempotencyKey: input.idempotencyKey ?? null,
      };
      return answered(itemId, await context.sync.syncItem(context.caller, wanted));
    },
  }),
);

const InventorySyncAllPayload = payloadRef<{ readonly jobId: string }>(
  'InventorySyncAllPayload',
  '`inventorySyncAll`',
);

builder.objectFields(InventorySyncAllPayload, (t) => ({
  job: t.prismaField({
    type: Job,
    nullable: true,
    description: 'The job; follow it with `jobProgress`. Null when there was an error.',
    resolve: (query, payload, _args, context) => readJob(query, context, payload.value?.jobId ?? null),
  }),
}));

const InventorySyncAllInput = builder.inputType('InventorySyncAllInput', {
  description: 'How everything is brought in step.',
  fields: (t) => ({
    withoutPlan: t.boolean({
      required: true,
      defaultValue: false,
      description:
        'Also begins to write to connections that wait for their first plan, without one. Needs the scope connections:admin.',
    }),
  }),
});

builder.mutationField('inventorySyncAll', (t) =>
  t.field({
    type: InventorySyncAllPayload,
    description:
      'Queues every item of the account to be brought in step. While such a job is open it is answered instead of a second one, so this may be repeated freely. Connections that wait for their first plan are left alone unless the input says otherwise.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: InventorySyncAllInput, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const withoutPlan = input?.withoutPlan ?? false;
      if (withoutPlan && !context.session?.scopes.has('connections:admin'))
        throw missingScope('connections:admin');
      return answered(null, await context.sync.syncAll(context.caller, { withoutPlan }));
    },
  }),
);
