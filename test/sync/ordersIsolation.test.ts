/** Proves that no text costs an order and that no account's orders reach into another account. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sqlState } from '../../src/dbErrors.ts';
import { applyOrder, type OrderEffect, reapplyOrder } from '../../src/sync/orders.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import { hostileText } from '../support/arbitraries.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let item: fixtures.TestItem;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 10_000 });
});
afterAll(() => open[Symbol.asyncDispose]());

async function stored(effect: OrderEffect): Promise<Record<string, unknown>> {
  const { rows } = await open.pool.query(
    `SELECT stored.platform_order_id, stored.customer_name, line.title, line.sku
       FROM orders stored LEFT JOIN order_lines line ON line.order_id = stored.id WHERE stored.id = $1`,
    [effect.orderId],
  );
  return rows[0] ?? {};
}

describe('hostile text', () => {
  const words = fc.record({
    name: hostileText,
    title: hostileText,
    sku: hostileText,
    key: hostileText,
    id: hostileText,
  });

  test('costs no order: it is stored as far as PostgreSQL can, and the line next to it holds its unit', async () => {
    await fc.assert(
      fc.asyncProperty(words, async ({ name, title, sku, key, id }) => {
        const before = await readStock(open.pool, item.id);
        const order = fixtures.order({
          orderId: `${fixtures.unique('order')}${id}`,
          customerName: name,
          raw: { [key]: name, nested: [{ [title]: { [sku]: key } }] },
          lines: [
            fixtures.orderLine({ lineId: `hostile ${id}`, title, sku: `?${sku}` }),
            fixtures.orderLine({ lineId: 'plain', sku: item.sku }),
          ],
        });
        const effect = await applyOrder(open.pool, fixtures.source(connection), order);
        expect(effect).toMatchObject({ changed: true, unmatchedLines: 1 });
        expect((await readStock(open.pool, item.id)).reserved).toBe(before.reserved + 1);
        expect(await applyOrder(open.pool, fixtures.source(connection), order)).toMatchObject({
          changed: false,
        });
      }),
      { numRuns: 120 },
    );
  });

  test('of well-formed characters comes back as it was sent', async () => {
    const text = `'"\\ $1 \u202E 👩‍👩‍👧‍👦 ${'ß'.repeat(10_000)}`;
    const sku = `ß'"\\${'x'.repeat(251)}`;
    const lines = [fixtures.orderLine({ title: text, sku })];
    const effect = await applyOrder(
      open.pool,
      fixtures.source(connection),
      fixtures.order({ customerName: text, lines }),
    );
    expect(await stored(effect)).toMatchObject({ customer_name: text, title: text, sku });
  });

  test('loses only the NUL and the broken half of a pair', async () => {
    const lines = [fixtures.orderLine({ title: 'a\0b\uD800c', sku: 'x\0' })];
    const order = fixtures.order({ orderId: `${fixtures.unique('order')}\0`, customerName: '\uDFFF', lines });
    const effect = await applyOrder(open.pool, fixtures.source(connection), order);
    expect(await stored(effect)).toEqual({
      platform_order_id: order.orderId.slice(0, -1),
      customer_name: '\uFFFD',
      title: 'ab\uFFFDc',
      sku: 'x',
    });
  });
});

describe('two accounts', () => {
  test('with equal SKUs, order ids and line ids move only their own stock', async () => {
    const shops = await Promise.all(
      [5, 7].map(async (onHand) => {
        const accountId = await fixtures.insertAccount(open.pool);
        const mine = await fixtures.insertConnection(open.pool, accountId);
        return { mine, stock: await fixtures.insertItem(open.pool, accountId, { sku: 'MUG', onHand }) };
      }),
    );
    const orders = [1, 2].map((reserved) =>
      fixtures.order({ orderId: '1001', lines: [fixtures.orderLine({ sku: 'MUG', reserved })] }),
    );
    await Promise.all(
      shops.flatMap(({ mine }, index) =>
        [1, 2, 3].map(() => applyOrder(open.pool, fixtures.source(mine), orders[index] ?? fixtures.order())),
      ),
    );
    const stock = await Promise.all(shops.map((shop) => readStock(open.pool, shop.stock.id)));
    expect(stock.map(({ available }) => available)).toEqual([4, 5]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('do not share listings, aliases or items when a SKU is looked up', async () => {
    const strangerId = await fixtures.insertAccount(open.pool);
    const strange = await fixtures.insertConnection(open.pool, strangerId);
    const theirs = await fixtures.insertItem(open.pool, strangerId, { sku: 'theirs', onHand: 5 });
    await fixtures.insertListing(open.pool, strange, { itemId: theirs.id, sku: 'listed', unitId: '77' });
    await fixtures.insertAlias(open.pool, theirs, 'aliased');
    const lines = ['theirs', 'listed', 'aliased'].map((sku) =>
      fixtures.orderLine({ lineId: sku, sku, address: { unitId: '77', variantId: '' } }),
    );
    const effect = await applyOrder(open.pool, fixtures.source(connection), fixtures.order({ lines }));
    expect(effect).toMatchObject({ unmatchedLines: 3, movementIds: [] });
    expect(await readStock(open.pool, theirs.id)).toMatchObject({ reserved: 0 });
  });

  test('a snapshot in the name of another account’s connection changes nothing there', async () => {
    const stranger = await fixtures.insertAccount(open.pool);
    const forged = { accountId: stranger };
    const unknown = applyOrder(open.pool, fixtures.source(connection, forged), fixtures.order());
    await expect(unknown.catch(sqlState)).resolves.toBe('23503');

    const lines = [fixtures.orderLine({ sku: item.sku, reserved: 2 })];
    const real = fixtures.order({ lines });
    await applyOrder(open.pool, fixtures.source(connection), real);
    const before = await readStock(open.pool, item.id);
    const cancelled = {
      ...real,
      updatedAt: fixtures.after(9),
      lines: [fixtures.orderLine({ sku: item.sku, reserved: 0 })],
    };
    const effect = await applyOrder(open.pool, fixtures.source(connection, forged), cancelled).catch(
      () => null,
    );
    expect(effect?.changed ?? false).toBe(false);
    expect(await readStock(open.pool, item.id)).toEqual(before);
  });

  test('applying again an order of another account changes nothing', async () => {
    const lines = [fixtures.orderLine({ sku: item.sku, reserved: 2 })];
    const { orderId } = await applyOrder(open.pool, fixtures.source(connection), fixtures.order({ lines }));
    const before = await readStock(open.pool, item.id);
    const effect = await reapplyOrder(open.pool, {
      accountId: await fixtures.insertAccount(open.pool),
      orderId: orderId ?? '',
      localStatus: 'cancelled',
      actor: systemActor,
    });
    expect(effect).toMatchObject({ changed: false, orderId: null, movementIds: [] });
    expect(await readStock(open.pool, item.id)).toEqual(before);
  });

  test('a delivery of another connection is not marked as processed', async () => {
    const strange = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
    const deliveryId = await fixtures.insertDelivery(open.pool, strange, Buffer.from('{}'));
    await applyOrder(open.pool, fixtures.source(connection, { deliveryId }), fixtures.order());
    const { rows } = await open.pool.query('SELECT status FROM webhook_deliveries WHERE id = $1', [
      deliveryId,
    ]);
    expect(rows).toEqual([{ status: 'pending' }]);
  });
});
