/** Says what a bundle is made of: a recipe changes as a whole, under the locks of everything it names, and every listing of the bundle follows. */
import type pg from 'pg';
import { once } from './idempotency.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { BundleSetInput } from './sync.ts';

export type BundleOptions = {
  readonly pool: pg.Pool;
  /** These connections have listings to bring in step. */
  readonly onChanged: (connectionIds: readonly string[]) => void;
};

/** Different components of one bundle. */
export const componentsMax = 50;
/** Units of one component in one bundle. */
export const componentUnitsMax = 10_000;

type Effect = { readonly itemId: string; readonly connectionIds: readonly string[] };

/** Sets the whole recipe; without components the item is no bundle any more and starts with no stock. Orders keep the recipe that they were sold with. */
export async function setBundle(
  options: BundleOptions,
  caller: Caller,
  input: BundleSetInput,
): Promise<Outcome<{ itemId: string }>> {
  const unclear = recipeProblem(input);
  if (unclear !== null) return refused(unclear);
  const request = { operation: 'bundleSet', key: input.idempotencyKey, input };
  const outcome = await once<Effect>(options.pool, caller, request, (client) =>
    change(client, caller, input),
  );
  if (!outcome.ok) return outcome;
  options.onChanged(outcome.value.connectionIds);
  return done({ itemId: input.itemId });
}

function recipeProblem({ itemId, components }: BundleSetInput): Problem | null {
  if (components.length > componentsMax)
    return invalid(['components'], `A bundle has at most ${componentsMax} components.`);
  for (const [index, component] of components.entries()) {
    const { quantity } = component;
    const field = ['components', String(index)];
    if (!Number.isSafeInteger(quantity) || quantity < 1 || quantity > componentUnitsMax)
      return invalid([...field, 'quantity'], `A quantity is a whole number from 1 to ${componentUnitsMax}.`);
    if (component.itemId === itemId)
      return nested([...field, 'itemId'], 'A bundle cannot be part of itself.');
    if (components.findIndex((other) => other.itemId === component.itemId) < index)
      return invalid([...field, 'itemId'], 'Each component is named once.');
  }
  return null;
}

type LockedItem = {
  readonly id: string;
  readonly role: 'plain' | 'component' | 'bundle';
  readonly protection: 'shared' | 'escrow' | 'automatic';
  readonly quantity: number;
  readonly reserved: number;
};

/** Everything the old and the new recipe name, in the order in which orders lock it. One recipe of an account at a time: the old one stands still. */
const lockSql = `
SELECT id, role, protection, quantity, reserved FROM inventory_items
 WHERE account_id = $1 AND id = ANY(ARRAY(SELECT component_id FROM bundle_components WHERE bundle_id = $2) || $3::uuid[] || $2::uuid)
 ORDER BY id FOR NO KEY UPDATE`;

async function change(
  client: pg.PoolClient,
  caller: Caller,
  input: BundleSetInput,
): Promise<Outcome<Effect>> {
  const { accountId } = caller;
  const { itemId, components } = input;
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('bundles ' || $1, 0))`, [accountId]);
  const ids = components.map((component) => component.itemId);
  const { rows } = await client.query<LockedItem>(lockSql, [accountId, itemId, ids]);
  const items = new Map(rows.map((row) => [row.id, row]));
  const problem = itemProblem(items, input);
  if (problem !== null) return refused(problem);
  const connectionIds = await writeRecipe(client, accountId, input);
  return done({ itemId, connectionIds });
}

/**
 * Each step is a statement of its own, for the triggers that keep the roles. What may be sold of the item is told under a number one above the last, so
 * that neither a write nor an event computed from the old recipe counts as newer.
 */
async function writeRecipe(
  client: pg.PoolClient,
  accountId: string,
  { itemId, components }: BundleSetInput,
): Promise<readonly string[]> {
  const before = await client.query<{ seq: string; recipe: Record<string, number>; kin: string[] }>(
    `SELECT seq, ARRAY(SELECT item_kin($1)) AS kin, (SELECT coalesce(jsonb_object_agg(component_id, quantity), '{}') FROM bundle_components WHERE bundle_id = $1) AS recipe
       FROM item_sellable($1)`,
    [itemId],
  );
  const [{ seq, recipe, kin } = { seq: '0', recipe: {}, kin: [] }] = before.rows;
  const unchanged =
    components.length === Object.keys(recipe).length &&
    components.every((component) => recipe[component.itemId] === component.quantity);
  if (unchanged) return [];
  await client.query('DELETE FROM bundle_components WHERE bundle_id = $1', [itemId]);
  await client.query(
    `INSERT INTO bundle_components (account_id, bundle_id, component_id, position, quantity)
     SELECT $1, $2, item_id, position, quantity FROM wished_lines($3::jsonb)`,
    [accountId, itemId, JSON.stringify(components.map((each, position) => ({ ...each, position })))],
  );
  const { rows } = await client.query<{ connection_ids: string[] | null }>(followSql, [itemId, seq, kin]);
  return rows[0]?.connection_ids ?? [];
}

/**
 * Seen by push and subscribers: one more than before, every listing dirty, and an event. What is withheld of the bundle is withheld of its components:
 * then theirs are dirty too, of the old recipe ($3) and of the new one.
 */
const followSql = `
WITH item AS (
  UPDATE inventory_items SET seq_base = seq_base + 1 + $2::bigint - (SELECT seq FROM item_sellable($1)), updated_at = now() WHERE id = $1
  RETURNING id, account_id, sku, role, quantity, reserved, available, seq + seq_base AS seq
),
dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id)
  SELECT id, account_id, connection_id FROM listings
   WHERE sync_enabled AND writable AND item_id IN (
           SELECT $1::uuid
           UNION ALL
           SELECT kin.id FROM (SELECT unnest($3::uuid[]) UNION SELECT item_kin($1)) kin (id)
            WHERE EXISTS (SELECT FROM shadows WHERE item_id = $1 AND hold > 0)
               OR EXISTS (SELECT FROM sync_conflicts WHERE item_id = $1 AND status = 'open' AND delta < 0 AND conflict_type <> 'price_mismatch'))
   ORDER BY id
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, not_before = now(), guarded = true
  RETURNING connection_id
),
told AS (
  INSERT INTO events (account_id, topic, subject_id, item_seq, payload)
  SELECT account_id, 'stock', id, CASE WHEN role <> 'bundle' THEN seq END, jsonb_build_object(
           'itemId', id, 'sku', sku, 'bundle', role = 'bundle', 'quantity', quantity, 'reserved', reserved, 'onHandDelta', 0, 'reservedDelta', 0,
           'available', CASE WHEN role <> 'bundle' THEN available END, 'seq', CASE WHEN role <> 'bundle' THEN seq END, 'kind', 'adjustment', 'orderId', NULL, 'reason', 'correction')
    FROM item
)
SELECT array_agg(DISTINCT connection_id) AS connection_ids FROM dirty`;

function itemProblem(items: ReadonlyMap<string, LockedItem>, input: BundleSetInput): Problem | null {
  const bundle = items.get(input.itemId);
  if (bundle === undefined) return notFound(['itemId']);
  for (const [index, { itemId }] of input.components.entries()) {
    const component = items.get(itemId);
    const field = ['components', String(index), 'itemId'];
    if (component === undefined) return notFound(field);
    if (component.role === 'bundle')
      return nested(field, 'This item is a bundle itself: name its components instead.');
    if (component.protection !== 'shared') return invalid(field, protectedMessage);
  }
  if (input.components.length === 0) return null;
  if (bundle.protection !== 'shared') return invalid(['itemId'], protectedMessage);
  if (bundle.role === 'component')
    return nested(['itemId'], 'This item is a component of another bundle, so it cannot become one.');
  if (bundle.quantity === 0 && bundle.reserved === 0) return null;
  return {
    code: 'ITEM_HAS_STOCK',
    message: `A bundle has no stock of its own, and this item has ${bundle.quantity} on hand and ${bundle.reserved} reserved.`,
    field: ['input', 'itemId'],
    current: bundle.quantity,
  };
}

const protectedMessage =
  'Bundles and what they are made of share one pool, and this item is protected: set its protection to SHARED first.';

function invalid(field: readonly string[], message: string): Problem {
  return { code: 'INVALID_INPUT', message, field: ['input', ...field] };
}

function nested(field: readonly string[], message: string): Problem {
  return { code: 'NESTED_BUNDLE', message, field: ['input', ...field] };
}

function notFound(field: readonly string[]): Problem {
  return { code: 'NOT_FOUND', message: 'There is no such item.', field: ['input', ...field] };
}
