/** Reservations: units that a partner holds for a while, and what they cover. */
import { Actor } from './actor.ts';
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { ReservationStatus } from './enums.ts';
import { requireId } from './globalId.ts';
import type { Sort } from './paging.ts';
import { enumFilter, instant, member, noIndex, text, where } from './where.ts';

export const Reservation = builder.prismaNode('Reservation', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description:
    'Units held for a partner: counted in `reserved` of their items, so that no channel offers them, until they are committed, released or run out.',
  fields: (t) => ({
    status: t.expose('status', { type: ReservationStatus, description: 'Whether it still holds units.' }),
    reference: t.exposeString('reference', { nullable: true, description: "The maker's own note." }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'From then on it can be neither committed nor extended, and its units are given back.',
    }),
    actor: t.field({
      type: Actor,
      description: 'Who made it.',
      select: { actorKind: true, actorId: true },
      resolve: (reservation) => reservation,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it stopped holding units; null while it holds them.',
    }),
  }),
});

const ReservationLine = builder.prismaObject('ReservationLine', {
  description: 'One item or bundle of a reservation.',
  extensions: { scope: 'stock:read' },
  select: { id: true },
  fields: (t) => ({
    item: t.relation('item', { description: 'What was asked for. Of a bundle, its components are held.' }),
    quantity: t.exposeInt('quantity', { description: 'Units, 1 or more.' }),
  }),
});

const ReservationConnection = connectionOf('Reservation', 'reservations', Reservation, 'stock:read');
const ReservationLineConnection = connectionOf(
  'ReservationLine',
  'reservation lines',
  ReservationLine,
  'stock:read',
);

const byPosition: Sort = { name: 'POSITION', column: 'position', kind: 'number', descending: false };

builder.prismaObjectField(Reservation, 'lines', (t) =>
  t.field({
    type: ReservationLineConnection,
    description: 'What it covers, in the order asked.',
    ...relatedPage<typeof ReservationLine.$inferType>('lines', 'ReservationLine', byPosition),
  }),
);

const reservationWhere = where('ReservationWhere', 'reservations', {
  status: member(
    'status',
    enumFilter('ReservationStatusFilter', ReservationStatus),
    'Whether it still holds units.',
  ),
  reference: text('reference', `The maker's own note. ${noIndex}`),
  expiresAt: instant('expiresAt', `When it runs out. ${noIndex}`),
  createdAt: instant('createdAt', `When it was made. ${noIndex}`),
});

const order = orderOf('ReservationOrderBy', 'reservations', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was made' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

listField('reservations', {
  type: ReservationConnection,
  model: 'reservation',
  node: Reservation,
  description: 'The reservations of the account.',
  where: reservationWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

builder.queryField('reservation', (t) =>
  t.prismaField({
    type: Reservation,
    nullable: true,
    description: 'One reservation by its id. Null when this account has no such reservation.',
    args: { id: t.arg.id({ required: true, description: 'The global id of the reservation.' }) },
    resolve: (query, _root, args, context) =>
      readReservation(query, context, requireId('Reservation', args.id)),
  }),
);

/** One reservation of the caller's account. A null id is answered with null. */
export const readReservation = readOne('reservation');
