/** Proves the race timeline of a bundle on the product itself: it sells in the same second as its last component. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Platform } from '../../src/connectors/connector.ts';
import { insertBundle } from '../support/bundles.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import { Race } from '../support/race.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

type Shelf = {
  readonly one: Race;
  readonly unitOf: ReadonlyMap<Platform, string>;
};

/** The last A is shown alone and in the bundle AB on three channels. */
async function lastComponent(): Promise<Shelf> {
  const one = await Race.open(open.pool, 1, ['shopify', 'etsy', 'ebay']);
  await one.know();
  const b = await fixtures.insertItem(open.pool, one.item.accountId, { onHand: 4 });
  const bundle = await insertBundle(open.pool, one.item.accountId, [
    [one.item, 1],
    [b, 1],
  ]);
  const unitOf = new Map<Platform, string>();
  for (const [platform, { connection, channel }] of one.places) {
    const address = { unitId: fixtures.unique('bundle'), variantId: '' };
    const listingId = await fixtures.insertListing(open.pool, connection, {
      itemId: bundle.id,
      ...address,
    });
    await support.insertShadow(open.pool, channel, listingId, 1);
    support.show(channel, address, 1);
    unitOf.set(platform, address.unitId);
  }
  return { one, unitOf };
}

/** A sells on Shopify and AB on Etsy. */
async function bothSold({ one, unitOf }: Shelf): Promise<void> {
  const place = one.at('etsy');
  const address = { unitId: unitOf.get('etsy') ?? '', variantId: '' };
  support.show(place.channel, address, 0);
  const at = new Date(support.clock.now());
  const lines = [fixtures.orderLine({ address, reserved: 1 })];
  const order = fixtures.order({ orderId: 'race-bundle', createdAt: at, updatedAt: at, lines });
  const placed = { place, order, visibleAt: at.getTime() };
  one.placed.push(placed);
  await Promise.all([one.hear(one.buy('shopify')), one.hear(placed)]);
}

describe('T12 Bundle', () => {
  test('sold in the same second as its component: both orders are recorded, and the alert names both', async () => {
    const shelf = await lastComponent();
    await bothSold(shelf);
    expect(await readStock(open.pool, shelf.one.item.id)).toMatchObject({ available: -1 });
    const { rows } = await open.pool.query(
      `SELECT alert.units, array_agg(sold.platform_order_id ORDER BY sold.platform_order_id) AS orders
         FROM alerts alert JOIN alert_orders named ON named.alert_id = alert.id JOIN orders sold ON sold.id = named.order_id
        WHERE alert.item_id = $1 GROUP BY alert.id`,
      [shelf.one.item.id],
    );
    const orders = shelf.one.placed.map(({ order }) => order.orderId).toSorted();
    expect(orders).toHaveLength(2);
    expect(rows).toEqual([{ units: 1, orders }]);
  });

  test.each([1, 50])(
    'every listing that uses the component goes to 0 before anything else, %i at a time',
    async (batchMax) => {
      const shelf = await lastComponent();
      const { one, unitOf } = shelf;
      const place = one.at('ebay');
      place.channel.capabilities.writesPerCall = 1;
      const raised = await support.insertListed(open.pool, place, 9, 1);
      const lowered = await support.insertListed(open.pool, place, 8, 90);
      await bothSold(shelf);
      await one.push('ebay', { batchMax });
      const units = place.channel.writes.map(({ address }) => address.unitId);
      expect(new Set(units.slice(0, 2))).toEqual(new Set([place.address.unitId, unitOf.get('ebay')]));
      expect(units.slice(2)).toEqual([lowered.unitId, raised.unitId]);
      expect(one.written('ebay')).toEqual([0, 0, 8, 9]);
      await one.pushAll();
      for (const [platform, { channel }] of one.places)
        expect([
          one.shows(platform),
          support.shownOn(channel, { unitId: unitOf.get(platform) ?? '', variantId: '' }),
        ]).toEqual([0, 0]);
    },
  );
});
