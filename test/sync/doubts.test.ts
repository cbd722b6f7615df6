/** Proves C4 of readings: a channel that shows 0 for more listings than sell out at once empties neither the ledger nor the other shops, until somebody has looked. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { approveBlast } from '../../src/sync/blast.ts';
import { ordersConsidered } from '../../src/sync/conflictEvidence.ts';
import { storeConflict } from '../../src/sync/conflicts.ts';
import { quantityConflict } from '../../src/sync/core/conflicts.ts';
import { zeroesAlwaysBelieved } from '../../src/sync/core/sending.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { pushConnection } from '../../src/sync/push.ts';
import type { ReadingOptions } from '../../src/sync/readings.ts';
import { readConnection } from '../../src/sync/reads.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let caller: Caller;
let etsy: { readonly connection: fixtures.TestConnection; readonly channel: support.ScriptedChannel };
let shopify: typeof etsy;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  etsy = {
    connection: await fixtures.insertConnection(open.pool, accountId, 'etsy'),
    channel: support.createChannel('etsy'),
  };
  shopify = {
    connection: await fixtures.insertConnection(open.pool, accountId),
    channel: support.createChannel(),
  };
});

/** Items of 5 that both channels show, as they should. */
async function listed(count: number): Promise<readonly support.Listed[]> {
  const all: support.Listed[] = [];
  for (let index = 0; index < count; index += 1) {
    const one = await support.insertListed(open.pool, etsy, 5, 5);
    const listingId = await fixtures.insertListing(open.pool, shopify.connection, {
      itemId: one.item.id,
      unitId: one.unitId,
    });
    await support.insertShadow(open.pool, shopify.channel, listingId, 5);
    support.show(shopify.channel, { unitId: one.unitId, variantId: '' }, 5);
    all.push(one);
  }
  await open.pool.query('DELETE FROM dirty_listings WHERE account_id = $1', [caller.accountId]);
  return all;
}

const connections = () => support.connectTo(open.pool, { etsy: etsy.channel, shopify: shopify.channel });

/** Proofs become conflicts, as in the product. */
const readings = (channel: Parameters<typeof support.readingOptions>[1]): ReadingOptions => {
  const options = support.readingOptions(open.pool, channel);
  return {
    ...options,
    context: {
      ...options.context,
      async onProven(client, { listing, before, proof }, now) {
        const { accountId, itemId, listingId } = listing;
        if (itemId === null) return [];
        const conflict = quantityConflict(before, proof, now);
        const found = { accountId, itemId, listingId, conflict, ordersConsidered: ordersConsidered(before) };
        return (await storeConflict(client, found)).effect.connectionIds;
      },
    },
  };
};

const everyone = () => [etsy.connection.id, shopify.connection.id];

/** Everything is read and brought in step, every minute, with all orders known. */
async function pass(minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    await support.letTimePass(open.pool, everyone(), 60_000);
    await open.pool.query('UPDATE connections SET orders_watermark = $2 WHERE account_id = $1', [
      caller.accountId,
      new Date(support.clock.now()),
    ]);
    await open.pool.query(`UPDATE shadows SET read_due_at = now() - interval '1 s' WHERE account_id = $1`, [
      caller.accountId,
    ]);
    const read = support.readOptions(open.pool, connections(), { readings });
    for (const id of everyone()) await readConnection({ ...read, batchMax: 100 }, id);
    for (const id of everyone())
      await pushConnection(support.pushOptions(open.pool, connections(), { readings }), id);
  }
}

const empty = (all: readonly support.Listed[]): void => {
  for (const one of all) support.show(etsy.channel, one, 0);
};

async function onHand(): Promise<number> {
  const { rows } = await open.pool.query<{ units: number }>(
    'SELECT sum(quantity)::int AS units FROM inventory_items WHERE account_id = $1',
    [caller.accountId],
  );
  return rows[0]?.units ?? 0;
}

async function alerts(): Promise<readonly unknown[]> {
  const { rows } = await open.pool.query(
    `SELECT kind, status, units, connection_id AS connection FROM alerts WHERE account_id = $1 AND kind = 'blast_stopped' ORDER BY id`,
    [caller.accountId],
  );
  return rows;
}

describe('a channel whose listings all show 0 at once', () => {
  test('empties neither the ledger nor the other shops, and says so', async () => {
    const all = await listed(12);
    empty(all);
    await pass(4);
    expect(await onHand()).toBe(60);
    expect(shopify.channel.writes).toEqual([]);
    const { rows } = await open.pool.query<{ error: string | null }>(
      'SELECT DISTINCT last_error AS error FROM listings WHERE connection_id = $1',
      [etsy.connection.id],
    );
    expect(rows).toEqual([{ error: 'too many listings show 0 at once to be believed' }]);
    expect(await alerts()).toEqual([
      { kind: 'blast_stopped', status: 'open', units: 12, connection: etsy.connection.id },
    ]);
  });

  test('is doubted no longer once it shows units again', async () => {
    const all = await listed(12);
    empty(all);
    await pass(1);
    for (const one of all) support.show(etsy.channel, one, 5);
    await pass(1);
    expect(await alerts()).toMatchObject([{ status: 'resolved' }]);
    expect(await onHand()).toBe(60);
  });

  test('is believed once somebody has approved it', async () => {
    const all = await listed(12);
    empty(all);
    await pass(1);
    expect(await approveBlast(open.pool, caller, etsy.connection.id)).toMatchObject({ ok: true });
    await pass(4);
    expect(await onHand()).toBe(0);
    expect(await alerts()).toMatchObject([{ status: 'resolved' }]);
  });

  test('still has its sales known by its orders', async () => {
    const [one, ...others] = await listed(12);
    if (one === undefined) throw new Error('there is one');
    empty([one, ...others]);
    await pass(1);
    const at = new Date(support.clock.now());
    await applyOrder(
      open.pool,
      fixtures.source(etsy.connection, { platform: 'etsy', observedAt: at }),
      fixtures.order({
        createdAt: at,
        updatedAt: at,
        lines: [
          fixtures.orderLine({ address: { unitId: one.unitId, variantId: '' }, ordered: 5, reserved: 5 }),
        ],
      }),
    );
    await pass(1);
    expect(shopify.channel.writes.map(({ address, quantity }) => [address.unitId, quantity])).toEqual([
      [one.unitId, 0],
    ]);
  });
});

test('a few listings at 0 are believed', async () => {
  const all = await listed(12);
  empty(all.slice(0, zeroesAlwaysBelieved));
  await pass(4);
  expect(await onHand()).toBe(60 - 5 * zeroesAlwaysBelieved);
  expect(await alerts()).toEqual([]);
});

test('listings that come to show 0 one after the other are counted together', async () => {
  const all = await listed(12);
  for (const one of all) {
    empty([one]);
    await pass(3);
  }
  expect(await onHand()).toBe(60 - 5 * zeroesAlwaysBelieved);
  expect(await alerts()).toMatchObject([{ status: 'open', units: 12 }]);
});

test('cuts that the policy would book of more listings than may change at once wait for a person', async () => {
  const all = await listed(20);
  for (const one of all) support.show(etsy.channel, one, 3);
  await pass(4);
  const { rows } = await open.pool.query(
    'SELECT status, count(*)::int AS conflicts FROM sync_conflicts WHERE account_id = $1 GROUP BY status ORDER BY status',
    [caller.accountId],
  );
  expect(rows).toEqual([
    { status: 'open', conflicts: 10 },
    { status: 'resolved', conflicts: 10 },
  ]);
  expect(await onHand()).toBe(100 - 2 * 10);
  expect(await alerts()).toMatchObject([{ status: 'open', connection: etsy.connection.id }]);
});
