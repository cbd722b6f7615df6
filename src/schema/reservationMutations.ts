/** The life of a reservation: create, extend, then commit or release. */
import type { Outcome, Problem } from '../sync/outcome.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { encodeId, idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { answered, idempotencyKeyDescription, type Payload, payloadOf, refusedWith } from './mutation.ts';
import { Reservation, readReservation } from './reservation.ts';
import { notFound, UserError } from './userErrors.ts';

type Reserved = { readonly reservationId: string };

const ReservationPayload = payloadOf<Reserved>('ReservationPayload', {
  verbs: 'an action on a reservation',
  field: 'reservation',
  type: Reservation,
  read: readReservation,
  description: 'The reservation as it is now. Null when none was made, or this account has no such one.',
});

const ReservationLineInput = builder.inputType('ReservationLineInput', {
  description: 'Units of one item or bundle.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the item or bundle.' }),
    quantity: t.int({ required: true, description: 'Units, 1 to 1,000,000.' }),
  }),
});

const expiryDescription =
  'Seconds from now, 1 to the configured longest (RESERVATION_MAX_SECONDS, 86,400 unless set otherwise).';

const ReservationCreateInput = builder.inputType('ReservationCreateInput', {
  description: 'What to hold, and for how long.',
  fields: (t) => ({
    lines: t.field({
      type: [ReservationLineInput],
      required: true,
      description: '1 to 100 lines, each item once. All are granted or none.',
    }),
    expiresInSeconds: t.int({
      description: `${expiryDescription} Left out: the configured default (RESERVATION_DEFAULT_SECONDS, 900 unless set otherwise).`,
    }),
    reference: t.string({ description: 'Your own note, kept with the reservation and in the history.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('reservationCreate', (t) =>
  t.field({
    type: ReservationPayload,
    description:
      'Holds units while they are available: bundles are taken apart, the demand is summed per item, and all lines are granted or none. Until it ends no channel offers these units. Of an item under escrow only what is free can be held: the rest is granted to listings. Errors: NOT_FOUND, INVALID_INPUT, INSUFFICIENT_STOCK (one for each line that lacks stock), IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: ReservationCreateInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const lines = input.lines.map(({ itemId, quantity }) => ({
        itemId: idOf('InventoryItem', itemId),
        quantity,
      }));
      const unknown = lines.findIndex(({ itemId }) => itemId === null);
      if (unknown >= 0) return refusedWith(notFound(['input', 'lines', String(unknown), 'itemId'], 'item'));
      const outcome = await context.sync.createReservation(context.caller, {
        lines: lines.map(({ itemId, quantity }) => ({ itemId: itemId ?? '', quantity })),
        expiresInSeconds: input.expiresInSeconds ?? null,
        reference: input.reference ?? null,
        idempotencyKey: input.idempotencyKey,
      });
      return answered(outcome.ok ? outcome.value.reservationId : null, outcome);
    },
  }),
);

const ReservationExtendInput = builder.inputType('ReservationExtendInput', {
  description: 'How much longer to hold.',
  fields: (t) => ({
    reservationId: t.id({ required: true, description: 'The global id of the reservation.' }),
    expiresInSeconds: t.int({ required: true, description: expiryDescription }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('reservationExtend', (t) =>
  t.field({
    type: ReservationPayload,
    description:
      'Moves the expiry of an active reservation to so many seconds from now, sooner or later than before. Errors: NOT_FOUND, INVALID_INPUT, RESERVATION_ENDED, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: ReservationExtendInput, required: true, description: 'What to do.' }) },
    resolve: (_root, { input }, context) =>
      act(input, (action) =>
        context.sync.extendReservation(context.caller, {
          ...action,
          expiresInSeconds: input.expiresInSeconds,
        }),
      ),
  }),
);

const ReservationEndInput = builder.inputType('ReservationEndInput', {
  description: 'Which reservation to end.',
  fields: (t) => ({
    reservationId: t.id({ required: true, description: 'The global id of the reservation.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

const endings = {
  reservationCommit: {
    verb: 'commitReservation',
    description:
      'Takes the units off the shelf: they were sold outside the channels. Once; not after the reservation has expired.',
  },
  reservationRelease: {
    verb: 'releaseReservation',
    description: 'Gives the units back, once.',
  },
} as const;

for (const [name, { verb, description }] of Object.entries(endings)) {
  builder.mutationField(name, (t) =>
    t.field({
      type: ReservationPayload,
      description: `${description} Errors: NOT_FOUND, RESERVATION_ENDED, INVALID_INPUT, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.`,
      extensions: { scope: 'stock:write' },
      args: { input: t.arg({ type: ReservationEndInput, required: true, description: 'What to do.' }) },
      resolve: (_root, { input }, context: Context) =>
        act(input, (action) => context.sync[verb](context.caller, action)),
    }),
  );
}

async function act(
  input: { readonly reservationId: string; readonly idempotencyKey: string },
  verb: (action: Reserved & { readonly idempotencyKey: string }) => Promise<Outcome<Reserved>>,
): Promise<Payload<Reserved>> {
  const reservationId = idOf('Reservation', input.reservationId);
  if (reservationId === null) return refusedWith(notFound(['input', 'reservationId'], 'reservation'));
  return answered(reservationId, await verb({ reservationId, idempotencyKey: input.idempotencyKey }));
}

builder.objectRef<Problem>('InsufficientStockError').implement({
  description: 'Less is available than a line asks for, by itself or together with the other lines.',
  interfaces: [UserError],
  fields: (t) => ({
    available: t.int({
      description: 'Units that this line alone could have had; below zero when the item is oversold.',
      resolve: ({ current }) => (typeof current === 'number' ? current : 0),
    }),
    itemId: t.id({
      description: 'The item or bundle of the line.',
      resolve: ({ itemId }) => encodeId('InventoryItem', itemId ?? ''),
    }),
    item: t.prismaField({
      type: InventoryItem,
      nullable: true,
      description: 'The item or bundle of the line as it is now; null when it is gone.',
      resolve: (query, { itemId }, _args, context) => readItem(query, context, itemId ?? null),
    }),
  }),
});

builder.objectRef<Problem>('ReservationEndedError').implement({
  description: 'The reservation holds nothing any more.',
  interfaces: [UserError],
  fields: (t) => ({
    current: t.string({
      nullable: true,
      description: 'How it ended: a member of `ReservationStatus`.',
      resolve: ({ current }) => (typeof current === 'string' ? current.toUpperCase() : null),
    }),
  }),
});
