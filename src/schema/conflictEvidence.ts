/** What a conflict was proven from, so that people can check the proof again. */
import type {
  ConsideredOrder,
  PriceEvidence as PriceEvidenceShape,
  QuantityEvidence,
} from '../sync/conflictEvidence.ts';
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';
import { encodeId, idOf } from './globalId.ts';
import { Money } from './money.ts';
import { Order, readOrder } from './order.ts';
import { pageSizeMax } from './paging.ts';

const ConflictReading = builder.objectRef<QuantityEvidence['reading']>('ConflictReading').implement({
  description: 'A number that the channel answered. It was true at some instant from `from` to `until`.',
  fields: (t) => ({
    value: t.exposeInt('value', { description: 'Units shown, 0 or more.' }),
    from: t.field({
      type: 'DateTime',
      description:
        'The earliest instant at which it was true: when it was asked for, less how stale the channel may be.',
      resolve: ({ from }) => new Date(from),
    }),
    until: t.field({
      type: 'DateTime',
      description: 'The latest: when it was answered.',
      resolve: ({ until }) => new Date(until),
    }),
  }),
});

const ConflictRange = builder.objectRef<QuantityEvidence['range']>('ConflictRange').implement({
  description:
    'What the channel could show at the time of the reading, by every write that may have been in force and every known order.',
  fields: (t) => ({
    low: t.exposeInt('low', { description: 'Units at least, 0 or more.' }),
    high: t.exposeInt('high', { description: 'Units at most, `low` or more.' }),
  }),
});

const states = {
  SENT: 'Sent; no answer yet.',
  ACCEPTED: 'Taken in by the channel; takes effect later.',
  EFFECTIVE: 'In force for certain.',
  UNKNOWN: 'No answer came: it may or may not have happened.',
  REJECTED: 'Refused; it was never in force.',
} as const;

const ConflictCandidateState = builder.enumType('ConflictCandidateState', {
  description: 'What was known of a write.',
  values: Object.fromEntries(
    Object.entries(states).map(([value, description]) => [value, { value, description }]),
  ) as unknown as Record<keyof typeof states, { value: keyof typeof states; description: string }>,
});

const ConflictCandidate = builder
  .objectRef<QuantityEvidence['candidates'][number]>('ConflictCandidate')
  .implement({
    description:
      'A number that may have been in force on the channel: one of our writes, or an earlier reading.',
    fields: (t) => ({
      value: t.exposeInt('value', { description: 'Units written, 0 or more.' }),
      targetSeq: t.exposeInt('targetSeq', {
        description: "The item's `seq` that it was computed from; 0 for a reading.",
      }),
      state: t.field({
        type: ConflictCandidateState,
        description: 'What was known of it.',
        resolve: ({ state }) => state,
      }),
      sentAt: t.field({
        type: 'DateTime',
        description: 'When it was first sent.',
        resolve: ({ sentAt }) => new Date(sentAt),
      }),
      settledAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'By when it was in force at the latest; null while that was not known.',
        resolve: ({ settledAt }) => (settledAt === null ? null : new Date(settledAt)),
      }),
    }),
  });

const bases = {
  range: 'What the channel could show was computed with it.',
  nearby: 'Of the same listing and near the reading in time; shown to help understand it.',
} as const;

const ConsideredOrderBasis = builder.enumType('ConsideredOrderBasis', {
  description: 'Why an order is among the evidence.',
  values: {
    RANGE: { value: 'range', description: bases.range },
    NEARBY: { value: 'nearby', description: bases.nearby },
  } as const,
});

const ConsideredOrderType = builder.objectRef<ConsideredOrder>('ConsideredOrder').implement({
  description: 'An order of this listing that was known when the conflict was proven.',
  fields: (t) => ({
    orderId: t.id({
      description: 'The order.',
      resolve: ({ orderId }) => encodeId('Order', orderId),
    }),
    units: t.exposeInt('units', {
      description: 'Units it took off the channel; below 0 for units that came back.',
    }),
    soldFrom: t.field({
      type: 'DateTime',
      description: "The earliest time of it, by the channel's clock.",
      resolve: ({ from }) => new Date(from),
    }),
    soldUntil: t.field({
      type: 'DateTime',
      description: "The latest time of it, by the channel's clock.",
      resolve: ({ until }) => new Date(until),
    }),
    basis: t.field({
      type: ConsideredOrderBasis,
      description: 'Why it is here.',
      resolve: ({ basis }) => basis,
    }),
    order: t.prismaField({
      type: Order,
      nullable: true,
      description: 'The order as it is now; null when it is gone.',
      resolve: (query, { orderId }, _args, context) =>
        readOrder(query, context, idOf('Order', encodeId('Order', orderId))),
    }),
  }),
});

export const ConflictEvidence = builder.objectRef<QuantityEvidence>('ConflictEvidence').implement({
  description: 'What proved that the number was changed from outside. All of it as it was then.',
  fields: (t) => ({
    reading: t.field({
      type: ConflictReading,
      description: 'The reading that nothing explains.',
      resolve: ({ reading }) => reading,
    }),
    range: t.field({
      type: ConflictRange,
      description: 'What would have been explained.',
      resolve: ({ range }) => range,
    }),
    delta: t.exposeInt('delta', {
      description:
        "Units that this reading proves. The conflict's own `delta` also counts the edits of the conflicts that it took the place of.",
    }),
    target: t.exposeInt('target', { description: 'Units that the channel should have shown.' }),
    targetSeq: t.exposeInt('targetSeq', { description: "The item's `seq` that `target` was computed from." }),
    candidates: t.field({
      type: [ConflictCandidate],
      description: 'What may have been in force, oldest first.',
      resolve: ({ candidates }) => candidates,
    }),
    ordersWatermark: t.field({
      type: 'DateTime',
      description: "Every order up to here was known, by the channel's clock.",
      resolve: ({ ordersWatermark }) => new Date(ordersWatermark),
    }),
    orders: t.field({
      type: [ConsideredOrderType],
      description:
        'The known orders of the listing: those that the range was computed with, newest first, then others near the reading.',
      args: { first: t.arg.int({ required: true, description: `The first so many, 1 to ${pageSizeMax}.` }) },
      resolve: ({ orders }, { first }) => orders.slice(0, bounded(first)),
    }),
  }),
});

export const PriceEvidence = builder.objectRef<PriceEvidenceShape>('PriceEvidence').implement({
  description: 'What proved that a price is another than intended. As it was then.',
  fields: (t) => ({
    expected: t.field({
      type: [Money],
      description: 'The prices that would have been right, in the currency of `shown`.',
      resolve: ({ expected }) => expected.map(({ minor, currency }) => ({ minor: BigInt(minor), currency })),
    }),
    shown: t.field({
      type: Money,
      description: 'The list price that the channel shows.',
      resolve: ({ shown }) => ({ minor: BigInt(shown.minor), currency: shown.currency }),
    }),
  }),
});

function bounded(first: number): number {
  if (first >= 1 && first <= pageSizeMax) return first;
  throw apiError('LIMIT_PAGE_SIZE', `A page has 1 to ${pageSizeMax} nodes, not ${first}.`, {
    limit: pageSizeMax,
  });
}
