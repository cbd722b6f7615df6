/** Who is asking: the account and the key behind a request. */
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';
import type { Context, Session } from './context.ts';
import { encodeId } from './globalId.ts';
import { type Scope, scopes } from './scopes.ts';

const does: Readonly<Record<Scope, string>> = {
  'stock:read': 'Reads items, listings, movements, conflicts, alerts and jobs.',
  'stock:write': 'Changes stock, starts syncs, acknowledges alerts and says when to raise them.',
  'orders:read': 'Reads orders.',
  'orders:write': 'Changes the status of orders.',
  'conflicts:resolve': 'Decides conflicts, and how they are decided without asking.',
  'listings:write':
    'Says which item a listing or a SKU means and what an item should cost, sets target rules, pauses and resumes.',
  'connections:admin': 'Connects and disconnects marketplace accounts.',
  'keys:admin': 'Creates and revokes keys.',
};

const Scopes = builder.enumType('Scope', {
  description: 'What a key may do.',
  values: Object.fromEntries(
    scopes.map((scope) => [
      scope.replace(':', '_').toUpperCase(),
      { value: scope, description: `\`${scope}\`: ${does[scope]}` },
    ]),
  ),
});

export const Account = builder.prismaObject('Account', {
  select: { id: true },
  description: 'The owner of everything that a key can see.',
  fields: (t) => ({
    id: t.id({ description: 'Opaque and stable.', resolve: ({ id }) => encodeId('Account', id) }),
    name: t.exposeString('name', { description: 'What people call it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
  }),
});

const Viewer = builder.objectRef<Session>('Viewer').implement({
  description: 'The key behind this request and its account.',
  fields: (t) => ({
    account: t.prismaField({
      type: Account,
      description: 'Whose data the key sees.',
      resolve: (query, session, _args, context) =>
        context.prisma.account.findUniqueOrThrow({ ...query, where: { id: session.accountId } }),
    }),
    keyName: t.exposeString('keyName', { description: 'What the key is called.' }),
    scopes: t.field({
      type: [Scopes],
      description: 'What the key may do.',
      resolve: (session) => scopes.filter((scope) => session.scopes.has(scope)),
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'Who is asking.',
    resolve: (_root, _args, { session }) => {
      if (session === null) throw apiError('UNAUTHENTICATED', 'There is no key.');
      return session;
    },
  }),
);

/** The caller's own account. */
export async function readAccount(query: object, context: Context) {
  const selection = { ...query };
  return context.prisma.account.findUniqueOrThrow({ ...selection, where: { id: context.accountId } });
}
