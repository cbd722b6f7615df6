/** Inventory items: the one stock pool behind many listings. */
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf, readOne } from './connections.ts';
import { ItemRole, SyncStatus } from './enums.ts';
import { requireId } from './globalId.ts';
import { sellableOf } from './sellable.ts';
import { enumFilter, instant, integer, member, noIndex, reference, text, where } from './where.ts';

export const InventoryItem = builder.prismaNode('InventoryItem', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description:
    'Something that is stocked and sold, on any number of channels. Its numbers come from the ledger, never from a reading.',
  fields: (t) => ({
    sku: t.exposeString('sku', { description: "The seller's own code. Unique in the account." }),
    title: t.exposeString('title', { description: 'What people call it.' }),
    quantity: t.exposeInt('quantity', {
      description: 'Units on hand, 0 for a bundle. Below zero is possible, and a fact to act on.',
    }),
    reserved: t.exposeInt('reserved', {
      description: 'Units promised to buyers and not yet shipped, and units held by reservations; 0 or more.',
    }),
    available: t.int({
      description:
        '`quantity` less `reserved`; of a bundle, what its scarcest component allows. Below zero: oversold by so many.',
      select: { quantity: true, reserved: true, role: true, id: true },
      resolve: async ({ role, id, quantity, reserved }, _args, context) =>
        role === 'bundle' ? (await sellableOf(context, id)).available : quantity - reserved,
    }),
    seq: t.int({
      description:
        'The number of the newest movement: grows by one with each, without gaps. Of a bundle it grows with every movement of a component and every change of the recipe.',
      select: { seq: true, seqBase: true, role: true, id: true },
      resolve: async ({ role, id, seq, seqBase }, _args, context) =>
        role === 'bundle' ? (await sellableOf(context, id)).seq : Number(seq + seqBase),
    }),
    role: t.expose('role', { type: ItemRole, description: 'How it stands to bundles.' }),
    syncStatus: t.expose('syncStatus', { type: SyncStatus, description: 'How it stands with its channels.' }),
    lastSyncedAt: t.expose('lastSyncedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last brought in step on every channel; null while it never was.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it last changed. Sort by it to catch up.',
    }),
  }),
});

export const InventoryItemConnection = connectionOf('InventoryItem', 'items', InventoryItem, 'stock:read');

const order = orderOf('InventoryItemOrderBy', 'items', {
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
  SKU: { column: 'sku', kind: 'text', description: 'SKU' },
  TITLE: { column: 'title', kind: 'text', description: 'title' },
  AVAILABLE: { column: 'available', kind: 'number', description: 'available units, a bundle counting as 0' },
});

const itemWhere = where('InventoryItemWhere', 'items', {
  id: reference('id', 'InventoryItem', 'The item itself.'),
  sku: text('sku', 'The SKU.'),
  title: text('title', 'The title.'),
  quantity: integer('quantity', `Units on hand. ${noIndex}`),
  available: integer('available', 'Units that can still be sold. A bundle counts as 0 here.'),
  role: member('role', enumFilter('ItemRoleFilter', ItemRole), 'How it stands to bundles.'),
  syncStatus: member(
    'syncStatus',
    enumFilter('SyncStatusFilter', SyncStatus),
    'How it stands with its channels.',
  ),
  updatedAt: instant('updatedAt', 'The last change.'),
});

listField('inventoryItems', {
  type: InventoryItemConnection,
  model: 'inventoryItem',
  node: InventoryItem,
  description: 'The items of the account.',
  where: itemWhere,
  order,
});

builder.queryField('inventoryItem', (t) =>
  t.prismaField({
    type: InventoryItem,
    nullable: true,
    description: 'One item by its id. Null when this account has no such item.',
    args: { id: t.arg.id({ required: true, description: 'The global id of the item.' }) },
    resolve: (query, _root, args, context) => readItem(query, context, requireId('InventoryItem', args.id)),
  }),
);

builder.queryField('inventoryItemBySku', (t) =>
  t.prismaField({
    type: InventoryItem,
    nullable: true,
    description: 'One item by its SKU. Null when this account has no such SKU.',
    args: { sku: t.arg.string({ required: true, description: "The seller's own code, exactly." }) },
    resolve: (query, _root, { sku }, context) =>
      context.prisma.inventoryItem.findUnique({
        ...query,
        where: { accountId_sku: { accountId: context.accountId, sku } },
      }),
  }),
);

/** One item of the caller's account. A null id is answered with null, so that a failed mutation can share it. */
export const readItem = readOne('inventoryItem');
