/** Proves that ordinary verbs leak no unit of an item under escrow: mapping, importing, pausing, reserving and bundling. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError } from '../../src/connectors/connector.ts';
import { setBundle } from '../../src/sync/bundles.ts';
import { charge, grant } from '../../src/sync/core/escrow.ts';
import { withShadows } from '../../src/sync/shadows.ts';
import * as support from '../support/channel.ts';
import * as escrows from '../support/escrowShop.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let shop: escrows.EscrowShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

const rightsOf = async (offer: escrows.Offer): Promise<number | null> => {
  const unit = (await escrows.escrowOf(shop)).units[offer.listingId];
  return unit === undefined ? null : charge(unit);
};

/** Everything that is under way lands, and every order becomes known. */
async function settle(offers: readonly escrows.Offer[] = shop.offers, rounds = 6): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await escrows.pushAll(shop, offers, 2);
    await escrows.pass(shop, 60_000);
  }
}

function unreadable({ amazon }: escrows.EscrowShop): () => void {
  const honest = amazon.channel.onRead;
  amazon.channel.onRead = () => ({ kind: 'unknown', reason: 'the channel is away' });
  return () => {
    amazon.channel.onRead = honest;
  };
}

describe('a listing that joins an item under escrow', () => {
  beforeEach(async () => {
    shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
    await escrows.protect(shop);
    await escrows.pushAll(shop);
  });

  test('leaves the others their rights and nothing more until it was read, however it came', async () => {
    for (const join of ['map', 'import'] as const) {
      const readable = unreadable(shop);
      if (join === 'map') {
        const offer = await escrows.offerOn(open.pool, shop.amazon, { shown: 3 });
        await escrows.map(shop, offer);
      } else await escrows.bringIn(shop, 3);
      await support.moveStock(open.pool, shop.item, 2);
      await settle();
      expect(escrows.shownIn(shop.offers)).toBe(4);
      readable();
      shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
      await escrows.protect(shop);
      await escrows.pushAll(shop);
    }
  });

  test('is still taken to zero elsewhere while it is not read: lowering waits for nobody', async () => {
    unreadable(shop);
    await escrows.map(shop, await escrows.offerOn(open.pool, shop.amazon, { shown: 3 }));
    await support.moveStock(open.pool, shop.item, -4);
    await settle();
    expect(escrows.shownIn(shop.offers)).toBe(0);
  });

  test('is read first, and what it shows is charged: the others are drained until all fits', async () => {
    const offer = await escrows.bringIn(shop, 3);
    const all = [...shop.offers, offer];
    expect(await support.readDirty(open.pool, offer.listingId)).not.toBeNull();
    offer.channel.onWrite = (write) => {
      expect(offer.channel.readCalls).not.toEqual([]);
      return support.takeEffect(offer.channel, write);
    };
    await escrows.push(shop, offer);
    expect(await rightsOf(offer)).not.toBeNull();
    await settle(all);
    expect(escrows.shownIn(all)).toBeLessThanOrEqual(4);
    expect((await escrows.escrowOf(shop)).shortfall).toBe(0);
  });

  test('is charged although its connection waits for its plan, and is not written to', async () => {
    await open.pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [
      shop.amazon.connection.id,
    ]);
    const offer = await escrows.bringIn(shop, 3);
    await settle([...shop.offers, offer]);
    expect(await rightsOf(offer)).toBe(3);
    expect(shop.amazon.channel.writes).toEqual([]);
    expect(escrows.shownIn([...shop.offers, offer])).toBeLessThanOrEqual(4);
  });

  test('keeps everything where it is until all that it has sold before is known: the unit may be counted as free', async () => {
    await support.moveStock(open.pool, shop.item, 1);
    const offer = await escrows.offerOn(open.pool, shop.amazon, { shown: 1 });
    offer.channel.capabilities.indexLagMs = 20_000;
    await escrows.map(shop, offer);
    const told = escrows.sell(shop, offer);
    offer.channel.orderPages = () => support.pages([]);
    await escrows.pushAll(shop, [...shop.offers, offer]);
    expect(escrows.shownIn([...shop.offers, offer])).toBe(4);
    expect(await escrows.reserve(shop, 1)).toMatchObject({ ok: false, problems: [{ current: 0 }] });
    offer.channel.orderPages = () => support.pages([...offer.channel.orders.values()]);
    await told?.();
    await settle([...shop.offers, offer]);
    expect(escrows.shownIn([...shop.offers, offer])).toBeLessThanOrEqual(4);
    expect((await escrows.escrowOf(shop)).units[offer.listingId]).not.toHaveProperty('joinedAt');
  });

  test('pays for the sales that its shadow has taken in once, not twice', async () => {
    const offer = await escrows.offerOn(open.pool, shop.amazon, { shown: 2 });
    await support.moveStock(open.pool, shop.item, 2);
    await escrows.map(shop, offer);
    await support.insertShadow(open.pool, shop.amazon.channel, offer.listingId, 2);
    const told = escrows.sell(shop, offer);
    await told?.();
    await escrows.push(shop, shop.offers[0]);
    expect(await rightsOf(offer)).toBe(1);
    expect(await escrows.escrowOf(shop)).toMatchObject({ available: 5 });
  });
});

describe('a listing that is paused', () => {
  beforeEach(async () => {
    shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
    await escrows.protect(shop);
    await escrows.pushAll(shop);
  });

  test('keeps the rights that it may still sell, whoever asks for more', async () => {
    const [paused, other] = shop.offers;
    await escrows.switchTo(shop, paused, false);
    await support.markDirty(open.pool, other.listingId);
    await settle();
    expect(escrows.shows(other)).toBe(2);
    expect(await rightsOf(paused)).toBe(2);
  });

  test('gives them back once it is read at a lower number and every order is known', async () => {
    const [paused] = shop.offers;
    await escrows.switchTo(shop, paused, false);
    support.show(paused.channel, paused.address, 0);
    await escrows.pass(shop, 1_800_001);
    await escrows.knowOrders(shop);
    await escrows.read(shop, paused);
    await escrows.pass(shop, 60_000);
    await escrows.knowOrders(shop);
    await escrows.read(shop, paused);
    await settle();
    expect(await rightsOf(paused)).toBe(0);
    expect((await escrows.escrowOf(shop)).free).toBe(2);
    expect(await escrows.reserve(shop, 2)).toMatchObject({ ok: true });
    const { rowCount } = await open.pool.query('SELECT 1 FROM sync_conflicts WHERE listing_id = $1', [
      paused.listingId,
    ]);
    expect(rowCount).toBe(0);
  });

  test('is charged with what somebody puts up there meanwhile, and takes part again when it is resumed', async () => {
    const [paused, other] = shop.offers;
    await escrows.switchTo(shop, paused, false);
    support.show(paused.channel, paused.address, 3);
    await escrows.pass(shop, 1_800_001);
    await escrows.knowOrders(shop);
    await escrows.read(shop, paused);
    await settle();
    expect(await rightsOf(paused)).toBe(3);
    expect(escrows.shows(other)).toBeLessThanOrEqual(1);
    await escrows.switchTo(shop, paused, true);
    await settle();
    expect((await escrows.escrowOf(shop)).units[paused.listingId]?.paused).toBeNull();
    expect(escrows.shownIn(shop.offers)).toBeLessThanOrEqual(4);
  });
});

describe('a reservation of an item under escrow', () => {
  test('takes only what is free, and says how much that is', async () => {
    shop = await escrows.openEscrowShop(open.pool, 30, [4, 3]);
    await escrows.protect(shop);
    expect(await escrows.reserve(shop, 1)).toMatchObject({ ok: false });
    await escrows.pushAll(shop);
    const { free } = await escrows.escrowOf(shop);
    expect(await escrows.reserve(shop, free + 1)).toMatchObject({
      ok: false,
      problems: [
        {
          code: 'INSUFFICIENT_STOCK',
          current: free,
          message: expect.stringContaining(`Only ${free} are free`),
        },
      ],
    });
    expect(free).toBeGreaterThan(0);
    expect(await escrows.reserve(shop, free)).toMatchObject({ ok: true });
    expect(await escrows.reserve(shop, 1)).toMatchObject({ ok: false });
  });

  test('that waits for the item while units of it are granted finds what is free afterwards', async () => {
    shop = await escrows.openEscrowShop(open.pool, 6, [0, 0]);
    await escrows.protect(shop);
    await escrows.push(shop, shop.offers[1]);
    const connected = await shop.connections.open(shop.offers[0].connection.id);
    if (connected === null) throw new Error('the connection is not open');
    const { context } = support.readingOptions(open.pool, connected);
    const ids = shop.offers.map(({ listingId }) => listingId);
    const { result } = await withShadows(context, ids, async (_client, { escrows: [held] }) => {
      if (held === undefined) throw new Error('the item is not under escrow');
      const waiting = escrows.reserve(shop, held.escrow.free);
      await fixtures.waitForBlocked(open.pool, 1);
      const [unit = ''] = ids;
      const write = { key: 'key', value: 1, expected: null, sentAt: support.clock.now() };
      held.escrow = grant(held.escrow, unit, write);
      return { waiting, free: held.escrow.free };
    });
    expect(await result.waiting).toMatchObject({ ok: false, problems: [{ current: result.free }] });
  });

  test('takes nothing while a listing of it was never read', async () => {
    shop = await escrows.openEscrowShop(open.pool, 10, [1, 1]);
    await escrows.protect(shop);
    await escrows.push(shop, shop.offers[0]);
    await escrows.bringIn(shop, 3);
    expect(await escrows.reserve(shop, 1)).toMatchObject({ ok: false, problems: [{ current: 0 }] });
  });

  test('takes all that is available where nothing sells the item', async () => {
    shop = await escrows.openEscrowShop(open.pool, 10, [1, 1]);
    await open.pool.query('DELETE FROM listings WHERE item_id = $1', [shop.item.id]);
    await escrows.protect(shop);
    expect(await escrows.reserve(shop, 10)).toMatchObject({ ok: true });
  });
});

const bundle = (itemId: string, componentId: string) =>
  setBundle({ pool: open.pool, onChanged: () => undefined }, shop.caller, {
    itemId,
    components: [{ itemId: componentId, quantity: 1 }],
    idempotencyKey: fixtures.unique('key'),
  });

describe('a bundle', () => {
  test('is made neither of an item under escrow nor out of one', async () => {
    shop = await escrows.openEscrowShop(open.pool, 0, [0, 0]);
    await escrows.protect(shop);
    const plain = await fixtures.insertItem(open.pool, shop.caller.accountId);
    expect(await bundle(plain.id, shop.item.id)).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT', field: ['input', 'components', '0', 'itemId'] }],
    });
    expect(await bundle(shop.item.id, plain.id)).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT', field: ['input', 'itemId'] }],
    });
  });
});

describe('what was replaced', () => {
  test('is free as soon as an order fetch can say so: the orders are asked for at that very moment, and only then', async () => {
    shop = await escrows.openEscrowShop(open.pool, 3, [0, 3]);
    await escrows.protect(shop);
    const [, etsy] = shop.offers;
    etsy.channel.capabilities.indexLagMs = 20_000;
    await support.moveStock(open.pool, shop.item, -3);
    await escrows.push(shop, etsy);
    expect(await rightsOf(etsy)).toBe(3);
    const asked = etsy.channel.polledSince.length;
    expect((await support.readDirty(open.pool, etsy.listingId))?.waitMs).toBeGreaterThan(15_000);
    await escrows.pass(shop, 21_000);
    await escrows.push(shop, etsy);
    expect(etsy.channel.polledSince.length).toBe(asked + 1);
    expect(await rightsOf(etsy)).toBe(0);
    expect(await support.readDirty(open.pool, etsy.listingId)).toBeNull();
  });

  test('stays charged while the orders cannot be asked for, and is asked for again after growing pauses', async () => {
    shop = await escrows.openEscrowShop(open.pool, 3, [0, 3]);
    await escrows.protect(shop);
    const [, etsy] = shop.offers;
    etsy.channel.capabilities.indexLagMs = 20_000;
    await support.moveStock(open.pool, shop.item, -3);
    await escrows.push(shop, etsy);
    etsy.channel.orderPages = () => {
      throw new ChannelError('unavailable', 'the channel is away');
    };
    await escrows.pass(shop, 21_000);
    await escrows.push(shop, etsy);
    expect(await rightsOf(etsy)).toBe(3);
    expect((await support.readDirty(open.pool, etsy.listingId))?.waitMs).toBeGreaterThan(0);
  });
});

test('a listing that joins an item while the item is locked is locked as well, so that its rights are not taken for given back', async () => {
  shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
  await escrows.protect(shop);
  const connected = await shop.connections.open(shop.offers[0].connection.id);
  if (connected === null) throw new Error('the connection is not open');
  const { context } = support.readingOptions(open.pool, connected);
  const offer = await escrows.offerOn(open.pool, shop.amazon, { shown: 3 });
  const holder = await open.pool.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM inventory_items WHERE id = $1 FOR NO KEY UPDATE', [shop.item.id]);
  const seen = withShadows(context, [shop.offers[0].listingId], async (_client, kept) =>
    kept.listings.map(({ listingId }) => listingId),
  );
  await fixtures.waitForBlocked(open.pool, 1);
  await escrows.map(shop, offer);
  await holder.query('COMMIT');
  holder.release();
  expect((await seen).result).toContain(offer.listingId);
});

test('an item that comes under escrow while its listing is locked is locked again with all its listings', async () => {
  shop = await escrows.openEscrowShop(open.pool, 4, [4, 4]);
  const [shopify] = shop.offers;
  const connected = await shop.connections.open(shopify.connection.id);
  if (connected === null) throw new Error('the connection is not open');
  const { context } = support.readingOptions(open.pool, connected);
  const holder = await open.pool.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM listings WHERE id = $1 FOR NO KEY UPDATE', [shopify.listingId]);
  const seen = withShadows(context, [shopify.listingId], async (_client, kept) =>
    kept.listings.map(({ listingId }) => listingId),
  );
  await fixtures.waitForBlocked(open.pool, 1);
  await escrows.protect(shop);
  await holder.query('COMMIT');
  holder.release();
  const { result } = await seen;
  expect(new Set(result)).toEqual(new Set(shop.offers.map(({ listingId }) => listingId)));
});
