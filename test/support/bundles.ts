/** Makes bundles for tests the way the product does, and reads what may be sold of them. */
import type { Pool } from 'pg';
import type { Queryable } from '../../src/db.ts';
import { setBundle } from '../../src/sync/bundles.ts';
import type { Caller, Outcome } from '../../src/sync/outcome.ts';
import * as fixtures from './fixtures.ts';

export function callerOf(accountId: string): Caller {
  return { accountId, actor: { kind: 'user', id: 'user-7' }, correlationId: 'test' };
}

export type Recipe = readonly (readonly [item: fixtures.TestItem, quantity: number])[];

export function setRecipe(
  pool: Pool,
  bundle: fixtures.TestItem,
  recipe: Recipe,
): Promise<Outcome<{ itemId: string }>> {
  return setBundle({ pool, onChanged: () => undefined }, callerOf(bundle.accountId), {
    itemId: bundle.id,
    components: recipe.map(([{ id: itemId }, quantity]) => ({ itemId, quantity })),
    idempotencyKey: fixtures.unique('recipe'),
  });
}

/** An item without stock that is made of others. */
export async function insertBundle(
  pool: Pool,
  accountId: string,
  recipe: Recipe,
): Promise<fixtures.TestItem> {
  const bundle = await fixtures.insertItem(pool, accountId, { sku: fixtures.unique('BUNDLE') });
  const outcome = await setRecipe(pool, bundle, recipe);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return bundle;
}

export type Sellable = { readonly available: number; readonly seq: number };

export async function readSellable(db: Queryable, itemId: string): Promise<Sellable> {
  const { rows } = await db.query<Sellable>('SELECT available, seq::int FROM item_sellable($1)', [itemId]);
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no item ${itemId}`);
  return row;
}
