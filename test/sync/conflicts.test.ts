/** Proves that a proven conflict is kept with its evidence, that newer evidence overtakes older, and that a policy decides only what it may. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction } from '../../src/db.ts';
import { ordersConsidered, readEvidence } from '../../src/sync/conflictEvidence.ts';
import { storeConflict } from '../../src/sync/conflicts.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { loadTargets, targetFor } from '../../src/sync/targets.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';
import {
  conflictEventsOf,
  conflictsOf,
  provenEdit,
  setPolicy,
  statusOf,
  storeEdit,
} from '../support/provenEdits.ts';

let open: fixtures.TestPool;
let accountId: string;
let item: fixtures.TestItem;
let shopify: fixtures.TestConnection;
let onShopify: string;
let onEtsy: string;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  accountId = await fixtures.insertAccount(open.pool);
  shopify = await fixtures.insertConnection(open.pool, accountId, 'shopify');
  const etsy = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  item = await fixtures.insertItem(open.pool, accountId, { onHand: 20 });
  onShopify = await fixtures.insertListing(open.pool, shopify, { itemId: item.id, unitId: 'mug' });
  onEtsy = await fixtures.insertListing(open.pool, etsy, { itemId: item.id });
  await setPolicy(open.pool, accountId, 'manual_review');
});

const edited = (listingId: string, itemId = item.id) => ({ accountId, itemId, listingId });
const store = (listingId: string, delta: number, more: Parameters<typeof provenEdit>[2] = {}) =>
  storeEdit(open.pool, edited(listingId), provenEdit(listingId, delta, more));
const conflicts = () => conflictsOf(open.pool, item.id);

async function dirty(): Promise<readonly unknown[]> {
  const { rows } = await open.pool.query(
    'SELECT listing_id AS id, reread, guarded FROM dirty_listings WHERE account_id = $1 ORDER BY listing_id',
    [accountId],
  );
  return rows;
}

describe('a proven conflict', () => {
  test('is kept with everything that proved it, told to subscribers, and shown on the item', async () => {
    const edit = provenEdit(onShopify, -3);
    const stored = await storeEdit(open.pool, edited(onShopify), edit);
    const [row] = await conflicts();
    expect(stored).toMatchObject({ conflictId: row?.id, resolution: null });
    expect(row).toMatchObject({ type: 'quantity_mismatch', status: 'open', version: 1, delta: -3 });
    expect(readEvidence(row?.data)).toEqual({
      version: 1,
      kind: 'quantity',
      unit: onShopify,
      provenAt: edit.conflict.provenAt,
      delta: -3,
      reading: { value: 17, from: fixtures.noon.getTime() + 4_900, until: fixtures.noon.getTime() + 5_000 },
      range: { low: 20, high: 20 },
      ordersWatermark: edit.before.ordersWatermark,
      target: 20,
      targetSeq: 1,
      candidates: edit.before.candidates,
      orders: [],
    });
    expect(await statusOf(open.pool, item.id)).toBe('conflict');
    expect(await conflictEventsOf(open.pool, item.id)).toEqual([
      {
        conflictId: row?.id,
        itemId: item.id,
        listingId: onShopify,
        type: 'quantity_mismatch',
        status: 'open',
        delta: -3,
        version: 1,
        resolution: null,
      },
    ]);
  });

  test('moves no stock and lowers every channel by the proven cut until it is decided', async () => {
    await store(onShopify, -3);
    const { effect } = await store(onEtsy, 5);
    const targets = await loadTargets(open.pool, [onShopify, onEtsy], 999);
    expect([...targets.values()].map((target) => targetFor(target).target)).toEqual([17, 17]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 20, seq: 1 });
    expect(await dirty()).toEqual(
      [onShopify, onEtsy].toSorted().map((id) => ({ id, reread: true, guarded: true })),
    );
    expect(effect.connectionIds).toHaveLength(2);
  });

  test('names the orders that the range took into account, and others of the listing near the reading', async () => {
    const order = fixtures.order({
      lines: [fixtures.orderLine({ sku: item.sku, address: { unitId: 'mug', variantId: '' } })],
    });
    const seen = await applyOrder(open.pool, fixtures.source(shopify), order);
    const nearby = await applyOrder(open.pool, fixtures.source(shopify), { ...order, orderId: 'nearby' });
    const old = {
      ...order,
      orderId: 'old',
      createdAt: new Date('2026-01-01'),
      updatedAt: new Date('2026-01-01'),
    };
    await applyOrder(open.pool, fixtures.source(shopify), old);
    const at = fixtures.noon.getTime() - 20_000;
    const sale = { orderId: seen.orderId ?? '', quantity: 1, from: at, until: at };
    await store(onShopify, -3, { sales: [sale] });
    const evidence = readEvidence((await conflicts())[0]?.data);
    const noon = fixtures.noon.getTime();
    expect(evidence).toMatchObject({
      range: { low: 19, high: 19 },
      orders: [
        { orderId: seen.orderId, units: 1, from: at, until: at, basis: 'range' },
        { orderId: nearby.orderId, units: 1, from: noon, until: noon, basis: 'nearby' },
      ],
    });
  });

  test('is gone with the transaction that proved it', async () => {
    const { before, conflict } = provenEdit(onShopify, -3);
    const failed = inTransaction(open.pool, async (client) => {
      await storeConflict(client, {
        ...edited(onShopify),
        conflict,
        ordersConsidered: ordersConsidered(before),
      });
      throw new Error('the shadow could not be stored');
    });
    await expect(failed).rejects.toThrow('the shadow could not be stored');
    expect(await conflicts()).toEqual([]);
    expect(await statusOf(open.pool, item.id)).toBe('synced');
    expect(await dirty()).toEqual([]);
  });
});

describe('newer evidence', () => {
  test('takes the place of an open conflict of the listing and counts both edits', async () => {
    await store(onShopify, 5);
    await store(onShopify, -7);
    const [older, newer] = await conflicts();
    expect(older).toMatchObject({ status: 'superseded', version: 2, supersededBy: newer?.id });
    expect(newer).toMatchObject({ status: 'open', version: 1, delta: -2, supersededBy: null });
    expect(readEvidence(newer?.data)).toMatchObject({ delta: -7 });
    expect(await conflictEventsOf(open.pool, item.id)).toMatchObject([
      { status: 'open', delta: 5 },
      { status: 'superseded', version: 2 },
      { status: 'open', delta: -2 },
    ]);
  });

  test('that a channel shows nothing overtakes an earlier edit there: one listing has one open conflict about its number', async () => {
    await store(onShopify, -3);
    await store(onShopify, -17, { shown: 17 });
    expect(await conflicts()).toMatchObject([
      { type: 'quantity_mismatch', status: 'superseded' },
      { type: 'sold_out', status: 'open', delta: -20 },
    ]);
  });

  test('that takes the edit back leaves nothing to decide', async () => {
    await store(onShopify, 5);
    expect(await store(onShopify, -5)).toMatchObject({ conflictId: null, resolution: null });
    expect(await conflicts()).toMatchObject([{ status: 'superseded', supersededBy: null }]);
    expect(await statusOf(open.pool, item.id)).toBe('synced');
  });

  test('about another listing leaves it open', async () => {
    await store(onShopify, 5);
    await store(onEtsy, -2);
    expect(await conflicts()).toMatchObject([
      { status: 'open', delta: 5 },
      { status: 'open', delta: -2 },
    ]);
  });

  test('of a listing that sells another item by now says nothing of what it did as the item before', async () => {
    await store(onShopify, -3);
    const other = await fixtures.insertItem(open.pool, accountId, { onHand: 20 });
    await open.pool.query('UPDATE listings SET item_id = $2 WHERE id = $1', [onShopify, other.id]);
    await storeEdit(open.pool, edited(onShopify, other.id), provenEdit(onShopify, -4));
    expect(await conflicts()).toMatchObject([{ status: 'superseded', delta: -3 }]);
    expect(await conflictsOf(open.pool, other.id)).toMatchObject([{ status: 'open', delta: -4 }]);
    expect([await statusOf(open.pool, item.id), await statusOf(open.pool, other.id)]).toEqual([
      'synced',
      'conflict',
    ]);
  });

  test('proven at the same moment on several channels is all kept', async () => {
    const etsyAgain = await fixtures.insertListing(open.pool, shopify, { itemId: item.id });
    for (let round = 0; round < 5; round += 1)
      await Promise.all([onShopify, onEtsy, etsyAgain].map((listing) => store(listing, -1)));
    const left = (await conflicts()).filter(({ status }) => status === 'open');
    expect(left.map(({ delta }) => delta)).toEqual([-5, -5, -5]);
    expect(await conflicts()).toHaveLength(15);
  });
});

describe('the policy of the account', () => {
  test('use_lowest, the default, books a cut at once, as the system', async () => {
    const { rows } = await open.pool.query(
      'SELECT auto_resolution::text AS resolution, auto_resolution_units_max AS units FROM accounts WHERE id = $1',
      [await fixtures.insertAccount(open.pool)],
    );
    expect(rows).toEqual([{ resolution: 'use_lowest', units: 10 }]);
    await setPolicy(open.pool, accountId, 'use_lowest');
    const { conflictId, resolution, effect } = await store(onShopify, -3);
    expect(resolution).toBe('use_lowest');
    expect(effect.movementIds).toHaveLength(1);
    expect(await conflicts()).toMatchObject([
      {
        id: conflictId,
        status: 'resolved',
        version: 2,
        resolution: 'use_lowest',
        resolvedBy: null,
        movementId: effect.movementIds[0],
      },
    ]);
    expect((await readMovements(open.pool, item.id)).at(-1)).toMatchObject({
      kind: 'resolution',
      onHandDelta: -3,
      onHandAfter: 17,
    });
    expect(await statusOf(open.pool, item.id)).toBe('synced');
    expect(await conflictEventsOf(open.pool, item.id)).toMatchObject([
      { status: 'open', version: 1 },
      { status: 'resolved', version: 2, resolution: 'use_lowest' },
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('use_lowest books no increase and has it written over', async () => {
    await setPolicy(open.pool, accountId, 'use_lowest');
    await store(onShopify, 5);
    expect(await conflicts()).toMatchObject([{ status: 'resolved', movementId: null }]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 20, seq: 1 });
    expect(await dirty()).toHaveLength(2);
  });

  test.each([
    ['use_highest', 5, 25],
    ['use_highest', -5, 20],
    ['keep_ours', -5, 20],
  ])('%s of an edit by %i leaves %i', async (resolution, delta, left) => {
    await setPolicy(open.pool, accountId, resolution);
    await store(onShopify, delta);
    expect(await conflicts()).toMatchObject([{ status: 'resolved', resolution }]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: left });
  });

  test('decides an edit of as many units as it allows, and none larger', async () => {
    await setPolicy(open.pool, accountId, 'use_lowest', 4);
    await store(onShopify, -4);
    expect(await conflicts()).toMatchObject([{ status: 'resolved' }]);
    await store(onEtsy, -5);
    expect((await conflicts())[1]).toMatchObject({ status: 'open' });
  });

  test('decides nothing while a larger edit of the item waits: they may be one delivery', async () => {
    await setPolicy(open.pool, accountId, 'use_lowest', 4);
    await store(onEtsy, -5);
    await store(onShopify, -3);
    expect(await conflicts()).toMatchObject([{ status: 'open' }, { status: 'open' }]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 20 });
  });

  test('adds edits of one listing up before it compares them with its limit', async () => {
    await store(onShopify, -3);
    await setPolicy(open.pool, accountId, 'use_lowest', 4);
    await store(onShopify, -3);
    expect((await conflicts()).at(-1)).toMatchObject({ status: 'open', delta: -6 });
  });

  test('never decides what may have been done while the listing was switched off, not even by newer evidence', async () => {
    await setPolicy(open.pool, accountId, 'use_lowest');
    const off = await storeEdit(open.pool, edited(onShopify), provenEdit(onShopify, -2), true);
    expect(off.resolution).toBeNull();
    expect((await store(onShopify, -1)).resolution).toBeNull();
    expect((await store(onEtsy, -1)).resolution).toBeNull();
    expect(await readMovements(open.pool, item.id)).toMatchObject([{ kind: 'opening' }]);
  });

  test('never decides what a person said they will, not even by newer evidence', async () => {
    await store(onShopify, -3);
    await open.pool.query('UPDATE sync_conflicts SET awaits_review = true WHERE item_id = $1', [item.id]);
    await setPolicy(open.pool, accountId, 'use_lowest');
    await store(onShopify, -1);
    expect((await conflicts()).at(-1)).toMatchObject({ status: 'open', delta: -4, awaitsReview: true });
  });
});

test('evidence in a form that this version does not know reads as none', () => {
  for (const data of [{}, null, { version: 2, kind: 'quantity' }, { version: 1, kind: 'quantity' }])
    expect(readEvidence(data)).toBeNull();
});
