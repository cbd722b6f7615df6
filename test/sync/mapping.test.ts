/** Proves that saying what a listing or a spelling means applies every waiting line once, and that no line is ever stranded. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction } from '../../src/db.ts';
import { applyWaiting, type MappingOptions, mapListing, mapSku } from '../../src/sync/mapping.ts';
import { applyOrder, type OrderEffect } from '../../src/sync/orders.ts';
import { type Caller, systemActor } from '../../src/sync/outcome.ts';
import { pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import { dyingPool, KilledError } from '../support/dyingPool.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let item: fixtures.TestItem;
let caller: Caller;
let effects: OrderEffect[];
let pushed: string[];

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  effects = [];
  pushed = [];
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 10 });
  caller = { accountId: connection.accountId, actor: systemActor, correlationId: 'test' };
});

const options = (more: Partial<MappingOptions> = {}): MappingOptions => ({
  pool: open.pool,
  onApplied: (effect) => void effects.push(effect),
  onMapped: (connectionIds) => void pushed.push(...connectionIds),
  batchMax: 1_000,
  ...more,
});

const sell = (sku: string | null, unitId: string | null = null, from = connection): Promise<OrderEffect> => {
  const address = unitId === null ? null : { unitId, variantId: '' };
  return applyOrder(
    open.pool,
    fixtures.source(from),
    fixtures.order({ lines: [fixtures.orderLine({ sku, address, reserved: 1 })] }),
  );
};

const reserved = async (): Promise<number> => (await readStock(open.pool, item.id)).reserved;

async function stranded(): Promise<number> {
  const { rows } = await open.pool.query(
    'SELECT 1 FROM order_lines WHERE account_id = $1 AND item_id IS NULL',
    [caller.accountId],
  );
  return rows.length;
}

const notFound = (field: string) => ({
  ok: false,
  problems: [{ code: 'NOT_FOUND', field: ['input', field] }],
});

describe('mapping a SKU', () => {
  test('applies every waiting line with that spelling, on every channel, and says how many', async () => {
    const etsy = await fixtures.insertConnection(open.pool, caller.accountId, 'etsy');
    await sell('odd');
    await sell('odd', null, etsy);
    await sell('other');
    expect(await mapSku(options(), caller, { sku: 'odd', itemId: item.id })).toEqual({
      ok: true,
      value: { linesApplied: 2 },
    });
    expect(await reserved()).toBe(2);
    expect(await stranded()).toBe(1);
    expect(effects).toHaveLength(2);
  });

  test('again to another item concerns only what comes later', async () => {
    const second = await fixtures.insertItem(open.pool, caller.accountId, { onHand: 5 });
    await sell('odd');
    await mapSku(options(), caller, { sku: 'odd', itemId: item.id });
    await mapSku(options(), caller, { sku: 'odd', itemId: second.id });
    await sell('odd');
    expect(await reserved()).toBe(1);
    expect(await readStock(open.pool, second.id)).toMatchObject({ reserved: 1 });
  });

  test('that is empty, or to an item of another account, is refused', async () => {
    const foreign = await fixtures.insertItem(open.pool, await fixtures.insertAccount(open.pool));
    expect(await mapSku(options(), caller, { sku: '', itemId: item.id })).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT' }],
    });
    expect(await mapSku(options(), caller, { sku: 'odd', itemId: foreign.id })).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND' }],
    });
  });

  test('of one account leaves the same spelling of another one alone', async () => {
    const other = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
    const { orderId } = await sell('odd', null, other);
    await mapSku(options(), caller, { sku: 'odd', itemId: item.id });
    const { rows } = await open.pool.query('SELECT item_id FROM order_lines WHERE order_id = $1', [orderId]);
    expect(rows).toEqual([{ item_id: null }]);
  });
});

describe('mapping a listing', () => {
  test('applies the lines that were bought there and brings the listing in step', async () => {
    const listingId = await fixtures.insertListing(open.pool, connection, { itemId: null, unitId: 'u' });
    await sell(null, 'u');
    expect(await mapListing(options(), caller, { listingId, itemId: item.id })).toEqual({
      ok: true,
      value: { listingId },
    });
    expect(await reserved()).toBe(1);
    expect(await support.readDirty(open.pool, listingId)).toMatchObject({ reread: true, waitMs: 0 });
    expect(pushed).toEqual([connection.id]);
  });

  test('to an item with a shorter history than the one before still writes its number', async () => {
    const channel = support.createChannel();
    const push = (): Promise<void> =>
      pushConnection(
        support.pushOptions(open.pool, support.connectTo(open.pool, { shopify: channel })),
        connection.id,
      );
    for (let move = 0; move < 5; move += 1) await support.moveStock(open.pool, item, 1);
    const listingId = await fixtures.insertListing(open.pool, connection, { itemId: item.id, unitId: 'u' });
    support.show(channel, { unitId: 'u', variantId: '' }, 1);
    await support.markDirty(open.pool, listingId, true);
    await push();
    expect(support.shownOn(channel, { unitId: 'u', variantId: '' })).toBe(15);

    const second = await fixtures.insertItem(open.pool, caller.accountId, { onHand: 3 });
    await mapListing(options(), caller, { listingId, itemId: second.id });
    await push();
    expect(support.shownOn(channel, { unitId: 'u', variantId: '' })).toBe(3);
    expect(await support.readDirty(open.pool, listingId)).toBeNull();
  });

  test('of another account, or to an item of another account, is refused and changes nothing', async () => {
    const foreign = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
    const foreignItem = await fixtures.insertItem(open.pool, foreign.accountId);
    const own = await fixtures.insertListing(open.pool, connection, { itemId: null });
    const theirs = await fixtures.insertListing(open.pool, foreign, { itemId: null });
    expect(await mapListing(options(), caller, { listingId: theirs, itemId: item.id })).toMatchObject(
      notFound('listingId'),
    );
    expect(await mapListing(options(), caller, { listingId: own, itemId: foreignItem.id })).toMatchObject(
      notFound('itemId'),
    );
    const { rows } = await open.pool.query('SELECT item_id FROM listings WHERE id = ANY($1)', [
      [own, theirs],
    ]);
    expect(rows).toEqual([{ item_id: null }, { item_id: null }]);
  });
});

describe('the sweep', () => {
  test('applies what a process left that died right after it had said what a listing sells', async () => {
    const listingId = await fixtures.insertListing(open.pool, connection, { itemId: null, unitId: 'shelf' });
    await sell(null, 'shelf');
    const input = { listingId, itemId: item.id };
    // The mapping is its first statement; the waiting lines come after it.
    const died = mapListing(options({ pool: dyingPool(open.pool, 1) }), caller, input);
    await expect(died).rejects.toBeInstanceOf(KilledError);
    expect([await stranded(), await reserved()]).toEqual([1, 0]);
    expect(await support.readDirty(open.pool, listingId)).toMatchObject({ reread: true });
    expect(await applyWaiting(options(), null)).toBe(1);
    expect([await stranded(), await reserved()]).toEqual([0, 1]);
  });

  test('finds the line that was stored at the very moment of its mapping', async () => {
    // The line's statement does not see the mapping, and the mapping's own look does not see the line.
    await inTransaction(open.pool, async (client) => {
      await applyOrder(
        client,
        fixtures.source(connection),
        fixtures.order({ lines: [fixtures.orderLine({ sku: 'odd', reserved: 1 })] }),
      );
      expect(await mapSku(options(), caller, { sku: 'odd', itemId: item.id })).toEqual({
        ok: true,
        value: { linesApplied: 0 },
      });
    });
    expect(await stranded()).toBe(1);
    expect(await applyWaiting(options(), null)).toBe(1);
    expect(await stranded()).toBe(0);
    expect(await reserved()).toBe(1);
  });

  test('leaves no line behind, and counts none twice, however arrivals, mappings and sweeps meet', async () => {
    for (let round = 0; round < 8; round += 1) {
      const sku = fixtures.unique('odd');
      const before = await reserved();
      const arrivals = Array.from({ length: 8 }, async () => sell(sku));
      const mappings = Array.from({ length: 2 }, async () =>
        mapSku(options(), caller, { sku, itemId: item.id }),
      );
      const sweeps = Array.from({ length: 2 }, async () => applyWaiting(options(), null));
      await Promise.all([...arrivals, ...mappings, ...sweeps]);
      await applyWaiting(options(), null);
      expect(await reserved()).toBe(before + 8);
      expect(await stranded()).toBe(0);
    }
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('finds a line by its SKU, an alias, or the address or SKU of its listing, and tells of each order once', async () => {
    await fixtures.insertListing(open.pool, connection, { itemId: null, unitId: 'by address' });
    await fixtures.insertListing(open.pool, connection, { itemId: null, sku: 'by listing' });
    const elsewhere = await fixtures.insertConnection(open.pool, caller.accountId, 'etsy');
    await sell('by listing', null, elsewhere);
    await sell(null, 'by address');
    const skus = ['by item', 'by alias', 'by listing', 'unknown'];
    const lines = skus.map((sku, index) => fixtures.orderLine({ lineId: `${index}`, sku, reserved: 1 }));
    await applyOrder(open.pool, fixtures.source(connection), fixtures.order({ lines }));
    expect(await applyWaiting(options(), null)).toBe(0);

    const named = await fixtures.insertItem(open.pool, caller.accountId, { sku: 'by item', onHand: 1 });
    await fixtures.insertAlias(open.pool, item, 'by alias');
    await open.pool.query('UPDATE listings SET item_id = $2 WHERE connection_id = $1', [
      connection.id,
      item.id,
    ]);
    expect(await applyWaiting(options(), null)).toBe(4);
    expect(effects).toHaveLength(2);
    expect(await reserved()).toBe(3);
    expect(await readStock(open.pool, named.id)).toMatchObject({ reserved: 1 });
    // Another channel's line of that SKU, and the one that nobody knows.
    expect(await stranded()).toBe(2);
  });

  test('takes so many orders at a time and changes no order whose lines are still unknown', async () => {
    for (let count = 0; count < 5; count += 1) await sell('odd');
    const { orderId } = await sell('unknown');
    await fixtures.insertAlias(open.pool, item, 'odd');
    expect(await applyWaiting(options({ batchMax: 3 }), null)).toBe(3);
    expect(await applyWaiting(options({ batchMax: 3 }), null)).toBe(2);
    expect(await applyWaiting(options({ batchMax: 3 }), null)).toBe(0);
    const { rows } = await open.pool.query('SELECT revision::int FROM orders WHERE id = $1', [orderId]);
    expect(rows).toEqual([{ revision: 1 }]);
  });
});
