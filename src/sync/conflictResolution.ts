/** The verb that decides conflicts: all of one item together, each with the version that was looked at, once per key. */
import type pg from 'pg';
import { decide, planOf } from './conflictDecision.ts';
import {
  announceConflicts,
  awaitReview,
  type ConflictKind,
  kindOf,
  lockItem,
  openConflicts,
  readConflicts,
  type StoredConflict,
} from './conflictRows.ts';
import { type Resolution, resolve } from './core/conflicts.ts';
import { once } from './idempotency.ts';
import { noEffect, type StockEffect } from './ledger.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import { decidePrice } from './prices.ts';
import type { ConflictResolveInput, ConflictsResolved } from './sync.ts';

export type ResolutionOptions = { readonly pool: pg.Pool; readonly onMoved: (effect: StockEffect) => void };

/** One listing has one open conflict of a kind, and nobody offers an item in more places. */
const conflictsMax = 50;

export async function resolveConflicts(
  options: ResolutionOptions,
  caller: Caller,
  input: ConflictResolveInput,
): Promise<Outcome<ConflictsResolved>> {
  const unclear = inputProblem(input);
  if (unclear !== null) return refused(unclear);
  let effect: StockEffect = noEffect;
  const request = { operation: 'conflictResolve', key: input.idempotencyKey, input };
  const outcome = await once<ConflictsResolved>(options.pool, caller, request, async (client) => {
    const found = await lookedAt(client, caller, input);
    if (!found.ok) return found;
    const decided = await carryOut(client, caller, found.value, input.resolution);
    if (!decided.ok) return decided;
    effect = decided.value;
    const { itemId, chosen } = found.value;
    return done({
      itemId,
      conflictIds: chosen.map(({ id }) => id),
      movementId: effect.movementIds[0] ?? null,
    });
  });
  if (outcome.ok) options.onMoved(effect);
  return outcome;
}

type LookedAt = {
  readonly itemId: string;
  readonly kind: ConflictKind;
  /** In the order of the input: every open conflict of this kind that the item has. */
  readonly chosen: readonly StoredConflict[];
};

/** The conflicts as they are under the item's lock, if they still are what the caller saw and leave none of the item out. */
async function lookedAt(
  client: pg.PoolClient,
  caller: Caller,
  { conflicts }: ConflictResolveInput,
): Promise<Outcome<LookedAt>> {
  const ids = conflicts.map(({ conflictId }) => conflictId);
  const subject = subjectOf(await readConflicts(client, caller.accountId, ids), ids);
  if (!subject.ok) return subject;
  const { itemId, kind } = subject.value;
  await lockItem(client, caller.accountId, itemId);
  const now = new Map(
    (await readConflicts(client, caller.accountId, ids)).map((conflict) => [conflict.id, conflict]),
  );
  const chosen = ids.flatMap((id) => now.get(id) ?? []);
  const changed = conflicts.flatMap(({ conflictId, expectedVersion }, index) => {
    const conflict = now.get(conflictId);
    return conflict === undefined ? [] : changeProblem(conflict, expectedVersion, String(index));
  });
  if (changed.length > 0) return refused(...changed);
  const open = await openConflicts(client, itemId, kind);
  const others = open.filter(({ id }) => !ids.includes(id)).map(({ id }) => id);
  if (others.length > 0) {
    return refused({
      code: 'OTHER_CONFLICTS_OPEN',
      message: 'The item has other open conflicts. Edits on several channels are decided together.',
      field: ['input', 'conflicts'],
      related: others,
    });
  }
  return done({ itemId, kind, chosen });
}

function subjectOf(
  conflicts: readonly StoredConflict[],
  ids: readonly string[],
): Outcome<{ readonly itemId: string; readonly kind: ConflictKind }> {
  const missing = ids.findIndex((id) => !conflicts.some((conflict) => conflict.id === id));
  if (missing >= 0) {
    return refused({
      code: 'NOT_FOUND',
      message: 'There is no such conflict.',
      field: ['input', 'conflicts', String(missing), 'id'],
    });
  }
  const [first] = conflicts;
  if (first === undefined) throw new Error('no conflict was asked for');
  const kind = kindOf(first.type);
  if (conflicts.some(({ itemId, type }) => itemId !== first.itemId || kindOf(type) !== kind)) {
    return refused(
      invalid('Conflicts of one item are decided together: all about its number, or all about its price.'),
    );
  }
  return done({ itemId: first.itemId, kind });
}

/** Why this conflict cannot be decided any more as it was seen: none, or one. */
function changeProblem(conflict: StoredConflict, expectedVersion: number, index: string): readonly Problem[] {
  const resolved = resolve([{ conflict, expectedVersion }], 'keep_ours');
  if (resolved.kind === 'resolved') return [];
  const { version, supersededBy, resolution } = conflict;
  const at = ['input', 'conflicts', index];
  if (resolved.code === 'SUPERSEDED') {
    return [
      {
        code: 'SUPERSEDED',
        message: 'The evidence of this conflict was overtaken: there is nothing left to decide.',
        field: [...at, 'id'],
        related: supersededBy === null ? [] : [supersededBy],
      },
    ];
  }
  // Whoever saw it open and comes second has seen another version.
  if (expectedVersion !== version) {
    return [
      {
        code: 'VERSION_CONFLICT',
        message: `The conflict is at version ${version}, not ${expectedVersion}: it has changed since you read it.`,
        field: [...at, 'expectedVersion'],
        current: version,
      },
    ];
  }
  return [
    {
      code: 'ALREADY_RESOLVED',
      message: 'This conflict was decided before.',
      field: [...at, 'id'],
      ...(resolution === null ? {} : { current: resolution }),
    },
  ];
}

async function carryOut(
  client: pg.PoolClient,
  caller: Caller,
  { itemId, kind, chosen }: LookedAt,
  resolution: Resolution,
): Promise<Outcome<StockEffect>> {
  const { accountId, actor } = caller;
  if (resolution === 'manual_review') {
    const ids = chosen.map(({ id }) => id);
    const marked = await awaitReview(client, ids);
    await announceConflicts(
      client,
      ids.filter((id) => marked.includes(id)),
    );
    return done(noEffect);
  }
  if (kind === 'price') {
    const connectionIds = await decidePrice(client, { accountId, itemId, open: chosen, resolution, actor });
    return done({ ...noEffect, connectionIds });
  }
  const plan = await planOf(client, itemId, chosen, resolution);
  if (plan.obstacle !== null) return refused(invalid(plan.obstacle));
  return done(await decide(client, { accountId, itemId, open: chosen, resolution, plan, actor }));
}

function inputProblem({ conflicts }: ConflictResolveInput): Problem | null {
  const ids = new Set(conflicts.map(({ conflictId }) => conflictId));
  if (conflicts.length === 0 || conflicts.length > conflictsMax)
    return invalid(`Give 1 to ${conflictsMax} conflicts.`);
  return ids.size === conflicts.length ? null : invalid('Give each conflict once.');
}

function invalid(message: string): Problem {
  return { code: 'INVALID_INPUT', message, field: ['input', 'conflicts'] };
}
