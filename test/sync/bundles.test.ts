/** Proves that a bundle sells what its components allow, takes all of them or none, and pulls down every listing that shares one. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sqlState, violatedConstraint } from '../../src/dbErrors.ts';
import { adjust } from '../../src/sync/ledger.ts';
import { applyOrder, type OrderEffect, reapplyOrder } from '../../src/sync/orders.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import { adjustStock } from '../../src/sync/stock.ts';
import { callerOf, insertBundle, readSellable, setRecipe } from '../support/bundles.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let etsy: fixtures.TestConnection;
let shopify: fixtures.TestConnection;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  etsy = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  shopify = await fixtures.insertConnection(open.pool, accountId, 'shopify');
});

const newItem = (onHand: number): Promise<fixtures.TestItem> =>
  fixtures.insertItem(open.pool, etsy.accountId, { onHand });

const bundleOf = (...recipe: (readonly [fixtures.TestItem, number])[]): Promise<fixtures.TestItem> =>
  insertBundle(open.pool, etsy.accountId, recipe);

type Sale = {
  readonly reserved?: number;
  readonly shipped?: number;
  readonly orderId?: string;
  readonly seconds?: number;
};

function sell(item: fixtures.TestItem, sale: Sale = {}, connection = shopify): Promise<OrderEffect> {
  const { reserved = 1, shipped = 0, orderId = fixtures.unique('order'), seconds = 0 } = sale;
  const order = fixtures.order({
    orderId,
    updatedAt: fixtures.after(seconds),
    lines: [fixtures.orderLine({ sku: item.sku, reserved, shipped })],
  });
  return applyOrder(open.pool, fixtures.source(connection, { observedAt: order.updatedAt }), order);
}

const stockOf = async (...items: fixtures.TestItem[]): Promise<number[][]> =>
  Promise.all(
    items.map(async ({ id }) => {
      const { quantity, reserved } = await readStock(open.pool, id);
      return [quantity, reserved];
    }),
  );

type Dirty = { listing_id: string; reread: boolean; guarded: boolean };

async function takeDirty(): Promise<Map<string, Dirty>> {
  const { rows } = await open.pool.query<Dirty>(
    'DELETE FROM dirty_listings WHERE account_id = $1 RETURNING listing_id, reread, guarded',
    [etsy.accountId],
  );
  return new Map(rows.map((row) => [row.listing_id, row]));
}

const codes = (outcome: Awaited<ReturnType<typeof setRecipe>>): string[] =>
  outcome.ok ? [] : outcome.problems.map(({ code, field }) => `${code} ${field.join('.')}`);

describe('T12 Bundle', () => {
  test('T12 Bundle: AB and A sell in the same second, A = 1: both recorded, available(A) = -1, the alert names both, every listing using A is dirty', async () => {
    for (let round = 0; round < 20; round += 1) {
      const [a, b] = await Promise.all([newItem(1), newItem(5)]);
      const ab = await bundleOf([a, 1], [b, 1]);
      const listed = await Promise.all(
        [a, ab, b].flatMap((item) =>
          [etsy, shopify].map((connection) =>
            fixtures.insertListing(open.pool, connection, { itemId: item.id }),
          ),
        ),
      );
      await takeDirty();
      const effects = await Promise.all([sell(ab, {}, etsy), sell(a, {}, shopify)]);
      expect(await stockOf(a, b, ab)).toEqual([
        [1, 2],
        [5, 1],
        [0, 0],
      ]);
      const { rows } = await open.pool.query(
        `SELECT status, units, (SELECT array_agg(order_id::text ORDER BY order_id) FROM alert_orders WHERE alert_id = alert.id) AS orders
           FROM alerts alert WHERE item_id = $1`,
        [a.id],
      );
      const orders = effects.map(({ orderId }) => orderId ?? '').toSorted();
      expect(rows).toEqual([{ status: 'open', units: 1, orders }]);
      expect(await readSellable(open.pool, ab.id)).toMatchObject({ available: -1 });
      expect([...(await takeDirty()).keys()].toSorted()).toEqual(listed.toSorted());
    }
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });
});

describe('an order for a bundle', () => {
  test('moves every component by its quantity, ships and gives back the same', async () => {
    const [a, b] = await Promise.all([newItem(20), newItem(20)]);
    const set = await bundleOf([a, 1], [b, 3]);
    const orderId = fixtures.unique('order');
    await sell(set, { orderId, reserved: 2 });
    expect(await stockOf(a, b)).toEqual([
      [20, 2],
      [20, 6],
    ]);
    await sell(set, { orderId, seconds: 1, reserved: 1, shipped: 1 });
    expect(await stockOf(a, b)).toEqual([
      [19, 1],
      [17, 3],
    ]);
    await sell(set, { orderId, seconds: 2, reserved: 0, shipped: 1 });
    expect(await stockOf(a, b, set)).toEqual([
      [19, 0],
      [17, 0],
      [0, 0],
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('sums the demand of all lines per component', async () => {
    const [a, b] = await Promise.all([newItem(9), newItem(9)]);
    const [twoA, ab] = [await bundleOf([a, 2]), await bundleOf([a, 1], [b, 1])];
    const lines = [twoA, ab, a].map(({ sku }, index) =>
      fixtures.orderLine({ lineId: `${index}`, sku, reserved: 2 }),
    );
    const effect = await applyOrder(open.pool, fixtures.source(etsy), fixtures.order({ lines }));
    expect(effect.movementIds).toHaveLength(4);
    expect(await stockOf(a, b)).toEqual([
      [9, 8],
      [9, 2],
    ]);
    const { rows } = await open.pool.query(
      `SELECT item_seq::int, payload->>'available' AS available FROM events WHERE subject_id = $1 AND topic = 'stock' ORDER BY id DESC LIMIT 1`,
      [a.id],
    );
    expect(rows).toEqual([{ item_seq: 4, available: '1' }]);
  });

  test('keeps the recipe that it was sold with, whatever becomes of the bundle', async () => {
    const [a, b, c] = await Promise.all([newItem(20), newItem(20), newItem(20)]);
    const set = await bundleOf([a, 2], [b, 1]);
    const orderId = fixtures.unique('order');
    await sell(set, { orderId, reserved: 2 });
    await setRecipe(open.pool, set, [
      [b, 5],
      [c, 1],
    ]);
    await sell(set, { orderId, seconds: 1, reserved: 3 });
    expect(await stockOf(a, b, c)).toEqual([
      [20, 6],
      [20, 3],
      [20, 0],
    ]);
    await setRecipe(open.pool, set, []);
    await sell(set, { orderId, seconds: 2, reserved: 0, shipped: 1 });
    expect(await stockOf(a, b, c, set)).toEqual([
      [18, 0],
      [19, 0],
      [20, 0],
      [0, 0],
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('of an item that was sold as it is before it became a bundle gives later changes to its components', async () => {
    const [a, plain] = await Promise.all([newItem(10), newItem(3)]);
    const orderId = fixtures.unique('order');
    await sell(plain, { orderId, reserved: 0, shipped: 3 });
    expect(codes(await setRecipe(open.pool, plain, [[a, 2]]))).toEqual([]);
    await sell(plain, { orderId, seconds: 1, reserved: 0, shipped: 2 });
    expect(await stockOf(a, plain)).toEqual([
      [12, 0],
      [0, 0],
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('tells the units of the bundle once as sold on its own listing', async () => {
    const [a, b] = await Promise.all([newItem(9), newItem(9)]);
    const set = await bundleOf([a, 2], [b, 3]);
    const listing = await fixtures.insertListing(open.pool, shopify, { itemId: set.id, sku: set.sku });
    await fixtures.insertListing(open.pool, shopify, { itemId: a.id });
    await sell(set, { reserved: 2 });
    const { rows } = await open.pool.query(
      'SELECT listing_id, units FROM channel_sales WHERE account_id = $1',
      [etsy.accountId],
    );
    expect(rows).toEqual([{ listing_id: listing, units: 2 }]);
  });

  test('asks to read again only the listing that sold it, and never counts towards the blast guard', async () => {
    const [a, b] = await Promise.all([newItem(9), newItem(9)]);
    const [set, other] = [await bundleOf([a, 1], [b, 1]), await bundleOf([b, 1])];
    const selling = await fixtures.insertListing(open.pool, shopify, { itemId: set.id, sku: set.sku });
    const alike = await fixtures.insertListing(open.pool, shopify, { itemId: set.id, sku: 'elsewhere' });
    const component = await fixtures.insertListing(open.pool, shopify, { itemId: a.id });
    const sibling = await fixtures.insertListing(open.pool, etsy, { itemId: other.id });
    await takeDirty();
    await sell(set);
    const dirty = await takeDirty();
    expect(dirty.size).toBe(4);
    expect([...dirty.values()].every(({ guarded }) => !guarded)).toBe(true);
    expect([selling, alike, component, sibling].map((id) => dirty.get(id)?.reread)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test('that waited for its SKU takes the components once the SKU is known', async () => {
    const a = await newItem(9);
    const set = await bundleOf([a, 2]);
    const lines = [fixtures.orderLine({ sku: 'strange', reserved: 2 })];
    const { orderId } = await applyOrder(open.pool, fixtures.source(etsy), fixtures.order({ lines }));
    await fixtures.insertAlias(open.pool, set, 'strange');
    const again = {
      accountId: etsy.accountId,
      orderId: orderId ?? '',
      localStatus: null,
      actor: systemActor,
    };
    await reapplyOrder(open.pool, again);
    await reapplyOrder(open.pool, again);
    expect(await stockOf(a)).toEqual([[9, 4]]);
  });
});

describe('what may be sold of a bundle', () => {
  test('is the least over its components, rounded down, and its number grows with each of them', async () => {
    const [a, b] = await Promise.all([newItem(7), newItem(10)]);
    const set = await bundleOf([a, 2], [b, 1]);
    const before = await readSellable(open.pool, set.id);
    expect(before.available).toBe(3);
    await sell(a, { reserved: 8 });
    const after = await readSellable(open.pool, set.id);
    expect(after).toEqual({ available: -1, seq: before.seq + 1 });
  });

  test('leaves out what is held back or in doubt of a component, and of a plain item it does not', async () => {
    const [a, b] = await Promise.all([newItem(10), newItem(10)]);
    const set = await bundleOf([a, 1], [b, 1]);
    const listing = await fixtures.insertListing(open.pool, etsy, { itemId: a.id });
    await open.pool.query(
      `INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, hold, shown_min, shown_max) VALUES ($1, $2, $3, $4, '{}', 3, 0, 0)`,
      [listing, etsy.accountId, etsy.id, a.id],
    );
    for (const [delta, type] of [
      [-2, 'quantity_mismatch'],
      [-9, 'price_mismatch'],
      [5, 'quantity_mismatch'],
    ]) {
      await open.pool.query(
        `INSERT INTO sync_conflicts (account_id, item_id, conflict_type, conflict_data, suggested_resolution, delta)
         VALUES ($1, $2, $3::conflict_type, '{}', 'use_lowest', $4)`,
        [etsy.accountId, a.id, type, delta],
      );
    }
    expect((await readSellable(open.pool, set.id)).available).toBe(5);
    expect((await readSellable(open.pool, a.id)).available).toBe(10);
  });

  test('only ever gets a larger number, also when components leave the recipe or it stops being a bundle', async () => {
    const [a, b] = await Promise.all([newItem(7), newItem(9)]);
    const set = await newItem(0);
    const seqs = [(await readSellable(open.pool, set.id)).seq];
    const recipes = [
      [
        [a, 1],
        [b, 1],
      ],
      [[b, 2]],
      [],
      [[a, 1]],
    ] as const;
    for (const recipe of recipes) {
      await setRecipe(open.pool, set, recipe);
      await sell(b);
      seqs.push((await readSellable(open.pool, set.id)).seq);
    }
    expect(seqs).toEqual([...new Set(seqs)].toSorted((one, other) => one - other));
    expect((await readSellable(open.pool, set.id)).available).toBe(7);
  });

  test('is told to those who follow the bundle whenever a component changes', async () => {
    const [a, b] = await Promise.all([newItem(7), newItem(9)]);
    const set = await bundleOf([a, 1], [b, 1]);
    const { orderId } = await sell(a);
    const { rows } = await open.pool.query(
      `SELECT payload->>'kind' AS kind, payload->>'orderId' AS "orderId", payload->>'sku' AS sku, payload ? 'available' AS numbered
         FROM events WHERE subject_id = $1 ORDER BY id DESC LIMIT 1`,
      [set.id],
    );
    expect(rows).toEqual([{ kind: 'order', orderId, sku: set.sku, numbered: false }]);
  });
});

describe('bundleSet', () => {
  test('makes the listings of the bundle dirty as a change by a person, once, and not when nothing changes', async () => {
    const [a, b] = await Promise.all([newItem(7), newItem(9)]);
    const set = await newItem(0);
    const listing = await fixtures.insertListing(open.pool, etsy, { itemId: set.id });
    await setRecipe(open.pool, set, [
      [a, 1],
      [b, 2],
    ]);
    expect(await takeDirty()).toEqual(
      new Map([[listing, { listing_id: listing, reread: false, guarded: true }]]),
    );
    await setRecipe(open.pool, set, [
      [b, 2],
      [a, 1],
    ]);
    expect((await takeDirty()).size).toBe(0);
  });

  test('refuses what is not there, nesting in both directions, itself, and an item with stock of its own', async () => {
    const [a, b, full] = await Promise.all([newItem(7), newItem(0), newItem(2)]);
    const set = await bundleOf([a, 1]);
    const foreign = await fixtures.insertItem(open.pool, await fixtures.insertAccount(open.pool), {});
    expect(codes(await setRecipe(open.pool, b, [[set, 1]]))).toEqual([
      'NESTED_BUNDLE input.components.0.itemId',
    ]);
    expect(codes(await setRecipe(open.pool, b, [[b, 1]]))).toEqual([
      'NESTED_BUNDLE input.components.0.itemId',
    ]);
    expect(codes(await setRecipe(open.pool, full, [[a, 1]]))).toEqual(['ITEM_HAS_STOCK input.itemId']);
    expect(codes(await setRecipe(open.pool, b, [[foreign, 1]]))).toEqual([
      'NOT_FOUND input.components.0.itemId',
    ]);
    expect(codes(await setRecipe(open.pool, b, [[a, 0]]))).toEqual([
      'INVALID_INPUT input.components.0.quantity',
    ]);
    await adjust(open.pool, {
      accountId: a.accountId,
      itemId: a.id,
      onHandDelta: -7,
      idempotencyKey: fixtures.unique('key'),
      kind: 'adjustment',
      reason: 'lost',
      reference: null,
      actor: systemActor,
    });
    expect(codes(await setRecipe(open.pool, a, [[b, 1]]))).toEqual(['NESTED_BUNDLE input.itemId']);
  });

  test('cannot be led past: the database itself refuses nesting and stock of a bundle', async () => {
    const [a, b] = await Promise.all([newItem(7), newItem(0)]);
    const set = await bundleOf([a, 1]);
    const link = (bundle: fixtures.TestItem, component: fixtures.TestItem): Promise<unknown> =>
      open.pool
        .query(
          'INSERT INTO bundle_components (account_id, bundle_id, component_id, quantity) VALUES ($1, $2, $3, 1)',
          [etsy.accountId, bundle.id, component.id],
        )
        .then(() => 'taken', violatedConstraint);
    expect(await link(b, set)).toBe('bundle_components_nesting');
    expect(await link(a, b)).toBe('bundle_components_nesting');
    const write = open.pool.query('UPDATE inventory_items SET quantity = 1 WHERE id = $1', [set.id]);
    expect(await write.catch(sqlState)).toBe('23514');
  });

  test('leaves stockAdjust on a bundle a business error', async () => {
    const set = await bundleOf([await newItem(7), 1]);
    const outcome = await adjustStock(
      { pool: open.pool, onMoved: () => undefined },
      callerOf(set.accountId),
      {
        itemId: set.id,
        delta: 1,
        reason: 'received',
        reference: null,
        idempotencyKey: fixtures.unique('key'),
      },
    );
    expect(outcome).toMatchObject({ ok: false, problems: [{ code: 'ITEM_IS_BUNDLE' }] });
  });
});
