/** The list price that a seller means an item to have: `itemPriceSet`. */
import { minorUnitDigits, moneyFromDecimal } from '../connectors/money.ts';
import type { Price } from '../sync/core/conflicts.ts';
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { Money, moneyOf } from './money.ts';
import { answered, payloadOf, refusedWith } from './mutation.ts';
import { notFound } from './userErrors.ts';

builder.prismaObjectField(InventoryItem, 'price', (t) =>
  t.field({
    type: Money,
    nullable: true,
    description:
      'The list price that it should have on every channel with this currency; null while nobody has said (see `itemPriceSet`).',
    select: { priceMinor: true, currency: true },
    resolve: (item) => moneyOf(item.priceMinor, item.currency),
  }),
);

const ItemPriceSetPayload = payloadOf<{ readonly itemId: string }>('ItemPriceSetPayload', {
  verbs: '`itemPriceSet`',
  field: 'item',
  type: InventoryItem,
  read: readItem,
  description: 'The item as it is now, also when nothing was done. Null when this account has no such item.',
});

const MoneyInput = builder.inputType('MoneyInput', {
  description: 'An amount in one currency.',
  fields: (t) => ({
    amount: t.field({
      type: 'Decimal',
      required: true,
      description: '0 or more, with no more digits than the currency has: `"24.50"` (EUR), `"100"` (JPY).',
    }),
    currencyCode: t.string({ required: true, description: 'ISO 4217, e.g. `EUR`.' }),
  }),
});

const ItemPriceSetInput = builder.inputType('ItemPriceSetInput', {
  description: 'The price that an item should have.',
  fields: (t) => ({
    itemId: t.id({ required: true, description: 'The global id of the item.' }),
    price: t.field({
      type: MoneyInput,
      description: 'Its list price. Left out or null: nobody says any more, and no price is a conflict.',
    }),
  }),
});

builder.mutationField('itemPriceSet', (t) =>
  t.field({
    type: ItemPriceSetPayload,
    description:
      'Says which list price an item should have, and writes it to every channel that shows another one in the same currency, by more than the account tolerates (`Listing.pricePending`, `priceRefusal`, `priceExplanation`). Prices in other currencies stay as they are. A channel that shows another price without this is a PRICE_MISMATCH. Repeating it tries again what was refused, and otherwise changes nothing. Errors: NOT_FOUND, INVALID_INPUT.',
    extensions: { scope: 'listings:write' },
    args: { input: t.arg({ type: ItemPriceSetInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const itemId = idOf('InventoryItem', input.itemId);
      if (itemId === null) return refusedWith(notFound(['input', 'itemId'], 'item'));
      const price = input.price ? exactPrice(input.price) : null;
      if (price === 'inexact') {
        const message =
          'A price is an amount of 0 or more with no more digits than its ISO 4217 currency has.';
        const field = ['input', 'price', 'amount'];
        return answered<{ itemId: string }>(itemId, {
          ok: false,
          problems: [{ code: 'INVALID_INPUT', message, field }],
        });
      }
      return answered(itemId, await context.sync.setItemPrice(context.caller, { itemId, price }));
    },
  }),
);

/** Never rounded: a price that its currency cannot express is a mistake. */
function exactPrice(input: { readonly amount: string; readonly currencyCode: string }): Price | 'inexact' {
  const { amount, currencyCode } = input;
  if (!/^[A-Z]{3}$/.test(currencyCode)) return 'inexact';
  const [, fraction = ''] = amount.split('.');
  if (fraction.replace(/0+$/, '').length > minorUnitDigits(currencyCode)) return 'inexact';
  return moneyFromDecimal(amount, currencyCode);
}
