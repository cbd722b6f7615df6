/** Alerts: what a person should look at, with the orders that caused it. */

import { wayOutForGood } from '../sync/protectionSuggestions.ts';
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import type { Context } from './context.ts';
import { AlertKind, AlertStatus } from './enums.ts';
import { InventoryItem } from './inventoryItem.ts';
import { Order } from './order.ts';
import { pageSizeMax } from './paging.ts';
import { suggestionOf } from './protectionSuggestion.ts';
import { enumFilter, instant, member, reference, where } from './where.ts';

export const Alert = builder.prismaNode('Alert', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description:
    'Something a person should look at. It is a row first: nobody has to be listening when it happens.',
  fields: (t) => ({
    item: t.relation('item', {
      nullable: true,
      description: 'The item concerned; null when it is about a connection.',
    }),
    connection: t.relation('connection', {
      nullable: true,
      description: 'The marketplace account concerned; null when it is about an item.',
    }),
    message: t.string({
      nullable: true,
      description: 'What is wrong and the way out, in plain words; null where nothing is left to say.',
      select: { kind: true, units: true, message: true, itemId: true },
      resolve: (alert, _args, context) => messageOf(alert, context),
    }),
    kind: t.expose('kind', { type: AlertKind, description: 'What it is about.' }),
    status: t.expose('status', { type: AlertStatus, description: 'Whether somebody has dealt with it.' }),
    units: t.exposeInt('units', {
      description:
        'When it last changed, 0 or more. OVERSELL: units promised beyond what is on hand. OVERSELL_RISK and STILL_ON_SALE: units that channels may still show. LOW_STOCK: units left to sell. BLAST_STOPPED: listings that would change, or that show 0 without a reason. 0 for the others.',
    }),
    orders: t.field({
      type: [Order],
      description: 'The orders that together promise more than there is, oldest first.',
      args: { first: t.arg.int({ required: true, description: `The first so many, 1 to ${pageSizeMax}.` }) },
      select: (args, _context, nested) => ({
        orders: { take: bounded(args.first), orderBy: { orderId: 'asc' }, select: { order: nested(true) } },
      }),
      resolve: (alert) => alert.orders.map(({ order }) => order) as never,
    }),
    acknowledgedBy: t.exposeString('acknowledgedBy', {
      nullable: true,
      description: 'The id of the key or person that saw it; null before.',
    }),
    acknowledgedAt: t.expose('acknowledgedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was seen; null before.',
    }),
    resolvedAt: t.expose('resolvedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it stopped being true; null before.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was raised.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it last changed. Sort by it to catch up.',
    }),
  }),
});

const AlertConnection = connectionOf('Alert', 'alerts', Alert, 'stock:read');

builder.prismaObjectField(InventoryItem, 'alerts', (t) =>
  t.field({
    type: AlertConnection,
    description: 'Its alerts, newest first.',
    ...relatedPage<typeof Alert.$inferType>('alerts', 'Alert', {
      name: 'CREATED_AT_DESC',
      column: null,
      kind: 'text',
      descending: true,
    }),
  }),
);

const order = orderOf('AlertOrderBy', 'alerts', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was raised' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

const alertWhere = where('AlertWhere', 'alerts', {
  itemId: reference('itemId', 'InventoryItem', 'The item concerned.'),
  connectionId: reference('connectionId', 'PlatformConnection', 'The marketplace account concerned.'),
  kind: member('kind', enumFilter('AlertKindFilter', AlertKind), 'What it is about.'),
  status: member(
    'status',
    enumFilter('AlertStatusFilter', AlertStatus),
    'Whether somebody has dealt with it.',
  ),
  updatedAt: instant('updatedAt', 'The last change.'),
});

listField('alerts', {
  type: AlertConnection,
  model: 'alert',
  node: Alert,
  description: 'The alerts of the account.',
  where: alertWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

/** One alert of the caller's account. A null id is answered with null. */
export const readAlert = readOne('alert');

/** An oversell is raised where stock moves, without words; they follow from its numbers, and from how its item is protected now. */
export async function messageOf(alert: Told, context: Context): Promise<string | null> {
  const { kind, units, message = null, itemId } = alert;
  if (kind !== 'oversell' || units === 0) return message;
  const suggested = itemId === null ? null : await suggestionOf(context, itemId);
  const more = units === 1 ? '1 unit more is' : `${units} units more are`;
  const wayOut = suggested === null ? '' : wayOutForGood;
  return `${more} promised to buyers than there are. Restock it, or cancel one of the orders named here; every channel is being brought to 0.${wayOut}`;
}

type Told = {
  readonly kind: string;
  readonly units: number;
  readonly message?: string | null;
  readonly itemId: string | null;
};

function bounded(first: number): number {
  if (first >= 1 && first <= pageSizeMax) return first;
  throw apiError('LIMIT_PAGE_SIZE', `A page has 1 to ${pageSizeMax} nodes, not ${first}.`, {
    limit: pageSizeMax,
  });
}
