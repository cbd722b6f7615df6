/** Proves that escrow promises nothing where a channel sells beyond its number (A1): it is refused, not chosen, or kept at zero there, and says why. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Protection, resumeEscrow, setProtection } from '../../src/sync/protection.ts';
import * as support from '../support/channel.ts';
import * as escrows from '../support/escrowShop.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

async function ask({ caller, item }: escrows.EscrowShop, protection: Protection) {
  const { outcome } = await setProtection(open.pool, caller, { itemId: item.id, protection });
  return outcome;
}

async function protectionOf({ item }: escrows.EscrowShop): Promise<string | undefined> {
  const { rows } = await open.pool.query<{ protection: string }>(
    'SELECT protection FROM inventory_items WHERE id = $1',
    [item.id],
  );
  return rows[0]?.protection;
}

async function isUnderEscrow({ item }: escrows.EscrowShop): Promise<boolean> {
  const { rowCount } = await open.pool.query('SELECT 1 FROM escrows WHERE item_id = $1', [item.id]);
  return rowCount === 1;
}

const pausedOf = async (shop: escrows.EscrowShop, { listingId }: escrows.Offer) =>
  (await escrows.escrowOf(shop)).units[listingId]?.paused;

async function settle(shop: escrows.EscrowShop, offers: readonly escrows.Offer[] = shop.offers) {
  for (let round = 0; round < 6; round += 1) {
    await escrows.pushAll(shop, offers, 2);
    await escrows.pass(shop, 60_000);
    await escrows.knowOrders(shop);
  }
}

const remedy = 'Switch off "Continue selling when out of stock" in Shopify, then import the catalogue again.';

describe('an item with a listing that sells beyond its number', () => {
  test('is refused escrow, by name and with what to do, until an import says that the listing refuses', async () => {
    const shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
    const [shopify] = shop.offers;
    await escrows.importOffer(shop, shopify, true);
    for (const protection of ['escrow', 'automatic'] as const)
      expect(await ask(shop, protection)).toEqual({
        ok: false,
        problems: [
          {
            code: 'INVALID_INPUT',
            message: `Escrow needs every listing of the item to refuse what is beyond its number; these sell on: shopify ${shop.item.sku}. ${remedy}`,
            field: ['input', 'protection'],
          },
        ],
      });
    expect(await protectionOf(shop)).toBe('shared');
    expect(await ask(shop, 'shared')).toMatchObject({ ok: true });
    await escrows.importOffer(shop, shopify, false);
    expect(await ask(shop, 'escrow')).toMatchObject({ ok: true });
    expect(await protectionOf(shop)).toBe('escrow');
  });

  test('is left in the shared pool by automatic protection, and goes back to it, for as long as that lasts', async () => {
    const shop = await escrows.openEscrowShop(open.pool, 0, [0, 0]);
    const [shopify] = shop.offers;
    expect(await ask(shop, 'automatic')).toMatchObject({ ok: true });
    await escrows.pushAll(shop);
    expect(await isUnderEscrow(shop)).toBe(true);
    await escrows.importOffer(shop, shopify, true);
    await escrows.pushAll(shop);
    expect(await isUnderEscrow(shop)).toBe(false);
    await escrows.importOffer(shop, shopify, false);
    await escrows.pushAll(shop);
    expect(await isUnderEscrow(shop)).toBe(true);
    expect(await protectionOf(shop)).toBe('automatic');
  });
});

describe('an item under escrow whose listing is found to sell beyond its number', () => {
  test('is kept at zero there, its rights are free for the others, and nobody resumes it before an import says that it refuses', async () => {
    const shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
    const [shopify, etsy] = shop.offers;
    await escrows.protect(shop);
    await settle(shop);
    await escrows.importOffer(shop, shopify, true);
    expect(await support.readDirty(open.pool, shopify.listingId)).not.toBeNull();
    await settle(shop);
    expect(await pausedOf(shop, shopify)).toBe('A1');
    expect(await pausedOf(shop, etsy)).toBeNull();
    expect([escrows.shows(shopify), escrows.shows(etsy)]).toEqual([0, 2]);
    expect(await escrows.escrowOf(shop)).toMatchObject({ available: 4, free: 2 });
    const resume = () => resumeEscrow(open.pool, shop.caller, shopify.listingId, support.clock.now());
    expect(await resume()).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT', message: `It still sells beyond its number. ${remedy}` }],
    });
    await escrows.importOffer(shop, shopify, false);
    await settle(shop);
    expect([await pausedOf(shop, shopify), escrows.shows(shopify)]).toEqual(['A1', 0]);
    expect(await resume()).toMatchObject({ ok: true });
    await settle(shop);
    expect(await pausedOf(shop, shopify)).toBeNull();
    expect(escrows.shownIn(shop.offers)).toBeLessThanOrEqual(4);
  });

  test('gives no right to such a listing that joins it, by import or by mapping, and takes it to zero', async () => {
    for (const join of ['import', 'map'] as const) {
      const shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
      await escrows.protect(shop);
      await escrows.pushAll(shop);
      const offer =
        join === 'import'
          ? await escrows.bringIn(shop, 3, true)
          : await escrows.offerOn(open.pool, shop.amazon, { shown: 3 });
      if (join === 'map') {
        await open.pool.query('UPDATE listings SET sells_beyond = true WHERE id = $1', [offer.listingId]);
        await escrows.map(shop, offer);
      }
      await settle(shop, [...shop.offers, offer]);
      expect([await pausedOf(shop, offer), escrows.shows(offer)]).toEqual(['A1', 0]);
      expect(escrows.shownIn(shop.offers)).toBe(4);
    }
  });

  test('is asked for again only when that changes: an import that says the same leaves it alone', async () => {
    const shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
    const [shopify] = shop.offers;
    await escrows.protect(shop);
    await settle(shop);
    await escrows.importOffer(shop, shopify, false);
    expect(await support.readDirty(open.pool, shopify.listingId)).toBeNull();
  });
});
