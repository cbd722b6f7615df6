/** Saying that somebody has seen an alert. */
import { Alert, readAlert } from './alert.ts';
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { answered, payloadOf, refusedWith } from './mutation.ts';
import { notFound } from './userErrors.ts';

const AlertAcknowledgePayload = payloadOf<{ readonly alertId: string }>('AlertAcknowledgePayload', {
  verbs: '`alertAcknowledge`',
  field: 'alert',
  type: Alert,
  read: readAlert,
  description: 'The alert as it is now. Null when this account has no such alert.',
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
