/** Goods that a buyer sent back after they were shipped. */
import type { Problem } from '../sync/outcome.ts';
import { builder } from './builder.ts';
import { StockReason } from './enums.ts';
import { idOf } from './globalId.ts';
import { answered, idempotencyKeyDescription, payloadOf, refusedWith } from './mutation.ts';
import { Order, readOrder } from './order.ts';
import { notFound, UserError } from './userErrors.ts';

const OrderReturnPayload = payloadOf<{ readonly orderId: string }>('OrderReturnPayload', {
  verbs: '`orderReturn`',
  field: 'order',
  type: Order,
  read: readOrder,
  description:
    'The order as it is now, also when nothing was done. Null when this account has no such order.',
});

const OrderReturnLineInput = builder.inputType('OrderReturnLineInput', {
  description: 'Units of one order line that came back.',
  fields: (t) => ({
    lineId: t.id({ required: true, description: 'The global id of the order line.' }),
    quantity: t.int({
      required: true,
      description: 'Units, 1 to what was shipped of the line less what was returned here before.',
    }),
  }),
});

const OrderReturnInput = builder.inputType('OrderReturnInput', {
  description: 'What came back.',
  fields: (t) => ({
    orderId: t.id({ required: true, description: 'The global id of the order.' }),
    lines: t.field({
      type: [OrderReturnLineInput],
      required: true,
      description: '1 to 100 lines, each once. All are booked or none.',
    }),
    restock: t.boolean({
      required: true,
      description: 'True puts the units on the shelf again. False only records that they came back.',
    }),
    reason: t.field({
      type: StockReason,
      required: true,
      defaultValue: 'returned',
      description: 'Why. Kept with the return.',
    }),
    reference: t.string({ description: 'Your own note, kept with the return and in the history.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('orderReturn', (t) =>
  t.field({
    type: OrderReturnPayload,
    description:
      'Books goods that came back after they were shipped. The channel may tell of the same goods (a refund with restock): of both counts the larger is taken, never their sum, whichever comes first. Units that are not restocked stay off the shelf whatever the channel says. Nothing is told to the channel. Errors: NOT_FOUND, INVALID_INPUT, EXCEEDS_SHIPPED, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'orders:write' },
    args: { input: t.arg({ type: OrderReturnInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const orderId = idOf('Order', input.orderId);
      if (orderId === null) return refusedWith(notFound(['input', 'orderId'], 'order'));
      const lines = input.lines.map(({ lineId, quantity }) => ({
        lineId: idOf('OrderLine', lineId),
        quantity,
      }));
      const unknown = lines.findIndex(({ lineId }) => lineId === null);
      if (unknown >= 0) {
        const problem = notFound(['input', 'lines', String(unknown), 'lineId'], 'order line');
        return answered<{ orderId: string }>(orderId, { ok: false, problems: [problem] });
      }
      const { restock, reason, idempotencyKey } = input;
      return answered(
        orderId,
        await context.sync.returnOrder(context.caller, {
          orderId,
          lines: lines.map(({ lineId, quantity }) => ({ lineId: lineId ?? '', quantity })),
          restock,
          reason,
          reference: input.reference ?? null,
          idempotencyKey,
        }),
      );
    },
  }),
);

builder.objectRef<Problem>('ExceedsShippedError').implement({
  description: 'More came back than was shipped and is not returned yet.',
  interfaces: [UserError],
  fields: (t) => ({
    returnable: t.int({
      description: 'Units of the line that can still come back, 0 or more.',
      resolve: ({ current }) => (typeof current === 'number' ? current : 0),
    }),
  }),
});
