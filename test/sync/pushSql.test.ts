/** Proves what the push writes down of its own writes. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '../../src/db.ts';
import type { PackedWrite } from '../../src/sync/packing.ts';
import { recordWrites } from '../../src/sync/pushSql.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());

test('of two writes the one recorded later was sent later, whichever transaction began first, and so was one that is sent again', async () => {
  const { pool } = open;
  const connection = await fixtures.insertConnection(pool, await fixtures.insertAccount(pool));
  const shop = { connection, channel: support.createChannel() };
  const { listingId } = await support.insertListed(pool, shop, 9, 9);
  const planned = (targetSeq: number, key: string = randomUUID()) =>
    ({
      listing: { listingId },
      key,
      quantity: targetSeq,
      expected: null,
      targetSeq,
      queued: false,
    }) as unknown as PackedWrite;
  const again = randomUUID();
  const recordOther = (targetSeq: number, key?: string) =>
    inTransaction(pool, (client) => recordWrites(client, [planned(targetSeq, key)], 0));
  await recordOther(1, again);
  await inTransaction(pool, async (client) => {
    // The transaction's time is taken here.
    await client.query('SELECT now()');
    await recordOther(2);
    await recordWrites(client, [planned(3)], 0);
    await recordWrites(client, [planned(1, again)], 0);
  });
  const { rows } = await pool.query<{ quantity: number }>(
    'SELECT quantity FROM listing_writes WHERE listing_id = $1 ORDER BY sent_at',
    [listingId],
  );
  expect(rows.map(({ quantity }) => quantity)).toEqual([2, 3, 1]);
});
