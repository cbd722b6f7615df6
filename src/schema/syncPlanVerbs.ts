/** The four verbs of a plan: make it, say who wins, apply it, take it back. */
import { planListingsMax } from '../sync/planEntries.ts';
import type { PlanRef } from '../sync/plans.ts';
import { builder } from './builder.ts';
import { SyncPlanAction, SyncPlanWinner } from './enums.ts';
import { idOf } from './globalId.ts';
import { answered, idempotencyKeyDescription, payloadRef, refusedWith } from './mutation.ts';
import { readPlan, SyncPlan } from './syncPlan.ts';
import { notFound } from './userErrors.ts';

const SyncPlanPayload = payloadRef<PlanRef & { readonly entries?: number }>(
  'SyncPlanPayload',
  'a verb on a plan',
);

builder.objectFields(SyncPlanPayload, (t) => ({
  plan: t.prismaField({
    type: SyncPlan,
    nullable: true,
    description: 'The plan as it is now, also when nothing was done. Null when there is none.',
    resolve: (query, payload, _args, context) =>
      readPlan(query, context, payload.value?.planId ?? payload.subject),
  }),
  entries: t.int({
    description: 'Entries that `syncPlanEntrySet` decided, 0 or more; 0 for the other verbs.',
    resolve: (payload) => payload.value?.entries ?? 0,
  }),
}));

const SyncPlanCreateInput = builder.inputType('SyncPlanCreateInput', {
  description: 'Which connection to make a plan of.',
  fields: (t) => ({
    connectionId: t.id({ required: true, description: 'The global id of the connection.' }),
    winner: t.field({
      type: SyncPlanWinner,
      required: true,
      defaultValue: 'ledger',
      description:
        'Who wins where nobody says otherwise: LEDGER or CHANNEL. Where the channel cannot win, nothing is done.',
    }),
    replace: t.boolean({
      required: true,
      defaultValue: false,
      description: 'Gives up a plan of the connection that is ready, and makes a new one.',
    }),
    idempotencyKey: t.string({ description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('syncPlanCreate', (t) =>
  t.field({
    type: SyncPlanPayload,
    description:
      'Imports the catalogue of a connection again and reads what every listing shows, to say what a sync would do. Nothing is written, neither to the channel nor to the ledger. Queued: follow it with `syncPlanProgress`. While a plan of the connection is open it is answered instead of a second one. Errors: NOT_FOUND, INVALID_INPUT, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.',
    extensions: { scope: 'connections:admin' },
    args: { input: t.arg({ type: SyncPlanCreateInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const connectionId = idOf('PlatformConnection', input.connectionId);
      if (connectionId === null) return refusedWith(notFound(['input', 'connectionId'], 'connection'));
      if (input.winner === 'skip')
        return refusedWith({
          code: 'INVALID_INPUT',
          message: 'Say LEDGER or CHANNEL: a plan in which everything is skipped does nothing.',
          field: ['input', 'winner'],
        });
      const { winner, replace } = input;
      const wanted = { connectionId, winner, replace, idempotencyKey: input.idempotencyKey ?? null };
      return answered(null, await context.sync.createPlan(context.caller, wanted));
    },
  }),
);

const SyncPlanEntrySetInput = builder.inputType('SyncPlanEntrySetInput', {
  description: 'Who is to win, and where. Entries must be named by `listingIds`, by `action`, or by both.',
  fields: (t) => ({
    planId: t.id({ required: true, description: 'The global id of the plan.' }),
    listingIds: t.idList({
      description: `Only these listings, 1 to ${planListingsMax}. Left out: all that \`action\` names.`,
    }),
    action: t.field({
      type: SyncPlanAction,
      description: 'Only where our number would do this. What is left out stays left out.',
    }),
    winner: t.field({ type: SyncPlanWinner, required: true, description: 'Whose number is to be right.' }),
  }),
});

builder.mutationField('syncPlanEntrySet', (t) =>
  t.field({
    type: SyncPlanPayload,
    description:
      'Says who wins on some listings of a plan that is ready; the counts of the plan follow. Refused as a whole when it cannot be so anywhere. Repeating it changes nothing. Errors: NOT_FOUND, INVALID_INPUT, PLAN_STATUS, CHANNEL_CANNOT_WIN.',
    extensions: { scope: 'connections:admin' },
    args: { input: t.arg({ type: SyncPlanEntrySetInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const planId = idOf('SyncPlan', input.planId);
      if (planId === null) return refusedWith(notFound(['input', 'planId'], 'plan'));
      const listingIds = input.listingIds?.map((id) => idOf('Listing', id)) ?? null;
      const known = listingIds?.filter((id) => id !== null) ?? null;
      if (known?.length !== listingIds?.length)
        return refusedWith(notFound(['input', 'listingIds'], 'listing'));
      const action = input.action ?? null;
      if (action === 'left_out') {
        const message = 'Nothing can be done where a listing is left out.';
        return answered<PlanRef>(planId, {
          ok: false,
          problems: [{ code: 'INVALID_INPUT', message, field: ['input', 'action'] }],
        });
      }
      const wanted = { planId, listingIds: known, action, winner: input.winner };
      return answered(planId, await context.sync.setPlanEntries(context.caller, wanted));
    },
  }),
);

const SyncPlanApplyInput = builder.inputType('SyncPlanApplyInput', {
  description: 'Which plan to carry out.',
  fields: (t) => ({
    planId: t.id({ required: true, description: 'The global id of the plan.' }),
    acknowledgeLarge: t.boolean({
      required: true,
      defaultValue: false,
      description:
        'Says that somebody has seen how much would change. Required when the plan `needsAcknowledgement`.',
    }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

builder.mutationField('syncPlanApply', (t) =>
  t.field({
    type: SyncPlanPayload,
    description:
      "Carries a plan out, listing by listing, each read once more: where the ledger wins it is written to from now on, where the channel wins the ledger moves by the difference, once; what has changed since it was looked at is left as it is. Numbers are computed anew from the ledger as it then is. Queued: follow it with `syncPlanProgress`. It also ends a new connection's waiting for its first plan. Errors: NOT_FOUND, PLAN_STATUS, PLAN_EXPIRED (more than a day old), PLAN_TOO_LARGE, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS.",
    extensions: { scope: 'connections:admin' },
    args: { input: t.arg({ type: SyncPlanApplyInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const planId = idOf('SyncPlan', input.planId);
      if (planId === null) return refusedWith(notFound(['input', 'planId'], 'plan'));
      const { acknowledgeLarge, idempotencyKey } = input;
      const wanted = { planId, acknowledgeLarge, idempotencyKey };
      return answered(planId, await context.sync.applyPlan(context.caller, wanted));
    },
  }),
);

const SyncPlanUndoInput = builder.inputType('SyncPlanUndoInput', {
  description: 'Which plan to take back.',
  fields: (t) => ({ planId: t.id({ required: true, description: 'The global id of the plan.' }) }),
});

builder.mutationField('syncPlanUndo', (t) =>
  t.field({
    type: SyncPlanPayload,
    description:
      'Takes back what the newest applied plan of a connection has done, or stops one that is being applied: movements are reversed by their delta, listings are switched as they were, and those that were not written to before show their old number again, less what was sold since. Repeating it changes nothing. Queued: follow it with `syncPlanProgress`. Errors: NOT_FOUND, PLAN_STATUS.',
    extensions: { scope: 'connections:admin' },
    args: { input: t.arg({ type: SyncPlanUndoInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const planId = idOf('SyncPlan', input.planId);
      if (planId === null) return refusedWith(notFound(['input', 'planId'], 'plan'));
      return answered(planId, await context.sync.undoPlan(context.caller, planId));
    },
  }),
);
