/** Bundles: items made of other items, which have the stock. */

import type { Problem } from '../sync/outcome.ts';
import { builder } from './builder.ts';
import { byCreation, connectionOf, relatedPage } from './connections.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { answered, idempotencyKeyDescription, payloadOf, refusedWith } from './mutation.ts';
import type { Sort } from './paging.ts';
import { notFound, UserError } from './userErrors.ts';

const BundleComponent = builder.prismaObject('BundleComponent', {
  description: 'What a bundle is made of: one component and how many of it.',
  extensions: { scope: 'stock:read' },
  select: { id: true },
  fields: (t) => ({
    item: t.relation('component', { description: 'The component.' }),
    bundle: t.relation('bundle', { description: 'The bundle that it is part of.' }),
    quantity: t.exposeInt('quantity', {
      description: 'Units of the component in one bundle, 1 to 10,000.',
    }),
  }),
});

const BundleComponentConnection = connectionOf(
  'BundleComponent',
  'components',
  BundleComponent,
  'stock:read',
);

const byPosition: Sort = { name: 'POSITION', column: 'position', kind: 'number', descending: false };

builder.prismaObjectField(InventoryItem, 'components', (t) =>
  t.field({
    type: BundleComponentConnection,
    description: 'What it is made of, when it is a bundle; in the order of `bundleSet`.',
    ...relatedPage<typeof BundleComponent.$inferType>('components', 'BundleComponent', byPosition),
  }),
);

builder.prismaObjectField(InventoryItem, 'bundles', (t) =>
  t.field({
    type: BundleComponentConnection,
    description: 'The bundles that it is part of.',
    ...relatedPage<typeof BundleComponent.$inferType>('bundles', 'BundleComponent', byCreation(false)),
  }),
);

const BundleSetPayload = payloadOf<{ readonly itemId: string }>('BundleSetPayload', {
  verbs: '`bundleSet`',
  field: 'item',
  type: InventoryItem,
  read: readItem,
  description: 'The item as it is now, also when nothing was done. Null when this account has no such item.',
});

const BundleComponentInput = builder.inputType('BundleComponentInput', {
  description: 'One component of a bundle.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the component. Not a bundle itself.' }),
    quantity: t.int({ required: true, description: 'Units of it in one bundle, 1 to 10,000.' }),
  }),
});

const BundleSetInput = builder.inputType('BundleSetInput', {
  description: 'What a bundle is made of.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the bundle.' }),
    components: t.field({
      type: [BundleComponentInput],
      required: true,
      description:
        'All its components, at most 50, each once. An empty list makes it a plain item with no stock.',
    }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('bundleSet', (t) =>
  t.field({
    type: BundleSetPayload,
    description:
      'Says what a bundle is made of, instead of what was said before. From then on an order for it takes all its components at once, it can be sold as often as its scarcest component allows, and its listings follow every component. Orders that are open keep the components that they were sold with. Items whose protection is not SHARED are refused. Errors: NOT_FOUND, INVALID_INPUT, NESTED_BUNDLE, ITEM_HAS_STOCK, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: BundleSetInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      const components = input.components.flatMap((component) => {
        const id = idOf('InventoryItem', component.itemId);
        return id === null ? [] : [{ itemId: id, quantity: component.quantity }];
      });
      if (components.length < input.components.length)
        return answered<{ itemId: string }>(itemId, {
          ok: false,
          problems: [notFound(['input', 'components'], 'component')],
        });
      const { idempotencyKey } = input;
      return answered(
        itemId,
        await context.sync.setBundle(context.caller, { itemId, components, idempotencyKey }),
      );
    },
  }),
);

builder.objectRef<Problem>('BundleError').implement({
  description: 'What bundles cannot do: nest (NESTED_BUNDLE) or have stock (ITEM_HAS_STOCK, ITEM_IS_BUNDLE).',
  interfaces: [UserError],
  fields: (t) => ({
    onHand: t.int({
      nullable: true,
      description: 'With ITEM_HAS_STOCK: units on hand now. Else null.',
      resolve: ({ current }) => (typeof current === 'number' ? current : null),
    }),
  }),
});
