/** The one schema builder. Fields are non-null unless they say otherwise, and a planned query that is not used is an error. */
import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import type PrismaTypes from '../../.generated/pothos.ts';
import { getDatamodel } from '../../.generated/pothos.ts';
import { apiError, missingScope } from './apiError.ts';
import type { Context } from './context.ts';
import { encodeId, nodeTypes, parseId } from './globalId.ts';

export const nodesMax = 100;

export const builder = new SchemaBuilder<{
  PrismaTypes: PrismaTypes;
  Context: Context;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    Cursor: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    Decimal: { Input: string; Output: string };
  };
}>({
  plugins: [RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  prisma: {
    client: (context: Context) => context.prisma,
    dmmf: getDatamodel(),
    onUnusedQuery: 'error',
    exposeDescriptions: false,
  },
  relay: {
    encodeGlobalID: (type, id) => encodeId(type, String(id)),
    decodeGlobalID(globalId, context) {
      const parsed = parseId(globalId);
      if (parsed === null) throw apiError('BAD_USER_INPUT', `"${globalId.slice(0, 60)}" is not a global id.`);
      const scope = nodeTypes[parsed.type];
      if (scope !== null && !context.session?.scopes.has(scope)) throw missingScope(scope);
      return { typename: parsed.type, id: parsed.id };
    },
    idFieldOptions: {
      description: 'Opaque and stable. Only ever found by keys of the account that owns the object.',
    },
    nodeTypeOptions: { description: 'An object with a global id.' },
    nodeQueryOptions: {
      description: 'Any object by its global id. Null when this account has no such object.',
      args: { id: { description: 'A global id from any `id` field.' } },
    },
    nodesQueryOptions: {
      description: `Several objects by their global ids (at most ${nodesMax}), in the order asked. Null for each that this account has not.`,
      args: { ids: { description: `Up to ${nodesMax} global ids.` } },
      extensions: { listMax: nodesMax },
    },
  },
});

export type SchemaTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer Types> ? Types : never;

builder.queryType({
  description: 'Everything that can be read. Every answer is narrowed to the account of the key.',
});
builder.mutationType({
  description:
    'Each mutation does one thing and answers with the object read again and with `userErrors`. An empty `userErrors` means it was done.',
});
builder.subscriptionType({
  description:
    'Streams that can be resumed: keep the newest `cursor` you saw and pass it as `after`. The same over WebSocket (graphql-transport-ws) and Server-Sent Events.',
});
