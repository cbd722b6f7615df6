/** The two stock verbs of people and programs: change by a delta, or set to a counted number with a compare. */
import type pg from 'pg';
import { once } from './idempotency.ts';
import { type Adjustment, adjust, type StockEffect } from './ledger.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { StockAdjustInput, StockChange, StockSetInput } from './sync.ts';

/** Beyond this a 32-bit column could overflow by adding; no shelf holds so much. */
export const quantityLimit = 1_000_000_000;

export type StockOptions = { readonly pool: pg.Pool; readonly onMoved: (effect: StockEffect) => void };

export async function adjustStock(
  options: StockOptions,
  caller: Caller,
  input: StockAdjustInput,
): Promise<Outcome<StockChange>> {
  const { delta } = input;
  if (!Number.isSafeInteger(delta) || delta === 0 || Math.abs(delta) > quantityLimit) {
    return refused(
      invalid('delta', `A delta is a whole number other than 0, at most ${quantityLimit} either way.`),
    );
  }
  return moved(options, caller, 'stockAdjust', input, async () =>
    done({ onHandDelta: delta, kind: 'adjustment' }),
  );
}

export async function setStock(
  options: StockOptions,
  caller: Caller,
  input: StockSetInput,
): Promise<Outcome<StockChange>> {
  const { quantity, changeFrom } = input;
  if (!Number.isSafeInteger(quantity) || quantity < 0 || quantity > quantityLimit) {
    return refused(invalid('quantity', `A quantity is a whole number from 0 to ${quantityLimit}.`));
  }
  return moved(options, caller, 'stockSet', input, async (onHand) => {
    if (changeFrom !== null && changeFrom !== onHand) {
      return refused({
        code: 'STOCK_CHANGED',
        message: `The quantity is ${onHand}, not ${changeFrom}: it has changed since you read it.`,
        field: ['input', 'changeFrom'],
        current: onHand,
      });
    }
    return done({ onHandDelta: quantity - onHand, kind: 'count' });
  });
}

type Move = Pick<Adjustment, 'onHandDelta' | 'kind'>;

async function moved(
  options: StockOptions,
  caller: Caller,
  operation: string,
  input: StockAdjustInput | StockSetInput,
  decide: (onHand: number) => Promise<Outcome<Move>>,
): Promise<Outcome<StockChange>> {
  const { itemId, idempotencyKey, reason } = input;
  let effect: StockEffect | undefined;
  const request = { operation, key: idempotencyKey, input };
  const outcome = await once<StockChange>(options.pool, caller, request, async (client) => {
    const item = await lockItem(client, caller, itemId);
    const field = ['input', 'itemId'];
    if (item === null) return refused({ code: 'NOT_FOUND', message: 'There is no such item.', field });
    if (item.role === 'bundle') {
      const message = 'A bundle has no stock of its own: change the stock of its components.';
      return refused({ code: 'ITEM_IS_BUNDLE', message, field });
    }
    const onHand = item.quantity;
    const decision = await decide(onHand);
    if (!decision.ok) return decision;
    if (Math.abs(onHand + decision.value.onHandDelta) > quantityLimit) {
      return refused(invalid('delta', `The quantity would leave the range of ±${quantityLimit}.`));
    }
    // A set without a compare is told apart in the history.
    const unconditional = 'changeFrom' in input && input.changeFrom === null;
    const reference = [input.reference, unconditional ? 'set without compare' : null]
      .filter((part) => part !== null)
      .join(' · ');
    effect = await adjust(client, {
      accountId: caller.accountId,
      itemId,
      ...decision.value,
      idempotencyKey: `${operation}:${idempotencyKey}`,
      reason,
      reference: reference === '' ? null : reference,
      actor: caller.actor,
    });
    return done({ itemId, movementId: effect.movementIds[0] ?? null });
  });
  if (effect !== undefined && outcome.ok) options.onMoved(effect);
  return outcome;
}

async function lockItem(
  client: pg.PoolClient,
  caller: Caller,
  itemId: string,
): Promise<{ quantity: number; role: string } | null> {
  const { rows } = await client.query<{ quantity: number; role: string }>(
    'SELECT quantity, role FROM inventory_items WHERE id = $1 AND account_id = $2 FOR NO KEY UPDATE',
    [itemId, caller.accountId],
  );
  return rows[0] ?? null;
}

function invalid(field: string, message: string): Problem {
  return { code: 'INVALID_INPUT', message, field: ['input', field] };
}
