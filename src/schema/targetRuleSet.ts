/** Setting the rule of a level: `accountRuleSet`, `connectionRuleSet`, `listingRuleSet`. */
import type { RulePlace, SettingChange } from '../sync/rules.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { idOf } from './globalId.ts';
import { Listing, readListing } from './listing.ts';
import { answered, type Payload, payloadOf, payloadRef, refusedWith } from './mutation.ts';
import { PlatformConnection, readConnection } from './platformConnection.ts';
import { ruleOf, TargetRuleInput } from './targetRule.ts';
import { notFound } from './userErrors.ts';
import { Account, readAccount } from './viewer.ts';

const affectedDescription =
  'Listings that are brought in step because of it, 0 or more: those for which all levels together say something else than before.';
const errorsDescription =
  'Repeating it changes nothing. One statement, also for a hundred thousand listings. Errors: NOT_FOUND, INVALID_INPUT (`field` names the member of the rule).';

const AccountRuleSetPayload = payloadRef<SettingChange>('AccountRuleSetPayload', '`accountRuleSet`');

builder.objectFields(AccountRuleSetPayload, (t) => ({
  account: t.prismaField({
    type: Account,
    description: 'The account as it is now.',
    resolve: (query, _payload, _args, context) => readAccount(query, context),
  }),
  listingsAffected: t.int({ description: affectedDescription, resolve: affected }),
}));

const AccountRuleSetInput = builder.inputType('AccountRuleSetInput', {
  description: 'A rule for every listing of the account.',
  fields: (t) => ({
    rule: t.field({ type: TargetRuleInput, required: true, description: 'The whole rule of this level.' }),
  }),
});

builder.mutationField('accountRuleSet', (t) =>
  t.field({
    type: AccountRuleSetPayload,
    description: `Replaces the account's rule. ${errorsDescription}`,
    extensions: { scope: 'listings:write' },
    args: { input: t.arg({ type: AccountRuleSetInput, required: true, description: 'What to do.' }) },
    resolve: (_root, { input }, context) => setRule(context, { level: 'account', id: null }, input.rule),
  }),
);

const ConnectionRuleSetPayload = payloadOf<SettingChange>('ConnectionRuleSetPayload', {
  verbs: '`connectionRuleSet`',
  field: 'connection',
  type: PlatformConnection,
  read: readConnection,
  description:
    'The marketplace account as it is now, also when nothing was done. Null when this account has no such one.',
});

builder.objectFields(ConnectionRuleSetPayload, (t) => ({
  listingsAffected: t.int({ description: affectedDescription, resolve: affected }),
}));

const ConnectionRuleSetInput = builder.inputType('ConnectionRuleSetInput', {
  description: 'A rule for every listing of a marketplace account.',
  fields: (t) => ({
    connectionId: t.id({ required: true, description: 'The global id of the marketplace account.' }),
    rule: t.field({ type: TargetRuleInput, required: true, description: 'The whole rule of this level.' }),
  }),
});

builder.mutationField('connectionRuleSet', (t) =>
  t.field({
    type: ConnectionRuleSetPayload,
    description: `Replaces the rule of a marketplace account. ${errorsDescription}`,
    extensions: { scope: 'listings:write' },
    args: { input: t.arg({ type: ConnectionRuleSetInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const id = idOf('PlatformConnection', input.connectionId);
      if (id === null) return refusedWith(notFound(['input', 'connectionId'], 'connection'));
      return setRule(context, { level: 'connection', id }, input.rule);
    },
  }),
);

const ListingRuleSetPayload = payloadOf<SettingChange>('ListingRuleSetPayload', {
  verbs: '`listingRuleSet`',
  field: 'listing',
  type: Listing,
  read: readListing,
  description:
    'The listing as it is now, also when nothing was done. Null when this account has no such listing.',
});

builder.objectFields(ListingRuleSetPayload, (t) => ({
  listingsAffected: t.int({ description: affectedDescription, resolve: affected }),
}));

const ListingRuleSetInput = builder.inputType('ListingRuleSetInput', {
  description: 'A rule for one listing.',
  fields: (t) => ({
    listingId: t.id({ required: true, description: 'The global id of the listing.' }),
    rule: t.field({ type: TargetRuleInput, required: true, description: 'The whole rule of this level.' }),
  }),
});

builder.mutationField('listingRuleSet', (t) =>
  t.field({
    type: ListingRuleSetPayload,
    description: `Replaces the rule of one listing. ${errorsDescription}`,
    extensions: { scope: 'listings:write' },
    args: { input: t.arg({ type: ListingRuleSetInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const id = idOf('Listing', input.listingId);
      if (id === null) return refusedWith(notFound(['input', 'listingId'], 'listing'));
      return setRule(context, { level: 'listing', id }, input.rule);
    },
  }),
);

async function setRule(
  { caller, sync }: Context,
  place: RulePlace,
  input: typeof TargetRuleInput.$inferInput,
): Promise<Payload<SettingChange>> {
  return answered(place.id, await sync.setRule(caller, { place, rule: ruleOf(input) }));
}

function affected({ value }: Payload<SettingChange>): number {
  return value?.listings ?? 0;
}
