/** Which protection an item should have, by the rule that automatic protection decides by, and the numbers behind it. */
import type { ProtectionSuggestion } from '../sync/protectionSuggestions.ts';
import { batched } from './batches.ts';
import { builder } from './builder.ts';
import { Protection } from './enums.ts';
import { InventoryItem } from './inventoryItem.ts';

const Suggestion = builder.objectRef<ProtectionSuggestion>('ProtectionSuggestion').implement({
  description:
    'A protection that an item of the shared pool should have: escrow, where `available` is no more than `bufferNeeded`. Set it with `inventoryItemProtectionSet`.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    protection: t.field({
      type: Protection,
      description: 'The protection: ESCROW. AUTOMATIC leaves it again at twice the stock.',
      resolve: () => 'escrow' as const,
    }),
    reason: t.exposeString('reason', { description: 'Why, in plain words.' }),
    available: t.exposeInt('available', {
      description: 'Units that can still be sold; below 0 when oversold.',
    }),
    bufferNeeded: t.exposeInt('bufferNeeded', {
      description:
        'Units that may be sold within `reactionMs` at `surge` times `soldPerHour`, but for a chance of 0.001, 0 or more: the buffer that the shared pool would need.',
    }),
    soldPerHour: t.exposeFloat('soldPerHour', {
      description:
        'Units that all its channels sell per hour while they show some, above 0, from their own sales; recent ones weigh more, and before the first one it is one a day.',
    }),
    surge: t.exposeFloat('surge', {
      description: 'How many times as fast it is reckoned to sell all at once, above 0.',
    }),
    reactionMs: t.exposeFloat('reactionMs', {
      description:
        'Milliseconds from a sale anywhere until a lowered number is in force on its slowest channel, nine times of ten, as in `ListingExposure.reactionMs`.',
    }),
  }),
});

/** Null where none is suggested. Once per request and item, however many ask. */
export const suggestionOf = batched<ProtectionSuggestion>(({ accountId, sync }, ids) =>
  sync.protectionSuggestions(accountId, ids),
);

builder.prismaObjectField(InventoryItem, 'protectionSuggested', (t) =>
  t.field({
    type: Suggestion,
    nullable: true,
    description:
      'The protection that it should have: what AUTOMATIC would choose for it now. Null where the shared pool is deep enough, where it is protected, and where it cannot be: bundles and their components, fewer than two listings, or a listing that is not written by this server (FBA, switched off, a connection not in use) or sells beyond its number.',
    select: { id: true },
    resolve: ({ id }, _args, context) => suggestionOf(context, id),
  }),
);
