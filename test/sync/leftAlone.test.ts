/** Proves that a listing which is switched off stays out of what is done for the others: their writes, their operations and their orders say nothing of it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { syncItem } from '../../src/sync/operations.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { withShadows } from '../../src/sync/shadows.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { Race } from '../support/race.ts';
import { openTwoChannels } from '../support/twoChannels.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

/** Nothing is to be done about it any more; `off`: nor will be. */
async function leave(listingId: string, off: boolean): Promise<void> {
  await open.pool.query('UPDATE listings SET sync_enabled = NOT $2 WHERE id = $1', [listingId, off]);
  await open.pool.query('DELETE FROM dirty_listings WHERE listing_id = $1', [listingId]);
}

test.each([
  ['switched off', true, 7],
  ['followed', false, 4],
])(
  'a write that puts back a variant that is %s tells of what was done to it only where it is followed',
  async (_state, off, shownMax) => {
    const accountId = await fixtures.insertAccount(open.pool);
    const connection = await fixtures.insertConnection(open.pool, accountId, 'etsy');
    const channel = support.createChannel('etsy');
    const unitId = fixtures.unique('unit');
    const shop = { connection, channel };
    await support.insertListed(open.pool, shop, 3, 5, { unitId, variantId: 'X' });
    const other = await support.insertListed(open.pool, shop, 7, 7, { unitId, variantId: 'Y' });
    await leave(other.listingId, off);
    channel.onWrite = (write) => {
      support.takeEffect(channel, write);
      // Another tool has set the other variant to four.
      const companion = { address: { unitId, variantId: 'Y' }, quantity: 4, shown: 4 };
      const companions = [{ ...companion, readAt: support.clock.now() }];
      return { kind: 'effective', quantity: write.quantity, companions };
    };
    await pushConnection(
      support.pushOptions(open.pool, support.connectTo(open.pool, { etsy: channel })),
      connection.id,
    );
    expect(channel.writes.filter(({ address }) => address.variantId === 'X')).toHaveLength(1);
    const { rows } = await open.pool.query('SELECT hold, shown_max FROM shadows WHERE listing_id = $1', [
      other.listingId,
    ]);
    expect(rows).toEqual([{ hold: off ? 0 : 3, shown_max: shownMax }]);
  },
);

test.each([
  ['is switched off', true, 'completed', 'synced'],
  ['is written to', false, 'failed', 'error'],
])(
  'the operation of an item with a listing that cannot be read and %s fails only where that one is written to',
  async (_state, off, status, sync) => {
    const shop = await openTwoChannels(open.pool);
    const item = await shop.listed('shopify', 'etsy');
    const {
      rows: [listing],
    } = await open.pool.query<{ id: string }>(
      `UPDATE listings SET last_error = 'the page is gone' WHERE item_id = $1 AND platform = 'etsy' RETURNING id`,
      [item.id],
    );
    await syncItem(shop.options(), shop.caller, { itemId: item.id, platforms: null, idempotencyKey: null });
    await leave(listing?.id ?? '', off);
    await shop.push('shopify');
    const { rows } = await open.pool.query(
      `SELECT operation.status::text, item.sync_status::text FROM sync_operations operation
       JOIN inventory_items item ON item.id = operation.item_id WHERE item.id = $1`,
      [item.id],
    );
    expect(rows).toEqual([{ status, sync_status: sync }]);
  },
);

test('a number that was observed on a listing that is off stays, whatever its old shadow takes in', async () => {
  const race = await Race.open(open.pool, 9, ['shopify', 'etsy']);
  await race.know();
  const { listingId, connection, channel } = race.at('etsy');
  await leave(listingId, true);
  await open.pool.query('UPDATE listings SET quantity = 3 WHERE id = $1', [listingId]);
  await race.hear(race.buy('etsy'));
  const connected = support.connectTo(open.pool, { etsy: channel });
  const opened = await connected.open(connection.id);
  if (opened === null) throw new Error('the connection is closed');
  const { context } = support.readingOptions(open.pool, opened);
  await withShadows(context, [listingId], async () => undefined);
  expect(await race.shadow('etsy')).toMatchObject({ shown_max: 8 });
  expect((await support.readListing(open.pool, listingId)).quantity).toBe(3);
});
