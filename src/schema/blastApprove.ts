/** The word of a person that so many changes at once are meant: `blastApprove`. */
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { answered, type Payload, refusedWith } from './mutation.ts';
import { PlatformConnection, readConnection } from './platformConnection.ts';
import { notFound, UserError, userErrorsDescription } from './userErrors.ts';

const BlastApprovePayload = builder
  .objectRef<Payload<{ readonly connectionId: string }>>('BlastApprovePayload')
  .implement({
    description: 'What came of `blastApprove`.',
    fields: (t) => ({
      connection: t.prismaField({
        type: PlatformConnection,
        nullable: true,
        description: 'The connection; null when this account has no such one.',
        resolve: (query, { subject }, _args, context) => readConnection(query, context, subject),
      }),
      userErrors: t.field({
        type: [UserError],
        description: userErrorsDescription,
        resolve: (payload) => payload.userErrors,
      }),
    }),
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
      'Lets a change go on that the blast-radius guard has stopped (alert BLAST_STOPPED); for one hour nothing of this connection is stopped. Repeating it changes nothing. Errors: NOT_FOUND.',
    extensions: { scope: 'connections:admin' },
    args: { input: t.arg({ type: BlastApproveInput, required: true, description: 'The connection.' }) },
    resolve: async (_root, { input }, context) => {
      const connectionId = idOf('PlatformConnection', input.connectionId);
      if (connectionId === null) return refusedWith(notFound(['input', 'connectionId'], 'connection'));
      return answered(connectionId, await context.sync.approveBlast(context.caller, connectionId));
    },
  }),
);
