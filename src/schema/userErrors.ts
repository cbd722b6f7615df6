/** Business errors as data: why a mutation was not done, in types that a client can act on. */
import type { Resolution as ResolutionName } from '../sync/core/conflicts.ts';
import type { Problem, ProblemCode } from '../sync/outcome.ts';
import { builder } from './builder.ts';
import { ConflictResolution } from './enums.ts';
import { encodeId } from './globalId.ts';

const codes: Readonly<Record<ProblemCode, string>> = {
  NOT_FOUND: 'This account has no such object.',
  INVALID_INPUT: 'A value is out of range or does not go with another.',
  STOCK_CHANGED: 'The number compared with is not the current one. Read it again, decide again.',
  INVALID_TRANSITION: 'The order cannot take this status from where it is.',
  VERSION_CONFLICT: 'The conflict has changed since you read it. Read it again, decide again.',
  SUPERSEDED: 'The evidence of the conflict was overtaken: there is nothing left to decide.',
  ALREADY_RESOLVED: 'The conflict was decided before.',
  OTHER_CONFLICTS_OPEN: 'The item has other open conflicts, which are decided together with these.',
  IDEMPOTENCY_KEY_REUSED: 'The idempotency key was used before with other input.',
  IN_PROGRESS:
    'The first request with this idempotency key has not finished, or another change held for too long what this one needs. Send the same request again.',
  CHANNEL_REJECTED: 'The marketplace refused.',
  PLAN_STATUS: "The plan's status does not allow it.",
  PLAN_EXPIRED: 'The plan is too old to be believed. Make a new one.',
  PLAN_TOO_LARGE: "The plan passes its connection's limits, and nobody has said that they have seen it.",
  CHANNEL_CANNOT_WIN: "The channel's number cannot be made the right one there.",
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
  VERSION_CONFLICT: 'VersionConflictError',
  SUPERSEDED: 'SupersededError',
  ALREADY_RESOLVED: 'AlreadyResolvedError',
  OTHER_CONFLICTS_OPEN: 'OtherConflictsOpenError',
  IDEMPOTENCY_KEY_REUSED: 'IdempotencyError',
  IN_PROGRESS: 'IdempotencyError',
  CHANNEL_REJECTED: 'ChannelRejectedError',
  PLAN_STATUS: 'PlanStatusError',
  PLAN_EXPIRED: 'PlanStatusError',
  PLAN_TOO_LARGE: 'PlanTooLargeError',
  CHANNEL_CANNOT_WIN: 'ChannelCannotWinError',
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

builder.objectRef<Problem>('VersionConflictError').implement({
  description:
    'The conflict is at another version than `expectedVersion`: new evidence or another decision came first.',
  interfaces: [UserError],
  fields: (t) => ({
    current: t.int({
      nullable: true,
      description: 'Its version now.',
      resolve: ({ current }) => (typeof current === 'number' ? current : null),
    }),
  }),
});

builder.objectRef<Problem>('SupersededError').implement({
  description: 'The evidence of the conflict was overtaken: there is nothing left to decide.',
  interfaces: [UserError],
  fields: (t) => ({
    supersededById: t.id({
      nullable: true,
      description: 'The conflict that took its place; null when none did.',
      resolve: ({ related }) => relatedIds(related)[0] ?? null,
    }),
  }),
});

builder.objectRef<Problem>('AlreadyResolvedError').implement({
  description: 'The conflict was decided before.',
  interfaces: [UserError],
  fields: (t) => ({
    resolution: t.field({
      type: ConflictResolution,
      nullable: true,
      description: 'What was decided.',
      resolve: ({ current }) => current as ResolutionName | undefined,
    }),
  }),
});

builder.objectRef<Problem>('OtherConflictsOpenError').implement({
  description: 'The item has other open conflicts, which are decided together with these.',
  interfaces: [UserError],
  fields: (t) => ({
    conflictIds: t.idList({
      description: 'The open conflicts that were left out.',
      resolve: ({ related }) => [...relatedIds(related)],
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

export function notFound(field: readonly string[], what: string): Problem {
  return { code: 'NOT_FOUND', message: `This account has no such ${what}.`, field };
}

function relatedIds(related: readonly string[] | undefined): readonly string[] {
  return (related ?? []).map((id) => encodeId('SyncConflict', id));
}
