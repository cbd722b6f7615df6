/** Target rules: how many of the units that can be sold a listing shows, at three levels. */
import { type StoredRule, storedRule } from '../sync/targets.ts';
import { builder } from './builder.ts';
import { Listing } from './listing.ts';
import { PlatformConnection } from './platformConnection.ts';

export const RuleLevel = builder.enumType('RuleLevel', {
  description: 'Where a rule is set. What the nearest level leaves out, the next one decides.',
  values: {
    LISTING: { value: 'listing', description: 'For one listing: the nearest level.' },
    CONNECTION: { value: 'connection', description: 'For every listing of a marketplace account.' },
    ACCOUNT: { value: 'account', description: 'For every listing of the account.' },
  } as const,
});

const members = {
  buffer:
    'Units withheld, 0 to 1 000 000 000. One setting with `automaticBuffer`: the nearest level that names either decides.',
  automaticBuffer:
    'Sizes the buffer from data: as few units that the other channels sell more of them, before a lowered number is in force, with at most this probability (above 0, below 1; 0.01 is a good start).',
  share: 'Shows this share of what is left, 0 to 1, rounded down.',
  fixed: 'Shows this many units, 0 to 1 000 000 000, as long as so many are there; fewer when fewer are.',
  quantityMin: 'Shows at least so many units, 0 to 1 000 000 000, but never more than there are.',
  cutOff: 'Shows 0 when fewer units than this could be sold, 0 to 1 000 000 000.',
  quantityMax: 'Shows at most so many units, 0 to 1 000 000 000.',
  paused: 'True shows 0. To leave the number on the channel alone instead, see `listingPause`.',
} as const;

export const TargetRule = builder.objectRef<StoredRule>('TargetRule').implement({
  description:
    'One level of rules: `clamp(floor((available - holds - buffer) x share), min, max)`, 0 below the cut-off and while paused. Null where this level leaves it to the level above.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    buffer: t.int({
      nullable: true,
      description: members.buffer,
      resolve: (rule) => rule.buffer ?? null,
    }),
    automaticBuffer: t.float({
      nullable: true,
      description: members.automaticBuffer,
      resolve: (rule) => rule.automaticBuffer ?? null,
    }),
    share: t.float({
      nullable: true,
      description: members.share,
      resolve: (rule) => rule.share ?? null,
    }),
    fixed: t.int({
      nullable: true,
      description: members.fixed,
      resolve: (rule) => rule.fixed ?? null,
    }),
    quantityMin: t.int({
      nullable: true,
      description: members.quantityMin,
      resolve: (rule) => rule.quantityMin ?? null,
    }),
    cutOff: t.int({
      nullable: true,
      description: members.cutOff,
      resolve: (rule) => rule.cutOff ?? null,
    }),
    quantityMax: t.int({
      nullable: true,
      description: members.quantityMax,
      resolve: (rule) => rule.quantityMax ?? null,
    }),
    paused: t.boolean({
      nullable: true,
      description: members.paused,
      resolve: (rule) => rule.paused ?? null,
    }),
  }),
});

export const TargetRuleInput = builder.inputType('TargetRuleInput', {
  description: "One level's whole rule. What is left out, or null, the level above decides.",
  fields: (t) => ({
    buffer: t.int({ description: members.buffer }),
    automaticBuffer: t.float({ description: members.automaticBuffer }),
    share: t.float({ description: members.share }),
    fixed: t.int({ description: members.fixed }),
    quantityMin: t.int({ description: members.quantityMin }),
    cutOff: t.int({ description: members.cutOff }),
    quantityMax: t.int({ description: members.quantityMax }),
    paused: t.boolean({ description: members.paused }),
  }),
});

/** The rule that an input means: null and left out are the same. */
export function ruleOf(input: typeof TargetRuleInput.$inferInput): StoredRule {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== null && value !== undefined),
  );
}

/** A rule as the database holds it. */
export function storedRuleOf(rule: unknown): StoredRule {
  return storedRule.parse(rule);
}

builder.prismaObjectField(Listing, 'rule', (t) =>
  t.field({
    type: TargetRule,
    description: 'The rule of this listing alone. `explanation` shows what all levels say together.',
    select: { rule: true },
    resolve: (listing) => storedRuleOf(listing.rule),
  }),
);

builder.prismaObjectField(PlatformConnection, 'rule', (t) =>
  t.field({
    type: TargetRule,
    description: 'The rule for all of its listings, where a listing has none of its own.',
    select: { rule: true },
    resolve: (connection) => storedRuleOf(connection.rule),
  }),
);
