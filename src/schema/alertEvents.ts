/** Alerts of every kind as they are raised, changed and resolved. */
import type { LogEvent } from '../sync/eventStream.ts';
import { builder } from './builder.ts';
import { presentAlerts } from './currentAlerts.ts';
import { AlertKind } from './enums.ts';
import { afterDescription, open, resumeAfter, stream, withPresent } from './events.ts';
import { AlertEventEnvelope } from './eventTypes.ts';

builder.subscriptionField('alertEvents', (t) =>
  t.field({
    type: AlertEventEnvelope,
    description:
      'Alerts as they are raised, changed and resolved. Without `after` it first sends every alert that is not resolved, and again behind every gap, so nothing is missed. Errors: INVALID_CURSOR.',
    extensions: { scope: 'stock:read' },
    args: {
      after: t.arg({ type: 'Cursor', description: afterDescription }),
      kinds: t.arg({ type: [AlertKind], description: 'Only alerts of these kinds. Left out: any.' }),
    },
    subscribe: (_root, { after, kinds }, context) => {
      const wanted = kinds ?? null;
      const accepts = ({ payload }: LogEvent): boolean =>
        wanted === null || wanted.some((each) => each === payload['kind']);
      const live = stream(context, after, { topic: 'alert', accepts });
      return withPresent(live, resumeAfter(context, after) === null, (cursor) =>
        presentAlerts(context, wanted, null, cursor),
      );
    },
    resolve: open,
  }),
);
