/** Proves that samples are kept bounded with exact percentiles, and that each sale is measured once, when the last channel is in step. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { measureIn, measureSettled, recordSamples } from '../../src/sync/measures.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let etsy: fixtures.TestConnection;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  etsy = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool), 'etsy');
});

async function measures(connection = etsy): Promise<Record<string, { samples: number[]; count: number }>> {
  const { rows } = await open.pool.query('SELECT measures FROM connections WHERE id = $1', [connection.id]);
  return (rows[0] as { measures: Record<string, { samples: number[]; count: number }> }).measures;
}

async function samples(): Promise<number[]> {
  return (await measures())['saleToEverywhere']?.samples ?? [];
}

describe('samples', () => {
  test('are kept in the order they came, with the percentiles of what is kept', async () => {
    await recordSamples(open.pool, etsy.id, 'saleToKnown', [100, 20]);
    await recordSamples(open.pool, etsy.id, 'saleToKnown', [30.4, -5]);
    const { saleToKnown } = await measures();
    expect(saleToKnown).toEqual({
      samples: [100, 20, 30, 0],
      p50: 20,
      p90: 100,
      p95: 100,
      max: 100,
      count: 4,
    });
    expect(measureIn(await measures(), 'saleToKnown')).toEqual({
      p50: 20,
      p90: 100,
      p95: 100,
      max: 100,
      count: 4,
    });
  });

  test('of one name leave the others alone, and none at all sends nothing', async () => {
    await recordSamples(open.pool, etsy.id, 'saleToKnown', [1]);
    await recordSamples(open.pool, etsy.id, 'writeToEffective', [2]);
    await recordSamples(open.pool, etsy.id, 'writeToEffective', []);
    expect(Object.keys(await measures()).toSorted()).toEqual(['saleToKnown', 'writeToEffective']);
    expect(measureIn(await measures(), 'saleToEverywhere')).toBeNull();
  });

  test('are the newest two hundred, while the count goes on', async () => {
    const first = Array.from({ length: 150 }, (_, index) => index);
    await recordSamples(open.pool, etsy.id, 'saleToKnown', first);
    await recordSamples(
      open.pool,
      etsy.id,
      'saleToKnown',
      first.map((each) => each + 1_000),
    );
    const { saleToKnown } = await measures();
    expect([
      saleToKnown?.samples.length,
      saleToKnown?.samples[0],
      saleToKnown?.samples.at(-1),
      saleToKnown?.count,
    ]).toEqual([200, 100, 1_149, 300]);
    expect(measureIn(await measures(), 'saleToKnown')).toMatchObject({
      p50: 1_049,
      p90: 1_129,
      p95: 1_139,
      max: 1_149,
    });
  });

  test('of many writers at once are all counted', async () => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, each) => recordSamples(open.pool, etsy.id, 'saleToKnown', [each])),
    );
    expect((await measures())['saleToKnown']?.samples.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, each) => each),
    );
  });
});

describe('from a sale until every channel is in step', () => {
  let item: fixtures.TestItem;
  let ebay: fixtures.TestConnection;
  let listings: string[];

  beforeEach(async () => {
    item = await fixtures.insertItem(open.pool, etsy.accountId, { onHand: 9 });
    ebay = await fixtures.insertConnection(open.pool, etsy.accountId, 'ebay');
    listings = [
      await fixtures.insertListing(open.pool, etsy, { itemId: item.id }),
      await fixtures.insertListing(open.pool, ebay, { itemId: item.id }),
    ];
  });

  async function sell(secondsAgo: number, orderId = fixtures.unique('order')): Promise<void> {
    const at = new Date(Date.now() - secondsAgo * 1_000);
    const lines = [fixtures.orderLine({ sku: item.sku })];
    const order = fixtures.order({ orderId, createdAt: at, updatedAt: at, lines });
    await applyOrder(open.pool, fixtures.source(etsy, { observedAt: at }), order);
  }

  const settle = () => measureSettled(open.pool, [item.id]);
  const clean = (listing?: string) =>
    open.pool.query('DELETE FROM dirty_listings WHERE listing_id = ANY($1)', [
      listing === undefined ? listings : [listing],
    ]);

  test('is measured once, for the connection that sold, when the last listing is settled', async () => {
    await sell(10);
    await settle();
    await clean(listings[0]);
    await settle();
    expect(await samples()).toEqual([]);
    await clean(listings[1]);
    await Promise.all([settle(), settle(), settle()]);
    await settle();
    expect(await samples()).toHaveLength(1);
    expect((await samples())[0]).toBeGreaterThanOrEqual(10_000);
    expect((await samples())[0]).toBeLessThan(20_000);
    expect(await measures(ebay)).toEqual({});
  });

  test('waits for writes that are not confirmed', async () => {
    await sell(10);
    await clean();
    const { rows } = await open.pool.query<{ id: string }>(
      `INSERT INTO listing_writes (account_id, connection_id, listing_id, quantity, target_seq, state) VALUES ($1, $2, $3, 8, 2, 'accepted') RETURNING id`,
      [etsy.accountId, ebay.id, listings[1]],
    );
    await settle();
    expect(await samples()).toEqual([]);
    await open.pool.query(`UPDATE listing_writes SET state = 'effective', settled_at = now() WHERE id = $1`, [
      rows[0]?.id,
    ]);
    await settle();
    expect(await samples()).toHaveLength(1);
  });

  test('waits for a connection without access, and not for one that the seller has switched off', async () => {
    await sell(10);
    await clean(listings[0]);
    await open.pool.query(`UPDATE connections SET status = 'needs_authorization' WHERE id = $1`, [ebay.id]);
    await settle();
    expect(await samples()).toEqual([]);
    await open.pool.query('UPDATE connections SET sync_enabled = false WHERE id = $1', [ebay.id]);
    await settle();
    expect(await samples()).toHaveLength(1);
  });

  test('counts every sale since it was last in step, and no change by hand', async () => {
    await sell(50);
    await clean();
    await settle();
    await support.moveStock(open.pool, item, 5);
    await sell(30);
    await sell(20);
    await clean();
    await settle();
    const [first = 0, ...later] = await samples();
    expect(Math.floor(first / 10_000)).toBe(5);
    expect(new Set(later.map((each) => Math.floor(each / 10_000)))).toEqual(new Set([2, 3]));
  });

  test('a change by hand alone is no sample', async () => {
    await support.moveStock(open.pool, item, 5);
    await clean();
    await settle();
    expect(await samples()).toEqual([]);
  });
});
