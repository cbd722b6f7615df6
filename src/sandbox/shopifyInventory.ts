/** Shopify's stock mutations: all or nothing, compared with `changeFromQuantity`, and at most once per idempotency key. */
import { GraphQLError } from 'graphql';
import type { Clock } from './clock.ts';
import type { Variant } from './goods.ts';
import {
  dateTime,
  type GoodsObjects,
  gid,
  legacyId,
  locationLegacyId,
  locationObject,
} from './shopifyGoods.ts';
import { assertInputSize } from './shopifyPaging.ts';
import type { Shop } from './world.ts';

type Entry = {
  readonly inventoryItemId: string;
  readonly locationId: string;
  readonly changeFromQuantity?: number | null;
};

export type SetQuantitiesInput = {
  readonly name: string;
  readonly reason: string;
  readonly referenceDocumentUri?: string | null;
  readonly quantities: readonly (Entry & { readonly quantity: number })[];
};

export type AdjustQuantitiesInput = {
  readonly name: string;
  readonly reason: string;
  readonly referenceDocumentUri?: string | null;
  readonly changes: readonly (Entry & { readonly delta: number })[];
};

type UserError = {
  readonly code: string;
  readonly field: readonly string[] | null;
  readonly message: string;
};

type Change = { readonly variant: Variant; readonly delta: number; readonly after: number };

/** What is remembered of an attempt: enough to answer the same again. */
type Outcome =
  | {
      readonly kind: 'changed';
      readonly id: string;
      readonly at: number;
      readonly reason: string;
      readonly changes: readonly Change[];
    }
  | { readonly kind: 'refused'; readonly userErrors: readonly UserError[] };

export type InventoryMutations = {
  set(input: SetQuantitiesInput, attempt: AttemptParts): object;
  adjust(input: AdjustQuantitiesInput, attempt: AttemptParts): object;
  clear(): void;
};

export type AttemptParts = {
  /** From `@idempotent`; null when the directive is missing. */
  readonly key: string | null;
  readonly goods: GoodsObjects;
};

const quantityLimit = 1_000_000_000;
const keysMax = 20_000;

const reasons: ReadonlySet<string> = new Set(
  (
    'correction cycle_count_available damaged movement_created movement_updated movement_received movement_canceled other promotion ' +
    'quality_control received reservation_created reservation_deleted reservation_updated restock safety_stock shrinkage'
  ).split(' '),
);

export function createInventoryMutations(shop: Shop, clock: Clock): InventoryMutations {
  const remembered = new Map<string, { readonly fingerprint: string; readonly outcome: Outcome }>();
  let serial = 0;

  function once(mutation: string, input: object, { key, goods }: AttemptParts, run: () => Outcome): object {
    if (key === null || key.trim() === '') throw missingDirective();
    const fingerprint = JSON.stringify([mutation, input]);
    const before = remembered.get(key);
    if (before !== undefined) {
      if (before.fingerprint !== fingerprint)
        return refusal(
          'IDEMPOTENCY_KEY_PARAMETER_MISMATCH',
          'The same idempotency key cannot be used with different operation parameters.',
        );
      if (before.outcome.kind === 'refused')
        return refusal(
          'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED',
          'A previous request with this idempotency key failed. Retry with a new idempotency key.',
        );
      return payload(before.outcome, goods);
    }
    const outcome = run();
    remembered.set(key, { fingerprint, outcome });
    for (const oldest of remembered.keys()) {
      if (remembered.size <= keysMax) break;
      remembered.delete(oldest);
    }
    return payload(outcome, goods);
  }

  function apply(
    key: string,
    reason: string,
    wanted: readonly { readonly variant: Variant; readonly available: number }[],
  ): Outcome {
    const changes = wanted.map(({ variant, available }) => {
      const delta = available - variant.quantity;
      if (delta !== 0) shop.write(variant.id, { quantity: available }, key);
      return { variant, delta, after: available };
    });
    return { kind: 'changed', id: String(++serial), at: clock.now(), reason, changes };
  }

  return {
    set(input, attempt) {
      requireCompare(input.quantities, 'InventoryQuantityInput');
      return once('set', input, attempt, () => {
        const errors = input.quantities.flatMap((entry, index) => [
          ...entryErrors(shop, input.name, entry, entry.quantity, ['input', 'quantities', String(index)]),
        ]);
        if (input.name !== 'available' && input.name !== 'on_hand')
          errors.unshift(
            error(
              'INVALID_NAME',
              ['input', 'name'],
              "The quantity name must be either 'available' or 'on_hand'.",
            ),
          );
        errors.push(...reasonErrors(input.reason), ...duplicateErrors(input.quantities));
        if (errors.length > 0) return { kind: 'refused', userErrors: errors };
        const wanted = input.quantities.map((entry) => {
          const variant = shop.requireVariant(legacyId('InventoryItem', entry.inventoryItemId) ?? '');
          return { variant, available: entry.quantity - (input.name === 'on_hand' ? variant.committed : 0) };
        });
        return apply(attempt.key ?? '', input.reason, wanted);
      });
    },
    adjust(input, attempt) {
      requireCompare(input.changes, 'InventoryChangeInput');
      return once('adjust', input, attempt, () => {
        const errors = input.changes.flatMap((entry, index) =>
          entryErrors(shop, input.name, entry, null, ['input', 'changes', String(index)]),
        );
        if (input.name !== 'available')
          errors.unshift(
            error('INVALID_QUANTITY_NAME', ['input', 'name'], 'The specified quantity name is invalid.'),
          );
        errors.push(...reasonErrors(input.reason));
        if (errors.length > 0) return { kind: 'refused', userErrors: errors };
        const wanted = input.changes.map((entry) => {
          const variant = shop.requireVariant(legacyId('InventoryItem', entry.inventoryItemId) ?? '');
          return { variant, available: variant.quantity + entry.delta };
        });
        return apply(attempt.key ?? '', input.reason, wanted);
      });
    },
    clear() {
      remembered.clear();
    },
  };
}

/** These refusals are top-level errors before the mutation runs, as Shopify answers them since 2026-04. */
function missingDirective(): GraphQLError {
  return new GraphQLError('The @idempotent directive is required for this mutation but was not provided.', {
    extensions: { code: 'BAD_REQUEST' },
  });
}

function requireCompare(entries: readonly Entry[], type: string): void {
  assertInputSize(entries);
  if (entries.every((entry) => 'changeFromQuantity' in entry)) return;
  throw new GraphQLError(`${type} must include the following argument: changeFromQuantity`, {
    extensions: { code: 'INVALID_FIELD_ARGUMENTS' },
  });
}

const error = (code: string, field: readonly string[] | null, message: string): UserError => ({
  code,
  field,
  message,
});

function refusal(code: string, message: string): object {
  return { inventoryAdjustmentGroup: null, userErrors: [error(code, null, message)] };
}

function entryErrors(
  shop: Shop,
  name: string,
  entry: Entry,
  quantity: number | null,
  path: readonly string[],
): UserError[] {
  const variant = shop.variant(legacyId('InventoryItem', entry.inventoryItemId) ?? '');
  if (variant === undefined)
    return [
      error(
        'INVALID_INVENTORY_ITEM',
        [...path, 'inventoryItemId'],
        'The specified inventory item could not be found.',
      ),
    ];
  if (legacyId('Location', entry.locationId) !== locationLegacyId)
    return [error('INVALID_LOCATION', [...path, 'locationId'], 'The specified location could not be found.')];
  if (quantity !== null && quantity < 0)
    return [error('INVALID_QUANTITY_NEGATIVE', [...path, 'quantity'], "The quantity can't be negative.")];
  if (quantity !== null && quantity > quantityLimit)
    return [
      error(
        'INVALID_QUANTITY_TOO_HIGH',
        [...path, 'quantity'],
        "The total quantity can't be higher than 1,000,000,000.",
      ),
    ];
  const persisted = variant.quantity + (name === 'on_hand' ? variant.committed : 0);
  if (typeof entry.changeFromQuantity === 'number' && entry.changeFromQuantity !== persisted)
    return [
      error(
        'CHANGE_FROM_QUANTITY_STALE',
        [...path, 'changeFromQuantity'],
        'The changeFromQuantity value does not match persisted value.',
      ),
    ];
  return [];
}

function reasonErrors(reason: string): UserError[] {
  return reasons.has(reason)
    ? []
    : [error('INVALID_REASON', ['input', 'reason'], 'The specified reason is invalid.')];
}

function duplicateErrors(entries: readonly Entry[]): UserError[] {
  const pairs = new Set(entries.map((entry) => `${entry.inventoryItemId} ${entry.locationId}`));
  if (pairs.size === entries.length) return [];
  return [
    error(
      'NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR',
      ['input', 'quantities'],
      'The combination of inventoryItemId and locationId must be unique.',
    ),
  ];
}

function payload(outcome: Outcome, goods: GoodsObjects): object {
  if (outcome.kind === 'refused') return { inventoryAdjustmentGroup: null, userErrors: outcome.userErrors };
  const changed = outcome.changes.filter(({ delta }) => delta !== 0);
  if (changed.length === 0) return { inventoryAdjustmentGroup: null, userErrors: [] };
  const change = (name: string, after: boolean) => (each: Change) => ({
    name,
    delta: each.delta,
    quantityAfterChange: after ? each.after : null,
    item: () => goods.item(each.variant),
    location: locationObject,
  });
  return {
    inventoryAdjustmentGroup: {
      __typename: 'InventoryAdjustmentGroup',
      id: gid('InventoryAdjustmentGroup', outcome.id),
      createdAt: dateTime(outcome.at),
      reason: outcome.reason,
      referenceDocumentUri: null,
      changes: ({ quantityNames }: { quantityNames?: readonly string[] | null }) =>
        [...changed.map(change('available', true)), ...changed.map(change('on_hand', false))].filter(
          ({ name }) => quantityNames?.includes(name) ?? true,
        ),
    },
    userErrors: [],
  };
}
