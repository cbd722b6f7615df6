/** What an account decides once for everything it owns: its rule, and when people are alerted. */
import { builder } from './builder.ts';
import { answered, payloadRef } from './mutation.ts';
import { storedRuleOf, TargetRule } from './targetRule.ts';
import { Account, readAccount } from './viewer.ts';

builder.prismaObjectFields(Account, (t) => ({
  rule: t.field({
    type: TargetRule,
    description: 'The rule for every listing, where no nearer level has one.',
    select: { rule: true },
    resolve: (account) => storedRuleOf(account.rule),
  }),
  lowStockUnits: t.exposeInt('lowStockUnits', {
    nullable: true,
    description:
      'An item with at most so many available units is low on stock, 0 or more; it is no longer once a fifth more (at least one) is there. Null: nobody is told.',
  }),
  stillOnSaleAfterSeconds: t.exposeInt('stillOnSaleAfterS', {
    description:
      'How long a sold-out item may go on being shown before `STILL_ON_SALE` is raised, in seconds, 0 to 86 400.',
  }),
}));

const AccountSettingsUpdatePayload = payloadRef<null>(
  'AccountSettingsUpdatePayload',
  '`accountSettingsUpdate`',
);

builder.objectFields(AccountSettingsUpdatePayload, (t) => ({
  account: t.prismaField({
    type: Account,
    description: 'The account as it is now, also when nothing was done.',
    resolve: (query, _payload, _args, context) => readAccount(query, context),
  }),
}));

const AccountSettingsUpdateInput = builder.inputType('AccountSettingsUpdateInput', {
  description: 'What to change. What is left out stays as it is.',
  fields: (t) => ({
    lowStockUnits: t.int({
      description:
        'Available units at or below which an item is low on stock, 0 or more. Null ends such alerts.',
    }),
    stillOnSaleAfterSeconds: t.int({
      description:
        'How long a sold-out item may go on being shown before `STILL_ON_SALE` is raised, in seconds, 0 to 86 400.',
    }),
  }),
});

builder.mutationField('accountSettingsUpdate', (t) =>
  t.field({
    type: AccountSettingsUpdatePayload,
    description:
      'Says when people are alerted. Alerts that follow from it are raised and closed within seconds. Repeating it changes nothing. Errors: INVALID_INPUT.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: AccountSettingsUpdateInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, { caller, sync }) => {
      const { lowStockUnits, stillOnSaleAfterSeconds: after } = input;
      const settings = {
        ...(lowStockUnits === undefined ? {} : { lowStockUnits }),
        ...(typeof after === 'number' ? { stillOnSaleAfterSeconds: after } : {}),
      };
      return answered(null, await sync.updateAccountSettings(caller, settings));
    },
  }),
);
