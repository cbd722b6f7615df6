/** The two verbs for stock: `stockAdjust` by so many, `stockSet` to so many. */
import type { Problem } from '../sync/outcome.ts';
import type { StockChange } from '../sync/sync.ts';
import { builder } from './builder.ts';
import { StockReason } from './enums.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { readMovement, StockMovement } from './movement.ts';
import { answered, idempotencyKeyDescription, payloadOf, refusedWith } from './mutation.ts';
import { notFound } from './userErrors.ts';

const StockPayload = payloadOf<StockChange>('StockPayload', {
  verbs: 'a change of stock',
  field: 'item',
  type: InventoryItem,
  read: readItem,
  description: 'The item as it is now, also when nothing was done. Null when this account has no such item.',
});

builder.objectFields(StockPayload, (t) => ({
  movement: t.prismaField({
    type: StockMovement,
    nullable: true,
    description:
      'The movement booked. Null when nothing was, because of an error or because the number was already right.',
    resolve: (query, { value }, _args, context) => readMovement(query, context, value?.movementId ?? null),
  }),
}));

const StockAdjustInput = builder.inputType('StockAdjustInput', {
  description: 'Units to add or take away.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the item.' }),
    delta: t.int({ required: true, description: 'Units to add (positive) or take away (negative). Not 0.' }),
    reason: t.field({ type: StockReason, required: true, description: 'Why. Kept in the history.' }),
    reference: t.string({ description: 'Your own note, kept in the history.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('stockAdjust', (t) =>
  t.field({
    type: StockPayload,
    description:
      'Adds units to what is on hand, or takes them away. Safe beside any other change. Errors: NOT_FOUND, INVALID_INPUT, ITEM_IS_BUNDLE, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: StockAdjustInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      const { delta, reason, idempotencyKey } = input;
      const reference = input.reference ?? null;
      return answered(
        itemId,
        await context.sync.adjustStock(context.caller, { itemId, delta, reason, reference, idempotencyKey }),
      );
    },
  }),
);

const StockSetInput = builder.inputType('StockSetInput', {
  description: 'Units on hand, as counted.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the item.' }),
    quantity: t.int({ required: true, description: 'Units on hand after the change, 0 or more.' }),
    changeFrom: t.int({
      description:
        'Units on hand that you saw. When it is another number by now, nothing is done (STOCK_CHANGED). Required unless `skipCompare`.',
    }),
    skipCompare: t.boolean({
      required: true,
      defaultValue: false,
      description:
        'Overwrites whatever is there. Sales in between are lost; the history records that nothing was compared.',
    }),
    reason: t.field({ type: StockReason, required: true, description: 'Why. Kept in the history.' }),
    reference: t.string({ description: 'Your own note, kept in the history.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('stockSet', (t) =>
  t.field({
    type: StockPayload,
    description:
      'Sets what is on hand, if it still is what you saw. Errors: NOT_FOUND, INVALID_INPUT, ITEM_IS_BUNDLE, STOCK_CHANGED, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: StockSetInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      const unclear = compareProblem(input.changeFrom ?? null, input.skipCompare);
      if (unclear) return answered<StockChange>(itemId, { ok: false, problems: [unclear] });
      const { quantity, reason, idempotencyKey } = input;
      const changeFrom = input.changeFrom ?? null;
      const reference = input.reference ?? null;
      return answered(
        itemId,
        await context.sync.setStock(context.caller, {
          itemId,
          quantity,
          changeFrom,
          reason,
          reference,
          idempotencyKey,
        }),
      );
    },
  }),
);

/** Overwriting blindly must be said, never come from a forgotten field. */
function compareProblem(changeFrom: number | null, skipCompare: boolean): Problem | null {
  if ((changeFrom === null) === skipCompare) return null;
  const message = skipCompare
    ? 'Give either changeFrom or skipCompare: true, not both.'
    : 'Give changeFrom (the units on hand that you saw), or say skipCompare: true.';
  return { code: 'INVALID_INPUT', message, field: ['input', 'changeFrom'] };
}
