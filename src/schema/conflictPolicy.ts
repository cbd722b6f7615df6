/** How an account's conflicts are decided without asking: `conflictPolicy` and `conflictPolicySet`. */
import { builder } from './builder.ts';
import { ConflictResolution } from './enums.ts';
import { answered, payloadRef } from './mutation.ts';
import { Account, readAccount } from './viewer.ts';

type Policy = {
  readonly autoResolution: 'use_lowest' | 'use_highest' | 'manual_review' | 'keep_ours';
  readonly autoResolutionUnitsMax: number;
  readonly priceToleranceMinor: number;
};

const ConflictPolicy = builder.objectRef<Policy>('ConflictPolicy').implement({
  description: 'How conflicts are decided without asking, in the moment they are proven.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    resolution: t.field({
      type: ConflictResolution,
      description: 'The decision. MANUAL_REVIEW: every conflict waits for a person.',
      resolve: ({ autoResolution }) => autoResolution,
    }),
    unitsMax: t.exposeInt('autoResolutionUnitsMax', {
      description:
        'Edits of at most so many units, either way, are decided; when one of the item is larger, all of them wait for a person. 0 or more.',
    }),
    priceToleranceMinor: t.exposeInt('priceToleranceMinor', {
      description:
        'Minor units of money (cents; whole yen) by which a shown price may differ from the intended one. Price conflicts always wait for a person.',
    }),
  }),
});

builder.prismaObjectField(Account, 'conflictPolicy', (t) =>
  t.field({
    type: ConflictPolicy,
    description: 'How its conflicts are decided without asking.',
    select: { autoResolution: true, autoResolutionUnitsMax: true, priceToleranceMinor: true },
    resolve: (account) => account,
  }),
);

const ConflictPolicySetPayload = payloadRef<{ readonly accountId: string }>(
  'ConflictPolicySetPayload',
  '`conflictPolicySet`',
);

builder.objectField(ConflictPolicySetPayload, 'account', (t) =>
  t.prismaField({
    type: Account,
    description: 'The account as it is now, also when nothing was done.',
    resolve: (query, _payload, _args, context) => readAccount(query, context),
  }),
);

const ConflictPolicySetInput = builder.inputType('ConflictPolicySetInput', {
  description: 'How conflicts that are proven from now on are decided.',
  fields: (t) => ({
    resolution: t.field({
      type: ConflictResolution,
      required: true,
      description:
        'USE_LOWEST (the default of an account) books a decrease and writes over an increase; USE_HIGHEST books an increase; KEEP_OURS books nothing and writes over both; MANUAL_REVIEW decides nothing.',
    }),
    unitsMax: t.int({
      required: true,
      description: 'Edits of more units than this, either way, wait for a person. 0 or more; 10 by default.',
    }),
    priceToleranceMinor: t.int({
      description:
        'Minor units of money by which a shown price may differ from the intended one, 0 or more. Left out: as it is. Counts from the next look at the prices.',
    }),
  }),
});

builder.mutationField('conflictPolicySet', (t) =>
  t.field({
    type: ConflictPolicySetPayload,
    description:
      'Sets how conflicts that are proven from now on are decided without asking; open ones stay as they are. Repeating it changes nothing. Errors: INVALID_INPUT.',
    extensions: { scope: 'conflicts:resolve' },
    args: { input: t.arg({ type: ConflictPolicySetInput, required: true, description: 'The policy.' }) },
    resolve: async (_root, { input }, context) => {
      const { resolution, unitsMax } = input;
      const priceToleranceMinor = input.priceToleranceMinor ?? null;
      const policy = { resolution, unitsMax, priceToleranceMinor };
      return answered(null, await context.sync.setConflictPolicy(context.caller, policy));
    },
  }),
);
