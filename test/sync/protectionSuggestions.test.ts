/** Proves that escrow is suggested exactly where automatic protection would choose it, and only for items that could be protected and are not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { automaticBuffer } from '../../src/sync/core/targets.ts';
import { setProtection } from '../../src/sync/protection.ts';
import {
  loadProtectionSuggestions,
  type ProtectionSuggestion,
} from '../../src/sync/protectionSuggestions.ts';
import { insertBundle } from '../support/bundles.ts';
import * as support from '../support/channel.ts';
import * as escrows from '../support/escrowShop.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

const sql = (text: string, values: readonly unknown[]) => open.pool.query(text, [...values]);

async function suggestionOf(
  { caller, item }: escrows.EscrowShop,
  accountId = caller.accountId,
): Promise<ProtectionSuggestion | null> {
  const found = await loadProtectionSuggestions(open.pool, accountId, [item.id], support.clock.now());
  return found.get(item.id) ?? null;
}

const openShop = (onHand: number) => escrows.openEscrowShop(open.pool, onHand, [onHand, onHand]);

/** Each of its channels has sold so many units within the last hour. */
function sold({ item }: escrows.EscrowShop, units: number) {
  const demand = { units, shownMs: 3_600_000, at: support.clock.now() };
  return sql(`UPDATE shadows SET state = jsonb_set(state, '{demand}', $2) WHERE item_id = $1`, [
    item.id,
    JSON.stringify(demand),
  ]);
}

/** Nine of ten sales are in force everywhere within this time. */
function reactsWithin({ caller }: escrows.EscrowShop, ms: number) {
  const measures = { saleToEffective: { p50: ms, p90: ms, p95: ms, count: 9 } };
  return sql('UPDATE connections SET measures = $2 WHERE account_id = $1', [
    caller.accountId,
    JSON.stringify(measures),
  ]);
}

async function automaticallyUnderEscrow(shop: escrows.EscrowShop): Promise<boolean> {
  const { caller, item } = shop;
  await setProtection(open.pool, caller, { itemId: item.id, protection: 'automatic' });
  await escrows.pushAll(shop, shop.offers, 1);
  const { rowCount } = await sql('SELECT 1 FROM escrows WHERE item_id = $1', [item.id]);
  return rowCount === 1;
}

describe('escrow', () => {
  test('is suggested for a one-of-a-kind on two channels, with the numbers and the reason in plain words', async () => {
    const shop = await openShop(1);
    await reactsWithin(shop, 30_000);
    expect(await suggestionOf(shop)).toEqual({
      itemId: shop.item.id,
      available: 1,
      bufferNeeded: 1,
      soldPerHour: expect.closeTo(1 / 24, 4),
      surge: 8,
      reactionMs: 30_000,
      reason:
        '1 left to sell in 2 places, which sell about 0.042 per hour together. It can take 30 s until a sale has lowered every number; in a rush of 8 times that pace up to 1 can be sold meanwhile. Under escrow none is sold twice.',
    });
  });

  test('is not suggested while there is plenty, and is once it sells so fast that plenty is not enough', async () => {
    const shop = await openShop(12);
    await reactsWithin(shop, 60_000);
    expect(await suggestionOf(shop)).toBeNull();
    await sold(shop, 30);
    const suggestion = await suggestionOf(shop);
    expect(suggestion).toMatchObject({ available: 12, reactionMs: 60_000 });
    const rate = (suggestion?.soldPerHour ?? 0) / 3_600_000;
    expect(suggestion?.soldPerHour).toBeGreaterThan(50);
    expect(suggestion?.bufferNeeded).toBe(automaticBuffer(8 * rate, 60_000, 0.001));
  });

  test('is suggested for what has just sold out, and of an oversold item the number below zero is told', async () => {
    const shop = await openShop(0);
    expect(await suggestionOf(shop)).toMatchObject({
      available: 0,
      reason: expect.stringMatching(/^Nothing left to sell/),
    });
    await support.moveStock(open.pool, shop.item, -2);
    expect(await suggestionOf(shop)).toMatchObject({ available: -2 });
  });

  test.each([0, 1, 40, 400])(
    'is suggested at the very stock from which automatic protection chooses it, where each channel sells %i an hour',
    async (perHour) => {
      const shop = await openShop(0);
      await reactsWithin(shop, 20_000);
      await sold(shop, perHour);
      const needed = (await suggestionOf(shop))?.bufferNeeded ?? Number.NaN;
      for (const [onHand, escrow] of [
        [needed, true],
        [needed + 1, false],
      ] as const) {
        const other = await openShop(onHand);
        await reactsWithin(other, 20_000);
        await sold(other, perHour);
        expect((await suggestionOf(other)) !== null).toBe(escrow);
        expect(await automaticallyUnderEscrow(other)).toBe(escrow);
      }
    },
  );

  test('is suggested by a sale that no shadow has taken in yet, as automatic protection counts it', async () => {
    const shop = await openShop(3);
    await reactsWithin(shop, 60_000);
    expect(await suggestionOf(shop)).toBeNull();
    await escrows.sell(shop, shop.offers[1])?.();
    expect(await suggestionOf(shop)).toMatchObject({ available: 2 });
    expect(await automaticallyUnderEscrow(shop)).toBe(true);
  });
});

describe('nothing is suggested', () => {
  test('for an item that is protected already, be it by escrow or automatically', async () => {
    const shop = await openShop(1);
    expect(await suggestionOf(shop)).not.toBeNull();
    for (const protection of ['escrow', 'automatic'] as const) {
      await setProtection(open.pool, shop.caller, { itemId: shop.item.id, protection });
      expect(await suggestionOf(shop)).toBeNull();
    }
    await setProtection(open.pool, shop.caller, { itemId: shop.item.id, protection: 'shared' });
    expect(await suggestionOf(shop)).not.toBeNull();
  });

  test('for a bundle and for what it is made of: they share one pool', async () => {
    const shop = await openShop(1);
    const { pool } = open;
    const bundle = await insertBundle(pool, shop.caller.accountId, [[shop.item, 1]]);
    await escrows.offerOn(pool, shop.offers[0], { itemId: bundle.id, shown: 1 });
    await escrows.offerOn(pool, shop.offers[1], { itemId: bundle.id, shown: 1 });
    expect(await suggestionOf(shop)).toBeNull();
    expect(await suggestionOf({ ...shop, item: bundle })).toBeNull();
  });

  test.each([
    ['whose number the channel owns (FBA)', 'UPDATE listings SET writable = false WHERE id = $1'],
    ['that is switched off', 'UPDATE listings SET sync_enabled = false WHERE id = $1'],
    ['that sells beyond its number', 'UPDATE listings SET sells_beyond = true WHERE id = $1'],
    [
      'of a connection that is switched off',
      'UPDATE connections SET sync_enabled = false WHERE id = (SELECT connection_id FROM listings WHERE id = $1)',
    ],
    [
      'of a connection that must be authorised again',
      `UPDATE connections SET status = 'needs_authorization' WHERE id = (SELECT connection_id FROM listings WHERE id = $1)`,
    ],
  ])('for an item with a listing %s', async (_what, statement) => {
    const shop = await openShop(1);
    await sql(statement, [shop.offers[1].listingId]);
    expect(await suggestionOf(shop)).toBeNull();
  });

  test('for an item that is sold in one place only, or nowhere', async () => {
    const shop = await openShop(1);
    for (const { listingId } of shop.offers) {
      await sql('UPDATE listings SET item_id = NULL WHERE id = $1', [listingId]);
      expect(await suggestionOf(shop)).toBeNull();
    }
  });

  test('to another account', async () => {
    const [shop, other] = [await openShop(1), await openShop(1)];
    expect(await suggestionOf(shop, other.caller.accountId)).toBeNull();
  });
});
