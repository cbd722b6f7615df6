/** Orders from every channel with their lines, and the seller's own word on their status. */
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { OrderStatus, Platform } from './enums.ts';
import { requireId } from './globalId.ts';
import { InventoryItem } from './inventoryItem.ts';
import { Money, moneyOf } from './money.ts';
import type { Sort } from './paging.ts';
import { PlatformFilter } from './platformConnection.ts';
import { enumFilter, flag, instant, member, noIndex, reference, text, where } from './where.ts';

export const Order = builder.prismaNode('Order', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'orders:read' },
  description: "An order on a channel, as the channel's newest snapshot describes it.",
  fields: (t) => ({
    connection: t.relation('connection', { description: 'The marketplace account it came from.' }),
    platform: t.expose('platform', { type: Platform, description: 'The marketplace.' }),
    platformOrderId: t.exposeString('platformOrderId', {
      description: "The channel's own id. Unique per connection.",
    }),
    customerName: t.exposeString('customerName', {
      nullable: true,
      description: 'The buyer; null when the channel withholds it.',
    }),
    status: t.expose('status', {
      type: OrderStatus,
      description: "The seller's own word where there is one, else the channel's.",
    }),
    channelStatus: t.expose('channelStatus', { type: OrderStatus, description: 'What the channel says.' }),
    totalAmount: t.field({
      type: Money,
      nullable: true,
      description: 'What the buyer pays; null when the channel does not say.',
      select: { totalMinor: true, currency: true },
      resolve: (order) => moneyOf(order.totalMinor, order.currency),
    }),
    itemCount: t.exposeInt('itemCount', {
      description: 'Units bought, 0 or more, those cancelled later included.',
    }),
    revision: t.int({
      description: 'Grows by one with each change to the order or its lines.',
      select: { revision: true },
      resolve: (order) => Number(order.revision),
    }),
    createdAt: t.expose('channelCreatedAt', {
      type: 'DateTime',
      description: "When the buyer placed it, by the channel's clock.",
    }),
    channelUpdatedAt: t.expose('channelUpdatedAt', {
      type: 'DateTime',
      description: "When it last changed, by the channel's clock.",
    }),
    receivedAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first seen here.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it last changed here. Sort by it to catch up.',
    }),
  }),
});

export const OrderLine = builder.prismaNode('OrderLine', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id, accountId: context.accountId }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'orders:read' },
  description: 'One line of an order.',
  fields: (t) => ({
    order: t.relation('order', { description: 'The order it belongs to.' }),
    item: t.relation('item', {
      nullable: true,
      description: 'The item that was sold; null while its SKU is matched to none (see `unmatchedSkus`).',
    }),
    platformLineId: t.exposeString('platformLineId', { description: "The channel's own id of the line." }),
    sku: t.exposeString('sku', {
      nullable: true,
      description: "The channel's spelling of the SKU; null where it has none.",
    }),
    title: t.exposeString('title', { description: 'Its title on the channel.' }),
    quantity: t.exposeInt('ordered', {
      description: 'Units bought, 0 or more, those cancelled later included.',
    }),
    reserved: t.exposeInt('reserved', {
      description: 'Units it holds back by the newest snapshot, 0 or more.',
    }),
    shipped: t.exposeInt('shipped', {
      description: 'Units that have left the shelf by the newest snapshot, 0 or more.',
    }),
    returned: t.exposeInt('returned', {
      description: 'Units that the seller says came back (`orderReturn`), 0 or more.',
    }),
    restocked: t.exposeInt('restocked', {
      description: 'How many of `returned` went on the shelf again.',
    }),
    unitPrice: t.field({
      type: Money,
      nullable: true,
      description: 'The price of one unit; null when the channel does not say.',
      select: { unitPriceMinor: true, currency: true },
      resolve: (line) => moneyOf(line.unitPriceMinor, line.currency),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first seen here.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed here.' }),
  }),
});

export const OrderConnection = connectionOf('Order', 'orders', Order, 'orders:read');
const OrderLineConnection = connectionOf('OrderLine', 'order lines', OrderLine, 'orders:read');

const byPosition: Sort = { name: 'POSITION', column: 'position', kind: 'number', descending: false };

builder.prismaObjectField(Order, 'items', (t) =>
  t.field({
    type: OrderLineConnection,
    description: "Its lines, in the channel's order.",
    ...relatedPage<typeof OrderLine.$inferType>('lines', 'OrderLine', byPosition),
  }),
);

builder.prismaObjectField(InventoryItem, 'orderLines', (t) =>
  t.field({
    type: OrderLineConnection,
    description: 'The order lines that sold it, newest first.',
    ...relatedPage<typeof OrderLine.$inferType>('orderLines', 'OrderLine', {
      name: 'CREATED_AT_DESC',
      column: null,
      kind: 'text',
      descending: true,
    }),
  }),
);

const order = orderOf('OrderOrderBy', 'orders', {
  CREATED_AT: { column: 'channelCreatedAt', kind: 'date', description: 'when the buyer placed it' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change here' },
});

const orderWhere = where('OrderWhere', 'orders', {
  id: reference('id', 'Order', 'The order itself.'),
  connectionId: reference('connectionId', 'PlatformConnection', 'The marketplace account it came from.'),
  platform: member('platform', PlatformFilter, 'The marketplace.'),
  status: member('status', enumFilter('OrderStatusFilter', OrderStatus), 'Where it stands.'),
  platformOrderId: text('platformOrderId', "The channel's own id."),
  customerName: text('customerName', `The buyer. ${noIndex}`),
  createdAt: instant('channelCreatedAt', 'When the buyer placed it.'),
  updatedAt: instant('updatedAt', 'The last change here.'),
  hasUnmatchedItems: flag('Whether a line waits for somebody to say which item it means.', (has) => ({
    lines: has ? { some: { itemId: null } } : { none: { itemId: null } },
  })),
});

listField('orders', {
  type: OrderConnection,
  model: 'order',
  node: Order,
  description: 'The orders of the account from all channels.',
  where: orderWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

builder.queryField('orderByPlatformId', (t) =>
  t.prismaField({
    type: Order,
    nullable: true,
    description: "One order by the channel's own id. Null when this account has no such order.",
    args: {
      connectionId: t.arg.id({ required: true, description: 'The global id of the marketplace account.' }),
      platformOrderId: t.arg.string({
        required: true,
        description: "The channel's own id of the order, exactly.",
      }),
    },
    resolve: (query, _root, args, context) => {
      const connectionId = requireId('PlatformConnection', args.connectionId);
      return context.prisma.order.findUnique({
        ...query,
        where: {
          platformOrderId_connectionId: { connectionId, platformOrderId: args.platformOrderId },
          accountId: context.accountId,
        },
      });
    },
  }),
);

builder.queryField('order', (t) =>
  t.prismaField({
    type: Order,
    nullable: true,
    description: 'One order by its id. Null when this account has no such order.',
    args: { id: t.arg.id({ required: true, description: 'The global id of the order.' }) },
    resolve: (query, _root, args, context) => readOrder(query, context, requireId('Order', args.id)),
  }),
);

/** One order of the caller's account. A null id is answered with null. */
export const readOrder = readOne('order');
