/** The ledger: every change of stock with its cause. Nothing here is ever rewritten. */
import { Actor } from './actor.ts';
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { MovementKind, StockReason } from './enums.ts';
import { encodeId } from './globalId.ts';
import { InventoryItem } from './inventoryItem.ts';
import type { Sort } from './paging.ts';
import { enumFilter, instant, member, noIndex, reference, text, where } from './where.ts';

export const StockMovement = builder.prismaNode('StockMovement', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id, accountId: context.accountId }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description: 'One change of stock. An item at any time is the sum of its movements.',
  fields: (t) => ({
    item: t.relation('item', { description: 'What was moved.' }),
    seq: t.int({
      description: "Its place among the item's movements: 1, 2, 3 and so on, without gaps.",
      select: { seq: true },
      resolve: (movement) => Number(movement.seq),
    }),
    onHandDelta: t.exposeInt('onHandDelta', {
      description: 'Units added to what is on hand; negative when taken away.',
    }),
    reservedDelta: t.exposeInt('reservedDelta', {
      description: 'Units added to what is reserved; negative when freed.',
    }),
    onHandAfter: t.exposeInt('onHandAfter', { description: 'Units on hand after it.' }),
    reservedAfter: t.exposeInt('reservedAfter', { description: 'Units reserved after it.' }),
    kind: t.expose('kind', { type: MovementKind, description: 'What caused it.' }),
    reason: t.expose('reason', {
      type: StockReason,
      nullable: true,
      description:
        'Why, for a change by hand and for goods returned; null for any other order and for a reservation.',
    }),
    reference: t.exposeString('reference', { nullable: true, description: "The caller's own note." }),
    orderId: t.id({
      nullable: true,
      description: 'The order that caused it (read it with `node`); null for a change by hand.',
      select: { orderId: true },
      resolve: (movement) => (movement.orderId === null ? null : encodeId('Order', movement.orderId)),
    }),
    conflictId: t.id({
      nullable: true,
      description:
        'For a RESOLUTION: the conflict whose proven edit was booked (read it with `node`); else null.',
      select: { kind: true, reference: true },
      resolve: ({ kind, reference: conflictId }) =>
        kind === 'resolution' && conflictId !== null ? encodeId('SyncConflict', conflictId) : null,
    }),
    reservationId: t.id({
      nullable: true,
      description: 'The reservation that caused it (read it with `node`); null for any other cause.',
      select: { reservationId: true },
      resolve: (movement) =>
        movement.reservationId === null ? null : encodeId('Reservation', movement.reservationId),
    }),
    actor: t.field({
      type: Actor,
      description: 'Who did it.',
      select: { actorKind: true, actorId: true },
      resolve: (movement) => movement,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was booked.' }),
  }),
});

const StockMovementConnection = connectionOf('StockMovement', 'stock movements', StockMovement, 'stock:read');

const bySeq: Sort = { name: 'SEQ_DESC', column: 'seq', kind: 'bigint', descending: true };

builder.prismaObjectField(InventoryItem, 'movements', (t) =>
  t.field({
    type: StockMovementConnection,
    description: 'Its history, newest first.',
    ...relatedPage<typeof StockMovement.$inferType>('movements', 'StockMovement', bySeq),
  }),
);

const movementWhere = where('StockMovementWhere', 'stock movements', {
  itemId: reference('itemId', 'InventoryItem', 'What was moved.'),
  orderId: reference('orderId', 'Order', 'The order that caused it.'),
  kind: member('kind', enumFilter('MovementKindFilter', MovementKind), `What caused it. ${noIndex}`),
  reason: member(
    'reason',
    enumFilter('StockReasonFilter', StockReason),
    `Why, for a change by hand. ${noIndex}`,
  ),
  reference: text('reference', `The caller's own note. ${noIndex}`),
  createdAt: instant('createdAt', `When it was booked. ${noIndex}`),
});

const order = orderOf('StockMovementOrderBy', 'stock movements', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was booked' },
});

listField('movements', {
  type: StockMovementConnection,
  model: 'stockMovement',
  node: StockMovement,
  description: 'Every change of stock in the account.',
  where: movementWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

/** One movement of the caller's account. A null id is answered with null. */
export const readMovement = readOne('stockMovement');
