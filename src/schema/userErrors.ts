/** Business errors as data: why a mutation was not done, in types that a client can act on. */
import type { Problem, ProblemCode } from '../sync/outcome.ts';
import { builder } from './builder.ts';

const codes: Readonly<Record<ProblemCode, string>> = {
  NOT_FOUND: 'This account has no such object.',
  INVALID_INPUT: 'A value is out of range or does not go with another.',
  STOCK_CHANGED: 'The number compared with is not the current one. Read it again, decide again.',
  INVALID_TRANSITION: 'The order cannot take this status from where it is.',
  IDEMPOTENCY_KEY_REUSED: 'The idempotency key was used before with other input.',
  IN_PROGRESS: 'The first request with this idempotency key has not finished. Send the same request again.',
  CHANNEL_REJECTED: 'The marketplace refused.',
  NESTED_BUNDLE: 'A bundle cannot be part of another bundle, nor of itself.',
  ITEM_HAS_STOCK: 'The item has stock of its own, which a bundle cannot have. Bring it to 0 first.',
  ITEM_IS_BUNDLE: 'A bundle has no stock of its own. Change that of its components.',
  INSUFFICIENT_STOCK: 'Less is available than asked for. Nothing was reserved.',
  RESERVATION_ENDED: 'The reservation was committed, released or has expired.',
  EXCEEDS_SHIPPED: 'More than can still come back: units shipped less units returned.',
};

const UserErrorCode = builder.enumType('UserErrorCode', {
  description: 'Why a mutation was not done. Stable: made for programs.',
  values: Object.fromEntries(
    Object.entries(codes).map(([code, description]) => [code, { value: code, description }]),
  ) as unknown as Record<ProblemCode, { value: ProblemCode; description: string }>,
});

export const UserError = builder.interfaceRef<Problem>('UserError').implement({
  description: 'Why a mutation was not done. Nothing was changed.',
  resolveType: (problem) => members[problem.code],
  fields: (t) => ({
    message: t.exposeString('message', { description: 'For people. May change; programs look at `code`.' }),
    code: t.field({ type: UserErrorCode, description: 'For programs.', resolve: (problem) => problem.code }),
    field: t.stringList({
      description:
        'The path of the input concerned, e.g. `["input", "delta"]`. Empty when it is no single one.',
      resolve: (problem) => [...problem.field],
    }),
  }),
});

const members: Readonly<Record<ProblemCode, string>> = {
  NOT_FOUND: 'NotFoundError',
  INVALID_INPUT: 'InvalidInputError',
  STOCK_CHANGED: 'StockChangedError',
  INVALID_TRANSITION: 'InvalidTransitionError',
  IDEMPOTENCY_KEY_REUSED: 'IdempotencyError',
  IN_PROGRESS: 'IdempotencyError',
  CHANNEL_REJECTED: 'ChannelRejectedError',
  NESTED_BUNDLE: 'BundleError',
  ITEM_HAS_STOCK: 'BundleError',
  ITEM_IS_BUNDLE: 'BundleError',
  INSUFFICIENT_STOCK: 'InsufficientStockError',
  RESERVATION_ENDED: 'ReservationEndedError',
  EXCEEDS_SHIPPED: 'ExceedsShippedError',
};

builder.objectRef<Problem>('NotFoundError').implement({
  description: 'This account has no such object.',
  interfaces: [UserError],
});

builder.objectRef<Problem>('InvalidInputError').implement({
  description: 'A value is out of range or does not go with another. `field` names it.',
  interfaces: [UserError],
});

builder.objectRef<Problem>('StockChangedError').implement({
  description: '`changeFrom` is not what is on hand: somebody or something changed it in between.',
  interfaces: [UserError],
  fields: (t) => ({
    current: t.int({
      nullable: true,
      description: 'Units on hand now.',
      resolve: ({ current }) => (typeof current === 'number' ? current : null),
    }),
  }),
});

builder.objectRef<Problem>('InvalidTransitionError').implement({
  description: 'The order cannot take this status from where it is.',
  interfaces: [UserError],
  fields: (t) => ({
    current: t.string({
      nullable: true,
      description: 'Where it is: a member of `OrderStatus`.',
      resolve: ({ current }) => (typeof current === 'string' ? current.toUpperCase() : null),
    }),
  }),
});

builder.objectRef<Problem>('IdempotencyError').implement({
  description: 'The idempotency key stands for another request, or for one that has not finished.',
  interfaces: [UserError],
  fields: (t) => ({
    retryable: t.boolean({
      description: 'True when the same request may simply be sent again.',
      resolve: ({ code }) => code === 'IN_PROGRESS',
    }),
  }),
});

builder.objectRef<Problem>('ChannelRejectedError').implement({
  description: 'The marketplace refused.',
  interfaces: [UserError],
  fields: (t) => ({
    raw: t.string({
      nullable: true,
      description: "The marketplace's own words, shortened.",
      resolve: ({ raw }) => raw ?? null,
    }),
  }),
});

/** The one extra field of every payload. */
export const userErrorsDescription = 'Why it was not done. Empty means that it was.';

export function notFound(field: readonly string[], what: string): Problem {
  return { code: 'NOT_FOUND', message: `This account has no such ${what}.`, field };
}
