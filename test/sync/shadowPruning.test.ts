/** Proves that sales which are forgotten take with them what was believed of their listing, so that none of them is found missing later. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyOrder } from '../../src/sync/orders.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection } from '../../src/sync/reads.ts';
import { pruneSales } from '../../src/sync/shadowSql.ts';
import type { ProvenEdit } from '../../src/sync/shadows.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());

const dayMs = 86_400_000;

/** A listing that shows 5 and is switched off; two are sold there, and then ten days go by. */
async function pausedWithSales() {
  const connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  const channel = support.createChannel();
  const connections = support.connectTo(open.pool, { shopify: channel });
  const listed = await support.insertListed(open.pool, { connection, channel }, 5, 5);
  const proven: ProvenEdit[] = [];
  const onProven = async (_client: unknown, edit: ProvenEdit): Promise<readonly string[]> => {
    proven.push(edit);
    return [];
  };
  const readings: NonNullable<Parameters<typeof support.pushOptions>[2]>['readings'] = (opened) => {
    const options = support.readingOptions(open.pool, opened);
    return { ...options, context: { ...options.context, onProven } };
  };
  const enable = (enabled: boolean) =>
    open.pool.query('UPDATE listings SET sync_enabled = $2 WHERE id = $1', [listed.listingId, enabled]);
  const pass = (ms: number) => support.letTimePass(open.pool, connection.id, ms);
  await enable(false);
  await open.pool.query('DELETE FROM dirty_listings WHERE listing_id = $1', [listed.listingId]);
  await pass(1_000);
  const at = new Date(support.clock.now());
  const lines = [fixtures.orderLine({ address: listed, reserved: 2 })];
  await applyOrder(
    open.pool,
    fixtures.source(connection),
    fixtures.order({ createdAt: at, updatedAt: at, lines }),
  );
  support.show(channel, listed, 3);
  await open.pool.query(
    `UPDATE channel_sales SET known_at = now() - interval '10 days' WHERE listing_id = $1`,
    [listed.listingId],
  );
  await pass(10 * dayMs);
  return {
    channel,
    listed,
    proven,
    enable,
    pass,
    push: () => pushConnection(support.pushOptions(open.pool, connections, { readings }), connection.id),
    read: () => readConnection(support.readOptions(open.pool, connections, { readings }), connection.id),
    knowOrders: () =>
      open.pool.query('UPDATE connections SET orders_watermark = $2 WHERE id = $1', [
        connection.id,
        new Date(support.clock.now()),
      ]),
  };
}

const weekAgo = (): Date => new Date(Date.now() - 7 * dayMs);

test('a listing resumed after its sales were forgotten is read anew, and nobody is said to have taken the units', async () => {
  const shop = await pausedWithSales();
  expect(await pruneSales(open.pool, weekAgo(), 10)).toBe(1);
  await shop.enable(true);
  await support.markDirty(open.pool, shop.listed.listingId, true);
  for (let round = 0; round < 3; round += 1) {
    await shop.push();
    await shop.pass(1_800_001);
    await shop.knowOrders();
    await shop.read();
  }
  expect(shop.proven).toEqual([]);
  expect(await support.readListing(open.pool, shop.listed.listingId)).toMatchObject({ quantity: 3 });
});

test('sales of yesterday are kept, and what is believed of their listing with them', async () => {
  const shop = await pausedWithSales();
  const { rowCount } = await open.pool.query(
    `UPDATE channel_sales SET known_at = now() - interval '1 day' WHERE listing_id = $1`,
    [shop.listed.listingId],
  );
  expect([rowCount, await pruneSales(open.pool, weekAgo(), 10)]).toEqual([1, 0]);
  const { rows } = await open.pool.query('SELECT 1 FROM shadows WHERE listing_id = $1', [
    shop.listed.listingId,
  ]);
  expect(rows).toHaveLength(1);
});

test('what a forgotten shadow withheld is given back to the other listings of its item', async () => {
  const shop = await pausedWithSales();
  const { listingId, item } = shop.listed;
  await open.pool.query('UPDATE shadows SET hold = 1 WHERE listing_id = $1', [listingId]);
  const connection = await fixtures.insertConnection(open.pool, item.accountId, 'etsy');
  const other = await fixtures.insertListing(open.pool, connection, { itemId: item.id });
  await open.pool.query('DELETE FROM dirty_listings');
  await pruneSales(open.pool, weekAgo(), 10);
  expect(await support.readDirty(open.pool, other)).not.toBeNull();
  expect(await support.readDirty(open.pool, listingId)).toBeNull();
});
