/** The seller's own word on an order: shipped with tracking, delivered, cancelled. */
import { builder } from './builder.ts';
import { OrderStatus } from './enums.ts';
import { idOf } from './globalId.ts';
import { answered, idempotencyKeyDescription, payloadOf, refusedWith } from './mutation.ts';
import { Order, readOrder } from './order.ts';
import { notFound } from './userErrors.ts';

const OrderStatusUpdatePayload = payloadOf<{ readonly orderId: string }>('OrderStatusUpdatePayload', {
  verbs: '`orderStatusUpdate`',
  field: 'order',
  type: Order,
  read: readOrder,
  description:
    'The order as it is now, also when nothing was done. Null when this account has no such order.',
});

const OrderStatusUpdateInput = builder.inputType('OrderStatusUpdateInput', {
  description: 'The new status of an order.',
  fields: (t) => ({
    orderId: t.id({ required: true, description: 'The global id of the order.' }),
    status: t.field({
      type: OrderStatus,
      required: true,
      description: 'SHIPPED, DELIVERED or CANCELLED. An order only moves forward.',
    }),
    carrier: t.string({ description: 'Who carries the parcel, in the words of the channel. For SHIPPED.' }),
    trackingNumber: t.string({ description: 'The tracking number. For SHIPPED; told to the channel.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('orderStatusUpdate', (t) =>
  t.field({
    type: OrderStatusUpdatePayload,
    description:
      'Moves an order forward and books its stock. SHIPPED is told to the channel. Errors: NOT_FOUND, INVALID_INPUT, INVALID_TRANSITION, CHANNEL_REJECTED, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'orders:write' },
    args: { input: t.arg({ type: OrderStatusUpdateInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const orderId = idOf('Order', input.orderId);
      if (orderId === null) return refusedWith(notFound(['input', 'orderId'], 'order'));
      const { status, idempotencyKey } = input;
      const carrier = input.carrier ?? null;
      const trackingNumber = input.trackingNumber ?? null;
      return answered(
        orderId,
        await context.sync.updateOrderStatus(context.caller, {
          orderId,
          status,
          carrier,
          trackingNumber,
          idempotencyKey,
        }),
      );
    },
  }),
);
