/** `explain` for any number: why a listing shows what it shows, as data and in plain words. */
import type {
  ExplainedCandidate,
  ExplainedPart,
  ExplainedStep,
  Explanation as ExplanationShape,
  Hold,
  OpenConflict,
  Push,
} from '../sync/explanation.ts';
import { batched } from './batches.ts';
import { builder } from './builder.ts';
import { ConflictType, Platform, WriteState } from './enums.ts';
import { EscrowRights } from './escrowRights.ts';
import { CandidateState, ListingMode, TargetStepKind } from './explanationEnums.ts';
import { encodeId, requireId } from './globalId.ts';
import { Listing } from './listing.ts';
import { RuleLevel } from './targetRule.ts';

const scoped = { scope: 'stock:read' };

const ExplainedLedger = builder
  .objectRef<NonNullable<ExplanationShape['ledger']>>('ExplainedLedger')
  .implement({
    description: 'What the ledger says of the item.',
    extensions: scoped,
    fields: (t) => ({
      quantity: t.exposeInt('onHand', { description: 'Units on hand.' }),
      reserved: t.exposeInt('reserved', { description: 'Units promised and not yet shipped, 0 or more.' }),
      available: t.exposeInt('available', { description: 'Units that can be sold; below 0 when oversold.' }),
      seq: t.exposeInt('seq', { description: 'The number of the change that these are from.' }),
    }),
  });

const ExplainedComponent = builder.objectRef<ExplainedPart>('ExplainedComponent').implement({
  description: 'A component of a bundle, and for how many bundles it is enough.',
  extensions: scoped,
  fields: (t) => ({
    itemId: t.id({
      description: 'The component.',
      resolve: ({ itemId }) => encodeId('InventoryItem', itemId),
    }),
    sku: t.exposeString('sku', { description: 'Its SKU.' }),
    quantity: t.exposeInt('quantity', { description: 'Units of it in one bundle, 1 or more.' }),
    available: t.exposeInt('available', {
      description: 'Units of it that can be sold; below 0 when oversold.',
    }),
    makes: t.exposeInt('makes', {
      description: 'Bundles that these are enough for; below 0 when oversold.',
    }),
    limits: t.exposeBoolean('limits', {
      description: 'True when no other component is enough for fewer: restocking it makes more bundles.',
    }),
  }),
});

const ExplainedHold = builder.objectRef<Hold>('ExplainedHold').implement({
  description:
    'Units withheld everywhere, because a channel showed fewer than every known order explains. Those of a bundle are withheld of what it is made of, and those of a component of its bundles.',
  extensions: scoped,
  fields: (t) => ({
    listingId: t.id({
      description: 'The listing that showed too few.',
      resolve: (hold) => encodeId('Listing', hold.listingId),
    }),
    platform: t.expose('platform', { type: Platform, description: 'Its marketplace.' }),
    units: t.exposeInt('units', {
      description:
        'Units withheld, 1 or more: of this item where that listing sells a bundle of it, else of what that listing sells.',
    }),
    since: t.expose('since', {
      type: 'DateTime',
      nullable: true,
      description: 'When the first reading that is too low was answered; null when that is not kept.',
    }),
  }),
});

const ExplainedConflict = builder.objectRef<OpenConflict>('ExplainedConflict').implement({
  description:
    'An open conflict of the item, of a bundle of it or of what it is made of. A proven decrease is withheld until it is decided.',
  extensions: scoped,
  fields: (t) => ({
    conflictId: t.id({
      description: 'The conflict.',
      resolve: (conflict) => encodeId('SyncConflict', conflict.conflictId),
    }),
    platform: t.expose('platform', {
      type: Platform,
      nullable: true,
      description: 'The marketplace; null when it is about several.',
    }),
    conflictType: t.expose('type', { type: ConflictType, description: 'What does not agree.' }),
    delta: t.exposeInt('delta', {
      description: 'Units by which the channel was changed from outside; below 0 for a cut.',
    }),
    since: t.expose('since', { type: 'DateTime', description: 'When it was found.' }),
  }),
});

const ExplainedStepType = builder.objectRef<ExplainedStep>('ExplainedStep').implement({
  description: 'One step from what is available to what is shown.',
  extensions: scoped,
  fields: (t) => ({
    step: t.expose('step', { type: TargetStepKind, description: 'What was done.' }),
    amount: t.exposeFloat('amount', {
      description: 'What the rule says: units, a share from 0 to 1, or 1 for paused.',
    }),
    level: t.expose('level', {
      type: RuleLevel,
      nullable: true,
      description: 'The level that says it; null when it is no rule.',
    }),
    result: t.exposeInt('result', { description: 'The number after this step, in units.' }),
    text: t.exposeString('text', { description: 'The same in words.' }),
  }),
});

const ShownRange = builder.objectRef<NonNullable<ExplanationShape['shown']>>('ShownRange').implement({
  description: 'What we believe a channel shows now. A sale that we do not know of can only lower it.',
  extensions: scoped,
  fields: (t) => ({
    min: t.exposeInt('low', { description: 'At least so many units, 0 or more.' }),
    max: t.exposeInt('high', { description: 'At most so many units.' }),
  }),
});

const ExplainedCandidateType = builder.objectRef<ExplainedCandidate>('ExplainedCandidate').implement({
  description: 'A number that may be in force on the channel. What is not settled is unconfirmed.',
  extensions: scoped,
  fields: (t) => ({
    key: t.exposeString('key', {
      description: 'The idempotency key of the write, or the reading it is from.',
    }),
    value: t.exposeInt('value', { description: 'The number, in units, before sales since then.' }),
    state: t.expose('state', { type: CandidateState, description: 'What is known of its effect.' }),
    sentAt: t.expose('sentAt', {
      type: 'DateTime',
      description: 'The earliest it can have come into force.',
    }),
    settledAt: t.expose('settledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The latest it came into force; null while it is unconfirmed.',
    }),
    queued: t.exposeBoolean('queued', {
      description:
        'True while it may stand in a queue of the channel, together with others (an Amazon feed): it comes into force when the channel pleases.',
    }),
  }),
});

const ExplainedPush = builder.objectRef<Push>('ExplainedPush').implement({
  description: 'The newest number sent to the channel.',
  extensions: scoped,
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Its idempotency key.' }),
    quantity: t.exposeInt('quantity', { description: 'The number, in units, 0 or more.' }),
    state: t.expose('state', { type: WriteState, description: 'What became of it.' }),
    targetSeq: t.exposeInt('targetSeq', { description: "The ledger's seq that it was computed from." }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'What went wrong; null when nothing did.',
    }),
    sentAt: t.expose('sentAt', { type: 'DateTime', description: 'When it was sent.' }),
    settledAt: t.expose('settledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its outcome became certain; null before.',
    }),
  }),
});

const OrdersSince = builder.objectRef<NonNullable<ExplanationShape['ordersSince']>>('OrdersSince').implement({
  description: 'Orders that the channel took since the newest push.',
  extensions: scoped,
  fields: (t) => ({
    orders: t.exposeInt('orders', { description: 'How many, 0 or more. Cancelled ones do not count.' }),
    units: t.exposeInt('units', { description: 'Their units, 0 or more.' }),
  }),
});

export const Explanation = builder.objectRef<ExplanationShape>('Explanation').implement({
  description: 'Why a listing shows the number it shows, all from one moment.',
  extensions: scoped,
  fields: (t) => ({
    summary: t.exposeString('summary', { description: 'All of it in plain words. May change.' }),
    mode: t.expose('mode', { type: ListingMode, description: 'How its number is kept.' }),
    modeReason: t.exposeString('modeReason', {
      nullable: true,
      description: 'Why nothing is written, or why it is kept at 0; null in the modes that write.',
    }),
    ledger: t.expose('ledger', {
      type: ExplainedLedger,
      nullable: true,
      description: 'What the ledger says; null while nobody has said which item it sells.',
    }),
    components: t.expose('parts', {
      type: [ExplainedComponent],
      description: 'What the item is made of, by SKU; empty where it is no bundle.',
    }),
    holds: t.expose('holds', {
      type: [ExplainedHold],
      description: 'What is withheld on suspicion, by listing.',
    }),
    conflicts: t.expose('conflicts', {
      type: [ExplainedConflict],
      description: 'Open conflicts of the item.',
    }),
    conflictDelta: t.exposeInt('conflictDelta', {
      description: 'Units that open conflicts withhold, 0 or below.',
    }),
    raisesStopped: t.exposeBoolean('raisesStopped', {
      description: 'True while some channel shows more than anything explains: then nothing is raised.',
    }),
    steps: t.expose('steps', {
      type: [ExplainedStepType],
      description: 'From available to `target`, in order.',
    }),
    target: t.exposeInt('target', {
      nullable: true,
      description:
        'What it should show, or would if it were written to, 0 or more units; null while nobody has said which item it sells.',
    }),
    shown: t.expose('shown', {
      type: ShownRange,
      nullable: true,
      description: 'What it shows; null when that is not known.',
    }),
    candidates: t.expose('candidates', {
      type: [ExplainedCandidateType],
      description:
        'Every number that may be in force, oldest first: more than one while something is unconfirmed.',
    }),
    push: t.expose('push', {
      type: ExplainedPush,
      nullable: true,
      description: 'The push that its number came from; null before the first.',
    }),
    ordersSince: t.expose('ordersSince', {
      type: OrdersSince,
      nullable: true,
      description: 'Orders there since that push; null before the first.',
    }),
    rights: t.expose('rights', {
      type: EscrowRights,
      nullable: true,
      description: 'Its rights to sell; null unless under escrow.',
    }),
    waitingSince: t.expose('waitingSince', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when it waits to be brought in step; null when it does not.',
    }),
  }),
});

const explanationOf = batched<ExplanationShape>(({ accountId, sync }, ids) => sync.explain(accountId, ids));

builder.prismaObjectField(Listing, 'explanation', (t) =>
  t.field({
    type: Explanation,
    nullable: true,
    description: 'Why it shows the number it shows. Null when it was removed meanwhile.',
    select: { id: true },
    resolve: (listing, _args, context) => explanationOf(context, listing.id),
  }),
);

builder.queryField('explainQuantity', (t) =>
  t.field({
    type: Explanation,
    nullable: true,
    description: 'Why a listing shows the number it shows. Null when this account has no such listing.',
    args: { listingId: t.arg.id({ required: true, description: 'The global id of the listing.' }) },
    resolve: (_root, { listingId }, context) => explanationOf(context, requireId('Listing', listingId)),
  }),
);
