/** The word of a person that so many changes at once are meant: `blastApprove`. */
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { answered, payloadOf, refusedWith } from './mutation.ts';
import { PlatformConnection, readConnection } from './platformConnection.ts';
import { notFound } from './userErrors.ts';

const BlastApprovePayload = payloadOf<{ readonly connectionId: string }>('BlastApprovePayload', {
  verbs: '`blastApprove`',
  field: 'connection',
  type: PlatformConnection,
  read: readConnection,
  description: 'The connection; null when this account has no such one.',
});

const BlastApproveInput = builder.inputType('BlastApproveInput', {
  description: 'Which connection may go on.',
  fields: (t) => ({
    connectionId: t.id({ required: true, description: 'The global id of the connection.' }),
  }),
});

builder.mutationField('blastApprove', (t) =>
  t.field({
    type: BlastApprovePayload,
    description:
      'Lets a change go on that the blast-radius guard has stopped (alert BLAST_STOPPED); for one hour nothing of this connection is stopped, and every 0 that it shows is believed. Repeating it changes nothing. Errors: NOT_FOUND.',
    extensions: { scope: 'connections:admin' },
    args: { input: t.arg({ type: BlastApproveInput, required: true, description: 'The connection.' }) },
    resolve: async (_root, { input }, context) => {
      const connectionId = idOf('PlatformConnection', input.connectionId);
      if (connectionId === null) return refusedWith(notFound(['input', 'connectionId'], 'connection'));
      return answered(connectionId, await context.sync.approveBlast(context.caller, connectionId));
    },
  }),
);
