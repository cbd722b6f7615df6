/** Saying that somebody has seen an alert. */
import { Alert, readAlert } from './alert.ts';
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { answered, type Payload, refusedWith } from './mutation.ts';
import { notFound, UserError, userErrorsDescription } from './userErrors.ts';

const AlertAcknowledgePayload = builder
  .objectRef<Payload<{ readonly alertId: string }>>('AlertAcknowledgePayload')
  .implement({
    description: 'What came of `alertAcknowledge`.',
    fields: (t) => ({
      alert: t.prismaField({
        type: Alert,
        nullable: true,
        description: 'The alert as it is now. Null when this account has no such alert.',
        resolve: (query, payload, _args, context) => readAlert(query, context, payload.subject),
      }),
      userErrors: t.field({
        type: [UserError],
        description: userErrorsDescription,
        resolve: (payload) => payload.userErrors,
      }),
    }),
  });

const AlertAcknowledgeInput = builder.inputType('AlertAcknowledgeInput', {
  description: 'Which alert was seen.',
  fields: (t) => ({ alertId: t.id({ required: true, description: 'The global id of the alert.' }) }),
});

builder.mutationField('alertAcknowledge', (t) =>
  t.field({
    type: AlertAcknowledgePayload,
    description: 'Says that somebody has seen an alert. Repeating it changes nothing. Errors: NOT_FOUND.',
    extensions: { scope: 'stock:write' },
    args: { input: t.arg({ type: AlertAcknowledgeInput, required: true, description: 'What to do.' }) },
    resolve: async (_root, { input }, context) => {
      const alertId = idOf('Alert', input.alertId);
      if (alertId === null) return refusedWith(notFound(['input', 'alertId'], 'alert'));
      return answered(alertId, await context.sync.acknowledgeAlert(context.caller, alertId));
    },
  }),
);
