/** Who asks and what comes back: every verb of sync takes a caller and answers with a value or with problems as data. */

export type Actor = { readonly kind: 'system' | 'user' | 'api_key'; readonly id: string | null };

export const systemActor: Actor = { kind: 'system', id: null };

export type Caller = {
  readonly accountId: string;
  readonly actor: Actor;
  /** Ties the log lines of one request, order or write together. */
  readonly correlationId: string;
};

export type ProblemCode =
  | 'NOT_FOUND'
  | 'INVALID_INPUT'
  /** The compared number was not the current one. `current` carries it. */
  | 'STOCK_CHANGED'
  /** The order cannot take this status from where it is. `current` carries the status. */
  | 'INVALID_TRANSITION'
  /** The conflict is another one by now than the caller saw. `current` carries its version. */
  | 'VERSION_CONFLICT'
  /** The conflict's evidence was overtaken. `related` names the conflict that took its place, if one did. */
  | 'SUPERSEDED'
  /** The conflict was decided before. `current` carries the decision. */
  | 'ALREADY_RESOLVED'
  /** Other open conflicts of the item are decided together with these. `related` names them. */
  | 'OTHER_CONFLICTS_OPEN'
  /** The key was used before with other input. */
  | 'IDEMPOTENCY_KEY_REUSED'
  /** The first request with this key has not finished. Safe to retry. */
  | 'IN_PROGRESS'
  /** The marketplace refused. `raw` carries its own words. */
  | 'CHANNEL_REJECTED'
  /** The plan's status does not allow it. `current` carries the status. */
  | 'PLAN_STATUS'
  /** What the plan was made of is too old. */
  | 'PLAN_EXPIRED'
  /** The plan passes the limits of its connection, and nobody has said that they have seen it. `size` says by how much. */
  | 'PLAN_TOO_LARGE'
  /** The channel's number cannot be made the right one there. `listingIds` says where. */
  | 'CHANNEL_CANNOT_WIN'
  /** A bundle within a bundle. */
  | 'NESTED_BUNDLE'
  /** The item has stock of its own, which a bundle cannot have. `current` carries what is on hand. */
  | 'ITEM_HAS_STOCK'
  /** A bundle has no stock of its own to change. */
  | 'ITEM_IS_BUNDLE'
  /** Less is available than asked for. `current` carries how much, `itemId` of what. */
  | 'INSUFFICIENT_STOCK'
  /** The reservation has ended or expired. `current` carries its status. */
  | 'RESERVATION_ENDED'
  /** More than can still come back. `current` carries how much can. */
  | 'EXCEEDS_SHIPPED';

/** A business error. `field` is the path in the caller's input, e.g. `['input', 'delta']`. */
export type Problem = {
  readonly code: ProblemCode;
  readonly message: string;
  readonly field: readonly string[];
  readonly current?: number | string;
  readonly raw?: string;
  /** Plain ids of the objects that the caller should look at. */
  readonly related?: readonly string[];
  readonly size?: { readonly listings: number; readonly zeroing: number; readonly changing: number };
  readonly listingIds?: readonly string[];
  readonly itemId?: string;
};

export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export function done<Value>(value: Value): Outcome<Value> {
  return { ok: true, value };
}

export function refused(...problems: readonly Problem[]): Outcome<never> {
  return { ok: false, problems };
}

/** How a row remembers a person or a program; null for the system. */
export function actorName({ kind, id }: Actor): string | null {
  if (kind === 'system') return null;
  return id === null ? kind : `${kind}:${id}`;
}
