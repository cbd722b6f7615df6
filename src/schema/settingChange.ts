/** Who changed which rule, switch or alert setting, and from what to what. */
import { Actor } from './actor.ts';
import { builder } from './builder.ts';
import { connectionOf, listField, orderOf } from './connections.ts';
import { SettingKind } from './enums.ts';
import { storedRuleOf, TargetRule } from './targetRule.ts';
import { enumFilter, member, reference, where } from './where.ts';

export const SettingChange = builder.prismaNode('SettingChange', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id_accountId: { id, accountId: context.accountId } }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description:
    'A change of what decides the numbers of channels, or of when people are alerted. Of the account where neither a listing nor a connection is named.',
  fields: (t) => ({
    setting: t.expose('setting', { type: SettingKind, description: 'What was changed.' }),
    listing: t.relation('listing', {
      nullable: true,
      description: 'The listing whose setting it is; null when it is of a wider level.',
    }),
    connection: t.relation('connection', {
      nullable: true,
      description: 'The marketplace account whose setting it is; null when it is of another level.',
    }),
    before: t.string({
      description: 'The value before, as JSON.',
      select: { before: true },
      resolve: (change) => JSON.stringify(change.before),
    }),
    after: t.string({
      description: 'The value after, as JSON.',
      select: { after: true },
      resolve: (change) => JSON.stringify(change.after),
    }),
    rule: t.field({
      type: TargetRule,
      nullable: true,
      description: 'The rule after the change; null when no rule was changed.',
      select: { setting: true, after: true },
      resolve: ({ setting, after }) => (setting === 'rule' ? storedRuleOf(after) : null),
    }),
    actor: t.field({
      type: Actor,
      description: 'Who did it.',
      select: { actorKind: true, actorId: true },
      resolve: (change) => change,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was done.' }),
  }),
});

const SettingChangeConnection = connectionOf(
  'SettingChange',
  'changed settings',
  SettingChange,
  'stock:read',
);

const order = orderOf('SettingChangeOrderBy', 'changed settings', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was done' },
});

const changeWhere = where('SettingChangeWhere', 'changed settings', {
  listingId: reference('listingId', 'Listing', 'The listing whose setting it is.'),
  connectionId: reference(
    'connectionId',
    'PlatformConnection',
    'The marketplace account whose setting it is.',
  ),
  setting: member('setting', enumFilter('SettingKindFilter', SettingKind), 'What was changed.'),
});

listField('settingChanges', {
  type: SettingChangeConnection,
  model: 'settingChange',
  node: SettingChange,
  description: 'Every change of a rule, a switch or an alert setting of the account.',
  where: changeWhere,
  order,
  initial: 'CREATED_AT_DESC',
});
